/**
 * The long operations of a session as states: start, stop, destroy, and the writing of a change. All first promise (the document is
 * written), then act. What a start answers is known by then, and kept with the promise; a stop settles at its end (the answer is kept
 * with the document), and destroy ends with the document's removal.
 */
import { refusal, refusalOf } from './refusal.ts';
import {
  answer,
  id,
  late,
  log,
  logError,
  passForAll,
  passForApplication,
  promise,
  publish,
  refuse,
  refuseError,
  rememberFault,
  request,
  rest,
  retract,
} from './session-actions.ts';
import { type SessionContext, sessionSetup } from './session-setup.ts';

const INACTIVE = '#session.life.inactive';
const ACTIVE = '#session.life.active';
const writingLate = late('writing the session document', 5_000);

const started = [answer, publish('started'), rest] as const;
const stopped = [answer, publish('stopped'), rest] as const;

const edit = ({ context }: { context: SessionContext }) => ({ sessionId: context.sessionId, ...context.edit! });
const editRequest = ({ context }: { context: SessionContext }) => ({
  sessionId: context.sessionId,
  requestId: context.edit!.requestId,
});
const answerEdit = { type: 'answerEdit', params: editRequest } as const;
const refuseEditLate = {
  type: 'refuse',
  params: (of: { context: SessionContext }) => ({ ...editRequest(of), refusal: writingLate }),
} as const;
const refuseEditError = {
  type: 'refuse',
  params: (of: { context: SessionContext; event: { error: unknown } }) => ({
    ...editRequest(of),
    refusal: refusalOf(of.event.error),
  }),
} as const;

/** For a start that begins on many hosts at once: each prepares first. Given up, it leaves what a stopped session has. */
export const arranging = sessionSetup.createStateConfig({
  invoke: {
    id: 'arrangeStart',
    src: 'prepareStart',
    input: id,
    onDone: { target: INACTIVE, actions: answer },
    onError: { target: INACTIVE, actions: refuseError },
  },
  after: { prepareTimeout: { target: INACTIVE, actions: refuse(late('preparing the start', 20_000)) } },
});

/** The destination changes: what is on its way arrives first. Given up, everything is as it was, and can be asked for again. */
export const redirecting = sessionSetup.createStateConfig({
  invoke: {
    id: 'redirectOutput',
    src: 'redirectOutput',
    input: ({ context }) => ({
      sessionId: context.sessionId,
      requestId: context.requestId!,
      wanted: context.output!,
    }),
    onDone: { target: INACTIVE, actions: [answer, publish('redirected')] },
    onError: { target: INACTIVE, actions: refuseError },
  },
  after: { redirectTimeout: { target: INACTIVE, actions: refuse(late('changing the destination', 30_000)) } },
});

export const starting = sessionSetup.createStateConfig({
  initial: 'preparing',
  on: { ApplicationChanged: { actions: passForApplication }, ConsumerReady: { actions: passForAll } },
  states: {
    // Whatever can fail, before anything is promised: consumer, output, memory.
    preparing: {
      invoke: {
        id: 'prepareStart',
        src: 'prepareStart',
        input: id,
        onDone: 'promising',
        onError: { target: INACTIVE, actions: refuseError },
      },
      after: { prepareTimeout: { target: INACTIVE, actions: refuse(late('preparing the start', 20_000)) } },
    },
    promising: {
      invoke: {
        id: 'writeStart',
        src: 'writePromise',
        input: promise('starting'),
        onDone: 'arming',
        onError: { target: INACTIVE, actions: refuseError },
      },
      after: { writeTimeout: { target: INACTIVE, actions: [refuse(writingLate), retract(false)] } },
    },
    arming: {
      invoke: {
        id: 'armApplications',
        src: 'armApplications',
        input: id,
        onDone: { target: ACTIVE, actions: [...started] },
        onError: { target: ACTIVE, actions: [logError('not every application records'), ...started] },
      },
      after: { armTimeout: { target: ACTIVE, actions: [log('not every application recorded in time'), ...started] } },
    },
  },
});

/** Destroyed, what the rings hold would be gone: with room for it the same command writes it out. */
const keep = {
  guard: {
    type: 'roomCanBeMade',
    params: ({ event }: { event: { error: unknown } }) => ({ refusal: refusalOf(event.error) }),
  },
  target: INACTIVE,
  actions: [refuseError, retract(false)],
} as const;

