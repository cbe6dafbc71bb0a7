/** What a recording session knows, hears and has done: the vocabulary of machines/session.ts. */
import { type ActorRefFrom, assign, fromPromise, setup, stopChild } from 'xstate';
import { channelMachine } from './channel.ts';
import { freeName } from './children.ts';
import type { RegistryScope } from './document.ts';
import { notProvided } from './not-provided.ts';
import type { OutputWanted } from './output-edits.ts';
import type { Refusal } from './refusal.ts';
import { ringRegistryMachine } from './ring-registry.ts';
import { rotationMachine } from './rotation.ts';
import type { SessionEdit } from './session-edits.ts';
import type { SnapshotPlace, SnapshotWanted } from './snapshot-edits.ts';

export type SessionEvent =
  | { readonly type: 'EditRequested'; readonly requestId: string; readonly edit: SessionEdit }
  | { readonly type: 'SnapshotRequested'; readonly requestId: string; readonly wanted: SnapshotWanted }
  /** Whatever a start may fail of is done; nothing is recorded yet. `arranged`: it stands already. */
  | { readonly type: 'PrepareRequested'; readonly requestId: string; readonly arranged: boolean }
  /** Of a stopped session: its traces go elsewhere from now on. */
  | { readonly type: 'RedirectRequested'; readonly requestId: string; readonly wanted: OutputWanted }
  /** `arranged`: what it may fail of was done a moment ago, and has not changed since. */
  | { readonly type: 'StartRequested'; readonly requestId: string; readonly arranged?: boolean }
  | { readonly type: 'StopRequested'; readonly requestId: string }
  | { readonly type: 'DestroyRequested'; readonly requestId: string }
  /** An application described itself, or described itself anew. */
  | { readonly type: 'ApplicationChanged'; readonly application: number }
  | { readonly type: 'ScopeSeen'; readonly scopeKey: string; readonly scope: RegistryScope }
  | { readonly type: 'ScopeForgotten'; readonly scopeKey: string }
  | { readonly type: 'ChannelSeen'; readonly name: string; readonly enabled: boolean; readonly frozen: boolean }
  /** The owner's consumer came up (again): it holds nothing of this session that it did not hold before. */
  | { readonly type: 'ConsumerReady' };

export type Implied = 'inactive' | 'active' | 'stopping' | 'destroying';

export interface SessionInput {
  readonly sessionId: string;
  readonly name: string;
  /** The request that creates it; null: it comes from a document. */
  readonly requestId: string | null;
}

export interface SessionContext {
  readonly sessionId: string;
  readonly name: string;
  readonly creates: boolean;
  /** The request under way, answered when its effect is there. */
  readonly requestId: string | null;
  readonly edit: { readonly requestId: string; readonly edit: SessionEdit } | null;
  readonly snapshot: {
    readonly requestId: string;
    readonly wanted: SnapshotWanted;
    readonly place: SnapshotPlace | null;
  } | null;
  /** The destination that is wanted, while it is being changed. */
  readonly output: OutputWanted | null;
  /** Before the destruction that is under way. */
  readonly wasActive: boolean;
  readonly flushAttempts: number;
  readonly fault: Refusal | null;
  readonly registries: Readonly<Record<string, ActorRefFrom<typeof ringRegistryMachine>>>;
  readonly channels: Readonly<Record<string, ActorRefFrom<typeof channelMachine>>>;
  readonly rotation: ActorRefFrom<typeof rotationMachine>;
}

