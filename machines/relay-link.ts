/**
 * One opening of a link at a relay, as an operator would name its states. Packets pass by the machine: it hears when that begins,
 * stops, and cannot go on. An opening is `opening` until its first message, for what the request says nobody vouches for.
 */
import { assign, fromPromise, setup } from 'xstate';
import { notProvided } from './not-provided.ts';
import { type Refusal, refusal, refusalOf } from './refusal.ts';

export type RelayLinkEvent =
  /** The first message; later once in a while. */
  | { readonly type: 'DataReceived' }
  | { readonly type: 'DiskFilled'; readonly cause: string }
  | { readonly type: 'DiskFreed' }
  /** A newer opening of the same link has begun. */
  | { readonly type: 'EpochSuperseded' }
  /** A message that no relay can take. */
  | { readonly type: 'DataRefused'; readonly cause: string }
  /** The session ended, and all of it is durable. */
  | { readonly type: 'SessionClosed' }
  | { readonly type: 'ShutdownRequested' };

export interface RelayLinkContext {
  readonly opening: string;
  readonly refusal: Refusal | null;
}

const tell = (what: string) => ({ type: 'publishLink', params: { what } }) as const;
const tellCause = (what: string) =>
  ({
    type: 'publishLink',
    params: ({ event }: { event: { cause: string } }) => ({ what, cause: event.cause }),
  }) as const;

export const relayLinkMachine = setup({
  types: {
    context: {} as RelayLinkContext,
    events: {} as RelayLinkEvent,
    input: {} as { readonly opening: string },
  },
  actors: {
    findPositions: fromPromise<void, { opening: string }>(notProvided('actor findPositions')),
    makeDurable: fromPromise<void, { opening: string }>(notProvided('actor makeDurable')),
  },
  actions: {
    answerOpening: notProvided<[unknown, { refusal: Refusal | null }]>('action answerOpening'),
    tryDisk: notProvided<[unknown]>('action tryDisk'),
    publishLink: notProvided<[unknown, { what: string; cause?: string }]>('action publishLink'),
    refuseSender: notProvided<[unknown, { cause: string }]>('action refuseSender'),
    endOpening: notProvided<[unknown]>('action endOpening'),
    rememberRefusal: assign((_, params: { refusal: Refusal }) => ({ refusal: params.refusal })),
  },
  delays: {
    findTimeout: 4_000,
    offerTimeout: 60_000,
    quietTimeout: 10_000,
    abandonTimeout: 900_000,
    diskRetry: 500,
    durableTimeout: 10_000,
  },
}).createMachine({
  id: 'relay-link',
  initial: 'opening',
  context: ({ input }) => ({ opening: input.opening, refusal: null }),
  on: {
    EpochSuperseded: '.superseded',
    ShutdownRequested: '.ending',
    DataRefused: {
      target: '.closed',
      actions: [{ type: 'refuseSender', params: ({ event }) => ({ cause: event.cause }) }, tellCause('refused')],
    },
  },
  states: {
    opening: {
      initial: 'finding',
      states: {
        // Where the files end.
        finding: {
          invoke: {
            id: 'findPositions',
            src: 'findPositions',
            input: ({ context }) => ({ opening: context.opening }),
            onDone: { target: 'offered', actions: { type: 'answerOpening', params: { refusal: null } } },
            onError: {
              target: '#relay-link.closed',
              actions: { type: 'answerOpening', params: ({ event }) => ({ refusal: refusalOf(event.error) }) },
            },
          },
          after: {
            findTimeout: {
              target: '#relay-link.closed',
              actions: {
                type: 'answerOpening',
                params: { refusal: refusal('timeout', { subject: 'finding the ends of files', ms: 4_000 }) },
              },
            },
          },
        },
        offered: {
          on: { DataReceived: { target: '#relay-link.receiving', actions: tell('added') } },
          after: { offerTimeout: '#relay-link.closed' },
        },
      },
    },
    receiving: {
      on: {
        DataReceived: { target: 'receiving', reenter: true },
        DiskFilled: { target: 'full', actions: tellCause('full') },
        SessionClosed: { target: 'closed', actions: tell('closed') },
      },
      after: { quietTimeout: { target: 'stalled', actions: tell('stalled') } },
    },
    // Its host may be cut off, or have nothing to say.
    stalled: {
      on: {
        DataReceived: { target: 'receiving', actions: tell('resumed') },
        DiskFilled: { target: 'full', actions: tellCause('full') },
        SessionClosed: { target: 'closed', actions: tell('closed') },
      },
      after: { abandonTimeout: 'ending' },
    },
    // The sender holds back what it has until the disk takes what came last.
    full: {
      on: {
        DiskFreed: { target: 'receiving', actions: tell('writable') },
      },
      after: { diskRetry: { target: 'full', reenter: true, actions: 'tryDisk' } },
    },
    superseded: { type: 'final', entry: [tell('superseded'), 'endOpening'] },
    ending: {
      invoke: {
        id: 'makeDurable',
        src: 'makeDurable',
        input: ({ context }) => ({ opening: context.opening }),
        onDone: 'closed',
        onError: 'closed',
      },
      after: { durableTimeout: 'closed' },
    },
    closed: { type: 'final', entry: 'endOpening' },
  },
});
