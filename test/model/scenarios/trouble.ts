/** Ports that fail or hang: every command is answered, nothing half-done stays promised, and what can be retried is. */
import assert from 'node:assert/strict';
import type { World } from '../../support/world/world.ts';
import { holds, life, OUT, recording, type Scenario, scenario, session, took } from './scenario.ts';

/** A daemon that cannot begin ends, and says why. */
const ends = async (world: World, why: string): Promise<void> => {
  const daemon = world.launch();
  await world.until('it ended', () => daemon.ended, 60_000);
  const { refusal } = daemon.root.getSnapshot().context;
  assert.equal(refusal?.code, why);
};

const begins = [
  ['native.lockFile', 'fail', 'internal'],
  ['keeper.hello', 'fail', 'internal'],
  ['keeper.hello', 'hang', 'timeout'],
  ['buses.open', 'fail', 'internal'],
  ['buses.open', 'hang', 'timeout'],
  ['disk.load', 'fail', 'internal'],
  ['disk.load', 'hang', 'timeout'],
  ['bus.serve', 'fail', 'internal'],
  ['bus.serve', 'hang', 'timeout'],
] as const;

export const BEGINNING: readonly Scenario[] = [
  ...begins.map(([port, trouble, why]) =>
    scenario(`a daemon whose ${port} ${trouble}s ends and says why`, async (world) => {
      world.faults.plan(port, trouble);
      await ends(world, why);
      await world.start();
      assert.ok(world.serving, 'the next one begins');
    }),
  ),

  scenario('a second daemon is refused; the first goes on', async (world) => {
    await session(world);
    const first = world.daemon!;
    await ends(world, 'daemon-running');
    world.daemon = first;
    assert.equal(world.lockHolder === null, false);
    await world.ok('session.start', { session: 's' });
  }),

  ...(['keeper.hello', 'buses.open'] as const).map((port) =>
    scenario(`a daemon that is told to end while it waits for ${port} ends at once`, async (world) => {
      world.faults.plan(port, 'hang');
      const daemon = world.launch();
      await world.advance(100);
      daemon.root.send({ type: 'ShutdownRequested' });
      await world.until('it ended', () => daemon.ended, 100);
      assert.equal(daemon.root.getSnapshot().context.refusal, null);
    }),
  ),

  scenario('a shutdown whose consumers do not answer, or fail, ends all the same', async (world) => {
    await recording(world);
    world.consumers[0]!.readers[0]!.stuck = true;
    await world.ok('daemon.shutdown');
    await world.until('the daemon ended', () => world.daemon!.ended, 10_000);
    assert.ok(world.logged('the shutdown took too long'));
  }),

  scenario('a shutdown that the keeper does not carry out ends all the same', async (world) => {
    await session(world);
    world.faults.plan('keeper.shutdown', 'fail');
    await world.ok('daemon.shutdown');
    await world.until('the daemon ended', () => world.daemon!.ended, 1_000);
    assert.ok(world.logged('the shutdown was not clean'));
  }),
];

const slow = (
  name: string,
  plan: (world: World) => void,
  command: 'start' | 'stop' | 'destroy' | 'create',
  code: string | null,
) =>
  scenario(name, async (world) => {
    await session(world);
    if (command === 'stop') await world.ok('session.start', { session: 's' });
    plan(world);
    const fields = command === 'create' ? { name: 'other', output: '/out/other' } : { session: 's' };
    const time = await took(world, async () => {
      const reply = await world.command(`session.${command}`, fields);
      assert.equal(reply.ok ? null : reply.fault.code, code);
    });
    assert.ok(time < 30_000, `${time} ms`);
  });

/** After a refused command the session is where it was, in memory and on disk, and works. */
const works = async (world: World): Promise<void> => {
  const program = await world.program();
  if (life(world) !== 'active') await world.ok('session.start', { session: 's' });
  const numbers = world.record(program, 2);
  await world.ok('session.stop', { session: 's' });
  holds(world, numbers);
};

const answered = (world: World) => world.document('s')!.answers.map(({ requestId }) => requestId);

