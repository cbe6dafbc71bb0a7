/** Rotation: chunks by command, timer and size, when nothing breaks and when everything does; clearing; metadata written anew. */
import assert from 'node:assert/strict';
import { POINT } from '../../support/world/application.ts';
import type { World } from '../../support/world/world.ts';
import { holds, life, OUT, recording, type Scenario, scenario, session, took } from './scenario.ts';

const ARCHIVE = /^\/out\/s\/archives\/\d{8}T\d{6}[+-]\d{4}-\d{8}T\d{6}[+-]\d{4}-(\d+)$/;

const rotate = async (world: World): Promise<string> => {
  const { location, state } = await world.ok('session.rotate', { session: 's' });
  assert.equal(state, 'completed');
  assert.match(String(location), ARCHIVE);
  return String(location);
};

const rotation = (world: World) => {
  const { id } = world.document('s')!;
  return world.daemon!.parts.session(id)!.getSnapshot().context.rotation;
};

const work = (world: World): string => String(rotation(world).getSnapshot().value.work);

const rotated = (world: World): number => world.document('s')!.archives;

const untilRotated = (world: World, times: number, ms = 60_000): Promise<void> =>
  world.until(`${times} rotations`, () => rotated(world) === times && world.document('s')!.rotation === null, ms);

/** Nothing of the session lies outside archives. */
const onlyArchives = (world: World): void =>
  assert.deepEqual(
    [...world.files.streams.keys(), ...world.files.metadata.keys()].filter(
      (path) => path.startsWith(OUT) && !path.startsWith(`${OUT}/archives/`),
    ),
    [],
  );

/** Neither session, nor document, nor memory. */
const nothingIsLeft = (world: World): void => {
  assert.equal(life(world), 'none');
  assert.equal(world.document('s'), undefined);
  assert.deepEqual(
    [...world.keeper.deposits.values()].filter(({ role }) => role === 16),
    [],
  );
};

