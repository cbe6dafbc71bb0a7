/** What the consumer process holds beside its machines: directories by session and registry, ring memory, readers. */
import type { NativeError, Reader, ReaderNews } from '../native/addon/index.ts';
import { STATS_FIELDS } from '../native/addon/index.ts';
import type { AttachRequest } from './consumer-messages.ts';
import { type Deferred, deferred } from './deferred.ts';
import { refuse } from './refused.ts';

export type RingMemory = readonly [ringFd: number, readerFd: number];

export type StreamTotals = Readonly<Record<(typeof STATS_FIELDS)[number], bigint>>;

/** What the operator can mend without another directory. */
const NO_ROOM: readonly string[] = ['ENOSPC', 'EDQUOT'];

/** One ring set, from the request to attach it until it was drained. */
export class StreamEntry {
  readonly attach: AttachRequest;
  readonly directory: string;
  readonly opened: Deferred<void> = deferred();
  readonly drained: Deferred<void> = deferred();
  /** Resolves when the memory came over the socket pair. */
  readonly arrived: Deferred<void> = deferred();
  memory: RingMemory | null = null;
  reader: Reader | null = null;
  plan = 'append';
  readonly #failing = new Map<number, string>();
  #lost = 0n;

  constructor(attach: AttachRequest, directory: string) {
    this.attach = attach;
    this.directory = directory;
  }

  bring(memory: RingMemory): void {
    this.memory = memory;
    this.arrived.resolve();
  }

  /** Everything committed is in the files, or the files take nothing. */
  async flush(): Promise<void> {
    try {
      await this.reader?.flush();
    } catch (thrown) {
      throw this.#refusal(thrown);
    }
  }

  note(news: ReaderNews): void {
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

  #refusal(thrown: unknown): unknown {
    const { code, message } = thrown as NativeError;
    if (code === 'ECANCELED' || code === 'EBUSY') return thrown; // no file said that
    return refuse(NO_ROOM.includes(code) ? 'output-full' : 'output-not-writable', { path: this.directory, cause: message });
  }
}

interface Place {
  readonly output: string;
  readonly directory: string;
  metadata: string;
}

export class ConsumerStreams {
  readonly #entries = new Map<string, StreamEntry>();
  readonly #memory = new Map<string, RingMemory>();
  readonly #places = new Map<string, Place>(); // session/key

  open(session: string, key: string, output: string, directory: string): void {
    this.#places.set(`${session}/${key}`, { output, directory, metadata: '' });
  }

  place(session: string, key: string): Place {
    const place = this.#places.get(`${session}/${key}`);
    if (!place) throw refuse('internal', { cause: `registry ${key} of session ${session} was not opened` });
    return place;
  }

  find(ringId: string): StreamEntry | undefined {
    return this.#entries.get(ringId);
  }

  add(entry: StreamEntry): void {
    this.#entries.set(entry.attach.ringId, entry);
  }

  remove(ringId: string): void {
    this.#entries.delete(ringId);
  }

  all(): readonly StreamEntry[] {
    return [...this.#entries.values()];
  }

  of(session: string, ringId?: string): readonly StreamEntry[] {
    return this.all().filter(({ attach }) => attach.session === session && (ringId === undefined || attach.ringId === ringId));
  }

  forget(session: string): void {
    for (const place of this.#places.keys()) if (place.startsWith(`${session}/`)) this.#places.delete(place);
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
