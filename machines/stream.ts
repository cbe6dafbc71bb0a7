/**
 * One ring set in the consumer: what its reader thread is told to do. The state is the plan: a change of state changes it
 * between two packets. Bytes are in no event; news are counters.
 */
import { assign, fromPromise, setup } from 'xstate';
import { notProvided } from './not-provided.ts';
import { type Refusal, refusal, refusalOf } from './refusal.ts';

export type Plan = 'append' | 'hold' | 'count';

export type StreamEvent =
  | { readonly type: 'PlanRequested'; readonly plan: Plan }
  | { readonly type: 'RingCorrupted'; readonly cpu: number; readonly cause: string }
  | { readonly type: 'WriteFailed'; readonly cpu: number; readonly cause: string }
  | { readonly type: 'WriteResumed'; readonly cpu: number }
  /** The link's spool is beyond its limit, or below it again. */
  | { readonly type: 'SpoolFilled' }
  | { readonly type: 'SpoolFreed' }
  | { readonly type: 'DrainRequested' };

export interface StreamContext {
  readonly ringId: string;
  readonly plan: Plan;
  readonly cpuCount: number;
  /** CPUs whose ring is closed for good. */
  readonly corrupt: readonly number[];
  /** CPUs whose file takes nothing at the moment. */
  readonly failing: readonly number[];
  readonly refusal: Refusal | null;
}

export interface StreamInput {
  readonly ringId: string;
  readonly plan: Plan;
  readonly cpuCount: number;
}

const without = (cpus: readonly number[], cpu: number): readonly number[] => cpus.filter((one) => one !== cpu);

