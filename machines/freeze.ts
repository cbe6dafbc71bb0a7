/**
 * One session's flight recorder in its consumer. A freeze that is heard stops the rings after its delay, until what they hold has been
 * copied; then it rests, so that a symptom that persists does not stop the recording for good. What is heard meanwhile belongs to the
 * freeze that holds: while the id is not in use yet the smaller one wins, on every host; later both name the same snapshot.
 */
import { assign, setup } from 'xstate';
import { notProvided } from './not-provided.ts';

export interface Freeze {
  readonly id: string;
  /** Of the event, ns since 1970, by the clock of the host that saw it. */
  readonly atNs: string;
  readonly host: string;
  readonly trigger: string;
  readonly postMs: number;
}

export type FreezeEvent =
  | { readonly type: 'FreezeReceived'; readonly freeze: Freeze }
  | { readonly type: 'CopyStarted'; readonly id: string }
  | { readonly type: 'CopyEnded'; readonly id: string }
  /** The session has no ring here any more. */
  | { readonly type: 'StreamsGone' };

export interface FreezeContext {
  readonly sessionId: string;
  /** The one that holds or held last. */
  readonly freeze: Freeze | null;
  /** Ids that mean the same snapshot. */
  readonly aliases: readonly string[];
}

type Of = { readonly context: FreezeContext };
type Named = { readonly sessionId: string; readonly freeze: Freeze; readonly aliases: readonly string[] };

const named = ({ context }: Of): Named => ({
  sessionId: context.sessionId,
  freeze: context.freeze!,
  aliases: context.aliases,
});
const heard = ({ event }: { event: { freeze: Freeze } }) => ({ freeze: event.freeze });
const publish = (what: string) => ({ type: 'publishFreeze', params: (of: Of) => ({ ...named(of), what }) }) as const;
/** Heard again, over another way. */
const known = { guard: { type: 'isKnown', params: heard } } as const;
const isThis = ({ event }: { event: { id: string } }) => ({ id: event.id });
/** The copy's name is fixed: what comes now is another name for it. */
const also = [
  known,
  { actions: [{ type: 'addAlias', params: heard }, { type: 'noteAliases', params: named }, publish('held')] },
] as const;

export const freezeMachine = setup({
  types: { context: {} as FreezeContext, events: {} as FreezeEvent, input: {} as { readonly sessionId: string } },
  actions: {
    holdRings: notProvided<[unknown, Named]>('action holdRings'),
    liftRings: notProvided<[unknown, Named]>('action liftRings'),
    publishFreeze: notProvided<[unknown, Named & { what: string }]>('action publishFreeze'),
    noteAliases: notProvided<[unknown, Named]>('action noteAliases'),
    reportGone: notProvided<[unknown, { sessionId: string }]>('action reportGone'),
    takeFreeze: assign((_, params: { freeze: Freeze }) => ({ freeze: params.freeze, aliases: [] })),
    mergeFreeze: assign(({ context }, { freeze }: { freeze: Freeze }) => {
      const before = context.freeze!;
      const wins = freeze.id < before.id;
      return {
        freeze: wins ? { ...freeze, postMs: before.postMs } : before,
        aliases: [...context.aliases, wins ? before.id : freeze.id],
      };
    }),
    addAlias: assign(({ context }, { freeze }: { freeze: Freeze }) => ({ aliases: [...context.aliases, freeze.id] })),
  },
  guards: {
    isKnown: ({ context }, { freeze }: { freeze: Freeze }) =>
      context.freeze?.id === freeze.id || context.aliases.includes(freeze.id),
    isHeld: ({ context }, { id }: { id: string }) => context.freeze?.id === id,
  },
  delays: {
    postDelay: ({ context }) => context.freeze?.postMs ?? 0,
    /** Two hosts that see the symptom within 10 ms, and their messages' way. */
    settleDelay: 20,
    /** The rings end it by themselves after as long (WEFT_FREEZE_MAX_NS). */
    holdLimit: 5_000,
    /** A little more than that: by then the writers go on, and the copy does what it can. */
    copyLimit: 60_000,
    restDelay: 10_000,
  },
}).createMachine({
  id: 'freeze',
  initial: 'idle',
  context: ({ input }) => ({ ...input, freeze: null, aliases: [] }),
  on: { StreamsGone: '.gone' },
  states: {
    idle: { on: { FreezeReceived: { target: 'delaying', actions: { type: 'takeFreeze', params: heard } } } },
    delaying: {
      on: { FreezeReceived: [known, { actions: { type: 'mergeFreeze', params: heard } }] },
      after: { postDelay: 'holding' },
    },
    holding: {
      entry: { type: 'holdRings', params: named },
      initial: 'settling',
      states: {
        settling: {
          on: { FreezeReceived: [known, { actions: { type: 'mergeFreeze', params: heard } }] },
          after: { settleDelay: 'told' },
        },
        // The session daemon says where the copy goes.
        told: {
          entry: publish('frozen'),
          on: {
            FreezeReceived: also,
            CopyStarted: { guard: { type: 'isHeld', params: isThis }, target: '#freeze.copying' },
          },
          after: {
            holdLimit: {
              target: '#freeze.resting',
              actions: [{ type: 'liftRings', params: named }, publish('expired')],
            },
          },
        },
      },
    },
    copying: {
      on: {
        FreezeReceived: also,
        CopyEnded: {
          guard: { type: 'isHeld', params: isThis },
          target: 'resting',
          actions: [{ type: 'liftRings', params: named }, publish('lifted')],
        },
      },
      after: {
        copyLimit: { target: 'resting', actions: [{ type: 'liftRings', params: named }, publish('expired')] },
      },
    },
    resting: { on: { FreezeReceived: also }, after: { restDelay: 'idle' } },
    gone: {
      type: 'final',
      entry: { type: 'reportGone', params: ({ context }) => ({ sessionId: context.sessionId }) },
    },
  },
});
