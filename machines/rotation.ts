/**
 * Rotation of a session: one chunk of the trace ends and is archived, the next one begins, and nothing is lost or written twice in
 * between. Promised in the document first; every later step can be done again, so it is tried until it is done. Beside it the
 * schedules by which a session rotates by itself, and clearing, which excludes rotating.
 */
import { assign, fromPromise, raise, setup } from 'xstate';
import { notProvided } from './not-provided.ts';
import { type Refusal, refusal, refusalOf } from './refusal.ts';

export type RotationEvent =
  /** `requestId` null: by a schedule. Without `wait` it is answered as soon as it is promised. */
  | { readonly type: 'RotateRequested'; readonly requestId: string | null; readonly wait: boolean }
  | { readonly type: 'ClearRequested'; readonly requestId: string }
  /** A former daemon promised it. */
  | { readonly type: 'RotationResumed'; readonly requestId: string | null }
  /** Another consumer than the one that was asked: it has to be asked again. */
  | { readonly type: 'ConsumerReady' }
  | { readonly type: 'PeriodChanged'; readonly timerUs: number | null }
  /** Looked at as often as the channels are monitored; null: never. */
  | { readonly type: 'SizeChanged'; readonly sizeBytes: number | null; readonly monitorMs: number | null };

export interface RotationInput {
  readonly sessionId: string;
  readonly name: string;
}

export interface RotationContext extends RotationInput {
  readonly requestId: string | null;
  readonly wait: boolean;
  readonly timerUs: number | null;
  readonly sizeBytes: number | null;
  readonly monitorMs: number | null;
}

type Of = { readonly context: RotationContext };
type Id = { readonly sessionId: string };
type Request = Id & { readonly requestId: string | null };

const request = ({ context }: Of): Request => ({ sessionId: context.sessionId, requestId: context.requestId });
const id = ({ context }: Of): Id => ({ sessionId: context.sessionId });

const take = {
  type: 'takeRequest',
  params: ({ event }: { event: { requestId: string | null; wait?: boolean } }) => ({
    requestId: event.requestId,
    wait: event.wait ?? true,
  }),
} as const;

const refusePending = {
  type: 'refuse',
  params: ({ context, event }: Of & { event: { requestId: string | null } }) => ({
    sessionId: context.sessionId,
    requestId: event.requestId,
    refusal: refusal('rotation-pending', { session: context.name }),
  }),
} as const;

const refuseLate = (subject: string, ms: number) =>
  ({ type: 'refuse', params: (of: Of) => ({ ...request(of), refusal: refusal('timeout', { subject, ms }) }) }) as const;

const refuseError = {
  type: 'refuse',
  params: ({ context, event }: Of & { event: { error: unknown } }) => ({
    ...request({ context }),
    refusal: refusalOf(event.error),
  }),
} as const;

/** Whoever waits hears that it is not done yet; it is tried again all the same. */
const stall = (cause: (event: unknown) => string) =>
  [
    {
      type: 'refuse',
      params: ({ context, event }: Of & { event: unknown }) => ({
        ...request({ context }),
        refusal: refusal('rotation-stalled', { session: context.name, cause: cause(event) }),
      }),
    },
    'forgetRequest',
    {
      type: 'logRotation',
      params: ({ context, event }: Of & { event: unknown }) => ({
        sessionId: context.sessionId,
        what: `the rotation stalls: ${cause(event)}`,
      }),
    },
  ] as const;

const causeOf = (event: unknown): string => {
  const { code, params } = refusalOf((event as { error: unknown }).error);
  return typeof params.message === 'string' ? params.message.replace(/\.$/, '') : `${code} ${JSON.stringify(params)}`;
};

const rotationSetup = setup({
  types: { context: {} as RotationContext, events: {} as RotationEvent, input: {} as RotationInput },
  actors: {
    promiseRotation: fromPromise<void, Request>(notProvided('actor promiseRotation')),
    switchStreams: fromPromise<void, Id>(notProvided('actor switchStreams')),
    /** `follows`: a link carries the chunk to where it is read. */
    archiveChunk: fromPromise<{ follows: boolean }, Request>(notProvided('actor archiveChunk')),
    deliverChunk: fromPromise<void, Request>(notProvided('actor deliverChunk')),
    clearChunk: fromPromise<void, Request>(notProvided('actor clearChunk')),
  },
  actions: {
    answer: notProvided<[unknown, Request]>('action answer'),
    answerOngoing: notProvided<[unknown, Request]>('action answerOngoing'),
    refuse: notProvided<[unknown, Request & { refusal: Refusal }]>('action refuse'),
    retract: notProvided<[unknown, Id]>('action retract'),
    publishRotated: notProvided<[unknown, Id]>('action publishRotated'),
    publishCleared: notProvided<[unknown, Id]>('action publishCleared'),
    measureChunk: notProvided<[unknown, Id & { sizeBytes: number }]>('action measureChunk'),
    logRotation: notProvided<[unknown, Id & { what: string }]>('action logRotation'),
    takeRequest: assign((_, params: { requestId: string | null; wait: boolean }) => params),
    forgetRequest: assign({ requestId: null }),
    rememberPeriod: assign((_, params: { timerUs: number | null }) => params),
    rememberSize: assign((_, params: { sizeBytes: number | null; monitorMs: number | null }) => params),
    rotate: raise({ type: 'RotateRequested', requestId: null, wait: true }),
  },
  guards: {
    waits: ({ context }) => context.wait,
    isAwaitedElsewhere: ({ context }, params: { follows: boolean }) => params.follows && context.requestId !== null,
    isGiven: (_, params: { value: number | null }) => params.value !== null && params.value > 0,
  },
  delays: {
    writeTimeout: 5_000,
    switchTimeout: 20_000,
    archiveTimeout: 15_000,
    deliverTimeout: 10_000,
    clearTimeout: 20_000,
    retryPause: 1_000,
    rotationPeriod: ({ context }) => Math.max(1, Math.round(context.timerUs! / 1000)),
    monitorPeriod: ({ context }) => context.monitorMs!,
  },
});

