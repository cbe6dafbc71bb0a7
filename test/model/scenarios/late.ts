/** Programs that are attached late, and processes whose connection says nothing of them: what they record is in the trace all the same. */
import assert from 'node:assert/strict';
import { POINT } from '../../support/world/application.ts';
import type { World } from '../../support/world/world.ts';
import { holds, recording, type Scenario, scenario, session } from './scenario.ts';

/** The next daemon is there, and its passes take `ms`: its consumer answers so late. */
const slowRestart = async (world: World, ms: number) => {
  const program = await recording(world);
  const first = world.record(program, 2);
  world.killDaemon();
  world.faults.plan('bus.request', ms, { times: 100 });
  await world.start();
  await world.until('the program goes on', () => program.synced === 1, 20_000);
  return { program, first };
};

/** A session that records, and a program that no pass attaches before `ms`. */
const slowProgram = async (world: World, ms: number) => {
  await session(world);
  await world.ok('session.start', { session: 's' });
  world.faults.plan('disk.write', ms);
  const program = world.run({ points: [POINT, { ...POINT, name: 'weft_test:other' }] });
  program.connect();
  program.hello();
  program.describe([POINT], 0);
  program.ready(1);
  await world.until('it goes on', () => program.synced === 1, 10_000);
  assert.equal(program.complete, false);
  return program;
};

const LATE: readonly Scenario[] = [
  scenario('a program that the next daemon attaches late keeps its rings meanwhile: nothing is lost', async (world) => {
    const { program, first } = await slowRestart(world, 5_000);
    assert.equal(program.complete, false);
    const late = world.record(program, 3);
    assert.equal(late.length, 3, 'it records on');
    world.faults.clear();
    await world.until('it is attached', () => program.complete, 60_000);
    const last = world.record(program, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, [...first, ...late, ...last]);
  }),

  scenario('a program that loads a provider while it is attached late is attached with it', async (world) => {
    const program = await slowProgram(world, 6_000);
    program.describe(program.points.slice(1), 1);
    program.ready(2);
    await world.until('it goes on with that', () => program.synced === 2, 10_000);
    await world.until('it is attached', () => program.complete, 60_000);
    assert.deepEqual([program.record(1, 0), program.record(2, 1)], [1, 1]);
  }),

  scenario('and so is one that loads it later still', async (world) => {
    const program = await slowProgram(world, 30_000);
    await world.advance(3_000);
    program.describe(program.points.slice(1), 1);
    program.ready(2);
    world.faults.clear();
    await world.until('it is attached with all of it', () => program.complete && program.synced === 2, 60_000);
    assert.deepEqual([program.record(1, 0), program.record(2, 1)], [1, 1]);
  }),

  scenario('a program is asked for again and again until all sessions have attached it', async (world) => {
    const program = await slowProgram(world, 60_000);
    await world.advance(12_500);
    assert.equal(program.heard.filter(({ kind }) => kind === 'synced').length, 2, 'who does not get on in time begins anew');
    await world.advance(20_000);
    assert.equal(program.complete, false);
    world.faults.clear();
    await world.until('it is attached', () => program.complete, 60_000);
    assert.equal(world.record(program, 1).length, 1);
  }),

  scenario('a change that the rings of a session cannot follow is made good by time alone', async (world) => {
    await session(world);
    await world.ok('session.start', { session: 's' });
    const program = world.run({ points: [POINT, { ...POINT, name: 'other:tick' }] });
    program.register();
    await world.until('it is attached', () => program.complete, 10_000);
    world.faults.plan('consumer-ports.writeMetadata', 'fail');
    await world.ok('event.enable', { session: 's', pattern: 'other:tick' });
    assert.equal(program.record(1, 1), 0);
    await world.advance(10_500);
    assert.equal(program.record(2, 1), 1);
  }),
];

const GONE: readonly Scenario[] = [
  scenario(
    'per-process buffers: a process whose connection breaks records on, and comes back to what it has',
    async (world) => {
      const program = await recording(world, { ownership: 'process' });
      const first = world.record(program, 2);
      program.send(Buffer.from('nonsense'));
      await world.until('it is let go', () => program.closed, 1_000);
      await world.advance(15_000);
      const alone = world.record(program, 2);
      program.register();
      await world.until('it is attached', () => program.complete, 10_000);
      const last = world.record(program, 1);
      await world.ok('session.stop', { session: 's' });
      holds(world, [...first, ...alone, ...last]);
      assert.equal([...world.files.streams.keys()].length, 1);
    },
  ),

  scenario('per-process buffers: a process that ends unseen is drained within seconds', async (world) => {
    const program = await recording(world, { ownership: 'process' });
    const first = world.record(program, 2);
    program.send(Buffer.from('nonsense'));
    await world.until('it is let go', () => program.closed, 1_000);
    const alone = world.record(program, 2);
    program.exit();
    await world.until('its rings are given back', () => world.keeper.deposits.size === 1, 15_000);
    holds(world, [...first, ...alone]);
  }),

  scenario('per-process buffers: exec() is the end of what the process was before', async (world) => {
    const program = await recording(world, { ownership: 'process' });
    const first = world.record(program, 2);
    program.exec('another');
    await world.until('it is attached again', () => program.complete, 10_000);
    const second = world.record(program, 1);
    await world.until('the rings of before are given back', () => world.keeper.deposits.size === 2, 30_000);
    await world.ok('session.stop', { session: 's' });
    holds(world, [...first, ...second]);
  }),
];

export const LATE_AND_GONE: readonly Scenario[] = [...LATE, ...GONE];
