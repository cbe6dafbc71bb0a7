/**
 * One command for many hosts, seen from whoever gives it: who is meant, what each answered, and who did not. In two phases where hosts
 * shall act together. Nobody waits for a host that is gone longer than the stall timer runs after the last answer, and no host that
 * prepared waits longer than it holds what it has.
 */
import { assign, fromPromise, setup } from 'xstate';
import { type HostResult, mapRoll, type Roll, resultOf, rollOf, withResult } from './fleet-roll.ts';
import { prepareLimitMs } from './lease.ts';
import { notProvided } from './not-provided.ts';
import { type Refusal, refusal, refusalOf } from './refusal.ts';

export type Phase = 'prepare' | 'commit' | 'abort';

export interface Answer {
  readonly host: string;
  /** Null: it did what it was asked. */
  readonly refusal: Refusal | null;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A host that the selector matches. */
export interface Meant {
  readonly host: string;
  /** Heard of lately: only those are waited for. */
  readonly reachable: boolean;
}

export interface FleetOperationInput {
  readonly selector: string;
  readonly twoPhase: boolean;
  /** Nothing is done anywhere unless every host prepared. */
  readonly all: boolean;
  readonly stallMs: number;
}

export interface FleetOperationContext extends FleetOperationInput {
  readonly roll: Roll;
  readonly refusal: Refusal | null;
}

/** Together what came together: of a thousand hosts many answer at once. */
export type FleetOperationEvent = {
  readonly type: 'AnswersSeen';
  readonly phase: Phase;
  readonly answers: readonly Answer[];
};

const entryOf = (state: HostResult['state']): HostResult => ({ state, refusal: null, body: {} });
const silentSince = (host: string, ms: number): HostResult => ({
  ...entryOf('silent'),
  refusal: refusal('host-silent', { host, ms }),
});

/** Silent ones stay silent, but a late answer is an answer. */
const noted = (roll: Roll, done: 'prepared' | 'done', answers: readonly Answer[]): Roll =>
  answers.reduce(
    (before, { host, refusal: why, body }) => withResult(before, host, { state: why ? 'refused' : done, refusal: why, body }),
    roll,
  );

/** To a commit: what a host says that never prepared is no news, unless it did act after all. */
const news = ({ roll }: FleetOperationContext, answers: readonly Answer[]): readonly Answer[] =>
  answers.filter(
    ({ host, refusal: why }) => why === null || ['prepared', 'waiting', undefined].includes(resultOf(roll, host)?.state),
  );

const send = (phase: Phase) => ({ type: 'send', params: { phase } }) as const;
const note = (state: 'prepared' | 'done') =>
  ({ type: 'note', params: ({ event }: { event: FleetOperationEvent }) => ({ state, answers: event.answers }) }) as const;
const phase = (wanted: Phase) =>
  ({ type: 'isOf', params: ({ event }: { event: { phase: Phase } }) => ({ phase: event.phase, wanted }) }) as const;
const counts = { type: 'commitCounts', params: ({ event }: { event: FleetOperationEvent }) => event } as const;

export const fleetOperationMachine = setup({
  types: {
    context: {} as FleetOperationContext,
    events: {} as FleetOperationEvent,
    input: {} as FleetOperationInput,
    output: {} as FleetOperationContext,
  },
  actors: { findHosts: fromPromise<readonly Meant[], { selector: string }>(notProvided('actor findHosts')) },
  actions: {
    send: notProvided<[unknown, { phase: Phase }]>('action send'),
    showProgress: notProvided<[{ context: FleetOperationContext }]>('action showProgress'),
    expect: assign(({ context }, { meant }: { meant: readonly Meant[] }) => ({
      roll: rollOf(
        meant.map(({ host, reachable }) => [host, reachable ? entryOf('waiting') : silentSince(host, context.stallMs)]),
      ),
    })),
    note: assign(({ context }, { state, answers }: { state: 'prepared' | 'done'; answers: readonly Answer[] }) => ({
      roll: noted(context.roll, state, state === 'done' ? news(context, answers) : answers),
    })),
    waitForPrepared: assign(({ context: { roll, stallMs } }) => ({
      roll: mapRoll(roll, (host, one) => (one.state === 'waiting' ? silentSince(host, stallMs) : one)),
    })),
    giveUpSilent: assign(({ context: { roll, stallMs } }) => ({
      roll: mapRoll(roll, (host, one) =>
        one.state === 'waiting' || one.state === 'prepared' ? silentSince(host, stallMs) : one,
      ),
    })),
    takeBack: assign(({ context: { roll } }) => ({
      roll: mapRoll(roll, (host, one) =>
        one.state === 'prepared' ? { ...one, state: 'refused', refusal: refusal('operation-aborted', { host }) } : one,
      ),
    })),
    rememberRefusal: assign((_, params: { refusal: Refusal }) => ({ refusal: params.refusal })),
  },
  guards: {
    isOf: (_, params: { phase: Phase; wanted: Phase }) => params.phase === params.wanted,
    commitCounts: ({ context }, event: FleetOperationEvent) =>
      event.phase === 'commit' && news(context, event.answers).length > 0,
    nobodyMeant: (_, params: { meant: readonly Meant[] }) => params.meant.length === 0,
    isTwoPhase: ({ context }) => context.twoPhase,
    allPrepared: ({ context: { roll } }) => roll.counts.waiting === 0,
    mayCommit: ({ context: { all, roll } }) => (all ? roll.counts.prepared === roll.size : roll.counts.prepared > 0),
    allDone: ({ context: { roll } }) => roll.counts.waiting + roll.counts.prepared === 0,
    everyHost: ({ context: { roll } }) => roll.counts.done === roll.size,
    someHost: ({ context: { roll } }) => roll.counts.done > 0,
  },
  delays: {
    findTimeout: 10_000,
    stall: ({ context }) => context.stallMs,
    prepareLimit: ({ context }) => prepareLimitMs(context.stallMs),
  },
}).createMachine({
  id: 'fleet-operation',
  initial: 'gathering',
  context: ({ input }) => ({ ...input, roll: rollOf([]), refusal: null }),
  output: ({ context }) => context,
  states: {
    gathering: {
      invoke: {
        id: 'findHosts',
        src: 'findHosts',
        input: ({ context }) => ({ selector: context.selector }),
        onDone: [
          {
            guard: { type: 'nobodyMeant', params: ({ event }) => ({ meant: event.output }) },
            target: 'failed',
            actions: {
              type: 'rememberRefusal',
              params: ({ context }) => ({ refusal: refusal('no-hosts', { selector: context.selector }) }),
            },
          },
          {
            guard: 'isTwoPhase',
            target: 'preparing',
            actions: [{ type: 'expect', params: ({ event }) => ({ meant: event.output }) }, send('prepare')],
          },
          {
            target: 'committing',
            actions: [{ type: 'expect', params: ({ event }) => ({ meant: event.output }) }, send('commit')],
          },
        ],
        onError: {
          target: 'failed',
          actions: { type: 'rememberRefusal', params: ({ event }) => ({ refusal: refusalOf(event.error) }) },
        },
      },
      after: {
        findTimeout: {
          target: 'failed',
          actions: {
            type: 'rememberRefusal',
            params: { refusal: refusal('timeout', { subject: 'the registry of hosts', ms: 10_000 }) },
          },
        },
      },
    },
    preparing: {
      initial: 'hearing',
      states: {
        hearing: {
          always: { guard: 'allPrepared', target: '#fleet-operation.deciding' },
          on: {
            AnswersSeen: {
              guard: phase('prepare'),
              target: 'hearing',
              reenter: true,
              actions: [note('prepared'), 'showProgress'],
            },
          },
          after: { stall: { target: '#fleet-operation.deciding', actions: 'waitForPrepared' } },
        },
      },
      // However many answer one after the other: leases of the first end.
      after: { prepareLimit: { target: 'deciding', actions: 'waitForPrepared' } },
    },
    deciding: {
      always: [
        { guard: 'mayCommit', target: 'committing', actions: send('commit') },
        { target: 'failed', actions: [send('abort'), 'takeBack'] },
      ],
    },
    committing: {
      always: { guard: 'allDone', target: 'judging' },
      on: { AnswersSeen: { guard: counts, target: 'committing', reenter: true, actions: [note('done'), 'showProgress'] } },
      after: { stall: { target: 'judging', actions: 'giveUpSilent' } },
    },
    judging: {
      always: [{ guard: 'everyHost', target: 'done' }, { guard: 'someHost', target: 'partial' }, { target: 'failed' }],
    },
    done: { type: 'final' },
    partial: { type: 'final' },
    failed: { type: 'final' },
  },
});
