/**
 * What a link has to send, from its spool: by stream which packets are acknowledged, on the way, and still to come; which metadata
 * the other end has not seen; which operations wait, and for what. Knows no bus and no time.
 */
import type { LinkLog } from './link-log.ts';
import type { Durable, Operation, Packet } from './link-peer.ts';
import type { Spool, SpoolEntry } from './ports.ts';

const TRACES = 'ust';
const ENTRIES_AT_ONCE = 64;

export const traceOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

/** The directory of the chunk that a stream or trace lies in; empty: the output itself. */
export const chunkOf = (path: string): string => {
  const parts = path.split('/');
  return parts.slice(0, Math.max(parts.indexOf(TRACES), 0)).join('/');
};

/** Chunks are numbered; the output itself is the first one. */
const numberOf = (chunk: string): number => Number(/-(\d+)$/.exec(chunk)?.[1] ?? 0);

interface Stream {
  readonly path: string;
  readonly chunk: string;
  /** Entries of the index that were taken to be sent. */
  taken: number;
  /** Entries that may be taken. */
  count: number;
  /** Taken, in order, and not acknowledged. */
  readonly outstanding: Taken[];
  /** Where the last one ends that was taken. */
  takenTo: number;
  /** Read ahead. */
  ahead: readonly SpoolEntry[];
  /** Where the bytes begin that the spool still holds, and where they end. */
  heldFrom: number;
  end: number;
  /** Acknowledged, and still to be given back: from this byte on, packets that begin there. */
  releasedTo: number;
  readonly unreleased: number[];
  /** Numbers of packets whose bytes were not there. */
  readonly dropped: Set<number>;
}

interface Taken {
  readonly entry: SpoolEntry;
  /** Its place in the index. */
  readonly at: number;
}

export type Wanted =
  | { readonly kind: 'metadata'; readonly trace: string }
  | ({ readonly kind: 'packet' } & Packet)
  | { readonly kind: 'op'; readonly number: number; readonly operation: Operation };

/** How many packets of a stream are in its files for good, by number; null: all that its index names. */
export type Settled = (path: string) => number | null;

export class LinkQueue {
  readonly #spool: Spool;
  readonly #log: LinkLog;
  readonly #settled: Settled;
  readonly #oneChunk: boolean;
  readonly #streams = new Map<string, Stream>();
  /** By trace: of the metadata that was sent last. */
  readonly #described = new Map<string, string>();
  readonly #blocked = new Set<string>();
  #durable: ReadonlyMap<string, number> = new Map();
  #sentOps = 0;
  #turn = 0;
  lostPackets = 0;

  /** `oneChunk`: the other end can take one chunk after the other only. */
  constructor(spool: Spool, log: LinkLog, settled: Settled, { oneChunk = false }: { readonly oneChunk?: boolean } = {}) {
    this.#oneChunk = oneChunk;
    this.#spool = spool;
    this.#log = log;
    this.#settled = settled;
    this.#sentOps = log.acked;
    spool.tidy();
    for (const { operation } of log.upTo(log.acked)) this.#forget(operation);
  }

  /** A new opening: all that is not durable is sent again, and every metadata. */
  begin(durable: readonly Durable[], ops: number): void {
    this.#durable = new Map(durable.map(({ path, number }) => [path, number]));
    this.#described.clear();
    for (const stream of this.#streams.values()) {
      const [first] = stream.outstanding;
      if (!first) continue;
      stream.taken = first.at;
      stream.takenTo = first.entry.offset;
      stream.outstanding.length = 0;
      stream.ahead = [];
    }
    this.confirmOps(ops);
    this.#sentOps = this.#log.acked;
    for (const one of durable) this.confirm(one);
  }

