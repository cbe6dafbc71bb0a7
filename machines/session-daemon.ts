/**
 * The session daemon: the root actor. It opens its surroundings (keeper, clock, bus), takes back the sessions of its predecessor,
 * and only then lets callers and applications in. Keeper and bus may die and come back at any time; regions of their own say so.
 */
import { type ActorRefFrom, assign, fromPromise, setup, stopChild } from 'xstate';
import { applicationMachine } from './application.ts';
import { freeName } from './children.ts';
import { type ConsumerEvent, consumerMachine } from './consumer.ts';
import { fleetMemberMachine } from './fleet-member.ts';
import { notProvided } from './not-provided.ts';
import { parcelMachine } from './parcel.ts';
import { type Refusal, refusal, refusalOf } from './refusal.ts';
import { sessionMachine } from './session.ts';
import { type TriggerInput, triggerMachine } from './trigger.ts';

export type SessionDaemonEvent =
  | { readonly type: 'CreateRequested'; readonly sessionId: string; readonly name: string; readonly requestId: string }
  | { readonly type: 'SessionRested'; readonly sessionId: string }
  | { readonly type: 'SessionDestroyed'; readonly sessionId: string }
  | { readonly type: 'ConsumerNeeded'; readonly uid: number; readonly gid: number }
  | { readonly type: 'OwnerLeft'; readonly uid: number }
  | { readonly type: 'ConsumerExited'; readonly uid: number; readonly cause: string }
  | { readonly type: 'ApplicationConnected'; readonly application: number }
  | { readonly type: 'ApplicationGone'; readonly application: number }
  | { readonly type: 'TriggerRequested'; readonly trigger: NewTrigger }
  | { readonly type: 'TriggerRemoved'; readonly triggerId: string }
  | { readonly type: 'ParcelLeft'; readonly parcelId: string }
  | { readonly type: 'ParcelDelivered'; readonly parcelId: string }
  | { readonly type: 'ParcelDropped'; readonly parcelId: string }
  | { readonly type: 'FleetJoined'; readonly host: string }
  | { readonly type: 'FleetLeft' }
  | { readonly type: 'WatchRequested'; readonly leaseMs: number }
  | { readonly type: 'KeeperLost' }
  | { readonly type: 'BusCut' }
  | { readonly type: 'BusConnected' }
  | { readonly type: 'ShutdownRequested' };

export type NewTrigger = TriggerInput & { readonly name: string };

type Refs<T> = Readonly<Record<string, T>>;

export interface SessionDaemonContext {
  readonly sessions: Refs<ActorRefFrom<typeof sessionMachine>>;
  readonly consumers: Refs<ActorRefFrom<typeof consumerMachine>>;
  readonly applications: Refs<ActorRefFrom<typeof applicationMachine>>;
  readonly triggers: Refs<ActorRefFrom<typeof triggerMachine>>;
  readonly parcels: Refs<ActorRefFrom<typeof parcelMachine>>;
  /** Null: this host belongs to no fleet. */
  readonly fleet: ActorRefFrom<typeof fleetMemberMachine> | null;
  /** Sessions that have not reached the state that their documents imply. */
  readonly recovering: readonly string[];
  readonly leaseMs: number;
  readonly refusal: Refusal | null;
}

export interface LoadedSession {
  readonly sessionId: string;
  readonly name: string;
}

const without = <T>(refs: Refs<T>, key: string | number): Refs<T> =>
  Object.fromEntries(Object.entries(refs).filter(([known]) => known !== String(key)));

const failedWith = {
  type: 'rememberRefusal',
  params: ({ event }: { event: { error: unknown } }) => ({ refusal: refusalOf(event.error) }),
} as const;

const late = (subject: string, ms: number) =>
  ({ type: 'rememberRefusal', params: { refusal: refusal('timeout', { subject, ms }) } }) as const;

const log = (what: string) => ({ type: 'logDaemon', params: { what } }) as const;
const logError = (what: string) =>
  ({
    type: 'logDaemon',
    params: ({ event }: { event: { error: unknown } }) => ({
      what: `${what}: ${refusalOf(event.error).code} ${JSON.stringify(refusalOf(event.error).params)}`,
    }),
  }) as const;

