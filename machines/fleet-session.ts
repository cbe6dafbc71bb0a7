/**
 * A host follows the sessions of its fleet: it reads what is wanted when it joins, when something is announced and every few minutes,
 * and makes its own sessions so. What it saw once it does not forget (fleet-document.ts).
 */
import { assign, fromPromise, setup } from 'xstate';
import { notProvided } from './not-provided.ts';
import { refusalOf } from './refusal.ts';

export type FleetSessionEvent = { readonly type: 'Announced' };

export interface FleetSessionContext {
  /** Something was announced while we were at work. */
  readonly again: boolean;
  /** Until the next look, with jitter. */
  readonly pauseMs: number;
  /** Why the bucket could not be read last; null: it could. */
  readonly cause: string | null;
}

const failedWith = {
  type: 'rememberCause',
  params: ({ event }: { event: { error: unknown } }) => ({ cause: refusalOf(event.error).code }),
} as const;
const late = { type: 'rememberCause', params: { cause: 'timeout' } } as const;
const missed = { Announced: { actions: 'rememberAnnounced' } } as const;

export const fleetSessionMachine = setup({
  types: { context: {} as FleetSessionContext, events: {} as FleetSessionEvent },
  actors: {
    readBucket: fromPromise<void, void>(notProvided('actor readBucket')),
    /** Resolves with the pause until the next look. */
    reconcile: fromPromise<number, void>(notProvided('actor reconcile')),
  },
  actions: {
    rememberAnnounced: assign({ again: true }),
    begin: assign({ again: false }),
    rememberCause: assign((_, { cause }: { cause: string | null }) => ({ cause })),
    rememberPause: assign((_, { pauseMs }: { pauseMs: number }) => ({ pauseMs })),
  },
  guards: { isAnnounced: ({ context }) => context.again },
  delays: {
    readTimeout: 20_000,
    reconcileTimeout: 120_000,
    retryPause: 15_000,
    period: ({ context }) => context.pauseMs,
  },
}).createMachine({
  id: 'fleet-session',
  initial: 'reading',
  context: { again: false, pauseMs: 0, cause: null },
  states: {
    reading: {
      entry: 'begin',
      on: missed,
      invoke: {
        id: 'readBucket',
        src: 'readBucket',
        onDone: { target: 'reconciling', actions: { type: 'rememberCause', params: { cause: null } } },
        // What was seen before is followed all the same.
        onError: { target: 'reconciling', actions: failedWith },
      },
      after: { readTimeout: { target: 'reconciling', actions: late } },
    },
    reconciling: {
      on: missed,
      invoke: {
        id: 'reconcile',
        src: 'reconcile',
        onDone: { target: 'resting', actions: { type: 'rememberPause', params: ({ event }) => ({ pauseMs: event.output }) } },
        onError: { target: 'pausing', actions: failedWith },
      },
      after: { reconcileTimeout: { target: 'pausing', actions: late } },
    },
    resting: {
      always: { guard: 'isAnnounced', target: 'reading' },
      on: { Announced: 'reading' },
      after: { period: 'reading' },
    },
    pausing: { on: { Announced: 'reading' }, after: { retryPause: 'reading' } },
  },
});
