/** The root of the session daemon: opens and closes its surroundings, and brings them back when they die. */
import { fromPromise } from 'xstate';
import { mapGroupsOf, mapsOf } from '../machines/map-edits.ts';
import { type LoadedSession, type NewTrigger, sessionDaemonMachine } from '../machines/session-daemon.ts';
import type { SeqpacketServer } from '../native/addon/index.ts';
import type { Served } from '../transport/bus.ts';
import { FaultError } from '../transport/errors.ts';
import { inspectSubject, realmSubtree } from '../transport/subjects.ts';
import { provideApplication } from './application.ts';
import { commandEndpoints } from './commands.ts';
import { consumerId, consumerSpec, provideConsumer } from './consumer.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { endDeadProcesses } from './dead-processes.ts';
import { openSockets } from './doors.ts';
import { copyFrozen, hearFreezes } from './fleet-freeze.ts';
import { provideFleetMember } from './fleet-member.ts';
import { Inspector } from './inspector.ts';
import { type ExitReport, KeeperError, type ProcessSpec } from './keeper-client.ts';
import { KEEPER_ROLES } from './keeper-record.ts';
import { loadParcels, provideParcel } from './parcels.ts';
import type { KeeperLink } from './ports.ts';
import { refuse, refusedBy } from './refused.ts';
import { provideSession } from './session.ts';
import { provideTrigger, watchSessions } from './trigger.ts';
import { triggerInput } from './trigger-commands.ts';

/** What was opened and has to be closed. */
interface Opened {
  sockets: readonly SeqpacketServer[];
  served: Served | null;
  lock: { close(): void } | null;
  clock: { close(): void } | null;
}

const causeOf = ({ code, signal }: ExitReport): string => {
  if (signal) return `it was ended by ${signal}`;
  return code === null ? 'it ended' : `it ended with status ${code}`;
};

const exited = (parts: DaemonParts, report: ExitReport): void => {
  parts.ports.log.warn('a process ended', { role: report.role, pid: report.pid, cause: causeOf(report) });
  if (report.role !== 'consumer') return;
  const uid = Object.values(parts.root.getSnapshot().context.consumers)
    .map((ref) => ref.getSnapshot().context.uid)
    .find((one) => consumerId(one) === report.id);
  if (uid === undefined) return;
  parts.consumer(uid).noteExit();
  parts.root.send({ type: 'ConsumerExited', uid, cause: causeOf(report) });
};

/** Reports of ends come here from now on. */
const connectKeeper = async (parts: DaemonParts): Promise<KeeperLink> => {
  const keeper = parts.ports.keeper.connect();
  keeper.onExited((report) => exited(parts, report));
  // One that was given up is nobody's loss; one that dies before its hello has the hello fail.
  keeper.onClose(() => {
    if (parts.keeper === keeper) parts.root.send({ type: 'KeeperLost' });
  });
  const { keeperPid } = await keeper.hello();
  parts.keeper = keeper;
  parts.keeperPid = keeperPid;
  return keeper;
};

const openHost = async (parts: DaemonParts, opened: Opened): Promise<void> => {
  const { native, paths } = parts.ports;
  opened.lock = native.lockFile(paths.lock);
  if (!opened.lock) throw refuse('daemon-running', { pid: 0 });
  await connectKeeper(parts);
  const page = native.openClockPage(paths.clock);
  opened.clock = page;
  parts.clockPageFd = page.readOnlyFd;
};

const openBus = async (parts: DaemonParts): Promise<void> => {
  const bus = await parts.ports.bus.open(parts.keeper);
  parts.bus = bus;
  bus.onStatus((status) => {
    if (status === 'connected') parts.root.send({ type: 'BusConnected' });
    if (status === 'cut') parts.root.send({ type: 'BusCut' });
  });
};

/** What the surroundings report in their own words is no defect of ours. */
const orRefused = <T>(opening: Promise<T>): Promise<T> =>
  opening.catch((thrown: unknown) => {
    throw thrown instanceof FaultError ? refusedBy(thrown.fault) : thrown;
  });

/** What this keeper does not hold may still lie with the vault of the one before, with a consumer, or with programs. */
const salvageRings = async (parts: DaemonParts): Promise<void> => {
  const { deposits } = await parts.keeper.list();
  const held = new Set(deposits.map(({ id }) => id));
  for (const { bootId, name, owner, registries } of parts.documents.all()) {
    if (bootId !== parts.ports.host.bootId) continue;
    const missing = registries.flatMap(({ ringSets }) => ringSets).filter(({ ringId }) => !held.has(ringId));
    for (const set of missing) {
      const found = await parts.rings.salvage(set, owner.uid, parts.keeper);
      if (found)
        parts.ports.log.warn('the keeper had lost the memory of a ring; a survivor had it', {
          session: name,
          ringId: set.ringId,
        });
    }
  }
};

/** The same for the counters of maps. */
const salvageMaps = async (parts: DaemonParts): Promise<void> => {
  const { deposits } = await parts.keeper.list();
  const held = new Set(deposits.map(({ id }) => id));
  for (const document of parts.documents.all()) {
    if (document.bootId !== parts.ports.host.bootId) continue;
    for (const map of mapsOf(document)) {
      for (const group of map.groups.filter(({ mapId }) => !held.has(mapId))) {
        if (await parts.maps.salvage(map, group, document.owner.uid, parts.keeper))
          parts.ports.log.warn('the keeper had lost the counters of a map; a survivor had them', {
            session: document.name,
            map: map.name,
          });
      }
    }
  }
};

