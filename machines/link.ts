/**
 * The link of one session: what readers put into its spool goes to a relay, in order, and comes back as room once it is durable
 * there. Its line, the room in the spool and a wish to see it emptied are states beside each other; bytes are in no event.
 */
import { assign, fromPromise, setup } from 'xstate';
import { notProvided } from './not-provided.ts';
import { type Refusal, refusalOf } from './refusal.ts';

export type LinkEvent =
  /** The first message is on its way that is not acknowledged. */
  | { readonly type: 'MessagesPosted' }
  | { readonly type: 'LinkAcknowledged'; readonly outstanding: boolean; readonly full: boolean }
  /** What the other end wants again is not here any more: it must say where it stands. */
  | { readonly type: 'PositionLost' }
  /** The other end can never take what was sent. */
  | { readonly type: 'LinkRefused' }
  | { readonly type: 'PeerCut' }
  | { readonly type: 'PeerConnected' }
  | { readonly type: 'SpoolFilled' }
  | { readonly type: 'SpoolFreed' }
  | { readonly type: 'DrainRequested'; readonly timeoutMs: number }
  /** The other end has everything, or what whoever waits wants it to have. */
  | { readonly type: 'SpoolDrained' }
  | { readonly type: 'CloseRequested' };

export interface LinkContext {
  readonly sessionId: string;
  readonly drainMs: number;
  /** Why the line is not open. */
  readonly refusal: Refusal | null;
  /** How often the other end could not take what was sent, since it took all. */
  readonly refusals: number;
}

/** The first pause of a link that is refused; each is twice the one before, up to the last. */
const REFUSED_MS = 10_000;
const REFUSED_MOST_MS = 320_000;

const at = { params: ({ context }: { context: LinkContext }) => ({ sessionId: context.sessionId }) } as const;
const act = <T extends string>(type: T) => ({ type, ...at }) as const;
const tell = <W extends string>(what: W) =>
  ({
    type: 'publishLink',
    params: ({ context }: { context: LinkContext }) => ({ sessionId: context.sessionId, what }),
  }) as const;

const opening = { id: 'openPeer', src: 'openPeer', input: ({ context }: { context: LinkContext }) => context } as const;
const refused = {
  type: 'rememberRefusal',
  params: ({ event }: { event: { error: unknown } }) => ({ refusal: refusalOf(event.error) }),
} as const;

