/**
 * One session's flight recorder in its consumer. A freeze that is heard stops the rings after its delay, until what they hold has been
 * copied; then it rests, so that a symptom that persists does not stop the recording for good. What is heard meanwhile belongs to the
 * freeze that holds: while the id is not in use yet the smaller one wins, on every host, and so does the delay that ends first, whichever
 * is heard first; later both name the same snapshot. A host that
 * tells of one after the other gets so many names noted, and the rest counted.
 */
import { assign, raise, setup } from 'xstate';
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
  /** The delay of one that was merged, and ends before that of the first. */
  | { readonly type: 'PostEnded'; readonly round: number }
  /** Names that came since the last note. */
  | { readonly type: 'NoteRequested' }
  /** The session has no ring here any more. */
  | { readonly type: 'StreamsGone' };

export interface FreezeContext {
  readonly sessionId: string;
  /** The one that holds or held last. */
  readonly freeze: Freeze | null;
  /** Counts those that were taken: what is left of the delays of an earlier one ends nothing. */
  readonly round: number;
  /** Ids that mean the same snapshot. */
  readonly aliases: readonly string[];
  /** Freezes that are not among them: there were too many. */
  readonly more: number;
  /** A note was written a moment ago, and the next one comes together with what is heard until then. */
  readonly noting: boolean;
  readonly unnoted: boolean;
}

/** Of one snapshot. */
export const ALIASES_MAX = 32;

type Of = { readonly context: FreezeContext };
type Named = Pick<FreezeContext, 'sessionId' | 'aliases' | 'more'> & { readonly freeze: Freeze };

const named = ({ context }: Of): Named => ({
  sessionId: context.sessionId,
  freeze: context.freeze!,
  aliases: context.aliases,
  more: context.more,
});
const heard = ({ event }: { event: { freeze: Freeze } }) => ({ freeze: event.freeze });
const publish = (what: string) => ({ type: 'publishFreeze', params: (of: Of) => ({ ...named(of), what }) }) as const;
/** Heard again, over another way. */
const known = { guard: { type: 'isKnown', params: heard } } as const;
const isThis = ({ event }: { event: { id: string } }) => ({ id: event.id });
const note = [{ type: 'noteAliases', params: named }, publish('held')] as const;
/** Until the rings stand still. */
const merged = { type: 'mergeFreeze', params: heard } as const;
/** The copy's name is fixed: what comes now is another name for it. */
const also = [
  known,
  { guard: 'isNoting', actions: [{ type: 'addAlias', params: heard }, 'keepForNote'] },
  { actions: [{ type: 'addAlias', params: heard }, ...note, 'beginPause', 'noteLater'] },
] as const;

const withAlias = ({ aliases, more }: FreezeContext, id: string): Pick<FreezeContext, 'aliases' | 'more'> =>
  aliases.length < ALIASES_MAX ? { aliases: [...aliases, id], more } : { aliases, more: more + 1 };

export const freezeMachine = setup({
  types: { context: {} as FreezeContext, events: {} as FreezeEvent, input: {} as { readonly sessionId: string } },
  actions: {
    holdRings: notProvided<[unknown, Named]>('action holdRings'),
    liftRings: notProvided<[unknown, Named]>('action liftRings'),
    publishFreeze: notProvided<[unknown, Named & { what: string }]>('action publishFreeze'),
    noteAliases: notProvided<[unknown, Named]>('action noteAliases'),
    reportGone: notProvided<[unknown, { sessionId: string }]>('action reportGone'),
    takeFreeze: assign(({ context }, params: { freeze: Freeze }) => ({
      freeze: params.freeze,
      round: context.round + 1,
      aliases: [],
      more: 0,
      unnoted: false,
    })),
    mergeFreeze: assign(({ context }, { freeze }: { freeze: Freeze }) => {
      const before = context.freeze!;
      const wins = freeze.id < before.id;
      return {
        freeze: { ...(wins ? freeze : before), postMs: Math.min(before.postMs, freeze.postMs) },
        ...withAlias(context, wins ? before.id : freeze.id),
      };
    }),
    addAlias: assign(({ context }, { freeze }: { freeze: Freeze }) => withAlias(context, freeze.id)),
    endSooner: raise(({ context }) => ({ type: 'PostEnded', round: context.round }), { delay: 'postDelay' }),
    keepForNote: assign({ unnoted: true }),
    noteLater: raise({ type: 'NoteRequested' }, { id: 'note', delay: 'notePause' }),
    beginPause: assign({ noting: true, unnoted: false }),
    endPause: assign({ noting: false }),
  },
  guards: {
    isKnown: ({ context }, { freeze }: { freeze: Freeze }) =>
      context.freeze?.id === freeze.id || context.aliases.includes(freeze.id),
    isShorter: ({ context }, { freeze }: { freeze: Freeze }) => freeze.postMs < (context.freeze?.postMs ?? 0),
    isThisRound: ({ context }, { round }: { round: number }) => context.round === round,
    isNoting: ({ context }) => context.noting,
    isUnnoted: ({ context }) => context.unnoted,
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
    /** Each note is a file that the disk has to hold. */
    notePause: 1_000,
  },
}).createMachine({
  id: 'freeze',
  initial: 'idle',
  context: ({ input }) => ({ ...input, freeze: null, round: 0, aliases: [], more: 0, noting: false, unnoted: false }),
  on: {
    StreamsGone: '.gone',
    NoteRequested: [{ guard: 'isUnnoted', actions: [...note, 'beginPause', 'noteLater'] }, { actions: 'endPause' }],
  },
  states: {
    idle: { on: { FreezeReceived: { target: 'delaying', actions: { type: 'takeFreeze', params: heard } } } },
    delaying: {
      on: {
        FreezeReceived: [
          known,
          { guard: { type: 'isShorter', params: heard }, actions: [merged, 'endSooner'] },
          { actions: merged },
        ],
        PostEnded: { guard: { type: 'isThisRound', params: ({ event }) => ({ round: event.round }) }, target: 'holding' },
      },
      after: { postDelay: 'holding' },
    },
    holding: {
      entry: { type: 'holdRings', params: named },
      initial: 'settling',
      states: {
        settling: {
          on: { FreezeReceived: [known, { actions: merged }] },
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
    resting: {
      on: { FreezeReceived: also },
      // From now on its names are what they are.
      after: { restDelay: [{ guard: 'isUnnoted', target: 'idle', actions: [...note, 'beginPause'] }, { target: 'idle' }] },
    },
    gone: {
      type: 'final',
      entry: { type: 'reportGone', params: ({ context }) => ({ sessionId: context.sessionId }) },
    },
  },
});
