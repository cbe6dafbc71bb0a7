/**
 * The native module as TypeScript sees it: ring memory, reader threads, unix sockets with credentials and fd passing, the clock
 * page. Thin: the wrapper normalises options, the C++ side re-checks only what memory safety needs. No trace byte crosses.
 * Throws `NativeError` with `code` (an errno name such as `ENOSPC`, or `EINVAL`) and a message that names the cause.
 */
import { bindNative } from './binding.ts';

export { NativeError } from './errors.ts';

/** Mirror of struct weft_geometry. */
export interface Geometry {
  readonly cpuCount: number;
  readonly subbufSize: number;
  readonly subbufCount: number;
  readonly mode: 'discard' | 'overwrite';
  readonly sync: 'rseq' | 'lock';
  /** One ring for all CPUs has cpuCount 1 and sync `lock`. */
  readonly allocation: 'per-cpu' | 'per-channel';
}

export interface RingSetFds {
  readonly ringFd: number; // read-write
  readonly readerFd: number; // read-write
  readonly readerFdReadOnly: number;
  /** Bytes allocated now (headers + the given CPUs' rings). */
  readonly allocatedBytes: number;
}

export interface Peer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * A SOCK_SEQPACKET connection. Every message arrives whole, with the fds that came with it (the receiver owns and closes them).
 * Messages that come before there is a listener wait for it, up to a bound; a peer that breaks the rules (longer than 128 KiB,
 * empty) is cut off. `onClose` tells once that the peer is gone; it does not follow one's own `close()`.
 */
export interface SeqpacketConnection {
  readonly peer: Peer;
  /** False: the peer does not read (its buffer is full) or is gone; nothing was sent. fds stay the caller's. */
  send(message: Uint8Array, fds?: readonly number[]): boolean;
  onMessage(listener: (message: Buffer, fds: number[]) => void): void;
  onClose(listener: () => void): void;
  close(): void;
}

export interface SeqpacketServer {
  close(): void;
}

/**
 * What one reader thread does with committed bytes: the plan that the stream actor's state chooses. `append` writes packets, `hold`
 * consumes nothing, `count` consumes without writing: the events count as overwritten, and the next packet written says so.
 */
export type ReaderPlan = 'append' | 'hold' | 'count';

/** One ring's news, since the last such event of that ring. 64-bit values are bigint. */
export interface StreamNews {
  readonly cpu: number;
  readonly first: bigint; // packet_seq_num of the first new packet
  readonly packets: number;
  readonly bytes: number;
  readonly events: bigint;
  readonly begin: bigint; // ns
  readonly end: bigint;
  readonly lost: bigint; // cumulative, all causes
}

export type ReaderNews =
  | { readonly kind: 'streams'; readonly streams: readonly StreamNews[] }
  /** The ring is closed for good: what it held is no ring (cause names the check that failed). Other rings go on. */
  | { readonly kind: 'corrupt'; readonly cpu: number; readonly cause: string }
  /** Writing failed (ENOSPC, EIO ...); nothing was consumed. The thread tries again at its timer. */
  | { readonly kind: 'write-failed'; readonly cpu: number; readonly code: string; readonly message: string }
  | { readonly kind: 'write-resumed'; readonly cpu: number }
  /** The ring's cut lies behind `at`: the rotation was asked for too late, or could not step over the records. */
  | { readonly kind: 'cut-late'; readonly cpu: number };

