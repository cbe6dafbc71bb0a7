/**
 * A trigger: a condition and what is done whenever it is met. Occurrences are counted here and worked off one after the other; what
 * comes while one is worked off waits, up to a bound, beyond which it is counted.
 */
import { assign, fromPromise, setup } from 'xstate';
import { notProvided } from './not-provided.ts';
import { type Refusal, refusal, refusalOf } from './refusal.ts';

/** What is known of an occurrence; `captures` in the order of the condition's descriptors, null where a value was not there. */
export interface Occurrence {
  readonly atMs: number;
  readonly cause: Readonly<Record<string, unknown>>;
  readonly captures: readonly unknown[];
}

export type TriggerEvent =
  | { readonly type: 'ConditionFulfilled'; readonly occurrence: Occurrence }
  | { readonly type: 'Sampled'; readonly met: boolean; readonly occurrence: Occurrence }
  | { readonly type: 'RemoveRequested'; readonly requestId: string };

export interface TriggerInput {
  readonly triggerId: string;
  readonly sampled: boolean;
  /** Between two looks at a sampled condition, ms. */
  readonly periodMs: number;
  /** The request that adds it; null: it comes from a document. */
  readonly requestId: string | null;
}

export interface TriggerContext extends TriggerInput {
  readonly waiting: readonly Occurrence[];
  readonly occurrences: number;
  readonly dropped: number;
  /** A sampled condition fires when it becomes true, not while it is. */
  readonly wasMet: boolean;
}

/** LTTng's clients keep as many notifications. */
export const OCCURRENCES_MAX = 100;

type Id = { readonly triggerId: string };
type Request = Id & { readonly requestId: string | null };
type Of = { readonly context: TriggerContext };

const id = ({ context }: Of): Id => ({ triggerId: context.triggerId });
const request = ({ context }: Of): Request => ({ triggerId: context.triggerId, requestId: context.requestId });
const answer = { type: 'answer', params: request } as const;
const late = (subject: string, ms: number) =>
  ({
    type: 'refuse',
    params: (of: Of) => ({ ...request(of), refusal: refusal('timeout', { subject, ms }) }),
  }) as const;
const refused = {
  type: 'refuse',
  params: ({ context, event }: Of & { event: { error: unknown } }) => ({
    ...request({ context }),
    refusal: refusalOf(event.error),
  }),
} as const;
const logError = (what: string) =>
  ({
    type: 'logTrigger',
    params: ({ context, event }: Of & { event: { error: unknown } }) => ({
      triggerId: context.triggerId,
      what: `${what}: ${refusalOf(event.error).code} ${JSON.stringify(refusalOf(event.error).params)}`,
    }),
  }) as const;
const log = (what: string) =>
  ({ type: 'logTrigger', params: ({ context }: Of) => ({ triggerId: context.triggerId, what }) }) as const;
const keepOccurrence = {
  type: 'keepOccurrence',
  params: ({ event }: { event: { occurrence: Occurrence } }) => ({ occurrence: event.occurrence }),
} as const;
const takeRequest = {
  type: 'takeRequest',
  params: ({ event }: { event: { requestId: string } }) => ({ requestId: event.requestId }),
} as const;

