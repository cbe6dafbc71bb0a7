/**
 * A recording session. What was promised lies in its document, written before anything else happens; the states say what is
 * being done about it. A session of a former daemon begins in `recovering` and goes to the state that its document implies.
 */
import {
  answer,
  answerAtOnce,
  id,
  implies,
  late,
  log,
  logError,
  passForAll,
  passForApplication,
  publish,
  recovered,
  refuse,
  refuseAtOnce,
  refuseError,
  rest,
  take,
} from './session-actions.ts';
import { arranging, destroying, documentRegion, redirecting, starting, stopping } from './session-operations.ts';
import { sessionSetup } from './session-setup.ts';
import { snapshotRegion } from './snapshot.ts';

const remember = (active: boolean) => ({ type: 'rememberActivity', params: { active } }) as const;

export const sessionMachine = sessionSetup.createMachine({
  id: 'session',
  type: 'parallel',
  context: ({ input, spawn }) => ({
    sessionId: input.sessionId,
    name: input.name,
    creates: input.requestId !== null,
    requestId: input.requestId,
    edit: null,
    snapshot: null,
    output: null,
    wasActive: false,
    flushAttempts: 0,
    fault: null,
    registries: {},
    channels: {},
    rotation: spawn('rotation', { id: 'rotation', input: { sessionId: input.sessionId, name: input.name } }),
  }),
  on: {
    ScopeSeen: {
      actions: { type: 'addRegistry', params: ({ event }) => ({ scopeKey: event.scopeKey, scope: event.scope }) },
    },
    ScopeForgotten: {
      actions: [
        { type: 'stopRegistry', params: ({ event }) => ({ scopeKey: event.scopeKey }) },
        { type: 'removeRegistry', params: ({ event }) => ({ scopeKey: event.scopeKey }) },
      ],
    },
    ChannelSeen: {
      actions: {
        type: 'addChannel',
        params: ({ event }) => ({ name: event.name, enabled: event.enabled, frozen: event.frozen }),
      },
    },
  },
  states: {
    life: {
      initial: 'choosing',
      states: {
        choosing: { always: [{ guard: 'creates', target: 'creating' }, { target: 'recovering' }] },
        creating: {
          invoke: {
            id: 'writeDocument',
            src: 'writeDocument',
            input: id,
            onDone: { target: 'inactive', actions: [answer, publish('created')] },
            onError: { target: 'destroyed', actions: refuseError },
          },
          after: { writeTimeout: { target: 'destroyed', actions: refuse(late('writing the session document', 5_000)) } },
        },
        recovering: {
          initial: 'collecting',
          // Whoever asks before that is done hears so, and does not wait for what may never come.
          on: {
            RedirectRequested: { actions: refuseAtOnce('session-recovering') },
            StartRequested: { actions: refuseAtOnce('session-recovering') },
            StopRequested: { actions: refuseAtOnce('session-recovering') },
            DestroyRequested: { actions: refuseAtOnce('session-recovering') },
          },
          states: {
            collecting: {
              invoke: {
                id: 'recoverSession',
                src: 'recoverSession',
                input: id,
                onDone: [
                  {
                    guard: implies('destroying'),
                    target: '#session.life.destroying.quieting',
                    actions: [...recovered],
                  },
                  {
                    guard: implies('stopping'),
                    target: '#session.life.stopping.quieting',
                    actions: [...recovered],
                  },
                  {
                    guard: implies('active'),
                    target: '#session.life.starting.arming',
                    actions: [...recovered],
                  },
                  { target: '#session.life.inactive', actions: [publish('recovered'), rest] },
                ],
                onError: { target: 'pausing', actions: logError('it cannot be recovered yet') },
              },
              after: { recoverTimeout: { target: 'pausing', actions: log('recovering it takes too long') } },
            },
            pausing: { after: { recoverPause: 'collecting' } },
          },
        },
        inactive: {
          on: {
            // What a stop could not have written out is written now.
            ConsumerReady: { actions: { type: 'holdRings', params: id } },
            PrepareRequested: [
              { guard: { type: 'isArranged', params: ({ event }) => event }, actions: answerAtOnce },
              { target: 'arranging', actions: take },
            ],
            RedirectRequested: {
              target: 'redirecting',
              actions: [take, { type: 'takeOutput', params: ({ event }) => ({ wanted: event.wanted }) }],
            },
            StartRequested: [
              {
                guard: { type: 'isArranged', params: ({ event }) => ({ arranged: event.arranged ?? false }) },
                target: 'starting.promising',
                actions: take,
              },
              { target: 'starting', actions: take },
            ],
            StopRequested: { actions: refuseAtOnce('already-stopped') },
            DestroyRequested: { target: 'destroying', actions: [take, remember(false)] },
          },
        },
        arranging,
        redirecting,
        starting,
        active: {
          on: {
            ApplicationChanged: { actions: passForApplication },
            ConsumerReady: { actions: passForAll },
            PrepareRequested: { actions: refuseAtOnce('already-started') },
            RedirectRequested: { actions: refuseAtOnce('session-active') },
            StartRequested: { actions: refuseAtOnce('already-started') },
            StopRequested: { target: 'stopping', actions: take },
            DestroyRequested: { target: 'destroying', actions: [take, remember(true)] },
          },
        },
        stopping,
        destroying,
        destroyed: { entry: { type: 'reportDestroyed', params: id } },
      },
    },
    // Changes of channels and rules, in whatever state recording is. One at a time: the edge sends the next after the answer.
    document: documentRegion,
    snapshot: snapshotRegion,
  },
});
