/** Straight to a fleet with an operator's key, from a machine that need not be one of its hosts. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { credsAuthenticator } from '@nats-io/transport-node';
import { parseSelector } from '../rules/selector.ts';
import type { Body, Bus, Fault } from '../transport/bus.ts';
import { FaultError, failure } from '../transport/errors.ts';
import type { FleetAccess } from '../transport/fleet-keys.ts';
import type { HostView } from '../transport/fleet-messages.ts';
import { NatsBus } from '../transport/nats-bus.ts';
import type { NatsOptions } from '../transport/nats-wire.ts';
import { ANY, commandSubject, type EventAddress, parseEventSubject, parseLiveSubject, subtree } from '../transport/subjects.ts';
import { askAll } from './fleet-gather.ts';
import { UsageError } from './options.ts';

/** Hosts answer at once, the others soon after the first: whoever does not is in what the first one knows. */
const QUIET_MS = 150;
const ANSWER_MS = 5_000;

/** Without key and certificate on a server that asks for none. */
type OperatorAccess = Pick<FleetAccess, 'name' | 'clientUrls'> &
  Partial<Pick<FleetAccess, 'ca' | 'credentials' | 'store' | 'inboxPrefix'>>;

/** Of a directory that `weft keys operator` made. Throws FaultError. */
export class OperatorKey {
  readonly directory: string;
  readonly #access: OperatorAccess;
  readonly #tls: NatsOptions['tls'];

