/**
 * Commands of the fleet: to this host, or to all hosts that a selector matches. The sessions of fleet callers belong to a user of
 * their own, which root's daemon must have (`weft`, or whom `--fleet-user` names), else to the daemon's own user; they write where that
 * user's traces are and nowhere else.
 */
import { dirname, resolve } from 'node:path';
import { leaseOf } from '../machines/lease.ts';
import { parseSelector } from '../rules/selector.ts';
import type { Body, BusMessage, Endpoint, Reply } from '../transport/bus.ts';
import { failed, refused, succeeded } from '../transport/errors.ts';
import { scatterRequest } from '../transport/fleet-messages.ts';
import { type CommandName, isCommandName } from '../transport/messages.ts';
import { parseMessage } from '../transport/schema.ts';
import { parseCommandSubject, realmSubtree } from '../transport/subjects.ts';
import { type Caller, carryOut, prepareCommand } from './commands.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { fleetUid, SYSTEM_USER } from './fleet-user.ts';
import { hostView } from './hosts.ts';

/** What the fleet may ask of a host: all about sessions, nothing about its processes. */
const NOUNS =
  /^(session|channel|event|context|tracker|rotation|snapshot|map|point|trigger)\.|^daemon\.status$|^hosts\.(list|forget)$|^fleet\.sessions$/;
/** About the fleet, and in nobody's name. */
const OF_NOBODY = /^hosts\.(list|forget)$|^fleet\.sessions$/;
const NOBODY = -1;
const PATHS: readonly string[] = ['output', 'path', 'shmPath'];

const userFault = (parts: DaemonParts): Reply | null =>
  fleetUid(parts) === null
    ? failed('fleet-user-missing', { user: parts.ports.host.fleetUser ?? SYSTEM_USER, host: parts.place.host })
    : null;

/** Whatever a request names as a path, however deep: actions of triggers have outputs too. */
const pathsIn = (value: unknown): readonly string[] => {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, one]) =>
    typeof one === 'string' ? (PATHS.includes(name) && one.startsWith('/') ? [one] : []) : pathsIn(one),
  );
};

/** Paths come from whoever may command the fleet, and are written with this host's rights. */
const pathFault = (parts: DaemonParts, uid: number, body: Body): Reply | null => {
  const base = dirname(parts.ports.defaultOutput(uid, 'name', parts.ports.clock.now()));
  const outside = pathsIn(body).find((path) => !resolve(path).startsWith(`${base}/`));
  return outside === undefined ? null : failed('fleet-path-refused', { path: outside, base });
};

/** Root of this host may act for others; whoever commands the fleet acts as the fleet's user. */
const ownerFault = ({ ownerUid }: Body): Reply | null =>
  ownerUid === undefined ? null : failed('permission-denied', { what: 'acting for another user, which the fleet cannot,' });

/** Two machines of one name would both answer: the fleet is told which two, and neither does anything. */
const conflictFault = (parts: DaemonParts): Reply | null => {
  const { host } = parts.place;
  const own = hostView(parts, host);
  return own?.state === 'conflict' ? failed('host-conflict', { host, machines: own.machines.join(' and ') }) : null;
};

const leasesOf = (parts: DaemonParts) => parts.root.getSnapshot().context.fleet?.getSnapshot().context.leases ?? {};

const leaseAt = (parts: DaemonParts, operation: string) => {
  const leases = leasesOf(parts);
  const lease = Object.hasOwn(leases, operation) ? leases[operation] : undefined;
  return lease?.getSnapshot().status === 'active' ? lease : undefined;
};

/** The lease is taken first: of two operations that come at once one is told of the other. */
const prepare = async (parts: DaemonParts, caller: Caller, name: CommandName, body: Body): Promise<Reply> => {
  const operation = String(body.operation ?? body.id);
  const session = String(body.session ?? '');
  const held = Object.values(leasesOf(parts)).some((ref) => {
    const { context, status } = ref.getSnapshot();
    return status === 'active' && context.session === session && context.operation !== operation;
  });
  if (held) return failed('session-busy', { session, doing: 'prepared for another operation of the fleet' });
  const leaseMs = leaseOf(body.leaseMs);
  const lease = { operation, session, command: name, leaseMs };
  parts.root.getSnapshot().context.fleet?.send({ type: 'LeaseRequested', lease });
  const prepared = await prepareCommand(parts, caller, name, body);
  const taken = leaseAt(parts, operation);
  taken?.send({ type: prepared.ok ? 'Prepared' : 'Aborted' });
  if (!prepared.ok) return prepared;
  // Aborted meanwhile, or committed without this host.
  if (!taken) return failed('lease-ended', { operation });
  return succeeded({ lease: { operation, untilMs: parts.ports.clock.now() + leaseMs } });
};