const daemonSetup = setup({
  types: {
    context: {} as SessionDaemonContext,
    events: {} as SessionDaemonEvent,
    output: {} as { readonly refusal: Refusal | null },
    children: {} as Record<string, 'session' | 'consumer' | 'application' | 'trigger' | 'parcel' | 'fleetMember'>,
  },
  actors: {
    session: sessionMachine,
    consumer: consumerMachine,
    application: applicationMachine,
    trigger: triggerMachine,
    parcel: parcelMachine,
    fleetMember: fleetMemberMachine,
    loadTriggers: fromPromise<readonly NewTrigger[], void>(notProvided('actor loadTriggers')),
    openHost: fromPromise<void, void>(notProvided('actor openHost')),
    openBus: fromPromise<void, void>(notProvided('actor openBus')),
    loadSessions: fromPromise<readonly LoadedSession[], void>(notProvided('actor loadSessions')),
    openDoors: fromPromise<void, void>(notProvided('actor openDoors')),
    restoreKeeper: fromPromise<void, void>(notProvided('actor restoreKeeper')),
    closeDoors: fromPromise<void, void>(notProvided('actor closeDoors')),
  },
  actions: {
    logDaemon: notProvided<[unknown, { what: string }]>('action logDaemon'),
    attachInspector: notProvided<[unknown]>('action attachInspector'),
    detachInspector: notProvided<[unknown]>('action detachInspector'),
    endDeadProcesses: notProvided<[unknown]>('action endDeadProcesses'),
    letGo: notProvided<[unknown]>('action letGo'),
    rememberRefusal: assign((_, params: { refusal: Refusal }) => ({ refusal: params.refusal })),
    rememberLease: assign((_, params: { leaseMs: number }) => ({ leaseMs: params.leaseMs })),
    addSessions: assign({
      sessions: ({ context, spawn }, params: { sessions: readonly LoadedSession[]; requestId: string | null }) => ({
        ...context.sessions,
        ...Object.fromEntries(
          params.sessions.map((one) => [
            one.sessionId,
            spawn('session', {
              id: `session ${one.name}`,
              input: { ...one, requestId: params.requestId },
            }),
          ]),
        ),
      }),
    }),
    awaitSessions: assign((_, params: { sessions: readonly LoadedSession[] }) => ({
      recovering: params.sessions.map(({ sessionId }) => sessionId),
    })),
    forgetRecovering: assign(({ context }, params: { sessionId: string }) => ({
      recovering: context.recovering.filter((one) => one !== params.sessionId),
    })),
    stopSession: stopChild(({ context }, params: { sessionId: string }) => context.sessions[params.sessionId]!),
    forgetSession: assign(({ context }, params: { sessionId: string }) => ({
      sessions: without(context.sessions, params.sessionId),
    })),
    addConsumer: assign({
      consumers: ({ context, spawn }, params: { uid: number; gid: number }) =>
        context.consumers[params.uid]
          ? context.consumers
          : {
              ...context.consumers,
              [params.uid]: spawn('consumer', { id: `consumer ${params.uid}`, input: params }),
            },
    }),
    addApplication: assign({
      applications: ({ context, spawn }, params: { application: number }) => ({
        ...context.applications,
        [params.application]: spawn('application', { id: freeName('application', context.applications), input: params }),
      }),
    }),
    stopApplication: stopChild(({ context }, params: { application: number }) => context.applications[params.application]!),
    removeApplication: assign(({ context }, params: { application: number }) => ({
      applications: without(context.applications, params.application),
    })),
    addTriggers: assign({
      triggers: ({ context, spawn }, params: { triggers: readonly NewTrigger[] }) => ({
        ...context.triggers,
        ...Object.fromEntries(
          params.triggers.map((one) => [one.triggerId, spawn('trigger', { id: `trigger ${one.triggerId}`, input: one })]),
        ),
      }),
    }),
    removeTrigger: assign(({ context }, params: { triggerId: string }) => ({
      triggers: without(context.triggers, params.triggerId),
    })),
    addParcel: assign({
      parcels: ({ context, spawn }, params: { parcelId: string }) =>
        context.parcels[params.parcelId]
          ? context.parcels
          : { ...context.parcels, [params.parcelId]: spawn('parcel', { id: `parcel ${params.parcelId}`, input: params }) },
    }),
    stopParcel: stopChild(({ context }, params: { parcelId: string }) => context.parcels[params.parcelId]!),
    removeParcel: assign(({ context }, params: { parcelId: string }) => ({
      parcels: without(context.parcels, params.parcelId),
    })),
    joinFleet: assign({
      fleet: ({ context, spawn }, input: { host: string }) => context.fleet ?? spawn('fleetMember', { id: 'fleet', input }),
    }),
    tellFleet: ({ context }) => context.fleet?.send({ type: 'FleetLeft' }),
    forgetFleet: assign({ fleet: null }),
    tellConsumers: ({ context }, params: { type: 'BusCut' | 'BusConnected' }) => {
      for (const consumer of Object.values(context.consumers)) consumer.send(params);
    },
    tellConsumer: ({ context }, params: { uid: number; event: ConsumerEvent }) =>
      context.consumers[params.uid]?.send(params.event),
  },
  guards: { allRested: ({ context }) => context.recovering.length === 0 },
  delays: {
    openTimeout: 15_000,
    busTimeout: 30_000,
    loadTimeout: 15_000,
    recoverTimeout: 60_000,
    doorsTimeout: 15_000,
    lookAgain: 10_000,
    keeperTimeout: 10_000,
    keeperPause: 1_000,
    leaseEnd: ({ context }) => context.leaseMs,
    shutdownTimeout: 9_000,
  },
});