export const ROTATION: readonly Scenario[] = [
  scenario('a rotation archives what was recorded; the next chunk goes on; destroy leaves archives only', async (world) => {
    const program = await recording(world);
    const first = world.record(program, 3);
    const one = await rotate(world);
    assert.match(one, /-0$/);
    holds(world, first, one);
    const second = world.record(program, 2);
    const two = await rotate(world);
    assert.match(two, /-1$/);
    holds(world, second, two);
    const third = world.record(program, 2);
    const { archive } = await world.ok('session.destroy', { session: 's' });
    assert.match(String(archive), /-2$/);
    holds(world, third, String(archive));
    holds(world, [...first, ...second, ...third]);
    onlyArchives(world);
    const events = world.published('session', 'rotated');
    assert.deepEqual(
      events.map(({ body }) => body.path),
      [one, two],
    );
  }),

  scenario('a rotation that nobody waits for is answered at once; another one meanwhile is refused', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 1);
    world.faults.plan('reader.rotate', 3_000);
    const { state } = await world.ok('session.rotate', { session: 's', wait: false });
    assert.equal(state, 'ongoing');
    assert.equal(await world.refused('session.rotate', { session: 's' }), 'rotation-pending');
    assert.equal(await world.refused('session.clear', { session: 's' }), 'rotation-pending');
    const shown = (await world.ok('session.show', { session: 's' })).session as { rotation: { ongoing: boolean } };
    assert.equal(shown.rotation.ongoing, true);
    await untilRotated(world, 1);
    holds(world, numbers, `${OUT}/archives`);
  }),

  scenario('rotations are refused when there is nothing to rotate', async (world) => {
    await session(world);
    assert.equal(await world.refused('session.rotate', { session: 's' }), 'session-never-started');
    await world.ok('session.start', { session: 's' });
    const program = await world.program();
    const numbers = world.record(program, 1);
    await world.ok('session.stop', { session: 's' });
    await rotate(world);
    assert.equal(await world.refused('session.rotate', { session: 's' }), 'rotation-after-stop');
    onlyArchives(world);
    await world.ok('session.start', { session: 's' });
    const more = world.record(program, 2);
    await world.ok('session.stop', { session: 's' });
    holds(world, [...numbers, ...more]);
    await world.ok('session.clear', { session: 's' });
    assert.equal(await world.refused('session.rotate', { session: 's' }), 'rotation-after-clear');
    await world.ok('session.destroy', { session: 's' });
    holds(world, numbers);
    onlyArchives(world);
  }),

  scenario('a program that comes while a rotation runs is recorded into the next chunk', async (world) => {
    const program = await recording(world, { ownership: 'process' });
    const numbers = world.record(program, 1);
    world.faults.plan('reader.rotate', 1_000);
    await world.ok('session.rotate', { session: 's', wait: false });
    const late = await world.program();
    const more = world.record(late, 2);
    await untilRotated(world, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers, `${OUT}/archives`);
    holds(world, [...numbers, ...more]);
  }),

  scenario('a document that cannot be written refuses the rotation; one that takes too long takes it back', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 1);
    world.faults.plan('disk.write', 'fail');
    assert.equal(await world.refused('session.rotate', { session: 's' }), 'internal');
    assert.equal(work(world), 'idle');
    world.faults.plan('disk.write', 7_000);
    const time = await took(world, async () =>
      assert.equal(await world.refused('session.rotate', { session: 's' }), 'timeout'),
    );
    assert.ok(time >= 5_000 && time < 5_500, `${time} ms`);
    await world.until('it is taken back', () => world.document('s')!.chunk?.id === 0, 10_000);
    await world.rest();
    assert.equal(world.document('s')!.rotation, null);
    assert.equal(rotated(world), 0);
    await rotate(world);
    holds(world, numbers, `${OUT}/archives`);
  }),

  scenario('streams that do not switch stall the rotation, which says so and is tried again', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 1);
    world.faults.plan('reader.rotate', 'fail');
    assert.equal(await world.refused('session.rotate', { session: 's' }), 'rotation-stalled');
    assert.equal(work(world), 'stalled');
    await untilRotated(world, 1, 5_000);
    world.faults.plan('reader.rotate', 'hang');
    const time = await took(world, async () =>
      assert.equal(await world.refused('session.rotate', { session: 's' }), 'rotation-stalled'),
    );
    assert.ok(time >= 20_000 && time < 20_500, `${time} ms`);
    await untilRotated(world, 2, 5_000);
    assert.ok(world.logged('the rotation stalls'));
    const more = world.record(program, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, [...numbers, ...more]);
  }),

  scenario('a chunk that cannot be moved is moved when it can be', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 2);
    world.faults.plan('consumer-ports.archive', 'fail');
    assert.equal(await world.refused('session.rotate', { session: 's' }), 'rotation-stalled');
    await untilRotated(world, 1, 5_000);
    holds(world, numbers, `${OUT}/archives`);
    world.faults.plan('disk.write', 'hang', { after: 2 });
    assert.equal(await world.refused('session.rotate', { session: 's' }), 'rotation-stalled');
  }),

  ...(['consumer-ports.archive', 'reader.rotate'] as const).map((broken) =>
    scenario(`a rotation that stalls for ever (${broken}) keeps nobody from destroying the session`, async (world) => {
      const program = await recording(world);
      const numbers = world.record(program, 2);
      await rotate(world);
      world.faults.plan(broken, 'fail', { times: 1000 });
      assert.equal(await world.refused('session.rotate', { session: 's' }), 'rotation-stalled');
      const more = world.record(program, 2);
      const archives = broken === 'reader.rotate';
      const time = await took(world, async () => {
        if (archives) await world.ok('session.destroy', { session: 's' });
        else assert.equal(await world.refused('session.destroy', { session: 's' }), 'chunk-not-archived');
      });
      assert.ok(time < 10_000, `${time} ms`);
      holds(world, [...numbers, ...more]);
      if (archives) holds(world, [...numbers, ...more], `${OUT}/archives`);
      nothingIsLeft(world);
    }),
  ),

  scenario('a last chunk that cannot be moved is told, and the session goes all the same', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 2);
    await rotate(world);
    const more = world.record(program, 1);
    world.faults.plan('consumer-ports.archive', 'fail', { times: 1000 });
    assert.equal(await world.refused('session.destroy', { session: 's' }), 'chunk-not-archived');
    holds(world, [...numbers, ...more]);
    nothingIsLeft(world);
  }),

  scenario('the consumer dies while a rotation runs: its successor ends it', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 2);
    world.faults.plan('reader.rotate', 'hang');
    await world.ok('session.rotate', { session: 's', wait: false });
    await world.until('it switches', () => work(world) === 'switching', 1_000);
    world.killConsumer();
    const more = world.record(program, 1);
    await untilRotated(world, 1, 5_000);
    const rest = world.record(program, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, [...numbers, ...more, ...rest]);
    onlyAfter(world, rest);
  }),

  scenario('the consumer dies while it moves a chunk: its successor does', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 2);
    // Directory, metadata and switch are asked before it.
    world.faults.plan('bus.request', 'hang', { after: 3 });
    await world.ok('session.rotate', { session: 's', wait: false });
    await world.until('it archives', () => work(world) === 'archiving', 1_000);
    world.killConsumer();
    await untilRotated(world, 1, 5_000);
    holds(world, numbers, `${OUT}/archives`);
  }),

  scenario('the daemon dies while a rotation runs: the next one ends it', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 2);
    world.faults.plan('reader.rotate', 'hang');
    await world.ok('session.rotate', { session: 's', wait: false });
    await world.restart();
    await untilRotated(world, 1);
    await world.until('the program is taken back', () => program.synced === 1, 10_000);
    const rest = world.record(program, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, [...numbers, ...rest]);
    onlyAfter(world, rest);
  }),

  scenario('a session rotates by itself after each period, while it records', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 1);
    await world.ok('rotation.enable', { session: 's', timerUs: 5_000_000 });
    assert.equal(await world.refused('rotation.enable', { session: 's', timerUs: 1 }), 'schedule-exists');
    await world.advance(3_000);
    await world.ok('event.enable', { session: 's', pattern: 'weft_other:*' });
    await world.advance(2_500);
    await untilRotated(world, 1, 100);
    holds(world, numbers, `${OUT}/archives`);
    await world.advance(5_000);
    assert.equal(rotated(world), 2);
    await world.restart();
    await world.advance(5_500);
    assert.equal(rotated(world), 3, 'schedules outlive the daemon');
    await world.ok('session.stop', { session: 's' });
    await world.advance(20_000);
    assert.equal(rotated(world), 3, 'a stopped session is left alone');
    await world.ok('session.start', { session: 's' });
    await world.ok('rotation.disable', { session: 's', timer: true });
    await world.advance(20_000);
    assert.equal(rotated(world), 3);
    assert.equal(await world.refused('rotation.disable', { session: 's', timer: true }), 'schedule-not-found');
  }),

  scenario('a session rotates by itself when so much was written', async (world) => {
    const program = await recording(world);
    await world.ok('rotation.enable', { session: 's', sizeBytes: 64 });
    const numbers = world.record(program, 3);
    world.consumers[0]!.readers[0]!.wake();
    await world.advance(3_000);
    assert.equal(rotated(world), 0, '48 bytes are too few');
    numbers.push(...world.record(program, 2));
    world.consumers[0]!.readers[0]!.wake();
    await world.advance(1_500);
    assert.equal(rotated(world), 1);
    holds(world, numbers, `${OUT}/archives`);
    await world.advance(5_000);
    assert.equal(rotated(world), 1, 'the next chunk counts from its own begin');
    await world.ok('rotation.disable', { session: 's', size: true });
    world.record(program, 9);
    world.consumers[0]!.readers[0]!.wake();
    await world.advance(5_000);
    assert.equal(rotated(world), 1);
  }),

  scenario('clear empties rings and files and is not counted as loss', async (world) => {
    const program = await recording(world);
    world.record(program, 3);
    world.consumers[0]!.readers[0]!.wake();
    world.record(program, 2);
    await world.ok('session.clear', { session: 's' });
    holds(world, []);
    const numbers = world.record(program, 2);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
    await world.ok('session.clear', { session: 's' });
    holds(world, []);
    assert.equal(world.published('session', 'cleared').length, 2);
    assert.equal(life(world), 'inactive');
  }),

  scenario('a clear that fails or takes too long is refused', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 1);
    world.faults.plan('reader.clear', 'fail');
    assert.equal(await world.refused('session.clear', { session: 's' }), 'output-not-writable');
    world.faults.plan('reader.clear', 'hang');
    const time = await took(world, async () => assert.equal(await world.refused('session.clear', { session: 's' }), 'timeout'));
    assert.ok(time >= 20_000 && time < 20_500, `${time} ms`);
    assert.equal(work(world), 'idle');
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
  }),

  scenario('the metadata is written anew with a new sample of the clocks', async (world) => {
    await recording(world);
    const before = [...world.files.metadata.values()][0];
    world.clockOffsetNs += 1_000_000_000n;
    await world.ok('session.regenerate', { session: 's', object: 'metadata' });
    assert.notEqual([...world.files.metadata.values()][0], before);
    await world.ok('session.stop', { session: 's' });
    assert.equal(await world.refused('session.regenerate', { session: 's', object: 'metadata' }), 'session-not-started');
  }),

  scenario('programs that have one dump their state again into the session that asks, and no other', async (world) => {
    await recording(world);
    await world.ok('event.enable', { session: 's', pattern: 'lttng_ust_statedump:*' });
    await world.ok('session.create', { name: 'other', output: '/out/other' });
    await world.ok('event.enable', { session: 'other', pattern: '*' });
    await world.ok('session.start', { session: 'other' });
    const program = await world.program({ points: [POINT, { ...POINT, name: 'lttng_ust_statedump:start' }] });
    const into = program.heard.flatMap((message) => (message.kind === 'attach' ? [message.channel] : []));
    assert.equal(into.length, 2);
    await world.ok('session.regenerate', { session: 's', object: 'statedump' });
    const dumped = world.applications.map(({ heard }) => heard.filter(({ kind }) => kind === 'statedump').length);
    assert.deepEqual(dumped, [0, 1], 'a program without such a point is not asked');
    await world.ok('session.stop', { session: 's' });
    const refusal = await world.refused('session.regenerate', { session: 's', object: 'statedump' });
    assert.equal(refusal, 'session-not-started');
  }),

  scenario('a state dump that a program does not answer, or refuses, delays nobody for ever', async (world) => {
    await session(world);
    await world.ok('event.enable', { session: 's', pattern: 'lttng_ust_statedump:*' });
    await world.ok('session.start', { session: 's' });
    const program = await world.program({ points: [{ ...POINT, name: 'lttng_ust_statedump:end' }] });
    const again = () => world.ok('session.regenerate', { session: 's', object: 'statedump' });
    program.errors.set('statedump', 22);
    assert.ok((await took(world, again)) < 100);
    assert.ok(world.logged('not every application follows the change'));
    program.deaf = true;
    const time = await took(world, again);
    assert.ok(time >= 5_000 && time < 5_500, `${time} ms`);
  }),
];

/** What was recorded after the rotation lies in the chunk that is not archived. */
function onlyAfter(world: World, numbers: readonly number[]): void {
  const archived = world.files.numbers(`${OUT}/archives`);
  assert.deepEqual(
    numbers.filter((number) => archived.includes(number)),
    [],
  );
}
