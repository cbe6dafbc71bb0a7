/**
 * The commands of the daemon: schema-checked, answered once per request id, one at a time per session. Changes are events of the
 * session's machine, which answers; questions are answered from what there is.
 */
import { DEFAULT_CHANNEL } from '../machines/channel-edits.ts';
import { counterOf } from '../machines/contexts.ts';
import type { SessionDocument } from '../machines/document.ts';
import { mapNamed } from '../machines/map-edits.ts';
import type { Refusal } from '../machines/refusal.ts';
import type { RotationEvent } from '../machines/rotation.ts';
import { beginRotation } from '../machines/rotation-edits.ts';
import type { SessionEdit } from '../machines/session-edits.ts';
import type { SessionEvent } from '../machines/session-setup.ts';
import { takeSnapshot as snapshotOf } from '../machines/snapshot-edits.ts';
import { distinctFilters, filtersFit } from '../rules/filter/channel.ts';
import { checkFilter } from '../rules/filter/check.ts';
import { exclusionFault } from '../rules/match.ts';
import { isReservedChannel, isReservedPattern } from '../rules/reserved.ts';
import type { Body, BusMessage, Endpoint, Reply } from '../transport/bus.ts';
import { failed, refused, succeeded } from '../transport/errors.ts';
import {
  COMMAND_NAMES,
  type CommandName,
  type CommandRequest,
  commandSchema,
  isCommandName,
  parseRequest,
} from '../transport/messages.ts';
import { commandPattern, parseCommandSubject } from '../transport/subjects.ts';
import type { WriteAlarm } from './consumer-link.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { PLACE_HANDLERS } from './daemon-place.ts';
import { FLEET_HANDLERS } from './fleet-commands.ts';
import { clearMaps } from './map-counts.ts';
import { mapViewOf } from './map-views.ts';
import { PARCEL_HANDLERS, parcelsOf } from './parcel-commands.ts';
import { reclaimChannels } from './reclaim.ts';
import { faultOfRefusal, refusedFrom } from './refused.ts';
import { momentOf } from './rotation.ts';
import { clockOf } from './session-clock.ts';
import { create, pathFault, relayFault, snapshotPathFault } from './session-creation.ts';
import { linkOf } from './session-link.ts';
import { isPrepared } from './start-needs.ts';
import { trackedValues } from './tracked-values.ts';
import { TRIGGER_HANDLERS } from './trigger-commands.ts';
import { inTurn } from './turns.ts';
import { applicationViewOf, sessionViewOf, summaryOf } from './views.ts';

/** Who asks, as the server vouches. */
export interface Caller {
  readonly who: string;
  readonly uid: number;
  /** root, or the daemon's own user. */
  readonly all: boolean;
  /** Whoever commands the fleet: held to where its traces are, also by what runs later in their name. */
  readonly fleet?: boolean;
  /** What the command may fail of was done, and is held for it. */
  readonly arranged?: boolean;
}

export type Handler<C extends CommandName> = (
  parts: DaemonParts,
  caller: Caller,
  request: CommandRequest<C>,
  key: string,
) => Promise<Reply>;

const sees = (caller: Caller, document: SessionDocument): boolean => caller.all || document.owner.uid === caller.uid;

const addMapChannel: Handler<'map.add'> = async (parts, caller, request, key) => {
  const { session, name = null, bits = 64, maxKeys = 4096, updatePolicy = 'per-event', ownership, deadProcesses } = request;
  const perProcess = ownership === 'process' ? { dead: deadProcesses ?? 'sum-into-shared' } : null;
  if (!perProcess && deadProcesses !== undefined) {
    const cause = 'what becomes of dead processes can be said of counters per process only';
    return failed('map-invalid', { channel: name ?? '', cause });
  }
  const wanted = { name, bits, maxKeys, updatePolicy, ...(perProcess && { perProcess }) };
  return edit(parts, caller, session, key, { kind: 'map.add', wanted });
};

const find = (parts: DaemonParts, caller: Caller, name: string): SessionDocument | undefined =>
  parts.documents.all().find((document) => document.name === name && sees(caller, document));

/** Sends an event to the session and waits for its machine's answer. */
const command = (parts: DaemonParts, caller: Caller, name: string, key: string, event: SessionEvent): Promise<Reply> =>
  commandTo(parts, caller, name, key, (session) => session.send(event));