const service = daemonSetup.createStateConfig({
  initial: 'loading',
  states: {
    loading: {
      invoke: {
        id: 'loadSessions',
        src: 'loadSessions',
        onDone: {
          target: 'recovering',
          actions: [
            { type: 'awaitSessions', params: ({ event }) => ({ sessions: event.output }) },
            { type: 'addSessions', params: ({ event }) => ({ sessions: event.output, requestId: null }) },
          ],
        },
        onError: { target: '#session-daemon.failed', actions: failedWith },
      },
      after: { loadTimeout: { target: '#session-daemon.failed', actions: late('reading the session documents', 15_000) } },
    },
    recovering: {
      always: { guard: 'allRested', target: 'arming' },
      after: { recoverTimeout: { target: 'arming', actions: log('some sessions are still recovering') } },
    },
    // Sessions record whatever is wrong with a trigger.
    arming: {
      invoke: {
        id: 'loadTriggers',
        src: 'loadTriggers',
        onDone: { target: 'opening', actions: { type: 'addTriggers', params: ({ event }) => ({ triggers: event.output }) } },
        onError: { target: 'opening', actions: logError('the triggers cannot be read') },
      },
      after: { loadTimeout: { target: 'opening', actions: log('the triggers could not be read in time') } },
    },
    opening: {
      invoke: {
        id: 'openDoors',
        src: 'openDoors',
        onDone: 'serving',
        onError: { target: '#session-daemon.failed', actions: failedWith },
      },
      after: { doorsTimeout: { target: '#session-daemon.failed', actions: late('opening the sockets', 15_000) } },
    },
    // A process may end while nobody is connected to it, or while no daemon runs.
    serving: { tags: 'serves', entry: 'endDeadProcesses', after: { lookAgain: { target: 'serving', reenter: true } } },
  },
});

const keeper = daemonSetup.createStateConfig({
  initial: 'connected',
  states: {
    connected: { on: { KeeperLost: { target: 'lost', actions: log('the keeper is gone; another one is started') } } },
    lost: {
      invoke: {
        id: 'restoreKeeper',
        src: 'restoreKeeper',
        onDone: { target: 'connected', actions: log('a keeper holds the rings again') },
        onError: { target: 'pausing', actions: logError('no keeper could be started') },
      },
      on: { KeeperLost: { target: 'pausing', actions: log('the keeper that was started is gone too') } },
      after: { keeperTimeout: { target: 'pausing', actions: log('no keeper came up in time') } },
    },
    pausing: { after: { keeperPause: 'lost' } },
  },
});

const bus = daemonSetup.createStateConfig({
  initial: 'connected',
  states: {
    connected: {
      on: {
        BusCut: {
          target: 'cut',
          actions: [log('the bus is cut'), { type: 'tellConsumers', params: { type: 'BusCut' } }],
        },
      },
    },
    cut: {
      on: {
        BusConnected: {
          target: 'connected',
          actions: [log('the bus is back'), { type: 'tellConsumers', params: { type: 'BusConnected' } }],
        },
      },
    },
  },
});

const watch = {
  type: 'rememberLease',
  params: ({ event }: { event: { leaseMs: number } }) => ({ leaseMs: event.leaseMs }),
} as const;

const inspection = daemonSetup.createStateConfig({
  initial: 'detached',
  states: {
    detached: { on: { WatchRequested: { target: 'watched', actions: watch } } },
    watched: {
      entry: 'attachInspector',
      exit: 'detachInspector',
      on: { WatchRequested: { target: 'watched', reenter: true, actions: watch } },
      after: { leaseEnd: 'detached' },
    },
  },
});