export const streamMachine = setup({
  types: {
    context: {} as StreamContext,
    events: {} as StreamEvent,
    input: {} as StreamInput,
  },
  actors: {
    openReader: fromPromise<void, { ringId: string }>(notProvided('actor openReader')),
    closeReader: fromPromise<void, { ringId: string }>(notProvided('actor closeReader')),
    drainReader: fromPromise<void, { ringId: string }>(notProvided('actor drainReader')),
  },
  actions: {
    setPlan: notProvided<[unknown, { plan: Plan }]>('action setPlan'),
    publishStream: notProvided<[unknown, { what: string; cpu?: number; cause?: string }]>('action publishStream'),
    releaseReader: notProvided<[unknown, { ringId: string }]>('action releaseReader'),
    reportReady: notProvided<[unknown, { ringId: string; refusal: Refusal | null }]>('action reportReady'),
    reportDrained: notProvided<[unknown, { ringId: string }]>('action reportDrained'),
    rememberPlan: assign((_, params: { plan: Plan }) => ({ plan: params.plan })),
    rememberRefusal: assign((_, params: { refusal: Refusal }) => ({ refusal: params.refusal })),
    rememberCorrupt: assign(({ context }, params: { cpu: number }) => ({
      corrupt: [...without(context.corrupt, params.cpu), params.cpu],
      failing: without(context.failing, params.cpu),
    })),
    rememberFailing: assign(({ context }, params: { cpu: number }) => ({
      failing: [...without(context.failing, params.cpu), params.cpu],
    })),
    forgetFailing: assign(({ context }, params: { cpu: number }) => ({ failing: without(context.failing, params.cpu) })),
  },
  guards: {
    holds: (_, params: { plan: Plan }) => params.plan === 'hold',
    counts: (_, params: { plan: Plan }) => params.plan === 'count',
    noRingLeft: ({ context }) => context.corrupt.length === context.cpuCount,
    allFilesGrow: ({ context }) => context.failing.length === 0,
  },
  delays: { memoryTimeout: 5_000, drainTimeout: 10_000 },
}).createMachine({
  id: 'stream',
  initial: 'opening',
  context: ({ input }) => ({ ...input, corrupt: [], failing: [], refusal: null }),
  states: {
    // The memory comes over the socket pair, before or after the request.
    opening: {
      on: { DrainRequested: 'drained' },
      invoke: {
        id: 'openReader',
        src: 'openReader',
        input: ({ context }) => ({ ringId: context.ringId }),
        onDone: {
          target: 'reading',
          actions: { type: 'reportReady', params: ({ context }) => ({ ringId: context.ringId, refusal: null }) },
        },
        onError: {
          target: 'refused',
          actions: { type: 'rememberRefusal', params: ({ event }) => ({ refusal: refusalOf(event.error) }) },
        },
      },
      after: {
        memoryTimeout: {
          target: 'refused',
          actions: {
            type: 'rememberRefusal',
            params: { refusal: refusal('timeout', { subject: 'the memory of a ring', ms: 5_000 }) },
          },
        },
      },
    },
    reading: {
      initial: 'choosing',
      on: {
        PlanRequested: {
          target: '.choosing',
          actions: { type: 'rememberPlan', params: ({ event }) => ({ plan: event.plan }) },
        },
        RingCorrupted: {
          actions: [
            { type: 'rememberCorrupt', params: ({ event }) => ({ cpu: event.cpu }) },
            { type: 'publishStream', params: ({ event }) => ({ what: 'corrupt', cpu: event.cpu, cause: event.cause }) },
          ],
        },
        DrainRequested: 'draining',
      },
      always: { guard: 'noRingLeft', target: 'corrupt' },
      states: {
        choosing: {
          always: [
            { guard: { type: 'holds', params: ({ context }) => ({ plan: context.plan }) }, target: 'holding' },
            { guard: { type: 'counts', params: ({ context }) => ({ plan: context.plan }) }, target: 'counting' },
            { target: 'appending' },
          ],
        },
        appending: {
          entry: { type: 'setPlan', params: { plan: 'append' } },
          on: {
            SpoolFilled: 'spoolFull',
            WriteFailed: {
              target: 'writeFailed',
              actions: [
                { type: 'rememberFailing', params: ({ event }) => ({ cpu: event.cpu }) },
                {
                  type: 'publishStream',
                  params: ({ event }) => ({ what: 'write-failed', cpu: event.cpu, cause: event.cause }),
                },
              ],
            },
          },
        },
        // What the rings hold stays in them: nothing is written out, neither on a flush nor at the end.
        holding: {
          tags: 'keeps',
          entry: { type: 'setPlan', params: { plan: 'hold' } },
          on: { DrainRequested: '#stream.closing' },
        },
        // What comes stays in the rings until they are full, and is lost as the channel says.
        spoolFull: {
          entry: { type: 'setPlan', params: { plan: 'hold' } },
          on: {
            SpoolFreed: 'appending',
            DrainRequested: { target: '#stream.draining', actions: { type: 'setPlan', params: { plan: 'append' } } },
          },
        },
        counting: { entry: { type: 'setPlan', params: { plan: 'count' } } },
        // The reader keeps its packets and tries again by itself; nothing is consumed meanwhile.
        writeFailed: {
          always: {
            guard: 'allFilesGrow',
            target: 'appending',
            actions: { type: 'publishStream', params: { what: 'write-resumed' } },
          },
          on: {
            WriteFailed: { actions: { type: 'rememberFailing', params: ({ event }) => ({ cpu: event.cpu }) } },
            WriteResumed: { actions: { type: 'forgetFailing', params: ({ event }) => ({ cpu: event.cpu }) } },
          },
        },
      },
    },
    corrupt: { on: { DrainRequested: 'draining' } },
    draining: {
      invoke: {
        id: 'drainReader',
        src: 'drainReader',
        input: ({ context }) => ({ ringId: context.ringId }),
        onDone: 'drained',
        onError: {
          target: 'drained',
          actions: { type: 'releaseReader', params: ({ context }) => ({ ringId: context.ringId }) },
        },
      },
      after: {
        drainTimeout: {
          target: 'drained',
          actions: { type: 'releaseReader', params: ({ context }) => ({ ringId: context.ringId }) },
        },
      },
    },
    closing: {
      invoke: {
        id: 'closeReader',
        src: 'closeReader',
        input: ({ context }) => ({ ringId: context.ringId }),
        onDone: 'drained',
        onError: {
          target: 'drained',
          actions: { type: 'releaseReader', params: ({ context }) => ({ ringId: context.ringId }) },
        },
      },
      after: {
        drainTimeout: {
          target: 'drained',
          actions: { type: 'releaseReader', params: ({ context }) => ({ ringId: context.ringId }) },
        },
      },
    },
    drained: {
      type: 'final',
      entry: { type: 'reportDrained', params: ({ context }) => ({ ringId: context.ringId }) },
    },
    refused: {
      type: 'final',
      entry: [
        { type: 'reportReady', params: ({ context }) => ({ ringId: context.ringId, refusal: context.refusal }) },
        { type: 'releaseReader', params: ({ context }) => ({ ringId: context.ringId }) },
        { type: 'reportDrained', params: ({ context }) => ({ ringId: context.ringId }) },
      ],
    },
  },
});
