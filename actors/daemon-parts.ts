/** What the daemon's actors share: the tables beside the machines, which hold what no context may (fds, sockets, promises). */
import type { ActorRefFrom } from 'xstate';
import { type ClockView, NO_FLEET_CLOCK } from '../machines/clock-offset.ts';
import type { RegistryScope, SessionDocument } from '../machines/document.ts';
import type { sessionDaemonMachine } from '../machines/session-daemon.ts';
import type { Bus } from '../transport/bus.ts';
import { ApplicationTable } from './application-table.ts';
import { type Arrangement, Arrangements } from './arrangements.ts';
import { ConsumerLink } from './consumer-link.ts';
import { AbsentProcesses } from './dead-processes.ts';
import { DocumentStore } from './document-store.ts';
import { EventPublisher } from './event-publisher.ts';
import type { FleetSessions } from './fleet-sessions.ts';
import { Flushes } from './flushes.ts';
import { Maps } from './maps.ts';
import { Parcels } from './parcels.ts';
import { Passes } from './passes.ts';
import type { DaemonPorts, KeeperLink } from './ports.ts';
import { Replies } from './replies.ts';
import { Rings } from './rings.ts';
import { scopeFor, scopeKey } from './scopes.ts';
import { linkRequestOf } from './session-link.ts';
import { Totals } from './totals.ts';
import { TriggerTable } from './trigger-table.ts';

type Root = ActorRefFrom<typeof sessionDaemonMachine>;

export class DaemonParts {
  readonly ports: DaemonPorts;
  readonly place: { readonly host: string; readonly uid: number };
  readonly documents: DocumentStore;
  readonly rings: Rings;
  readonly maps: Maps;
  readonly totals: Totals;
  readonly triggers: TriggerTable;
  readonly parcels: Parcels;
  readonly applications = new ApplicationTable();
  readonly passes = new Passes();
  readonly flushes = new Flushes();
  readonly replies: Replies;
  readonly events: EventPublisher;
  readonly startedAtMs: number;
  /** Against the fleet's reference (machines/clock-offset.ts); without a fleet nobody measures. */
  fleetClock: () => ClockView = () => NO_FLEET_CLOCK;
  /** Null until this host belongs to a fleet. */
  fleetSessions: FleetSessions | null = null;
  keeperPid = 0;
  /** When applications could come; until then never. */
  openedAtMs = Number.POSITIVE_INFINITY;
  readonly absent = new AbsentProcesses();
  /** Every application gets a duplicate. */
  clockPageFd = -1;
  #root: Root | null = null;
  #bus: Bus | null = null;
  #keeper: KeeperLink | null = null;
  readonly #consumers = new Map<number, ConsumerLink>();
  readonly arrangements = new Arrangements();

