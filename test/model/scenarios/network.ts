/** Sessions whose traces go to a relay, as whoever commands them sees it. */
import assert from 'node:assert/strict';
import { FakeRelay } from '../../support/fake-relay.ts';
import type { World } from '../../support/world/world.ts';
import { life, OUT, recording, type Scenario, scenario, session, took } from './scenario.ts';

/** A session `s` that records, and a relay that has its link. */
const streaming = async (world: World) => {
  await world.start();
  await world.ok('session.create', { name: 's', destination: { kind: 'relay', url: 'relay:' } });
  await world.ok('event.enable', { session: 's', pattern: 'weft_test:*' });
  await world.ok('session.start', { session: 's' });
  const relay = new FakeRelay();
  await relay.start(world.connectBus());
  const program = await world.program();
  return { relay, program };
};

const rotation = async (world: World, wait = true) => {
  const { state, location, relay = null } = await world.ok('session.rotate', { session: 's', wait });
  return { state, location, relay };
};

const ARCHIVE = /^\/relay\/archives\/\d{8}T\d{6}\+\d{4}-\d{8}T\d{6}\+\d{4}-\d+$/;
const AT_RELAY = { name: 'relay1', host: 'relay1', controlPort: 0, dataPort: 0 };

const ROTATING: readonly Scenario[] = [
  scenario('rotate is answered when the relay has the chunk, and says where', async (world) => {
    const { relay, program } = await streaming(world);
    const numbers = world.record(program, 3);
    const { state, location, relay: place } = await rotation(world);
    assert.equal(state, 'completed');
    assert.match(String(location), ARCHIVE);
    assert.deepEqual(place, AT_RELAY);
    assert.deepEqual(
      relay.operations.map(({ op }) => op),
      ['archive'],
    );
    assert.equal([...relay.streams.values()].flat().length, numbers.length);
    const { session } = (await world.ok('session.show', { session: 's' })) as {
      session: { rotation: Record<string, unknown> };
    };
    assert.equal(session.rotation.lastArchive, location);
    world.record(program, 1);
    const destroyed = await world.ok('session.destroy', { session: 's' });
    assert.match(String(destroyed.archive), ARCHIVE);
    assert.deepEqual(destroyed.relay, AT_RELAY);
    assert.deepEqual(relay.complaints, []);
  }),

  scenario('a relay that is silent holds nobody up for long: rotate says that it goes on, stop what is left', async (world) => {
    const { relay, program } = await streaming(world);
    world.record(program, 1);
    await rotation(world);
    relay.silent = relay.refusing = true;
    world.record(program, 2);
    const time = await took(world, async () => {
      assert.deepEqual(await rotation(world), { state: 'ongoing', location: null, relay: null });
    });
    assert.ok(time >= 8_000 && time < 10_000, `${time} ms`);
    assert.equal((await rotation(world, false)).state, 'ongoing');
    const { link } = (await world.ok('session.stop', { session: 's' })) as { link: { spoolBytes: number } };
    assert.ok(link.spoolBytes > 0);
    relay.silent = relay.refusing = false;
    await world.until('all is there', () => relay.operations.length === 3, 60_000);
    const shown = (await world.ok('session.show', { session: 's' })) as { session: { link: { spoolBytes: number } } };
    assert.equal(shown.session.link.spoolBytes, 0);
  }),

  scenario('a chunk is at the relay, and that cannot be kept: it is told all the same', async (world) => {
    const { program } = await streaming(world);
    for (const trouble of ['fail', 'hang'] as const) {
      world.record(program, 1);
      world.faults.plan('disk.write', trouble, { after: 3 });
      assert.equal((await rotation(world)).state, 'completed', trouble);
      world.faults.clear();
    }
    assert.equal(world.published('session', 'rotated').length, 2);
  }),
];

const RELAY = { destination: { kind: 'relay', url: 'relay:' } } as const;

const redirected = async (world: World, fields: Record<string, unknown> = {}) => {
  const { session } = (await world.ok('session.redirect', { session: 's', ...fields })) as { session: Record<string, unknown> };
  return session;
};

const REDIRECTING: readonly Scenario[] = [
  scenario('a stopped session goes from this host to a relay and back, each time with a trace of its own', async (world) => {
    const program = await recording(world);
    const relay = new FakeRelay();
    await relay.start(world.connectBus());
    const local = world.record(program, 2);
    assert.equal(await world.refused('session.redirect', { session: 's', ...RELAY }), 'session-active');
    await world.ok('session.stop', { session: 's' });
    assert.equal(await world.refused('session.redirect', { session: 's', output: OUT }), 'output-same');
    assert.equal(await world.refused('session.redirect', { session: 's', output: 'x' }), 'output-not-writable');
    assert.equal(await world.refused('session.redirect', { session: 'nobody' }), 'session-not-found');
    const there = await redirected(world, RELAY);
    assert.deepEqual([there.destination, there.output], ['relay:', '']);
    assert.equal(await world.refused('session.rotate', { session: 's' }), 'rotation-after-clear');
    await world.ok('session.start', { session: 's' });
    const remote = world.record(program, 3);
    await world.ok('session.stop', { session: 's' });
    assert.deepEqual(
      [...relay.streams.values()].flat().map(({ number }) => number),
      remote,
    );
    assert.notEqual(relay.opens[0]?.link, world.document('s')?.id);
    const back = await redirected(world);
    assert.deepEqual([back.destination, back.output], [null, '/home/1000/weft-traces/s']);
    assert.equal(relay.operations.at(-1)?.op, 'close');
    await world.ok('session.start', { session: 's' });
    const last = world.record(program, 1);
    assert.equal((await rotation(world)).state, 'completed');
    await world.ok('session.destroy', { session: 's' });
    assert.deepEqual(world.files.numbers(OUT), local);
    assert.deepEqual(world.files.numbers('/home/1000/weft-traces/s'), last);
    assert.deepEqual(
      [...world.files.streams.keys()].filter((path) => path.includes('/spool/')),
      [],
    );
    assert.deepEqual([world.files.unreadable, relay.complaints], [[], []]);
    assert.equal(world.published('session', 'redirected').length, 2);
  }),

  scenario('what has not reached its relay is not left behind', async (world) => {
    const { relay, program } = await streaming(world);
    world.record(program, 1);
    await world.rest();
    relay.silent = relay.refusing = true;
    world.record(program, 2);
    await world.ok('session.stop', { session: 's' });
    assert.equal(await world.refused('session.redirect', { session: 's' }), 'spool-not-empty');
    relay.silent = relay.refusing = false;
    await world.advance(15_000);
    assert.equal((await redirected(world)).destination, null);
  }),

  scenario('a destination that cannot be written down changes nothing', async (world) => {
    await session(world);
    for (const trouble of ['fail', 'hang'] as const) {
      world.faults.plan('disk.write', trouble);
      const why = await world.refused('session.redirect', { session: 's', ...RELAY });
      assert.equal(why, trouble === 'fail' ? 'internal' : 'timeout');
      world.faults.clear();
      assert.equal(life(world), 'inactive');
      await world.restart();
      assert.equal(world.document('s')?.network, null);
    }
    await world.ok('session.create', { name: 'none', noOutput: true });
    assert.equal(await world.refused('session.redirect', { session: 'none' }), 'output-none');
  }),
];

export const NETWORK: readonly Scenario[] = [...ROTATING, ...REDIRECTING];
