/** Sessions whose traces go to a relay, as whoever commands them sees it. */
import assert from 'node:assert/strict';
import { FakeRelay } from '../../support/fake-relay.ts';
import type { World } from '../../support/world/world.ts';
import { type Scenario, scenario, took } from './scenario.ts';

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

export const NETWORK: readonly Scenario[] = [...ROTATING];
