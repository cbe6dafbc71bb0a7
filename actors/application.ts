/** An application's messages as events of its machine. What breaks a rule of the protocol, or a limit, ends the connection. */
import type { ActorRefFrom } from 'xstate';
import { fromPromise } from 'xstate';
import { type ApplicationIdentity, applicationMachine } from '../machines/application.ts';
import type { Application } from './application-table.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { processLeft } from './dead-processes.ts';
import { armCounts } from './map-counts.ts';
import { countedSince } from './map-processes.ts';
import { refusedFrom } from './refused.ts';
import { decodeFromApplication, encodeWire, type FromApplication, type MessageOf, WIRE_ABI } from './wire.ts';
import { WireError } from './wire-codec.ts';

/** Of one application: points, and the text of their descriptions in UTF-16 units. */
export const POINTS_MAX = 16_384;
export const DESCRIPTIONS_MAX = 32 * 1024 * 1024;

type Ref = ActorRefFrom<typeof applicationMachine>;

type Taker<K extends FromApplication['kind']> = (
  parts: DaemonParts,
  application: Application,
  ref: Ref,
  message: MessageOf<K>,
) => void;

/** `20261121-080407` in UTC: part of a directory's name. */
export const compactDate = (ms: number): string =>
  new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');

/** A process that a former daemon knew goes on with the trace that it has: found by uid, pid and name while rings or counters of it are held. */
const knownSince = (parts: DaemonParts, uid: number, pid: number, procname: string): string | null => {
  for (const { scope, ringSets } of parts.documents.all().flatMap(({ registries }) => registries)) {
    if (scope.kind !== 'process' || ringSets.length === 0) continue;
    if (scope.uid === uid && scope.pid === pid && scope.procname === procname) return scope.startedAt;
  }
  return countedSince(parts, uid, pid, procname);
};

const identityOf = (parts: DaemonParts, application: Application, hello: MessageOf<'hello'>): ApplicationIdentity => {
  const { pid, uid, gid } = application.connection.peer;
  const { rseq, procname } = hello;
  const startedAt = knownSince(parts, uid, pid, procname) ?? compactDate(parts.ports.clock.now());
  return { pid, uid, gid, vpid: hello.pid, rseq, procname, startedAt };
};

const takeHello: Taker<'hello'> = (parts, application, ref, message) => {
  if (application.identity) throw new WireError('HELLO came twice');
  if (message.abi !== WIRE_ABI || message.bits !== 64) {
    ref.send({ type: 'HelloRefused', reason: `ABI ${message.abi} with ${message.bits} bits is not supported` });
    return;
  }
  application.identity = identityOf(parts, application, message);
  application.image = parts.ports.host.image(application.identity.pid);
  ref.send({ type: 'HelloReceived', identity: application.identity });
};

const takePoint: Taker<'point'> = (_parts, application, _ref, { kind: _, point, ...description }) => {
  if (application.points.has(point)) throw new WireError(`point ${point} was declared twice`);
  if (application.points.size >= POINTS_MAX) throw new WireError(`it has more than ${POINTS_MAX} points`);
  application.declare(point, description);
  if (application.descriptionSize > DESCRIPTIONS_MAX) throw new WireError('its descriptions are too long');
};

const takeGone: Taker<'pointGone'> = (_parts, application, _ref, { point }) => {
  if (!application.points.has(point)) throw new WireError(`point ${point} was never declared`);
  application.forgetPoint(point);
};

/** A watch that is gone meanwhile is no mistake of the application. */
const takeFired: Taker<'fired'> = (parts, application, _ref, { watch, point, timestamp, discarded, captures }) => {
  const entry = parts.triggers.watching(watch);
  if (!entry) return;
  entry.discarded += discarded;
  const { pid, uid, procname } = application.identity!;
  const event = application.points.get(point)?.description.name ?? null;
  const cause = { event, pid, uid, procname, timestampNs: timestamp };
  const occurrence = { atMs: parts.ports.clock.now(), cause, captures };
  parts.trigger(entry.document.id)?.send({ type: 'ConditionFulfilled', occurrence });
};

/** The answer is the memory itself: the ring says that it has some. */
const takeNeed: Taker<'needMemory'> = (parts, application, _ref, { channel, cpu }) => {
  const set = application.ringSetOf(channel);
  if (!set) return;
  if (cpu >= set.cpuCount) throw new WireError(`channel ${channel} has no ring ${cpu}`);
  parts.rings.allocate(set.ringId, cpu);
};

