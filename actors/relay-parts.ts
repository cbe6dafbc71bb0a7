/** What the parts of a relay share: the links that it knows, its settings, and how they reach bus and machine. */
import { join } from 'node:path';
import type { ActorRefFrom } from 'xstate';
import type { relayMachine } from '../machines/relay.ts';
import type { RelayLinkEvent } from '../machines/relay-link.ts';
import type { ViewerEvent } from '../machines/viewer.ts';
import type { Body, Bus } from '../transport/bus.ts';
import { type OpenRequest, orderOf } from '../transport/link-data.ts';
import { type LinkAddress, linkSubject, relayEventSubject } from '../transport/subjects.ts';
import type { Connected } from './live-server.ts';
import { Viewer, type ViewerSocket } from './live-viewer.ts';
import type { Clock, Ids, Log } from './ports.ts';
import type { RelayDisk } from './relay-disk.ts';
import { LinkListening, sessionsBelow } from './relay-listening.ts';
import { Opening } from './relay-opening.ts';
import { LinkStore, readRecord } from './relay-store.ts';

export interface RelaySettings {
  /** Its id on the bus: the same as long as its directory is. */
  readonly relay: string;
  readonly output: string;
  /** The user of the relay, who may watch everything. */
  readonly uid: number;
  readonly groupBy: 'host' | 'session';
  readonly allowClear: boolean;
  /** Bytes that a sender may have on the way. */
  readonly window: number;
  /** Bytes of all sessions; 0: no limit. */
  readonly retainBytes: number;
  /** Of sessions that ended; 0: no limit. */
  readonly retainAgeMs: number;
}

export interface RelayPorts {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly disk: RelayDisk;
  /** Absent: nobody can watch. Resolves with how to end that. */
  listen?(connected: (socket: ViewerSocket) => Connected): Promise<() => void>;
  /** `renew` is asked for while the bus is cut. */
  connect(): Promise<{ readonly bus: Bus; renew(): Promise<void> }>;
}

/** One link: what is held of it, and who sends. */
export interface LinkEntry {
  readonly key: string;
  readonly store: LinkStore;
  active: Opening | null;
  offered: Opening | null;
}

const OPENINGS_MAX = 1024;
const LINKS_MAX = 16_384;
const REOPEN_MS = 500;
const AUTO = /^auto-\d{8}-\d{6}/;

const keyOf = ({ host, uid, owner, link }: Pick<LinkAddress, 'host' | 'uid' | 'owner' | 'link'>): string =>
  [host, uid, owner, link].join('/');

/** `YYYYmmdd-HHMMSS`, in the time of the host that recorded. */
const stampOf = (createdAt: string): string => createdAt.slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');

export const directoryOf = ({ output, groupBy }: RelaySettings, { host, session, createdAt }: OpenRequest): string => {
  const dated = (name: string): string => `${name}-${stampOf(createdAt)}`;
  if (groupBy === 'session') return join(output, session, dated(host));
  return join(output, host, AUTO.test(session) ? session : dated(session));
};

export class RelayParts {
  readonly ports: RelayPorts;
  readonly settings: RelaySettings;
  readonly links = new Map<string, LinkEntry>();
  readonly openings = new Map<string, Opening>();
  root!: ActorRefFrom<typeof relayMachine>;
  bus: Bus | null = null;
  renew: () => Promise<void> = async () => {};
  stopListening: () => void = () => {};
  readonly viewers = new Map<string, Viewer>();
  readonly #listening = new LinkListening(LINKS_MAX);
  readonly #reopened = new Map<string, number>();
  #events = 0;
  #openings = 0;
  #stores = 0n;
  #viewers = 0n;

  constructor(ports: RelayPorts, settings: RelaySettings) {
    this.ports = ports;
    this.settings = settings;
  }

  get crowded(): boolean {
    return this.openings.size >= LINKS_MAX || [...this.links.values()].filter(({ offered }) => offered).length >= OPENINGS_MAX;
  }

  /** Of the link as the server vouches for it; what the request says counts with its first message. */
  offer(entry: LinkEntry, request: OpenRequest): Opening {
    this.links.set(entry.key, entry);
    const opening = new Opening(`${request.link}-${++this.#openings}`, request, entry, this);
    if (entry.offered) this.tell(entry.offered.id, { type: 'EpochSuperseded' });
    entry.offered = opening;
    this.openings.set(opening.id, opening);
    this.#listen(entry.store);
    return opening;
  }

  /** Those of before this relay was started again: they go on sending, and are told to open anew. */
  listenToKnown(): void {
    for (const { record } of sessionsBelow(this.settings.output)) if (!record.closed) this.#listen({ identity: record });
  }

