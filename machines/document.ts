/**
 * The session document: what was promised, not the inside of a machine. One file per session, written with fsync + rename
 * before the acknowledgement of the command and before any effect that others see. A new daemon rebuilds the session from it.
 */
export const DOCUMENT_VERSION = 1;

export const firstChunk = (beganAt: string): Chunk => ({ id: 0, beganAt, directory: '', bytesBefore: '0', cleared: false });

/** What a session is that never rotated. */
export const withoutRotation = (createdAt: string) =>
  ({
    chunk: firstChunk(createdAt),
    nextChunk: 1,
    rotation: null,
    archives: 0,
    lastArchive: null,
    schedules: { timerUs: null, sizeBytes: null },
  }) as const;

/** A stored document as this version means it: those of before there were rotations have one chunk, the whole trace,
 * those of before there were snapshots or destinations have none, and those of before there were ring buffers in files have none of these. */
export const completeDocument = (stored: SessionDocument): SessionDocument => ({
  ...withoutRotation(stored.createdAt),
  ...{ snapshot: null, shmPath: null, network: null },
  ...stored,
});

/** How a channel's rings are laid out and what happens when they are full. Sizes in bytes, times in microseconds. */
export interface ChannelAttributes {
  readonly mode: 'discard' | 'overwrite';
  readonly subbufSize: number;
  readonly subbufCount: number;
  readonly ownership: 'user' | 'process';
  readonly switchTimerUs: number;
  readonly readTimerUs: number;
  readonly monitorTimerUs: number;
  /** Stored and shown; no sub-buffer can stall, so nothing is watched (docs/channels.md). */
  readonly watchdogTimerUs: number;
  /** How long a writer waits for space in a full ring; -1: for ever. */
  readonly blockingTimeoutUs: number;
  /** One ring per CPU, or one for all. */
  readonly allocation: 'per-cpu' | 'per-channel';
  /** Whether a ring's memory is there from the start, or from its CPU's first event on. */
  readonly preallocation: 'preallocate' | 'on-demand';
  /** Which free sub-buffers give their memory back; `ageUs` is older-than's, else 0. */
  readonly reclaim: { readonly policy: 'off' | 'consumed' | 'older-than'; readonly ageUs: number };
  readonly tracefileSize: number;
  readonly tracefileCount: number;
  readonly output: 'mmap';
}

/** Contexts whose name is all there is to say. */
export type FixedContext =
  | ('vpid' | 'vtid' | 'procname' | 'pthread_id' | 'ip' | 'cpu_id')
  | ('cgroup_ns' | 'ipc_ns' | 'mnt_ns' | 'net_ns' | 'pid_ns' | 'time_ns' | 'user_ns' | 'uts_ns')
  | ('vuid' | 'veuid' | 'vsuid' | 'vgid' | 'vegid' | 'vsgid');

/** As the user spelled it (rules/contexts.ts); the field in the trace is called after it. */
export type ContextType = FixedContext | `perf:${string}` | `$app.${string}:${string}`;

export interface LogLevelRule {
  /** `range`: at least as severe (value <= level); `single`: exactly. */
  readonly kind: 'range' | 'single';
  readonly level: number;
}

/** A recording event rule. `filter` is an expression of the filter language (rules/filter) as it was written; null: all events. */
export interface EventRule {
  readonly pattern: string;
  readonly logLevel: LogLevelRule | null;
  readonly exclusions: readonly string[];
  readonly filter: string | null;
  readonly enabled: boolean;
}

export interface ChannelDocument {
  readonly id: number; // CTF stream class id, unique in the session
  readonly name: string;
  readonly enabled: boolean;
  readonly attributes: ChannelAttributes;
  readonly contexts: readonly ContextType[];
  readonly rules: readonly EventRule[];
}

/** An integer as it lies in the trace. */
export interface IntegerType {
  readonly bits: 8 | 16 | 32 | 64;
  readonly signed: boolean;
  readonly reverse: boolean; // the other byte order
  readonly base: 2 | 8 | 10 | 16;
}

export type FieldType =
  | { readonly kind: 'integer'; readonly integer: IntegerType }
  | { readonly kind: 'float'; readonly bits: 32 | 64; readonly reverse: boolean }
  | { readonly kind: 'string'; readonly encoding: 'utf8' | 'none' }
  | { readonly kind: 'enum'; readonly container: IntegerType; readonly name: string; readonly entries: readonly EnumEntry[] }
  | { readonly kind: 'array'; readonly length: number; readonly text: boolean; readonly element: IntegerType }
  | {
      readonly kind: 'sequence';
      readonly lengthName: string;
      readonly lengthType: IntegerType;
      readonly text: boolean;
      readonly element: IntegerType;
    };