export const sessionDaemonMachine = daemonSetup.createMachine({
  id: 'session-daemon',
  initial: 'starting',
  context: {
    sessions: {},
    consumers: {},
    applications: {},
    triggers: {},
    parcels: {},
    fleet: null,
    recovering: [],
    leaseMs: 0,
    refusal: null,
  },
  output: ({ context }) => ({ refusal: context.refusal }),
  states: {
    starting: {
      on: { ShutdownRequested: 'stopped' },
      invoke: {
        id: 'openHost',
        src: 'openHost',
        onDone: 'connecting',
        onError: { target: 'failed', actions: failedWith },
      },
      after: { openTimeout: { target: 'failed', actions: late('reaching the keeper', 15_000) } },
    },
    connecting: {
      on: { ShutdownRequested: 'stopped' },
      invoke: {
        id: 'openBus',
        src: 'openBus',
        onDone: 'running',
        onError: { target: 'failed', actions: failedWith },
      },
      after: { busTimeout: { target: 'failed', actions: late('starting the bus', 30_000) } },
    },
    running: {
      type: 'parallel',
      on: {
        CreateRequested: {
          actions: {
            type: 'addSessions',
            params: ({ event }) => ({
              sessions: [{ sessionId: event.sessionId, name: event.name }],
              requestId: event.requestId,
            }),
          },
        },
        ApplicationConnected: {
          actions: { type: 'addApplication', params: ({ event }) => ({ application: event.application }) },
        },
        TriggerRequested: { actions: { type: 'addTriggers', params: ({ event }) => ({ triggers: [event.trigger] }) } },
        TriggerRemoved: { actions: { type: 'removeTrigger', params: ({ event }) => ({ triggerId: event.triggerId }) } },
        ParcelLeft: { actions: { type: 'addParcel', params: ({ event }) => ({ parcelId: event.parcelId }) } },
        ParcelDelivered: {
          actions: [
            { type: 'stopParcel', params: ({ event }) => ({ parcelId: event.parcelId }) },
            { type: 'removeParcel', params: ({ event }) => ({ parcelId: event.parcelId }) },
          ],
        },
        ParcelDropped: {
          actions: [
            { type: 'stopParcel', params: ({ event }) => ({ parcelId: event.parcelId }) },
            { type: 'removeParcel', params: ({ event }) => ({ parcelId: event.parcelId }) },
          ],
        },
        SessionRested: { actions: { type: 'forgetRecovering', params: ({ event }) => ({ sessionId: event.sessionId }) } },
        SessionDestroyed: {
          actions: [
            { type: 'forgetRecovering', params: ({ event }) => ({ sessionId: event.sessionId }) },
            { type: 'stopSession', params: ({ event }) => ({ sessionId: event.sessionId }) },
            { type: 'forgetSession', params: ({ event }) => ({ sessionId: event.sessionId }) },
          ],
        },
        ConsumerNeeded: {
          actions: [
            { type: 'addConsumer', params: ({ event }) => ({ uid: event.uid, gid: event.gid }) },
            { type: 'tellConsumer', params: ({ event }) => ({ uid: event.uid, event: { type: 'ConsumerNeeded' } }) },
          ],
        },
        OwnerLeft: {
          actions: { type: 'tellConsumer', params: ({ event }) => ({ uid: event.uid, event: { type: 'EndRequested' } }) },
        },
        ConsumerExited: {
          actions: {
            type: 'tellConsumer',
            params: ({ event }) => ({ uid: event.uid, event: { type: 'ConsumerExited', cause: event.cause } }),
          },
        },
        ApplicationGone: {
          actions: [
            { type: 'stopApplication', params: ({ event }) => ({ application: event.application }) },
            { type: 'removeApplication', params: ({ event }) => ({ application: event.application }) },
          ],
        },
        FleetJoined: { actions: { type: 'joinFleet', params: ({ event }) => ({ host: event.host }) } },
        FleetLeft: { actions: ['tellFleet', 'forgetFleet'] },
        ShutdownRequested: { target: 'shuttingDown', actions: 'tellFleet' },
      },
      states: { service, keeper, bus, inspection },
    },
    shuttingDown: {
      invoke: {
        id: 'closeDoors',
        src: 'closeDoors',
        onDone: 'stopped',
        onError: { target: 'stopped', actions: logError('the shutdown was not clean') },
      },
      after: { shutdownTimeout: { target: 'stopped', actions: log('the shutdown took too long') } },
    },
    stopped: { type: 'final', entry: 'letGo' },
    failed: { type: 'final', entry: 'letGo' },
  },
});