  #listen({ identity }: Pick<LinkStore, 'identity'>): void {
    const address = { ...identity, relay: this.settings.relay };
    if (this.bus) this.#listening.begin(this.bus, address, (from, body) => this.deliver(from, body));
  }

  entryOf(request: OpenRequest): LinkEntry {
    const key = keyOf(request);
    return this.links.get(key) ?? { key, store: this.#storeOf(request), active: null, offered: null };
  }

  /** A message on the data subject. */
  deliver(address: LinkAddress, body: Body): void {
    const order = orderOf(body);
    if (!order) return;
    const entry = this.links.get(keyOf(address));
    if (entry?.offered?.epoch === order.epoch) this.#activate(entry, entry.offered);
    if (entry?.active?.epoch === order.epoch) entry.active.receive(order, body);
    else if (entry?.active && order.epoch < entry.active.epoch) entry.active.superseded(entry.active.epoch);
    else this.#reopen(address);
  }

  tell(opening: string, event: RelayLinkEvent): void {
    this.root.getSnapshot().context.openings[opening]?.send(event);
  }

  end(opening: Opening): void {
    opening.end();
    this.openings.delete(opening.id);
    const { entry } = opening;
    if (entry.active === opening) entry.active = null;
    if (entry.offered === opening) entry.offered = null;
    if (!entry.active && !entry.offered) {
      this.links.delete(entry.key);
      entry.store.over = true;
      // What was offered and never came to be. Others may still send, and are to hear what has become of their link.
      if (!entry.store.present) this.#listening.end({ ...entry.store.identity, relay: this.settings.relay });
    }
    this.root.send({ type: 'OpeningGone', opening: opening.id });
  }

  /** What can be watched. */
  openStores(): LinkStore[] {
    return [...this.links.values()].filter(({ active, store }) => active && !store.over).map(({ store }) => store);
  }

  watchersOf(store: LinkStore): number {
    return [...this.viewers.values()].filter(({ watches }) => watches === store).length;
  }

  connected(socket: ViewerSocket): Connected {
    const viewer = new Viewer(++this.#viewers, socket, this);
    this.viewers.set(viewer.id, viewer);
    this.root.send({ type: 'ViewerConnected', viewer: viewer.id });
    return {
      receive: (chunk) => viewer.receive(chunk),
      gone: () => this.tellViewer(viewer.id, { type: 'ViewerGone' }),
    };
  }

  tellViewer(viewer: string, event: ViewerEvent): void {
    this.root.getSnapshot().context.viewers[viewer]?.send(event);
  }

  endViewer(viewer: Viewer): void {
    viewer.close();
    this.viewers.delete(viewer.id);
    this.root.send({ type: 'ViewerGone', viewer: viewer.id });
  }

  acknowledge({ store }: LinkEntry, body: Body): void {
    this.bus?.publish(linkSubject('ack', { ...store.identity, relay: this.settings.relay }), { v: 1, ...body });
  }

  publish({ store }: Pick<LinkEntry, 'store'>, what: string, more: Body): void {
    const { host, session, link, owner } = store.identity;
    this.announce(what, { host, session, owner, link, directory: store.base, ...more });
  }

  announce(what: string, body: Body): void {
    this.ports.log.info(`link ${what}`, body);
    const at = this.ports.clock.now();
    this.bus?.publish(relayEventSubject(this.settings.relay, what), { v: 1, n: ++this.#events, at, ...body });
  }

  #activate(entry: LinkEntry, opening: Opening): void {
    const before = entry.active;
    try {
      entry.store.take(opening.epoch);
    } catch (thrown) {
      // Nothing was acknowledged: the sender tries again.
      this.ports.log.error('a link cannot be taken', { link: entry.key, cause: String(thrown) });
      return;
    }
    entry.active = opening;
    entry.offered = null;
    if (before) this.tell(before.id, { type: 'EpochSuperseded' });
  }

  /** It was open before we were started again, or it was given up. */
  #reopen(address: LinkAddress): void {
    const key = keyOf(address);
    const now = this.ports.clock.now();
    if (Math.abs(now - (this.#reopened.get(key) ?? Number.NEGATIVE_INFINITY)) < REOPEN_MS) return;
    if (this.#reopened.size > LINKS_MAX) this.#reopened.clear();
    this.#reopened.set(key, now);
    this.bus?.publish(linkSubject('ack', { ...address, relay: this.settings.relay }), { v: 1, reopen: true });
  }

  /** Two sessions of one name and second do not share a directory. */
  #storeOf(request: OpenRequest): LinkStore {
    const wanted = directoryOf(this.settings, request);
    const inUse = new Set([...this.links.values()].map(({ store }) => store.base));
    const mine = (base: string): boolean => {
      const record = readRecord(base);
      return record ? keyOf(record) === keyOf(request) : !inUse.has(base);
    };
    const { host, uid, owner, link, session, createdAt, subdir } = request;
    const identity = { host, uid, owner, link, session, createdAt, subdir };
    const base = mine(wanted) ? wanted : `${wanted}-${link.slice(0, 8)}`;
    return new LinkStore(this.ports.disk, base, identity, {
      allowClear: this.settings.allowClear,
      number: ++this.#stores,
    });
  }
}
