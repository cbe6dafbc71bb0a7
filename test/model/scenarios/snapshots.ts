/** Snapshot sessions: nothing is written but what is asked for, and nothing that goes wrong with a snapshot harms the recording. */
import assert from 'node:assert/strict';
import type { World } from '../../support/world/world.ts';
import { life, type Scenario, scenario, took } from './scenario.ts';

const SNAPSHOTS_OUT = '/out/snapshots';

/** A started snapshot session `s` with a program that records. */
const keeping = async (world: World, fields: Record<string, unknown> = { output: SNAPSHOTS_OUT }) => {
  await world.start();
  await world.ok('session.create', { name: 's', snapshot: true, ...fields });
  await world.ok('event.enable', { session: 's', pattern: 'weft_test:*' });
  await world.ok('session.start', { session: 's' });
  return world.program();
};

const take = async (world: World, fields: Record<string, unknown> = {}): Promise<string> =>
  String((await world.ok('snapshot.record', { session: 's', ...fields })).path);

/** After trouble the next one has everything. */
const worksAgain = async (world: World, numbers: readonly number[]): Promise<void> => {
  world.faults.clear();
  assert.deepEqual(world.files.numbers(await take(world)), numbers);
  assert.deepEqual(world.files.unreadable, []);
  assert.equal(life(world), 'active');
};

