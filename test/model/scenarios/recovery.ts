/** kill -9 of any process, power cuts, and what the next one makes of the documents. */
import assert from 'node:assert/strict';
import type { WorldApplication } from '../../support/world/application.ts';
import type { World } from '../../support/world/world.ts';
import { holds, life, OUT, recording, type Scenario, scenario, session, took } from './scenario.ts';

const rereads = (world: World): boolean => world.consumers[0]?.readers.some((reader) => !reader.closed) ?? false;

/** A start with the id `start`: promised, then it waits for a program that does not say that it records. */
const startThatArms = async (world: World, program: WorldApplication) => {
  world.faults.plan('disk.write', 1_000, { after: 2 });
  const reply = world.ask('session.start', { session: 's' }, { id: 'start' });
  await world.until('it is being promised', () => life(world) === 'starting.promising', 10_000);
  program.deaf = true;
  await world.until('it arms', () => life(world) === 'starting.arming', 10_000);
  return { answered: reply };
};

export const RECOVERY: readonly Scenario[] = [
  scenario('kill -9 of the daemon while a program records loses nothing', async (world) => {
    const program = await recording(world);
    const first = world.record(program, 2);
    world.killDaemon();
    await world.rest();
    const second = world.record(program, 2);
    await world.start();
    await world.until('the program is taken back', () => program.synced === 1, 10_000);
    assert.equal(life(world), 'active');
    assert.equal(world.published('session', 'recovered').length, 1);
    const third = world.record(program, 2);
    assert.equal(third.length, 2, 'it kept its rings');
    await world.ok('session.stop', { session: 's' });
    holds(world, [...first, ...second, ...third]);
    assert.equal(program.rings().length, 1);
  }),

  scenario('a restarted daemon keeps inactive sessions as they were', async (world) => {
    await session(world);
    const time = await took(world, () => world.restart());
    assert.ok(time < 1_000, `${time} ms: nobody waits for a session that is recovered`);
    assert.equal(life(world), 'inactive');
    await world.ok('session.start', { session: 's' });
    const program = await world.program();
    const numbers = world.record(program, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
  }),

  scenario('a start that the daemon had promised is carried out by the next one, and answered', async (world) => {
    await session(world);
    const program = await world.program();
    await startThatArms(world, program);
    program.deaf = false;
    await world.restart();
    await world.until('the program is taken back', () => program.synced === 1, 10_000);
    assert.equal(life(world), 'active');
    assert.equal(world.document('s')!.operation, null);
    await world.ok('session.start', { session: 's' }, { id: 'start' });
    const numbers = world.record(program, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
  }),

  scenario(
    'a start that a daemon had promised without its answer, as older ones did, is answered by the next',
    async (world) => {
      await session(world);
      const before = world.document('s')!;
      const operation = { kind: 'starting', requestId: '1000 start', deadlineMs: 0 } as const;
      world.killDaemon();
      world.documents.set(before.id, JSON.stringify({ ...before, active: true, everStarted: true, operation }));
      await world.start();
      assert.equal(life(world), 'active');
      assert.equal(world.document('s')!.operation, null);
      await world.ok('session.start', { session: 's' }, { id: 'start' });
      assert.equal(await world.refused('session.start', { session: 's' }), 'already-started');
    },
  ),

  scenario('a stop that the daemon had promised is carried out by the next one, and answered', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 2);
    program.deaf = true;
    void world.ask('session.stop', { session: 's' }, { id: 'stop' });
    await world.until('it was promised', () => world.document('s')?.operation?.kind === 'stopping', 10_000);
    world.killDaemon();
    await world.advance(100_000);
    await world.start();
    assert.ok(world.logged('an operation is finished late'));
    assert.equal(life(world), 'inactive');
    assert.equal(world.document('s')!.operation, null);
    const again = await world.ok('session.stop', { session: 's' }, { id: 'stop' });
    assert.deepEqual(again.stats, { recorded: 2, lost: 0 });
    holds(world, numbers);
    assert.equal(world.record(program, 1).length, 0);
  }),

  scenario('a destruction that the daemon had promised is carried out by the next one', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 2);
    program.deaf = true;
    void world.ask('session.destroy', { session: 's' });
    await world.until('it was promised', () => world.document('s')?.operation?.kind === 'destroying', 10_000);
    await world.restart();
    await world.until('the document is gone', () => world.documents.size === 0, 10_000);
    holds(world, numbers);
    assert.deepEqual(Object.keys(world.daemon!.root.getSnapshot().context.sessions), []);
  }),

  scenario('after a reboot the session goes on in a new trace beside the old one', async (world) => {
    const before = await recording(world);
    const first = world.record(before, 2);
    world.consumers[0]!.readers[0]!.wake();
    world.reboot();
    await world.start();
    assert.equal(life(world), 'active');
    const after = await world.program();
    const second = world.record(after, 2);
    await world.ok('session.stop', { session: 's' });
    holds(world, [...first, ...second]);
    const [old, fresh] = [...world.files.streams.keys()];
    assert.equal(old, `${OUT}/ust/uid/1000/64-bit/channel0_0`);
    assert.equal(fresh, `${OUT}/ust/uid/1000/64-bit-2/channel0_0`);
    assert.equal(world.document('s')!.clock.uuid, 'c'.repeat(32));
  }),

  scenario('kill -9 of the consumer: the next one reads on at once, nothing is lost, nothing twice', async (world) => {
    const program = await recording(world);
    const first = world.record(program, 2);
    world.consumers[0]!.readers[0]!.wake();
    world.killConsumer();
    const second = world.record(program, 2);
    await world.until('another consumer reads', () => rereads(world), 3_000);
    assert.equal(world.published('consumer', 'failed').length, 1);
    assert.equal(world.published('consumer', 'restarted').length, 1);
    world.consumers[0]!.readers[0]!.wake();
    holds(world, [...first, ...second]);
    await world.ok('session.stop', { session: 's' });
    holds(world, [...first, ...second]);
  }),

  scenario('kill -9 of the consumer during a start: the next one reads on at once', async (world) => {
    await session(world);
    const program = await world.program();
    let started = false;
    const { answered } = await startThatArms(world, program);
    void answered.then(() => {
      started = true;
    });
    world.killConsumer();
    await world.until('another consumer reads', () => rereads(world), 3_000);
    await world.until('it is answered', () => started, 10_000);
    const numbers = world.record(program, 2);
    world.consumers[0]!.readers[0]!.wake();
    holds(world, numbers);
  }),

  scenario('a start whose consumer dies after the promise, and does not come back, is answered after 5 s', async (world) => {
    await session(world);
    await world.program();
    world.faults.plan('disk.write', 1_000, { after: 2 });
    let started = false;
    void world.ask('session.start', { session: 's' }).then(() => {
      started = true;
    });
    await world.until('it is being promised', () => life(world) === 'starting.promising', 10_000);
    world.faults.plan('keeper.spawn', 'fail', { times: 10_000 });
    world.killConsumer();
    const time = await took(world, () => world.until('it is answered', () => started, 30_000));
    assert.ok(time >= 5_000 && time < 7_000, `${time} ms`);
    assert.ok(world.logged('not every application recorded in time'));
  }),

  scenario('a program that comes during a start is recorded', async (world) => {
    await session(world);
    await startThatArms(world, await world.program());
    const program = await world.program();
    assert.equal(world.record(program, 1).length, 1);
  }),

  scenario('kill -9 of the consumer during the flush of a stop: the next one writes everything out', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 3);
    world.consumers[0]!.readers[0]!.stuck = true;
    let stopped: unknown = null;
    void world.ask('session.stop', { session: 's' }).then((reply) => {
      stopped = reply;
    });
    await world.until('it flushes', () => life(world) === 'stopping.flushing', 10_000);
    await world.rest();
    const time = await took(world, async () => {
      world.killConsumer();
      await world.until('it is answered', () => stopped !== null, 60_000);
    });
    assert.ok(time < 5_000, `${time} ms: the death is heard of, not waited for`);
    assert.equal((stopped as { ok: boolean }).ok, true);
    holds(world, numbers);
  }),

  scenario('kill -9 of the consumer during the flush of a destroy: the next one writes everything out', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 3);
    world.consumers[0]!.readers[0]!.stuck = true;
    let gone: unknown = null;
    void world.ask('session.destroy', { session: 's' }).then((reply) => {
      gone = reply;
    });
    await world.until('it flushes', () => life(world) === 'destroying.flushing', 10_000);
    await world.rest();
    world.killConsumer();
    await world.until('it is answered', () => gone !== null, 5_000);
    assert.equal((gone as { ok: boolean }).ok, true);
    holds(world, numbers);
  }),

  scenario('a consumer that hangs in a flush is replaced, and the flush is done by its successor', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 3);
    world.consumers[0]!.readers[0]!.stuck = true;
    const time = await took(world, () => world.ok('session.stop', { session: 's' }));
    assert.ok(time >= 30_000 && time < 32_000, `${time} ms`);
    holds(world, numbers);
  }),

  scenario('per-process buffers: a restarted daemon takes a process back with its trace', async (world) => {
    const program = await recording(world, { ownership: 'process' });
    const first = world.record(program, 2);
    await world.restart();
    await world.until('the program is taken back', () => program.synced === 1, 10_000);
    await world.advance(15_000);
    const second = world.record(program, 2);
    assert.equal(second.length, 2);
    await world.ok('session.stop', { session: 's' });
    holds(world, [...first, ...second]);
    assert.equal(world.files.streams.size, 1, 'in one trace');
  }),

  scenario('per-process buffers: what ended processes recorded is counted by the next daemon too', async (world) => {
    const program = await recording(world, { ownership: 'process' });
    const numbers = world.record(program, 3);
    program.exit();
    await world.until('its rings are given back', () => world.keeper.deposits.size === 1, 12_000);
    await world.restart();
    const { stats } = (await world.ok('session.stop', { session: 's' })) as { stats: { recorded: unknown } };
    assert.equal(Number(stats.recorded), numbers.length);
    holds(world, numbers);
  }),

  scenario('per-process buffers: a process that ended while no daemon ran is drained by the next', async (world) => {
    const program = await recording(world, { ownership: 'process' });
    const numbers = world.record(program, 2);
    world.killDaemon();
    program.exit();
    await world.start();
    await world.until('its rings are given back', () => world.keeper.deposits.size === 1, 12_000);
    holds(world, numbers);
  }),

  scenario('rings that no document knows are given back at the next start', async (world) => {
    await session(world);
    await world.program();
    world.faults.plan('disk.write', 'hang', { after: 1 });
    void world.ask('session.start', { session: 's' });
    await world.until('the ring set is at the keeper', () => world.keeper.deposits.size === 2, 10_000);
    await world.restart();
    assert.deepEqual(
      [...world.keeper.deposits.values()].map(({ role }) => role),
      [3],
    );
  }),

  scenario('recovery waits for a keeper that does not answer, and tries again', async (world) => {
    for (const trouble of ['fail', 'hang'] as const) {
      const again = trouble === 'hang';
      const program = again ? world.applications[0]! : await recording(world);
      world.killDaemon();
      world.faults.plan('keeper.fetch', trouble);
      await world.start();
      await world.until('the program is taken back', () => program.synced === 1, 30_000);
      assert.equal(life(world), 'active');
      assert.equal(world.record(program, 1).length, 1, 'with the rings it had');
    }
    assert.ok(world.logged('it cannot be recovered yet'));
    assert.ok(world.logged('recovering it takes too long'));
    await world.ok('session.stop', { session: 's' });
    holds(world, [1, 2]);
  }),

  scenario('a session that cannot be recovered does not keep the daemon from serving the others', async (world) => {
    const program = await recording(world);
    const before = world.record(program, 1);
    world.killDaemon();
    world.faults.plan('keeper.fetch', 'hang', { times: 100 });
    const time = await took(world, () => world.start());
    assert.ok(world.serving);
    assert.ok(time >= 60_000 && time < 61_000, `${time} ms`);
    await world.ok('session.create', { name: 'other', output: '/out/other' });
    for (const command of ['session.redirect', 'session.start', 'session.stop', 'session.destroy'] as const) {
      const waited = await took(world, async () =>
        assert.equal(await world.refused(command, { session: 's' }), 'session-recovering'),
      );
      assert.ok(waited < 100, `${command}: ${waited} ms`);
    }
    await world.until('the program goes on', () => program.synced === 1, 10_000);
    const late = world.record(program, 2);
    assert.equal(late.length, 2, 'and with what it records, though nobody has asked for it yet');
    world.faults.clear();
    await world.until('it is attached', () => program.complete, 120_000);
    const last = world.record(program, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, [...before, ...late, ...last]);
  }),

  scenario('a restart that finds the consumer gone starts another; nothing is lost', async (world) => {
    const program = await recording(world);
    const first = world.record(program, 2);
    world.killDaemon();
    world.killConsumer();
    const second = world.record(program, 2);
    await world.start();
    await world.until('another consumer reads', () => rereads(world), 5_000);
    await world.until('the program is taken back', () => program.synced === 1, 10_000);
    await world.ok('session.stop', { session: 's' });
    holds(world, [...first, ...second]);
  }),

  scenario(
    'kill -9 of the keeper, and of the consumer before the next keeper watches it: another consumer reads on',
    async (world) => {
      const program = await recording(world);
      const first = world.record(program, 2);
      world.killKeeper();
      world.killConsumer();
      const second = world.record(program, 2);
      await world.until('another consumer reads', () => rereads(world), 5_000);
      await world.ok('session.stop', { session: 's' });
      holds(world, [...first, ...second]);
    },
  ),
];
