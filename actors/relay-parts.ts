/** What the parts of a relay share: the links that it knows, its settings, and how they reach bus and machine. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ActorRefFrom } from 'xstate';
import type { relayMachine } from '../machines/relay.ts';
import type { RelayLinkEvent } from '../machines/relay-link.ts';
import type { ViewerEvent } from '../machines/viewer.ts';
import type { Body, Bus } from '../transport/bus.ts';
import { failure } from '../transport/errors.ts';
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

/** One link: what is held of it, who sends, and who asked to. */
export interface LinkEntry {
  readonly key: string;
  readonly store: LinkStore;
  active: Opening | null;
  /** Beside each other until one sends, for anybody may ask: the server vouches only for who sends. The oldest first. */
  offered: Opening[];
}

const OPENINGS_MAX = 1024;
/** Offers of one link. */
const OFFERS_MAX = 16;
const LINKS_MAX = 16_384;
const REOPEN_MS = 500;
/** Of a link that does not say how long its live period is. */
const LIVE_US = 1_000_000;
/** That a link may find unreadable. */
const DIRECTORIES_MAX = 8;
const AUTO = /^auto-\d{8}-\d{6}/;

const keyOf = ({ host, uid, owner, link }: Pick<LinkAddress, 'host' | 'uid' | 'owner' | 'link'>): string =>
  [host, uid, owner, link].join('/');

/** Nothing but notes of our own, of a link that never came to be. */
const isUnused = (directory: string): boolean =>
  !existsSync(directory) || readdirSync(directory).every((name) => name.startsWith('.weft-'));

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
  /** What requests say of links of which nothing is here yet. */
  readonly #claims = new Map<string, LinkEntry[]>();
  readonly openings = new Map<string, Opening>();
  root!: ActorRefFrom<typeof relayMachine>;
  bus: Bus | null = null;
  renew: () => Promise<void> = async () => {};
  stopListening: () => void = () => {};
  readonly viewers = new Map<string, Viewer>();
  /** Old sessions are looked for; null: not now. */
  evicting: Promise<void> | null = null;
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
    const offered = [...this.openings.values()].filter((opening) => opening.entry.active !== opening);
    return this.openings.size >= LINKS_MAX || offered.length >= OPENINGS_MAX;
  }

  /** Of the link as the server vouches for it; what the request says counts with its first message. */
  offer(entry: LinkEntry, request: OpenRequest): Opening {
    const { key, store } = entry;
    const claims = this.#claimsOf(key);
    if (store.present) this.links.set(key, entry);
    else if (!claims.includes(entry)) this.#claims.set(key, [...claims, entry]);
    const opening = new Opening(`${request.link}-${++this.#openings}`, request, entry, this);
    entry.offered.push(opening);
    this.openings.set(opening.id, opening);
    this.#listen(store);
    const offers = this.#offersOf(key);
    if (offers.length > OFFERS_MAX) this.tell(offers[0]!.id, { type: 'EpochSuperseded' });
    return opening;
  }

  #claimsOf(key: string): readonly LinkEntry[] {
    return this.#claims.get(key) ?? [];
  }

  #offersOf(key: string): Opening[] {
    return [...(this.links.get(key)?.offered ?? []), ...this.#claimsOf(key).flatMap(({ offered }) => offered)];
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
    const isClaimed = ({ store: { identity } }: LinkEntry): boolean =>
      identity.session === request.session && identity.createdAt === request.createdAt && identity.subdir === request.subdir;
    const known = this.links.get(key) ?? this.#claimsOf(key).find(isClaimed);
    return known ?? { key, store: this.#storeOf(request), active: null, offered: [] };
  }

  /** A message on the data subject. */
  deliver(address: LinkAddress, body: Body): void {
    const order = orderOf(body);
    if (!order) return;
    const key = keyOf(address);
    if (this.links.get(key)?.active?.epoch !== order.epoch) {
      const offer = this.#offersOf(key).find(({ epoch }) => epoch === order.epoch);
      if (offer) this.#activate(offer);
    }
    const entry = this.links.get(key);
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
    entry.offered = entry.offered.filter((one) => one !== opening);
    if (!entry.active && entry.offered.length === 0) this.#forget(entry);
    this.root.send({ type: 'OpeningGone', opening: opening.id });
  }

  #forget(entry: LinkEntry): void {
    const { key, store } = entry;
    store.retire();
    if (this.links.get(key) === entry) this.links.delete(key);
    const claims = this.#claimsOf(key).filter((one) => one !== entry);
    if (claims.length > 0) this.#claims.set(key, [...claims]);
    else this.#claims.delete(key);
    // What was offered and never came to be. Others may still send, and are to hear what has become of their link.
    if (!store.present && claims.length === 0 && !this.links.has(key))
      this.#listening.end({ ...store.identity, relay: this.settings.relay });
  }

  /** What can be watched. */
  openStores(): LinkStore[] {
    return [...this.links.values()].filter(({ active, store }) => active && !store.over).map(({ store }) => store);
  }

  watchersOf(store: LinkStore): number {
    return [...this.viewers.values()].filter(({ watches }) => watches.includes(store)).length;
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

  /** Whoever sends is who it says, so what else was asked for in its name counts no more. */
  #activate(opening: Opening): void {
    const { entry, epoch, request } = opening;
    const { key, store } = entry;
    try {
      store.take(epoch);
    } catch (thrown) {
      // Nothing was acknowledged: the sender tries again.
      this.ports.log.error('a link cannot be taken', { link: key, cause: String(thrown) });
      return;
    }
    store.liveUs = typeof request.live === 'number' ? request.live : request.live ? LIVE_US : 0;
    const over = this.#offersOf(key).filter((one) => one !== opening && (one.entry !== entry || one.epoch <= epoch));
    if (entry.active) over.push(entry.active);
    this.links.set(key, entry);
    this.#claims.delete(key);
    entry.active = opening;
    entry.offered = entry.offered.filter((one) => one !== opening);
    for (const { id } of over) this.tell(id, { type: 'EpochSuperseded' });
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

  /** Two sessions of one name and second do not share a directory, nor does any have what nobody knows. */
  #storeOf(request: OpenRequest): LinkStore {
    const { host, uid, owner, link, session, createdAt, subdir } = request;
    const identity = { host, uid, owner, link, session, createdAt, subdir };
    const base = this.#baseOf(request);
    return new LinkStore(this.ports.disk, base, identity, {
      allowClear: this.settings.allowClear,
      number: ++this.#stores,
    });
  }

  #baseOf(request: OpenRequest): string {
    const wanted = directoryOf(this.settings, request);
    const names = [wanted, `${wanted}-${request.link.slice(0, 8)}`];
    for (let more = 2; more < DIRECTORIES_MAX; more++) names.push(`${names[1]}-${more}`);
    const mine = names.find((name) => {
      const record = readRecord(name);
      return record !== null && keyOf(record) === keyOf(request);
    });
    if (mine !== undefined) return mine;
    const others = [...this.links.values(), ...[...this.#claims.values()].flat()].filter(({ key }) => key !== keyOf(request));
    const inUse = new Set(others.map(({ store }) => store.base));
    const free = names.find((name) => !inUse.has(name) && isUnused(name));
    if (free === undefined) throw failure('relay-unusable', { cause: `${wanted} and its like cannot be read` });
    return free;
  }
}
