/**
 * A host of the fleet, as another one hears it. Its beats say that it lives; three that are missing say that nobody knows. Two machines
 * under one name are heard in turns: what beat before beats again.
 */
import { assign, setup } from 'xstate';
import { notProvided } from './not-provided.ts';

/** What a beat says. */
export interface Beat {
  /** One boot of one machine: no two that live have the same. */
  readonly machine: string;
  readonly machineId: string;
  readonly bootId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly version: string;
  readonly sessions: number;
  readonly load: number;
  readonly clock: { readonly reference: string | null; readonly offsetNs: number; readonly uncertaintyNs: number | null };
  /** When it was heard. */
  readonly atMs: number;
}

export type HostEvent =
  | { readonly type: 'BeatSeen'; readonly beat: Beat }
  | { readonly type: 'HostLeft'; readonly machine: string }
  /** Somebody knows that it is gone for good. */
  | { readonly type: 'ForgetRequested' };

export interface HostContext {
  readonly host: string;
  /** The newest. */
  readonly beat: Beat | null;
  /** The machine that was heard under this name before the one of the newest beat. */
  readonly former: string | null;
}

export const BEAT_MS = 5_000;
/** Three beats, and what a loaded machine is late. */
export const SILENCE_MS = 3 * BEAT_MS + 500;
/** Whoever is not heard for so long is not waited for any more; should it come back, its first beat makes it known. */
export const OBLIVION_MS = 24 * 3_600_000;

const remember = {
  type: 'rememberBeat',
  params: ({ event }: { event: { beat: Beat } }) => ({ beat: event.beat }),
} as const;
const heard = { target: 'ready', reenter: true, actions: remember } as const;
const forget = {
  actions: { type: 'forgetHost', params: ({ context }: { context: HostContext }) => ({ host: context.host }) },
} as const;
const gone = { on: { BeatSeen: heard, ForgetRequested: forget }, after: { oblivion: forget } } as const;
const left = { guard: 'isItself', target: 'left' } as const;

export const hostMachine = setup({
  types: { context: {} as HostContext, events: {} as HostEvent, input: {} as { readonly host: string } },
  actions: {
    rememberBeat: assign(({ context }, { beat }: { beat: Beat }) => ({
      beat,
      former: context.beat && context.beat.machine !== beat.machine ? context.beat.machine : context.former,
    })),
    forgetFormer: assign({ former: null }),
    /** Whoever keeps the list takes it off. */
    forgetHost: notProvided<[unknown, { host: string }]>('action forgetHost'),
  },
  guards: {
    /** The other machine of this name was no predecessor: it lives. */
    isRival: ({ context, event }) =>
      event.type === 'BeatSeen' && event.beat.machine !== context.beat?.machine && event.beat.machine === context.former,
    isItself: ({ context, event }) => event.type === 'HostLeft' && event.machine === context.beat?.machine,
    isOneOfTwo: ({ context, event }) =>
      event.type === 'HostLeft' && [context.beat?.machine, context.former].includes(event.machine),
  },
  delays: { silence: SILENCE_MS, oblivion: OBLIVION_MS },
}).createMachine({
  id: 'host',
  initial: 'joining',
  context: ({ input }) => ({ host: input.host, beat: null, former: null }),
  states: {
    // It called, and did not beat yet.
    joining: { on: { BeatSeen: heard }, after: { silence: 'unreachable' } },
    ready: {
      on: { BeatSeen: [{ guard: 'isRival', target: 'conflict', actions: remember }, heard], HostLeft: left },
      after: { silence: 'unreachable' },
    },
    // Over when one of them left, or was silent long enough.
    conflict: {
      on: {
        BeatSeen: [{ guard: 'isRival', target: 'conflict', reenter: true, actions: remember }, { actions: remember }],
        HostLeft: { guard: 'isOneOfTwo', target: 'ready', actions: 'forgetFormer' },
      },
      after: { silence: 'ready' },
    },
    unreachable: gone,
    left: gone,
  },
});