/** A message that comes twice is one: what was answered to it is looked for before the lease, which it ended. */
const settle = async (
  parts: DaemonParts,
  phase: 'commit' | 'abort',
  caller: Caller,
  name: CommandName,
  body: Body,
): Promise<Reply> => {
  const id = String(body.id);
  const operation = String(body.operation ?? id);
  const key = `${caller.who} ${id}`;
  const known = phase === 'commit' ? parts.replies.kept(key) : undefined;
  if (known) return known;
  const lease = leaseAt(parts, operation);
  const { value, context } = lease?.getSnapshot() ?? {};
  const held = value === 'held' && context?.command === name && context.session === String(body.session ?? '');
  lease?.send({ type: phase === 'commit' ? 'Committed' : 'Aborted' });
  if (phase === 'abort') return succeeded({});
  if (held) return carryOut(parts, { ...caller, arranged: true }, name, body);
  return parts.replies.once(key, id, async () => failed('lease-ended', { operation }));
};

/** Prepared once, whoever asks how often: two at a time would wait for one answer. */
const prepareOnce = (parts: DaemonParts, caller: Caller, name: CommandName, body: Body): Promise<Reply> => {
  const id = String(body.id);
  return parts.replies.once(`fleet.prepare ${caller.who} ${id}`, id, () => prepare(parts, caller, name, body));
};

/** With the rights of the fleet on this host. `keep` false: nobody else knows the id, so nobody asks again. */
export const actForFleet = async (parts: DaemonParts, who: string, name: string, body: Body, keep?: false): Promise<Reply> => {
  if (!isCommandName(name)) return failed('unsupported', { what: `Command ${name}` });
  if (!NOUNS.test(name)) return failed('permission-denied', { what: `${name} is a command of local users` });
  const uid = fleetUid(parts) ?? NOBODY;
  const unknown = OF_NOBODY.test(name) ? null : userFault(parts);
  const wrong = conflictFault(parts) ?? unknown ?? ownerFault(body) ?? pathFault(parts, uid, body);
  if (wrong) return wrong;
  const caller: Caller = { who: `fleet.${who}`, uid, all: false, fleet: true };
  if (body.phase === 'prepare') return prepareOnce(parts, caller, name, body);
  if (body.phase === 'commit' || body.phase === 'abort') return settle(parts, body.phase, caller, name, body);
  return carryOut(parts, caller, name, body, keep);
};

const toThisHost = async (parts: DaemonParts, { subject, body }: BusMessage): Promise<Reply> => {
  const address = parseCommandSubject(subject);
  if (!address) return failed('unsupported', { what: `Subject ${subject}` });
  return actForFleet(parts, address.who, `${address.noun}.${address.verb}`, body);
};

/** The caller reads many answers from one inbox: each says whose it is. */
const named = (parts: DaemonParts, reply: Reply): Reply => {
  const { host } = parts.place;
  return succeeded(reply.ok ? { ...reply.body, host, ok: true } : { host, ok: false, error: reply.fault });
};

/** Null: other hosts are meant. */
const toAll = async (parts: DaemonParts, message: BusMessage): Promise<Reply | null> => {
  const parsed = parseMessage(scatterRequest, message.body);
  if (!parsed.ok) return named(parts, refused(parsed.fault));
  const { selector } = parsed.value;
  const selected = parseSelector(selector);
  if (!selected.ok)
    return named(parts, failed('selector-invalid', { selector, column: selected.column, cause: selected.cause }));
  if (!selected.matches({ host: parts.place.host, labels: parts.ports.host.labels })) return null;
  return named(parts, await toThisHost(parts, message));
};

export const fleetEndpoints = (parts: DaemonParts): readonly Endpoint[] => {
  const { host, uid } = parts.place;
  return [
    {
      name: 'host',
      subject: realmSubtree(host, uid, 'fleet'),
      schema: {},
      handle: (message) => toThisHost(parts, message),
    },
    { name: 'fleet', subject: realmSubtree(null, uid, 'fleet'), schema: {}, handle: (message) => toAll(parts, message) },
  ];
};
