/**
 * What a link has to send, from its spool: which stream has its turn, which metadata the other end has not seen, which operations wait,
 * and for what. Each question costs what is new, not what there is: sessions have thousands of streams. Knows no bus and no time.
 */
import type { LinkLog } from './link-log.ts';
import type { Durable, Operation, Packet } from './link-peer.ts';
import { firstHeld, LinkStream, type Settled } from './link-stream.ts';
import type { Spool } from './ports.ts';

const TRACES = 'ust';

export const traceOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

/** The directory of the chunk that a stream or trace lies in; empty: the output itself. */
export const chunkOf = (path: string): string => {
  const parts = path.split('/');
  return parts.slice(0, Math.max(parts.indexOf(TRACES), 0)).join('/');
};

/** Chunks are numbered; the output itself is the first one. */
const numberOf = (chunk: string): number => Number(/-(\d+)$/.exec(chunk)?.[1] ?? 0);

interface Chunk {
  readonly name: string;
  readonly number: number;
  readonly streams: Set<LinkStream>;
  /** Those that have packets to be sent, the next one first. */
  readonly ready: Set<LinkStream>;
}

export type Wanted =
  | { readonly kind: 'metadata'; readonly trace: string }
  | ({ readonly kind: 'packet' } & Packet)
  | { readonly kind: 'op'; readonly number: number; readonly operation: Operation };

/** What somebody knows to be new. */
export interface News {
  readonly streams: readonly string[];
  readonly traces: readonly string[];
}

/** What follows from the operations that were not sent; holds as long as these numbers. */
interface Ahead {
  readonly last: number;
  readonly sent: number;
  readonly chunks: number;
  readonly cleared: ReadonlySet<string>;
  /** Number of the chunk whose end was not sent. */
  readonly oldest: number;
}

