/** Triggers: what meets their conditions, what they do, and what goes wrong meanwhile. */
import assert from 'node:assert/strict';
import type { Body } from '../../../transport/bus.ts';
import type { World } from '../../support/world/world.ts';
import { life, recording, type Scenario, scenario, session, took } from './scenario.ts';

const EVERY = { kind: 'every', count: 1 } as const;
const NOTIFY = { kind: 'notify', rate: EVERY } as const;
const RULE = { pattern: 'weft_test:*', logLevel: null, exclusions: [], filter: null };
const MATCHES = { kind: 'event-rule-matches', rule: RULE, captures: ['number'] } as const;

const add = (world: World, fields: Body = {}): Promise<Body> =>
  world.ok('trigger.add', { name: 't', condition: MATCHES, actions: [NOTIFY], ...fields });

const fired = (world: World) => world.published('trigger', 'fired').map(({ body }) => body);
const shown = async (world: World) =>
  (await world.ok('trigger.list')).triggers as { name: string; errors: object; occurrences: number }[];

/** A condition that is looked at: more than nothing waits in a ring. */
const FULL = {
  kind: 'channel-buffer-usage-ge',
  session: 's',
  channel: 'channel0',
  threshold: { bytes: 16 },
} as const;

const sampling = async (world: World, fields: Body = {}) => {
  const program = await recording(world);
  await add(world, { condition: FULL, ...fields });
  return program;
};

const CONDITIONS: readonly Scenario[] = [
  scenario('an event that matches is told, with what was captured', async (world) => {
    await world.start();
    const program = await world.program();
    await add(world);
    world.record(program, 1);
    await world.until('it is told', () => fired(world).length === 1, 1_000);
    const [body] = fired(world);
    assert.deepEqual(body!.captures, [1]);
    assert.equal((body!.cause as Body).event, 'weft_test:count');
    assert.equal((body!.cause as Body).pid, program.pid);
  }),

  scenario('a program that comes later is watched before its first event', async (world) => {
    await world.start();
    await add(world);
    const program = await world.program();
    world.record(program, 3);
    await world.until('all are told', () => fired(world).length === 3, 1_000);
    assert.deepEqual(
      fired(world).map(({ occurrence }) => occurrence),
      [1, 2, 3],
    );
  }),

  scenario('a ring that fills fires once until it was empty again', async (world) => {
    const program = await sampling(world);
    await world.advance(3_000);
    assert.equal(fired(world).length, 0);
    world.record(program, 2);
    await world.advance(5_000);
    assert.equal(fired(world).length, 1, 'it became full once');
    for (const reader of world.consumers[0]!.readers) reader.wake();
    await world.advance(3_000);
    world.record(program, 2);
    await world.advance(3_000);
    assert.equal(fired(world).length, 2);
  }),

  scenario('a condition on a session that is not there is not met, and harms nobody', async (world) => {
    await world.start();
    await add(world, { condition: { ...FULL, session: 'nowhere' } });
    await world.advance(5_000);
    assert.equal(fired(world).length, 0);
  }),
];

const MAP_ACTION = { kind: 'incr-map-value', session: 's', channel: 'm', key: '{event_name}' } as const;

/** Sums of the map's counters, by key. */
const counted = async (world: World): Promise<Record<string, number>> => {
  const { map } = (await world.ok('map.show', { session: 's', name: 'm' })) as {
    map: { keys: string[]; groups: { entries: [number | null, number, string, boolean][] }[] };
  };
  const entries = map.groups.flatMap((group) => group.entries);
  return Object.fromEntries(
    map.keys.map((key, at) => [key, entries.filter(([, one]) => one === at).reduce((sum, one) => sum + Number(one[2]), 0)]),
  );
};