/** What the keeper holds and no document knows was made by a daemon that died before it wrote that down. */
const releaseStrays = async (parts: DaemonParts): Promise<void> => {
  const known = new Set(
    parts.documents
      .all()
      .flatMap((document) => [
        ...document.registries.flatMap(({ ringSets }) => ringSets.map((set) => set.ringId)),
        ...mapGroupsOf(document).map(({ mapId }) => mapId),
      ]),
  );
  const { deposits } = await parts.keeper.list();
  const strays = deposits.filter(({ id, role }) => role === KEEPER_ROLES.deposit && !known.has(id));
  await Promise.all(strays.map(({ id }) => parts.keeper.release(id)));
};

const loadSessions = async (parts: DaemonParts): Promise<readonly LoadedSession[]> => {
  const documents = await parts.documents.load();
  for (const document of documents) parts.replies.adopt(document);
  await releaseStrays(parts);
  await salvageRings(parts);
  await salvageMaps(parts);
  parts.ports.survivors.releaseVaults(parts.keeperPid);
  return documents.map(({ id, name }) => ({ sessionId: id, name }));
};

const loadTriggers = async (parts: DaemonParts): Promise<readonly NewTrigger[]> => {
  watchSessions(parts);
  return (await parts.triggers.load()).map((document) => triggerInput(parts, document, null));
};

const openDoors = async (parts: DaemonParts, opened: Opened): Promise<void> => {
  const { version } = parts.ports.host;
  const service = {
    name: 'weft-sessiond',
    version,
    description: 'Recording sessions of one user on one host',
    otherwise: realmSubtree(parts.place.host, parts.place.uid, 'local'),
  };
  opened.served = await parts.bus.serve(service, commandEndpoints(parts));
  copyFrozen(parts);
  hearFreezes(parts);
  opened.sockets = openSockets(parts);
  if (parts.ports.bus.fleetDomain() !== null) parts.root.send({ type: 'FleetJoined', host: parts.place.host });
  await loadParcels(parts);
  void parts
    .endLeftConsumers()
    .catch((thrown: unknown) => parts.ports.log.warn('who was left is not known', { cause: String(thrown) }));
  parts.openedAtMs = parts.ports.clock.now();
  parts.ports.native.wakeApplications(parts.place.uid);
  parts.ports.log.info('serving', { pid: parts.ports.host.pid, version });
};

/** False: it ended while nobody watched it. */
const adopted = async (keeper: KeeperLink, spec: ProcessSpec, pid: number): Promise<boolean> => {
  try {
    await keeper.adopt(spec, pid);
    return true;
  } catch (thrown) {
    if (thrown instanceof KeeperError && thrown.code === 'ESRCH') return false;
    throw thrown;
  }
};

/** The rings are ours still, and the processes live: a new keeper is told of both. */
const restoreKeeper = async (parts: DaemonParts): Promise<void> => {
  await parts.ports.keeper.startAnother();
  const keeper = await connectKeeper(parts);
  for (const { set } of parts.rings.all()) await parts.rings.deposit(set.ringId, keeper);
  await parts.maps.depositAll(keeper);
  parts.ports.survivors.releaseVaults(parts.keeperPid);
  await parts.ports.bus.adopt(keeper);
  for (const ref of Object.values(parts.root.getSnapshot().context.consumers)) {
    const { uid, gid, pid } = ref.getSnapshot().context;
    if (pid === null) continue;
    if (await adopted(keeper, consumerSpec(parts, uid, gid), pid)) await parts.consumer(uid).deposit(keeper, consumerId(uid));
    else ref.send({ type: 'ConsumerExited', cause: 'it ended while there was no keeper' });
  }
};

/** Applications stop, consumers write everything out and end; sessions stay as documents. */
const closeDoors = async (parts: DaemonParts, opened: Opened): Promise<void> => {
  for (const socket of opened.sockets) socket.close();
  await opened.served?.stop();
  const documents = parts.documents.all();
  for (const application of parts.applications.all()) {
    for (const { id } of documents) application.detach(id);
    void application.count([]);
  }
  const owners = Object.values(parts.root.getSnapshot().context.consumers).map((ref) => ref.getSnapshot().context);
  await Promise.all(owners.filter(({ pid }) => pid !== null).map(({ uid }) => parts.consumer(uid).shutdown()));
  await parts.keeper.shutdown();
};

const letGo = (parts: DaemonParts, opened: Opened): void => {
  for (const application of parts.applications.all()) application.close();
  opened.clock?.close();
  opened.lock?.close();
};

export const provideSessionDaemon = (parts: DaemonParts) => {
  const opened: Opened = { sockets: [], served: null, lock: null, clock: null };
  const { clock, log } = parts.ports;
  const inspector = new Inspector(() => parts.bus, inspectSubject({ ...parts.place, process: 'sessiond' }), clock);
  return sessionDaemonMachine.provide({
    actors: {
      session: provideSession(parts),
      consumer: provideConsumer(parts),
      application: provideApplication(parts),
      trigger: provideTrigger(parts),
      parcel: provideParcel(parts),
      fleetMember: provideFleetMember(parts),
      loadTriggers: fromPromise(() => loadTriggers(parts)),
      openHost: fromPromise(() => orRefused(openHost(parts, opened))),
      openBus: fromPromise(() => orRefused(openBus(parts))),
      loadSessions: fromPromise(() => loadSessions(parts)),
      openDoors: fromPromise(() => openDoors(parts, opened)),
      restoreKeeper: fromPromise(() => restoreKeeper(parts)),
      closeDoors: fromPromise(() => closeDoors(parts, opened)),
    },
    actions: {
      logDaemon: (_, { what }) => log.warn(what),
      attachInspector: ({ self }) => inspector.attach(self),
      detachInspector: () => inspector.detach(),
      endDeadProcesses: () => endDeadProcesses(parts, null),
      letGo: () => letGo(parts, opened),
    },
  });
};
