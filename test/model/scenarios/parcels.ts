/** Traces that are sent when no session feeds them (any more): snapshots for a relay, and what a session leaves behind. */
import assert from 'node:assert/strict';
import type { ParcelDocument } from '../../../actors/parcels.ts';
import { FakeRelay } from '../../support/fake-relay.ts';
import type { World } from '../../support/world/world.ts';
import { life, type Scenario, scenario, took } from './scenario.ts';

const keeping = async (world: World, fields: Record<string, unknown>) => {
  await world.start();
  await world.ok('session.create', { name: 's', snapshot: true, ...fields });
  await world.ok('event.enable', { session: 's', pattern: 'weft_test:*' });
  await world.ok('session.start', { session: 's' });
  const relay = new FakeRelay();
  await relay.start(world.connectBus());
  const program = await world.program();
  return { relay, program };
};

const RELAY = { destination: { kind: 'relay', url: 'relay:' } } as const;

const numbersAt = (relay: FakeRelay): number[] => [...relay.streams.values()].flat().map(({ number }) => number);

const spools = (world: World): string[] => [...world.files.streams.keys()].filter((path) => path.includes('/spool/'));

/** A snapshot of two events that its relay does not take yet. */
const waiting = async (world: World) => {
  const { relay, program } = await keeping(world, RELAY);
  relay.refusing = true;
  const numbers = world.record(program, 2);
  const time = await took(world, async () => {
    const { delivered, path } = await world.ok('snapshot.record', { session: 's' });
    assert.equal(delivered, false);
    assert.match(String(path), /^relay:\/\/\/snapshot-1-/);
  });
  assert.ok(time >= 8_000 && time < 9_000, `${time} ms`);
  assert.equal(world.parcels.size, 1);
  return { relay, numbers };
};

const arrives = async (world: World, relay: FakeRelay, numbers: readonly number[]): Promise<void> => {
  await world.until('it is at the relay', () => world.parcels.size === 0, 200_000);
  assert.deepEqual(numbersAt(relay), numbers);
  assert.equal(relay.operations.at(-1)?.op, 'close');
  assert.deepEqual([relay.complaints, spools(world)], [[], []]);
  assert.deepEqual(Object.keys(world.daemon!.root.getSnapshot().context.parcels), [], 'nobody looks after it any more');
};

