/**
 * A bus in memory: same subjects, wildcards, permissions, encodings and faults as NATS, for unit tests and simulation. Delivery is
 * in order and only as the given scheduler lets it happen, so one seed gives one history.
 */
import type { Bus, BusStatus, Fault, Subscription } from './bus.ts';
import { fault } from './errors.ts';
import { SubjectTree } from './subject-tree.ts';
import { subjectMatches } from './subjects.ts';
import type { Extra, RawAnswer, RawMessage, Wire } from './wire.ts';
import { WireBus, type WireBusOptions } from './wire-bus.ts';

/** When things happen. The simulation gives one that obeys its seed; delivery must keep the order of equal `from`. */
export interface Scheduler {
  /** Deliver one message, soon. */
  defer(task: () => void): void;
  /** The returned function cancels. */
  after(ms: number, task: () => void): () => void;
}

const realScheduler: Scheduler = {
  defer: (task) => queueMicrotask(task),
  after: (ms, task) => {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};

/** Subject patterns that a connection may publish and subscribe; absent: all. */
export interface MemoryPermissions {
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
}

interface Subscribed {
  readonly pattern: string;
  readonly queue?: string | undefined;
  readonly wire: MemoryWire;
  readonly listener: (message: RawMessage) => void;
}

interface Interest extends Subscribed {
  /** Who subscribed first hears first: one seed, one history. */
  readonly order: number;
  ended: boolean;
}

/** Whether all that `pattern` can match is allowed. */
const covers = (allowed: readonly string[] | undefined, pattern: string): boolean =>
  allowed === undefined || allowed.some((entry) => entry === pattern || subjectMatches(entry, pattern));

/** The server in the middle. `cut()` is its death, `restore()` its return: connections are cut, then connected again. */
export class MemoryFabric {
  readonly #scheduler: Scheduler;
  readonly #interests = new SubjectTree<Interest>();
  readonly #wires = new Map<MemoryWire, Set<Interest>>();
  #up = true;
  #names = 0;
  #orders = 0;
  #turns = 0;

  constructor(scheduler: Scheduler = realScheduler) {
    this.#scheduler = scheduler;
  }

  get up(): boolean {
    return this.#up;
  }

  connect(options: WireBusOptions & { readonly permissions?: MemoryPermissions } = {}): MemoryBus {
    return new MemoryBus(this.connectWire(options.permissions), options);
  }

  /** Below the encoding: for whoever plays a peer that sends anything. */
  connectWire(permissions: MemoryPermissions = {}): MemoryWire {
    const wire = new MemoryWire(this, this.#scheduler, `_INBOX_${++this.#names}`, permissions);
    this.#wires.set(wire, new Set());
    return wire;
  }

  cut(): void {
    this.#up = false;
    for (const wire of this.#wires.keys()) wire.update();
  }

  restore(): void {
    this.#up = true;
    for (const wire of this.#wires.keys()) wire.update();
  }

  add(subscribed: Subscribed): () => void {
    const interest: Interest = { ...subscribed, order: this.#orders++, ended: false };
    this.#interests.add(interest.pattern, interest);
    this.#wires.get(interest.wire)?.add(interest);
    return () => this.#end(interest);
  }

  remove(wire: MemoryWire): void {
    for (const interest of this.#wires.get(wire) ?? []) this.#end(interest);
    this.#wires.delete(wire);
  }

  #end(interest: Interest): void {
    interest.ended = true;
    this.#interests.remove(interest.pattern, interest);
    this.#wires.get(interest.wire)?.delete(interest);
  }

  /** How many will get it. */
  route(message: RawMessage): number {
    const listening = this.#interests.matching(message.subject).filter(({ wire }) => wire.status === 'connected');
    const takers = this.#onePerQueue(listening.sort((a, b) => a.order - b.order));
    for (const taker of takers) {
      this.#scheduler.defer(() => {
        // Unsubscribed, or cut, while it was on the way: lost, as with a real server.
        if (!taker.ended && taker.wire.status === 'connected') taker.listener(message);
      });
    }
    return takers.length;
  }

  /** The members of a queue take turns. */
  #onePerQueue(takers: readonly Interest[]): readonly Interest[] {
    const queues = new Set(takers.flatMap(({ queue }) => queue ?? []));
    const chosen = [...queues].map((queue) => {
      const members = takers.filter((taker) => taker.queue === queue);
      return members[this.#turns++ % members.length]!;
    });
    return [...takers.filter(({ queue }) => queue === undefined), ...chosen];
  }
}

export class MemoryWire implements Wire {
  readonly #fabric: MemoryFabric;
  readonly #scheduler: Scheduler;
  readonly #inbox: string;
  readonly #permissions: MemoryPermissions;
  readonly #listeners = new Set<(status: BusStatus) => void>();
  readonly #waiting = new Set<(answer: RawAnswer) => void>();
  #cutAlone = false;
  #closed = false;
  #told: BusStatus = 'connected';
  #requests = 0;

  constructor(fabric: MemoryFabric, scheduler: Scheduler, inbox: string, permissions: MemoryPermissions) {
    this.#fabric = fabric;
    this.#scheduler = scheduler;
    this.#inbox = inbox;
    this.#permissions = permissions;
    this.#told = this.status;
  }

  get status(): BusStatus {
    if (this.#closed) return 'closed';
    return this.#cutAlone || !this.#fabric.up ? 'cut' : 'connected';
  }

  /** Cuts this connection only. */
  cut(alone: boolean): void {
    this.#cutAlone = alone;
    this.update();
  }

  /** Tells what changed; whoever waits for an answer over a cut connection will not get it. */
  update(): void {
    const status = this.status;
    if (status === this.#told) return;
    this.#told = status;
    if (status !== 'connected') for (const answer of [...this.#waiting]) answer({ ok: false, fault: fault('bus-cut') });
    for (const listener of [...this.#listeners]) listener(status);
  }

  onStatus(listener: (status: BusStatus) => void): Subscription {
    this.#listeners.add(listener);
    return { stop: () => this.#listeners.delete(listener) };
  }

  send(subject: string, bytes: Uint8Array, extra: Extra = {}): boolean {
    if (this.status !== 'connected') return false;
    // A server that refuses a publication says so to the connection, not to the publisher.
    if (this.#mayPublish(subject)) this.#fabric.route({ subject, bytes, reply: extra.reply ?? null });
    return true;
  }

  request(subject: string, bytes: Uint8Array, timeoutMs: number, headers?: Extra['headers']): Promise<RawAnswer> {
    if (this.status !== 'connected') return Promise.resolve({ ok: false, fault: fault('bus-cut') });
    if (!this.#mayPublish(subject)) {
      return Promise.resolve({ ok: false, fault: fault('permission-denied', { what: `publishing ${subject}` }) });
    }
    const reply = `${this.#inbox}.${++this.#requests}`;
    return new Promise((resolve) => {
      const settle = (answer: RawAnswer): void => {
        this.#waiting.delete(settle);
        stopTimer();
        forget();
        resolve(answer);
      };
      const listener = (message: RawMessage): void => settle({ ok: true, bytes: message.bytes });
      const forget = this.#fabric.add({ pattern: reply, wire: this, listener });
      const stopTimer = this.#scheduler.after(timeoutMs, () =>
        settle({ ok: false, fault: fault('timeout', { subject, ms: timeoutMs }) }),
      );
      this.#waiting.add(settle);
      if (this.#fabric.route({ subject, bytes, reply, ...(headers && { headers }) }) === 0) {
        this.#scheduler.defer(() => settle({ ok: false, fault: fault('no-responder', { subject }) }));
      }
    });
  }

  subscribe(
    subject: string,
    listener: (message: RawMessage) => void,
    onRefused?: (fault: Fault) => void,
    queue?: string,
  ): Subscription {
    if (!covers(this.#permissions.subscribe, subject)) {
      onRefused?.(fault('permission-denied', { what: `subscribing to ${subject}` }));
      return { stop: () => {} };
    }
    const stop = this.#fabric.add({ pattern: subject, queue, wire: this, listener });
    return { stop };
  }

  newInbox(): string {
    return `${this.#inbox}.${++this.#requests}`;
  }

  flush(): Promise<void> {
    if (this.status !== 'connected') return Promise.resolve();
    return new Promise((resolve) => this.#scheduler.defer(resolve));
  }

  async close(): Promise<void> {
    await this.flush();
    this.#closed = true;
    this.update();
    this.#fabric.remove(this);
  }

  /** Answers to inboxes are always allowed: a server gives whoever serves the right to answer. */
  #mayPublish(subject: string): boolean {
    return subject.startsWith('_INBOX') || covers(this.#permissions.publish, subject);
  }
}

export class MemoryBus extends WireBus implements Bus {
  readonly #wire: MemoryWire;

  constructor(wire: MemoryWire, options: WireBusOptions) {
    super(wire, options);
    this.#wire = wire;
  }

  /** Only this connection; the fabric's `cut()` cuts all. */
  cut(): void {
    this.#wire.cut(true);
  }

  restore(): void {
    this.#wire.cut(false);
  }
}
