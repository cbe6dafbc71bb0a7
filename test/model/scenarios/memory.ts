/** Memory that is given back on request: the readers of a session's channels are asked, whoever of the daemons lives. */
import assert from 'node:assert/strict';
import type { World } from '../../support/world/world.ts';
import { type Scenario, scenario } from './scenario.ts';

/** A started session `s` with the channels `a`, whose memory goes by itself, and `b`. */
const recording = async (world: World) => {
  await world.start();
  await world.ok('session.create', { name: 's', output: '/out/s' });
  const reclaim = { policy: 'older-than', ageUs: 7 };
  await world.ok('channel.enable', { session: 's', name: 'a', attributes: { reclaim } });
  await world.ok('channel.enable', { session: 's', name: 'b' });
  for (const channel of ['a', 'b']) await world.ok('event.enable', { session: 's', channel, pattern: 'weft_test:*' });
  await world.ok('session.start', { session: 's' });
  return world.program();
};

const readersOf = (world: World) => world.consumers.flatMap(({ readers }) => readers.filter(({ closed }) => !closed));
const asked = (world: World) => readersOf(world).flatMap(({ reclaims }) => reclaims);

export const MEMORY: readonly Scenario[] = [
  scenario('the readers of the named channels give memory back, and their counts are the answer', async (world) => {
    const program = await recording(world);
    assert.deepEqual(
      readersOf(world).map(({ options }) => options.reclaim),
      [
        { policy: 'older-than', ageUs: 7 },
        { policy: 'off', ageUs: 0 },
      ],
    );
    world.record(program, 3);
    const { channels } = await world.ok('channel.reclaim', { session: 's', channels: ['b'], ageUs: 5, wait: false });
    assert.deepEqual(
      (channels as { name: string }[]).map(({ name }) => name),
      ['b'],
    );
    assert.deepEqual(asked(world), [{ ageUs: 5, wait: false }]);
    await world.ok('channel.reclaim', { session: 's' });
    assert.equal(asked(world).filter(({ ageUs, wait }) => ageUs === 0 && wait).length, 2);
    assert.equal(await world.refused('channel.reclaim', { session: 's', channels: ['c'] }), 'channel-not-found');
    assert.equal(await world.refused('channel.reclaim', { session: 't' }), 'session-not-found');
    await world.ok('session.create', { name: 'empty', output: '/out/empty' });
    assert.deepEqual(await world.ok('channel.reclaim', { session: 'empty' }), { channels: [] });
  }),

  scenario('the consumer that follows a dead one is asked, and knows when memory goes by itself', async (world) => {
    await recording(world);
    world.killConsumer();
    await world.advance(1_000);
    await world.ok('channel.reclaim', { session: 's' });
    assert.equal(asked(world).length, 2);
    assert.deepEqual(readersOf(world)[0]?.options.reclaim, { policy: 'older-than', ageUs: 7 });
  }),
];