const SNAPSHOTS_THERE: readonly Scenario[] = [
  scenario('a snapshot goes to a relay: the answer comes when it is there, and nothing of it stays here', async (world) => {
    const { relay, program } = await keeping(world, RELAY);
    const first = world.record(program, 3);
    const taken = await world.ok('snapshot.record', { session: 's' });
    assert.deepEqual([taken.delivered, taken.path, taken.number], [true, '/relay', 0]);
    assert.deepEqual(numbersAt(relay), first);
    assert.match(String(relay.opens.at(-1)?.subdir), /^snapshot-1-\d{8}-\d{6}-0$/);
    const both = [...first, ...world.record(program, 1)];
    await world.ok('snapshot.record', { session: 's', path: 'relay:///below', name: 'crash' });
    assert.deepEqual(numbersAt(relay), both);
    assert.match(String(relay.opens.at(-1)?.subdir), /^below\/crash-\d{8}-\d{6}-1$/);
    await world.ok('snapshot.record', { session: 's', path: '/here' });
    assert.deepEqual([spools(world), world.parcels.size, relay.complaints], [[], 0, []]);
  }),

  scenario('where snapshots go is a directory or a relay, and is said again', async (world) => {
    await keeping(world, { noOutput: true });
    const wrong = { session: 's', path: 'nats://h:0' };
    assert.equal(await world.refused('snapshot.add-output', wrong), 'destination-wrong');
    assert.equal(await world.refused('snapshot.record', wrong), 'destination-wrong');
    await world.ok('snapshot.add-output', { session: 's', path: 'nats://h/d' });
    const { outputs } = (await world.ok('snapshot.list-output', { session: 's' })) as { outputs: { path: string }[] };
    assert.deepEqual(
      outputs.map(({ path }) => path),
      ['nats://h/d'],
    );
    const compressed = { name: 't', snapshot: true, ...RELAY, compress: true };
    assert.equal(await world.refused('session.create', compressed), 'bad-message');
  }),

  scenario('a relay that is away gets the snapshot when it is back', async (world) => {
    const { relay, numbers } = await waiting(world);
    await world.advance(120_000);
    assert.ok(world.logged('a parcel waits'));
    relay.refusing = false;
    await arrives(world, relay, numbers);
  }),

  scenario(
    'the session goes, and its daemon dies: the snapshot arrives all the same, and then the consumer may go',
    async (world) => {
      const { relay, numbers } = await waiting(world);
      await world.ok('session.destroy', { session: 's' });
      await world.advance(20_000);
      assert.equal(world.consumers.length, 1, 'it has something to send');
      await world.restart();
      relay.refusing = false;
      await arrives(world, relay, numbers);
      await world.until('the consumer ended', () => world.consumers.length === 0, 20_000);
    },
  ),

  scenario('a consumer that dies, or does not come up, delays it', async (world) => {
    const { relay, numbers } = await waiting(world);
    world.faults.plan('consumer-ports.connect', 'hang', { times: 3 });
    world.killConsumer();
    relay.refusing = false;
    await world.advance(70_000);
    world.faults.clear();
    await arrives(world, relay, numbers);
  }),

  scenario('however long the consumer does not come up, it is then asked once', async (world) => {
    const { relay, numbers } = await waiting(world);
    world.killDaemon();
    world.faults.plan('consumer-ports.connect', 'hang', { times: 1_000 });
    world.killConsumer();
    await world.restart();
    await world.advance(300_000);
    assert.deepEqual(
      world.consumers.filter(({ state }) => state.includes('serving')),
      [],
    );
    world.faults.clear();
    const asked = () => world.faults.seen.get('bus.request') ?? 0;
    await world.until('another one comes up', () => world.consumers[0]?.state.includes('serving') === true, 100_000);
    const before = asked();
    await world.advance(20_000);
    // Its hello, the rings of the session, one link: those that were given up meanwhile ask for nothing.
    assert.ok(asked() - before <= 6, `${asked() - before} requests`);
    relay.refusing = false;
    await arrives(world, relay, numbers);
  }),

  scenario('a note that cannot be taken away is of something that is there already', async (world) => {
    const { relay, program } = await keeping(world, RELAY);
    world.faults.plan('disk.removeParcel', 'fail');
    const numbers = world.record(program, 2);
    await world.ok('snapshot.record', { session: 's' });
    await world.rest();
    assert.ok(world.logged('the note of a parcel stays'));
    assert.deepEqual(numbersAt(relay), numbers);
    assert.equal(world.parcels.size, 1);
    await world.restart();
    await world.until('the note is gone', () => world.parcels.size === 0, 60_000);
  }),
];

/** The note of the one parcel there is. */
const note = (world: World): ParcelDocument => JSON.parse([...world.parcels.values()][0]!) as ParcelDocument;

const nothingIsLeft = async (world: World): Promise<void> => {
  await world.until('nothing is left', () => world.parcels.size === 0, 5_000);
  assert.deepEqual([spools(world), [...world.files.spools.keys()]], [[], []]);
};

