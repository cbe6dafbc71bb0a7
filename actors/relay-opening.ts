/**
 * One opening of a link: messages in the order of their numbers, whole packets to the files, acknowledgements back. Between the
 * machine's states nothing of a packet is seen by it.
 */
import type { Refusal } from '../machines/refusal.ts';
import type { Body, Reply } from '../transport/bus.ts';
import { fault, refused, succeeded } from '../transport/errors.ts';
import { type LinkData, LinkDataError, type OpenRequest, type PacketMessage, parseLinkData } from '../transport/link-data.ts';
import { deferred } from './deferred.ts';
import { faultOfRefusal } from './refused.ts';
import type { LinkEntry, RelayParts } from './relay-parts.ts';

/** A sender that hears nothing for seconds thinks that we are gone. */
const ACK_MS = 20;
const COMMIT_MS = 50;
/** A sender that has so much on the way is told before its window is full. */
const ACK_BYTES = 1 << 20;
/** Paths in one acknowledgement, which has to fit a message. */
const DURABLE_MAX = 512;
/** Of the positions in an answer, which has to fit a message too. */
const POSITIONS_BYTES_MAX = 512 << 10;
/** Of one, besides its path. */
const POSITION_BYTES = 32;
/** The machine is told no more often that the sender is there. */
const TELL_MS = 1_000;

const causeOf = (thrown: unknown): string => (thrown as NodeJS.ErrnoException).code ?? String(thrown);

const copied = (packet: LinkData & PacketMessage): LinkData => ({
  ...packet,
  index: Uint8Array.from(packet.index),
  bytes: Uint8Array.from(packet.bytes),
});

/** What an answer has room for. The acknowledgements tell the others, and what comes twice meanwhile is taken once. */
const fitting = (positions: readonly { readonly path: string; readonly number: number }[]) => {
  let bytes = 0;
  return positions.filter(({ path }) => {
    bytes += Buffer.byteLength(path) + POSITION_BYTES;
    return bytes <= POSITIONS_BYTES_MAX;
  });
};

export class Opening {
  readonly id: string;
  readonly request: OpenRequest;
  readonly entry: LinkEntry;
  readonly answered = deferred<Reply>();
  readonly #parts: RelayParts;
  #expected = 1;
  #gap = false;
  #hasToldUnreadable = false;
  /** What the disk did not take. */
  #kept: LinkData | 'commit' | null = null;
  #told = new Map<string, number>();
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #sinceAck = 0;
  #ackTimer: unknown = null;
  #commitTimer: unknown = null;
  #ended = false;
  /** What is there is made durable and acknowledged: nothing more comes to it, or another relay would have that too. */
  #isEnding = false;

  constructor(id: string, request: OpenRequest, entry: LinkEntry, parts: RelayParts) {
    this.id = id;
    this.request = request;
    this.entry = entry;
    this.#parts = parts;
  }

  get epoch(): number {
    return this.request.epoch;
  }

  get full(): boolean {
    return this.#kept !== null;
  }

  answer(why: Refusal | null): void {
    const { store } = this.entry;
    const { settings } = this.#parts;
    const body = {
      relay: settings.relay,
      window: settings.window,
      directory: store.root,
      streams: fitting(store.durable()),
      ops: store.record.ops,
      clear: settings.allowClear,
    };
    this.answered.resolve(why ? refused(faultOfRefusal(why)) : succeeded(body));
  }

