/** What an operator sees of a fleet whose hosts do not all know each other yet. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FleetLink } from '../../cli/fleet-link.ts';
import type { Body } from '../../transport/bus.ts';
import { MemoryFabric, type Scheduler } from '../../transport/memory-bus.ts';
import { liveSubject, scatterSubject } from '../../transport/subjects.ts';

const view = (host: string, state = 'ready') => ({ host, state, labels: {}, machines: [] });

/** `knows`: what each host would say of the fleet; null: it answers that it lives, and then no more. */
const fleetOf = async (knows: Readonly<Record<string, readonly Body[] | null>>, scheduler?: Scheduler) => {
  const fabric = new MemoryFabric(scheduler);
  const scattered = scatterSubject({ uid: 0, who: 'alice', noun: 'fleet', verb: 'sessions' });
  for (const [host, hosts] of Object.entries(knows)) {
    const service = { name: host, version: '1.0.0', description: host };
    const bus = fabric.connect({ clock: () => 0 });
    await bus.serve(service, [
      {
        name: 'fleet',
        subject: scattered,
        schema: {},
        handle: async () => ({ ok: true, body: { host, ok: true, sessions: [] } }),
      },
      ...(hosts === null
        ? []
        : [
            {
              name: 'hosts',
              subject: `weft.v1.${host}.0.cmd.fleet.alice.hosts.list`,
              schema: {},
              handle: async () => ({ ok: true as const, body: { hosts } }),
            },
          ]),
    ]);
  }
  return new FleetLink(fabric.connect({ clock: () => 0 }), 'alice', 0);
};

const seen = async (link: FleetLink): Promise<string[]> => (await link.hosts()).map(({ host, state }) => `${host} ${state}`);

test('hosts that the first to answer does not know, or takes for dead, are seen all the same; who is silent as the others know them', async () => {
  const link = await fleetOf({
    a: [view('a'), view('c', 'unreachable'), view('gone', 'unreachable')],
    b: [view('b')],
    c: [view('c')],
  });
  assert.deepEqual(await seen(link), ['a ready', 'b ready', 'c ready', 'gone unreachable']);
});

test('a host that dies between its answers is left to what the others say', async () => {
  assert.deepEqual(await seen(await fleetOf({ a: null, b: [view('b')] })), ['b ready']);
});

test('a command line that loses the processor right after it asked hears the answers that came meanwhile', async () => {
  let held = true;
  const link = await fleetOf(
    { a: [view('a')] },
    {
      defer: (task) => {
        // Longer than it listens.
        if (!held) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
        held = true;
        setTimeout(task, 30);
      },
      after: () => () => {},
    },
  );
  held = false;
  assert.deepEqual(await seen(link), ['a ready']);
});

test('whoever watches hears the session on the hosts and of the owner that are meant, and no other of that name', async () => {
  const fabric = new MemoryFabric();
  const link = new FleetLink(fabric.connect({ clock: () => 0 }), 'alice', 0);
  const heard: string[] = [];
  const stop = await link.live(
    's',
    (host, owner) => host === 'web' && owner === '0',
    (body, host) => heard.push(`${host} ${String(body.n)}`),
  );
  const host = fabric.connect({ clock: () => 0 });
  const places = [
    { host: 'db', uid: 0, owner: 0, session: 's' },
    { host: 'web', uid: 0, owner: 7, session: 's' },
    { host: 'web', uid: 7, owner: 0, session: 's' },
    { host: 'web', uid: 0, owner: 0, session: 'other' },
    { host: 'web', uid: 0, owner: 0, session: 's' },
  ];
  for (const [n, place] of places.entries()) host.publish(liveSubject({ ...place, event: 'p:a' }), { n });
  await host.flush();
  await new Promise((done) => setImmediate(done));
  stop();
  assert.deepEqual(heard, ['web 4']);
});

test('nobody answers: it is said, and whose daemons were meant', async () => {
  await assert.rejects((await fleetOf({})).hosts(), /No host of the fleet answers whose session daemon runs as user 0/);
});