export const linkMachine = setup({
  types: {
    context: {} as LinkContext,
    events: {} as LinkEvent,
    input: {} as { readonly sessionId: string },
  },
  actors: { openPeer: fromPromise<void, { readonly sessionId: string }>(notProvided('actor openPeer')) },
  actions: {
    pumpLink: notProvided<[unknown, { sessionId: string }]>('action pumpLink'),
    pauseLink: notProvided<[unknown, { sessionId: string }]>('action pauseLink'),
    holdStreams: notProvided<[unknown, { sessionId: string }]>('action holdStreams'),
    releaseStreams: notProvided<[unknown, { sessionId: string }]>('action releaseStreams'),
    seekDrained: notProvided<[unknown, { sessionId: string }]>('action seekDrained'),
    reportDrain: notProvided<[unknown, { sessionId: string }]>('action reportDrain'),
    publishLink: notProvided<[unknown, { sessionId: string; what: string }]>('action publishLink'),
    endLink: notProvided<[unknown, { sessionId: string }]>('action endLink'),
    rememberRefusal: assign((_, params: { refusal: Refusal }) => ({ refusal: params.refusal })),
    forgetRefusal: assign({ refusal: null }),
    countRefusal: assign(({ context }) => ({ refusals: context.refusals + 1 })),
    forgetRefusals: assign({ refusals: 0 }),
    rememberDrain: assign((_, params: { timeoutMs: number }) => ({ drainMs: params.timeoutMs })),
  },
  guards: {
    isFull: (_, params: { full: boolean }) => params.full,
    isOutstanding: (_, params: { outstanding: boolean }) => params.outstanding,
  },
  delays: {
    openTimeout: 8_000,
    retryPause: 1_000,
    stallTimeout: 3_000,
    // Together with the stall: ten seconds.
    reopenTimeout: 7_000,
    fullTimeout: 10_000,
    refusedPause: ({ context }) => Math.min(REFUSED_MS * 2 ** (context.refusals - 1), REFUSED_MOST_MS),
    drainTimeout: ({ context }) => context.drainMs,
  },
}).createMachine({
  id: 'link',
  initial: 'linked',
  context: ({ input }) => ({ ...input, drainMs: 0, refusal: null, refusals: 0 }),
  states: {
    linked: {
      type: 'parallel',
      on: { CloseRequested: 'closed' },
      states: {
        line: {
          initial: 'seeking',
          states: {
            // Nobody has taken this link yet.
            seeking: {
              initial: 'asking',
              states: {
                asking: {
                  invoke: {
                    ...opening,
                    onDone: { target: '#link.linked.line.open', actions: tell('opened') },
                    onError: { target: 'pausing', actions: refused },
                  },
                  after: { openTimeout: 'pausing' },
                },
                pausing: { on: { PeerConnected: 'asking' }, after: { retryPause: 'asking' } },
              },
            },
            open: {
              initial: 'idle',
              entry: ['forgetRefusal', act('pumpLink')],
              on: {
                LinkAcknowledged: [
                  { guard: { type: 'isFull', params: ({ event }) => ({ full: event.full }) }, target: '.full' },
                  {
                    guard: { type: 'isOutstanding', params: ({ event }) => ({ outstanding: event.outstanding }) },
                    target: '.waiting',
                  },
                  { target: '.idle' },
                ],
                SpoolDrained: { actions: 'forgetRefusals' },
                PeerCut: 'stalled.cut',
                PositionLost: 'resuming',
                LinkRefused: 'refused',
              },
              states: {
                idle: { on: { MessagesPosted: 'waiting' } },
                waiting: { after: { stallTimeout: '#link.linked.line.stalled' } },
                // The disk at the other end: it is given time, then another relay is sought.
                full: {
                  on: {
                    LinkAcknowledged: [
                      { guard: { type: 'isFull', params: ({ event }) => ({ full: event.full }) } },
                      { target: 'waiting', actions: tell('freed') },
                    ],
                  },
                  entry: tell('full'),
                  after: { fullTimeout: '#link.linked.line.resuming' },
                },
              },
            },
            // Nothing more is sent: what is on the way may be lost.
            stalled: {
              initial: 'silent',
              entry: [act('pauseLink'), tell('stalled')],
              on: { LinkRefused: 'refused' },
              states: {
                silent: {
                  on: {
                    LinkAcknowledged: [
                      {
                        guard: { type: 'isOutstanding', params: ({ event }) => ({ outstanding: event.outstanding }) },
                        target: '#link.linked.line.open.waiting',
                        actions: tell('resumed'),
                      },
                      { target: '#link.linked.line.open.idle', actions: tell('resumed') },
                    ],
                    PeerCut: 'cut',
                  },
                  after: { reopenTimeout: '#link.linked.line.resuming' },
                },
                cut: { on: { PeerConnected: '#link.linked.line.resuming' } },
              },
            },
            // The same again would end the same way: nothing is sent but, ever more rarely, to see whether the other end is a newer one.
            refused: {
              entry: [act('pauseLink'), 'countRefusal'],
              after: { refusedPause: 'resuming' },
            },
            // Opened anew with the next epoch: what is not durable at the other end is sent again.
            resuming: {
              initial: 'asking',
              entry: act('pauseLink'),
              states: {
                asking: {
                  invoke: {
                    ...opening,
                    onDone: { target: '#link.linked.line.open', actions: tell('resumed') },
                    onError: { target: 'pausing', actions: refused },
                  },
                  after: { openTimeout: 'pausing' },
                },
                pausing: { on: { PeerConnected: 'asking' }, after: { retryPause: 'asking' } },
              },
            },
          },
        },
        spool: {
          initial: 'roomy',
          states: {
            roomy: { on: { SpoolFilled: 'full' } },
            // Readers write nothing: the rings fill, and lose as their channels say.
            full: {
              entry: [act('holdStreams'), tell('spool-full')],
              exit: [act('releaseStreams'), tell('spool-freed')],
              on: { SpoolFreed: 'roomy' },
            },
          },
        },
        wish: {
          initial: 'streaming',
          states: {
            streaming: {
              on: {
                DrainRequested: {
                  target: 'draining',
                  actions: { type: 'rememberDrain', params: ({ event }) => ({ timeoutMs: event.timeoutMs }) },
                },
              },
            },
            draining: {
              entry: act('seekDrained'),
              exit: act('reportDrain'),
              on: { SpoolDrained: 'streaming' },
              after: { drainTimeout: 'streaming' },
            },
          },
        },
      },
    },
    closed: { type: 'final', entry: act('endLink') },
  },
});
