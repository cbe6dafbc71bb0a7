/**
 * Taking a snapshot, in whatever state recording is. `freezing` is whatever can fail before the moment that is wanted: its number
 * and directory are promised in the document, and the consumer holds all rings. In `recording` the consumer takes the position of
 * every ring at one time and writes what lies before it; writers go on meanwhile.
 */
import { refusalOf } from './refusal.ts';
import { late } from './session-actions.ts';
import { type SessionContext, sessionSetup } from './session-setup.ts';

type Of = { context: SessionContext };

const requested = ({ context }: Of) => ({ sessionId: context.sessionId, requestId: context.snapshot!.requestId });
const refuseError = {
  type: 'refuse',
  params: (of: Of & { event: { error: unknown } }) => ({ ...requested(of), refusal: refusalOf(of.event.error) }),
} as const;
const refuseLate = (subject: string, ms: number) =>
  ({ type: 'refuse', params: (of: Of) => ({ ...requested(of), refusal: late(subject, ms) }) }) as const;

export const snapshotRegion = sessionSetup.createStateConfig({
  initial: 'idle',
  states: {
    idle: {
      on: {
        SnapshotRequested: {
          target: 'freezing',
          actions: { type: 'takeSnapshot', params: ({ event }) => ({ requestId: event.requestId, wanted: event.wanted }) },
        },
      },
    },
    freezing: {
      invoke: {
        id: 'freezeSnapshot',
        src: 'freezeSnapshot',
        input: ({ context }) => ({ sessionId: context.sessionId, wanted: context.snapshot!.wanted }),
        onDone: {
          target: 'recording',
          actions: { type: 'placeSnapshot', params: ({ event }) => ({ place: event.output }) },
        },
        onError: { target: 'idle', actions: refuseError },
      },
      after: { freezeTimeout: { target: 'idle', actions: refuseLate('preparing the snapshot', 15_000) } },
    },
    recording: {
      invoke: {
        id: 'recordSnapshot',
        src: 'recordSnapshot',
        input: ({ context }) => ({
          sessionId: context.sessionId,
          requestId: context.snapshot!.requestId,
          place: context.snapshot!.place!,
        }),
        onDone: {
          target: 'idle',
          actions: [
            { type: 'answer', params: requested },
            {
              type: 'publishSnapshot',
              params: ({ context }) => ({ sessionId: context.sessionId, path: context.snapshot!.place!.path }),
            },
          ],
        },
        onError: { target: 'idle', actions: refuseError },
      },
      after: { recordTimeout: { target: 'idle', actions: refuseLate('recording the snapshot', 60_000) } },
    },
  },
});
