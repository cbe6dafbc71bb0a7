/**
 * The trace of one (session x scope): which event ids mean what, and which rings its applications record into. Works in passes:
 * each brings ids, memory, consumer and applications to what the session document and the known points ask for. A pass is
 * idempotent; changes that arrive during one ask for another.
 */
import { assign, fromPromise, setup } from 'xstate';
import type { RegistryScope } from './document.ts';
import { notProvided } from './not-provided.ts';
import { type Refusal, refusal, refusalOf } from './refusal.ts';

export type RingRegistryEvent =
  /** `arranged`: all that it could find lacking was there a moment ago, except with the applications. */
  | { readonly type: 'PassRequested'; readonly pass: number; readonly arranged?: boolean }
  /** The process of a per-process registry is gone: its rings are written out and given back. */
  | { readonly type: 'ScopeEnded' };

export interface RingRegistryInput {
  readonly sessionId: string;
  readonly scopeKey: string;
  readonly scope: RegistryScope;
}

export interface RingRegistryContext extends RingRegistryInput {
  /** The last pass that was asked for, the one under way, and the last one that ended. */
  readonly wanted: number;
  readonly passing: number;
  readonly finished: number;
  /** A pass that was asked for and has not begun looks at everything. */
  readonly thorough: boolean;
  readonly ended: boolean;
  /** How often its rings could not be drained. */
  readonly stuck: number;
  readonly refusal: Refusal | null;
}

export type RegistryPlace = { readonly sessionId: string; readonly scopeKey: string };
const place = ({ context }: { context: RingRegistryContext }): RegistryPlace => ({
  sessionId: context.sessionId,
  scopeKey: context.scopeKey,
});

/** Whoever waits for this pass hears how it ended. */
const finish = [
  { type: 'endPass' },
  {
    type: 'reportPass',
    params: ({ context }: { context: RingRegistryContext }) => ({
      ...place({ context }),
      pass: context.passing,
      refusal: context.refusal,
    }),
  },
] as const;

const failedWith = {
  type: 'rememberRefusal',
  params: ({ event }: { event: { error: unknown } }) => ({ refusal: refusalOf(event.error) }),
} as const;

const late = (subject: string, ms: number) =>
  ({ type: 'rememberRefusal', params: { refusal: refusal('timeout', { subject, ms }) } }) as const;

const log = (what: string) =>
  ({
    type: 'logRegistry',
    params: ({ context }: { context: RingRegistryContext }) => ({ ...place({ context }), what }),
  }) as const;

export const ringRegistryMachine = setup({
  types: {
    context: {} as RingRegistryContext,
    events: {} as RingRegistryEvent,
    input: {} as RingRegistryInput,
  },
  actors: {
    describe: fromPromise<void, RegistryPlace>(notProvided('actor describe')),
    attachRings: fromPromise<void, RegistryPlace>(notProvided('actor attachRings')),
    armApplications: fromPromise<{ recording: boolean }, RegistryPlace>(notProvided('actor armApplications')),
    drainRings: fromPromise<void, RegistryPlace>(notProvided('actor drainRings')),
  },
  actions: {
    reportPass: notProvided<[unknown, RegistryPlace & { pass: number; refusal: Refusal | null }]>('action reportPass'),
    reportEnded: notProvided<[unknown, RegistryPlace]>('action reportEnded'),
    logRegistry: notProvided<[unknown, RegistryPlace & { what: string }]>('action logRegistry'),
    wantPass: assign(({ context }, { pass, arranged }: { pass: number; arranged: boolean }) => ({
      wanted: Math.max(context.wanted, pass),
      thorough: context.thorough || !arranged,
    })),
    beginPass: assign(({ context }) => ({ passing: context.wanted, thorough: false, refusal: null })),
    endPass: assign(({ context }) => ({ finished: context.passing })),
    rememberRefusal: assign((_, params: { refusal: Refusal }) => ({ refusal: params.refusal, thorough: true })),
    rememberEnd: assign({ ended: true }),
    countStuck: assign(({ context }) => ({ stuck: context.stuck + 1 })),
  },
  guards: {
    passWanted: ({ context }) => context.wanted > context.finished,
    armingWanted: ({ context }) => context.wanted > context.finished && !context.thorough,
    scopeEnded: ({ context }) => context.ended,
    records: (_, params: { recording: boolean }) => params.recording,
  },
  delays: {
    describeTimeout: 15_000,
    attachTimeout: 15_000,
    acknowledgeTimeout: 2_000,
    drainTimeout: 15_000,
    retryPause: 10_000,
    // Nobody else has what a dead process recorded.
    drainPause: ({ context }) => Math.min(1_000 * 2 ** (context.stuck - 1), 30_000),
  },
}).createMachine({
  id: 'ring-registry',
  initial: 'settled',
  context: ({ input }) => ({
    ...input,
    wanted: 0,
    passing: 0,
    finished: 0,
    thorough: false,
    ended: false,
    stuck: 0,
    refusal: null,
  }),
  on: {
    PassRequested: {
      actions: { type: 'wantPass', params: ({ event: { pass, arranged = false } }) => ({ pass, arranged }) },
    },
    ScopeEnded: { actions: 'rememberEnd' },
  },
  states: {
    settled: {
      initial: 'standing',
      always: [
        { guard: 'armingWanted', target: 'arming', actions: 'beginPass' },
        { guard: 'passWanted', target: 'describing' },
        { guard: 'scopeEnded', target: 'draining' },
      ],
      states: {
        standing: {},
        recording: {},
        // The pass failed. The next change tries again, and so does time.
        degraded: { after: { retryPause: '#ring-registry.describing' } },
      },
    },
    describing: {
      entry: 'beginPass',
      invoke: {
        id: 'describe',
        src: 'describe',
        input: place,
        onDone: 'attaching',
        onError: { target: 'settled.degraded', actions: [failedWith, ...finish] },
      },
      after: { describeTimeout: { target: 'settled.degraded', actions: [late('writing metadata', 15_000), ...finish] } },
    },
    attaching: {
      invoke: {
        id: 'attachRings',
        src: 'attachRings',
        input: place,
        onDone: 'arming',
        onError: { target: 'settled.degraded', actions: [failedWith, ...finish] },
      },
      after: { attachTimeout: { target: 'settled.degraded', actions: [late('attaching rings', 15_000), ...finish] } },
    },
    arming: {
      invoke: {
        id: 'armApplications',
        src: 'armApplications',
        input: place,
        onDone: [
          {
            guard: { type: 'records', params: ({ event }) => ({ recording: event.output.recording }) },
            target: 'settled.recording',
            actions: [...finish],
          },
          { target: 'settled.standing', actions: [...finish] },
        ],
        onError: { target: 'settled.degraded', actions: [failedWith, ...finish] },
      },
      // An application that does not answer is left: it has the commands, and nobody else waits for it any longer.
      after: {
        acknowledgeTimeout: {
          target: 'settled.recording',
          actions: [log('an application did not acknowledge within 2 s'), ...finish],
        },
      },
    },
    draining: {
      invoke: {
        id: 'drainRings',
        src: 'drainRings',
        input: place,
        onDone: 'ended',
        onError: { target: 'stuck', actions: log('its rings could not be drained') },
      },
      after: { drainTimeout: { target: 'stuck', actions: log('its rings were not drained in time') } },
    },
    stuck: { entry: 'countStuck', after: { drainPause: 'draining' } },
    ended: { type: 'final', entry: { type: 'reportEnded', params: place } },
  },
});
