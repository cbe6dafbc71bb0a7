/** Programs that say nothing, too much or nonsense, that do not answer, or answer with errors. */
import assert from 'node:assert/strict';
import { DESCRIPTIONS_MAX, POINTS_MAX } from '../../../actors/application.ts';
import { encodeWire } from '../../../actors/wire.ts';
import { POINT } from '../../support/world/application.ts';
import type { World } from '../../support/world/world.ts';
import { holds, life, recording, type Scenario, scenario, session, took } from './scenario.ts';

const thrownOut = (name: string, misbehave: (world: World) => Promise<ReturnType<World['run']>>) =>
  scenario(`a program that ${name} is thrown out with a word in the log; the others go on`, async (world) => {
    const good = await recording(world);
    const bad = await misbehave(world);
    await world.until('it is thrown out', () => bad.closed, 1_000);
    assert.ok(world.logged('application: malformed message'), 'the log says why');
    assert.equal(Object.keys(world.daemon!.root.getSnapshot().context.applications).length, 1);
    const numbers = world.record(good, 2);
    await world.ok('session.stop', { session: 's' });
    holds(world, numbers);
  });

const said = (bytes: (world: World) => Buffer) => async (world: World) => {
  const program = world.run();
  program.connect();
  program.hello();
  program.send(bytes(world));
  return program;
};

