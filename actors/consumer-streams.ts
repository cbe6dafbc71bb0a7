/** What the consumer process holds beside its machines: directories by session and registry, ring memory, readers. */
import type { NativeError, Reader, ReaderNews, ReclaimCounts, ReclaimOptions } from '../native/addon/index.ts';
import { STATS_FIELDS } from '../native/addon/index.ts';
import type { AttachRequest } from './consumer-messages.ts';
import { type Deferred, deferred } from './deferred.ts';
import { refuse } from './refused.ts';

export type RingMemory = readonly [ringFd: number, readerFd: number];

export type StreamTotals = Readonly<Record<(typeof STATS_FIELDS)[number], bigint>>;

/** What the operator can mend without another directory. */
const NO_ROOM: readonly string[] = ['ENOSPC', 'EDQUOT'];

/** How the files of a stream are split; `whole`: its ring is for all CPUs, the prefix is its name. */
export interface TracefileLimits {
  readonly prefix: string;
  readonly size: number;
  readonly count: number;
  readonly whole?: boolean;
}

/** One ring set, from the request to attach it until it was drained. */
export class StreamEntry {
  attach: AttachRequest;
  directory: string;
  /** Where its reader may be writing: after a rotation also where it was. */
  places: readonly string[];
  readonly opened: Deferred<void> = deferred();
  readonly drained: Deferred<void> = deferred();
  /** Resolves when the memory came over the socket pair. */
  readonly arrived: Deferred<void> = deferred();
  memory: RingMemory | null = null;
  reader: Reader | null = null;
  plan: string;
  /** CPUs whose ring is closed for good. */
  readonly corrupt = new Set<number>();
  readonly #failing = new Map<number, string>();
  #lost = 0n;

  constructor(attach: AttachRequest) {
    this.attach = attach;
    this.directory = attach.directory;
    this.places = [attach.directory];
    this.plan = attach.plan;
  }

  /** It was asked for anew before it could be opened: the place may be another by now. */
  replace(attach: AttachRequest): void {
    this.attach = attach;
    this.directory = attach.directory;
    this.places = [attach.directory];
  }

  /** Files of its rings of these CPUs. */
  filesOf(cpus: readonly number[]): readonly string[] {
    const { filePrefix, geometry } = this.attach;
    const names = geometry.allocation === 'per-channel' ? [filePrefix] : cpus.map((cpu) => `${filePrefix}_${cpu}`);
    return this.places.flatMap((place) => names.map((name) => `${place}/${name}`));
  }

  bring(memory: RingMemory): void {
    this.memory = memory;
    this.arrived.resolve();
  }

  /** Everything committed is in the files, or the files take nothing. */
  flush(): Promise<void> {
    return this.#write((reader) => reader.flush());
  }

  async rotate(options: Parameters<Reader['rotate']>[0]): Promise<void> {
    this.places = [this.directory, options.directory];
    await this.#write((reader) => reader.rotate(options));
    this.directory = options.directory;
  }

  clear(): Promise<void> {
    return this.#write((reader) => reader.clear());
  }

  async reclaim(options: ReclaimOptions): Promise<ReclaimCounts> {
    return (await this.reader?.reclaim(options)) ?? { reclaimed: 0, pending: 0 };
  }

  note(news: ReaderNews): void {
    if (news.kind === 'corrupt') this.corrupt.add(news.cpu);
    if (news.kind === 'write-failed') this.#failing.set(news.cpu, news.message);
    if (news.kind === 'write-resumed') this.#failing.delete(news.cpu);
  }

  /** How many events were lost since the last question. */
  takeLost(news: ReaderNews & { kind: 'streams' }): bigint {
    const lost = news.streams.reduce((total, stream) => total + stream.lost, 0n);
    const more = lost > this.#lost ? lost - this.#lost : 0n;
    this.#lost += more;
    return more;
  }