  /** What was written since. */
  refresh(): void {
    for (const path of this.#spool.streams()) {
      if (this.#blocked.has(chunkOf(path))) continue;
      const stream = this.#streams.get(path) ?? this.#add(path);
      this.#grow(stream);
    }
  }

  /** Null: nothing can be sent now. */
  next(): Wanted | null {
    const stream = this.#choose();
    const op = this.#nextOp();
    if (op) return op;
    if (!stream) return this.#staleMetadata();
    const trace = traceOf(stream.path);
    if (this.#stale(trace)) return { kind: 'metadata', trace };
    const entry = this.#take(stream);
    if (!entry) return null;
    // It may be there this time.
    if (stream.dropped.delete(entry.number)) this.lostPackets--;
    return { kind: 'packet', path: stream.path, entry };
  }

  /** The bytes are not there any more: somebody else took them. */
  drop({ path, entry }: Packet): void {
    const stream = this.#streams.get(path);
    const at = stream?.outstanding.findIndex((one) => one.entry === entry) ?? -1;
    if (!stream || at < 0) return;
    stream.outstanding.splice(at, 1);
    this.#settle(stream);
    stream.dropped.add(entry.number);
    this.lostPackets++;
  }

  sentOp(number: number): void {
    this.#sentOps = number;
  }

  /** Notes what is sent now; the text. */
  takeMetadata(trace: string): string {
    this.#described.set(trace, this.#spool.describe(trace) ?? '');
    return this.#spool.metadata(trace);
  }

  /** Gives back what is durable elsewhere. Bytes. */
  confirm({ path, number }: Durable): number {
    const stream = this.#streams.get(path);
    if (!stream) return 0;
    if (stream.outstanding.length === 0) this.#skip(stream, number);
    let bytes = 0;
    for (let [first] = stream.outstanding; first && first.entry.number <= number; [first] = stream.outstanding) {
      stream.outstanding.shift();
      stream.unreleased.push(first.entry.offset);
      bytes += first.entry.bytes;
    }
    this.#settle(stream);
    this.#release(stream);
    return bytes;
  }

  confirmOps(ops: number): void {
    for (const { operation } of this.#log.confirm(ops)) this.#forget(operation);
  }

  /** Nothing of this chunk is read, and no word of the other end counts for it: its files are being emptied. */
  block(chunk: string): void {
    this.#blocked.add(chunk);
    this.#forgetStreams(chunk);
  }

  /** Its files are empty, but for what came since. */
  emptied(chunk: string): void {
    this.#blocked.delete(chunk);
    this.refresh();
  }

  /** Bytes that wait, or are not acknowledged. */
  get bytes(): number {
    let sum = 0;
    for (const { end, heldFrom } of this.#streams.values()) sum += end - heldFrom;
    return sum;
  }

  /** Something was sent and is not durable at the other end. */
  get outstanding(): boolean {
    for (const { outstanding } of this.#streams.values()) if (outstanding.length > 0) return true;
    return this.#log.acked < this.#sentOps;
  }

  get empty(): boolean {
    for (const { taken, count, outstanding } of this.#streams.values())
      if (taken < count || outstanding.length > 0) return false;
    return this.#log.acked === this.#log.last && !this.#staleMetadata();
  }

  /** No packet lies in the spool, whatever this process knows of it. */
  get holdsNothing(): boolean {
    return this.#spool.streams().every((path) => {
      const count = this.#spool.count(path);
      return this.#firstHeld(path, count) === count;
    });
  }

  get paths(): readonly string[] {
    return [...this.#streams.keys()];
  }

  /** All that waits is on its way, and the files hold nothing else: a viewer may be told so. */
  get idlePaths(): readonly string[] {
    return [...this.#streams.values()].filter(({ taken, count }) => taken === count).map(({ path }) => path);
  }

  #add(path: string): Stream {
    const stream: Stream = {
      path,
      chunk: chunkOf(path),
      taken: 0,
      count: 0,
      outstanding: [],
      takenTo: 0,
      ahead: [],
      heldFrom: 0,
      end: 0,
      releasedTo: 0,
      unreleased: [],
      dropped: new Set(),
    };
    const count = this.#spool.count(path);
    stream.taken = this.#firstHeld(path, count);
    if (stream.taken > 0) {
      const [before] = this.#spool.entries(path, stream.taken - 1, 1);
      stream.heldFrom = stream.end = before ? before.offset + before.bytes : 0;
      stream.takenTo = stream.releasedTo = stream.heldFrom;
    }
    stream.count = stream.taken;
    this.#streams.set(path, stream);
    const durable = this.#durable.get(path);
    if (durable !== undefined) {
      this.#grow(stream);
      this.#skip(stream, durable);
    }
    return stream;
  }

  /** Packets are acknowledged in order, so what was given back is the beginning. */
  #firstHeld(path: string, count: number): number {
    let [low, high] = [0, count];
    while (low < high) {
      const middle = (low + high) >> 1;
      const [entry] = this.#spool.entries(path, middle, 1);
      if (entry && this.#spool.holds(path, entry)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #grow(stream: Stream): void {
    if (this.#blocked.has(stream.chunk)) return;
    const count = this.#spool.count(stream.path);
    const settled = this.#settled(stream.path);
    let usable = Math.max(count, stream.taken);
    while (usable > stream.count) {
      const [last] = this.#spool.entries(stream.path, usable - 1, 1);
      if (last && (settled === null || last.number < settled)) {
        stream.end = last.offset + last.bytes;
        break;
      }
      usable--;
    }
    stream.count = Math.max(usable, stream.count);
  }

  /** The other end has these already, though this process did not hear it. */
  #skip(stream: Stream, number: number): void {
    for (let entry = this.#peek(stream); entry && entry.number <= number; entry = this.#peek(stream)) {
      this.#take(stream);
      stream.outstanding.pop();
      stream.unreleased.push(entry.offset);
    }
    this.#settle(stream);
    this.#release(stream);
  }

  /** What is held begins with the first packet that is not acknowledged. */
  #settle(stream: Stream): void {
    stream.heldFrom = stream.outstanding[0]?.entry.offset ?? stream.takenTo;
  }

  /** A disk that cannot even take this back is asked again with the next word. */
  #release(stream: Stream): void {
    const { path, releasedTo, heldFrom, unreleased } = stream;
    if (heldFrom <= releasedTo) return;
    try {
      this.#spool.release(path, releasedTo, heldFrom, unreleased);
      stream.releasedTo = heldFrom;
      unreleased.length = 0;
    } catch {
      // It is acknowledged all the same.
    }
  }

  #peek(stream: Stream): SpoolEntry | null {
    if (stream.taken >= stream.count) return null;
    if (stream.ahead.length === 0)
      stream.ahead = this.#spool.entries(stream.path, stream.taken, Math.min(ENTRIES_AT_ONCE, stream.count - stream.taken));
    return stream.ahead[0] ?? null;
  }

  #take(stream: Stream): SpoolEntry | null {
    const entry = this.#peek(stream);
    if (!entry) return null;
    stream.outstanding.push({ entry, at: stream.taken++ });
    stream.takenTo = entry.offset + entry.bytes;
    stream.ahead = stream.ahead.slice(1);
    return entry;
  }

  /** The newest chunk in turn with what is left of older ones, and each stream in turn: who is late starves nobody. */
  #choose(): Stream | null {
    const ready = [...this.#streams.values()].filter((one) => one.taken < one.count && this.#open(one.chunk));
    if (ready.length === 0) return null;
    const newest = Math.max(...ready.map(({ chunk }) => numberOf(chunk)));
    const isNewest = ({ chunk }: Stream): boolean => numberOf(chunk) === newest;
    const groups = [ready.filter(isNewest), ready.filter((one) => !isNewest(one))];
    const turn = this.#turn++;
    const group = [groups[turn % 2]!, groups[(turn + 1) % 2]!].find((one) => one.length > 0)!;
    return group[(turn >> 1) % group.length]!;
  }

  /** Packets behind a clearing that was not sent wait for it. */
  #open(chunk: string): boolean {
    if (this.#blocked.has(chunk) || (this.#oneChunk && numberOf(chunk) > this.#oldest())) return false;
    return !this.#log.after(this.#sentOps).some(({ operation }) => operation.op === 'clear' && operation.directory === chunk);
  }

  /** Number of the chunk whose end was not sent. */
  #oldest(): number {
    const chunks = [...this.#streams.values()].map(({ chunk }) => chunk);
    for (const { operation } of this.#log.after(0)) if (operation.op === 'archive') chunks.push(operation.from);
    const ended = this.#log
      .upTo(this.#sentOps)
      .flatMap(({ operation }) => (operation.op === 'archive' ? [operation.from] : []));
    return Math.min(...chunks.filter((chunk) => !ended.includes(chunk)).map(numberOf));
  }

  #nextOp(): Wanted | null {
    const [next] = this.#log.after(this.#sentOps);
    if (!next || !this.#ready(next.operation)) return null;
    return { kind: 'op', ...next };
  }

  #ready(operation: Operation): boolean {
    if (operation.op === 'clear' || operation.op === 'freeze') return true;
    const waits = [...this.#streams.values()].filter(({ taken, count }) => taken < count);
    return operation.op === 'close' ? waits.length === 0 : !waits.some(({ chunk }) => chunk === operation.from);
  }

  #stale(trace: string): boolean {
    const now = this.#spool.describe(trace);
    return now !== null && now !== this.#described.get(trace);
  }

  #staleMetadata(): Wanted | null {
    const trace = this.#spool.traces().find((one) => this.#stale(one) && this.#open(chunkOf(one)));
    return trace === undefined ? null : { kind: 'metadata', trace };
  }

  /** All of it is elsewhere. */
  #forget(operation: Operation): void {
    if (operation.op !== 'archive') return;
    const chunk = operation.from;
    this.#forgetStreams(chunk);
    for (const trace of [...this.#described.keys()]) if (chunkOf(trace) === chunk) this.#described.delete(trace);
    this.#spool.remove(chunk === '' ? TRACES : chunk);
  }

  #forgetStreams(chunk: string): void {
    for (const stream of [...this.#streams.values()]) if (stream.chunk === chunk) this.#streams.delete(stream.path);
  }
}
