/** Links and several relays: who is asked first, and what is told of the others. */
import assert from 'node:assert/strict';
import { FakeRelay } from '../../support/fake-relay.ts';
import type { World } from '../../support/world/world.ts';
import { done, flush, idOf, linked, openLink, sent } from './link-world.ts';
import { type Scenario, scenario } from './scenario.ts';

/** The consumer is killed, and the daemon opens the link in the next one. */
const nextConsumer = async (world: World): Promise<void> => {
  world.killConsumer();
  await world.until('another one runs', () => world.consumers[0]?.readers.length === 1, 30_000);
  await openLink(world);
};

export const LINK_PLACES: readonly Scenario[] = [
  scenario(
    'a link stays with the relay that has it; when another one takes over, what lies at the first is told',
    async (world) => {
      const { program, relay } = await linked(world);
      const before = world.record(program, 2);
      await flush(world);
      await sent(world, relay, before);
      const other = new FakeRelay('relay2');
      await other.start(world.connectBus());
      // Now the other one would be asked first.
      await relay.kill();
      await relay.start(world.connectBus());
      relay.forget();
      const after = world.record(program, 2);
      await flush(world);
      await sent(world, relay, [...before, ...after]);
      assert.deepEqual(world.published('link', 'moved'), []);
      await relay.kill();
      const later = world.record(program, 2);
      await flush(world);
      await sent(world, other, later);
      const moved = world.published('link', 'moved');
      assert.equal(moved.length, 1);
      const elsewhere = [{ relay: 'relay1', directory: '/relay' }];
      const status = await done(world, 'link-status', { session: idOf(world) });
      assert.deepEqual([status.relay, status.elsewhere], ['relay2', elsewhere]);
    },
  ),

  scenario('the next consumer goes on with the relay that has the link, and tells what lies at another one', async (world) => {
    const { program, relay } = await linked(world);
    const before = world.record(program, 2);
    await flush(world);
    await sent(world, relay, before);
    const other = new FakeRelay('relay2');
    await other.start(world.connectBus());
    // Now the other one would be asked first.
    await relay.kill();
    await relay.start(world.connectBus());
    relay.forget();
    await nextConsumer(world);
    const after = world.record(program, 2);
    await flush(world);
    await sent(world, relay, [...before, ...after]);
    assert.deepEqual(other.opens, []);
    assert.ok((relay.opens[1]!.epoch as number) > (relay.opens[0]!.epoch as number));
    await relay.kill();
    await nextConsumer(world);
    const later = world.record(program, 2);
    await flush(world);
    await sent(world, other, later);
    const status = await done(world, 'link-status', { session: idOf(world) });
    assert.deepEqual([status.relay, status.elsewhere], ['relay2', [{ relay: 'relay1', directory: '/relay' }]]);
    assert.equal(world.published('link', 'moved').length, 1);
  }),
];