const commandTo = (
  parts: DaemonParts,
  caller: Caller,
  name: string,
  key: string,
  tell: (session: NonNullable<ReturnType<DaemonParts['session']>>, document: SessionDocument) => void,
): Promise<Reply> => {
  const found = find(parts, caller, name);
  if (!found) return Promise.resolve(failed('session-not-found', { session: name }));
  return inTurn(parts, found.id, () => {
    const session = parts.session(found.id);
    const document = parts.documents.find(found.id);
    if (!session || !document) return Promise.resolve(failed('session-not-found', { session: name }));
    return parts.replies.expect(key, () => tell(session, document));
  });
};

/** The same for the session's rotation. */
const rotationCommand = (parts: DaemonParts, caller: Caller, name: string, key: string, event: RotationEvent): Promise<Reply> =>
  commandTo(parts, caller, name, key, (session) => session.getSnapshot().context.rotation.send(event));

const edit = (parts: DaemonParts, caller: Caller, name: string, key: string, change: SessionEdit): Promise<Reply> =>
  command(parts, caller, name, key, { type: 'EditRequested', requestId: key, edit: change });

/** How long a view waits for what a consumer has to say; without it the rest is shown. */
const ALARMS_MS = 1_000;

const alarmsOf = async (parts: DaemonParts, { id, owner }: SessionDocument): Promise<readonly WriteAlarm[]> => {
  const { clock, log } = parts.ports;
  let timer: unknown = null;
  const late = new Promise<readonly WriteAlarm[]>((resolve) => {
    timer = clock.setTimeout(() => resolve([]), ALARMS_MS);
  });
  const asked = parts
    .consumer(owner.uid)
    .alarms(id)
    .catch((thrown: unknown) => {
      log.info('a consumer did not say whether its files take what comes', { cause: String(thrown) });
      return [];
    });
  const alarms = await Promise.race([asked, late]);
  clock.clearTimeout(timer);
  return alarms;
};

const show: Handler<'session.show'> = async (parts, caller, request) => {
  const document = find(parts, caller, request.session);
  if (!document) return failed('session-not-found', { session: request.session });
  const { channel } = request;
  if (channel !== undefined && !document.channels.some(({ name }) => name === channel)) {
    return failed('channel-not-found', { session: request.session, channel });
  }
  const [alarms, link] = await Promise.all([alarmsOf(parts, document), linkOf(parts, document)]);
  return succeeded({ session: sessionViewOf(parts, document, channel, alarms, link) });
};

const ruleFault = (pattern: string, exclusions: readonly string[], channel: string | null): Reply | null => {
  const invalid = (cause: string) => failed('rule-invalid', { pattern, cause });
  if (isReservedPattern(pattern)) return failed('name-reserved', { name: pattern });
  if (channel !== null && isReservedChannel(channel)) return failed('name-reserved', { name: channel });
  if (pattern === '') return invalid('it is empty');
  if (Buffer.byteLength(pattern) > 255) return invalid('it has more than 255 bytes');
  const error = exclusionFault(pattern, exclusions);
  return error === null ? null : failed('exclusion-invalid', { exclusion: exclusions.join(','), cause: error });
};

const filterFault = (filter: string, where: 'program' | 'trace' = 'program'): Reply | null => {
  const checked = checkFilter(filter, where);
  if (checked.ok) return null;
  const { column, message } = checked.fault;
  return failed('filter-invalid', { filter, column, cause: message });
};

/** Whether one program can hold all filters of the channel. */
const fits = (document: SessionDocument, name: string | null, filter: string): boolean => {
  const rules = document.channels.find((channel) => channel.name === (name ?? DEFAULT_CHANNEL))?.rules ?? [];
  return filtersFit(distinctFilters([...rules, { filter, enabled: true }]));
};

const enableEvent: Handler<'event.enable'> = async (parts, caller, request, key) => {
  const { pattern, logLevel = null, exclusions = [], filter = null, channel = null } = request;
  const wrong = ruleFault(pattern, exclusions, channel) ?? (filter === null ? null : filterFault(filter));
  if (wrong) return wrong;
  const document = find(parts, caller, request.session);
  if (document && filter !== null && !fits(document, channel, filter)) {
    return failed('filters-too-many', { channel: channel ?? DEFAULT_CHANNEL });
  }
  const rule = { pattern, logLevel, exclusions, filter };
  return edit(parts, caller, request.session, key, { kind: 'event.enable', channel, rule });
};

const redirectSession: Handler<'session.redirect'> = async (parts, caller, { session, destination, output }, key) => {
  const wrong = pathFault(output ?? null);
  if (wrong) return wrong;
  const { clock, ids, ...ports } = parts.ports;
  const document = find(parts, caller, session);
  if (!document) return failed('session-not-found', { session });
  const unfit = destination ? relayFault(destination, document, false) : null;
  if (unfit) return unfit;
  const { uid } = document.owner;
  const link = ids.hex(16);
  const path = destination ? ports.spool(uid, link) : (output ?? ports.defaultOutput(uid, session, clock.now()));
  const wanted = { destination: destination ?? null, path, link };
  return command(parts, caller, session, key, { type: 'RedirectRequested', requestId: key, wanted });
};