const MAPS: readonly Scenario[] = [
  scenario('events are counted by the program itself, while the session is active and the trigger is there', async (world) => {
    const program = await recording(world);
    await world.ok('map.add', { session: 's', name: 'm' });
    await add(world, { actions: [MAP_ACTION] });
    await add(world, { name: 't2', actions: [MAP_ACTION] });
    world.record(program, 3);
    assert.deepEqual(await counted(world), { count: 3 });
    await world.ok('trigger.remove', { name: 't2' });
    world.record(program, 2);
    await world.ok('session.stop', { session: 's' });
    world.record(program, 4);
    assert.deepEqual(await counted(world), { count: 5 });
    await world.ok('session.clear', { session: 's' });
    assert.deepEqual(await counted(world), { count: 0 });
  }),

  scenario(
    'other conditions count in the daemon; a map channel that is not there is a failure of the action',
    async (world) => {
      await recording(world);
      await world.ok('map.add', { session: 's', name: 'm' });
      const condition = { kind: 'session-rotation-starts', session: 's' };
      const actions = [{ ...MAP_ACTION, key: 'rotations' }, { ...MAP_ACTION, channel: 'none', key: 'x' }, NOTIFY];
      await add(world, { condition, actions });
      await world.ok('session.rotate', { session: 's' });
      await world.until('it is told', () => fired(world).length === 1, 20_000);
      assert.deepEqual(await counted(world), { rotations: 1 });
      const { triggers } = (await world.ok('trigger.list')) as unknown as { triggers: { errors: { actions: number[] } }[] };
      assert.deepEqual(triggers[0]!.errors.actions, [0, 1, 0]);
    },
  ),
];

/** Whose the counters are: pids, `shared`, each with its sum. */
const owners = async (world: World): Promise<readonly (readonly [number | 'shared', number])[]> => {
  const { map } = (await world.ok('map.show', { session: 's', name: 'm' })) as {
    map: { groups: { process: { pid: number } | null; entries: [number | null, number, string, boolean][] }[] };
  };
  return map.groups.map(({ process, entries }) => [
    process?.pid ?? 'shared',
    entries.reduce((sum, [, , value]) => sum + Number(value), 0),
  ]);
};

const PROCESSES: readonly Scenario[] = [
  scenario('counters per process: what a dead one counted is shared, however often the daemon died', async (world) => {
    const program = await recording(world);
    await world.ok('map.add', { session: 's', name: 'm', ownership: 'process' });
    await add(world, { actions: [MAP_ACTION] });
    const other = await world.program();
    world.record(program, 3);
    world.record(other, 2);
    assert.deepEqual(await owners(world), [
      [program.pid, 3],
      [other.pid, 2],
      ['shared', 0],
    ]);
    await world.restart();
    await world.until('both are taken back', () => program.synced === 1 && other.synced === 1, 10_000);
    world.record(program, 1);
    assert.deepEqual(await counted(world), { count: 6 });
    program.exit();
    await world.advance(100);
    assert.deepEqual(await owners(world), [
      [other.pid, 2],
      ['shared', 4],
    ]);
    other.exit();
    await world.restart();
    await world.advance(15_000);
    assert.deepEqual(await owners(world), [['shared', 6]]);
  }),

  scenario('counters per process that are dropped with it; a policy without processes is refused', async (world) => {
    const program = await recording(world);
    await world.ok('map.add', { session: 's', name: 'm', ownership: 'process', deadProcesses: 'drop' });
    await add(world, { actions: [MAP_ACTION] });
    world.record(program, 3);
    assert.deepEqual(await counted(world), { count: 3 });
    program.exit();
    await world.advance(100);
    assert.deepEqual(await owners(world), [['shared', 0]]);
    const refused = await world.ask('map.add', { session: 's', deadProcesses: 'drop' });
    assert.equal(refused.ok ? null : refused.fault.code, 'map-invalid');
  }),
];

const ROTATIONS: readonly Scenario[] = [
  scenario('a rotation that starts and one that finished are told, and a trigger can rotate', async (world) => {
    const program = await recording(world);
    await add(world, { name: 'starts', condition: { kind: 'session-rotation-starts', session: 's' } });
    await add(world, { name: 'finishes', condition: { kind: 'session-rotation-finishes', session: 's' } });
    await add(world, { name: 'rotates', actions: [{ kind: 'rotate-session', session: 's', rate: EVERY }] });
    world.record(program, 1);
    await world.until('both are told', () => fired(world).length === 2, 30_000);
    assert.deepEqual(
      fired(world).map(({ trigger }) => trigger),
      ['starts', 'finishes'],
    );
    assert.equal(world.published('session', 'rotated').length, 1);
  }),
];