const CUT_SHORT: readonly Scenario[] = [
  scenario('the daemon dies while a snapshot for a relay is being written: what there is of it arrives', async (world) => {
    const { relay, program } = await keeping(world, RELAY);
    const numbers = world.record(program, 2);
    world.faults.plan('reader.snapshot', 8_000);
    void world.ask('snapshot.record', { session: 's' });
    await world.until('the reader writes', () => world.faults.seen.get('reader.snapshot') === 1, 1_000);
    assert.equal(note(world).complete, false);
    await world.restart();
    assert.ok(world.logged('a snapshot was cut short by the end of its daemon, and is sent'));
    await arrives(world, relay, numbers);
  }),

  scenario('a snapshot for a relay that fails leaves nothing', async (world) => {
    const { relay, program } = await keeping(world, RELAY);
    const numbers = world.record(program, 2);
    const record = { session: 's' };
    for (const [port, code] of [
      ['reader.snapshot', 'snapshot-failed'],
      ['disk.writeParcel', 'internal'],
      ['consumer-ports.writeMetadata', 'internal'],
    ] as const) {
      world.faults.plan(port, 'fail');
      assert.equal(await world.refused('snapshot.record', record), code, port);
      await nothingIsLeft(world);
    }
    assert.deepEqual(relay.opens, []);
    await world.ok('snapshot.record', record);
    assert.deepEqual(numbersAt(relay), numbers);
  }),

  scenario('a snapshot for a relay that comes too late leaves nothing', async (world) => {
    const { relay, program } = await keeping(world, RELAY);
    world.record(program, 2);
    world.faults.plan('reader.snapshot', 70_000);
    assert.equal(await world.refused('snapshot.record', { session: 's' }), 'timeout');
    assert.equal(world.parcels.size, 1);
    await world.advance(11_000);
    await nothingIsLeft(world);
    assert.deepEqual(relay.opens, []);
  }),

  scenario('what is left of a failed snapshot and cannot be removed is sent', async (world) => {
    const { relay, program } = await keeping(world, RELAY);
    world.record(program, 2);
    world.faults.plan('reader.snapshot', 'fail');
    world.faults.plan('consumer-ports.openSpool', 'fail');
    assert.equal(await world.refused('snapshot.record', { session: 's' }), 'snapshot-failed');
    await world.until('it is sent', () => relay.opens.length === 1, 5_000);
    assert.ok(world.logged('a parcel cannot be removed, and is sent'));
    await nothingIsLeft(world);
  }),

  scenario('so much may wait for relays: more snapshots are refused, and the status says for what', async (world) => {
    const { relay, numbers } = await waiting(world);
    const full = { ...note(world), bytes: 4 * 2 ** 30 };
    world.killDaemon();
    world.parcels.set(full.id, JSON.stringify(full));
    await world.restart();
    await world.until('the session is back', () => life(world) === 'active', 30_000);
    assert.equal(await world.refused('snapshot.record', { session: 's' }), 'parcels-full');
    assert.deepEqual(spools(world).length, 1);
    const waits = { id: full.id, what: 'snapshot 0 of session s', uid: 1000 };
    assert.deepEqual((await world.ok('daemon.status')).parcels, [{ ...waits, bytes: full.bytes, cause: null }]);
    await world.advance(50_000);
    const [{ cause, bytes }] = (await world.ok('daemon.status')).parcels as [{ cause: string; bytes: number }];
    assert.deepEqual([typeof cause, bytes < 1_000], ['string', true], 'as the consumer says');
    relay.refusing = false;
    await arrives(world, relay, numbers);
    assert.deepEqual((await world.ok('daemon.status')).parcels, []);
  }),
];

