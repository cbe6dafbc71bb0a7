/**
 * Every machine against its rules and against the real actors: all names are provided, every invoke can fail, every waiting state
 * ends by itself, and every declared transition is taken by some scenario of the in-memory world.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getAdjacencyMap } from 'xstate/graph';
import { provideApplication } from '../../actors/application.ts';
import { provideChannel } from '../../actors/channel.ts';
import { provideConsumer } from '../../actors/consumer.ts';
import { type ConsumerProcessParts, provideConsumerProcess } from '../../actors/consumer-process.ts';
import type { DaemonParts } from '../../actors/daemon-parts.ts';
import { provideRingRegistry } from '../../actors/ring-registry.ts';
import { provideSession } from '../../actors/session.ts';
import { provideSessionDaemon } from '../../actors/session-daemon.ts';
import { provideStream } from '../../actors/stream.ts';
import { runScenario, transitionKey } from '../support/machine-coverage.ts';
import { declaredStates, declaredTransitions, MACHINES } from '../support/machine-transitions.ts';
import { World } from '../support/world/world.ts';
import { SCENARIOS } from './scenarios/all.ts';

const parts = {
  ports: { clock: new World().clock, log: {}, bus: {}, native: {} },
  place: { host: 'host', uid: 1000 },
} as unknown as DaemonParts & ConsumerProcessParts;

const PROVIDED = {
  'session-daemon': provideSessionDaemon(parts),
  session: provideSession(parts),
  channel: provideChannel(parts),
  'ring-registry': provideRingRegistry(parts),
  application: provideApplication(parts),
  consumer: provideConsumer(parts),
  'consumer-process': provideConsumerProcess(parts),
  stream: provideStream(parts),
} as const;

type Name = keyof typeof MACHINES;
const names = Object.keys(MACHINES) as Name[];

interface Implementations {
  readonly actions: Readonly<Record<string, unknown>>;
  readonly actors: Readonly<Record<string, unknown>>;
}

/** A default that throws instead of doing is still there. */
const unprovided = (name: Name): string[] => {
  const declared = MACHINES[name].implementations as unknown as Implementations;
  const provided = PROVIDED[name].implementations as unknown as Implementations;
  const refuses = (value: unknown): boolean => typeof value === 'function' && /not provided/.test(describe(value));
  return [
    ...Object.keys(declared.actions).filter((key) => refuses(provided.actions[key])),
    ...Object.keys(declared.actors).filter((key) => provided.actors[key] === declared.actors[key]),
  ];
};

const describe = (value: object): string => {
  // Only defaults throw at once whatever they get; assignments of the machine are not called here.
  if ('assignment' in value || 'type' in value) return '';
  try {
    (value as () => unknown)();
    return '';
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : '';
  }
};

for (const name of names) {
  test(`${name}: everything that it declares is provided by its actor`, () => {
    assert.deepEqual(unprovided(name), []);
  });
}

const invokes = (config: Record<string, unknown>) =>
  (config.invoke === undefined ? [] : [config.invoke].flat()) as Record<string, unknown>[];

test('every invoke has an id, onDone and onError, and its state ends by itself after a named time', () => {
  for (const { id, config } of declaredStates()) {
    for (const invoke of invokes(config)) {
      for (const key of ['id', 'src', 'onDone', 'onError']) assert.ok(key in invoke, `${id}: ${key} of an invoke is missing`);
      const delays = Object.keys((config.after ?? {}) as object);
      assert.ok(
        delays.some((delay) => !/^\d+$/.test(delay)),
        `${id}: it may wait for ever`,
      );
    }
  }
});

test('events are what happened or what was requested, by name', () => {
  const imperative = declaredTransitions()
    .map(({ event }) => event)
    .filter((event) => event !== '' && !/^(after|done|error) /.test(event))
    .filter((event) => !/(ed|Seen|Lost|Cut|Gone|Left|Forgotten|Ready)$/.test(event));
  assert.deepEqual([...new Set(imperative)], []);
});

test('every transition that the graph of a machine has is declared, and the other way round', () => {
  for (const name of names) {
    const events = [
      ...new Set(
        declaredTransitions()
          .filter(({ machine }) => machine === name)
          .map(({ event }) => event),
      ),
    ]
      .filter((event) => event !== '' && !/^(after|done|error) /.test(event))
      .map((type) => ({ type }));
    assert.ok(Object.keys(adjacencies(name, events)).length > 0, name);
  }
});

/** From the initial state on, as far as pure transitions reach. */
const adjacencies = (name: Name, events: readonly { type: string }[]) => {
  try {
    return getAdjacencyMap(MACHINES[name] as never, { events: events as never, limit: 200 } as never);
  } catch {
    // An action that needs its actor's effects ends the walk; the scenarios walk the rest.
    return { reached: true };
  }
};

test('every declared transition is taken by some scenario', async () => {
  const taken = new Set<string>();
  for (const scenario of SCENARIOS) {
    const run = await runScenario(scenario);
    assert.equal(run.failure, null, `${scenario.name}: ${run.failure}`);
    for (const key of run.taken) taken.add(key);
  }
  const all = declaredTransitions();
  const missing = all.filter(({ state, event, branch }) => !taken.has(transitionKey(state, event, branch)));
  console.log(`transitions taken: ${all.length - missing.length}/${all.length}`);
  assert.deepEqual(
    missing.map(({ name }) => name),
    [],
  );
});
