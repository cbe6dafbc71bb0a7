/** kill -9 of the keeper, alone and with others: the memory of rings and maps is with whoever still has it. */
import assert from 'node:assert/strict';
import type { World } from '../../support/world/world.ts';
import { holds, OUT, recording, type Scenario, scenario, session } from './scenario.ts';

/** Maps by name and ownership, into which the world's programs count under the key `k`. Nothing is recorded but what `recorded` names. */
const counting = async (
  world: World,
  maps: readonly (readonly [string, 'user' | 'process'])[],
  recorded: string | null = null,
): Promise<void> => {
  await world.start();
  await world.ok('session.create', { name: 's', output: OUT });
  for (const [name, ownership] of maps) await world.ok('map.add', { session: 's', name, ownership });
  if (recorded !== null) await world.ok('event.enable', { session: 's', pattern: recorded });
  const rule = { pattern: 'weft_test:*', logLevel: null, exclusions: [], filter: null };
  const actions = maps.map(([channel]) => ({ kind: 'incr-map-value', session: 's', channel, key: 'k' }));
  await world.ok('trigger.add', { name: 't', condition: { kind: 'event-rule-matches', rule, captures: [] }, actions });
  await world.ok('session.start', { session: 's' });
};

export const KEEPERS: readonly Scenario[] = [
  scenario('kill -9 of the keeper: another one holds the rings, and the daemon may die after that', async (world) => {
    const program = await recording(world);
    const first = world.record(program, 2);
    world.killKeeper();
    await world.until('a keeper is back', () => world.logged('a keeper holds the rings again'), 10_000);
    assert.ok(world.logged('bus adopted'));
    const before = world.consumers[0];
    await world.restart();
    await world.until('the program is taken back', () => program.synced === 1, 10_000);
    assert.equal(world.consumers[0], before, 'the consumer lives on');
    const second = world.record(program, 2);
    await world.ok('session.stop', { session: 's' });
    holds(world, [...first, ...second]);
    assert.equal([...world.files.streams.keys()].length, 1, 'the trace is the same');
  }),

  scenario('a keeper that dies again and again is started again and again', async (world) => {
    await session(world);
    for (let time = 1; time <= 2; time++) {
      world.killKeeper();
      await world.until('a keeper is back', () => world.keeper.alive, 10_000);
      await world.rest();
    }
    await world.ok('session.start', { session: 's' });
  }),

  scenario('a keeper that dies while it is told of the rings is followed by another', async (world) => {
    const program = await recording(world);
    const told = world.faults.seen.get('keeper.deposit') ?? 0;
    world.faults.plan('keeper.deposit', 'hang');
    world.killKeeper();
    await world.until('the next one is told', () => (world.faults.seen.get('keeper.deposit') ?? 0) > told, 10_000);
    world.killKeeper();
    await world.until('a keeper holds the rings', () => world.logged('a keeper holds the rings again'), 10_000);
    assert.ok(world.logged('the keeper that was started is gone too'));
    const events = world.record(program, 2);
    await world.ok('session.stop', { session: 's' });
    holds(world, events);
  }),

  scenario('a keeper that cannot be started, or does not come up, is tried again', async (world) => {
    await session(world);
    world.faults.plan('keepers.startAnother', 'fail');
    world.killKeeper();
    await world.until('a keeper is back', () => world.keeper.alive, 3_000);
    assert.ok(world.logged('no keeper could be started'));
    await world.rest();
    world.faults.plan('keepers.startAnother', 'hang');
    world.killKeeper();
    await world.until('a keeper is back', () => world.keeper.alive, 15_000);
    assert.ok(world.logged('no keeper came up in time'));
  }),

  scenario(
    'daemon and keeper die together: the next ones take the rings from the consumer, and the trace goes on',
    async (world) => {
      const program = await recording(world);
      const [consumer] = world.consumers;
      const first = world.record(program, 2);
      world.killKeeper();
      world.killDaemon();
      await world.advance(60_000);
      const alone = world.record(program, 2);
      assert.ok(world.logged('daemon and keeper are gone; recording goes on'));
      world.startKeeper();
      await world.start();
      await world.until('the program is taken back', () => program.synced === 1, 10_000);
      await world.until('another consumer reads', () => world.consumers.some((one) => one !== consumer), 10_000);
      assert.ok(!world.consumers.includes(consumer!), 'two consumers read the same rings');
      const second = world.record(program, 2);
      await world.ok('session.stop', { session: 's' });
      holds(world, [...first, ...alone, ...second]);
      assert.equal(world.files.directories.size, 2, 'one output, one trace');
    },
  ),

  scenario(
    'daemon and keeper die together: counters of maps are with the consumer, whose programs live or not',
    async (world) => {
      await counting(world, [
        ['m', 'user'],
        ['p', 'process'],
        ['n', 'user'],
      ]);
      const [program, dead] = [await world.program(), await world.program()];
      world.record(program, 3);
      world.record(dead, 4);
      const [consumer] = world.consumers;
      world.killKeeper();
      world.killDaemon();
      dead.exit();
      await world.advance(60_000);
      world.record(program, 2);
      world.startKeeper();
      await world.start();
      await world.until('the program is taken back', () => program.synced === 1, 10_000);
      await world.until('another consumer holds those of the living', () => world.consumers[0]?.parts.maps.size === 3, 20_000);
      assert.ok(!world.consumers.includes(consumer!));
      world.record(program, 1);
      const counts = async (name: string): Promise<string[]> => {
        const { map } = (await world.ok('map.show', { session: 's', name })) as {
          map: { groups: { entries: [number | null, number, string, boolean][] }[] };
        };
        return map.groups.flatMap(({ entries }) => entries.map(([, , value]) => value));
      };
      assert.deepEqual(await counts('m'), ['10']);
      assert.deepEqual(await counts('p'), ['6', '4']);
      await world.ok('session.destroy', { session: 's' });
      await world.rest();
      assert.equal(world.consumers[0]?.parts.maps.size ?? 0, 0);
    },
  ),

  scenario('daemon, keeper and consumer die together: programs have the memory, and the trace goes on', async (world) => {
    await counting(world, [['m', 'user']], '*');
    const program = await world.program();
    const first = world.record(program, 2);
    world.killKeeper();
    world.killDaemon();
    world.killConsumer();
    const alone = world.record(program, 2);
    world.startKeeper();
    await world.start();
    await world.until('the program is taken back', () => program.synced === 1, 10_000);
    assert.ok(world.logged('the keeper had lost the memory of a ring'));
    const last = world.record(program, 2);
    await world.ok('session.stop', { session: 's' });
    holds(world, [...first, ...alone, ...last]);
    assert.ok(!world.logged('the rings of a trace are gone'));
    const { map } = (await world.ok('map.show', { session: 's', name: 'm' })) as {
      map: { groups: { entries: [number | null, number, string, boolean][] }[] };
    };
    assert.deepEqual(map.groups[0]!.entries[0]![2], '6');
  }),

  scenario(
    'daemon, keeper, consumer and the last program die together: a new trace begins, and nobody hides it',
    async (world) => {
      const dead = await recording(world);
      world.record(dead, 2);
      world.killKeeper();
      world.killDaemon();
      world.killConsumer();
      dead.exit();
      world.startKeeper();
      await world.start();
      const program = await world.program();
      assert.ok(world.logged('the rings of a trace are gone'));
      const second = world.record(program, 2);
      await world.ok('session.stop', { session: 's' });
      assert.deepEqual(world.files.numbers(`${OUT}/ust/uid/1000/64-bit-2`), second);
    },
  ),

  scenario('daemon and keeper die while a consumer holds no ring: it ends', async (world) => {
    await session(world);
    await world.until('it serves', () => world.consumers[0]?.state.includes('serving') === true, 5_000);
    world.killKeeper();
    world.killDaemon();
    await world.until('the consumer ended', () => world.consumers.length === 0, 5_000);
  }),

  scenario('daemon and keeper die while a consumer holds no map any more: it ends', async (world) => {
    await counting(world, [['m', 'process']]);
    const program = await world.program();
    const [consumer] = world.consumers;
    await world.until('it holds the map', () => consumer!.parts.maps.size === 1, 5_000);
    program.exit();
    await world.until('it is told', () => consumer!.parts.maps.size === 0, 5_000);
    await world.ok('session.stop', { session: 's' });
    world.killKeeper();
    world.killDaemon();
    await world.until('the consumer ended', () => world.consumers.length === 0, 10_000);
  }),

  scenario('daemon and keeper die while a consumer joins the bus: it ends', async (world) => {
    world.faults.plan('consumer-ports.connect', 'hang');
    await session(world);
    await world.until('it joins', () => world.consumers[0]?.state === '"joining"', 5_000);
    world.killKeeper();
    world.killDaemon();
    await world.until('the consumer ended', () => world.consumers.length === 0, 1_000);
  }),
];
