/** The consumer process: streams whose files or rings fail, keys that do not come, ends at any moment. */
import assert from 'node:assert/strict';
import type { BusMessage } from '../../../transport/bus.ts';
import { up } from './consumers.ts';
import { holds, OUT, recording, type Scenario, scenario, session, took } from './scenario.ts';

const STREAMS: readonly Scenario[] = [
  scenario('a disk that is full for a while costs nothing: writing goes on where it stood', async (world) => {
    const program = await recording(world);
    const [reader] = world.consumers[0]!.readers;
    const numbers = world.record(program, 2);
    world.files.broken = 'ENOSPC';
    reader!.wake();
    reader!.tell({ kind: 'write-failed', cpu: 1, code: 'ENOSPC', message: 'no space left on device' });
    assert.equal(world.consumers[0]!.parts.streams.all().length, 1);
    await world.rest();
    assert.equal(world.published('stream', 'write-failed').length, 1);
    world.files.broken = null;
    reader!.wake();
    await world.rest();
    assert.equal(world.published('stream', 'write-resumed').length, 0, 'the other CPU has not resumed');
    reader!.tell({ kind: 'write-resumed', cpu: 1 });
    await world.rest();
    assert.equal(world.published('stream', 'write-resumed').length, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
  }),

  scenario('a ring that is none is closed with the cause; the others go on', async (world) => {
    const program = await recording(world);
    const [reader] = world.consumers[0]!.readers;
    reader!.tell({ kind: 'corrupt', cpu: 1, cause: 'position moved backwards' });
    await world.rest();
    const [event] = world.published('stream', 'corrupt');
    assert.equal(event?.body.cause, 'position moved backwards');
    const state = () => JSON.stringify(world.consumers[0]!.parts.stream(reader!.options.ringId)!.getSnapshot().value);
    assert.match(state(), /appending/);
    const numbers = world.record(program, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
    await world.ok('session.start', { session: 's' });
    reader!.tell({ kind: 'corrupt', cpu: 0, cause: 'count beyond the ring' });
    await world.rest();
    assert.match(state(), /corrupt/);
    await world.ok('session.destroy', { session: 's' });
    assert.equal(reader!.closed, true);
  }),

  scenario('events that are lost are told as they are', async (world) => {
    const program = await recording(world);
    world.consumers[0]!.readers[0]!.memory.lost = 7n;
    world.record(program, 1);
    const stopped = await world.ok('session.stop', { session: 's' });
    assert.deepEqual(stopped.stats, { recorded: 1, lost: 7 });
    assert.equal(Number(world.published('stream', 'lost')[0]?.body.lost), 7);
  }),

  scenario('a ring that the consumer cannot open is refused; another try succeeds', async (world) => {
    await session(world);
    await up(world, 1_000);
    world.faults.plan('consumer-native.startReader', 'fail');
    const program = await world.program();
    assert.equal(await world.refused('session.start', { session: 's' }), 'internal');
    await world.ok('session.start', { session: 's' });
    const numbers = world.record(program, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
  }),

  scenario(
    'a wish to read a ring that was long on its way, and overtaken by the last one to leave it, is not heard',
    async (world) => {
      await session(world);
      const bus = world.connectBus();
      const seen: BusMessage[] = [];
      bus.subscribe('weft.v1.*.*.consumer.*.attach', (message) => void seen.push(message));
      const program = await world.program();
      await world.ok('session.start', { session: 's' });
      const first = world.record(program, 2);
      await world.ok('session.stop', { session: 's' });
      await world.ok('session.rotate', { session: 's' });
      const late = await bus.request(seen[0]!.subject, seen[0]!.body, 1_000);
      assert.equal(late.ok ? null : late.fault.code, 'stale');
      await world.restart();
      await world.ok('session.start', { session: 's' });
      const second = world.record(program, 2);
      await world.ok('session.stop', { session: 's' });
      holds(world, [...first, ...second]);
    },
  ),

  scenario('a ring whose memory does not arrive is refused after 5 s; another try succeeds', async (world) => {
    await session(world);
    await up(world, 1_000);
    const program = await world.program();
    world.consumers[0]!.link.dropNext = true;
    const time = await took(world, async () => {
      assert.equal(await world.refused('session.start', { session: 's' }), 'timeout');
    });
    assert.ok(time >= 5_000 && time < 6_000, `${time} ms`);
    await world.ok('session.start', { session: 's' });
    const numbers = world.record(program, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
  }),

  ...(['fail', 'hang'] as const).map((trouble) =>
    scenario(`a reader that does not end (${trouble}) keeps no session from being destroyed`, async (world) => {
      const program = await recording(world);
      const numbers = world.record(program, 1);
      world.faults.plan('reader.close', trouble);
      const time = await took(world, () => world.ok('session.destroy', { session: 's' }));
      assert.ok(trouble === 'fail' ? time < 1_000 : time >= 10_000 && time < 11_000, `${time} ms`);
      holds(world, numbers);
      assert.equal(world.consumers[0]?.parts.streams.all().length ?? 0, 0);
    }),
  ),
];

const PROCESS: readonly Scenario[] = [
  scenario('a stream that is asked for before the consumer knows that it serves is opened', async (world) => {
    world.faults.plan('consumer-bus.serve', { answerAfter: 4_000 });
    await session(world);
    const program = await world.program();
    const time = await took(world, () => world.ok('session.start', { session: 's' }));
    assert.ok(time < 4_000, `${time} ms`);
    const numbers = world.record(program, 2);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
  }),

  scenario('a consumer that gets no key ends after 15 s', async (world) => {
    await world.start();
    world.faults.plan('buses.grant', 'hang', { times: 2 });
    await world.ok('session.create', { name: 's', output: OUT });
    const [consumer] = world.consumers;
    await world.until('it ended', () => !world.consumers.includes(consumer!), 16_000);
  }),

  scenario('a consumer whose daemon and keeper die before it has a key ends at once', async (world) => {
    await world.start();
    world.faults.plan('buses.grant', 'hang', { times: 2 });
    await world.ok('session.create', { name: 's', output: OUT });
    world.killKeeper();
    world.killDaemon();
    const time = await took(world, () => world.until('it ended', () => world.consumers.length === 0, 20_000));
    assert.ok(time < 100, `${time} ms`);
  }),

  ...(['buses.grant', 'consumer-ports.connect'] as const).map((port) =>
    scenario(`a consumer that is told to end while it waits for ${port} ends at once`, async (world) => {
      await world.start();
      world.faults.plan(port, 'hang');
      await world.ok('session.create', { name: 's', output: OUT });
      await world.until('it runs', () => world.consumers.length === 1, 1_000);
      await world.rest();
      const [consumer] = world.consumers;
      world.killDaemon();
      consumer!.terminate();
      await world.until('it ended', () => !world.consumers.includes(consumer!), 100);
    }),
  ),

  scenario('a consumer that joins too slowly ends by itself when nobody else ends it', async (world) => {
    await world.start();
    world.faults.plan('consumer-ports.connect', 'hang', { times: 1 });
    await world.ok('session.create', { name: 's', output: OUT });
    await world.until('it runs', () => world.consumers.length === 1, 1_000);
    world.killDaemon();
    const time = await took(world, () => world.until('it ended', () => world.consumers.length === 0, 60_000));
    assert.ok(time >= 29_000 && time <= 30_000, `${time} ms`);
  }),

  scenario('a new daemon while the consumer still joins: it takes the new key', async (world) => {
    await world.start();
    world.faults.plan('consumer-ports.connect', 4_000);
    await world.ok('session.create', { name: 's', output: OUT });
    await world.until('it runs', () => world.consumers.length === 1, 1_000);
    await world.restart();
    await world.ok('event.enable', { session: 's', pattern: '*' });
    await world.ok('session.start', { session: 's' });
    assert.ok(world.logged('key renewed'));
  }),

  scenario('a key that does not work is said; the consumer goes on with the one it has', async (world) => {
    const program = await recording(world);
    world.faults.plan('consumer-key.renew', 'fail');
    await world.restart();
    assert.ok(world.logged('the new key of the bus does not work'));
    await world.until('the program is taken back', () => program.synced === 1, 10_000);
    const numbers = world.record(program, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
  }),

  scenario('a consumer that gets no key of a daemon that died ends after 15 s', async (world) => {
    await world.start();
    world.faults.plan('buses.grant', 'hang');
    await world.ok('session.create', { name: 's', output: OUT });
    await world.until('it runs', () => world.consumers.length === 1, 1_000);
    world.killDaemon();
    const time = await took(world, () => world.until('it ended', () => world.consumers.length === 0, 60_000));
    assert.ok(time <= 15_000 && time > 14_000, `${time} ms`);
  }),

  scenario('a consumer that is told to end writes everything out, in 5 s at most', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 1);
    world.killDaemon();
    world.consumers[0]!.terminate();
    await world.until('it ended', () => world.consumers.length === 0, 100);
    holds(world, numbers);
    await world.start();
    await world.until('another one reads', () => world.consumers[0]?.readers.length === 1, 5_000);
    world.killDaemon();
    world.consumers[0]!.readers[0]!.stuck = true;
    world.consumers[0]!.terminate();
    const time = await took(world, () => world.until('it ended', () => world.consumers.length === 0, 60_000));
    assert.equal(time, 5_000);
  }),

  scenario('a consumer that is told to end and whose files take nothing ends with that word', async (world) => {
    const program = await recording(world);
    world.record(program, 1);
    const [consumer] = world.consumers;
    world.files.broken = 'ENOSPC';
    world.killDaemon();
    consumer!.terminate();
    await world.until('it ended', () => world.consumers.length === 0, 100);
    assert.equal(consumer!.refusal, 'output-full');
  }),

  scenario('a consumer that is told to end while a ring is on its way ends at once', async (world) => {
    await session(world);
    await up(world, 1_000);
    await world.ok('session.start', { session: 's' });
    world.consumers[0]!.link.dropNext = true;
    world.run().register();
    await world.until('the ring is awaited', () => world.consumers[0]!.parts.streams.all().length === 1, 1_000);
    const [consumer] = world.consumers;
    consumer!.terminate();
    const time = await took(world, () => world.until('it ended', () => !world.consumers.includes(consumer!), 60_000));
    assert.ok(time < 100, `${time} ms`);
  }),

  scenario('each new daemon renews the key of the consumer', async (world) => {
    await recording(world);
    for (let time = 1; time <= 2; time++) {
      await world.restart();
      await up(world, 5_000);
    }
    assert.equal(world.logs.filter((line) => line.includes('key renewed')).length, 2);
  }),
];

export const CONSUMER_PROCESSES: readonly Scenario[] = [...STREAMS, ...PROCESS];