  constructor(place: string) {
    this.directory = resolve(place);
    try {
      this.#access = JSON.parse(this.#read('fleet.json')) as OperatorAccess;
      const { ca } = this.#access;
      this.#tls = ca === undefined ? undefined : { ca: this.#read(ca) };
      for (const file of [this.#access.credentials, this.#access.store]) if (file !== undefined) this.#read(file);
    } catch (thrown) {
      const cause = thrown instanceof Error ? thrown.message : String(thrown);
      throw failure('fleet-file-invalid', { path: this.directory, cause });
    }
  }

  /** As whom the fleet's server lets commands pass. */
  get who(): string {
    return this.#access.name;
  }

  get servers(): number {
    return this.#access.clientUrls.length;
  }

  /** On a server that asks for no key whoever talks to the hosts is let to the store too. */
  get storeIsOpen(): boolean {
    return this.#access.store === undefined;
  }

  /** Where the fleet's hosts are. */
  connect(): Promise<NatsBus> {
    return this.#connect(this.#access.credentials);
  }

  /** Where what the fleet wants is written. */
  connectStore(): Promise<NatsBus> {
    return this.#connect(this.#access.store ?? this.#access.credentials);
  }

  #connect(credentials: string | undefined): Promise<NatsBus> {
    const { clientUrls, inboxPrefix } = this.#access;
    const options: NatsOptions = {
      servers: [...clientUrls],
      ...(inboxPrefix !== undefined && { inboxPrefix }),
      ...(credentials !== undefined && { authenticator: credsAuthenticator(Buffer.from(this.#read(credentials))) }),
      ...(this.#tls && { tls: this.#tls }),
    };
    return NatsBus.connectExternal(options, { name: 'weft' });
  }

  #read(file: string): string {
    return readFileSync(join(this.directory, file), 'utf8');
  }
}

/** Of the session daemons that are meant. Throws UsageError. */
export const meantUid = (text: string | undefined): number => {
  if (text !== undefined && !/^\d{1,10}$/.test(text)) throw new UsageError(`--uid=${text}: a number is needed`);
  return text === undefined ? (process.getuid?.() ?? 0) : Number(text);
};

export class FleetLink {
  readonly bus: Bus;
  readonly uid: number;
  /** As whom the fleet's server lets commands pass. */
  readonly who: string;

  constructor(bus: Bus, who: string, uid: number) {
    this.bus = bus;
    this.who = who;
    this.uid = uid;
  }

  static async connect(place: string, uid: number): Promise<FleetLink> {
    const key = new OperatorKey(place);
    return new FleetLink(await key.connect(), key.who, uid);
  }

  /**
   * What a host knows of the fleet, of the first that says something; and those that answer and that it does not know yet. `heard`: who
   * answered just now, where somebody asked.
   */
  async hosts(heard?: readonly string[]): Promise<readonly HostView[]> {
    const known = new Map<string, HostView>();
    const isReady = (host: string): boolean => known.get(host)?.state === 'ready';
    for (const host of heard ?? (await this.#answering())) {
      if (isReady(host)) continue;
      for (const view of await this.#viewOf(host)) if (!isReady(view.host)) known.set(view.host, view);
    }
    if (known.size === 0) throw failure('fleet-silent', { uid: String(this.uid) });
    return [...known.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  /** Nothing, where it does not say. */
  async #viewOf(host: string): Promise<readonly HostView[]> {
    const { uid, who } = this;
    const subject = commandSubject({ host, uid, realm: 'fleet', who, noun: 'hosts', verb: 'list' });
    const reply = await this.bus.request(subject, { v: 1, id: randomUUID() }, ANSWER_MS);
    return reply.ok ? (reply.body.hosts as readonly HostView[]) : [];
  }

  /** All hosts that hear of it wait for `host` no more. Throws FaultError when none does so. */
  async forget(host: string): Promise<Body> {
    const done: string[] = [];
    const refused: { readonly host: string; readonly error: Fault }[] = [];
    await askAll(this.bus, { uid: this.uid, who: this.who, name: 'hosts.forget', fields: { host } }, (body) => {
      if (typeof body.host !== 'string') return false;
      const error = body.error as Fault | undefined;
      if (body.ok === true) done.push(body.host);
      else if (error && error.code !== 'host-unknown') refused.push({ host: body.host, error });
      return true;
    });
    if (refused[0]) throw new FaultError(refused[0].error);
    if (done.length === 0) throw failure('host-unknown', { host });
    return { forgotten: host };
  }

  /** What happens on hosts that match. */
  async listen(selector: string, noun: string | null, heard: (of: EventAddress, body: Body) => void): Promise<() => void> {
    const selected = parseSelector(selector);
    if (!selected.ok) throw failure('selector-invalid', { selector, column: selected.column, cause: selected.cause });
    const labels = new Map((await this.hosts()).map((view) => [view.host, view.labels]));
    // Narrower, no leaf would pass it on.
    const subscription = this.bus.subscribe(subtree({ host: ANY, uid: ANY }, 'evt'), ({ subject, body }) => {
      const address = parseEventSubject(subject);
      if (!address || address.uid !== String(this.uid) || (noun !== null && address.noun !== noun)) return;
      if (selected.matches({ host: address.host, labels: labels.get(address.host) ?? {} })) heard(address, body);
    });
    await this.bus.flush();
    return () => subscription.stop();
  }

  /** Decoded events of sessions of that name, on hosts where a lease runs (session.watch), each with its host, as far as they are meant. */
  async live(
    session: string,
    isMeant: (host: string, owner: string) => boolean,
    heard: (body: Body, host: string) => void,
  ): Promise<() => void> {
    const subscription = this.bus.subscribe(subtree({ host: ANY, uid: ANY }, 'live'), ({ subject, body }) => {
      const address = parseLiveSubject(subject);
      if (address?.uid !== String(this.uid) || address.session !== session) return;
      if (isMeant(address.host, address.owner)) heard(body, address.host);
    });
    await this.bus.flush();
    return () => subscription.stop();
  }

  close(): Promise<void> {
    return this.bus.close();
  }

  /** Who answers, until nobody has for a moment. */
  async #answering(): Promise<string[]> {
    const names: string[] = [];
    const question = { uid: this.uid, who: this.who, name: 'fleet.sessions', fields: {}, quietMs: QUIET_MS };
    await askAll(this.bus, question, (body) => {
      const isHost = body.ok === true && typeof body.host === 'string';
      if (isHost) names.push(String(body.host));
      return isHost;
    });
    return names;
  }
}
