/** Sessions, channels, rules and programs when nothing breaks. */
import assert from 'node:assert/strict';
import { POINT } from '../../support/world/application.ts';
import { holds, life, OUT, recording, type Scenario, scenario, session, took } from './scenario.ts';

const other = { ...POINT, name: 'weft_other:count' };

export const RECORDING: readonly Scenario[] = [
  scenario('a program that registers with a started session is recorded', async (world) => {
    const program = await recording(world);
    const time = await took(world, () => world.program());
    assert.ok(time < 500, `${time} ms: no program waits longer than it must`);
    const numbers = world.record(program, 5);
    assert.equal(numbers.length, 5);
    const stopped = await world.ok('session.stop', { session: 's' });
    assert.deepEqual(stopped.stats, { recorded: 5, lost: 0 });
    holds(world, numbers);
    assert.equal(world.record(program, 1).length, 0, 'nothing is recorded after stop');
    for (const what of ['created', 'started', 'stopped']) assert.equal(world.published('session', what).length, 1, what);
    assert.equal(world.published('application', 'registered').length, 2);
  }),

  scenario('a channel of a name that objects of the language have is a channel like others', async (world) => {
    await session(world);
    for (const name of ['constructor', 'toString']) {
      await world.ok('channel.enable', { session: 's', name });
      await world.ok('channel.disable', { session: 's', name });
    }
    await world.rest();
    assert.equal(world.published('channel', 'disabled').length, 2);
  }),

  scenario('a program that runs already is recorded from start on', async (world) => {
    await session(world);
    const program = await world.program();
    assert.equal(world.record(program, 1).length, 0);
    await world.ok('session.start', { session: 's' });
    const numbers = world.record(program, 3);
    assert.equal(numbers.length, 3);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
  }),

  scenario('stop and start again go on in the same trace', async (world) => {
    const program = await recording(world);
    const first = world.record(program, 2);
    await world.ok('session.stop', { session: 's' });
    await world.ok('session.start', { session: 's' });
    const second = world.record(program, 2);
    await world.ok('session.stop', { session: 's' });
    holds(world, [...first, ...second]);
  }),

  scenario('destroy of an active session writes everything, forgets the session and ends the consumer', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 4);
    const gone = await world.ok('session.destroy', { session: 's' });
    assert.deepEqual(gone.stats, { recorded: 4, lost: 0 });
    holds(world, numbers);
    assert.equal(world.record(program, 1).length, 0);
    assert.equal(world.documents.size, 0);
    assert.equal(await world.refused('session.show', { session: 's' }), 'session-not-found');
    assert.deepEqual(Object.keys(world.daemon!.root.getSnapshot().context.sessions), []);
    await world.advance(5_000);
    assert.equal(world.consumers.length, 0, 'an owner without session needs no consumer');
    assert.equal([...world.keeper.deposits.keys()].length, 0, 'the rings were given back');
    assert.equal(world.published('session', 'destroyed').length, 1);
  }),

  scenario('destroy of a stopped session; its name is free again', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 1);
    await world.ok('session.stop', { session: 's' });
    await world.ok('session.destroy', { session: 's' });
    holds(world, numbers);
    await world.ok('session.create', { name: 's', output: '/out/again' });
    await world.ok('event.enable', { session: 's', pattern: '*' });
    await world.ok('session.start', { session: 's' });
    const again = world.record(program, 2);
    await world.ok('session.stop', { session: 's' });
    holds(world, again, '/out/again');
  }),

  scenario('a second start and a second stop are refused and change nothing', async (world) => {
    const program = await recording(world);
    assert.equal(await world.refused('session.start', { session: 's' }), 'already-started');
    const numbers = world.record(program, 1);
    await world.ok('session.stop', { session: 's' });
    assert.equal(await world.refused('session.stop', { session: 's' }), 'already-stopped');
    holds(world, numbers);
  }),

  scenario('rules that change while a session is active count at once for running programs', async (world) => {
    const program = await recording(world);
    await world.ok('event.disable', { session: 's', pattern: 'weft_test:*' });
    assert.equal(world.record(program, 1).length, 0);
    await world.ok('event.enable', { session: 's', pattern: 'weft_test:*' });
    const numbers = world.record(program, 2);
    assert.equal(numbers.length, 2);
    assert.equal(await world.refused('event.enable', { session: 's', pattern: 'weft_test:*' }), 'rule-exists');
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
  }),

  scenario('a disabled channel records nothing until it is enabled again, and says so', async (world) => {
    const program = await recording(world);
    await world.ok('channel.disable', { session: 's', name: 'channel0' });
    assert.equal(world.record(program, 1).length, 0);
    assert.equal(world.published('channel', 'disabled').length, 1);
    await world.ok('channel.enable', { session: 's', name: 'channel0' });
    assert.equal(world.record(program, 1).length, 1);
    assert.equal(world.published('channel', 'enabled').length, 1);
    assert.equal(world.published('channel', 'frozen').length, 1, 'said once, at the first start');
  }),

  scenario('a provider that is loaded later is recorded too', async (world) => {
    await session(world);
    await world.ok('event.enable', { session: 's', pattern: 'weft_other:*' });
    await world.ok('session.start', { session: 's' });
    const program = world.run({ points: [POINT, other] });
    program.connect();
    program.hello();
    program.describe([POINT], 0);
    program.ready(1);
    await world.until('the first provider is known', () => program.synced === 1, 10_000);
    program.describe([other], 1);
    program.ready(2);
    await world.until('the second provider is known', () => program.synced === 2, 10_000);
    assert.equal(program.record(7, 1), 1);
    program.forget(1);
    await world.rest();
    await world.ok('session.stop', { session: 's' });
    holds(world, [7]);
  }),

  scenario('per-process buffers: one trace per process, drained when it ends', async (world) => {
    const first = await recording(world, { ownership: 'process' });
    const second = await world.program();
    const numbers = [...world.record(first, 2), ...world.record(second, 2)];
    first.exit();
    await world.until('the first is drained', () => world.files.numbers(OUT).length === 2, 20_000);
    await world.rest();
    assert.equal(world.keeper.deposits.size, 2, 'one ring set is given back; the other and the consumer stay');
    assert.equal(world.consumers[0]!.parts.streams.all().length, 1);
    assert.equal(Object.keys(world.consumers[0]!.parts.root.getSnapshot().context.streams).length, 1);
    const document = world.document('s')!;
    const ref = world.daemon!.parts.session(document.id)!;
    assert.deepEqual(Object.keys(ref.getSnapshot().context.registries).length, 1, 'nothing of the first is left');
    const { stats } = await world.ok('session.stop', { session: 's' });
    assert.deepEqual(stats, { recorded: 4, lost: 0 });
    holds(world, numbers);
    assert.equal(new Set([...world.files.streams.keys()].map((path) => path.split('/').slice(0, -1).join('/'))).size, 2);
  }),

  scenario('programs with and without restartable sequences record side by side', async (world) => {
    const first = await recording(world);
    const second = await world.program({ rseq: false });
    second.rings()[0]!.locks.push(second.id);
    const numbers = [...world.record(first, 1), ...world.record(second, 1)];
    const lockRing = second.rings()[0]!;
    second.exit();
    await world.rest();
    assert.deepEqual(lockRing.locks, [], 'a dead program holds no lock');
    assert.equal(world.published('application', 'gone').length, 1);
    assert.deepEqual(Object.keys(world.daemon!.root.getSnapshot().context.applications).length, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
  }),

  scenario('trackers choose among programs, those that run and those that come', async (world) => {
    const [meant, other] = [await recording(world), await world.program()];
    await world.ok('tracker.track', { session: 's', attribute: 'vpid', values: [String(meant.pid)] });
    const first = world.record(meant, 3);
    assert.deepEqual([first.length, other.record(4)], [3, 0]);
    assert.equal((await world.program()).record(5), 0, 'one that comes is not meant');
    const second = world.record(meant, 2);
    assert.deepEqual([second.length, other.record(6)], [2, 0]);
    await world.ok('tracker.untrack', { session: 's', attribute: 'vpid', values: [String(meant.pid)] });
    assert.equal(meant.record(7), 0);
    await world.ok('tracker.track', { session: 's', attribute: 'vpid' });
    await world.ok('tracker.track', { session: 's', attribute: 'vuid', values: ['alice'] });
    const third = world.record(other, 2);
    assert.equal(
      await world.refused('tracker.track', { session: 's', attribute: 'vuid', values: ['bob'] }),
      'tracker-value-unknown',
    );
    await world.ok('session.stop', { session: 's' });
    assert.equal(third.length, 2);
    holds(world, [...first, ...second, ...third]);
  }),

  scenario('several rules of one channel that match one point give one record', async (world) => {
    const program = await recording(world);
    await world.ok('event.enable', { session: 's', pattern: '*' });
    assert.equal(program.record(1), 1);
  }),

  scenario('an inactive session records nothing of programs that come and go', async (world) => {
    await session(world);
    const program = await world.program();
    program.exit();
    await world.rest();
    assert.equal(life(world), 'inactive');
    assert.equal(world.document('s')!.registries.length, 0);
    assert.equal(await world.refused('session.stop', { session: 's' }), 'already-stopped');
  }),

  scenario('a channel that a restart finds disabled can be enabled, one that it finds frozen stays frozen', async (world) => {
    await recording(world);
    await world.ok('session.stop', { session: 's' });
    await world.ok('channel.disable', { session: 's', name: 'channel0' });
    await world.restart();
    world.events.length = 0;
    await world.ok('channel.enable', { session: 's', name: 'channel0' });
    assert.equal(world.published('channel', 'enabled').length, 1);
    assert.equal(world.published('channel', 'frozen').length, 0);
    assert.equal(await world.refused('channel.enable', { session: 's', name: 'new' }), 'channel-frozen');
    await world.ok('channel.disable', { session: 's', name: 'channel0' });
    assert.equal(world.published('channel', 'disabled').length, 1);
  }),

  scenario('a session of a restarted daemon freezes its channels at its first start', async (world) => {
    await session(world);
    await world.restart();
    await world.ok('session.start', { session: 's' });
    assert.equal(world.published('channel', 'frozen').length, 1);
  }),

  scenario('commands to one session wait for each other; the same request gets the same answer', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 3);
    const replies = Promise.all([
      world.ask('session.stop', { session: 's' }, { id: 'one' }),
      world.ask('session.start', { session: 's' }),
      world.ask('session.stop', { session: 's' }, { id: 'one' }),
    ]);
    let done = false;
    void replies.then(() => {
      done = true;
    });
    await world.until('all are answered', () => done, 10_000);
    const [stopped, started, again] = await replies;
    assert.equal(stopped.ok && started.ok, true);
    assert.deepEqual(again, stopped);
    assert.equal(life(world), 'active');
    holds(world, numbers);
  }),

  scenario('who watches sees the changes of the state charts until the lease ends', async (world) => {
    await session(world);
    await world.ok('inspect.watch', { leaseMs: 1_000 });
    await world.program();
    await world.ok('session.start', { session: 's' });
    const shown = world.events.filter(({ subject }) => subject.includes('.inspect.')).map(({ body }) => body.state);
    assert.ok(
      shown.some((state) => String(state).includes('recording')),
      'the rings record',
    );
    await world.ok('session.stop', { session: 's' });
    await world.advance(600);
    await world.ok('inspect.watch', { leaseMs: 1_000 });
    await world.advance(600);
    const seen = () => world.events.filter(({ subject }) => subject.includes('.inspect.')).length;
    const before = seen();
    await world.ok('session.start', { session: 's' });
    assert.ok(seen() > before, 'a renewed lease runs on');
    await world.advance(1_500);
    const after = seen();
    await world.ok('session.stop', { session: 's' });
    assert.equal(seen(), after, 'nothing is published when nobody watches');
  }),

  scenario('a shutdown writes everything out, ends the consumers and keeps the sessions', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 3);
    const begin = world.clock.now();
    await world.ok('daemon.shutdown');
    await world.until('the daemon ended', () => world.daemon!.ended, 20_000);
    assert.ok(world.clock.now() - begin < 1_000, 'a shutdown takes no longer than it must');
    assert.ok(world.keeper.shuttingDown);
    await world.advance(1_000);
    assert.equal(world.consumers.length, 0);
    holds(world, numbers);
    assert.equal(world.document('s')!.active, true);
  }),

  scenario('the plan of a stream is held, counted and appended as asked', async (world) => {
    const program = await recording(world);
    const [consumer] = world.consumers;
    const [reader] = consumer!.readers;
    const { id } = world.document('s')!;
    const plan = (word: string) =>
      world.connectBus().request('weft.v1.host.1000.consumer.1000.plan', { v: 1, id: 'x', session: id, plan: word }, 1_000);
    const lost = world.record(program, 1);
    assert.equal(reader!.plan, 'append');
    await plan('count');
    assert.equal(reader!.plan, 'count');
    reader!.wake();
    await plan('hold');
    assert.equal(reader!.plan, 'hold');
    const numbers = world.record(program, 2);
    reader!.wake();
    holds(world, []);
    await plan('append');
    assert.equal(lost.length, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
  }),
];