  constructor(ports: DaemonPorts) {
    this.ports = ports;
    this.place = { host: ports.host.hostname, uid: ports.host.uid };
    this.documents = new DocumentStore(ports.disk);
    this.rings = new Rings(ports);
    this.maps = new Maps(ports);
    this.totals = new Totals(this.rings);
    this.triggers = new TriggerTable(ports.disk);
    this.parcels = new Parcels(ports.disk);
    this.replies = new Replies(ports.clock);
    this.events = new EventPublisher(this.place, ports.clock, () => this.#bus);
    this.startedAtMs = ports.clock.now();
  }

  get root(): Root {
    return must(this.#root, 'the root actor');
  }

  set root(root: Root) {
    this.#root = root;
  }

  get bus(): Bus {
    return must(this.#bus, 'the bus');
  }

  set bus(bus: Bus) {
    this.#bus = bus;
  }

  get keeper(): KeeperLink {
    return must(this.#keeper, 'the keeper');
  }

  set keeper(keeper: KeeperLink) {
    this.#keeper = keeper;
  }

  session(sessionId: string) {
    return this.root.getSnapshot().context.sessions[sessionId];
  }

  trigger(triggerId: string) {
    return this.root.getSnapshot().context.triggers[triggerId];
  }

  /** The link of an owner's consumer; made at the first question, whether the process runs or not. */
  consumer(uid: number): ConsumerLink {
    const known = this.#consumers.get(uid);
    if (known) return known;
    const { clock, ids, native } = this.ports;
    const closeFd = (fd: number) => native.closeFd(fd);
    const link = new ConsumerLink(uid, { place: this.place, clock, ids, bus: () => this.bus, closeFd });
    this.#consumers.set(uid, link);
    return link;
  }

  /** The owner's consumer, started if need be, once it can be asked. */
  async readyConsumer(document: SessionDocument): Promise<ConsumerLink> {
    const link = await this.readyConsumerOf(document.owner);
    const wanted = linkRequestOf(document);
    if (wanted) await link.openLink(wanted);
    return link;
  }

  async readyConsumerOf(owner: SessionDocument['owner']): Promise<ConsumerLink> {
    this.#needConsumer(owner);
    const link = this.consumer(owner.uid);
    await link.ready;
    return link;
  }

  /** An owner of nothing needs no consumer. */
  ownerMayLeave(uid: number): void {
    if (this.#ownsSomething(uid)) return;
    this.root.send({ type: 'OwnerLeft', uid });
  }

  #ownsSomething(uid: number): boolean {
    return this.parcels.of(uid).length > 0 || this.documents.all().some(({ owner }) => owner.uid === uid);
  }

  /** Those of a daemon that died before it told them to end. */
  async endLeftConsumers(): Promise<void> {
    const { processes } = await this.keeper.list();
    for (const { role, pid, uid, gid } of processes) {
      if (role !== 'consumer' || pid === null || this.#ownsSomething(uid)) continue;
      this.#needConsumer({ uid, gid });
      this.ownerMayLeave(uid);
    }
  }

  /** The memory of a map is with its owner's consumer too, as soon as that is there. */
  holdMap({ owner }: SessionDocument, mapId: string): void {
    this.#needConsumer(owner);
    this.maps.lend(mapId, this.consumer(owner.uid));
  }

  async releaseMap(mapId: string): Promise<void> {
    for (const consumer of this.#consumers.values()) consumer.releaseMap(mapId);
    await this.maps.release(mapId, this.keeper);
  }

  /** Asks the registry of a scope for a pass; resolves when it ended. */
  async pass(sessionId: string, scope: RegistryScope, arranged = false): Promise<void> {
    // Whoever asks may be an action of the session itself, which takes events only when it is done with this one.
    await null;
    const key = scopeKey(scope);
    const session = this.session(sessionId);
    if (!session) return;
    if (!session.getSnapshot().context.registries[key]) session.send({ type: 'ScopeSeen', scopeKey: key, scope });
    const { pass, ended } = this.passes.request(`${sessionId}/${key}`);
    session.getSnapshot().context.registries[key]?.send({ type: 'PassRequested', pass, arranged });
    await ended;
  }

  /** Nothing that a pass looks at has changed since the last one of all scopes, but what the applications are told. */
  isArranged(document: SessionDocument): boolean {
    return this.arrangements.stands(this.#arrangement(document));
  }

  /** One pass of every scope that the session has or will have with the applications of now. */
  async passAll(sessionId: string): Promise<void> {
    const document = this.documents.current(sessionId);
    const before = this.#arrangement(document);
    const arranged = this.arrangements.stands(before);
    const scopes = new Map<string, RegistryScope>();
    for (const { scope, ringSets } of document.registries) if (ringSets.length > 0) scopes.set(scopeKey(scope), scope);
    for (const { identity } of this.applications.registered()) {
      const scope = scopeFor(document, identity!);
      scopes.set(scopeKey(scope), scope);
    }
    await Promise.all([...scopes.values()].map((scope) => this.pass(sessionId, scope, arranged)));
    if (!arranged) this.arrangements.note(before, this.#arrangement(this.documents.current(sessionId)));
  }

  #arrangement(document: SessionDocument): Arrangement {
    const applications = new Map(this.applications.registered().map((one) => [one, one.changes]));
    return { document, consumer: this.consumer(document.owner.uid).epoch, applications };
  }

  /** One that knows that it is needed is there, or comes (again) by itself. */
  #needConsumer({ uid, gid }: { readonly uid: number; readonly gid: number }): void {
    const needed = this.root.getSnapshot().context.consumers[uid]?.getSnapshot().context.needed;
    if (!needed) this.root.send({ type: 'ConsumerNeeded', uid, gid });
  }
}

const must = <T>(part: T | null, what: string): T => {
  if (part === null) throw new Error(`${what} is not there yet`);
  return part;
};
