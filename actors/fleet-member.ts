/** This daemon among the hosts of its fleet: beats out, beats in, and the doors for the fleet's commands. */
import { fromPromise } from 'xstate';
import { z } from 'zod';
import { fleetMemberMachine } from '../machines/fleet-member.ts';
import { type Beat, hostMachine } from '../machines/host.ts';
import { leaseMachine } from '../machines/lease.ts';
import type { Body, BusMessage, Served, Subscription } from '../transport/bus.ts';
import { labels } from '../transport/fleet-messages.ts';
import { text } from '../transport/schema.ts';
import { ANY, beatSubject, callSubject, parseBeatSubject, RESERVED_HOSTS } from '../transport/subjects.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { fleetEndpoints } from './fleet-scatter.ts';

const beatBody = z.object({
  v: z.literal(1),
  machineId: text,
  bootId: text,
  labels,
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
    clock: { reference: null, offsetNs: 0, uncertaintyNs: null, atNs: clock.now() * 1e6 },
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
  if (leaving) fleet.send({ type: 'HostLeft', host, machine });
  else fleet.send({ type: 'BeatSeen', host, beat: { ...said, machine, atMs: parts.ports.clock.now() } satisfies Beat });
};

const answerCall = (parts: DaemonParts, { body }: BusMessage): void => {
  const { host } = body;
  if (typeof host !== 'string' || RESERVED_HOSTS.includes(host)) return;
  parts.root.getSnapshot().context.fleet?.send({ type: 'CallSeen', host });
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
    bus.subscribe(callSubject(place.uid), (message) => answerCall(parts, message)),
  ];
  const description = 'Commands of the fleet to one host, or to all that a selector matches';
  const service = { name: 'weft-host', version: parts.ports.host.version, description };
  opened.served = await bus.serve(service, fleetEndpoints(parts));
};

const publishBeat = (parts: DaemonParts, leaving = false): void =>
  void parts.bus.publish(beatSubject(parts.place), beatOf(parts, leaving));

const closeFleet = (parts: DaemonParts, opened: Opened): void => {
  publishBeat(parts, true);
  for (const subscription of opened.subscriptions) subscription.stop();
  void opened.served?.stop();
};

export const provideLease = (parts: DaemonParts) =>
  leaseMachine.provide({
    actions: {
      forgetLease: (_, { operation }) => parts.root.getSnapshot().context.fleet?.send({ type: 'LeaseForgotten', operation }),
    },
  });

export const provideFleetMember = (parts: DaemonParts) => {
  const opened: Opened = { served: null, subscriptions: [] };
  return fleetMemberMachine.provide({
    actors: {
      lease: provideLease(parts),
      // It has no effects.
      host: hostMachine.provide({}),
      openFleet: fromPromise(() => openFleet(parts, opened)),
    },
    actions: {
      publishBeat: () => publishBeat(parts),
      publishCall: () => void parts.bus.publish(callSubject(parts.place.uid), { v: 1, host: parts.place.host }),
      closeFleet: () => closeFleet(parts, opened),
      logMember: (_, { what }) => parts.ports.log.warn(what),
    },
  });
};
