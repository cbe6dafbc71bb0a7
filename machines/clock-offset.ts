/**
 * This host's clock against the fleet's reference: asks it every few seconds, and says where somebody set a clock or another host
 * became the reference. What is measured lies in the context; clock-filter.ts says what it means.
 */
import { assign, fromPromise, setup } from 'xstate';
import { addExchange, type ClockExchange, type ClockFilter, EMPTY_FILTER, estimateAt, wasSet } from './clock-filter.ts';
import { notProvided } from './not-provided.ts';
import { refusalOf } from './refusal.ts';

export type ClockOffsetEvent =
  | { readonly type: 'ReferenceChanged'; readonly reference: string | null }
  /** Our own real time minus our monotonic time. */
  | { readonly type: 'ClockSeen'; readonly realOffsetNs: bigint };

export interface ClockOffsetInput {
  /** HOST of this host. */
  readonly host: string;
}

export interface ClockOffsetContext extends ClockOffsetInput {
  /** HOST of the reference; null: nobody is known. */
  readonly reference: string | null;
  readonly filter: ClockFilter;
  /** Of our own clock when it was looked at last; null: not yet. */
  readonly realOffsetNs: bigint | null;
  /** How often our own clock was set. */
  readonly sets: number;
}

/** As in a heartbeat: to be added to this host's real time to get the reference's. */
export interface ClockView {
  readonly reference: string | null;
  readonly offsetNs: number;
  /** Null: nothing was measured. */
  readonly uncertaintyNs: number | null;
}

export const NO_FLEET_CLOCK: ClockView = { reference: null, offsetNs: 0, uncertaintyNs: null };

export const clockView = (context: ClockOffsetContext, now: { monotonicNs: bigint; realOffsetNs: bigint }): ClockView => {
  const { host, reference, filter } = context;
  if (reference === host) return { reference, offsetNs: 0, uncertaintyNs: 0 };
  const estimate = reference === null ? null : estimateAt(filter, now.monotonicNs);
  if (!estimate) return { reference, offsetNs: 0, uncertaintyNs: null };
  return { reference, offsetNs: Number(estimate.offsetNs - now.realOffsetNs), uncertaintyNs: estimate.uncertaintyNs };
};

type What = 'reference-changed' | 'reference-stepped' | 'clock-set' | 'unanswered';
const mark = (what: What, cause?: string) => ({ type: 'markClock', params: { what, cause: cause ?? null } }) as const;

type Answered = { readonly event: { readonly output: ClockExchange } };
const exchangeOf = ({ event }: Answered): { readonly exchange: ClockExchange } => ({ exchange: event.output });

export const clockOffsetMachine = setup({
  types: {
    context: {} as ClockOffsetContext,
    events: {} as ClockOffsetEvent,
    input: {} as ClockOffsetInput,
  },
  actors: {
    askReference: fromPromise<ClockExchange, { reference: string }>(notProvided('actor askReference')),
  },
  actions: {
    /** Says what it saw as `ClockSeen`. */
    readClock: notProvided<[unknown]>('action readClock'),
    /** An event for whoever listens, and a line of the log. */
    markClock: notProvided<[unknown, { what: What; cause: string | null }]>('action markClock'),
    takeReference: assign(({ context }, { reference }: { reference: string | null }) =>
      reference === context.reference ? {} : { reference, filter: EMPTY_FILTER },
    ),
    keepExchange: assign(({ context }, { exchange }: { exchange: ClockExchange }) => ({
      filter: addExchange(context.filter, exchange),
    })),
    keepOwn: assign(({ context }, { realOffsetNs }: { realOffsetNs: bigint }) => ({
      realOffsetNs,
      sets: context.sets + (wasSet(context.realOffsetNs, realOffsetNs) ? 1 : 0),
    })),
  },
  guards: {
    isNew: ({ context }, { reference }: { reference: string | null }) => reference !== context.reference,
    isReference: ({ context }) => context.reference === context.host,
    isNobody: ({ context }) => context.reference === null,
    ownWasSet: ({ context }, { realOffsetNs }: { realOffsetNs: bigint }) => wasSet(context.realOffsetNs, realOffsetNs),
    stepped: ({ context }, { exchange }: { exchange: ClockExchange }) =>
      addExchange(context.filter, exchange).steps > context.filter.steps,
  },
  delays: { askTimeout: 3_000, askPeriod: 4_000 },
}).createMachine({
  id: 'clock-offset',
  initial: 'choosing',
  context: ({ input }) => ({ ...input, reference: null, filter: EMPTY_FILTER, realOffsetNs: null, sets: 0 }),
  on: {
    ReferenceChanged: {
      guard: { type: 'isNew', params: ({ event }) => ({ reference: event.reference }) },
      target: '.choosing',
      actions: [{ type: 'takeReference', params: ({ event }) => ({ reference: event.reference }) }, mark('reference-changed')],
    },
    ClockSeen: [
      {
        guard: { type: 'ownWasSet', params: ({ event }) => event },
        actions: [{ type: 'keepOwn', params: ({ event }) => event }, mark('clock-set')],
      },
      { actions: { type: 'keepOwn', params: ({ event }) => event } },
    ],
  },
  states: {
    choosing: {
      always: [{ guard: 'isNobody', target: 'resting' }, { guard: 'isReference', target: 'resting' }, { target: 'asking' }],
    },
    asking: {
      invoke: {
        id: 'askReference',
        src: 'askReference',
        input: ({ context }) => ({ reference: context.reference ?? '' }),
        onDone: [
          {
            guard: { type: 'stepped', params: exchangeOf },
            target: 'resting',
            actions: [{ type: 'keepExchange', params: exchangeOf }, mark('reference-stepped')],
          },
          { target: 'resting', actions: { type: 'keepExchange', params: exchangeOf } },
        ],
        onError: {
          target: 'resting',
          actions: {
            type: 'markClock',
            params: ({ event }) => ({ what: 'unanswered', cause: refusalOf(event.error).code }),
          },
        },
      },
      after: { askTimeout: { target: 'resting', actions: mark('unanswered', 'timeout') } },
    },
    // Whoever the reference is: our own real time is in every trace.
    resting: {
      entry: 'readClock',
      after: { askPeriod: 'choosing' },
    },
  },
});