export interface ReaderOptions {
  readonly ringFd: number; // read-only: memory cannot be given back; both fds are the reader's once it has started
  readonly readerFd: number; // read-write
  readonly ringId: string; // 32 hex digits; checked against the header
  readonly geometry: Geometry;
  /** Trace directory: files CHANNEL_CPU and index/CHANNEL_CPU.idx are made in it. Empty: nothing can be written. */
  readonly directory: string;
  readonly filePrefix: string; // 'ch1' -> ch1_0 ; rings in lock mode use 'ch1_l'; one ring for all CPUs: the prefix alone
  readonly uuid: string; // 32 hex digits, of the trace
  readonly streamClassId: number;
  /** First stream_instance_id; ring of CPU n has base + n. */
  readonly streamInstanceBase: number;
  readonly readTimerUs: number; // bound of the reader's sleep; 0: 200000
  /** What it begins with; default: append. */
  readonly plan?: ReaderPlan;
  /**
   * Memory of consumed sub-buffers (discard mode; native/ring/reclaim.h): it goes at once, when their last event is older than `ageUs`,
   * or (default: off) stays.
   */
  readonly reclaim?: { readonly policy: 'off' | 'consumed' | 'older-than'; readonly ageUs: number };
  /** A partly filled sub-buffer is written as a packet at this interval; 0: only on flush. */
  readonly switchTimerUs: number;
  /** The first commit wakes the reader, and what comes in the next 2 ms is written with it; writers ring for that. Default: false. */
  readonly live?: boolean;
  /**
   * The trace chunk whose files are in `directory`; the reader pages remember it. Without chunks: 0. Rings that were in an older one
   * go on in this one, unless `previous` says that they are being switched.
   */
  readonly chunk: number;
  /**
   * With a rotation to `chunk` under way: the chunk before. Rings whose page still names it are held until rotate() is asked for
   * again with the same options; meanwhile flush() rejects with EBUSY.
   */
  readonly previous?: { readonly chunk: number; readonly directory: string };
  /** Bytes of a trace file, CHANNEL_CPU_0, _1, ...: a packet that would exceed them begins the next file. 0: one file, CHANNEL_CPU. */
  readonly tracefileSize: number;
  /** So many trace files, then the oldest is overwritten; 0: no bound. */
  readonly tracefileCount: number;
}

export interface RotateOptions {
  readonly chunk: number;
  readonly directory: string; // is there already
  readonly at: bigint; // ns, CLOCK_MONOTONIC; a moment that is to come, so that nothing behind it has been written yet
  /** How the channel's records lie: encodeLayout in ctf/record-layout.ts. */
  readonly layout: Uint8Array;
}

/** One BigUint64Array slot per field and CPU, written by the reader thread: read memory instead of calling. */
export interface ReaderStats {
  /** index = cpu * STATS_FIELDS.length + field */
  readonly values: BigUint64Array;
}
export const STATS_FIELDS = [
  'packets',
  'events',
  'bytes',
  'lostFull',
  'lostTooBig',
  'lostRestarts',
  'lostNested',
  'lostContended',
  'lostNoMemory',
  'lostFrozen',
  'overwritten',
  'position',
  'consumed',
] as const;

export interface SnapshotOptions {
  readonly directory: string; // exists; files and index/ are made in it as in a trace directory
  readonly filePrefix?: string; // default: the reader's own
  /** The newest packets that fit; 0 or absent: all. EMSGSIZE when not even the newest one does. */
  readonly maxStreamBytes?: number | bigint;
}

export interface SnapshotTotals {
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly events: bigint;
  readonly begin: bigint; // ns; 0 without packets
  readonly end: bigint;
  /** Rings that are no rings (any more): of them only what passed the checks is in the files. */
  readonly refused: bigint;
}

export interface ExtractOptions {
  readonly ringFd: number; // both may be read-only, of anybody's files, and hold anything
  readonly readerFd: number;
  readonly ringId: string;
  readonly geometry: Geometry;
  readonly directory: string;
  readonly filePrefix: string;
  readonly uuid: string;
  readonly streamClassId: number;
  readonly streamInstanceBase: number;
  /** `unread`: what the set's reader had not written; numbers and losses go on from its files. `whole`: all that the ring still has. */
  readonly what: 'unread' | 'whole';
}

export interface ReclaimOptions {
  readonly ageUs: number;
  readonly wait: boolean;
}

/** Sub-buffers. */
export interface ReclaimCounts {
  readonly reclaimed: number;
  readonly pending: number;
}

