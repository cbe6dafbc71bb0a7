/** A channel of a session: whether it records, whether its shape may still change, and whether all of its rings exist. */
import { assign, setup } from 'xstate';
import { notProvided } from './not-provided.ts';

export type ChannelEvent =
  | { readonly type: 'ChannelEnabled' }
  | { readonly type: 'ChannelDisabled' }
  | { readonly type: 'SessionStarted' }
  | { readonly type: 'RingsRefused'; readonly cause: string }
  | { readonly type: 'RingsServed' };

export interface ChannelInput {
  readonly sessionId: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly frozen: boolean;
}

export interface ChannelContext extends ChannelInput {
  readonly cause: string | null;
}

export const channelMachine = setup({
  types: { context: {} as ChannelContext, events: {} as ChannelEvent, input: {} as ChannelInput },
  actions: {
    publishChannel:
      notProvided<[unknown, { what: 'enabled' | 'disabled' | 'frozen' | 'degraded' | 'recovered' }]>('action publishChannel'),
    rememberCause: assign((_, params: { cause: string | null }) => ({ cause: params.cause })),
  },
  guards: {
    startsDisabled: ({ context }) => !context.enabled,
    startsFrozen: ({ context }) => context.frozen,
  },
}).createMachine({
  id: 'channel',
  type: 'parallel',
  context: ({ input }) => ({ ...input, cause: null }),
  states: {
    activity: {
      initial: 'choosing',
      states: {
        choosing: { always: [{ guard: 'startsDisabled', target: 'disabled' }, { target: 'enabled' }] },
        enabled: {
          on: { ChannelDisabled: { target: 'disabled', actions: { type: 'publishChannel', params: { what: 'disabled' } } } },
        },
        disabled: {
          on: { ChannelEnabled: { target: 'enabled', actions: { type: 'publishChannel', params: { what: 'enabled' } } } },
        },
      },
    },
    shape: {
      initial: 'choosing',
      states: {
        choosing: { always: [{ guard: 'startsFrozen', target: 'frozen' }, { target: 'open' }] },
        open: { on: { SessionStarted: { target: 'frozen', actions: { type: 'publishChannel', params: { what: 'frozen' } } } } },
        frozen: {},
      },
    },
    health: {
      initial: 'sound',
      states: {
        sound: {
          on: {
            RingsRefused: {
              target: 'degraded',
              actions: [
                { type: 'rememberCause', params: ({ event }) => ({ cause: event.cause }) },
                { type: 'publishChannel', params: { what: 'degraded' } },
              ],
            },
          },
        },
        degraded: {
          on: {
            RingsServed: {
              target: 'sound',
              actions: [
                { type: 'rememberCause', params: { cause: null } },
                { type: 'publishChannel', params: { what: 'recovered' } },
              ],
            },
          },
        },
      },
    },
  },
});
