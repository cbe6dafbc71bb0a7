/**
 * An application on its registration socket. It is known as soon as it said what it can record, and synchronised when every
 * session that wants it has attached it: only then does its constructor go on.
 */
import { assign, fromPromise, setup } from 'xstate';
import { notProvided } from './not-provided.ts';

/** What HELLO says, and what the kernel says about the peer (uid, pid). */
export interface ApplicationIdentity {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly vpid: number; // in its own pid namespace
  readonly rseq: boolean;
  readonly procname: string;
  readonly startedAt: string;
}

export type ApplicationEvent =
  | { readonly type: 'HelloReceived'; readonly identity: ApplicationIdentity }
  | { readonly type: 'HelloRefused'; readonly reason: string }
  | { readonly type: 'ReadyReceived'; readonly batch: number }
  | { readonly type: 'MalformedReceived'; readonly reason: string }
  | { readonly type: 'ConnectionClosed' };

export interface ApplicationContext {
  readonly application: number;
  readonly identity: ApplicationIdentity | null;
  readonly batch: number;
  /** How often the sessions could not attach it in time. */
  readonly lags: number;
  readonly reason: string | null;
}

const again = {
  target: 'synchronising',
  actions: { type: 'rememberBatch', params: ({ event }: { event: { batch: number } }) => ({ batch: event.batch }) },
} as const;

export const applicationMachine = setup({
  types: {
    context: {} as ApplicationContext,
    events: {} as ApplicationEvent,
    input: {} as { readonly application: number },
  },
  actors: {
    synchronise: fromPromise<void, { application: number }>(notProvided('actor synchronise')),
  },
  actions: {
    welcome: notProvided<[unknown, { application: number }]>('action welcome'),
    refuse: notProvided<[unknown, { application: number; reason: string }]>('action refuse'),
    sendSynced: notProvided<[unknown, { application: number; batch: number; complete: boolean }]>('action sendSynced'),
    logApplication: notProvided<[unknown, { application: number; what: string }]>('action logApplication'),
    publishRegistered: notProvided<[unknown, { application: number }]>('action publishRegistered'),
    withdraw: notProvided<[unknown, { application: number }]>('action withdraw'),
    rememberIdentity: assign((_, params: { identity: ApplicationIdentity }) => ({ identity: params.identity })),
    rememberBatch: assign((_, params: { batch: number }) => ({ batch: params.batch })),
    countLag: assign(({ context }) => ({ lags: context.lags + 1 })),
    forgetLags: assign({ lags: 0 }),
    rememberReason: assign((_, params: { reason: string }) => ({ reason: params.reason })),
  },
  delays: {
    helloTimeout: 5_000,
    registerTimeout: 30_000,
    synchroniseTimeout: 2_000,
    lagPause: ({ context }) => Math.min(2_000 * 2 ** (context.lags - 1), 60_000),
    catchUpTimeout: 10_000,
  },
}).createMachine({
  id: 'application',
  initial: 'connecting',
  context: ({ input }) => ({ application: input.application, identity: null, batch: 0, lags: 0, reason: null }),
  on: {
    ConnectionClosed: '.gone',
    MalformedReceived: {
      target: '.gone',
      actions: { type: 'rememberReason', params: ({ event }) => ({ reason: event.reason }) },
    },
  },
  states: {
    connecting: {
      on: {
        HelloReceived: {
          target: 'registering',
          actions: [
            { type: 'rememberIdentity', params: ({ event }) => ({ identity: event.identity }) },
            { type: 'welcome', params: ({ context }) => ({ application: context.application }) },
          ],
        },
        HelloRefused: {
          target: 'gone',
          actions: {
            type: 'refuse',
            params: ({ context, event }) => ({ application: context.application, reason: event.reason }),
          },
        },
      },
      after: {
        helloTimeout: { target: 'gone', actions: { type: 'rememberReason', params: { reason: 'it said nothing for 5 s' } } },
      },
    },
    registering: {
      on: {
        ReadyReceived: {
          target: 'synchronising',
          actions: [
            { type: 'rememberBatch', params: ({ event }) => ({ batch: event.batch }) },
            { type: 'publishRegistered', params: ({ context }) => ({ application: context.application }) },
          ],
        },
      },
      after: {
        registerTimeout: {
          target: 'gone',
          actions: { type: 'rememberReason', params: { reason: 'it did not describe itself within 30 s' } },
        },
      },
    },
    synchronising: {
      on: {
        // A provider was loaded meanwhile: what it brought has to be attached too.
        ReadyReceived: { ...again, reenter: true },
      },
      invoke: {
        id: 'synchronise',
        src: 'synchronise',
        input: ({ context }) => ({ application: context.application }),
        onDone: 'synced',
        onError: {
          target: 'lagging',
          actions: {
            type: 'logApplication',
            params: ({ context, event }) => ({
              application: context.application,
              what: `a session could not attach it: ${event.error instanceof Error ? event.error.message : String(event.error)}`,
            }),
          },
        },
      },
      after: {
        synchroniseTimeout: {
          target: 'lagging',
          actions: {
            type: 'logApplication',
            params: ({ context }) => ({ application: context.application, what: 'it goes on before all sessions attached it' }),
          },
        },
      },
    },
    // The program need not wait, but nothing that it records into may be dropped: it is not known yet what is wanted.
    lagging: {
      entry: [
        'countLag',
        {
          type: 'sendSynced',
          params: ({ context }) => ({ application: context.application, batch: context.batch, complete: false }),
        },
      ],
      on: { ReadyReceived: again },
      after: { lagPause: 'catchingUp' },
    },
    catchingUp: {
      on: { ReadyReceived: again },
      invoke: {
        id: 'catchUp',
        src: 'synchronise',
        input: ({ context }) => ({ application: context.application }),
        onDone: 'synced',
        onError: 'lagging',
      },
      after: { catchUpTimeout: 'lagging' },
    },
    synced: {
      entry: [
        'forgetLags',
        {
          type: 'sendSynced',
          params: ({ context }) => ({ application: context.application, batch: context.batch, complete: true }),
        },
      ],
      on: { ReadyReceived: again },
    },
    gone: {
      type: 'final',
      entry: [
        {
          type: 'logApplication',
          params: ({ context }) => ({ application: context.application, what: context.reason ?? 'it closed its connection' }),
        },
        { type: 'withdraw', params: ({ context }) => ({ application: context.application }) },
      ],
    },
  },
});