  /** What a file said that takes nothing now; null: all take what comes. */
  alarm(): string | null {
    return [...this.#failing.values()][0] ?? null;
  }

  totals(): StreamTotals {
    const values = this.reader?.stats.values ?? new BigUint64Array(0);
    const sums = Object.fromEntries(STATS_FIELDS.map((name) => [name, 0n])) as Record<(typeof STATS_FIELDS)[number], bigint>;
    for (const [at, value] of values.entries()) sums[STATS_FIELDS[at % STATS_FIELDS.length]!] += value;
    return sums;
  }

  async #write(work: (reader: Reader) => Promise<void>): Promise<void> {
    if (!this.reader) return;
    try {
      await work(this.reader);
    } catch (thrown) {
      throw this.#refusal(thrown);
    }
  }

  #refusal(thrown: unknown): unknown {
    const { code, message } = thrown as NativeError;
    if (code === 'ECANCELED' || code === 'EBUSY') return thrown; // no file said that
    return refuse(NO_ROOM.includes(code) ? 'output-full' : 'output-not-writable', { path: this.directory, cause: message });
  }
}

export class ConsumerStreams {
  readonly #entries = new Map<string, StreamEntry>();
  readonly #memory = new Map<string, RingMemory>();
  /** By session: a request to attach that is older than this was overtaken. */
  readonly #detached = new Map<string, number>();
  /** Texts that come in parts, by directory. */
  readonly #metadata = new Map<string, string>();
  /** Event classes by session and directory; kept as long as the process, for a late message may come at any time. */
  readonly #described = new Map<string, number>();

  /** The text so far. */
  growMetadata(directory: string, part: string, first: boolean): string {
    const text = first ? part : (this.#metadata.get(directory) ?? '') + part;
    this.#metadata.set(directory, text);
    return text;
  }

  /** False: what is there describes more. Only a message that was long on its way says less. */
  describes(session: string, directory: string, classes: number): boolean {
    const key = `${session} ${directory}`;
    if (classes < (this.#described.get(key) ?? 0)) return false;
    this.#described.set(key, classes);
    return true;
  }

  endMetadata(directory: string): void {
    this.#metadata.delete(directory);
  }

  /** Of all that were asked. */
  newest = 0;

  noteOrder(order: unknown): void {
    if (typeof order === 'number' && Number.isSafeInteger(order)) this.newest = Math.max(this.newest, order);
  }

  readonly #gone = new Set<string>();

  /** Of this ring no reader will write any more. */
  noteGone(ringId: string): void {
    this.#gone.add(ringId);
  }

  /** It was detached, with its session or alone; it need not ever have been attached. */
  isGone(session: string, ringId: string): boolean {
    return this.#gone.has(ringId) || this.#detached.has(session);
  }

  noteDetached(session: string, order: number): void {
    this.#detached.set(session, Math.max(order, this.#detached.get(session) ?? 0));
  }

  isOvertaken({ session, order }: { readonly session: string; readonly order: number }): boolean {
    return order < (this.#detached.get(session) ?? 0);
  }

  /** Another one with each ring set that comes or goes. */
  version = 0;

  find(ringId: string): StreamEntry | undefined {
    return this.#entries.get(ringId);
  }

  add(entry: StreamEntry): void {
    this.#entries.set(entry.attach.ringId, entry);
    this.version++;
  }

  remove(ringId: string): void {
    this.#entries.delete(ringId);
    this.version++;
  }

  all(): readonly StreamEntry[] {
    return [...this.#entries.values()];
  }

  of(session: string, ringId?: string): readonly StreamEntry[] {
    return this.all().filter(({ attach }) => attach.session === session && (ringId === undefined || attach.ringId === ringId));
  }

  /** What the channels of a session limit their trace files to. */
  tracefiles(session: string): readonly TracefileLimits[] {
    return this.of(session).map(({ attach }) => ({
      prefix: attach.filePrefix,
      size: attach.tracefileSize,
      count: attach.tracefileCount,
      whole: attach.geometry.allocation === 'per-channel',
    }));
  }

  /** The memory of a ring that is not attached yet; what lay here under that id is given back to be closed. */
  keepMemory(ringId: string, memory: RingMemory): RingMemory | null {
    const old = this.#memory.get(ringId) ?? null;
    this.#memory.set(ringId, memory);
    return old;
  }

  takeMemory(ringId: string): RingMemory | null {
    const memory = this.#memory.get(ringId) ?? null;
    this.#memory.delete(ringId);
    return memory;
  }
}