/** The disk hangs, or nobody comes to write. */
const unwrittenLate = (what: 'Stop' | 'Destroy') => refusal(what === 'Stop' ? 'unwritten' : 'unwritten-lost', { ms: 40_000 });

/** Nothing is recorded any more, and what was is in the files. */
const closing = (what: 'Stop' | 'Destroy', next: 'settling' | 'releasing', unwritten: readonly (typeof keep)[]) =>
  ({
    quieting: {
      invoke: {
        id: `quietFor${what}`,
        src: 'quietApplications',
        input: id,
        onDone: 'flushing',
        onError: { target: 'flushing', actions: logError('not every application stopped') },
      },
      after: { quietTimeout: { target: 'flushing', actions: log('an application did not stop in time') } },
    },
    flushing: {
      entry: 'countFlush',
      invoke: {
        id: `flushFor${what}`,
        src: 'flushConsumer',
        input: id,
        onDone: next,
        onError: [
          // The consumer died meanwhile: the next one writes out what the rings hold.
          { guard: 'flushesLeft', target: 'flushing', reenter: true, actions: logError('a flush failed') },
          ...unwritten,
          { target: next, actions: [rememberFault, logError('the flush failed for good')] },
        ],
      },
      after: {
        flushTimeout: { target: next, actions: { type: 'rememberFault', params: { fault: unwrittenLate(what) } } },
      },
    },
  }) as const;

export const stopping = sessionSetup.createStateConfig({
  initial: 'promising',
  states: {
    promising: {
      invoke: {
        id: 'writeStop',
        src: 'writePromise',
        input: promise('stopping'),
        onDone: 'quieting',
        onError: { target: ACTIVE, actions: refuseError },
      },
      after: { writeTimeout: { target: ACTIVE, actions: [refuse(writingLate), retract(true)] } },
    },
    ...closing('Stop', 'settling', []),
    settling: {
      invoke: {
        id: 'settleStop',
        src: 'settle',
        input: request,
        onDone: { target: INACTIVE, actions: [...stopped] },
        onError: { target: INACTIVE, actions: [...stopped, logError('its answer was not kept')] },
      },
      after: { writeTimeout: { target: INACTIVE, actions: [...stopped, log('its answer was not kept in time')] } },
    },
  },
});

const retractDestroy = {
  type: 'retractPromise',
  params: (of: { context: SessionContext }) => ({ ...request(of), active: of.context.wasActive }),
} as const;

export const destroying = sessionSetup.createStateConfig({
  initial: 'promising',
  states: {
    promising: {
      invoke: {
        id: 'writeDestroy',
        src: 'writePromise',
        input: promise('destroying'),
        onDone: 'quieting',
        onError: { target: 'refused', actions: refuseError },
      },
      after: { writeTimeout: { target: 'refused', actions: [refuse(writingLate), retractDestroy] } },
    },
    // Back to where it was.
    refused: { always: [{ guard: 'wasActive', target: ACTIVE }, { target: INACTIVE }] },
    ...closing('Destroy', 'releasing', [keep]),
    releasing: {
      invoke: {
        id: 'releaseSession',
        src: 'releaseSession',
        input: id,
        onDone: { target: '#session.life.destroyed', actions: answer },
        onError: { target: '#session.life.destroyed', actions: [answer, logError('not all of it was released')] },
      },
      after: {
        releaseTimeout: { target: '#session.life.destroyed', actions: [answer, log('it was not released in time')] },
      },
    },
  },
});

/** Changes of channels and rules, in whatever state recording is. */
export const documentRegion = sessionSetup.createStateConfig({
  initial: 'settled',
  states: {
    settled: {
      on: {
        EditRequested: {
          target: 'writing',
          actions: { type: 'takeEdit', params: ({ event }) => ({ requestId: event.requestId, edit: event.edit }) },
        },
      },
    },
    writing: {
      invoke: {
        id: 'writeEdit',
        src: 'writeEdit',
        input: edit,
        onDone: 'applying',
        onError: { target: 'settled', actions: refuseEditError },
      },
      after: { writeTimeout: { target: 'settled', actions: refuseEditLate } },
    },
    // Running applications follow before the caller hears of it.
    applying: {
      invoke: {
        id: 'applyEdit',
        src: 'applyEdit',
        input: edit,
        onDone: { target: 'settled', actions: answerEdit },
        onError: { target: 'settled', actions: [answerEdit, logError('not every application follows the change')] },
      },
      after: {
        applyTimeout: { target: 'settled', actions: [answerEdit, log('not every application followed the change in time')] },
      },
    },
  },
});
