/** Ring sets of the world: what the shared memory is for writers and readers, without a byte of layout. */
import {
  type Geometry,
  type Native,
  NativeError,
  type ReaderNews,
  type ReaderOptions,
  type ReclaimCounts,
  type ReclaimOptions,
  type RotateOptions,
  type SnapshotOptions,
  type SnapshotTotals,
  STATS_FIELDS,
} from '../../../native/addon/index.ts';
import type { Kernel } from './kernel.ts';

export interface WorldEvent {
  readonly eventId: number;
  readonly name: string;
  readonly number: number;
}

/** The shared memory: it lives as long as anybody holds it. */
export class RingMemory {
  readonly ringId: string;
  readonly geometry: Geometry;
  readonly events: WorldEvent[] = [];
  /** Reader page: how much of `events` is in the files. */
  consumed = 0;
  /** Reader page: the chunk that is written to; null until something was. */
  chunk: number | null = null;
  lost = 0n;
  locks: number[] = [];
  /** CPUs whose ring was given memory later. */
  readonly allocated: number[] = [];

  constructor(ringId: string, geometry: Geometry) {
    this.ringId = ringId;
    this.geometry = geometry;
  }
}

export interface ReaderSide {
  readonly memory: RingMemory;
  readonly news: (news: ReaderNews) => void;
}

/** The files of all traces: path -> what lies in it, in order; and the metadata of each directory. */
export class TraceFiles {
  readonly streams = new Map<string, WorldEvent[]>();
  readonly metadata = new Map<string, string>();
  /** Of freezes, by path. */
  readonly notes = new Map<string, string>();
  noteWrites = 0;
  readonly directories = new Set<string>();
  /** By output: what a link gave back, and what it noted. */
  readonly spools = new Map<string, { readonly given: Map<string, number>; readonly noted: { text: string } }>();
  /** Events that were written before the metadata knew them. */
  readonly unreadable: WorldEvent[] = [];
  /** What every write says. */
  broken: 'ENOSPC' | 'EIO' | null = null;

  append(directory: string, file: string, streamClassId: number, events: readonly WorldEvent[]): void {
    const path = `${directory}/${file}`;
    const metadata = this.metadata.get(directory) ?? '';
    for (const event of events) {
      const known = metadata.includes(`name = "${event.name}";\n\tid = ${event.eventId};\n\tstream_id = ${streamClassId};`);
      if (!known) this.unreadable.push(event);
    }
    this.streams.set(path, [...(this.streams.get(path) ?? []), ...events]);
  }

  empty(directory: string, file: string): void {
    this.streams.delete(`${directory}/${file}`);
  }

  /** An empty `from`: what lies in the output itself. */
  archive(output: string, from: string, to: string): void {
    const source = from === '' ? `${output}/ust/` : `${output}/${from}/`;
    const target = from === '' ? `${output}/${to}/ust/` : `${output}/${to}/`;
    this.directories.add(`${output}/${to}`);
    const moved = (path: string): string => (path.startsWith(source) ? target + path.slice(source.length) : path);
    for (const files of [this.streams, this.metadata] as Map<string, unknown>[]) {
      const entries = [...files].map(([path, value]) => [moved(path), value] as const);
      files.clear();
      for (const [path, value] of entries) files.set(path, value);
    }
  }

  removeTraces(directory: string, kept: readonly string[]): void {
    for (const path of this.streams.keys()) {
      const trace = path.slice(0, path.lastIndexOf('/'));
      if (path.startsWith(`${directory}/ust/`) && !kept.includes(trace)) this.streams.delete(path);
    }
  }

  /** Numbers of all events below a directory, in order of files. */
  numbers(output: string): number[] {
    return [...this.streams]
      .filter(([path]) => path.startsWith(`${output}/`))
      .flatMap(([, events]) => events.map((one) => one.number));
  }
}

