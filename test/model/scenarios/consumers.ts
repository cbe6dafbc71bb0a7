/** Consumers that do not come up, hang, die at a bad moment; files that take nothing; rings that are none; a bus that is cut. */
import assert from 'node:assert/strict';
import { POINT } from '../../support/world/application.ts';
import type { World } from '../../support/world/world.ts';
import { holds, life, OUT, recording, type Scenario, scenario, session, took } from './scenario.ts';

const consumerState = (world: World): string => {
  const ref = world.daemon!.root.getSnapshot().context.consumers[1000]!;
  return String((ref.getSnapshot().value as { work: string }).work);
};

/** A consumer without sessions waits so long for the next one. */
const RESTS_MS = 1_000;

export const up = (world: World, ms: number): Promise<void> =>
  world.until('the consumer is there', () => consumerState(world) === 'consuming', ms);

/** Asks and does not wait. */
const asked = (world: World, name: 'session.stop' | 'session.destroy' | 'session.start') => {
  const state = { reply: null as null | { ok: boolean; fault?: { code: string } } };
  void world.ask(name, { session: 's' }).then((reply) => {
    state.reply = reply;
  });
  return state;
};

const SUPERVISION: readonly Scenario[] = [
  ...(['fail', 'hang'] as const).map((trouble) =>
    scenario(`a consumer whose start ${trouble}s is started again`, async (world) => {
      world.faults.plan('keeper.spawn', trouble);
      await world.start();
      await world.ok('session.create', { name: 's', output: OUT });
      await up(world, 15_000);
      assert.equal(world.consumers.length, 1);
    }),
  ),

  scenario('a consumer that dies before it joins the bus is replaced at once', async (world) => {
    world.faults.plan('consumer-ports.connect', 'hang');
    await world.start();
    await world.ok('session.create', { name: 's', output: OUT });
    await world.until('it is greeted', () => consumerState(world) === 'attaching', 1_000);
    world.killConsumer();
    const time = await took(world, () => up(world, 15_000));
    assert.ok(time < 1_000, `${time} ms`);
  }),

  scenario('a consumer that never joins the bus is killed and replaced', async (world) => {
    world.faults.plan('consumer-ports.connect', 'hang');
    await world.start();
    await world.ok('session.create', { name: 's', output: OUT });
    const time = await took(world, () => up(world, 15_000));
    assert.ok(time >= 10_000 && time < 11_500, `${time} ms: it is not waited for longer than its time`);
    assert.equal(world.consumers.length, 1);
  }),

  scenario('a consumer that cannot join the bus ends, and is replaced', async (world) => {
    world.faults.plan('consumer-ports.connect', 'fail');
    await world.start();
    await world.ok('session.create', { name: 's', output: OUT });
    await up(world, 3_000);
  }),

  scenario('a consumer that greets with nonsense is killed and replaced at once', async (world) => {
    world.faults.plan('bus.request', 'fail');
    await world.start();
    await world.ok('session.create', { name: 's', output: OUT });
    const time = await took(world, () => up(world, 5_000));
    assert.ok(time < 1_000, `${time} ms: its end is heard of`);
    assert.equal(world.consumers.length, 1);
    assert.ok(world.logged('it was ended by SIGKILL'));
  }),

  scenario('a consumer whose end nobody reports is replaced all the same', async (world) => {
    await session(world);
    await up(world, 1_000);
    world.faults.plan('bus.request', 'fail');
    world.faults.plan('keeper.kill', 'hang');
    const program = await world.program();
    const start = await world.command('session.start', { session: 's' });
    if (!start.ok) await world.ok('session.start', { session: 's' });
    world.faults.plan('bus.request', 'fail', { after: 0 });
    const numbers = world.record(program, 1);
    const stop = asked(world, 'session.stop');
    await world.until('it failed', () => consumerState(world) === 'failed', 10_000);
    world.keeper.forgetReceiver();
    await world.until('it is tried anew', () => consumerState(world) !== 'failed', 2_001);
    await world.until('it is answered', () => stop.reply !== null, 60_000);
    assert.equal(numbers.length, 1);
  }),

  scenario('consumers wait out a bus that is away; they are not killed for it', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 2);
    const [consumer] = world.consumers;
    program.deaf = true;
    const stop = asked(world, 'session.stop');
    await world.rest();
    world.fabric.cut();
    await world.until('the flush is due', () => consumerState(world) === 'flushing', 5_000);
    await world.advance(35_000);
    assert.equal(consumerState(world), 'flushing');
    assert.ok(world.logged('sessiond: the bus is cut'));
    assert.ok(world.logged('consumer: the bus is cut; recording goes on'));
    world.fabric.restore();
    await world.until('it is stopped', () => life(world) === 'inactive', 5_000);
    assert.equal(world.consumers[0], consumer);
    assert.ok(world.logged('sessiond: the bus is back'));
    assert.ok(world.logged('consumer: the bus is back'));
    assert.ok(stop.reply);
    holds(world, numbers);
  }),

  scenario('a daemon that comes up while its consumer is cut off waits for it', async (world) => {
    await recording(world);
    const [consumer] = world.consumers;
    world.killDaemon();
    world.faults.plan('bus.request', 20_000);
    world.launch();
    await world.until('it greets', () => consumerStateOf(world) === 'attaching', 10_000);
    world.fabric.cut();
    await world.advance(15_000);
    assert.equal(consumerState(world), 'attaching');
    world.fabric.restore();
    await up(world, 5_000);
    assert.equal(world.consumers[0], consumer);
  }),

  scenario('after a cut of the bus a consumer that hangs is found out again', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 2);
    world.fabric.cut();
    await world.advance(1_000);
    world.fabric.restore();
    await world.advance(1_000);
    world.consumers[0]!.readers[0]!.stuck = true;
    const time = await took(world, () => world.ok('session.stop', { session: 's' }));
    assert.ok(time >= 30_000 && time < 32_000, `${time} ms`);
    holds(world, numbers);
  }),

  scenario('a flush that fails for good is told to whoever stops the session', async (world) => {
    const program = await recording(world);
    world.record(program, 2);
    world.files.broken = 'ENOSPC';
    assert.equal(await world.refused('session.stop', { session: 's' }), 'output-full');
    assert.equal(life(world), 'inactive');
    assert.equal(world.published('stream', 'write-failed').length, 1);
  }),

  scenario('a flush that fails for good does not keep a session from being destroyed', async (world) => {
    const program = await recording(world);
    world.record(program, 2);
    world.files.broken = 'EIO';
    const reply = await world.command('session.destroy', { session: 's' });
    assert.equal(reply.ok ? null : reply.fault.code, 'output-not-writable');
    assert.equal(life(world), 'none');
  }),

  scenario('a session whose output is full is not destroyed before what its rings hold is written', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 2);
    world.files.broken = 'ENOSPC';
    for (const command of ['session.destroy', 'session.destroy'] as const) {
      assert.equal(await world.refused(command, { session: 's' }), 'output-full');
      assert.equal(life(world), 'inactive');
    }
    world.files.broken = null;
    await world.ok('session.destroy', { session: 's' });
    assert.equal(life(world), 'none');
    holds(world, numbers);
  }),

  ...(['session.stop', 'session.destroy'] as const).map((command) =>
    scenario(`${command} waits 40 s for a consumer that does not come back, not longer`, async (world) => {
      const program = await recording(world);
      world.record(program, 1);
      world.faults.plan('keeper.spawn', 'fail', { times: 1_000 });
      world.killConsumer();
      const time = await took(world, async () => {
        const code = command === 'session.stop' ? 'unwritten' : 'unwritten-lost';
        assert.equal(await world.refused(command, { session: 's' }), code);
      });
      assert.ok(time >= 40_000 && time < 60_000, `${time} ms`);
      assert.equal(life(world), command === 'session.stop' ? 'inactive' : 'none');
    }),
  ),

  scenario('an owner that has a session again while the consumer ends gets another', async (world) => {
    await recording(world);
    world.faults.plan('bus.request', 'hang', { after: 2 });
    await world.ok('session.destroy', { session: 's' });
    await world.advance(RESTS_MS + 10);
    await world.ok('session.create', { name: 't', output: '/out/t' });
    await world.ok('event.enable', { session: 't', pattern: '*' });
    await world.advance(6_000);
    await world.ok('session.start', { session: 't' });
    assert.equal(world.consumers.length, 1);
    const numbers = world.record(world.applications[0]!, 1);
    await world.ok('session.stop', { session: 't' });
    holds(world, numbers, '/out/t');
  }),

  ...(['fail', 'hang'] as const).map((trouble) =>
    scenario(`a consumer that does not end when told (${trouble}) is killed`, async (world) => {
      await recording(world);
      const [consumer] = world.consumers;
      world.faults.plan('bus.request', trouble, { after: 2 });
      const time = await took(world, async () => {
        await world.ok('session.destroy', { session: 's' });
        await world.until('it ended', () => !world.consumers.includes(consumer!), 10_000);
      });
      const least = RESTS_MS + (trouble === 'fail' ? 0 : 5_000);
      assert.ok(time >= least && time < least + 100, `${time} ms`);
      assert.ok(world.logged('it was ended by SIGKILL'));
    }),
  ),

  scenario('a consumer that dies while it is told to end delays the next one by nothing', async (world) => {
    await recording(world);
    world.faults.plan('bus.request', 'hang', { after: 2 });
    await world.ok('session.destroy', { session: 's' });
    await world.advance(RESTS_MS + 10);
    world.killConsumer();
    const time = await took(world, async () => {
      await world.ok('session.create', { name: 't', output: '/out/t' });
      await up(world, 10_000);
    });
    assert.ok(time < 1_000, `${time} ms`);
  }),

  scenario('a session that follows the last one at once finds the consumer of that', async (world) => {
    await recording(world);
    const [consumer] = world.consumers;
    await world.ok('session.destroy', { session: 's' });
    await world.advance(RESTS_MS / 2);
    await world.ok('session.create', { name: 't', output: '/out/t' });
    await world.advance(2 * RESTS_MS);
    assert.deepEqual(world.consumers, [consumer]);
    await world.ok('session.destroy', { session: 't' });
    await world.advance(RESTS_MS + 100);
    assert.deepEqual(world.consumers, []);
  }),

  scenario('a shutdown ends a consumer that has no session any more, too', async (world) => {
    await recording(world);
    await world.ok('session.destroy', { session: 's' });
    await world.ok('daemon.shutdown');
    await world.until('the daemon ended', () => world.daemon!.ended, RESTS_MS);
    await world.advance(RESTS_MS);
    assert.deepEqual(world.consumers, []);
  }),

  scenario('a daemon that dies while its consumer has no session leaves none', async (world) => {
    await recording(world);
    await world.ok('session.destroy', { session: 's' });
    await world.restart();
    await world.advance(10 * RESTS_MS);
    assert.deepEqual(world.consumers, []);
  }),

  scenario('a consumer that dies without a session is started again for the next one only', async (world) => {
    await recording(world);
    await world.ok('session.destroy', { session: 's' });
    world.killConsumer();
    await world.advance(RESTS_MS / 2);
    assert.deepEqual(world.consumers, []);
    await world.ok('session.create', { name: 't', output: '/out/t' });
    await up(world, RESTS_MS / 2);
    assert.equal(world.consumers.length, 1);
  }),

  scenario('what a stop could not have written is written when a consumer is there again', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 2);
    world.faults.plan('keeper.spawn', 'fail', { times: 10_000 });
    world.killConsumer();
    await world.refused('session.stop', { session: 's' });
    world.killDaemon();
    world.faults.clear();
    await world.start();
    await up(world, 10_000);
    await world.rest();
    world.consumers[0]!.readers[0]!.wake();
    holds(world, numbers);
  }),
];

