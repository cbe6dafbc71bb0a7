/**
 * Every machine against its rules and against the real actors: all names are provided, every invoke can fail, every waiting state
 * ends by itself, and every declared transition is taken by some scenario of the in-memory world.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AnyStateMachine, type EventObject, fromPromise } from 'xstate';
import { getAdjacencyMap } from 'xstate/graph';
import { provideApplication } from '../../actors/application.ts';
import { provideChannel } from '../../actors/channel.ts';
import { type ClockOffsetParts, provideClockOffset } from '../../actors/clock-offset.ts';
import { provideConsumer } from '../../actors/consumer.ts';
import { type ConsumerProcessParts, provideConsumerProcess } from '../../actors/consumer-process.ts';
import type { DaemonParts } from '../../actors/daemon-parts.ts';
import { provideFleetMember, provideHost, provideLease } from '../../actors/fleet-member.ts';
import { provideFleetOperation } from '../../actors/fleet-operation.ts';
import { provideFleetSession } from '../../actors/fleet-sessions.ts';
import { provideFreeze } from '../../actors/freeze.ts';
import { provideLink } from '../../actors/link.ts';
import { provideRelay, provideRelayLink, provideViewer } from '../../actors/relay.ts';
import type { RelayParts } from '../../actors/relay-parts.ts';
import { provideRingRegistry } from '../../actors/ring-registry.ts';
import { provideRotation } from '../../actors/rotation.ts';
import { provideSession } from '../../actors/session.ts';
import { provideSessionDaemon } from '../../actors/session-daemon.ts';
import { provideStream } from '../../actors/stream.ts';
import { provideTrigger } from '../../actors/trigger.ts';
import { entriesOf, type Roll } from '../../machines/fleet-roll.ts';
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
  rotation: provideRotation(parts),
  application: provideApplication(parts),
  consumer: provideConsumer(parts),
  'consumer-process': provideConsumerProcess(parts),
  stream: provideStream(parts),
  link: provideLink(parts),
  freeze: provideFreeze(parts),
  trigger: provideTrigger(parts),
  'clock-offset': provideClockOffset({} as ClockOffsetParts),
  relay: provideRelay(parts as unknown as RelayParts),
  'relay-link': provideRelayLink(parts as unknown as RelayParts),
  viewer: provideViewer(parts as unknown as RelayParts),
  'fleet-member': provideFleetMember(parts),
  'fleet-operation': provideFleetOperation({} as never, { send: () => {} }),
  'fleet-session': provideFleetSession(parts),
  host: provideHost(parts),
  lease: provideLease(parts),
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

/** The machine alone: actions do nothing, invoked actors never end by themselves; the walk says what they answer. */
const alone = (name: Name): AnyStateMachine => {
  const machine = MACHINES[name] as unknown as AnyStateMachine;
  const { actions, actors } = machine.implementations as unknown as Implementations;
  const never = fromPromise(() => new Promise(() => {}));
  const silent = Object.entries(actions).filter(([, action]) => describe(action as object) !== '');
  const unended = Object.entries(actors).filter(([, actor]) => !(actor as { root?: unknown }).root);
  return machine.provide({
    actions: Object.fromEntries(silent.map(([key]) => [key, () => {}])),
    actors: Object.fromEntries(unended.map(([key]) => [key, never])),
  } as never);
};

/** One event of every kind that a machine can hear, with every payload that a guard asks about. */
const PAYLOADS: readonly Record<string, unknown>[] = [
  {
    plan: 'hold',
    cpu: 0,
    full: true,
    follows: true,
    outstanding: true,
    implied: 'destroying',
    recording: true,
    pass: 1,
    requestId: 'r',
    edit: { kind: 'x' },
  },
  {
    plan: 'count',
    cpu: 0,
    met: true,
    known: true,
    accepted: true,
    implied: 'stopping',
    recording: false,
    pass: 1,
    requestId: 'r',
    edit: { kind: 'x' },
  },
  { plan: 'append', cpu: 0, implied: 'active', pass: 2, requestId: 'r', edit: { kind: 'x' } },
  { plan: 'append', cpu: 0, implied: 'inactive', pass: 2, requestId: 'r', edit: { kind: 'x' } },
];

/** What a clock's guard looks at. */
const EXCHANGE = { askedNs: 0n, heardNs: 0n, answeredNs: 0n, receivedNs: 0n };