export type Operation = 'starting' | 'stopping' | 'destroying';
export type Id = { readonly sessionId: string };
export const sessionSetup = setup({
  types: {
    context: {} as SessionContext,
    events: {} as SessionEvent,
    input: {} as SessionInput,
    children: {} as Record<string, 'registry' | 'channel' | 'rotation'>,
  },
  actors: {
    registry: ringRegistryMachine,
    channel: channelMachine,
    rotation: rotationMachine,
    writeDocument: fromPromise<void, Id>(notProvided('actor writeDocument')),
    recoverSession: fromPromise<{ implied: Implied; requestId: string | null }, Id>(notProvided('actor recoverSession')),
    writeEdit: fromPromise<void, Id & { requestId: string; edit: SessionEdit }>(notProvided('actor writeEdit')),
    applyEdit: fromPromise<void, Id & { requestId: string; edit: SessionEdit }>(notProvided('actor applyEdit')),
    freezeSnapshot: fromPromise<SnapshotPlace, Id & { wanted: SnapshotWanted }>(notProvided('actor freezeSnapshot')),
    recordSnapshot: fromPromise<void, Id & { requestId: string; place: SnapshotPlace }>(notProvided('actor recordSnapshot')),
    redirectOutput: fromPromise<void, Id & { requestId: string; wanted: OutputWanted }>(notProvided('actor redirectOutput')),
    prepareStart: fromPromise<void, Id>(notProvided('actor prepareStart')),
    writePromise: fromPromise<void, Id & { requestId: string | null; operation: Operation }>(notProvided('actor writePromise')),
    armApplications: fromPromise<void, Id>(notProvided('actor armApplications')),
    quietApplications: fromPromise<void, Id>(notProvided('actor quietApplications')),
    flushConsumer: fromPromise<void, Id>(notProvided('actor flushConsumer')),
    settle: fromPromise<void, Id & { requestId: string | null }>(notProvided('actor settle')),
    releaseSession: fromPromise<void, Id>(notProvided('actor releaseSession')),
  },
  actions: {
    answer: notProvided<[unknown, Id & { requestId: string | null }]>('action answer'),
    answerEdit: notProvided<[unknown, Id & { requestId: string }]>('action answerEdit'),
    refuse: notProvided<[unknown, Id & { requestId: string | null; refusal: Refusal }]>('action refuse'),
    retractPromise: notProvided<[unknown, Id & { requestId: string | null; active: boolean }]>('action retractPromise'),
    reportRest: notProvided<[unknown, Id]>('action reportRest'),
    reportDestroyed: notProvided<[unknown, Id]>('action reportDestroyed'),
    publishSession: notProvided<[unknown, Id & { what: string }]>('action publishSession'),
    publishSnapshot: notProvided<[unknown, Id & { path: string }]>('action publishSnapshot'),
    includeApplication: notProvided<[unknown, Id & { application: number }]>('action includeApplication'),
    includeAll: notProvided<[unknown, Id]>('action includeAll'),
    holdRings: notProvided<[unknown, Id]>('action holdRings'),
    logSession: notProvided<[unknown, Id & { what: string }]>('action logSession'),
    takeRequest: assign((_, params: { requestId: string | null }) => ({
      requestId: params.requestId,
      fault: null,
      flushAttempts: 0,
    })),
    rememberActivity: assign((_, params: { active: boolean }) => ({ wasActive: params.active })),
    takeEdit: assign((_, params: { requestId: string; edit: SessionEdit }) => ({ edit: params })),
    takeOutput: assign((_, params: { wanted: OutputWanted }) => ({ output: params.wanted })),
    takeSnapshot: assign((_, params: { requestId: string; wanted: SnapshotWanted }) => ({
      snapshot: { ...params, place: null },
    })),
    placeSnapshot: assign(({ context }, params: { place: SnapshotPlace }) => ({
      snapshot: { ...context.snapshot!, place: params.place },
    })),
    rememberFault: assign((_, params: { fault: Refusal }) => ({ fault: params.fault })),
    countFlush: assign(({ context }) => ({ flushAttempts: context.flushAttempts + 1 })),
    addRegistry: assign({
      registries: ({ context, spawn }, params: { scopeKey: string; scope: RegistryScope }) =>
        context.registries[params.scopeKey]
          ? context.registries
          : {
              ...context.registries,
              [params.scopeKey]: spawn('registry', {
                // Users stay, processes come and go.
                id: params.scope.kind === 'user' ? params.scopeKey : freeName('process', context.registries),
                input: { sessionId: context.sessionId, ...params },
              }),
            },
    }),
    stopRegistry: stopChild(({ context }, params: { scopeKey: string }) => context.registries[params.scopeKey]!),
    removeRegistry: assign(({ context }, params: { scopeKey: string }) => ({
      registries: Object.fromEntries(Object.entries(context.registries).filter(([key]) => key !== params.scopeKey)),
    })),
    addChannel: assign({
      channels: ({ context, spawn }, params: { name: string; enabled: boolean; frozen: boolean }) =>
        Object.hasOwn(context.channels, params.name)
          ? context.channels
          : {
              ...context.channels,
              [params.name]: spawn('channel', {
                id: `channel ${params.name}`,
                input: { sessionId: context.sessionId, ...params },
              }),
            },
    }),
  },
  guards: {
    creates: ({ context }) => context.creates,
    isArranged: (_, params: { arranged: boolean }) => params.arranged,
    wasActive: ({ context }) => context.wasActive,
    implies: (_, params: { implied: Implied; state: Implied }) => params.implied === params.state,
    flushesLeft: ({ context }) => context.flushAttempts < 3,
    roomCanBeMade: (_, params: { refusal: Refusal }) => params.refusal.code === 'output-full',
  },
  delays: {
    writeTimeout: 5_000,
    recoverTimeout: 20_000,
    recoverPause: 1_000,
    prepareTimeout: 20_000,
    redirectTimeout: 30_000,
    armTimeout: 5_000,
    applyTimeout: 5_000,
    quietTimeout: 2_000,
    flushTimeout: 40_000,
    releaseTimeout: 15_000,
    freezeTimeout: 15_000,
    recordTimeout: 60_000,
  },
});