const totalsOf = (memory: RingMemory): ReturnType<Native['ringTotals']> => {
  const zero = Object.fromEntries(STATS_FIELDS.map((name) => [name, 0n])) as ReturnType<Native['ringTotals']>;
  return {
    ...zero,
    events: BigInt(memory.events.length),
    packets: BigInt(memory.consumed),
    lostFull: memory.lost,
    consumed: BigInt(memory.consumed * 16),
  };
};

/** The ring functions of the native module, for the session daemon. */
export const worldRings = (kernel: Kernel, made: (memory: RingMemory) => void = () => {}) => {
  const fdsOf = (memory: RingMemory, ringFd: number, readerFd: number) => ({
    ringFd,
    readerFd,
    readerFdReadOnly: kernel.fd(memory),
    allocatedBytes: memory.geometry.subbufSize * memory.geometry.subbufCount,
  });
  return {
    createRingSet: ({ ringId, geometry }: Parameters<Native['createRingSet']>[0]) => {
      const memory = new RingMemory(ringId, geometry);
      made(memory);
      return fdsOf(memory, kernel.fd(memory), kernel.fd(memory));
    },
    adoptRingSet: ({ ringFd, readerFd, ringId }: Parameters<Native['adoptRingSet']>[0]) => {
      const memory = kernel.at<RingMemory>(ringFd);
      if (memory.ringId !== ringId) throw Object.assign(new Error('another ring set'), { code: 'EINVAL' });
      return fdsOf(memory, ringFd, readerFd);
    },
    allocateRing: ({ ringFd, geometry, cpu }: Parameters<Native['allocateRing']>[0]) => {
      kernel.at<RingMemory>(ringFd).allocated.push(cpu);
      return geometry.subbufSize * geometry.subbufCount;
    },
    releaseLocks: ({ ringFd, applicationId }: Parameters<Native['releaseLocks']>[0]) => {
      const memory = kernel.at<RingMemory>(ringFd);
      const before = memory.locks.length;
      memory.locks = memory.locks.filter((holder) => holder !== applicationId);
      return before - memory.locks.length;
    },
    ringUsage: ({ ringFd, geometry }: Parameters<Native['ringUsage']>[0]) => {
      const { events, consumed } = kernel.at<RingMemory>(ringFd);
      const bytes = geometry.subbufSize * geometry.subbufCount;
      return {
        waiting: BigInt((events.length - consumed) * 16),
        memory: Array.from({ length: geometry.cpuCount }, () => bytes),
      };
    },
    ringTotals: ({ ringFd }: Parameters<Native['ringTotals']>[0]) => totalsOf(kernel.at<RingMemory>(ringFd)),
  };
};

const EVENT_BYTES = 16;

/** A reader that takes what is committed when it is flushed, or when the world lets it wake up. */
export class WorldReader {
  readonly memory: RingMemory;
  readonly options: ReaderOptions;
  readonly #news: (news: ReaderNews) => void;
  readonly #files: TraceFiles;
  readonly #kernel: Kernel;
  readonly stats = { values: new BigUint64Array(STATS_FIELDS.length) };
  plan: 'append' | 'hold' | 'count' = 'append';
  readonly reclaims: ReclaimOptions[] = [];
  closed = false;
  /** How often its rings were frozen, and for how long they are now. */
  frozen = 0;
  frozenMs = 0;
  /** Its thread is in an endless loop. */
  stuck = false;
  #failing = false;
  #directory: string;
  /** The page names the chunk before: nothing is taken until the rotation is asked for again. */
  #held: boolean;
  #waiting: { resolve: () => void; reject: (error: NativeError) => void }[] = [];

  constructor(kernel: Kernel, files: TraceFiles, options: ReaderOptions, news: (news: ReaderNews) => void) {
    this.#kernel = kernel;
    this.#files = files;
    this.options = options;
    this.#news = news;
    this.memory = kernel.at<RingMemory>(options.ringFd);
    const { previous } = options;
    this.#held = previous !== undefined && this.memory.chunk !== options.chunk;
    this.#directory = this.#held ? previous!.directory : options.directory;
    this.memory.chunk = this.#held ? (this.memory.chunk ?? previous!.chunk) : options.chunk;
    this.plan = options.plan ?? 'append';
  }