const work = rotationSetup.createStateConfig({
  initial: 'idle',
  on: { RotateRequested: { actions: refusePending }, ClearRequested: { actions: refusePending } },
  states: {
    idle: {
      on: {
        RotateRequested: { target: 'quiescing', actions: take },
        RotationResumed: { target: 'switching', actions: take },
        ClearRequested: { target: 'clearing', actions: take },
      },
    },
    // The moment is fixed at which the chunk ends, and written down.
    quiescing: {
      invoke: {
        id: 'promiseRotation',
        src: 'promiseRotation',
        input: request,
        onDone: [
          { guard: 'waits', target: 'switching' },
          { target: 'switching', actions: [{ type: 'answerOngoing', params: request }, 'forgetRequest'] },
        ],
        onError: { target: 'idle', actions: refuseError },
      },
      after: {
        writeTimeout: {
          target: 'idle',
          actions: [refuseLate('writing the session document', 5_000), { type: 'retract', params: id }],
        },
      },
    },
    switching: {
      on: { ConsumerReady: { target: 'switching', reenter: true } },
      invoke: {
        id: 'switchStreams',
        src: 'switchStreams',
        input: id,
        onDone: 'archiving',
        onError: { target: 'stalled', actions: [...stall(causeOf)] },
      },
      after: { switchTimeout: { target: 'stalled', actions: [...stall(() => 'the streams did not switch within 20 s')] } },
    },
    archiving: {
      on: { ConsumerReady: 'switching' },
      invoke: {
        id: 'archiveChunk',
        src: 'archiveChunk',
        input: request,
        onDone: [
          {
            guard: { type: 'isAwaitedElsewhere', params: ({ event }) => event.output },
            target: 'delivering',
            actions: { type: 'publishRotated', params: id },
          },
          {
            target: 'idle',
            actions: [
              { type: 'answer', params: request },
              { type: 'publishRotated', params: id },
            ],
          },
        ],
        onError: { target: 'stalled', actions: [...stall(causeOf)] },
      },
      after: { archiveTimeout: { target: 'stalled', actions: [...stall(() => 'the chunk was not moved within 15 s')] } },
    },
    // It is promised and done here; whoever asked waits a while for the other end of the link.
    delivering: {
      invoke: {
        id: 'deliverChunk',
        src: 'deliverChunk',
        input: request,
        onDone: { target: 'idle', actions: { type: 'answer', params: request } },
        onError: { target: 'idle', actions: { type: 'answer', params: request } },
      },
      after: { deliverTimeout: { target: 'idle', actions: { type: 'answer', params: request } } },
    },
    stalled: { after: { retryPause: 'switching' } },
    clearing: {
      invoke: {
        id: 'clearChunk',
        src: 'clearChunk',
        input: request,
        onDone: {
          target: 'idle',
          actions: [
            { type: 'answer', params: request },
            { type: 'publishCleared', params: id },
          ],
        },
        onError: { target: 'idle', actions: refuseError },
      },
      after: { clearTimeout: { target: 'idle', actions: refuseLate('the streams', 20_000) } },
    },
  },
});

const periodic = rotationSetup.createStateConfig({
  initial: 'off',
  on: {
    PeriodChanged: [
      {
        guard: { type: 'isGiven', params: ({ event }) => ({ value: event.timerUs }) },
        target: '.waiting',
        actions: { type: 'rememberPeriod', params: ({ event }) => ({ timerUs: event.timerUs }) },
      },
      { target: '.off', actions: { type: 'rememberPeriod', params: { timerUs: null } } },
    ],
  },
  states: {
    off: {},
    waiting: { after: { rotationPeriod: { target: 'waiting', reenter: true, actions: 'rotate' } } },
  },
});

const rememberSize = {
  type: 'rememberSize',
  params: ({ event }: { event: { sizeBytes: number | null; monitorMs: number | null } }) => ({
    sizeBytes: event.sizeBytes,
    monitorMs: event.monitorMs,
  }),
} as const;

const bySize = rotationSetup.createStateConfig({
  initial: 'off',
  on: {
    SizeChanged: [
      {
        guard: { type: 'isGiven', params: ({ event }) => ({ value: event.sizeBytes && event.monitorMs }) },
        target: '.watching',
        actions: rememberSize,
      },
      { target: '.off', actions: rememberSize },
    ],
  },
  states: {
    off: {},
    watching: {
      after: {
        monitorPeriod: {
          target: 'watching',
          reenter: true,
          actions: {
            type: 'measureChunk',
            params: ({ context }) => ({ sessionId: context.sessionId, sizeBytes: context.sizeBytes! }),
          },
        },
      },
    },
  },
});

export const rotationMachine = rotationSetup.createMachine({
  id: 'rotation',
  type: 'parallel',
  context: ({ input }) => ({ ...input, requestId: null, wait: true, timerUs: null, sizeBytes: null, monitorMs: null }),
  states: { work, periodic, bySize },
});