  receive(order: { readonly n: number }, body: Body): void {
    if (this.#ended || this.#isEnding) return;
    this.#tellMachine();
    if (order.n < this.#expected)
      this.#told.clear(); // its acknowledgement was lost
    else if (order.n > this.#expected || this.#kept !== null) this.#gap = true;
    else this.#next(body);
    this.#ackSoon();
  }

  /** What the disk did not take is given to it once more. */
  tryDisk(): void {
    const kept = this.#kept;
    if (kept === null || this.#ended) return;
    this.#kept = null;
    if (kept === 'commit') void this.#commit();
    else if (!this.#taken(() => this.#apply(kept))) return;
    if (this.#kept !== null) return;
    // What came meanwhile was let go.
    this.#gap = true;
    this.#send({ type: 'DiskFreed' });
    this.#ackSoon();
  }

  /** Nothing more is taken from it. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const { clock } = this.#parts.ports;
    clock.clearTimeout(this.#ackTimer);
    clock.clearTimeout(this.#commitTimer);
    this.answered.resolve(refused(fault('relay-ending')));
  }

  refuse(cause: string): void {
    this.#publish({ refused: fault('bad-message', { field: 'data', cause }) });
  }

  superseded(epoch: number): void {
    this.#parts.acknowledge(this.entry, { epoch });
  }

  async makeDurable(): Promise<void> {
    this.#isEnding = true;
    await this.entry.store.commit();
    this.#acknowledge();
  }

  #next(body: Body): void {
    this.#taken(() => this.#apply(parseLinkData(body)));
  }

  /** False: no relay can take it, whatever is wrong with it. That ends this opening, and nobody else's. */
  #taken(apply: () => void): boolean {
    try {
      apply();
      return true;
    } catch (thrown) {
      this.#send({ type: 'DataRefused', cause: thrown instanceof LinkDataError ? thrown.message : String(thrown) });
      return false;
    }
  }

  #apply(data: LinkData): void {
    const { store } = this.entry;
    try {
      if (data.kind === 'packet') this.#tellUnreadable(data, store.packet(data));
      else if (data.kind === 'metadata') store.metadata(data);
      else if (data.kind === 'op') store.operate(data);
      else store.beat(data.clock, data.paths);
    } catch (thrown) {
      if (thrown instanceof LinkDataError) throw thrown;
      this.#fill(data, causeOf(thrown));
      return;
    }
    this.#expected = data.n + 1;
    this.#sinceAck += data.kind === 'packet' ? data.bytes.length : 0;
    if (data.kind === 'op') this.#operated(data.op);
    if (store.dirty) this.#commitSoon();
    if (this.#sinceAck >= ACK_BYTES) this.#acknowledge();
  }

  /** Once: whoever has one may have thousands. */
  #tellUnreadable({ path, number }: PacketMessage, isReadable: boolean): void {
    if (isReadable || this.#hasToldUnreadable) return;
    this.#hasToldUnreadable = true;
    this.#parts.publish(this.entry, 'unreadable', { path, number });
  }

  #operated(op: string): void {
    if (op === 'clear' && !this.#parts.settings.allowClear) this.#parts.publish(this.entry, 'clear-refused', {});
    if (op === 'close') void this.#close();
  }

  async #close(): Promise<void> {
    await this.#commit();
    if (this.#kept === null && !this.entry.store.dirty) this.#send({ type: 'SessionClosed' });
  }

  #fill(kept: LinkData | 'commit', cause: string): void {
    const first = this.#kept === null;
    // What a message brought is ours for this moment only.
    this.#kept = kept !== 'commit' && kept.kind === 'packet' ? copied(kept) : kept;
    if (first) this.#send({ type: 'DiskFilled', cause });
    this.#acknowledge();
  }

  #tellMachine(): void {
    const now = this.#parts.ports.clock.now();
    if (Math.abs(now - this.#toldAtMs) < TELL_MS) return;
    this.#toldAtMs = now;
    this.#send({ type: 'DataReceived' });
  }

  #send(event: Parameters<RelayParts['tell']>[1]): void {
    this.#parts.tell(this.id, event);
  }

  #ackSoon(): void {
    this.#ackTimer ??= this.#parts.ports.clock.setTimeout(() => this.#acknowledge(), ACK_MS);
  }

  #commitSoon(): void {
    this.#commitTimer ??= this.#parts.ports.clock.setTimeout(() => {
      this.#commitTimer = null;
      void this.#commit();
    }, COMMIT_MS);
  }

  async #commit(): Promise<void> {
    try {
      await this.entry.store.commit();
    } catch (thrown) {
      if (!this.#ended) this.#fill('commit', causeOf(thrown));
      return;
    }
    if (!this.#ended) this.#acknowledge();
  }

  #acknowledge(): void {
    this.#parts.ports.clock.clearTimeout(this.#ackTimer);
    this.#ackTimer = null;
    this.#sinceAck = 0;
    const news = this.entry.store.durable().filter(({ path, number }) => this.#told.get(path) !== number);
    for (let at = 0; at === 0 || at < news.length; at += DURABLE_MAX)
      this.#publish({ durable: news.slice(at, at + DURABLE_MAX) });
    for (const { path, number } of news) this.#told.set(path, number);
    this.#gap = false;
  }

  #publish(more: Body): void {
    this.#parts.acknowledge(this.entry, {
      epoch: this.epoch,
      upTo: this.#expected - 1,
      durable: [],
      ops: this.entry.store.record.ops,
      ...(this.#gap && { missing: this.#expected }),
      ...(this.#kept !== null && { full: true }),
      ...more,
    });
  }
}
