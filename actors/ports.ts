/**
 * The one seam between actors and everything that differs between a host and a simulation: time, chance, disk, native code, keeper,
 * bus. Given at the root; nothing in actors/ reaches past it.
 */

import type { TraceFilter } from '../ctf/filter-table.ts';
import type { SessionDocument } from '../machines/document.ts';
import type { FollowedSessions, KeptSessions } from '../machines/fleet-document.ts';
import type { TriggerDocument } from '../machines/trigger-document.ts';
import type { Native, SeqpacketConnection } from '../native/addon/index.ts';
import type { Access } from '../transport/access.ts';
import type { Body, Bus } from '../transport/bus.ts';
import type { FleetFile } from '../transport/fleet-file.ts';
import type { Role } from '../transport/identity.ts';
import type { FollowedTrace } from './followed-trace.ts';
import type { KeeperClient } from './keeper-client.ts';
import type { Limits } from './limits.ts';
import type { ParcelDocument } from './parcels.ts';

export interface Clock {
  /** Milliseconds of real time. */
  now(): number;
  setTimeout(task: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export interface Ids {
  /** So many random bytes as hex digits. */
  hex(bytes: number): string;
}

export interface Log {
  info(what: string, fields?: Body): void;
  warn(what: string, fields?: Body): void;
  error(what: string, fields?: Body): void;
}

export interface User {
  readonly gid: number;
  readonly home: string;
}

export interface Host {
  readonly hostname: string;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  readonly version: string;
  readonly bootId: string; // 32 hex digits
  /** The same after a reboot; of two daemons on one machine each has its own. 32 hex digits. */
  readonly machineId: string;
  /** What this host is for, in the words of its operator. */
  readonly labels: Readonly<Record<string, string>>;
  /** As whom root's daemon does what the fleet commands, when that was said; null: as the user `weft`. */
  readonly fleetUser: string | null;
  /** Of the last minute, in processors. */
  load(): number;
  /** Real time minus CLOCK_MONOTONIC, sampled now. */
  clockOffsetNs(): bigint;
  /** CLOCK_MONOTONIC, which timestamps count in. */
  monotonicNs(): bigint;
  readonly possibleCpus: number;
  onlineCpus(): readonly number[];
  /**
   * Which program a process executes: another text after exec(), and for another process of that pid. Null: nothing any more; that of
   * one that is on its way out is seen even before its parent hears of it.
   */
  image(pid: number): string | null;
  /** Bytes that can be allocated before somebody is killed for it. */
  availableMemory(): number;
  /** Null: nobody has this uid. */
  user(uid: number): User | null;
  /** The number of a user or group of this name; null: there is none. */
  idOf(database: 'user' | 'group', name: string): number | null;
  /** May this user command root's daemon? */
  isTracing(uid: number, gid: number): boolean;
  /** Of group tracing; null: there is none. */
  tracingGid(): number | null;
}

/** Session documents. `write` and `remove` resolve when the disk holds it. */
export interface Disk {
  load(): Promise<readonly SessionDocument[]>;
  write(document: SessionDocument): Promise<void>;
  remove(sessionId: string): Promise<void>;
}

/** Trigger documents, the same way. */
export interface TriggerDisk {
  loadTriggers(): Promise<readonly TriggerDocument[]>;
  writeTrigger(document: TriggerDocument): Promise<void>;
  removeTrigger(id: string): Promise<void>;
}

/** What is left to be sent to relays (actors/parcels.ts). */
export interface ParcelDisk {
  loadParcels(): Promise<readonly ParcelDocument[]>;
  writeParcel(parcel: ParcelDocument): Promise<void>;
  removeParcel(id: string): Promise<void>;
}

/** What this host knows of the sessions of its fleet (machines/fleet-document.ts). */
export interface FleetDisk {
  loadFleetSessions(): Promise<KeptSessions>;
  writeFleetSessions(followed: FollowedSessions): Promise<void>;
}

export type KeeperLink = Pick<
  KeeperClient,
  | 'onExited'
  | 'onClose'
  | 'hello'
  | 'spawn'
  | 'adopt'
  | 'kill'
  | 'forget'
  | 'deposit'
  | 'fetch'
  | 'release'
  | 'list'
  | 'shutdown'
  | 'close'
>;

export interface KeeperPort {
  /** Throws while nobody listens. */
  connect(): KeeperLink;
  /** Starts a keeper that takes this process for its session daemon; resolves when it listens. */
  startAnother(): Promise<void>;
}

/** Who goes on while keeper and daemon are dead is found in tables of the kernel, and asked for nothing. */
export interface Survivors {
  /** This process is the owner's consumer, for the daemons to come. */
  note(owner: number, pid: number): void;
  /** Writable descriptors of a ring set that a vault or the owner's consumer holds, or a program has mapped; null: nobody does. */
  memoryOf(owner: number, ringId: string): readonly [ringFd: number, readerFd: number] | null;
  /** A writable descriptor of a map, from the same; null: nobody has it. */
  mapOf(owner: number, mapId: string): number | null;
  /** Another descriptor of the same memory, read-only: all that a holder needs. */
  readOnly(fd: number): number;
  /** What former keepers left is with this one (its pid), or nobody wants it. */
  releaseVaults(keeper: number): void;
  /** Until it is gone: two readers of a ring would spoil the trace. */
  end(owner: number): Promise<void>;
}

/** The files of ring sets that shall outlive all processes (docs/crash-recovery.md). They are the daemon's own, and nobody else's. */
export interface RingFiles {
  /** Makes a directory for this user alone; throws when another user could replace it. */
  makeDirectory(path: string): void;
  /** What a reader of the ring has to know once everybody is gone; beside the ring, whole or not at all. */
  describe(file: string, description: string, metadata: string): void;
  /** Null: they are not there (any more). */
  open(file: string): readonly [ringFd: number, readerFd: number] | null;
  /** With the description, and the directories around it that become empty. */
  remove(file: string): void;
}

export interface BusPort {
  /** Finds or starts the server (through the keeper) and connects. */
  open(keeper: KeeperLink): Promise<Bus>;
  /** After a keeper's death: the server as a child of the new one. */
  adopt(keeper: KeeperLink): Promise<void>;
  grant(role: Exclude<Role, { kind: 'daemon' }>): Promise<Access>;
  /** The domain of the fleet's JetStream; null: this host belongs to no fleet. Known once `open` resolved. */
  fleetDomain(): string | null;
  /**
   * Joins a fleet, or leaves it (null): the server starts anew, and all its connections come back by themselves. Before that
   * `renewKeys` is called, for processes to come back with keys of the new kind.
   */
  setFleet(fleet: FleetFile | null, keeper: KeeperLink, renewKeys: () => Promise<void>): Promise<void>;
}

/** How a consumer is started, as the owner. */
export interface ConsumerProgram {
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly log: string;
}

export type DaemonNative = Pick<
  Native,
  | 'createRingSet'
  | 'adoptRingSet'
  | 'allocateRing'
  | 'releaseLocks'
  | 'ringTotals'
  | 'ringUsage'
  | 'createMap'
  | 'adoptMap'
  | 'readMap'
  | 'clearMap'
  | 'listenSeqpacket'
  | 'adoptSeqpacket'
  | 'openClockPage'
  | 'wakeApplications'
  | 'tryCounter'
  | 'lockFile'
  | 'closeFd'
>;

export interface DaemonPaths {
  readonly lock: string;
  readonly clock: string;
  readonly appsSocket: string;
  readonly clientSocket: string;
}

export interface DaemonPorts {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly host: Host;
  readonly disk: Disk & TriggerDisk & ParcelDisk & FleetDisk;
  readonly native: DaemonNative;
  readonly keeper: KeeperPort;
  readonly bus: BusPort;
  readonly survivors: Survivors;
  readonly ringFiles: RingFiles;
  readonly paths: DaemonPaths;
  /** A command needed a daemon and started it; nobody asked for this one by name. */
  readonly forCommand: boolean;
  readonly limits: Limits;
  consumerProgram(owner: number): ConsumerProgram;
  /** Where traces of a session go when its creator says nothing. */
  defaultOutput(owner: number, name: string, createdAtMs: number): string;
  /** Where traces wait that go elsewhere; the owner's. */
  spool(owner: number, sessionId: string): string;
}

/** A connection whose key can be renewed in place. */
export interface ConsumerBus {
  readonly bus: Bus;
  renew(access: Access): void;
}

/** A packet as its index file says. */
export interface SpoolEntry {
  readonly number: number; // packet_seq_num
  readonly offset: number;
  readonly bytes: number;
  /** The entry itself. */
  readonly index: Buffer;
}

/** The output directory of a session whose traces go elsewhere: written by readers, emptied by a link. Paths are relative to it. */
export interface Spool {
  /** Stream files that have an index. */
  streams(): readonly string[];
  /** Directories of traces. */
  traces(): readonly string[];
  /** Entries in the stream's index. */
  count(path: string): number;
  entries(path: string, from: number, most: number): readonly SpoolEntry[];
  /** Shorter than asked for at the end of the file. `memory`: where the bytes may go, if they are read at all. */
  read(path: string, offset: number, length: number, memory?: Buffer): Buffer;
  /** The packet lies there, whole; a power cut leaves entries of packets that never came to the disk. */
  holds(path: string, entry: SpoolEntry): boolean;
  /** Number of the last packet that was given back; -1: none was. */
  released(path: string): number;
  /** Gives back the bytes from `offset` to `end`, and notes that all packets up to `number` were. */
  release(path: string, offset: number, end: number, number: number): void;
  /** Changes when the metadata does; null: there is none. */
  describe(trace: string): string | null;
  metadata(trace: string): string;
  /** A small file in it; null: it is not there. */
  file(name: string): string | null;
  /** Such a file, all of it at once. */
  writeFile(name: string, text: string): void;
  /** What outlives the process; empty: nothing yet. */
  log(): string;
  /** Bytes from `at` on, in place. */
  writeLog(text: string, at: number): void;
  /** All of it at once, or nothing. */
  replaceLog(text: string): void;
  remove(directory: string): void;
  /** What is left of removals that were interrupted goes. */
  tidy(): void;
  /** All of it goes. */
  end(): void;
}

export interface ConsumerPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly pid: number;
  readonly owner: string;
  /** The daemon's end of the socket pair. */
  readonly link: SeqpacketConnection;
  readonly native: Pick<Native, 'startReader' | 'closeFd'>;
  connect(access: Access): Promise<ConsumerBus>;
  /** The bus that a URL names, with the owner's credentials for it; reconnects for ever. */
  connectRelay(url: string): Promise<Bus>;
  openSpool(output: string): Spool;
  /** One zstd frame. */
  compress(bytes: Buffer): Promise<Buffer>;
  /** CLOCK_MONOTONIC. */
  monotonicNs(): bigint;
  /** Real time minus that. */
  clockOffsetNs(): bigint;
  /** With the owner's rights. Throws what the system says. */
  makeDirectory(path: string): void;
  /** Written beside, fsynced, renamed. */
  writeMetadata(directory: string, text: string): void;
  /** A small file beside the traces of a snapshot. */
  writeNote(path: string, text: string): void;
  /** Moves a chunk; what was moved already stays. See consumer-messages.ts. */
  archive(output: string, from: string, to: string): void;
  /** Removes the traces below a directory, but not those in `kept`. */
  removeTraces(directory: string, kept: readonly string[]): void;
  /** A trace directory whose files are decoded as they grow. */
  followTrace(directory: string, filter: TraceFilter | null): FollowedTrace;
}