export const triggerMachine = setup({
  types: {
    context: {} as TriggerContext,
    events: {} as TriggerEvent,
    input: {} as TriggerInput,
  },
  actors: {
    writeTrigger: fromPromise<void, Id>(notProvided('actor writeTrigger')),
    armTrigger: fromPromise<void, Id>(notProvided('actor armTrigger')),
    runActions: fromPromise<void, Id & { number: number; dropped: number; occurrence: Occurrence }>(
      notProvided('actor runActions'),
    ),
    disarmTrigger: fromPromise<void, Id>(notProvided('actor disarmTrigger')),
  },
  actions: {
    answer: notProvided<[unknown, Request]>('action answer'),
    refuse: notProvided<[unknown, Request & { refusal: Refusal }]>('action refuse'),
    logTrigger: notProvided<[unknown, Id & { what: string }]>('action logTrigger'),
    /** Looks, and says what it saw as `Sampled`. */
    sampleCondition: notProvided<[unknown, Id]>('action sampleCondition'),
    reportRemoved: notProvided<[unknown, Id]>('action reportRemoved'),
    takeRequest: assign((_, params: { requestId: string }) => ({ requestId: params.requestId })),
    keepOccurrence: assign(({ context }, params: { occurrence: Occurrence }) =>
      context.waiting.length < OCCURRENCES_MAX
        ? { waiting: [...context.waiting, params.occurrence] }
        : { dropped: context.dropped + 1 },
    ),
    countOccurrence: assign(({ context }) => ({ occurrences: context.occurrences + 1 })),
    forgetOccurrence: assign(({ context }) => ({ waiting: context.waiting.slice(1) })),
    rememberMet: assign((_, params: { met: boolean }) => ({ wasMet: params.met })),
  },
  guards: {
    isNew: ({ context }) => context.requestId !== null,
    occurred: ({ context }) => context.waiting.length > 0,
    becameTrue: ({ context }, params: { met: boolean }) => params.met && !context.wasMet,
    sampled: ({ context }) => context.sampled,
  },
  delays: {
    writeTimeout: 5_000,
    armTimeout: 3_000,
    samplePeriod: ({ context }) => context.periodMs,
    actionTimeout: 120_000,
    disarmTimeout: 5_000,
  },
}).createMachine({
  id: 'trigger',
  initial: 'choosing',
  context: ({ input }) => ({ ...input, waiting: [], occurrences: 0, dropped: 0, wasMet: false }),
  on: { ConditionFulfilled: { actions: keepOccurrence } },
  states: {
    choosing: { always: [{ guard: 'isNew', target: 'writing' }, { target: 'arming' }] },
    writing: {
      invoke: {
        id: 'writeTrigger',
        src: 'writeTrigger',
        input: id,
        onDone: 'arming',
        onError: { target: 'removed', actions: refused },
      },
      after: { writeTimeout: { target: 'removed', actions: late('writing the trigger', 5_000) } },
    },
    // Applications that do not answer are left: they have the commands.
    arming: {
      invoke: {
        id: 'armTrigger',
        src: 'armTrigger',
        input: id,
        onDone: { target: 'armed', actions: answer },
        onError: { target: 'armed', actions: [answer, logError('not every application watches')] },
      },
      after: { armTimeout: { target: 'armed', actions: [answer, log('an application did not answer in time')] } },
    },
    armed: {
      initial: 'listening',
      on: { RemoveRequested: { target: 'disarming', actions: takeRequest } },
      always: { guard: 'occurred', target: 'acting' },
      states: {
        listening: { always: { guard: 'sampled', target: 'watching' } },
        watching: {
          on: {
            Sampled: [
              {
                guard: { type: 'becameTrue', params: ({ event }) => ({ met: event.met }) },
                actions: [{ type: 'rememberMet', params: { met: true } }, keepOccurrence],
              },
              { actions: { type: 'rememberMet', params: ({ event }) => ({ met: event.met }) } },
            ],
          },
          after: { samplePeriod: { target: 'watching', reenter: true, actions: { type: 'sampleCondition', params: id } } },
        },
      },
    },
    acting: {
      entry: 'countOccurrence',
      exit: 'forgetOccurrence',
      invoke: {
        id: 'runActions',
        src: 'runActions',
        input: ({ context }) => ({
          triggerId: context.triggerId,
          number: context.occurrences,
          dropped: context.dropped,
          occurrence: context.waiting[0]!,
        }),
        onDone: 'armed',
        onError: { target: 'armed', actions: logError('its actions failed') },
      },
      after: { actionTimeout: { target: 'armed', actions: log('its actions took too long') } },
      on: { RemoveRequested: { target: 'disarming', actions: takeRequest } },
    },
    disarming: {
      invoke: {
        id: 'disarmTrigger',
        src: 'disarmTrigger',
        input: id,
        onDone: { target: 'removed', actions: answer },
        onError: { target: 'removed', actions: [answer, logError('not every application was told')] },
      },
      after: { disarmTimeout: { target: 'removed', actions: [answer, log('it was not withdrawn in time')] } },
    },
    removed: { type: 'final', entry: { type: 'reportRemoved', params: id } },
  },
});
