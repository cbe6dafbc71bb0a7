/** The consumer process itself: it waits for the key to the bus, serves the session daemon, and ends when nobody needs it. */
import { type ActorRefFrom, assign, fromPromise, sendTo, setup, stopChild } from 'xstate';
import { freeName } from './children.ts';
import { type Freeze, freezeMachine } from './freeze.ts';
import { linkMachine } from './link.ts';
import { notProvided } from './not-provided.ts';
import { type Refusal, refusal, refusalOf } from './refusal.ts';
import { type Plan, streamMachine } from './stream.ts';

interface StreamWanted {
  readonly ringId: string;
  readonly plan: Plan;
  readonly cpuCount: number;
}

export type ConsumerProcessEvent =
  | { readonly type: 'CredentialsReceived' }
  | ({ readonly type: 'StreamRequested' } & StreamWanted)
  | { readonly type: 'StreamDrained'; readonly ringId: string }
  | { readonly type: 'LinkRequested'; readonly sessionId: string }
  | { readonly type: 'LinkEnded'; readonly sessionId: string }
  /** The memory of a counter map, which this process only keeps for a daemon to come. */
  | { readonly type: 'MapReceived'; readonly mapId: string }
  | { readonly type: 'MapReleased'; readonly mapId: string }
  | { readonly type: 'FreezeReceived'; readonly sessionId: string; readonly freeze: Freeze }
  | { readonly type: 'FreezeForgotten'; readonly sessionId: string }
  | { readonly type: 'ShutdownRequested' }
  /** Daemon and keeper are gone. */
  | { readonly type: 'DaemonLost' }
  | { readonly type: 'BusCut' }
  | { readonly type: 'BusConnected' };

export interface ConsumerProcessContext {
  readonly streams: Readonly<Record<string, ActorRefFrom<typeof streamMachine>>>;
  /** By session. */
  readonly links: Readonly<Record<string, ActorRefFrom<typeof linkMachine>>>;
  readonly maps: readonly string[];
  /** By session: those that heard of a freeze. */
  readonly freezes: Readonly<Record<string, ActorRefFrom<typeof freezeMachine>>>;
  readonly refusal: Refusal | null;
}

const failedWith = {
  type: 'rememberRefusal',
  params: ({ event }: { event: { error: unknown } }) => ({ refusal: refusalOf(event.error) }),
} as const;

const late = (subject: string, ms: number) =>
  ({ type: 'rememberRefusal', params: { refusal: refusal('timeout', { subject, ms }) } }) as const;

const log = (what: string) => ({ type: 'logProcess', params: { what } }) as const;

const open = {
  actions: {
    type: 'addStream',
    params: ({ event }: { event: StreamWanted }) => ({ ringId: event.ringId, plan: event.plan, cpuCount: event.cpuCount }),
  },
} as const;

const link = {
  actions: { type: 'addLink', params: ({ event }: { event: { sessionId: string } }) => ({ sessionId: event.sessionId }) },
} as const;

const freeze = {
  actions: [
    { type: 'addFreeze', params: ({ event }: { event: { sessionId: string } }) => ({ sessionId: event.sessionId }) },
    {
      type: 'tellFreeze',
      params: ({ event }: { event: { sessionId: string; freeze: Freeze } }) => ({
        sessionId: event.sessionId,
        freeze: event.freeze,
      }),
    },
  ],
} as const;

const without = <T>(streams: Readonly<Record<string, T>>, ringId: string): Record<string, T> =>
  Object.fromEntries(Object.entries(streams).filter(([id]) => id !== ringId));