const refusedWrites = (['start', 'stop', 'destroy'] as const).flatMap((command) =>
  (['fail', 'slow'] as const).map((trouble) =>
    scenario(`a ${command} that cannot be promised (disk ${trouble}) is refused and taken back`, async (world) => {
      await session(world);
      const active = command === 'stop';
      if (active) await world.ok('session.start', { session: 's' });
      const kept = answered(world);
      world.faults.plan('disk.write', trouble === 'slow' ? 7_000 : 'fail');
      const code = await world.refused(`session.${command}`, { session: 's' });
      assert.equal(code, trouble === 'slow' ? 'timeout' : 'internal');
      assert.equal(life(world), active ? 'active' : 'inactive');
      await world.advance(10_000);
      assert.equal(world.document('s')!.active, active);
      assert.equal(world.document('s')!.operation, null);
      assert.deepEqual(answered(world), kept, 'no other answer is kept for whoever asks again');
      await works(world);
    }),
  ),
);

export const WRITING: readonly Scenario[] = [
  ...refusedWrites,

  scenario('the destruction of an active session that cannot be promised leaves it active', async (world) => {
    for (const trouble of ['fail', 7_000] as const) {
      if (trouble === 'fail') await recording(world);
      world.faults.plan('disk.write', trouble);
      await world.refused('session.destroy', { session: 's' });
      assert.equal(life(world), 'active');
      await world.advance(10_000);
      assert.equal(world.document('s')!.active, true);
    }
    const numbers = world.record(world.applications[0]!, 2);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
  }),

  ...(['fail', 'hang'] as const).map((trouble) =>
    scenario(`a session whose document cannot be written (${trouble}) is not created`, async (world) => {
      await world.start();
      world.faults.plan('disk.write', trouble);
      await world.refused('session.create', { name: 's', output: OUT });
      assert.equal(await world.refused('session.show', { session: 's' }), 'session-not-found');
      await world.ok('session.create', { name: 's', output: OUT });
    }),
  ),

  ...(['fail', 'hang'] as const).map((trouble) =>
    slow(
      `a stop whose answer cannot be kept (disk ${trouble}) is answered all the same`,
      (world) => world.faults.plan('disk.write', trouble, { after: 1 }),
      'stop',
      null,
    ),
  ),

  ...(['fail', 'hang'] as const).map((trouble) =>
    scenario(`a change that cannot be written (disk ${trouble}) is refused, and nothing of it stays`, async (world) => {
      await session(world);
      world.faults.plan('disk.write', trouble === 'hang' ? 6_000 : 'fail');
      await world.refused('channel.enable', { session: 's', name: 'channel1' });
      await world.advance(5_000);
      assert.equal(await world.refused('channel.enable', { session: 's', name: 'channel0' }), 'channel-exists');
    }),
  ),

  scenario('a document that cannot be removed is said; the session is gone', async (world) => {
    await session(world);
    world.faults.plan('disk.remove', 'fail');
    await world.ok('session.destroy', { session: 's' });
    assert.ok(world.logged('not all of it was released'));
    assert.equal(life(world), 'none');
  }),

  scenario('a document whose removal hangs is said; the session is gone', async (world) => {
    await session(world);
    world.faults.plan('disk.remove', 'hang');
    const time = await took(world, () => world.ok('session.destroy', { session: 's' }));
    assert.ok(time >= 15_000 && time < 16_000);
    assert.equal(life(world), 'none');
  }),
];