export const PROGRAMS: readonly Scenario[] = [
  scenario('programs that come and go leave no machine behind, nor a new name for one', async (world) => {
    const names = new Set<string>();
    world.inspectors.push(({ actorRef }) => {
      if ('id' in actorRef && /^(application|process|stream) /.test(String(actorRef.id))) names.add(String(actorRef.id));
    });
    await session(world, { ownership: 'process' });
    await world.ok('session.start', { session: 's' });
    const childrenOf = (root: { getSnapshot(): { children: object } }): number =>
      Object.keys(root.getSnapshot().children).length;
    const count = () => [
      childrenOf(world.daemon!.root),
      childrenOf(world.daemon!.parts.session(world.document('s')!.id)!),
      childrenOf(world.consumers[0]!.parts.root),
    ];
    const before = count();
    for (let round = 0; round < 5; round++) {
      const program = await world.program();
      world.record(program, 1);
      program.exit();
      await world.until(
        'its buffers are drained',
        () => world.document('s')!.registries.every((one) => one.ringSets.length === 0),
        60_000,
      );
      await world.rest();
    }
    assert.deepEqual(count(), before);
    assert.deepEqual([...names].sort(), ['application 1', 'process 1', 'stream 1']);
  }),

  thrownOut(
    'sends nonsense',
    said(() => Buffer.from('nonsense')),
  ),
  thrownOut(
    'speaks like a daemon',
    said(() => encodeWire('synced', { batch: 1, complete: true })),
  ),
  thrownOut(
    'says hello twice',
    said(() => encodeWire('hello', { abi: 1, pid: 1, bits: 64, rseq: true, reserved: null, procname: 'x', path: 'x' })),
  ),
  thrownOut(
    'takes back a point that it never declared',
    said(() => encodeWire('pointGone', { point: 7 })),
  ),
  thrownOut('asks for the memory of a ring that there is not', async (world) => {
    const program = await world.program();
    const handle = program.heard.flatMap((message) => (message.kind === 'attach' ? [message] : [])).at(-1)!;
    program.send(encodeWire('needMemory', { channel: handle.channel, cpu: handle.geometry.cpuCount }));
    return program;
  }),
  scenario('a program that meets a ring without memory gets it, or the log says why not', async (world) => {
    const program = await recording(world);
    const { channel } = program.heard.flatMap((message) => (message.kind === 'attach' ? [message] : [])).at(-1)!;
    const memory = program.rings()[0]!;
    program.send(encodeWire('needMemory', { channel, cpu: 1 }));
    program.send(encodeWire('needMemory', { channel: channel + 7, cpu: 1 })); // one that it was told to leave
    await world.until('the ring has memory', () => memory.allocated.length === 1, 100);
    world.faults.plan('native.allocateRing', Object.assign(new Error('short'), { code: 'ENOMEM' }));
    program.send(encodeWire('needMemory', { channel, cpu: 0 }));
    await world.until('the log says it', () => world.logged('a ring stays without memory'), 100);
    assert.deepEqual(memory.allocated, [1]);
  }),
  thrownOut('declares a point twice', async (world) => {
    const program = world.run();
    program.connect();
    program.hello();
    program.describe([POINT], 0);
    program.describe([POINT], 0);
    return program;
  }),
  thrownOut('declares more points than are allowed', async (world) => {
    const program = world.run();
    program.connect();
    program.hello();
    program.describe(
      Array.from({ length: POINTS_MAX + 1 }, () => ({ ...POINT, fields: [] })),
      0,
    );
    return program;
  }),
  thrownOut('describes its points at too great length', async (world) => {
    const program = world.run();
    program.connect();
    program.hello();
    const long = { ...POINT, modelEmfUri: 'x'.repeat(4096) };
    program.describe(
      Array.from({ length: Math.ceil(DESCRIPTIONS_MAX / 4096) }, () => long),
      0,
    );
    return program;
  }),
  thrownOut('speaks before it says hello', async (world) => {
    const program = world.run();
    program.connect();
    program.ready(1);
    return program;
  }),

  scenario('a program of another ABI is refused with the reason', async (world) => {
    await session(world);
    const program = world.run();
    program.connect();
    program.hello(99);
    await world.until('it is refused', () => program.closed, 1_000);
    assert.match(program.refused ?? '', /ABI 99/);
  }),

  scenario('a program that says nothing is let go after 5 s', async (world) => {
    await session(world);
    const program = world.run();
    const time = await took(world, async () => {
      program.connect();
      await world.until('it is let go', () => program.closed, 10_000);
    });
    assert.equal(time, 5_000);
    assert.ok(world.logged('it said nothing for 5 s'));
  }),

  scenario('a program that never ends describing itself is let go after 30 s', async (world) => {
    await session(world);
    const program = world.run();
    program.connect();
    program.hello();
    await world.until('it is welcome', () => program.id !== 0, 1_000);
    const time = await took(world, () => world.until('it is let go', () => program.closed, 40_000));
    assert.equal(time, 30_000);
  }),

  scenario('a program that does not answer delays a stop by 2 s, not more; what it recorded is there', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 2);
    program.deaf = true;
    const time = await took(world, () => world.ok('session.stop', { session: 's' }));
    assert.ok(time >= 2_000 && time < 2_500, `${time} ms`);
    assert.ok(world.logged('an application did not stop in time'));
    holds(world, numbers);
  }),

  scenario('a program that does not answer delays a destroy by 2 s, not more', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 2);
    program.deaf = true;
    const time = await took(world, () => world.ok('session.destroy', { session: 's' }));
    assert.ok(time >= 2_000 && time < 2_500, `${time} ms`);
    holds(world, numbers);
  }),

  scenario('a program that does not answer delays a change of rules by 2 s, not more', async (world) => {
    const program = await recording(world);
    program.deaf = true;
    const time = await took(world, () => world.ok('event.disable', { session: 's', pattern: 'weft_test:*' }));
    assert.ok(time >= 2_000 && time < 2_500, `${time} ms`);
    program.deaf = false;
    const time2 = await took(world, () => world.ok('event.enable', { session: 's', pattern: 'weft_test:*' }));
    assert.ok(time2 < 100, 'the next change is not delayed');
    assert.equal(world.record(program, 1).length, 1);
  }),

  scenario('a program that ends while others wait for its answer delays nobody', async (world) => {
    const program = await recording(world);
    const numbers = world.record(program, 1);
    program.deaf = true;
    let stopped = false;
    void world.ask('session.stop', { session: 's' }).then(() => {
      stopped = true;
    });
    await world.rest();
    assert.equal(stopped, false);
    const time = await took(world, async () => {
      program.exit();
      await world.until('it is stopped', () => stopped, 10_000);
    });
    assert.ok(time < 100);
    holds(world, numbers);
  }),

  ...(['stop', 'destroy'] as const).map((command) =>
    scenario(`a program that answers STOP with an error is said in the log of a ${command}`, async (world) => {
      const program = await recording(world);
      const numbers = world.record(program, 1);
      program.errors.set('stop', 22);
      const time = await took(world, () => world.ok(`session.${command}`, { session: 's' }));
      assert.ok(time < 100);
      assert.ok(world.logged('not every application stopped'));
      holds(world, numbers);
    }),
  ),

  scenario('a program that cannot map a ring keeps no session from starting, and is told again', async (world) => {
    await session(world);
    const program = await world.program();
    program.errors.set('attach', 12);
    await world.ok('session.start', { session: 's' });
    assert.ok(world.logged('answered attach with error 12'));
    program.errors.clear();
    await world.ok('event.enable', { session: 's', pattern: 'weft_*' });
    assert.equal(world.record(program, 1).length, 1);
  }),

  scenario('a program whose socket breaks during a start: the session is active, the log says it', async (world) => {
    await session(world);
    await world.program();
    world.faults.plan('socket.send', 'fail', { after: 3 });
    const time = await took(world, () => world.ok('session.start', { session: 's' }));
    assert.ok(time < 500);
    assert.equal(life(world), 'active');
    assert.ok(world.logged('not every application records'));
    assert.equal(world.published('channel', 'degraded').length, 1);
  }),

  scenario('a program whose socket breaks during a change: the change is made, the log says it', async (world) => {
    await recording(world);
    world.faults.plan('socket.send', 'fail');
    const time = await took(world, () => world.ok('event.disable', { session: 's', pattern: 'weft_test:*' }));
    assert.ok(time < 100);
    assert.ok(world.logged('not every application follows the change'));
  }),

  scenario('a program whose registration a session cannot carry out goes on at once', async (world) => {
    await session(world);
    await world.ok('session.start', { session: 's' });
    world.faults.plan('native.createRingSet', 'fail', { times: 2 });
    const program = world.run();
    program.register();
    await world.until('it goes on', () => program.synced === 1, 100);
    assert.ok(world.logged('a session could not attach it'));
    await world.until('it is attached later', () => program.complete, 10_000);
    assert.equal(world.record(program, 1).length, 1);
  }),

  scenario('a program waits at most 2 s for sessions that cannot attach it yet', async (world) => {
    await session(world);
    await world.ok('session.start', { session: 's' });
    world.faults.plan('disk.write', 4_000);
    const program = world.run();
    program.register();
    const time = await took(world, () => world.until('it goes on', () => program.synced === 1, 10_000));
    assert.ok(time >= 2_000 && time < 2_100);
    await world.until('it is attached later', () => world.record(program, 1).length === 1, 10_000);
  }),

  scenario('a provider that is loaded while its program waits is waited for too', async (world) => {
    await session(world);
    await world.ok('session.start', { session: 's' });
    world.faults.plan('disk.write', 1_000);
    const program = world.run({ points: [POINT, { ...POINT, name: 'weft_test:other' }] });
    program.connect();
    program.hello();
    program.describe([POINT], 0);
    program.ready(1);
    await world.advance(100);
    program.describe(program.points.slice(1), 1);
    program.ready(2);
    await world.until('it is synchronised', () => program.synced === 2, 10_000);
    assert.equal(program.record(1, 0), 1);
    assert.equal(program.record(2, 1), 1);
  }),
];
