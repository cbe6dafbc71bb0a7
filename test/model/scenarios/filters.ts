/** Filters of rules: which events of running programs are recorded. */
import assert from 'node:assert/strict';
import { POINT, type WorldApplication } from '../../support/world/application.ts';
import type { World } from '../../support/world/world.ts';
import { holds, OUT, type Scenario, scenario } from './scenario.ts';

const enable = (world: World, filter?: string, pattern = 'weft_test:*') =>
  world.ok('event.enable', { session: 's', pattern, ...(filter === undefined ? {} : { filter }) });

const filtered = async (world: World, ...filters: string[]) => {
  await world.start();
  await world.ok('session.create', { name: 's', output: OUT });
  for (const filter of filters) await enable(world, filter);
  await world.ok('session.start', { session: 's' });
  return world.program();
};

/** Which of these numbers are recorded. */
const kept = (program: WorldApplication, numbers: readonly number[]): number[] =>
  numbers.filter((number) => program.record(number) > 0);

const told = (program: WorldApplication, kind: string): number =>
  program.heard.filter((message) => message.kind === kind).length;

export const FILTERS: readonly Scenario[] = [
  scenario('a filter lets through what it is true for; two of them what either is true for, once', async (world) => {
    const program = await filtered(world, 'number < 3');
    assert.deepEqual(kept(program, [1, 2, 3, 4]), [1, 2]);
    await enable(world, 'number == 5 || number == 1');
    assert.deepEqual(kept(program, [1, 5, 6]), [1, 5]);
    await world.ok('session.stop', { session: 's' });
    holds(world, [1, 2, 1, 5]);
  }),

  scenario(
    'a rule without filter beside one with a filter records everything; disabled, it leaves the filter',
    async (world) => {
      const program = await filtered(world, 'number < 3');
      await enable(world, undefined, '*');
      assert.deepEqual(kept(program, [2, 3]), [2, 3]);
      await world.ok('event.disable', { session: 's', pattern: '*' });
      assert.deepEqual(kept(program, [2, 3]), [2]);
      await world.ok('event.disable', { session: 's', pattern: 'weft_test:*' });
      assert.deepEqual(kept(program, [2, 3]), []);
      await enable(world, 'number < 3');
      assert.deepEqual(kept(program, [2, 3]), [2]);
    },
  ),

  scenario('a point whose filters can never be true is not enabled at all', async (world) => {
    const program = await filtered(world, 'nothing == 1', 'number == "text"');
    assert.equal(told(program, 'enable'), 0);
    assert.deepEqual(kept(program, [1]), []);
    await enable(world, 'number == 1');
    assert.deepEqual(kept(program, [1, 2]), [1]);
  }),

  scenario('a filter outlives the daemon', async (world) => {
    const program = await filtered(world, 'number < 3');
    await world.restart();
    assert.deepEqual(kept(program, [2, 3]), [2]);
    assert.deepEqual(kept(await world.program(), [2, 3]), [2]);
  }),

  scenario('a point is told again what it refused, and only then', async (world) => {
    const program = await filtered(world, 'number < 3');
    program.errors.set('enable', 95);
    await enable(world, 'number == 7');
    assert.deepEqual(kept(program, [2, 7]), [2], 'what was, stays');
    program.errors.clear();
    const before = told(program, 'enable');
    await enable(world, undefined, 'other:*');
    assert.equal(told(program, 'enable'), before + 1);
    assert.deepEqual(kept(program, [2, 7]), [2, 7]);
    await enable(world, undefined, 'yet_another:*');
    assert.equal(told(program, 'enable'), before + 1);
    await world.ok('event.disable', { session: 's', pattern: 'weft_test:*' });
    assert.deepEqual(kept(program, [2, 7]), []);
  }),

  scenario('each point has the program for its own fields', async (world) => {
    const field = POINT.fields[0]!;
    const other = { ...POINT, name: 'weft_test:other', fields: [{ ...field, name: 'size' }, field] };
    const program = await filtered(world, 'number == 1');
    const second = await world.program({ points: [other] });
    assert.deepEqual(kept(program, [1]), [1]);
    const filters = [program, second].map((one) =>
      one.heard.find((message) => message.kind === 'enable')?.filter.toString('hex'),
    );
    assert.notEqual(filters[0], filters[1]);
  }),
];