/** 64-bit bounds as decimal strings, so that a document survives JSON. */
export interface EnumEntry {
  readonly start: string;
  readonly end: string;
  readonly label: string;
}

export interface Field {
  readonly name: string;
  readonly nowrite: boolean;
  readonly type: FieldType;
}

/** How an instrumentation point describes itself. */
export interface PointDescription {
  readonly name: string; // provider:name
  readonly logLevel: number | null;
  readonly modelEmfUri: string;
  readonly fields: readonly Field[];
}

/** An event class of one trace (= one registry): the id that its records carry in `channel`'s stream. */
export interface EventClass {
  readonly id: number;
  readonly channel: number; // ChannelDocument.id
  readonly description: PointDescription;
}

/** Whose applications one trace holds: directory `ust/uid/UID/64-bit` or `ust/pid/PROCNAME-PID-DATETIME`. */
export type RegistryScope =
  | { readonly kind: 'user'; readonly uid: number }
  | {
      readonly kind: 'process';
      readonly uid: number;
      readonly pid: number;
      readonly procname: string;
      readonly startedAt: string;
    };

/** One ring set: the memory of (channel x scope x sync). The memfds wait at the keeper under `ringId` (32 hex digits). */
export interface RingSetDocument {
  readonly ringId: string;
  readonly channel: number;
  readonly sync: 'rseq' | 'lock';
  readonly cpuCount: number;
  readonly subbufSize: number;
  readonly subbufCount: number;
  readonly mode: 'discard' | 'overwrite';
  readonly allocation: 'per-cpu' | 'per-channel';
  /** The memories are FILE.ring and FILE.reader; absent: they are memfds. */
  readonly file?: string;
}

/** One trace directory: its uuid, event classes and rings. Event ids must never change meaning, so they are stored here first. */
export interface RegistryDocument {
  readonly key: string; // 'uid-1000', 'pid-4711-DATETIME'
  readonly scope: RegistryScope;
  readonly directory: string; // relative to the session's output
  readonly uuid: string; // 32 hex digits
  readonly eventClasses: readonly EventClass[];
  readonly ringSets: readonly RingSetDocument[];
}

/** Of one channel: what the rings counted that were given back with their processes. Decimal, by the names of the ring's counters. */
export interface EndedTotals {
  readonly channel: number;
  readonly counts: Readonly<Record<string, string>>;
}

export interface ClockDescription {
  readonly uuid: string; // boot id
  readonly offsetNs: string; // real time - monotonic, decimal, sampled when its trace began
  /** Against the fleet's reference when that was sampled: what this host's real time lacks, and how sure that is. Absent: not measured. */
  readonly fleet?: { readonly reference: string; readonly offsetNs: string; readonly uncertaintyNs: string };
  /** CLOCK_MONOTONIC when that was so, decimal. Absent: noted by an older version. */
  readonly atNs?: string;
}

/** What lies between two rotations: a trace of its own. The first one lies in the output itself (directory ''). */
export interface Chunk {
  readonly id: number;
  readonly beganAt: string; // ISO 8601 with offset
  readonly directory: string; // relative to the session's output
  /** Bytes that the readers had taken when it began, decimal. */
  readonly bytesBefore: string;
  /** Emptied since the session was stopped: there is nothing to archive. */
  readonly cleared: boolean;
}

/** A rotation under way. The document's `chunk` is the next one already (null: the session is stopped, there is none). */
export interface RotationDocument {
  readonly ends: Chunk;
  /** Of the chunk that ends; absent: that of the document, as older daemons have it. */
  readonly clock?: ClockDescription;
  readonly requestId: string | null;
  readonly at: string; // ns of CLOCK_MONOTONIC, decimal: what is not later lies in the chunk that ends
  readonly archive: string; // relative to the session's output
  /** The rings that existed then; others begin in the next chunk. */
  readonly rings: readonly string[];
  /** All of them go on in the next chunk; what is left is to move the directory. */
  readonly switched: boolean;
}

/** When a session rotates by itself; null: it does not. */
export interface Schedules {
  readonly timerUs: number | null;
  readonly sizeBytes: number | null;
}

/** Where snapshots of a session go. */
export interface SnapshotOutput {
  readonly id: number; // never given twice in a session
  readonly name: string;
  readonly path: string; // or the URL of a relay
  readonly maxSize: number; // bytes; 0: no limit
}

export interface SnapshotDocument {
  readonly outputs: readonly SnapshotOutput[];
  readonly nextOutputId: number;
  /** How many were begun; the next one has this number. */
  readonly taken: number;
}

