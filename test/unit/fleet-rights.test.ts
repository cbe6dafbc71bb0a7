/** As whom a host does what its fleet commands, and where it may write. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DaemonParts } from '../../actors/daemon-parts.ts';
import { actForFleet } from '../../actors/fleet-scatter.ts';
import { fleetUid } from '../../actors/fleet-user.ts';
import type { Reply } from '../../transport/bus.ts';
import { succeeded } from '../../transport/errors.ts';

interface Given {
  readonly uid: number;
  readonly fleetUser?: string;
  readonly users?: Readonly<Record<string, number>>;
}

const daemon = ({ uid, fleetUser, users = {} }: Given) => {
  const host = { uid, fleetUser: fleetUser ?? null, labels: {}, idOf: (_: string, name: string) => users[name] ?? null };
  const acted: string[] = [];
  const parts = {
    place: { host: 'web-1', uid },
    fleetSessions: null,
    fleetClock: () => ({ reference: null, offsetNs: 0, uncertaintyNs: null }),
    ports: {
      host,
      clock: { now: () => 0 },
      bus: { fleetDomain: () => 'fleet' },
      defaultOutput: (owner: number, name: string) => `/home/${owner}/weft-traces/${name}`,
    },
    root: { getSnapshot: () => ({ context: { fleet: null } }) },
    replies: {
      once: async (key: string): Promise<Reply> => {
        acted.push(key);
        return succeeded({});
      },
    },
  } as unknown as DaemonParts;
  const act = async (name: string, fields = {}) => {
    const reply = await actForFleet(parts, 'alice', name, { v: 1, id: 'i', ...fields });
    return reply.ok ? 'ok' : `${reply.fault.code}: ${reply.fault.message} ${reply.fault.hint}`;
  };
  return { parts, act, acted };
};

test('root’s daemon without a user for the fleet does nothing for it, and says the way out', async () => {
  const { act, acted, parts } = daemon({ uid: 0 });
  assert.equal(fleetUid(parts), null);
  for (const [name, fields] of [
    ['session.list', {}],
    ['session.stop', { session: 's' }],
    ['session.start', { session: 's', phase: 'prepare' }],
  ] as const) {
    assert.match(await act(name, fields), /^fleet-user-missing: .*web-1.*`weft`.*useradd --system.* weft.*--fleet-user=root/);
  }
  assert.deepEqual(acted, []);
  assert.equal(await act('fleet.sessions'), 'ok', 'who asks what is wrong is answered');
});

test('it acts as `weft`, as whom it was told to, or as its own user when it is not root’s', async () => {
  const weft = daemon({ uid: 0, users: { weft: 991, root: 0 } });
  assert.equal(fleetUid(weft.parts), 991);
  assert.equal(await weft.act('session.list'), 'ok');
  assert.match(await weft.act('session.create', { name: 's', output: '/home/0/weft-traces/s' }), /^fleet-path-refused/);
  assert.equal(await weft.act('session.create', { name: 's', output: '/home/991/weft-traces/s' }), 'ok');
  assert.equal(fleetUid(daemon({ uid: 0, fleetUser: 'root', users: { weft: 991, root: 0 } }).parts), 0);
  assert.match(await daemon({ uid: 0, fleetUser: 'nobodyhere' }).act('session.list'), /^fleet-user-missing: .*`nobodyhere`/);
  assert.equal(fleetUid(daemon({ uid: 1000, fleetUser: 'root', users: { root: 0 } }).parts), 1000);
});
