/** This daemon among the hosts of its fleet: beats out, beats in, and the doors for the fleet's commands. */
import { fromPromise } from 'xstate';
import { z } from 'zod';
import { clockView, NO_FLEET_CLOCK } from '../machines/clock-offset.ts';
import { type FleetMemberContext, fleetMemberMachine, hostAt } from '../machines/fleet-member.ts';
import { type Beat, hostMachine } from '../machines/host.ts';
import { leaseMachine } from '../machines/lease.ts';
import { chooseReference } from '../rules/clock-reference.ts';
import type { Body, BusMessage, Served, Subscription } from '../transport/bus.ts';
import { text } from '../transport/schema.ts';
import { ANY, beatSubject, CALLS, callSubject, parseBeatSubject, parseCallSubject } from '../transport/subjects.ts';
import { clockEndpoint, provideClockOffset } from './clock-offset.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { fleetEndpoints } from './fleet-scatter.ts';
import { provideFleetSession } from './fleet-sessions.ts';
import { saidLabels } from './labels.ts';
import { renewClocks } from './session-clock.ts';

const beatBody = z.object({
  v: z.literal(1),
  machineId: text,
  bootId: text,
  labels: saidLabels,
  version: text,
  sessions: z.int().nonnegative(),
  load: z.number(),
  clock: z.object({ reference: text.nullable(), offsetNs: z.number(), uncertaintyNs: z.number().nullable() }),
  /** The host leaves the fleet. */
  leaving: z.boolean().default(false),
});

/** One boot of one machine, by what it says of itself. */
const machineOf = ({ machineId, bootId }: { machineId: string; bootId: string }): string => `${machineId}/${bootId}`;

const beatOf = (parts: DaemonParts, leaving: boolean): Body => {
  const { host, clock } = parts.ports;
  return {
    v: 1,
    machineId: host.machineId,
    bootId: host.bootId,
    labels: host.labels,
    version: host.version,
    sessions: parts.documents.all().length,
    load: host.load(),
    clock: { ...parts.fleetClock(), atNs: clock.now() * 1e6 },
    ...(leaving && { leaving }),
  };
};

/** Other daemons of the same uid only: they are the fleet that can be commanded together. */
const hear = (parts: DaemonParts, { subject, body }: BusMessage): void => {
  const address = parseBeatSubject(subject);
  const parsed = beatBody.safeParse(body);
  const { fleet } = parts.root.getSnapshot().context;
  if (!address || !parsed.success || !fleet) return;
  const { host } = address;
  const { leaving, v: _, ...said } = parsed.data;
  const machine = machineOf(said);
  const beat: Beat = { ...said, machine, atMs: parts.ports.clock.now() };
  // A large fleet is heard hundreds of times a second, on every host: only who is new is news to the member itself.
  const known = hostAt(fleet.getSnapshot().context.hosts, host);
  if (leaving) fleet.send({ type: 'HostLeft', host, machine });
  else if (known) known.send({ type: 'BeatSeen', beat });
  else fleet.send({ type: 'BeatSeen', host, beat });
};

/** Who calls is what the fleet's server lets it say. */
const answerCall = (parts: DaemonParts, { subject }: BusMessage): void => {
  const address = parseCallSubject(subject);
  if (address?.uid !== String(parts.place.uid)) return;
  parts.root.getSnapshot().context.fleet?.send({ type: 'CallSeen', host: address.host });
};

interface Opened {
  served: Served | null;
  subscriptions: readonly Subscription[];
}

const openFleet = async (parts: DaemonParts, opened: Opened): Promise<void> => {
  const { bus, place } = parts;
  await opened.served?.stop();
  for (const subscription of opened.subscriptions) subscription.stop();
  opened.subscriptions = [
    bus.subscribe(beatSubject({ host: ANY, uid: place.uid }), (message) => hear(parts, message)),
    bus.subscribe(CALLS, (message) => answerCall(parts, message)),
  ];
  const description = 'Commands of the fleet to one host, or to all that a selector matches';
  const service = { name: 'weft-host', version: parts.ports.host.version, description };
  opened.served = await bus.serve(service, [...fleetEndpoints(parts), clockEndpoint({ place, host: parts.ports.host })]);
};

const publishBeat = (parts: DaemonParts, leaving = false): void =>
  void parts.bus.publish(beatSubject(parts.place), beatOf(parts, leaving));

const closeFleet = (parts: DaemonParts, opened: Opened): void => {
  publishBeat(parts, true);
  for (const subscription of opened.subscriptions) subscription.stop();
  void opened.served?.stop();
  parts.fleetSessions?.stop();
};

export const provideLease = (parts: DaemonParts) =>
  leaseMachine.provide({
    actions: {
      forgetLease: (_, { operation }) => parts.root.getSnapshot().context.fleet?.send({ type: 'LeaseForgotten', operation }),
    },
  });

export const provideHost = (parts: DaemonParts) =>
  hostMachine.provide({
    actions: {
      forgetHost: (_, { host }) => parts.root.getSnapshot().context.fleet?.send({ type: 'HostForgotten', host }),
    },
  });

/** As measured now; while this host belongs to no fleet nobody measures. */
const fleetClock = (parts: DaemonParts) => {
  const { fleet } = parts.root.getSnapshot().context;
  if (!fleet) return NO_FLEET_CLOCK;
  const { host } = parts.ports;
  return clockView(fleet.getSnapshot().context.clock.getSnapshot().context, {
    monotonicNs: host.monotonicNs(),
    realOffsetNs: host.clockOffsetNs(),
  });
};

const clockOffset = (parts: DaemonParts) => {
  const { place, events } = parts;
  const { host, ids, log } = parts.ports;
  return provideClockOffset({
    get bus() {
      return parts.bus;
    },
    place,
    host,
    ids,
    log,
    publish: (what, body) => events.publish(place.uid, 'clock', String(body.reference ?? ''), what, body),
  });
};

/** Of those that live, this host included. */
const referenceOf = ({ host, hosts }: FleetMemberContext): string | null => {
  const living = Object.values(hosts)
    .map((ref) => ref.getSnapshot())
    .filter(({ value, context }) => value === 'ready' && context.host !== host);
  const own = hostAt(hosts, host)?.getSnapshot().context.beat?.clock.reference ?? null;
  const others = living.map(({ context }) => ({ host: context.host, reference: context.beat?.clock.reference ?? null }));
  return chooseReference([{ host, reference: own }, ...others]);
};

export const provideFleetMember = (parts: DaemonParts) => {
  const opened: Opened = { served: null, subscriptions: [] };
  parts.fleetClock = () => fleetClock(parts);
  return fleetMemberMachine.provide({
    actors: {
      lease: provideLease(parts),
      clockOffset: clockOffset(parts),
      fleetSession: provideFleetSession(parts),
      host: provideHost(parts),
      openFleet: fromPromise(() => openFleet(parts, opened)),
    },
    actions: {
      publishBeat: () => publishBeat(parts),
      publishCall: () => void parts.bus.publish(callSubject(parts.place), { v: 1 }),
      chooseReference: ({ context }) => {
        context.clock.send({ type: 'ReferenceChanged', reference: referenceOf(context) });
        renewClocks(parts);
      },
      closeFleet: () => closeFleet(parts, opened),
      logMember: (_, { what }) => parts.ports.log.warn(what),
    },
  });
};