const ACTIONS: readonly Scenario[] = [
  scenario('rate policies: every third time, and once after two', async (world) => {
    await world.start();
    const program = await world.program();
    await add(world, { name: 'third', actions: [{ kind: 'notify', rate: { kind: 'every', count: 3 } }] });
    await add(world, { name: 'once', actions: [{ kind: 'notify', rate: { kind: 'once-after', count: 2 } }] });
    world.record(program, 7);
    await world.until('they counted', () => fired(world).length === 3, 2_000);
    const told = (name: string) => fired(world).filter(({ trigger }) => trigger === name);
    assert.deepEqual(
      told('third').map(({ occurrence }) => occurrence),
      [3, 6],
    );
    assert.deepEqual(
      told('once').map(({ occurrence }) => occurrence),
      [2],
    );
  }),

  scenario('a trigger stops a session, in order with its other actions; a second time it is stopped already', async (world) => {
    const program = await recording(world);
    await add(world, { actions: [{ kind: 'stop-session', session: 's', rate: EVERY }, NOTIFY] });
    world.record(program, 1);
    await world.until('it is told', () => fired(world).length === 1, 20_000);
    assert.equal(life(world), 'inactive');
    world.record(program, 1);
    await world.until('it is told again', () => fired(world).length === 2, 20_000);
    assert.deepEqual((await shown(world))[0]!.errors, { condition: 0, actions: [0, 0] });
  }),

  scenario('an action that fails is counted, and the others run', async (world) => {
    await world.start();
    const program = await world.program();
    await add(world, { actions: [{ kind: 'start-session', session: 'nowhere', rate: EVERY }, NOTIFY] });
    world.record(program, 1);
    await world.until('it is told', () => fired(world).length === 1, 5_000);
    assert.deepEqual((await shown(world))[0]!.errors, { condition: 0, actions: [1, 0] });
  }),

  scenario('more occurrences than can wait are counted', async (world) => {
    const program = await recording(world);
    await add(world, { actions: [{ kind: 'stop-session', session: 's', rate: { kind: 'once-after', count: 1 } }, NOTIFY] });
    program.deaf = true; // the stop takes its time
    world.record(program, 150);
    await world.until('all that could wait are told', () => fired(world).length === 100, 120_000);
    assert.equal(fired(world).at(-1)!.dropped, 50);
  }),

  scenario('actions that take too long are given up, and the next occurrence acts', async (world) => {
    await session(world);
    const program = await world.program();
    const start = { kind: 'start-session', session: 's', rate: { kind: 'once-after', count: 1 } } as const;
    await add(world, { actions: [...Array.from({ length: 10 }, () => start), NOTIFY] });
    world.faults.plan('keeper.deposit', 'hang', { times: 100 });
    world.record(program, 1);
    await world.advance(125_000);
    assert.equal(fired(world).length, 0);
    assert.ok(world.logged('its actions took too long'));
    world.faults.clear();
    world.record(program, 1);
    await world.until('it is told', () => fired(world).length > 0, 60_000);
  }),

  scenario('actions that break leave the trigger armed', async (world) => {
    await world.start();
    const program = await world.program();
    await add(world);
    world.faults.plan('bus.publish', 'fail');
    world.record(program, 1);
    await world.advance(100);
    assert.equal(fired(world).length, 0);
    world.record(program, 1);
    await world.until('the next one is told', () => fired(world).length === 1, 1_000);
  }),
];