const regenerate: Handler<'session.regenerate'> = async (parts, caller, { session, object }, key) => {
  if (!find(parts, caller, session)) return failed('session-not-found', { session });
  if (object === 'statedump') return edit(parts, caller, session, key, { kind: 'statedump.regenerate' });
  return edit(parts, caller, session, key, { kind: 'metadata.regenerate', clock: clockOf(parts) });
};

const takeSnapshot: Handler<'snapshot.record'> = async (parts, caller, request, key) => {
  const { session, name = null, path = null, maxSize = null, freeze } = request;
  const wanted = { name, path, maxSize, ...(freeze !== undefined && { freeze }) };
  const document = find(parts, caller, session) ?? null;
  const place = path ?? document?.snapshot?.outputs[0]?.path ?? null;
  return (
    snapshotPathFault(place, document) ??
    command(parts, caller, session, key, { type: 'SnapshotRequested', requestId: key, wanted })
  );
};

const addOutput: Handler<'snapshot.add-output'> = async (parts, caller, request, key) => {
  const { session, name = null, path, maxSize = 0 } = request;
  const document = find(parts, caller, session) ?? null;
  return snapshotPathFault(path, document) ?? edit(parts, caller, session, key, { kind: 'snapshot.add', name, path, maxSize });
};

const listOutputs: Handler<'snapshot.list-output'> = async (parts, caller, { session }) => {
  const document = find(parts, caller, session);
  if (!document) return failed('session-not-found', { session });
  const { snapshot } = document;
  return snapshot ? succeeded({ outputs: snapshot.outputs }) : failed('not-a-snapshot-session', { session });
};

/** The machine decides which counters there are: better said now than by fields that stay 0. */
const counterFault = (parts: DaemonParts, context: string): Reply | null => {
  const counter = counterOf(context);
  if (!counter) return null;
  try {
    parts.ports.native.tryCounter(counter.type, counter.config);
    return null;
  } catch (thrown) {
    return failed('context-counter-absent', { context, cause: thrown instanceof Error ? thrown.message : String(thrown) });
  }
};

const addContexts: Handler<'context.add'> = async (parts, caller, { session, channel = null, types }, key) => {
  const wrong = types.map((type) => counterFault(parts, type)).find((fault) => fault !== null);
  return wrong ?? edit(parts, caller, session, key, { kind: 'context.add', channel, types });
};

const changeTracker =
  (kind: 'tracker.track' | 'tracker.untrack'): Handler<typeof kind> =>
  async (parts, caller, { session, attribute, values: words }, key) => {
    try {
      const values = words === undefined ? null : trackedValues(parts.ports.host, attribute, words);
      return await edit(parts, caller, session, key, { kind, attribute, values });
    } catch (thrown) {
      return refused(faultOfRefusal(refusedFrom(thrown).refusal));
    }
  };

const consumersOf = (parts: DaemonParts) =>
  Object.values(parts.root.getSnapshot().context.consumers).map((ref) => {
    const { context, value } = ref.getSnapshot();
    return { uid: context.uid, pid: context.pid, state: String(value.work) };
  });

const status: Handler<'daemon.status'> = async (parts, caller) => {
  const { host, clock } = parts.ports;
  return succeeded({
    version: host.version,
    pid: host.pid,
    uid: host.uid,
    host: host.hostname,
    keeperPid: parts.keeperPid,
    consumers: consumersOf(parts),
    applications: parts.applications.registered().length,
    sessions: parts.documents.all().length,
    parcels: parcelsOf(parts, caller),
    uptimeMs: clock.now() - parts.startedAtMs,
  });
};

const joinRelay: Handler<'relay.join'> = async (parts, caller, { relay }) => {
  if (!caller.all) return failed('permission-denied', { what: 'serving links on the bus of a daemon that is not yours' });
  return succeeded({ access: { ...(await parts.ports.bus.grant({ kind: 'relay', relay })) } });
};

const watch: Handler<'inspect.watch'> = async (parts, caller, { leaseMs }) => {
  if (!caller.all) return failed('permission-denied', { what: 'inspecting a daemon that is not yours' });
  parts.root.send({ type: 'WatchRequested', leaseMs });
  return succeeded({ process: 'sessiond', until: parts.ports.clock.now() + leaseMs });
};

