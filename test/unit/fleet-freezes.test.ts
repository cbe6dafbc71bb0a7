/** Whose sessions a message of another host may freeze. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConsumerProcessParts } from '../../actors/consumer-process.ts';
import type { DaemonParts } from '../../actors/daemon-parts.ts';
import { hearFreezes } from '../../actors/fleet-freeze.ts';
import { hearFreeze } from '../../actors/freeze.ts';
import type { BusMessage } from '../../transport/bus.ts';
import { freezeSubject } from '../../transport/subjects.ts';

const ALICE = 1000;
const FLEET = 991;

const message = (host: string, session: string, owner: number): BusMessage =>
  ({
    subject: freezeSubject({ host, uid: 0, session }),
    body: { v: 1, id: '0'.repeat(16), owner, atNs: '1', trigger: 't', postMs: 0 },
  }) as unknown as BusMessage;

test('a consumer takes what its own host says, and of others only for the fleet’s own sessions', () => {
  const heard: string[] = [];
  const entries = [
    { attach: { session: 'a', sessionName: 'own' } },
    { attach: { session: 'b', sessionName: 'fleet', othersFreeze: true } },
  ];
  const parts = {
    access: { uid: 0, host: 'web-1' },
    ports: { owner: String(ALICE) },
    streams: { all: () => entries },
    root: { send: ({ sessionId }: { sessionId: string }) => heard.push(sessionId) },
  } as unknown as ConsumerProcessParts;
  hearFreeze(parts, message('evil', 'own', ALICE));
  assert.deepEqual(heard, []);
  hearFreeze(parts, message('web-1', 'own', ALICE));
  hearFreeze(parts, message('evil', 'fleet', ALICE));
  assert.deepEqual(heard, ['a', 'b']);
});

test('the daemon passes on what concerns a session that its owner’s trigger gives to the fleet', async () => {
  let hear: (of: BusMessage) => Promise<void> = async () => {};
  const frozen: string[] = [];
  const session = (id: string, name: string, uid: number, snapshot: object | null = {}) => ({
    id,
    name,
    owner: { uid },
    snapshot,
  });
  const action = (of: string, fleet = true) => ({
    kind: 'snapshot-session',
    session: of,
    ...(fleet && { fleet: { postMs: 0 } }),
  });
  const sessions = [
    session('a', 'shared', ALICE),
    session('b', 'own', ALICE),
    session('c', 'streams', ALICE, null),
    session('d', 'theirs', FLEET),
    session('e', 'local', ALICE),
  ];
  const triggers = [
    { document: { owner: { uid: ALICE }, actions: [action('shared'), action('streams'), action('local', false)] } },
    { document: { owner: { uid: FLEET }, actions: [action('own'), action('theirs')] } },
  ];
  hearFreezes({
    place: { host: 'web-1', uid: 0 },
    ports: { host: { uid: 0, fleetUser: null, idOf: () => FLEET }, log: { warn: () => {} } },
    bus: {
      subscribe: (_subject: string, handle: typeof hear) => {
        hear = handle;
      },
    },
    documents: { all: () => sessions },
    triggers: { all: () => triggers },
    consumer: (uid: number) => ({ freeze: async (id: string) => void frozen.push(`${uid} ${id}`) }),
  } as unknown as DaemonParts);
  for (const { name, owner } of sessions) await hear(message('db-1', name, owner.uid));
  await hear(message('web-1', 'shared', ALICE));
  // Those of the fleet's user are heard by the consumer itself.
  assert.deepEqual(frozen, [`${ALICE} a`]);
});