const DROPPED: readonly Scenario[] = [
  scenario('what is not wanted any more is thrown away, and says how much that was', async (world) => {
    const { relay } = await waiting(world);
    const { parcels } = (await world.ok('parcel.list')) as { parcels: { id: string; bytes: number }[] };
    const { id } = parcels[0]!;
    assert.equal(await world.refused('parcel.drop', {}), 'bad-message');
    assert.equal(await world.refused('parcel.drop', { parcel: 'f'.repeat(32) }), 'parcel-not-found');
    const { dropped, bytes } = (await world.ok('parcel.drop', { parcel: id })) as { dropped: object[]; bytes: number };
    assert.deepEqual(dropped, [{ id, what: 'snapshot 0 of session s', bytes }]);
    assert.ok(bytes > 0);
    await nothingIsLeft(world);
    assert.deepEqual(Object.keys(world.daemon!.root.getSnapshot().context.parcels), []);
    relay.refusing = false;
    await world.advance(100_000);
    assert.deepEqual(numbersAt(relay), []);
    assert.deepEqual(await world.ok('parcel.drop', { all: true }), { dropped: [], bytes: 0 });
    await world.ok('session.destroy', { session: 's' });
    await world.until('the consumer ended', () => world.consumers.length === 0, 20_000);
  }),

  scenario('while it rests between two attempts it is thrown away too, after another daemon', async (world) => {
    await waiting(world);
    await world.advance(47_000);
    assert.ok(world.logged('a parcel waits'));
    await world.restart();
    await world.until('it is seen', () => Object.keys(world.daemon!.root.getSnapshot().context.parcels).length === 1, 30_000);
    const { bytes } = (await world.ok('parcel.drop', { all: true })) as { bytes: number };
    assert.ok(bytes > 0);
    await nothingIsLeft(world);
  }),

  scenario('what is still being written is not thrown away; what cannot be removed is sent', async (world) => {
    const { relay, program } = await keeping(world, RELAY);
    const numbers = world.record(program, 2);
    relay.refusing = true;
    world.faults.plan('reader.snapshot', 5_000);
    void world.ask('snapshot.record', { session: 's' });
    await world.until('the reader writes', () => world.faults.seen.get('reader.snapshot') === 1, 1_000);
    const { id } = note(world);
    assert.equal(await world.refused('parcel.drop', { parcel: id }), 'parcel-unfinished');
    assert.deepEqual(await world.ok('parcel.drop', { all: true }), { dropped: [], bytes: 0 });
    await world.advance(6_000);
    world.faults.plan('consumer-ports.openSpool', 'fail');
    assert.equal(await world.refused('parcel.drop', { parcel: id }), 'internal');
    relay.refusing = false;
    await arrives(world, relay, numbers);
  }),
];

const LEFT: readonly Scenario[] = [
  scenario('the relay goes away when it has all packets: the archive and the end of the session follow', async (world) => {
    await world.start();
    await world.ok('session.create', { name: 's', ...RELAY });
    await world.ok('event.enable', { session: 's', pattern: 'weft_test:*' });
    await world.ok('session.start', { session: 's' });
    const relay = new FakeRelay();
    await relay.start(world.connectBus());
    const program = await world.program();
    world.record(program, 2);
    await world.ok('session.rotate', { session: 's' });
    await world.until('the first is archived', () => relay.operations.length === 1, 20_000);
    const numbers = world.record(program, 2);
    await world.ok('session.stop', { session: 's' });
    await world.until('all is there', () => numbersAt(relay).includes(numbers.at(-1)!), 20_000);
    [relay.silent, relay.refusing] = [true, true];
    const destroyed = (await world.ok('session.destroy', { session: 's' })) as { link: Record<string, number> };
    assert.deepEqual([destroyed.link.spoolBytes, destroyed.link.operations], [0, 2]);
    assert.equal(world.parcels.size, 1);
    [relay.silent, relay.refusing] = [false, false];
    await world.until('it is told', () => world.parcels.size === 0, 200_000);
    assert.deepEqual(
      relay.operations.map(({ op }) => op),
      ['archive', 'archive', 'close'],
    );
    assert.deepEqual([relay.complaints, spools(world)], [[], []]);
  }),

  scenario('what a session leaves whose relay is away goes there later', async (world) => {
    await world.start();
    await world.ok('session.create', { name: 's', ...RELAY });
    await world.ok('event.enable', { session: 's', pattern: 'weft_test:*' });
    await world.ok('session.start', { session: 's' });
    const relay = new FakeRelay();
    relay.refusing = true;
    await relay.start(world.connectBus());
    const program = await world.program();
    const numbers = world.record(program, 2);
    const destroyed = (await world.ok('session.destroy', { session: 's' })) as { link: { spoolBytes: number } };
    assert.ok(destroyed.link.spoolBytes > 0);
    assert.equal(world.parcels.size, 1);
    await world.restart();
    relay.refusing = false;
    await arrives(world, relay, numbers);
  }),
];

export const PARCELS: readonly Scenario[] = [...SNAPSHOTS_THERE, ...CUT_SHORT, ...DROPPED, ...LEFT];