/** What of a process decides whether it is recorded; each as the process sees it. */
export type TrackedAttribute = 'vpid' | 'vuid' | 'vgid';

export interface TrackedValue {
  readonly id: number;
  readonly name: string | null; // as the user gave it, when that was no number
}

/** An empty list: no process. */
export type Tracker = 'all' | readonly TrackedValue[];
export type Trackers = Readonly<Record<TrackedAttribute, Tracker>>;

/** The counters of one user's applications, or of one process: memory that waits at the keeper under `mapId` (32 hex digits). */
export interface MapGroupDocument {
  readonly mapId: string;
  readonly uid: number;
  readonly cpuCount: number;
  /** Absent: they are the user's. */
  readonly process?: MapProcess;
}

export type MapProcess = Pick<Extract<RegistryScope, { kind: 'process' }>, 'pid' | 'procname' | 'startedAt'>;
/** What becomes of the values of a process that is gone. */
export type DeadProcessPolicy = 'drop' | 'sum-into-shared';

/** A counter of the daemon itself: for conditions that no application meets, and for what dead processes counted. */
export interface SharedCounter {
  readonly value: string; // decimal
  readonly overflow: boolean;
}

/** A map channel: string key -> counter. The index of a key is its slot in every group, for good. */
export interface MapChannelDocument {
  readonly name: string;
  readonly bits: 32 | 64;
  readonly maxKeys: number;
  /** How an event counts that several triggers count under one key. */
  readonly updatePolicy: 'per-event' | 'per-rule-match';
  /** Every process has counters of its own; absent: every user. */
  readonly perProcess?: { readonly dead: DeadProcessPolicy };
  readonly keys: readonly string[];
  readonly groups: readonly MapGroupDocument[];
  /** By key. */
  readonly shared: Readonly<Record<string, SharedCounter>>;
}

/** Where traces go that do not stay on this host; the output is the spool then (docs/contracts-network.md). */
export type Destination =
  | { readonly kind: 'relay'; readonly url: string }
  | {
      readonly kind: 'lttng';
      readonly ctrl: { readonly host: string; readonly port: number };
      readonly data: { readonly host: string; readonly port: number };
      readonly subdir: string;
    };

export interface NetworkDocument {
  readonly destination: Destination;
  /** How often viewers hear that nothing came; null: the session is not live. */
  readonly liveTimerUs: number | null;
  readonly compress: boolean;
  /** Bytes; null: the default. */
  readonly spoolLimit: number | null;
  /** Of a destination that the session was given later: the link's id and when it began. Absent: the session's. */
  readonly link?: string;
  readonly since?: string;
}

export interface SessionDocument {
  readonly version: typeof DOCUMENT_VERSION;
  readonly id: string; // 32 hex digits
  readonly name: string;
  readonly owner: { readonly uid: number; readonly gid: number };
  readonly createdAt: string; // ISO 8601 with offset
  readonly bootId: string;
  readonly hostname: string;
  readonly output: { readonly kind: 'local'; readonly path: string } | { readonly kind: 'none' };
  /** Null: traces stay on this host. */
  readonly network: NetworkDocument | null;
  /** Null: it is no snapshot session. */
  readonly snapshot: SnapshotDocument | null;
  /** Below which ring buffers lie in files; null: they are in memory only. */
  readonly shmPath: string | null;
  readonly clock: ClockDescription;
  readonly channels: readonly ChannelDocument[];
  readonly registries: readonly RegistryDocument[];
  /** Absent: no process with rings of its own has ended. */
  readonly ended?: readonly EndedTotals[];
  /** Which processes are recorded: those that every tracker includes. Absent: all. */
  readonly trackers?: Trackers;
  /** Absent: none. */
  readonly mapChannels?: readonly MapChannelDocument[];
  /** Wanted activity: what the last acknowledged start or stop asked for. */
  readonly active: boolean;
  readonly everStarted: boolean;
  /** The operation under way, to be finished after a restart; null: none. */
  readonly operation: {
    readonly kind: 'starting' | 'stopping' | 'destroying';
    readonly requestId: string;
    readonly deadlineMs: number;
  } | null;
  /** What is recorded into; null: the session was rotated since it was stopped. */
  readonly chunk: Chunk | null;
  readonly nextChunk: number;
  readonly rotation: RotationDocument | null;
  /** How many chunks were archived, and where the last one lies (relative to the output). */
  readonly archives: number;
  readonly lastArchive: string | null;
  readonly schedules: Schedules;
  /** Answers of the last ten minutes by request id (idempotence). */
  readonly answers: readonly { readonly requestId: string; readonly atMs: number; readonly reply: unknown }[];
}