const TAKERS: { readonly [K in FromApplication['kind']]: Taker<K> } = {
  hello: takeHello,
  point: takePoint,
  pointGone: takeGone,
  ready: (_parts, _application, ref, { batch }) => ref.send({ type: 'ReadyReceived', batch }),
  fired: takeFired,
  ack: (_parts, application, _ref, { command, status }) => application.acknowledge(command, status),
  needMemory: takeNeed,
};

const take = (parts: DaemonParts, application: Application, ref: Ref, message: FromApplication): void => {
  if (!application.identity && message.kind !== 'hello') throw new WireError(`${message.kind} came before HELLO`);
  (TAKERS[message.kind] as Taker<FromApplication['kind']>)(parts, application, ref, message);
};

/** From now on its messages are heard. */
export const listenTo = (parts: DaemonParts, application: Application, ref: Ref): void => {
  const { connection } = application;
  connection.onMessage((bytes, fds) => {
    for (const fd of fds) parts.ports.native.closeFd(fd);
    try {
      if (fds.length > 0) throw new WireError('it sent file descriptors');
      take(parts, application, ref, decodeFromApplication(bytes));
    } catch (thrown) {
      if (!(thrown instanceof WireError)) throw thrown;
      ref.send({ type: 'MalformedReceived', reason: `malformed message: ${thrown.message}` });
    }
  });
  connection.onClose(() => ref.send({ type: 'ConnectionClosed' }));
};

/** A consumer that dies during a pass is followed by another one; how long the program waits for that is the machine's business. */
const PASSES_MAX = 3;

/** Every session that is interested has a pass that includes it. */
const synchronise = async (parts: DaemonParts, application: number): Promise<void> => {
  // A session that is not recovered hears nothing of applications. The others attach it; what it records for that one may not be dropped.
  const isComplete = parts.root.getSnapshot().context.recovering.length === 0;
  const found = parts.applications.find(application);
  const armed = found ? [parts.triggers.armAll(found), armCounts(parts, found)] : [];
  for (let pass = 1; parts.applications.find(application); pass++) {
    for (const session of Object.values(parts.root.getSnapshot().context.sessions)) {
      session.send({ type: 'ApplicationChanged', application });
    }
    try {
      await Promise.all([...parts.passes.takeInclusions(application), ...armed]);
      if (!isComplete) throw new Error('a session is not recovered yet');
      return;
    } catch (thrown) {
      if (pass === PASSES_MAX || refusedFrom(thrown).refusal.code !== 'consumer-failed') throw thrown;
    }
  }
};

const withdraw = (parts: DaemonParts, id: number): void => {
  const application = parts.applications.find(id);
  if (!application) return;
  parts.applications.remove(id);
  application.close();
  const { identity } = application;
  parts.root.send({ type: 'ApplicationGone', application: id });
  if (!identity) return;
  parts.events.publish(identity.uid, 'application', String(identity.pid), 'gone', { procname: identity.procname });
  processLeft(parts, application);
};

export const provideApplication = (parts: DaemonParts) => {
  const at = (id: number): Application | undefined => parts.applications.find(id);
  return applicationMachine.provide({
    actors: { synchronise: fromPromise(({ input }) => synchronise(parts, input.application)) },
    actions: {
      welcome: (_, { application }) =>
        at(application)?.send(encodeWire('welcome', { abi: WIRE_ABI, application }), [parts.clockPageFd]),
      refuse: (_, { application, reason }) => at(application)?.send(encodeWire('refused', { reason })),
      sendSynced: (_, { application, batch, complete }) => at(application)?.send(encodeWire('synced', { batch, complete })),
      logApplication: (_, { application, what }) => {
        const connection = at(application)?.connection;
        parts.ports.log.info(`application: ${what}`, { pid: connection?.peer.pid ?? null, uid: connection?.peer.uid ?? null });
      },
      publishRegistered: (_, { application }) => {
        const identity = at(application)?.identity;
        if (!identity) return;
        const { uid, pid, procname } = identity;
        parts.events.publish(uid, 'application', String(pid), 'registered', { procname });
      },
      withdraw: (_, { application }) => withdraw(parts, application),
    },
  });
};