export const SNAPSHOTS: readonly Scenario[] = [
  scenario('a snapshot holds what the buffers hold, again and again, and nothing else is written', async (world) => {
    const program = await keeping(world);
    assert.equal(world.document('s')?.channels[0]?.attributes.mode, 'overwrite');
    const first = world.record(program, 3);
    const path = await take(world);
    assert.match(path, /^\/out\/snapshots\/snapshot-1-\d{8}-\d{6}-0$/);
    assert.deepEqual(world.files.numbers(path), first);
    const both = [...first, ...world.record(program, 2)];
    const second = await take(world, { name: 'crash' });
    assert.match(second, /\/crash-\d{8}-\d{6}-1$/);
    assert.deepEqual(world.files.numbers(second), both);
    await world.ok('session.stop', { session: 's' });
    const third = await take(world, { path: '/elsewhere' });
    assert.match(third, /^\/elsewhere\/snapshot-0-\d{8}-\d{6}-2$/);
    assert.deepEqual(world.files.numbers(third), both, 'stopping writes nothing out');
    await world.ok('session.destroy', { session: 's' });
    assert.equal(world.faults.seen.get('reader.flush'), undefined, 'there is nothing to flush');
    await world.advance(5_000);
    assert.equal([...world.keeper.deposits.keys()].length, 0, 'the rings were given back');
    assert.deepEqual(world.files.numbers('/out').length, first.length + both.length);
    assert.deepEqual(world.files.unreadable, []);
    assert.deepEqual(
      world.published('session', 'snapshot').map(({ body }) => body.path),
      [path, second, third],
    );
  }),

  scenario('buffers that no trace is written from are not emptied, which is said; counters are', async (world) => {
    await world.start();
    await world.ok('session.create', { name: 'counts', noOutput: true });
    await world.ok('map.add', { session: 'counts', name: 'm' });
    await world.ok('session.start', { session: 'counts' });
    await world.ok('session.clear', { session: 'counts' });
    await world.ok('session.create', { name: 's', snapshot: true });
    await world.ok('event.enable', { session: 's', pattern: 'weft_test:*' });
    await world.ok('session.clear', { session: 's' });
    await world.ok('session.start', { session: 's' });
    assert.equal(await world.refused('session.clear', { session: 's' }), 'clear-unavailable');
  }),

  scenario('a snapshot is refused where there can be none', async (world) => {
    await world.start();
    await world.ok('session.create', { name: 'plain', noOutput: true });
    assert.equal(await world.refused('snapshot.record', { session: 'plain', path: '/x' }), 'not-a-snapshot-session');
    assert.equal(await world.refused('snapshot.list-output', { session: 'plain' }), 'not-a-snapshot-session');
    await world.ok('session.create', { name: 's', snapshot: true, noOutput: true });
    const record = (fields = {}) => world.refused('snapshot.record', { session: 's', ...fields });
    assert.equal(await record(), 'session-never-started');
    await world.ok('event.enable', { session: 's', pattern: 'weft_test:*' });
    await world.ok('session.start', { session: 's' });
    assert.equal(await record(), 'snapshot-no-output');
    assert.equal(await record({ path: 'net://host:0' }), 'destination-wrong');
    assert.equal(await record({ path: 'here' }), 'output-not-writable');
    await take(world, { path: '/x', maxSize: 10 });
    await world.program();
    assert.equal(await record({ path: '/x', maxSize: 10 }), 'snapshot-size-too-small');
    await take(world, { path: '/x', maxSize: 1 << 24 });
    const { output } = (await world.ok('snapshot.add-output', { session: 's', path: '/y' })) as { output: { id: number } };
    assert.equal(output.id, 1);
    assert.equal(await world.refused('snapshot.add-output', { session: 's', path: '/z' }), 'snapshot-output-exists');
    await world.ok('snapshot.del-output', { session: 's', output: 'snapshot-1' });
    assert.equal(await world.refused('snapshot.del-output', { session: 's', output: '1' }), 'snapshot-output-not-found');
    await world.ok('snapshot.add-output', { session: 's', path: '/z' });
    const { outputs } = (await world.ok('snapshot.list-output', { session: 's' })) as { outputs: unknown[] };
    assert.deepEqual(outputs, [{ id: 2, name: 'snapshot-2', path: '/z', maxSize: 0 }]);
  }),

  scenario('a session without output writes nothing and ends without waiting for it', async (world) => {
    await world.start();
    await world.ok('session.create', { name: 's', noOutput: true });
    await world.ok('event.enable', { session: 's', pattern: 'weft_test:*' });
    await world.ok('session.start', { session: 's' });
    const program = await world.program();
    assert.equal(world.record(program, 2).length, 2);
    const time = await took(world, () => world.ok('session.destroy', { session: 's' }));
    assert.ok(time < 1_000, `${time} ms`);
    assert.deepEqual([...world.files.streams.keys(), ...world.files.directories, ...world.files.metadata.keys()], []);
  }),

  scenario('a snapshot whose number cannot be kept is refused, and the next one is whole', async (world) => {
    const program = await keeping(world);
    const numbers = world.record(program, 2);
    world.faults.plan('disk.write', 'fail');
    assert.equal(await world.refused('snapshot.record', { session: 's' }), 'internal');
    world.faults.plan('disk.write', 20_000);
    const time = await took(world, async () => {
      assert.equal(await world.refused('snapshot.record', { session: 's' }), 'timeout');
    });
    assert.ok(time >= 15_000 && time < 15_100, `${time} ms`);
    await world.advance(10_000);
    await worksAgain(world, numbers);
  }),

  scenario('a snapshot that cannot be written says so, and the next one is whole', async (world) => {
    const program = await keeping(world);
    const numbers = world.record(program, 2);
    world.faults.plan('consumer-ports.makeDirectory', 'fail');
    assert.equal(await world.refused('snapshot.record', { session: 's' }), 'output-not-writable');
    world.faults.plan('reader.snapshot', 'fail');
    assert.equal(await world.refused('snapshot.record', { session: 's' }), 'snapshot-failed');
    world.faults.plan('consumer-ports.writeMetadata', 'fail');
    assert.equal(await world.refused('snapshot.record', { session: 's' }), 'internal');
    world.faults.plan('reader.snapshot', 'hang');
    const time = await took(world, async () => {
      assert.equal(await world.refused('snapshot.record', { session: 's' }), 'timeout');
    });
    assert.ok(time >= 60_000 && time < 60_100, `${time} ms`);
    await worksAgain(world, numbers);
  }),

  scenario('a consumer that dies while it writes a snapshot costs that snapshot and nothing else', async (world) => {
    const program = await keeping(world);
    const numbers = world.record(program, 3);
    world.faults.plan('reader.snapshot', 'hang');
    const refused = world.refused('snapshot.record', { session: 's' });
    await world.until('the reader writes', () => world.faults.seen.get('reader.snapshot') === 1, 1_000);
    world.killConsumer();
    assert.equal(await refused, 'consumer-failed');
    numbers.push(...world.record(program, 1));
    await worksAgain(world, numbers);
  }),

  scenario('what the buffers hold outlives the daemon', async (world) => {
    const program = await keeping(world);
    const numbers = world.record(program, 3);
    await take(world);
    await world.restart();
    await world.until('the session is back', () => life(world) === 'active', 30_000);
    const path = await take(world);
    assert.deepEqual(world.files.numbers(path), numbers);
    assert.match(path, /-1$/);
  }),

  ...(['fail', 'hang'] as const).map((trouble) =>
    scenario(`a reader that keeps its rings and does not close (${trouble}) holds up nothing for long`, async (world) => {
      const program = await keeping(world);
      world.record(program, 1);
      world.faults.plan('reader.close', trouble);
      const time = await took(world, () => world.ok('session.destroy', { session: 's' }));
      assert.ok(time < 10_200, `${time} ms`);
      assert.equal(world.documents.size, 0);
    }),
  ),
];
