/**
 * A parcel: traces in a spool that no session feeds (any more). A snapshot that goes to a relay is one, and what a session leaves
 * behind whose relay was away when it ended. It is sent until the other end has all of it, whatever dies meanwhile.
 */
import { assign, fromPromise, setup } from 'xstate';
import { notProvided } from './not-provided.ts';
import { type Refusal, refusal, refusalOf } from './refusal.ts';

export interface ParcelInput {
  readonly parcelId: string;
}

export interface ParcelContext extends ParcelInput {
  /** Why it is not there yet. */
  readonly refusal: Refusal | null;
}

const SEND_MS = 60_000;

export const parcelMachine = setup({
  types: { context: {} as ParcelContext, input: {} as ParcelInput },
  actors: { sendParcel: fromPromise<void, ParcelInput>(notProvided('actor sendParcel')) },
  actions: {
    reportDelivered: notProvided<[unknown, ParcelInput]>('action reportDelivered'),
    logParcel: notProvided<[unknown, ParcelContext]>('action logParcel'),
    rememberRefusal: assign((_, params: { refusal: Refusal }) => ({ refusal: params.refusal })),
  },
  delays: { sendTimeout: SEND_MS, retryPause: 5_000 },
}).createMachine({
  id: 'parcel',
  initial: 'sending',
  context: ({ input }) => ({ ...input, refusal: null }),
  states: {
    sending: {
      invoke: {
        id: 'sendParcel',
        src: 'sendParcel',
        input: ({ context: { parcelId } }) => ({ parcelId }),
        onDone: 'delivered',
        onError: {
          target: 'waiting',
          actions: { type: 'rememberRefusal', params: ({ event }) => ({ refusal: refusalOf(event.error) }) },
        },
      },
      after: {
        sendTimeout: {
          target: 'waiting',
          actions: {
            type: 'rememberRefusal',
            params: { refusal: refusal('timeout', { subject: 'sending what is left', ms: SEND_MS }) },
          },
        },
      },
    },
    // The relay is away, or the consumer is.
    waiting: {
      entry: { type: 'logParcel', params: ({ context }) => context },
      after: { retryPause: 'sending' },
    },
    delivered: { type: 'final', entry: { type: 'reportDelivered', params: ({ context: { parcelId } }) => ({ parcelId }) } },
  },
});