export const consumerProcessMachine = setup({
  types: {
    context: {} as ConsumerProcessContext,
    events: {} as ConsumerProcessEvent,
    output: {} as { readonly refusal: Refusal | null },
    children: {} as Record<string, 'stream' | 'link' | 'freeze'>,
  },
  actors: {
    stream: streamMachine,
    link: linkMachine,
    freeze: freezeMachine,
    joinBus: fromPromise<void, void>(notProvided('actor joinBus')),
    drainStreams: fromPromise<void, void>(notProvided('actor drainStreams')),
  },
  actions: {
    leaveBus: notProvided<[unknown]>('action leaveBus'),
    renewKey: notProvided<[unknown]>('action renewKey'),
    logProcess: notProvided<[unknown, { what: string }]>('action logProcess'),
    rememberRefusal: assign((_, params: { refusal: Refusal }) => ({ refusal: params.refusal })),
    addStream: assign({
      streams: ({ context, spawn }, params: { ringId: string; plan: Plan; cpuCount: number }) => ({
        ...context.streams,
        [params.ringId]: spawn('stream', { id: freeName('stream', context.streams), input: params }),
      }),
    }),
    addMap: assign(({ context }, params: { mapId: string }) => ({ maps: [...context.maps, params.mapId] })),
    removeMap: assign(({ context }, params: { mapId: string }) => ({ maps: context.maps.filter((id) => id !== params.mapId) })),
    stopStream: stopChild(({ context }, params: { ringId: string }) => context.streams[params.ringId]!),
    removeStream: assign(({ context }, params: { ringId: string }) => ({ streams: without(context.streams, params.ringId) })),
    addLink: assign({
      links: ({ context, spawn }, params: { sessionId: string }) => ({
        ...context.links,
        [params.sessionId]: spawn('link', { id: `link-${params.sessionId}`, input: params }),
      }),
    }),
    addFreeze: assign({
      freezes: ({ context, spawn }, params: { sessionId: string }) => ({
        ...context.freezes,
        [params.sessionId]:
          context.freezes[params.sessionId] ?? spawn('freeze', { id: `freeze-${params.sessionId}`, input: params }),
      }),
    }),
    tellFreeze: sendTo(
      ({ context }, params: { sessionId: string; freeze: Freeze }) => context.freezes[params.sessionId]!,
      (_, params: { sessionId: string; freeze: Freeze }) => ({ type: 'FreezeReceived', freeze: params.freeze }) as const,
    ),
    removeFreeze: assign(({ context }, params: { sessionId: string }) => ({
      freezes: without(context.freezes, params.sessionId),
    })),
    removeLink: assign(({ context }, params: { sessionId: string }) => ({ links: without(context.links, params.sessionId) })),
  },
  guards: { holdsMemory: ({ context }) => Object.keys(context.streams).length + context.maps.length > 0 },
  delays: { credentialsTimeout: 15_000, joinTimeout: 30_000, drainTimeout: 5_000 },
}).createMachine({
  id: 'consumer-process',
  initial: 'waiting',
  context: { streams: {}, links: {}, maps: [], freezes: {}, refusal: null },
  on: {
    FreezeForgotten: { actions: { type: 'removeFreeze', params: ({ event }) => ({ sessionId: event.sessionId }) } },
    LinkEnded: { actions: { type: 'removeLink', params: ({ event }) => ({ sessionId: event.sessionId }) } },
    MapReceived: { actions: { type: 'addMap', params: ({ event }) => ({ mapId: event.mapId }) } },
    MapReleased: { actions: { type: 'removeMap', params: ({ event }) => ({ mapId: event.mapId }) } },
    StreamDrained: {
      actions: [
        { type: 'stopStream', params: ({ event }) => ({ ringId: event.ringId }) },
        { type: 'removeStream', params: ({ event }) => ({ ringId: event.ringId }) },
      ],
    },
  },
  output: ({ context }) => ({ refusal: context.refusal }),
  states: {
    waiting: {
      on: { CredentialsReceived: 'joining', ShutdownRequested: 'ended', DaemonLost: 'ended' },
      after: { credentialsTimeout: { target: 'ended', actions: late('waiting for the key of the bus', 15_000) } },
    },
    joining: {
      // Who asks finds the subjects served a moment before this process knows it.
      on: { StreamRequested: open, LinkRequested: link, ShutdownRequested: 'ended', DaemonLost: 'ended' },
      invoke: {
        id: 'joinBus',
        src: 'joinBus',
        onDone: 'serving',
        onError: { target: 'ended', actions: failedWith },
      },
      after: { joinTimeout: { target: 'ended', actions: late('joining the bus', 30_000) } },
    },
    serving: {
      initial: 'connected',
      on: {
        StreamRequested: open,
        LinkRequested: link,
        FreezeReceived: freeze,
        // The daemon was started anew, or the bus moved.
        CredentialsReceived: { actions: 'renewKey' },
        ShutdownRequested: 'draining',
        // The memory that it holds lives on in it: the next daemon takes it from here, and then tells it to end.
        DaemonLost: [
          { guard: 'holdsMemory', actions: log('daemon and keeper are gone; recording goes on') },
          { target: 'draining' },
        ],
      },
      states: {
        connected: { on: { BusCut: { target: 'cut', actions: log('the bus is cut; recording goes on') } } },
        cut: { on: { BusConnected: { target: 'connected', actions: log('the bus is back') } } },
      },
    },
    draining: {
      invoke: {
        id: 'drainStreams',
        src: 'drainStreams',
        onDone: 'ended',
        onError: { target: 'ended', actions: failedWith },
      },
      after: { drainTimeout: { target: 'ended', actions: late('writing out the streams', 5_000) } },
    },
    ended: { type: 'final', entry: 'leaveBus' },
  },
});
