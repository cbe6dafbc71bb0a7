/** The registry of hosts, as questions ask for it. */
import type { ActorRefFrom } from 'xstate';
import { NO_FLEET_CLOCK } from '../machines/clock-offset.ts';
import { type FleetMemberContext, hostAt } from '../machines/fleet-member.ts';
import type { Beat, hostMachine } from '../machines/host.ts';
import type { Reply } from '../transport/bus.ts';
import { failed } from '../transport/errors.ts';
import type { HostView } from '../transport/fleet-messages.ts';
import type { DaemonParts } from './daemon-parts.ts';

const NOT_HEARD: Omit<Beat, 'machine' | 'atMs'> = {
  machineId: '',
  bootId: '',
  labels: {},
  version: '',
  sessions: 0,
  load: 0,
  clock: NO_FLEET_CLOCK,
};

const viewOf = (uid: number, ref: ActorRefFrom<typeof hostMachine>): HostView => {
  const { value: state, context } = ref.getSnapshot();
  const { host, beat, former } = context;
  const { machineId, bootId, labels, version, sessions, load, clock } = beat ?? NOT_HEARD;
  const machines = state === 'conflict' && beat && former !== null ? [beat.machine, former].sort() : [];
  const said = { machineId, bootId, labels, version, sessions, load, clock };
  return { host, uid, state, ...said, lastBeatMs: beat?.atMs ?? null, machines };
};

const heard = (parts: DaemonParts): FleetMemberContext['hosts'] =>
  parts.root.getSnapshot().context.fleet?.getSnapshot().context.hosts ?? {};

/** Of one host, among however many there are. Null: it was not heard. */
export const hostView = (parts: DaemonParts, host: string): HostView | null => {
  const ref = hostAt(heard(parts), host);
  return ref ? viewOf(parts.place.uid, ref) : null;
};

/** By name. Empty: this host belongs to no fleet. */
export const hostViews = (parts: DaemonParts): readonly HostView[] =>
  Object.values(heard(parts))
    .map((ref) => viewOf(parts.place.uid, ref))
    .sort((a, b) => (a.host < b.host ? -1 : 1));

/** Null: it is known no more. One that may live is not forgotten: its next beat would make it known again. */
export const forgetHost = (parts: DaemonParts, host: string): Reply | null => {
  const ref = hostAt(heard(parts), host);
  if (!ref) return failed('host-unknown', { host });
  const { value: state } = ref.getSnapshot();
  if (state !== 'unreachable' && state !== 'left') return failed('host-lives', { host, state });
  ref.send({ type: 'ForgetRequested' });
  return null;
};