const ADDING: readonly Scenario[] = [
  scenario('names are given, and refused when they are taken', async (world) => {
    await world.start();
    const first = await world.ok('trigger.add', { condition: MATCHES, actions: [NOTIFY] });
    assert.equal((first.trigger as { name: string }).name, 'trigger0');
    await add(world, { name: 'trigger1' });
    const third = await world.ok('trigger.add', { condition: MATCHES, actions: [NOTIFY] });
    assert.equal((third.trigger as { name: string }).name, 'trigger2');
    assert.equal(
      await world.refused('trigger.add', { name: 'trigger1', condition: MATCHES, actions: [NOTIFY] }),
      'trigger-exists',
    );
    const bad = { ...MATCHES, captures: ['a + b'] };
    assert.equal(await world.refused('trigger.add', { condition: bad, actions: [NOTIFY] }), 'trigger-invalid');
    const long = { ...MATCHES, rule: { ...RULE, pattern: 'x'.repeat(256) } };
    assert.equal(await world.refused('trigger.add', { condition: long, actions: [NOTIFY] }), 'trigger-invalid');
    assert.equal(await world.refused('trigger.remove', { name: 'nobody' }), 'trigger-not-found');
  }),

  ...(['fail', 'hang'] as const).map((trouble) =>
    scenario(`a trigger that cannot be written (${trouble}) is not there`, async (world) => {
      await world.start();
      world.faults.plan('disk.writeTrigger', trouble);
      await world.refused('trigger.add', { condition: MATCHES, actions: [NOTIFY] });
      assert.deepEqual(await shown(world), []);
      await world.ok('trigger.add', { name: 'trigger0', condition: MATCHES, actions: [NOTIFY] });
    }),
  ),

  scenario('a program that refuses to watch, or does not answer, keeps no trigger from being added', async (world) => {
    await world.start();
    const program = await world.program();
    program.errors.set('watch', 22);
    const quick = await took(world, () => add(world));
    assert.ok(quick < 1_000);
    program.deaf = true;
    const slow = await took(world, () => add(world, { name: 'late' }));
    assert.ok(slow >= 3_000 && slow < 4_000, `${slow} ms`);
    assert.equal((await shown(world)).length, 2);
  }),

  ...(['fail', 'hang'] as const).map((trouble) =>
    scenario(`a trigger whose document does not go (${trouble}) is removed all the same`, async (world) => {
      await world.start();
      await add(world);
      world.faults.plan('disk.removeTrigger', trouble);
      await world.ok('trigger.remove', { name: 't' });
      assert.deepEqual(await shown(world), []);
    }),
  ),

  scenario('a removed trigger is told of nothing more', async (world) => {
    await world.start();
    const program = await world.program();
    await add(world);
    await world.ok('trigger.remove', { name: 't' });
    world.record(program, 3);
    await world.advance(1_000);
    assert.equal(fired(world).length, 0);
    assert.equal(world.triggers.size, 0);
    assert.deepEqual(Object.keys(world.daemon!.root.getSnapshot().context.triggers), []);
  }),

  scenario('a trigger is removed while it acts', async (world) => {
    await session(world);
    const program = await world.program();
    await add(world, { actions: [{ kind: 'start-session', session: 's', rate: EVERY }, NOTIFY] });
    world.faults.plan('keeper.deposit', 'hang', { times: 100 });
    world.record(program, 1);
    await world.advance(100);
    const time = await took(world, () => world.ok('trigger.remove', { name: 't' }));
    assert.ok(time < 1_000, `${time} ms`);
    assert.deepEqual(await shown(world), []);
  }),

  scenario('a trigger is removed while it is being added, and twice at once', async (world) => {
    await world.start();
    const program = await world.program();
    program.deaf = true; // arming takes its time
    const added = add(world);
    const removed = world.ok('trigger.remove', { name: 't' });
    const again = world.refused('trigger.remove', { name: 't' });
    const time = await took(world, async () => {
      await Promise.all([added, removed]);
      assert.equal(await again, 'trigger-not-found');
    });
    assert.ok(time < 10_000, `${time} ms`);
    assert.deepEqual(await shown(world), []);
  }),

  scenario('triggers outlive their daemon', async (world) => {
    await world.start();
    const program = await world.program();
    await add(world);
    await world.restart();
    await world.until('the program is taken back', () => program.synced === 1, 10_000);
    world.record(program, 1);
    await world.until('it is told', () => fired(world).length === 1, 1_000);
  }),

  ...(['fail', 'hang'] as const).map((trouble) =>
    scenario(`triggers that cannot be read (${trouble}) keep no daemon from serving`, async (world) => {
      world.faults.plan('disk.loadTriggers', trouble);
      await world.start();
      assert.deepEqual(await shown(world), []);
    }),
  ),

  scenario('a condition that cannot be looked at is looked at again', async (world) => {
    const program = await sampling(world);
    world.faults.plan('native.ringUsage', 'fail', { times: 2 });
    world.record(program, 2);
    await world.advance(4_000);
    assert.equal(fired(world).length, 1);
    assert.ok(world.logged('cannot be looked at'));
  }),
];

export const TRIGGERS: readonly Scenario[] = [...CONDITIONS, ...MAPS, ...PROCESSES, ...ROTATIONS, ...ACTIONS, ...ADDING];