export class LinkQueue {
  readonly #spool: Spool;
  readonly #log: LinkLog;
  readonly #settled: Settled;
  readonly #oneChunk: boolean;
  readonly #streams = new Map<string, LinkStream>();
  readonly #chunks = new Map<string, Chunk>();
  readonly #ready = new Set<Chunk>();
  #chunkChanges = 0;
  #ahead: Ahead | null = null;
  /** By trace: of the metadata that was sent last. */
  readonly #described = new Map<string, string>();
  /** Traces whose metadata may have to be sent. */
  readonly #undescribed = new Set<string>();
  readonly #blocked = new Set<string>();
  #durable: ReadonlyMap<string, number> = new Map();
  #sentOps = 0;
  #turn = 0;
  #bytes = 0;
  #outstanding = 0;
  /** Named by an index, or behind the end of their chunk, and not to be sent any more. */
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
    for (const trace of this.#described.keys()) this.#undescribed.add(trace);
    this.#described.clear();
    for (const stream of this.#streams.values()) this.#change(stream, () => stream.begin());
    this.confirmOps(ops);
    this.#sentOps = this.#log.acked;
    for (const one of durable) this.confirm(one);
  }

  /** What was written since, whoever wrote it; or, where somebody knows. */
  refresh(news: News | null = null): void {
    for (const path of news?.streams ?? this.#spool.streams()) this.#see(path, news !== null);
    for (const trace of news?.traces ?? this.#spool.traces()) this.#undescribed.add(trace);
  }

  /** Null: nothing can be sent now. What the index names and the file does not hold is passed over. */
  next(): Wanted | null {
    for (;;) {
      const op = this.#nextOp();
      if (op) return op;
      const stream = this.#choose();
      if (!stream) return this.#staleMetadata();
      const { path } = stream;
      const trace = traceOf(path);
      if (this.#stale(trace)) return { kind: 'metadata', trace };
      const entry = this.#change(stream, () => stream.take());
      if (entry && this.#spool.holds(path, entry)) return { kind: 'packet', path, entry };
      if (entry) this.drop({ path, entry });
    }
  }

  /** The bytes are not there any more: somebody else took them. */
  drop({ path, entry }: Packet): void {
    const stream = this.#streams.get(path);
    if (stream) this.#change(stream, () => stream.drop(entry));
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
    return stream ? this.#change(stream, () => stream.confirm(number)) : 0;
  }

  /** Bytes of packets that are durable with them, under whatever name. */
  confirmOps(ops: number): number {
    return this.#log.confirm(ops).reduce((sum, { operation }) => sum + this.#forget(operation), 0);
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
    return this.#bytes;
  }

  /** Something was sent and is not durable at the other end. */
  get outstanding(): boolean {
    return this.#outstanding > 0 || this.#log.acked < this.#sentOps;
  }

  get empty(): boolean {
    const isIdle = this.#ready.size === 0 && this.#outstanding === 0 && this.#blocked.size === 0;
    return isIdle && this.#log.acked === this.#log.last && !this.#staleMetadata();
  }

  /** No packet lies in the spool, whatever this process knows of it. */
  get holdsNothing(): boolean {
    return this.#spool.streams().every((path) => {
      const count = this.#spool.count(path);
      return firstHeld(this.#spool, path, count) === count;
    });
  }

  get paths(): readonly string[] {
    return [...this.#streams.keys()];
  }

  /** All that waits is on its way, and the files hold nothing else: a viewer may be told so. */
  get idlePaths(): readonly string[] {
    return [...this.#streams.values()].filter(({ waiting }) => waiting === 0).map(({ path }) => path);
  }

  /** Nothing waits, of no stream that there is or will be. */
  get idle(): boolean {
    return [...this.#streams.values()].every(({ waiting }) => waiting === 0);
  }

  #see(path: string, mayBeAbsent: boolean): void {
    if (this.#blocked.has(chunkOf(path))) return;
    const known = this.#streams.get(path);
    if (!known && mayBeAbsent && this.#spool.count(path) === 0) return;
    const stream = known ?? this.#add(path);
    this.#change(stream, () => stream.grow(this.#settled(path)));
    const durable = known ? undefined : this.#durable.get(path);
    if (durable !== undefined) this.confirm({ path, number: durable });
  }

  #add(path: string): LinkStream {
    const name = chunkOf(path);
    const stream = new LinkStream(this.#spool, path, name);
    const chunk = this.#chunks.get(name) ?? { name, number: numberOf(name), streams: new Set(), ready: new Set() };
    if (chunk.streams.size === 0) {
      this.#chunks.set(name, chunk);
      this.#chunkChanges++;
    }
    chunk.streams.add(stream);
    this.#streams.set(path, stream);
    this.#undescribed.add(traceOf(path));
    return stream;
  }

  /** The sums follow what becomes of one stream. */
  #change<T>(stream: LinkStream, work: () => T): T {
    const { bytes, outstanding, lost } = stream;
    const result = work();
    this.lostPackets += stream.lost - lost;
    this.#bytes += stream.bytes - bytes;
    this.#outstanding += stream.outstanding - outstanding;
    const chunk = this.#chunks.get(stream.chunk)!;
    if (stream.waiting === 0) chunk.ready.delete(stream);
    else chunk.ready.add(stream);
    if (chunk.ready.size === 0) this.#ready.delete(chunk);
    else this.#ready.add(chunk);
    return result;
  }

  /** The newest chunk in turn with the oldest, and each stream of it in turn: who is late starves nobody. */
  #choose(): LinkStream | null {
    let [newest, oldest]: [Chunk | null, Chunk | null] = [null, null];
    for (const chunk of this.#ready) {
      if (!this.#open(chunk.name, chunk.number)) continue;
      if (!newest || chunk.number > newest.number) newest = chunk;
      if (!oldest || chunk.number < oldest.number) oldest = chunk;
    }
    const chunk = this.#turn++ % 2 === 0 ? newest : oldest;
    if (!chunk) return null;
    const [stream] = chunk.ready;
    chunk.ready.delete(stream!);
    chunk.ready.add(stream!);
    return stream!;
  }

  /** Packets behind a clearing that was not sent wait for it. */
  #open(chunk: string, number: number): boolean {
    const { cleared, oldest } = this.#lookAhead();
    return !this.#blocked.has(chunk) && !(this.#oneChunk && number > oldest) && !cleared.has(chunk);
  }

  #lookAhead(): Ahead {
    const [last, sent, chunks, before] = [this.#log.last, this.#sentOps, this.#chunkChanges, this.#ahead];
    if (before && before.last === last && before.sent === sent && before.chunks === chunks) return before;
    const unsent = this.#log.after(sent).map(({ operation }) => operation);
    const ended = new Set(this.#log.upTo(sent).map(({ operation }) => (operation.op === 'archive' ? operation.from : null)));
    const ending = unsent.flatMap((one) => (one.op === 'archive' ? [one.from] : []));
    const open = [...this.#chunks.keys(), ...ending].filter((chunk) => !ended.has(chunk));
    const cleared = new Set(unsent.flatMap((one) => (one.op === 'clear' ? [one.directory] : [])));
    this.#ahead = { last, sent, chunks, cleared, oldest: Math.min(...open.map(numberOf)) };
    return this.#ahead;
  }

  #nextOp(): Wanted | null {
    const next = this.#log.at(this.#sentOps + 1);
    if (!next || !this.#mayBeSent(next.operation)) return null;
    return { kind: 'op', ...next };
  }

  #mayBeSent(operation: Operation): boolean {
    if (operation.op === 'close') return this.#ready.size === 0 && this.#blocked.size === 0;
    if (operation.op !== 'archive') return true;
    return !this.#blocked.has(operation.from) && !this.#chunks.get(operation.from)?.ready.size;
  }

  #stale(trace: string): boolean {
    const now = this.#spool.describe(trace);
    return now !== null && now !== this.#described.get(trace);
  }

  #staleMetadata(): Wanted | null {
    for (const trace of this.#undescribed) {
      const chunk = chunkOf(trace);
      if (!this.#stale(trace)) this.#undescribed.delete(trace);
      else if (this.#open(chunk, numberOf(chunk))) return { kind: 'metadata', trace };
    }
    return null;
  }

  /** All of it is elsewhere. Bytes that were on the way. */
  #forget(operation: Operation): number {
    if (operation.op !== 'archive') return 0;
    const chunk = operation.from;
    // What came behind its end goes with it.
    for (const { waiting } of this.#chunks.get(chunk)?.streams ?? []) this.lostPackets += waiting;
    const bytes = this.#forgetStreams(chunk);
    for (const trace of [...this.#described.keys()]) if (chunkOf(trace) === chunk) this.#described.delete(trace);
    for (const trace of [...this.#undescribed]) if (chunkOf(trace) === chunk) this.#undescribed.delete(trace);
    this.#spool.remove(chunk === '' ? TRACES : chunk);
    return bytes;
  }

  #forgetStreams(name: string): number {
    const chunk = this.#chunks.get(name);
    if (!chunk) return 0;
    let sent = 0;
    for (const stream of chunk.streams) {
      sent += stream.sentBytes;
      this.#bytes -= stream.bytes;
      this.#outstanding -= stream.outstanding;
      this.#streams.delete(stream.path);
    }
    this.#chunks.delete(name);
    this.#ready.delete(chunk);
    this.#chunkChanges++;
    return sent;
  }
}
