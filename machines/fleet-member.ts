/**
 * A session daemon as a member of a fleet: it answers the fleet's commands, says every few seconds that it lives, and hears the others.
 * Only hosts that belong to a fleet have one.
 */
import { type ActorRefFrom, assign, fromPromise, setup, stopChild } from 'xstate';
import { freeName } from './children.ts';
import { clockOffsetMachine } from './clock-offset.ts';
import { fleetSessionMachine } from './fleet-session.ts';
import { BEAT_MS, type Beat, hostMachine } from './host.ts';
import { type Lease, leaseMachine } from './lease.ts';
import { notProvided } from './not-provided.ts';
import { refusalOf } from './refusal.ts';

export type FleetMemberEvent =
  | { readonly type: 'BeatSeen'; readonly host: string; readonly beat: Beat }
  | { readonly type: 'HostLeft'; readonly host: string; readonly machine: string }
  /** It was silent for too long, or somebody said so. */
  | { readonly type: 'HostForgotten'; readonly host: string }
  | { readonly type: 'LeaseRequested'; readonly lease: Lease }
  | { readonly type: 'LeaseForgotten'; readonly operation: string }
  /** Somebody new asks who is there. */
  | { readonly type: 'CallSeen'; readonly host: string }
  | { readonly type: 'FleetLeft' };

export interface FleetMemberInput {
  /** HOST of this host. */
  readonly host: string;
}

export interface FleetMemberContext extends FleetMemberInput {
  readonly hosts: Readonly<Record<string, ActorRefFrom<typeof hostMachine>>>;
  /** What is prepared here, by operation. */
  readonly leases: Readonly<Record<string, ActorRefFrom<typeof leaseMachine>>>;
  /** Since it came; whoever listens too shortly does not know who is there. */
  readonly beats: number;
  readonly clock: ActorRefFrom<typeof clockOffsetMachine>;
  /** What the fleet wants of this host. */
  readonly sessions: ActorRefFrom<typeof fleetSessionMachine>;
}

/** By whatever name a machine gave itself. */
export const hostAt = (hosts: FleetMemberContext['hosts'], host: string): ActorRefFrom<typeof hostMachine> | undefined =>
  Object.hasOwn(hosts, host) ? hosts[host] : undefined;

const log = (what: string) => ({ type: 'logMember', params: { what } }) as const;

const [ANSWER_MS, ANSWER_PER_HOST_MS] = [100, 5];

const caller = {
  type: 'addHost',
  params: ({ event }: { event: { host: string } }) => ({ host: event.host }),
} as const;

const forHost = {
  type: 'tellHost',
  params: ({ event }: { event: { host: string; machine: string } }) => ({ host: event.host, machine: event.machine }),
} as const;

/**
 * Whoever calls hears a beat soon; however many call, and whoever does so all the time, all of them hear one. The more hosts answer, and
 * hear each other's answers, the longer it may be: in a fleet of a thousand as long as between beats.
 */
const answering = {
  initial: 'quiet',
  states: {
    quiet: { on: { CallSeen: { target: 'called', actions: caller } } },
    called: {
      on: { CallSeen: { actions: caller } },
      after: { answerPause: { target: 'quiet', actions: 'publishBeat' } },
    },
  },
} as const;

/** With so many the clocks' reference is chosen: whoever is there was heard. */
const LISTENED_BEATS = 3;

/** A fleet that has a reference keeps it: whoever comes need not listen to all the others first. */
const hasReference = ({ hosts }: FleetMemberContext): boolean =>
  Object.values(hosts)
    .map((ref) => ref.getSnapshot())
    .some(({ value, context: { host, beat } }) => value === 'ready' && beat?.clock.reference === host);

