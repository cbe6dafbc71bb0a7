/**
 * One command for many hosts, seen from whoever gives it: who is meant, what each answered, and who did not. In two phases where hosts
 * shall act together. Nobody waits for a host that is gone longer than the stall timer runs after the last answer.
 */
import { assign, fromPromise, setup } from 'xstate';
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

export interface HostResult {
  readonly state: 'waiting' | 'prepared' | 'done' | 'refused' | 'silent';
  readonly refusal: Refusal | null;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface FleetOperationInput {
  readonly selector: string;
  readonly twoPhase: boolean;
  /** Nothing is done anywhere unless every host prepared. */
  readonly all: boolean;
  readonly stallMs: number;
}

export interface FleetOperationContext extends FleetOperationInput {
  readonly hosts: Readonly<Record<string, HostResult>>;
  readonly refusal: Refusal | null;
}

export type FleetOperationEvent = { readonly type: 'AnswerSeen'; readonly phase: Phase; readonly answer: Answer };

const entryOf = (state: HostResult['state']): HostResult => ({ state, refusal: null, body: {} });
const silentSince = (host: string, ms: number): HostResult => ({
  ...entryOf('silent'),
  refusal: refusal('host-silent', { host, ms }),
});

const results = ({ hosts }: FleetOperationContext): HostResult[] => Object.values(hosts);
const count = (context: FleetOperationContext, state: HostResult['state']): number =>
  results(context).filter((one) => one.state === state).length;

/** Silent ones stay silent, but a late answer is an answer. */
const noted = (context: FleetOperationContext, done: 'prepared' | 'done', { host, refusal: why, body }: Answer) => ({
  ...context.hosts,
  [host]: { state: why ? 'refused' : done, refusal: why, body } as const,
});

const send = (phase: Phase) => ({ type: 'send', params: { phase } }) as const;
const note = (state: 'prepared' | 'done') =>
  ({ type: 'note', params: ({ event }: { event: { answer: Answer } }) => ({ state, answer: event.answer }) }) as const;
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
      hosts: Object.fromEntries(
        meant.map(({ host, reachable }) => [host, reachable ? entryOf('waiting') : silentSince(host, context.stallMs)]),
      ),
    })),
    note: assign(({ context }, { state, answer }: { state: 'prepared' | 'done'; answer: Answer }) => ({
      hosts: noted(context, state, answer),
    })),
    waitForPrepared: assign(({ context }) => ({
      hosts: Object.fromEntries(
        Object.entries(context.hosts).map(([host, one]) => [
          host,
          one.state === 'waiting' ? silentSince(host, context.stallMs) : one,
        ]),
      ),
    })),
    giveUpSilent: assign(({ context }) => ({
      hosts: Object.fromEntries(
        Object.entries(context.hosts).map(([host, one]) => [
          host,
          one.state === 'waiting' || one.state === 'prepared' ? silentSince(host, context.stallMs) : one,
        ]),
      ),
    })),
    takeBack: assign(({ context }) => ({
      hosts: Object.fromEntries(
        Object.entries(context.hosts).map(([host, one]) => [
          host,
          one.state === 'prepared'
            ? { ...one, state: 'refused' as const, refusal: refusal('operation-aborted', { host }) }
            : one,
        ]),
      ),
    })),
    rememberRefusal: assign((_, params: { refusal: Refusal }) => ({ refusal: params.refusal })),
  },
  guards: {
    isOf: (_, params: { phase: Phase; wanted: Phase }) => params.phase === params.wanted,
    /** What a host says that never prepared is no news, unless it did act after all. */
    commitCounts: ({ context }, event: FleetOperationEvent) =>
      event.phase === 'commit' &&
      (event.answer.refusal === null || ['prepared', 'waiting', undefined].includes(context.hosts[event.answer.host]?.state)),
    nobodyMeant: (_, params: { meant: readonly Meant[] }) => params.meant.length === 0,
    isTwoPhase: ({ context }) => context.twoPhase,
    allPrepared: ({ context }) => count(context, 'waiting') === 0,
    mayCommit: ({ context }) =>
      context.all ? count(context, 'prepared') === results(context).length : count(context, 'prepared') > 0,
    allDone: ({ context }) => count(context, 'waiting') + count(context, 'prepared') === 0,
    everyHost: ({ context }) => count(context, 'done') === results(context).length,
    someHost: ({ context }) => count(context, 'done') > 0,
  },
  delays: { findTimeout: 10_000, stall: ({ context }) => context.stallMs },
}).createMachine({
  id: 'fleet-operation',
  initial: 'gathering',
  context: ({ input }) => ({ ...input, hosts: {}, refusal: null }),
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
      always: { guard: 'allPrepared', target: 'deciding' },
      on: {
        AnswerSeen: {
          guard: phase('prepare'),
          target: 'preparing',
          reenter: true,
          actions: [note('prepared'), 'showProgress'],
        },
      },
      after: { stall: { target: 'deciding', actions: 'waitForPrepared' } },
    },
    deciding: {
      always: [
        { guard: 'mayCommit', target: 'committing', actions: send('commit') },
        { target: 'failed', actions: [send('abort'), 'takeBack'] },
      ],
    },
    committing: {
      always: { guard: 'allDone', target: 'judging' },
      on: { AnswerSeen: { guard: counts, target: 'committing', reenter: true, actions: [note('done'), 'showProgress'] } },
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