const INPUTS: Readonly<Record<Name, unknown>> = {
  'session-daemon': undefined,
  session: { sessionId: 's', name: 's', requestId: null },
  channel: { sessionId: 's', name: 'c', enabled: true, frozen: false },
  'ring-registry': { sessionId: 's', scopeKey: 'uid-1', scope: { kind: 'user', uid: 1 } },
  rotation: { sessionId: 's', name: 's' },
  application: { application: 1 },
  consumer: { uid: 1, gid: 1 },
  'consumer-process': undefined,
  stream: { ringId: 'r', plan: 'append', cpuCount: 1 },
  link: { sessionId: 's' },
  freeze: { sessionId: 's' },
  'fleet-member': undefined,
  'fleet-operation': { selector: '', twoPhase: true, all: false, stallMs: 1 },
  'fleet-session': undefined,
  host: { host: 'h' },
  lease: { operation: 'o', session: 's', command: 'session.start', leaseMs: 10_000 },
  'clock-offset': { host: 'web-1' },
  trigger: { triggerId: 't', sampled: true, periodMs: 1_000, requestId: null },
  relay: undefined,
  'relay-link': { opening: 'o' },
  viewer: { viewer: 'v' },
};

/** What invoked actors answer, where it is looked at. */
const OUTPUTS: Partial<Readonly<Record<Name, unknown>>> = {
  'session-daemon': [],
  'fleet-session': 1_000,
  'fleet-operation': ['h', 'i'].map((host) => ({ host, reachable: true })),
};

/** Events that make children: the walk stays within one machine. */
const SPAWNING =
  /^(OpenRequested|ViewerConnected|CreateRequested|ConsumerNeeded|OwnerLeft|Application(Connected|Gone|Changed)|Session\w+|Scope\w+|ChannelSeen|(Stream|Link)(Requested|Drained|Ended)|Trigger\w+|Freeze\w+|FleetJoined|Beat\w+|Host\w+|Lease\w+)$/;

const PARENTS: readonly Name[] = ['session-daemon', 'session', 'consumer-process', 'relay', 'fleet-member'];

const eventsOf = (name: Name): EventObject[] =>
  declaredTransitions()
    .filter(({ machine, event }) => machine === name && event !== '' && !(PARENTS.includes(name) && SPAWNING.test(event)))
    .flatMap(({ event, state }) => {
      const type = event
        .replace(/^after (.*)$/, `xstate.after.$1.${state}`)
        .replace(/^(done|error) (.*)$/, 'xstate.$1.actor.$2');
      const failing = event.startsWith('error');
      return PAYLOADS.map((payload) => ({
        type,
        ...payload,
        sessionId: 's',
        flush: 1,
        beat: { machine: `${payload.plan}${payload.pass}` },
        machine: 'append2',
        phase: payload.pass === 1 ? 'prepare' : 'commit',
        answers: [{ host: payload.implied === 'inactive' ? 'i' : 'h', refusal: null, body: {} }],
        leaseMs: 5,
        timerUs: 1,
        sizeBytes: 1,
        monitorMs: 1,
        id: 'f',
        freeze: { id: 'f', atNs: '1', host: 'h', trigger: 't', postMs: 0 },
        timeoutMs: 1,
        ...(failing ? { error: new Error('x') } : { output: OUTPUTS[name] ?? { ...payload, ...EXCHANGE } }),
      }));
    });

for (const name of names) {
  test(`${name}: its graph, walked from the initial state, reaches every state`, () => {
    const events = eventsOf(name);
    const reached = new Set<string>();
    const map = getAdjacencyMap(alone(name), {
      events: events as never,
      input: INPUTS[name] as never,
      limit: 200_000,
      serializeEvent: (event) => JSON.stringify(event, (_key, value) => (typeof value === 'bigint' ? `${value}n` : value)),
      serializeState: (snapshot) => JSON.stringify((snapshot as { value: unknown }).value) + summary(snapshot),
    });
    for (const { state } of Object.values(map)) {
      for (const node of (state as unknown as { _nodes: { id: string }[] })._nodes) reached.add(node.id);
    }
    const resting = declaredStates().filter(({ machine, config }) => machine === name && config.states === undefined);
    assert.deepEqual(
      resting.map(({ id }) => id).filter((id) => !reached.has(id) && !PASSED.test(id)),
      [],
    );
  });
}

/** States that are left at once, and what begins only with another input or with children. */
const PASSED =
  /\.(choosing|deciding|judging)$|^session\.life\.destroying\.refused$|^session\.life\.creating$|^session-daemon\.running\.service\.recovering$|^trigger\.(writing|armed\.listening)$/;

/** What guards look at, besides the state. */
const summary = (snapshot: unknown): string => {
  const { context } = snapshot as { context: Record<string, unknown> };
  const { flushes, wanted, finished, flushAttempts, needed, ended, corrupt, failing, plan, wasActive, creates } = context;
  const counted = [Math.min((flushes as unknown[] | undefined)?.length ?? 0, 2), Math.min(Number(flushAttempts ?? 0), 3)];
  return JSON.stringify({
    counted,
    due: Number(wanted) > Number(finished),
    needed,
    ended,
    corrupt,
    failing,
    plan,
    wasActive,
    creates,
    heard: (context.beat as { machine: string } | null | undefined)?.machine,
    former: context.former,
    results: context.roll ? entriesOf(context.roll as Roll).map(([, { state }]) => state) : [],
  });
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
