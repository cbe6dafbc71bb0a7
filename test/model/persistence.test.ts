/**
 * kill -9 of the daemon in every state of every machine of it: the next daemon brings every session to the state that its document
 * implies, programs go on recording, and what they recorded is in the trace once.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InspectionEvent } from 'xstate';
import type { SessionDocument } from '../../machines/document.ts';
import { declaredStates } from '../support/machine-transitions.ts';
import { World } from '../support/world/world.ts';
import { CONSUMER_PROCESSES } from './scenarios/consumer-processes.ts';
import { CONSUMERS } from './scenarios/consumers.ts';
import { PHASES } from './scenarios/fleet.ts';
import { KEEPERS } from './scenarios/keepers.ts';
import { NETWORK } from './scenarios/network.ts';
import { PROGRAMS } from './scenarios/programs.ts';
import { RECORDING } from './scenarios/recording.ts';
import { RECOVERY } from './scenarios/recovery.ts';
import { ROTATION } from './scenarios/rotation.ts';
import { life, type Scenario } from './scenarios/scenario.ts';
import { SNAPSHOTS } from './scenarios/snapshots.ts';
import { BEGINNING, STARTING, WRITING } from './scenarios/trouble.ts';

const DAEMON_MACHINES = ['session-daemon', 'session', 'channel', 'ring-registry', 'rotation', 'application', 'consumer'];

interface Node {
  readonly id: string;
  readonly type: string;
}

/** Ids of the innermost states that an actor is in. */
const statesIn = (event: InspectionEvent): string[] => {
  if (event.type !== '@xstate.snapshot' || !('_nodes' in event.snapshot)) return [];
  const nodes = event.snapshot._nodes as readonly Node[];
  return nodes.filter(({ type }) => type === 'atomic' || type === 'final').map(({ id }) => id);
};

/** Stories that throw events away on purpose, or that end with all power gone, prove nothing about loss. */
const tells = ({ name }: Scenario): boolean => !/plan of a stream|reboot/.test(name);
const STORIES = [
  ...RECORDING,
  ...WRITING,
  ...STARTING,
  ...PROGRAMS,
  ...CONSUMERS,
  ...CONSUMER_PROCESSES,
  ...RECOVERY,
  ...KEEPERS,
  ...ROTATION,
  ...SNAPSHOTS,
  ...BEGINNING,
  ...PHASES,
  ...NETWORK,
].filter(tells);

const wanted = declaredStates()
  .filter(({ machine, config }) => DAEMON_MACHINES.includes(machine) && config.states === undefined)
  .map(({ id }) => id);

/** The first story that comes to each state. */
const firstStories = async (): Promise<ReadonlyMap<string, Scenario>> => {
  const first = new Map<string, Scenario>();
  for (const story of STORIES) {
    const world = new World((event) => {
      for (const state of statesIn(event)) if (!first.has(state)) first.set(state, story);
    });
    await story.run(world);
    world.end();
  }
  return first;
};

/** Tells the story until the daemon comes to `state`, and kills it there: nothing that it was about to do happens. */
const killIn = async (state: string, story: Scenario): Promise<World> => {
  let killed = false;
  const world: World = new World((event) => {
    if (killed || !statesIn(event).includes(state)) return;
    killed = true;
    if (world.daemon) world.daemon.life.alive = false;
    world.broken = new Error('killed');
  });
  await story.run(world).catch((thrown) => {
    if (!killed) throw thrown;
  });
  assert.ok(killed, `${story.name} did not come to ${state}`);
  return world;
};

const mend = (world: World): void => {
  world.broken = null;
  world.faults.clear();
  world.files.broken = null;
  world.memory = 1 << 30;
  world.fabric.restore();
  if (!world.keeper.alive) world.startKeeper();
  for (const program of world.applications) {
    program.deaf = false;
    program.errors.clear();
  }
  for (const reader of world.consumers.flatMap(({ readers }) => readers)) reader.stuck = false;
};

/** Every session is where its document says, with nothing left to do. */
const settled = (world: World): boolean =>
  [...world.documents.values()].every((text) => {
    const { name, active, operation, rotation } = JSON.parse(text) as SessionDocument;
    return operation === null && rotation === null && life(world, name) === (active ? 'active' : 'inactive');
  });

const recovers = async (world: World): Promise<void> => {
  mend(world);
  world.killDaemon();
  await world.advance(1);
  await world.start();
  await world.until('every session is where its document says', () => settled(world), 120_000);
  const known = world.applications.filter((program) => program.id !== 0 && !program.closed);
  await world.until('programs are taken back', () => known.every(({ synced, closed }) => synced > 0 || closed), 60_000);
  await world.advance(30_000);
  for (const text of world.documents.values()) await goesOn(world, JSON.parse(text) as { name: string; active: boolean });
  assert.deepEqual(world.crashes, []);
};

/** It can be started, recorded into and stopped, and its trace has everything once. */
const goesOn = async (world: World, { name, active }: { name: string; active: boolean }): Promise<void> => {
  const shown = (await world.ok('session.show', { session: name })) as { session: { channels: unknown[]; output: string } };
  if (shown.session.channels.length === 0) return;
  await world.command('channel.enable', { session: name, name: 'channel0' });
  await world.command('event.enable', { session: name, pattern: 'weft_test:*' });
  if (!active) await world.ok('session.start', { session: name });
  const program = await world.program();
  const numbers = world.record(program, 2);
  assert.equal(numbers.length, 2);
  await world.ok('session.stop', { session: name });
  const kept = () => world.ok('snapshot.record', { session: name, path: '/kept' });
  const files = world.files.numbers(shown.session.output || String((await kept()).path));
  assert.equal(new Set(files).size, files.length, 'nothing twice');
  const recorded = world.applications.flatMap((one) => one.recorded);
  assert.deepEqual(
    recorded.filter((number) => !world.files.numbers('').includes(number)),
    [],
    'nothing lost',
  );
  assert.deepEqual(world.files.unreadable, []);
};

const first = await firstStories();

test('the stories come to every state of the daemon in which it rests', () => {
  // Delivered is what the document says is archived already.
  const passing = /\.(choosing|refused|delivering)$/;
  assert.deepEqual(
    wanted.filter((state) => !first.has(state) && !passing.test(state)),
    [],
  );
});

for (const state of wanted.filter((one) => first.has(one) && !/\.delivering$/.test(one))) {
  const story = first.get(state)!;
  test(`killed in ${state} (${story.name}), the daemon recovers`, async () => {
    const world = await killIn(state, story);
    await recovers(world);
    world.end();
  });
}