export interface Reader {
  readonly stats: ReaderStats;
  setPlan(plan: ReaderPlan): void;
  /** Writers record nothing from now on, but count: for so long, and never more than 5 s; 0 lifts it. */
  freeze(ms: number): void;
  /**
   * Writes everything committed before the call, partial sub-buffers and trailing losses included; resolves when the files hold
   * it. Rejects with the errno name when they do not take it, with EBUSY under the plan `hold`, with ECANCELED when closed first.
   */
  flush(): Promise<void>;
  /**
   * Goes on in another chunk. When it resolves, the events up to `at` are in the files of the old directory, and later ones go to
   * `directory`, where each ring's files begin with an empty packet. (In lock mode, an event
   * whose thread loses its CPU for more than a millisecond between looking at the clock and committing may be in the new chunk although
   * its time is `at` or before.) Packet numbers and loss counts go on. The chunk is stored in
   * the reader page by the store that switches, so asking again (a successor, after the reader was killed) does nothing twice.
   * Rejects with the errno name when files cannot be written, with EBUSY under the plan `hold`; then the old chunk goes on whole.
   */
  rotate(options: RotateOptions): Promise<void>;
  /** Forgets what is recorded: rings are consumed up to now without counting as lost, and the files of the chunk are emptied. */
  clear(): Promise<void>;
  /**
   * Gives back the memory of sub-buffers that are consumed, of an overwriting ring under the plan `hold` of those that are complete: then
   * they will not be read any more. Only those whose last event is older than `ageUs` (0: all). `pending`: complete, not
   * taken yet; with `wait` they are taken first. Rejects with the errno name when the memory cannot be given back.
   */
  reclaim(options: ReclaimOptions): Promise<ReclaimCounts>;
  /**
   * Copies what the rings hold now into files of its own, whatever the plan; nothing is consumed and nobody waits. Each stream is
   * without a gap and ends where its writers stood at the call.
   */
  snapshot(options: SnapshotOptions): Promise<SnapshotTotals>;
  /** Ends the thread (without flushing) and closes its fds; resolves when it has ended. */
  close(): Promise<void>;
}

/** Mirror of struct weft_map_geometry (ring/map_layout.h). */
export interface MapGeometry {
  readonly cpuCount: number; // possible CPUs, as for rings
  readonly slots: number; // 1 .. 2^20
  readonly bits: 32 | 64;
}

/**
 * What a counter map holds, one entry at the same index of all four: by CPU, then by slot. Not a snapshot: applications count while
 * it is read. A counter of 32 bits comes sign-extended.
 */
export interface MapEntries {
  readonly cpus: Uint32Array;
  readonly slots: Uint32Array;
  readonly values: BigInt64Array;
  /** 1: the counter has wrapped since it was last cleared. */
  readonly overflows: Uint8Array;
}

export interface ViewResult {
  readonly events: bigint;
  /** Of each stream with losses: what its packets say; times in ns since 1970. */
  readonly losses: {
    readonly path: string;
    readonly events: bigint;
    readonly packets: bigint;
    readonly begin: bigint;
    readonly end: bigint;
  }[];
  /** Where a file could not be read on. */
  readonly faults: { readonly path: string; readonly offset: bigint; readonly message: string }[];
  /** Why printing ended early (EPIPE: nobody reads on). */
  readonly output: { readonly code: string; readonly message: string } | null;
}

export interface TailRecord {
  readonly ns: bigint; // since 1970
  readonly name: string;
  readonly text: string; // the line without its time
  readonly json: string; // as `weft view --json` prints it
}

/** The stream files of one trace, decoded as they grow. One question at a time. */
export interface Tail {
  /** The metadata has grown: another table (ctf/layout-table.ts); files go on where they were. */
  layOut(table: Uint8Array): void;
  /** What came since the last question, by time; files that were not named before are followed from now on, or from their start. */
  read(
    limit: number,
    fromNow: readonly string[],
    fromStart: readonly string[],
  ): Promise<{
    readonly records: readonly TailRecord[];
    readonly leftOut: number;
    readonly packetsLeftOut: number;
    readonly faults: readonly string[];
  }>;
}

export interface ClockPage {
  /** ns of CLOCK_MONOTONIC as the page gives it. */
  now(): bigint;
  readonly readOnlyFd: number;
  close(): void;
}