const EVENTS_PER_SECOND = 10_000;

/** A consumer that is not ready has nothing to show: the next renewal finds it. */
const watchEvents: Handler<'session.watch'> = async (parts, caller, request) => {
  const { session, leaseMs, perSecond = EVENTS_PER_SECOND, filter = null } = request;
  const wrong = filter === null ? null : filterFault(filter, 'trace');
  if (wrong) return wrong;
  const document = find(parts, caller, session);
  if (!document) return failed('session-not-found', { session });
  const { uid } = document.owner;
  const consumer = await parts.readyConsumer(document);
  const unknown = await consumer.watch({ session: document.id, name: document.name, leaseMs, perSecond, filter });
  return succeeded({ owner: String(uid), session: document.name, until: parts.ports.clock.now() + leaseMs, unknown });
};

const HANDLERS: { readonly [C in CommandName]: Handler<C> } = {
  'session.create': create,
  'session.destroy': (parts, caller, { session }, key) =>
    command(parts, caller, session, key, { type: 'DestroyRequested', requestId: key }),
  'session.start': (parts, caller, { session }, key) =>
    commandTo(parts, caller, session, key, (machine, document) => {
      const arranged = (caller.arranged === true && parts.isArranged(document)) || isPrepared(parts, document);
      machine.send({ type: 'StartRequested', requestId: key, arranged });
    }),
  'session.stop': (parts, caller, { session }, key) =>
    command(parts, caller, session, key, { type: 'StopRequested', requestId: key }),
  'session.list': async (parts, caller) =>
    succeeded({
      sessions: parts.documents
        .all()
        .filter((document) => sees(caller, document))
        .map(summaryOf),
    }),
  'session.show': show,
  'session.watch': watchEvents,
  'session.rotate': (parts, caller, { session, wait = true }, key) =>
    rotationCommand(parts, caller, session, key, { type: 'RotateRequested', requestId: key, wait }),
  'session.clear': async (parts, caller, { session }, key) => {
    const reply = await rotationCommand(parts, caller, session, key, { type: 'ClearRequested', requestId: key });
    const document = reply.ok ? find(parts, caller, session) : undefined;
    if (document) await clearMaps(parts, document);
    return reply;
  },
  'session.redirect': redirectSession,
  'session.regenerate': regenerate,
  'rotation.enable': (parts, caller, { session, timerUs, sizeBytes }, key) =>
    edit(parts, caller, session, key, {
      kind: 'rotation.enable',
      schedules: { ...(timerUs !== undefined && { timerUs }), ...(sizeBytes !== undefined && { sizeBytes }) },
    }),
  'rotation.disable': (parts, caller, { session, timer, size }, key) =>
    edit(parts, caller, session, key, {
      kind: 'rotation.disable',
      schedules: [...(timer ? ['timerUs' as const] : []), ...(size ? ['sizeBytes' as const] : [])],
    }),
  'channel.enable': (parts, caller, { session, name, attributes = {} }, key) =>
    edit(parts, caller, session, key, { kind: 'channel.enable', name, attributes }),
  'channel.disable': (parts, caller, { session, name }, key) =>
    edit(parts, caller, session, key, { kind: 'channel.disable', name }),
  'channel.reclaim': async (parts, caller, request) => {
    const document = find(parts, caller, request.session);
    if (!document) return failed('session-not-found', { session: request.session });
    return inTurn(parts, document.id, async () => {
      const now = find(parts, caller, request.session);
      return now ? reclaimChannels(parts, now, request) : failed('session-not-found', { session: request.session });
    });
  },
  'event.enable': enableEvent,
  'event.disable': (parts, caller, { session, channel = null, pattern = null }, key) =>
    edit(parts, caller, session, key, { kind: 'event.disable', channel, pattern }),
  'context.add': addContexts,
  'tracker.track': changeTracker('tracker.track'),
  'tracker.untrack': changeTracker('tracker.untrack'),
  'map.add': addMapChannel,
  'map.show': async (parts, caller, { session, name }) => {
    const document = find(parts, caller, session);
    if (!document) return failed('session-not-found', { session });
    const map = mapNamed(document, name);
    return map ? succeeded({ map: mapViewOf(parts, map) }) : failed('map-not-found', { session, channel: name });
  },
  'snapshot.record': takeSnapshot,
  'snapshot.add-output': addOutput,
  'snapshot.del-output': (parts, caller, { session, output }, key) =>
    edit(parts, caller, session, key, { kind: 'snapshot.delete', output }),
  'snapshot.list-output': listOutputs,
  'point.list': async (parts, caller, { fields = false }) =>
    succeeded({ applications: applicationViewOf(parts, fields, (uid) => caller.all || uid === caller.uid) }),
  'daemon.status': status,
  'relay.join': joinRelay,
  'inspect.watch': watch,
  ...FLEET_HANDLERS,
  ...PARCEL_HANDLERS,
  ...PLACE_HANDLERS,
  ...TRIGGER_HANDLERS,
};

