/** One viewer on the live port: what it may ask depends on how far it has come. What it may not ask ends the connection. */
import { setup } from 'xstate';
import { notProvided } from './not-provided.ts';

export type ViewerEvent =
  /** `known`: its version is ours. */
  | { readonly type: 'ConnectRequested'; readonly known: boolean }
  | { readonly type: 'ListRequested' }
  | { readonly type: 'CreateRequested' }
  /** `accepted`: there is such a session, this viewer may read it, and the position is one. */
  | { readonly type: 'AttachRequested'; readonly accepted: boolean }
  /** An index, a packet, metadata, new streams. */
  | { readonly type: 'DataRequested' }
  /** `attached`: it is attached to that session. `last`: and to no other. */
  | { readonly type: 'DetachRequested'; readonly attached: boolean; readonly last: boolean }
  | { readonly type: 'FrameRefused'; readonly cause: string }
  | { readonly type: 'ViewerGone' };

type How =
  | 'connect'
  | 'list'
  | 'create'
  | 'attach'
  | 'attach-refused'
  | 'attach-early'
  | 'data'
  | 'data-refused'
  | 'detach'
  | 'detach-refused';

const reply = (how: How) => ({ type: 'reply', params: { how } }) as const;
const outOfTurn = { target: '.closed', actions: { type: 'logViewer', params: { cause: 'a request out of turn' } } } as const;
const list = { actions: reply('list') } as const;

export const viewerMachine = setup({
  types: {
    context: {} as { readonly viewer: string },
    events: {} as ViewerEvent,
    input: {} as { readonly viewer: string },
  },
  actions: {
    reply: notProvided<[unknown, { how: How }]>('action reply'),
    logViewer: notProvided<[unknown, { cause: string }]>('action logViewer'),
    closeViewer: notProvided<[unknown]>('action closeViewer'),
  },
  guards: {
    knowsUs: (_, params: { known: boolean }) => params.known,
    isAccepted: (_, params: { accepted: boolean }) => params.accepted,
    isTrue: (_, params: { value: boolean }) => params.value,
  },
  delays: { greetTimeout: 10_000 },
}).createMachine({
  id: 'viewer',
  initial: 'greeting',
  context: ({ input }) => input,
  on: {
    ConnectRequested: outOfTurn,
    ListRequested: outOfTurn,
    CreateRequested: outOfTurn,
    AttachRequested: outOfTurn,
    DataRequested: outOfTurn,
    DetachRequested: outOfTurn,
    FrameRefused: {
      target: '.closed',
      actions: { type: 'logViewer', params: ({ event }) => ({ cause: event.cause }) },
    },
    ViewerGone: '.closed',
  },
  states: {
    greeting: {
      on: {
        // Of another version: out of turn, whatever comes next.
        ConnectRequested: {
          guard: { type: 'knowsUs', params: ({ event }) => ({ known: event.known }) },
          target: 'connected',
          actions: reply('connect'),
        },
      },
      after: { greetTimeout: 'closed' },
    },
    connected: {
      on: {
        ListRequested: list,
        CreateRequested: { target: 'choosing', actions: reply('create') },
        AttachRequested: { actions: reply('attach-early') },
      },
    },
    choosing: {
      on: {
        ListRequested: list,
        CreateRequested: { actions: reply('create') },
        AttachRequested: [
          {
            guard: { type: 'isAccepted', params: ({ event }) => ({ accepted: event.accepted }) },
            target: 'attached',
            actions: reply('attach'),
          },
          { actions: reply('attach-refused') },
        ],
        // Of what was detached: it may have been on its way.
        DataRequested: { actions: reply('data-refused') },
        DetachRequested: { actions: reply('detach-refused') },
      },
    },
    attached: {
      on: {
        ListRequested: list,
        DataRequested: { actions: reply('data') },
        // Another one: several sessions of one name are all meant.
        AttachRequested: [
          {
            guard: { type: 'isAccepted', params: ({ event }) => ({ accepted: event.accepted }) },
            actions: reply('attach'),
          },
          { actions: reply('attach-refused') },
        ],
        DetachRequested: [
          {
            guard: { type: 'isTrue', params: ({ event }) => ({ value: event.attached && event.last }) },
            target: 'choosing',
            actions: reply('detach'),
          },
          { guard: { type: 'isTrue', params: ({ event }) => ({ value: event.attached }) }, actions: reply('detach') },
          { actions: reply('detach-refused') },
        ],
      },
    },
    closed: { type: 'final', entry: 'closeViewer' },
  },
});