  setPlan(plan: 'append' | 'hold' | 'count'): void {
    this.plan = plan;
  }

  freeze(ms: number): void {
    this.frozenMs = ms;
    if (ms > 0) this.frozen++;
  }

  flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.stuck) return;
      this.#waiting.push({ resolve, reject });
      this.wake();
    });
  }

  /** All that is committed lies before the cut: events of the world have no times. */
  async rotate({ chunk, directory }: RotateOptions): Promise<void> {
    if (this.memory.chunk !== null && chunk <= this.memory.chunk) return; // also what a late message asks for
    if (this.plan === 'hold') throw Object.assign(new Error('the reader holds its rings'), { code: 'EBUSY' });
    this.#held = false;
    await this.flush();
    if (this.#failing) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    this.memory.chunk = chunk;
    this.#directory = directory;
  }

  async clear(): Promise<void> {
    this.memory.consumed = this.memory.events.length;
    this.#files.empty(this.#directory, `${this.options.filePrefix}_0`);
  }

  /** As many sub-buffers as it has events. */
  async reclaim(options: ReclaimOptions): Promise<ReclaimCounts> {
    this.reclaims.push(options);
    const pending = this.memory.events.length - this.memory.consumed;
    return { reclaimed: this.memory.consumed, pending: options.wait ? 0 : pending };
  }

  /** Nothing is consumed. */
  async snapshot({ directory, maxStreamBytes = 0 }: SnapshotOptions): Promise<SnapshotTotals> {
    const { filePrefix, streamClassId } = this.options;
    const kept = Number(maxStreamBytes) === 0 ? 0 : -Math.floor(Number(maxStreamBytes) / EVENT_BYTES);
    const events = this.memory.events.slice(kept);
    await Promise.resolve(); // its thread writes while JavaScript goes on
    this.#files.append(directory, `${filePrefix}_0`, streamClassId, events);
    const bytes = BigInt(events.length * EVENT_BYTES);
    return { packets: 1n, bytes, events: BigInt(events.length), begin: 0n, end: 0n, refused: 0n };
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.#kernel.close(this.options.ringFd);
    this.#kernel.close(this.options.readerFd);
  }

  tell(news: ReaderNews): void {
    this.#news(news);
  }

  wake(): void {
    if (this.closed || this.stuck || this.#held) return;
    const events = this.memory.events.slice(this.memory.consumed);
    const taken = events.length === 0 || this.plan === 'hold' || this.#take(events);
    const { broken } = this.#files;
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (taken) resolve();
      else reject(new NativeError(broken ?? 'EIO', `the disk says ${broken}`));
    }
  }

  #take(events: readonly WorldEvent[]): boolean {
    if (this.plan === 'append' && this.#files.broken) {
      const { broken: code } = this.#files;
      if (!this.#failing) this.#news({ kind: 'write-failed', cpu: 0, code, message: `the disk says ${code}` });
      this.#failing = true;
      return false;
    }
    if (this.#failing) this.#news({ kind: 'write-resumed', cpu: 0 });
    this.#failing = false;
    const { filePrefix, streamClassId } = this.options;
    this.stats.values[STATS_FIELDS.indexOf('packets')] = BigInt(events.at(-1)!.number + 1);
    if (this.plan === 'append') this.#files.append(this.#directory, `${filePrefix}_0`, streamClassId, events);
    this.memory.consumed += events.length;
    this.#report(events);
    return true;
  }

  #report(events: readonly WorldEvent[]): void {
    this.stats.values[STATS_FIELDS.indexOf('events')]! += BigInt(events.length);
    const stream = { cpu: 0, first: 0n, packets: 1, bytes: events.length * EVENT_BYTES, events: BigInt(events.length) };
    this.#news({ kind: 'streams', streams: [{ ...stream, begin: 0n, end: 0n, lost: this.memory.lost }] });
  }
}