/** They change nothing, so asking again does no harm, and their answers are many and long. */
const QUESTIONS: ReadonlySet<CommandName> = new Set<CommandName>([
  ...(['session.list', 'session.show', 'snapshot.list-output', 'map.show'] as const),
  ...(['point.list', 'trigger.list', 'daemon.status'] as const),
]);

const callerOf = (parts: DaemonParts, { subject }: BusMessage): Caller | null => {
  const address = parseCommandSubject(subject);
  if (address?.realm !== 'local' || !/^\d{1,10}$/.test(address.who)) return null;
  const uid = Number(address.who);
  return { who: address.who, uid, all: uid === 0 || uid === parts.place.uid };
};

/** A command whose caller is known, whatever way it came. */
export const carryOut = async (
  parts: DaemonParts,
  caller: Caller,
  name: CommandName,
  body: Body,
  keep = !QUESTIONS.has(name),
): Promise<Reply> => {
  const parsed = parseRequest(name, body);
  if (!parsed.ok) return refused(parsed.fault);
  const request = parsed.value as CommandRequest<CommandName>;
  const key = `${caller.who} ${request.id}`;
  const handler = HANDLERS[name] as Handler<CommandName>;
  return parts.replies.once(key, request.id, () => handler(parts, caller, request, key), keep);
};

/** What the document alone says against it. */
const unfit = (parts: DaemonParts, document: SessionDocument, name: CommandName, body: Body): Refusal | null => {
  if (name === 'session.rotate') {
    const begun = beginRotation(document, { requestId: null, at: '0', moment: momentOf(parts, document) });
    return begun.ok ? null : begun.refusal;
  }
  if (name !== 'snapshot.record') return null;
  const { name: wanted = null, path = null, maxSize = null } = body as CommandRequest<'snapshot.record'>;
  const cpus = parts.ports.host.onlineCpus().length;
  const taken = snapshotOf(document, { name: wanted, path, maxSize }, { stamp: '', cpus, clock: document.clock });
  return taken.ok ? null : taken.refusal;
};

/** Whatever can fail of a command, before it is carried out. */
export const prepareCommand = async (parts: DaemonParts, caller: Caller, name: CommandName, body: Body): Promise<Reply> => {
  const parsed = parseRequest(name, body);
  if (!parsed.ok) return refused(parsed.fault);
  const { session, id } = parsed.value as { session: string; id: string };
  const document = find(parts, caller, session);
  if (!document) return failed('session-not-found', { session });
  if (name === 'session.stop' && !document.active) return failed('already-stopped', { session });
  const wrong = unfit(parts, document, name, body);
  if (wrong) return refused(faultOfRefusal(wrong));
  if (name !== 'session.start') return succeeded({});
  const key = `prepare ${caller.who} ${id}`;
  parts.replies.prepare(key, succeeded({}));
  return commandTo(parts, caller, session, key, (machine, now) =>
    machine.send({ type: 'PrepareRequested', requestId: key, arranged: isPrepared(parts, now) }),
  );
};

/** A command that the daemon gives itself, with the rights of a local user. */
export const commandAs = async (parts: DaemonParts, uid: number, name: string, fields: Body): Promise<Reply> => {
  if (!isCommandName(name)) return failed('unsupported', { what: `Command ${name}` });
  const caller: Caller = { who: String(uid), uid, all: uid === 0 || uid === parts.place.uid };
  // Nobody else knows the id, so nobody asks again.
  return carryOut(parts, caller, name, { v: 1, id: parts.ports.ids.hex(16), ...fields }, false);
};

const handle = async (parts: DaemonParts, name: CommandName, message: BusMessage): Promise<Reply> => {
  const caller = callerOf(parts, message);
  if (!caller) return failed('permission-denied', { what: 'commands come from local users in this version' });
  return carryOut(parts, caller, name, message.body);
};

export const commandEndpoints = (parts: DaemonParts): readonly Endpoint[] =>
  COMMAND_NAMES.map((name) => {
    const [noun, verb] = name.split('.') as [string, string];
    return {
      name,
      subject: commandPattern(parts.place, noun, verb),
      schema: commandSchema(name),
      handle: (message) => handle(parts, name, message),
    };
  });
