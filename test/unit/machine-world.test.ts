import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from '../support/world/world.ts';

test('a program that registers with a started session is recorded and readable', async () => {
  const world = new World();
  await world.start();
  await world.ok('session.create', { name: 's', output: '/out' });
  await world.ok('event.enable', { session: 's', pattern: 'weft_test:*' });
  await world.ok('session.start', { session: 's' });
  const program = await world.program();
  const numbers = world.record(program, 5);
  await world.ok('session.stop', { session: 's' });
  assert.deepEqual(world.files.numbers('/out'), numbers);
  assert.equal(numbers.length, 5);
  await world.ok('session.destroy', { session: 's' });
  await world.advance(10_000);
  assert.deepEqual(world.consumers, []);
  assert.deepEqual(world.crashes, []);
  console.log(world.logs, world.kernel.openFds);
});