const consumerStateOf = (world: World): string | null =>
  world.daemon?.root.getSnapshot().context.consumers[1000] ? consumerState(world) : null;

const REGISTRIES: readonly Scenario[] = [
  scenario('a session that begins while the consumer of its owner ends is recorded by the next one', async (world) => {
    await recording(world);
    await world.ok('session.stop', { session: 's' });
    const first = world.consumers[0]!;
    await world.ok('session.destroy', { session: 's' });
    world.faults.plan('bus.request', 200);
    await world.until('it is told to end', () => consumerStateOf(world) === 'draining', 1_000);
    const output = '/out/t';
    await world.ok('session.create', { name: 't', output });
    await world.ok('event.enable', { session: 't', pattern: 'weft_test:*' });
    await world.ok('session.start', { session: 't' });
    const numbers = world.record(await world.program(), 2);
    await world.ok('session.stop', { session: 't' });
    assert.ok(!world.consumers.includes(first));
    assert.deepEqual(world.files.numbers(output), numbers);
  }),

  scenario('a change of rules waits 5 s for a consumer that does not come back, then is answered', async (world) => {
    await recording(world);
    world.faults.plan('keeper.spawn', 'fail', { times: 10_000 });
    world.killConsumer();
    const other = world.run({ points: [{ ...POINT, name: 'late:point' }] });
    other.register();
    await world.until('it goes on', () => other.synced === 1, 5_000);
    const time = await took(world, () => world.ok('event.enable', { session: 's', pattern: 'late:*' }));
    assert.ok(time >= 5_000 && time < 5_100, `${time} ms`);
    await world.advance(12_000);
    assert.equal(world.published('channel', 'degraded').length, 1);
    world.faults.clear();
    await world.until('it is recorded when the consumer is back', () => world.record(other, 1).length === 1, 30_000);
  }),

  scenario('metadata that cannot be written lets nothing start', async (world) => {
    await session(world);
    await up(world, 1_000);
    await world.program();
    world.faults.plan('consumer-ports.writeMetadata', 'fail');
    const time = await took(world, async () => {
      assert.equal(await world.refused('session.start', { session: 's' }), 'internal');
    });
    assert.ok(time < 100);
    await world.ok('session.start', { session: 's' });
  }),

  scenario('a keeper that takes no ring lets nothing start', async (world) => {
    await session(world);
    await up(world, 1_000);
    await world.program();
    world.faults.plan('keeper.deposit', 'hang');
    const time = await took(world, async () => {
      assert.equal(await world.refused('session.start', { session: 's' }), 'timeout');
    });
    assert.ok(time >= 15_000 && time < 15_100, `${time} ms`);
    await world.ok('session.start', { session: 's' });
  }),

  scenario('rings of an ended process are kept until a consumer can write them out', async (world) => {
    const program = await recording(world, { ownership: 'process' });
    const numbers = world.record(program, 2);
    world.faults.plan('keeper.spawn', 'fail', { times: 10_000 });
    world.killConsumer();
    program.exit();
    await world.advance(20_000);
    assert.ok(world.logged('its rings were not drained in time'));
    world.faults.clear();
    await world.until('they are drained', () => world.keeper.deposits.size === 1, 40_000);
    holds(world, numbers);
  }),

  scenario('draining that fails is tried again after a pause', async (world) => {
    const program = await recording(world, { ownership: 'process' });
    const numbers = world.record(program, 2);
    world.faults.plan('bus.request', 'fail');
    program.exit();
    const time = await took(world, () => world.until('they are drained', () => world.keeper.deposits.size === 1, 40_000));
    assert.ok(time >= 1_000 && time < 2_000, `${time} ms`);
    assert.ok(world.logged('its rings could not be drained'));
    holds(world, numbers);
  }),
];

export const CONSUMERS: readonly Scenario[] = [...SUPERVISION, ...REGISTRIES];