export const fleetMemberMachine = setup({
  types: {
    context: {} as FleetMemberContext,
    events: {} as FleetMemberEvent,
    input: {} as FleetMemberInput,
    children: {} as Record<string, 'host' | 'lease' | 'clockOffset' | 'fleetSession'>,
  },
  actors: {
    host: hostMachine,
    lease: leaseMachine,
    clockOffset: clockOffsetMachine,
    fleetSession: fleetSessionMachine,
    openFleet: fromPromise<void, void>(notProvided('actor openFleet')),
  },
  actions: {
    publishBeat: notProvided<[unknown]>('action publishBeat'),
    publishCall: notProvided<[unknown]>('action publishCall'),
    /** Tells the clock. */
    chooseReference: notProvided<[unknown]>('action chooseReference'),
    closeFleet: notProvided<[unknown]>('action closeFleet'),
    logMember: notProvided<[unknown, { what: string }]>('action logMember'),
    addHost: assign({
      hosts: ({ context, spawn }, { host }: { host: string }) =>
        Object.hasOwn(context.hosts, host)
          ? context.hosts
          : { ...context.hosts, [host]: spawn('host', { id: `host ${host}`, input: { host } }) },
    }),
    stopHost: stopChild(({ context }, { host }: { host: string }) => context.hosts[host]!),
    forgetHost: assign({
      hosts: ({ context }, { host }: { host: string }) =>
        Object.fromEntries(Object.entries(context.hosts).filter(([known]) => known !== host)),
    }),
    addLease: assign({
      leases: ({ context, spawn }, { lease }: { lease: Lease }) =>
        Object.hasOwn(context.leases, lease.operation)
          ? context.leases
          : { ...context.leases, [lease.operation]: spawn('lease', { id: freeName('lease', context.leases), input: lease }) },
    }),
    stopLease: stopChild(({ context }, { operation }: { operation: string }) => context.leases[operation]!),
    forgetLease: assign({
      leases: ({ context }, { operation }: { operation: string }) =>
        Object.fromEntries(Object.entries(context.leases).filter(([known]) => known !== operation)),
    }),
    tellBeat: ({ context }, { host, beat }: { host: string; beat: Beat }) =>
      hostAt(context.hosts, host)?.send({ type: 'BeatSeen', beat }),
    tellHost: ({ context }, { host, machine }: { host: string; machine: string }) =>
      hostAt(context.hosts, host)?.send({ type: 'HostLeft', machine }),
    readAgain: ({ context: { sessions } }) => {
      if (sessions.getSnapshot().context.cause !== null) sessions.send({ type: 'Announced' });
    },
    countBeat: assign(({ context }) => ({ beats: context.beats + 1 })),
  },
  guards: {
    hasReference: ({ context }) => hasReference(context),
    mayChoose: ({ context }) => context.beats + 1 >= LISTENED_BEATS || hasReference(context),
  },
  delays: {
    joinTimeout: 15_000,
    joinPause: 5_000,
    arrival: 2_000,
    beatPeriod: BEAT_MS,
    answerPause: ({ context }) => Math.min(BEAT_MS, ANSWER_MS + ANSWER_PER_HOST_MS * Object.keys(context.hosts).length),
  },
}).createMachine({
  id: 'fleet-member',
  initial: 'joining',
  context: ({ input, spawn }) => ({
    ...input,
    hosts: {},
    leases: {},
    beats: 0,
    clock: spawn('clockOffset', { id: 'clock', input }),
    sessions: spawn('fleetSession', { id: 'fleet sessions' }),
  }),
  on: {
    FleetLeft: '.left',
    BeatSeen: {
      actions: [
        { type: 'addHost', params: ({ event }) => ({ host: event.host }) },
        { type: 'tellBeat', params: ({ event }) => ({ host: event.host, beat: event.beat }) },
      ],
    },
    HostLeft: { actions: forHost },
    HostForgotten: {
      actions: [
        { type: 'stopHost', params: ({ event }) => ({ host: event.host }) },
        { type: 'forgetHost', params: ({ event }) => ({ host: event.host }) },
      ],
    },
    LeaseRequested: { actions: { type: 'addLease', params: ({ event }) => ({ lease: event.lease }) } },
    LeaseForgotten: {
      actions: [
        { type: 'stopLease', params: ({ event }) => ({ operation: event.operation }) },
        { type: 'forgetLease', params: ({ event }) => ({ operation: event.operation }) },
      ],
    },
  },
  states: {
    joining: {
      invoke: {
        id: 'openFleet',
        src: 'openFleet',
        onDone: 'arriving',
        onError: {
          target: 'pausing',
          actions: {
            type: 'logMember',
            params: ({ event }) => ({ what: `the fleet's commands cannot be served: ${refusalOf(event.error).code}` }),
          },
        },
      },
      after: { joinTimeout: { target: 'pausing', actions: log("the fleet's commands could not be served in time") } },
    },
    pausing: { after: { joinPause: 'joining' } },
    // The way to the fleet may need a moment more than the local bus: who is there is asked twice, and what the fleet wants
    // once more if that could not be read.
    arriving: {
      entry: ['publishCall', 'publishBeat'],
      ...answering,
      after: {
        arrival: [
          { guard: 'hasReference', target: 'beating', actions: ['publishCall', 'readAgain', 'chooseReference'] },
          { target: 'beating', actions: ['publishCall', 'readAgain'] },
        ],
      },
    },
    beating: {
      entry: 'publishBeat',
      ...answering,
      after: {
        beatPeriod: [
          { guard: 'mayChoose', target: 'beating', reenter: true, actions: 'chooseReference' },
          { target: 'beating', reenter: true, actions: 'countBeat' },
        ],
      },
    },
    left: { type: 'final', entry: 'closeFleet' },
  },
});