export interface Native {
  /**
   * Creates, formats, allocates and seals the two memfds. ENOMEM when memory is short (the message has the number). With `file`: the
   * new files FILE.ring and FILE.reader instead, which cannot be sealed and are for processes of this user only (native/ring/format.h).
   */
  createRingSet(options: {
    readonly ringId: string;
    readonly geometry: Geometry;
    readonly cpus: readonly number[];
    readonly file?: string | undefined;
  }): RingSetFds;
  /** Makes a trace of what a ring set holds that its users left in files; waits for the disk. The fds stay the caller's. */
  extractRings(options: ExtractOptions): SnapshotTotals;
  /** Checks fds that came back from the keeper (type, seals, owner uid, size, ring id) and makes the read-only duplicates. */
  adoptRingSet(options: {
    readonly ringFd: number;
    readonly readerFd: number;
    readonly ringId: string;
    readonly geometry: Geometry;
  }): RingSetFds;
  /** Memory for one more CPU's ring, within the limits (else ENOMEM with the numbers). Bytes; 0: it was there. */
  allocateRing(options: { readonly ringFd: number; readonly geometry: Geometry; readonly cpu: number }): number;
  /** Frees the locks that a dead application held (lock mode). Returns how many. */
  releaseLocks(options: { readonly ringFd: number; readonly geometry: Geometry; readonly applicationId: number }): number;
  /** Sums of a ring set, from shared memory: events committed, packets consumed, losses by cause (names of STATS_FIELDS). */
  ringTotals(options: {
    readonly ringFd: number;
    readonly readerFd: number;
    readonly geometry: Geometry;
  }): Readonly<Record<(typeof STATS_FIELDS)[number], bigint>>;
  /** `waiting`: bytes committed and not consumed in the fullest ring of the set; `memory`: bytes of each CPU's ring, 0: none yet. */
  ringUsage(options: { readonly ringFd: number; readonly readerFd: number; readonly geometry: Geometry }): {
    readonly waiting: bigint;
    readonly memory: readonly number[];
  };
  /**
   * A counter map: zero, allocated, sealed. `fd` is read-write; applications get it with MAP (native/ust/wire.h) and count into it by
   * themselves, whether or not anybody reads. What a slot stands for is the caller's to know: a key table slot <-> key, kept where it
   * outlives the process together with the fd. ENOMEM when memory is short.
   */
  createMap(options: { readonly mapId: string } & MapGeometry): { readonly fd: number };
  /** Checks an fd that came back from the keeper: sealed, of this size, made by this user (EPERM), this map (EINVAL). Keeps it as it is. */
  adoptMap(options: { readonly fd: number; readonly mapId: string } & MapGeometry): void;
  /**
   * Entries that are not 0 or have overflowed; with `all` every one. `used`: only the slots below it, when no others have been given
   * out (default: all slots).
   */
  readMap(options: { readonly fd: number; readonly all?: boolean; readonly used?: number } & MapGeometry): MapEntries;
  /** Zeroes counters and overflow bits, of `count` slots from `first` on (default: all). What is counted meanwhile may be lost or stay. */
  clearMap(options: { readonly fd: number; readonly first?: number; readonly count?: number } & MapGeometry): void;
  /** Decodes traces into lines on an fd, on a thread of its own: ctf/view-plan.ts makes the plan. */
  viewTraces(plan: Uint8Array): Promise<ViewResult>;
  openTail(table: Uint8Array): Tail;
  startReader(options: ReaderOptions, onNews: (news: ReaderNews) => void): Reader;
  listenSeqpacket(
    path: string,
    options: { readonly mode: number; readonly gid?: number },
    onConnection: (connection: SeqpacketConnection) => void,
  ): SeqpacketServer;
  connectSeqpacket(path: string): SeqpacketConnection;
  /** Takes over an fd that is one end of a seqpacket pair. */
  adoptSeqpacket(fd: number): SeqpacketConnection;
  /** The session daemon's clock page at `path`: made or taken over, then kept in step by a native thread. */
  openClockPage(path: string): ClockPage;
  /** Real time minus CLOCK_MONOTONIC, ns: both are read at one moment, as far as the processor was not taken away each time. */
  clockOffset(): bigint;
  /** Wakes applications that wait for a daemon: own uid's wait page, for root all of them. */
  wakeApplications(uid: number): void;
  /** Opens and closes a performance counter of the calling thread (type and config of perf_event_attr); throws why it cannot. */
  tryCounter(type: number, config: bigint): void;
  /**
   * flock on `path`; null: somebody else holds it. The lock is held until process end or close(); `forExec`: by the program that this
   * process becomes, too.
   */
  lockFile(path: string, forExec?: boolean): { readonly fd: number; close(): void } | null;
  /** The bytes read as zeros from now on and take no room; the file keeps its length. EOPNOTSUPP: not in this file system. */
  punchHole(fd: number, offset: number, length: number): void;
  closeFd(fd: number): void;
}

/** Loads the module once per process; throws when it has not been built. */
export const loadNative = (): Native => bindNative();