export const STARTING: readonly Scenario[] = [
  scenario('a start without channel is refused', async (world) => {
    await world.start();
    await world.ok('session.create', { name: 's', output: OUT });
    assert.equal(await world.refused('session.start', { session: 's' }), 'no-channel');
    assert.equal(life(world), 'inactive');
  }),

  scenario('a start whose buffers the memory cannot hold is refused with the number', async (world) => {
    await session(world);
    world.memory = 1000;
    const reply = await world.command('session.start', { session: 's' });
    assert.equal(reply.ok ? null : reply.fault.code, 'not-enough-memory');
    assert.match(reply.ok ? '' : reply.fault.message, /4194304 bytes.*1000 are available/);
    world.memory = 1 << 30;
    await works(world);
  }),

  scenario('a start whose consumer cannot be started is refused in time', async (world) => {
    await world.start();
    world.faults.plan('keeper.spawn', 'fail', { times: 1000 });
    await world.ok('session.create', { name: 's', output: OUT });
    await world.ok('event.enable', { session: 's', pattern: '*' });
    const time = await took(world, async () => {
      assert.match(await world.refused('session.start', { session: 's' }), /timeout|consumer-failed|internal/);
    });
    assert.ok(time <= 20_000);
    assert.equal(life(world), 'inactive');
    world.faults.clear();
    await works(world);
  }),

  scenario('a start whose consumer comes up too late is refused in time', async (world) => {
    await world.start();
    world.faults.plan('consumer-ports.connect', 'hang', { times: 2 });
    await world.ok('session.create', { name: 's', output: OUT });
    await world.ok('event.enable', { session: 's', pattern: '*' });
    world.faults.plan('keeper.spawn', 'hang', { times: 3 });
    const time = await took(world, async () => {
      await world.refused('session.start', { session: 's' });
    });
    assert.ok(time <= 20_000, `${time}`);
    await world.advance(60_000);
    await works(world);
  }),

  scenario('a start whose output cannot be written is refused with its path', async (world) => {
    await session(world);
    world.faults.plan('consumer-ports.makeDirectory', new Error('permission denied'));
    assert.equal(await world.refused('session.start', { session: 's' }), 'output-not-writable');
    await works(world);
  }),

  scenario('a program whose rings cannot be made is degraded, until there is memory again', async (world) => {
    await session(world);
    await world.ok('session.start', { session: 's' });
    world.faults.plan('native.createRingSet', Object.assign(new Error('no memory'), { code: 'ENOMEM' }));
    const program = await world.program();
    assert.equal(world.record(program, 1).length, 0);
    assert.equal(world.published('channel', 'degraded').length, 1);
    await world.until('it is tried again', () => world.published('channel', 'recovered').length === 1, 15_000);
    const numbers = world.record(program, 1);
    assert.equal(numbers.length, 1);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
  }),

  scenario('one user takes so much and no more, whatever is asked at once; others have theirs', async (world) => {
    world.limits = { sessions: 2, triggers: 1, rules: 2 };
    await session(world);
    const created = await Promise.all(
      ['b', 'c', 'd'].map((name) => world.command('session.create', { name, output: `/out/${name}` })),
    );
    assert.deepEqual(
      created.map((reply) => (reply.ok ? 'ok' : reply.fault.code)),
      ['ok', 'too-many', 'too-many'],
    );
    await world.ok('session.create', { name: 'e', output: '/out/e' }, { who: 1001 });
    await world.ok('channel.enable', { session: 'b', name: 'ch' });
    const enable = (pattern: string) => world.command('event.enable', { session: 'b', channel: 'ch', pattern });
    const codes = (await Promise.all(['p:a', 'p:b', 'p:c'].map(enable))).map((reply) => (reply.ok ? 'ok' : reply.fault.code));
    assert.deepEqual(codes, ['ok', 'too-many', 'too-many'], 'the first session has one rule');
    await world.ok('event.disable', { session: 'b', channel: 'ch', pattern: 'p:a' });
    assert.ok((await enable('p:a')).ok, 'the same again is no further one');
    const trigger = {
      condition: { kind: 'session-rotation-finishes', session: 's' },
      actions: [{ kind: 'notify', rate: { kind: 'every', count: 1 } }],
    };
    await world.ok('trigger.add', { name: 't', ...trigger });
    assert.equal(await world.refused('trigger.add', { name: 'u', ...trigger }), 'too-many');
    await world.ok('trigger.remove', { name: 't' });
    await world.ok('trigger.add', { name: 'u', ...trigger });
    await world.ok('session.destroy', { session: 'b' });
    await world.ok('session.create', { name: 'b', output: '/out/b' });
  }),
];
