/** The relay process: it finds a place on the bus and on its disk, takes links, and lets go of old sessions. */
import { type ActorRefFrom, assign, fromPromise, setup, stopChild } from 'xstate';
import { freeName } from './children.ts';
import { notProvided } from './not-provided.ts';
import { type Refusal, refusal, refusalOf } from './refusal.ts';
import { relayLinkMachine } from './relay-link.ts';
import { viewerMachine } from './viewer.ts';

export type RelayEvent =
  | { readonly type: 'OpenRequested'; readonly opening: string }
  | { readonly type: 'OpeningGone'; readonly opening: string }
  | { readonly type: 'ViewerConnected'; readonly viewer: string }
  | { readonly type: 'ViewerGone'; readonly viewer: string }
  | { readonly type: 'ShutdownRequested' }
  | { readonly type: 'BusCut' }
  | { readonly type: 'BusConnected' };

export interface RelayContext {
  readonly openings: Readonly<Record<string, ActorRefFrom<typeof relayLinkMachine>>>;
  readonly viewers: Readonly<Record<string, ActorRefFrom<typeof viewerMachine>>>;
  readonly refusal: Refusal | null;
}

const without = <T>(children: Readonly<Record<string, T>>, name: string): Record<string, T> =>
  Object.fromEntries(Object.entries(children).filter(([id]) => id !== name));

const failedWith = {
  type: 'rememberRefusal',
  params: ({ event }: { event: { error: unknown } }) => ({ refusal: refusalOf(event.error) }),
} as const;

const late = (subject: string, ms: number) =>
  ({ type: 'rememberRefusal', params: { refusal: refusal('timeout', { subject, ms }) } }) as const;

export const relayMachine = setup({
  types: {
    context: {} as RelayContext,
    events: {} as RelayEvent,
    output: {} as { readonly refusal: Refusal | null },
    children: {} as Record<string, 'relayLink' | 'viewer'>,
  },
  actors: {
    relayLink: relayLinkMachine,
    viewer: viewerMachine,
    joinBus: fromPromise<void, void>(notProvided('actor joinBus')),
    drainLinks: fromPromise<void, void>(notProvided('actor drainLinks')),
  },
  actions: {
    leaveBus: notProvided<[unknown]>('action leaveBus'),
    renewKey: notProvided<[unknown]>('action renewKey'),
    evictOld: notProvided<[unknown]>('action evictOld'),
    logRelay: notProvided<[unknown, { what: string }]>('action logRelay'),
    rememberRefusal: assign((_, params: { refusal: Refusal }) => ({ refusal: params.refusal })),
    addOpening: assign({
      openings: ({ context, spawn }, params: { opening: string }) => ({
        ...context.openings,
        [params.opening]: spawn('relayLink', { id: freeName('link', context.openings), input: params }),
      }),
    }),
    stopOpening: stopChild(({ context }, params: { opening: string }) => context.openings[params.opening]!),
    removeOpening: assign(({ context }, params: { opening: string }) => ({
      openings: without(context.openings, params.opening),
    })),
    addViewer: assign({
      viewers: ({ context, spawn }, params: { viewer: string }) => ({
        ...context.viewers,
        [params.viewer]: spawn('viewer', { id: freeName('viewer', context.viewers), input: params }),
      }),
    }),
    stopViewer: stopChild(({ context }, params: { viewer: string }) => context.viewers[params.viewer]!),
    removeViewer: assign(({ context }, params: { viewer: string }) => ({ viewers: without(context.viewers, params.viewer) })),
  },
  delays: { joinTimeout: 60_000, drainTimeout: 10_000, evictPeriod: 30_000, renewPeriod: 2_000 },
}).createMachine({
  id: 'relay',
  initial: 'joining',
  context: { openings: {}, viewers: {}, refusal: null },
  on: {
    OpeningGone: {
      actions: [
        { type: 'stopOpening', params: ({ event }) => ({ opening: event.opening }) },
        { type: 'removeOpening', params: ({ event }) => ({ opening: event.opening }) },
        'evictOld',
      ],
    },
    ViewerGone: {
      actions: [
        { type: 'stopViewer', params: ({ event }) => ({ viewer: event.viewer }) },
        { type: 'removeViewer', params: ({ event }) => ({ viewer: event.viewer }) },
      ],
    },
  },
  output: ({ context }) => ({ refusal: context.refusal }),
  states: {
    joining: {
      on: { ShutdownRequested: 'ended' },
      invoke: { id: 'joinBus', src: 'joinBus', onDone: 'serving', onError: { target: 'ended', actions: failedWith } },
      after: { joinTimeout: { target: 'ended', actions: late('joining the bus', 60_000) } },
    },
    serving: {
      type: 'parallel',
      on: {
        OpenRequested: { actions: { type: 'addOpening', params: ({ event }) => ({ opening: event.opening }) } },
        ViewerConnected: { actions: { type: 'addViewer', params: ({ event }) => ({ viewer: event.viewer }) } },
        ShutdownRequested: 'draining',
      },
      states: {
        bus: {
          initial: 'connected',
          states: {
            connected: { on: { BusCut: { target: 'cut', actions: { type: 'logRelay', params: { what: 'the bus is cut' } } } } },
            // It may have moved, or have been made anew.
            cut: {
              on: { BusConnected: { target: 'connected', actions: { type: 'logRelay', params: { what: 'the bus is back' } } } },
              after: { renewPeriod: { target: 'cut', reenter: true, actions: 'renewKey' } },
            },
          },
        },
        retention: {
          initial: 'waiting',
          states: { waiting: { after: { evictPeriod: { target: 'waiting', reenter: true, actions: 'evictOld' } } } },
        },
      },
    },
    draining: {
      invoke: {
        id: 'drainLinks',
        src: 'drainLinks',
        onDone: 'ended',
        onError: { target: 'ended', actions: failedWith },
      },
      after: { drainTimeout: { target: 'ended', actions: late('writing out the links', 10_000) } },
    },
    ended: { type: 'final', entry: 'leaveBus' },
  },
});
