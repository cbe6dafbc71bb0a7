/** Two hosts of a fleet, each a whole session daemon, whose clocks are apart: who the reference is, what their beats and traces say. */
import assert from 'node:assert/strict';
import type { ClockView } from '../../../machines/clock-offset.ts';
import { World } from '../../support/world/world.ts';
import { type Scenario, scenario } from './scenario.ts';

const SECOND_NS = 1_000_000_000n;
const CHOSEN_MS = 30_000;
const ARRIVED_MS = 2_500;
/** Of arrival, and three beats. */
const LISTENED_MS = 17_500;

/** `tell` gets the daemon of `host`, whose clock is 3 s behind that of `a-host`. */
const apart = (name: string, tell: (world: World, other: World) => Promise<void>): Scenario =>
  scenario(name, async (world) => {
    const other = new World((event) => world.inspect(event), queueMicrotask, { world, hostname: 'a-host' });
    try {
      world.fleet = 'fleet';
      other.fleet = 'fleet';
      other.clockOffsetNs = 100n * SECOND_NS;
      world.clockOffsetNs = 97n * SECOND_NS;
      await other.start();
      await world.start();
      await tell(world, other);
      assert.deepEqual(other.crashes, []);
    } finally {
      other.end();
    }
  });

const clocks = async (world: World): Promise<Record<string, ClockView>> => {
  const { hosts } = (await world.ok('hosts.list')) as { hosts: { host: string; clock: ClockView }[] };
  return Object.fromEntries(hosts.map(({ host, clock }) => [host, clock]));
};

export const FLEET_CLOCKS: readonly Scenario[] = [
  apart('who comes to a fleet that has a reference takes it as soon as those that are there have answered', async (world) => {
    await world.advance(CHOSEN_MS);
    const late = new World((event) => world.inspect(event), queueMicrotask, { world, hostname: 'Z-host' });
    try {
      late.fleet = 'fleet';
      late.clockOffsetNs = 42n * SECOND_NS;
      await late.start();
      await world.advance(ARRIVED_MS);
      const { reference, offsetNs, uncertaintyNs } = late.daemon!.parts.fleetClock();
      assert.deepEqual([reference, offsetNs], ['a-host', Number(58n * SECOND_NS)], 'not the first by name, which it is itself');
      assert.ok(uncertaintyNs !== null);
      await world.advance(CHOSEN_MS);
      assert.equal(late.published('clock', 'reference-changed').length, 1, 'what it then hears changes nothing');
      assert.deepEqual(late.crashes, []);
    } finally {
      late.end();
    }
  }),

  apart('all agree on the reference, and hosts.list says how far the clocks are from it', async (world, other) => {
    assert.equal((await clocks(world)).host?.reference, null, 'whoever just came does not know who is there');
    await world.advance(LISTENED_MS);
    assert.equal(world.daemon!.parts.fleetClock().reference, 'a-host', 'three beats are enough');
    await world.advance(CHOSEN_MS - LISTENED_MS);
    for (const asked of [world, other]) {
      const { host, 'a-host': reference } = await clocks(asked);
      assert.deepEqual(reference, { reference: 'a-host', offsetNs: 0, uncertaintyNs: 0 });
      assert.equal(host?.reference, 'a-host');
      assert.equal(host.offsetNs, Number(3n * SECOND_NS));
      assert.ok(host.uncertaintyNs !== null && host.uncertaintyNs < 5_000_000);
    }
  }),

  apart('a session that is created says in its trace whose clock its own was held against', async (world) => {
    await world.ok('session.create', { name: 'early', output: '/out/early' });
    assert.equal(world.document('early')?.clock.fleet, undefined);
    await world.advance(CHOSEN_MS);
    await world.ok('session.create', { name: 'late', output: '/out/late' });
    const { fleet } = world.document('late')!.clock;
    assert.equal(fleet?.reference, 'a-host');
    assert.equal(String(fleet?.offsetNs), String(3n * SECOND_NS));
  }),

  apart(
    'a session from before anything was measured has the fleet’s clock from its first start, its next chunk, or by itself',
    async (world) => {
      for (const name of ['waits', 'runs', 'turns']) {
        await world.ok('session.create', { name, output: `/out/${name}` });
        const ownership = name === 'turns' ? 'process' : 'user';
        await world.ok('channel.enable', { session: name, name: 'channel0', attributes: { ownership } });
        await world.ok('event.enable', { session: name, pattern: 'weft_test:*' });
      }
      for (const name of ['runs', 'turns']) await world.ok('session.start', { session: name });
      await world.program();
      const reference = (name: string) => world.document(name)?.clock.fleet?.reference;
      await world.advance(CHOSEN_MS);
      assert.equal(reference('waits'), undefined);
      await world.ok('session.start', { session: 'waits' });
      assert.equal(reference('waits'), 'a-host');
      assert.equal(reference('runs'), 'a-host');
      assert.equal(reference('turns'), undefined, 'metadata of processes that ended cannot be written anew');
      await world.ok('session.rotate', { session: 'turns' });
      await world.advance(1_000);
      const { clock, chunk, lastArchive } = world.document('turns')!;
      assert.equal(clock.fleet?.offsetNs, String(3n * SECOND_NS));
      const stated = (below: string) =>
        [...world.files.metadata]
          .filter(([path]) => path.startsWith(`/out/${below}/`))
          .map(([, text]) => text.includes('weft_clock_reference = "a-host"'));
      assert.deepEqual(stated(`turns/${lastArchive}`), [false]);
      assert.deepEqual(stated(`turns/${chunk!.directory}`), [true]);
      for (const name of ['waits', 'runs']) assert.deepEqual(stated(name), [true]);
    },
  ),

  apart('each snapshot states the clock of when it was taken', async (world) => {
    await world.ok('session.create', { name: 'flight', snapshot: true, output: '/out/flight' });
    await world.ok('event.enable', { session: 'flight', pattern: 'weft_test:*' });
    await world.ok('session.start', { session: 'flight' });
    await world.ok('snapshot.record', { session: 'flight' });
    assert.equal(world.document('flight')?.clock.fleet, undefined);
    await world.advance(CHOSEN_MS);
    await world.ok('snapshot.record', { session: 'flight' });
    assert.equal(world.document('flight')?.clock.fleet?.offsetNs, String(3n * SECOND_NS));
  }),

  apart('the reference dies: the next one is chosen, and its event is heard', async (world, other) => {
    await world.advance(CHOSEN_MS);
    other.killDaemon();
    await world.advance(CHOSEN_MS);
    assert.deepEqual(world.daemon!.parts.fleetClock(), { reference: 'host', offsetNs: 0, uncertaintyNs: 0 });
    assert.equal(world.published('clock', 'reference-changed').length, 2);
    await other.start();
    await world.advance(CHOSEN_MS);
    const { host, 'a-host': returned } = await clocks(world);
    assert.equal(host?.reference, 'host', 'who is the reference stays it');
    assert.equal(returned?.offsetNs, -Number(3n * SECOND_NS));
  }),
];
