/** The compiled module's own functions (native/addon/module.cc), and the interface of index.ts made of them. */
import { createRequire } from 'node:module';
import { awaiting, calling } from './errors.ts';
import type {
  ClockPage,
  ExtractOptions,
  Geometry,
  MapEntries,
  MapGeometry,
  Native,
  Reader,
  ReaderNews,
  ReaderOptions,
  RingSetFds,
  SeqpacketConnection,
  SeqpacketServer,
  SnapshotOptions,
  SnapshotTotals,
  StreamNews,
  Tail,
  TailRecord,
  ViewResult,
} from './index.ts';
import { STATS_FIELDS } from './index.ts';
import { Connection, type Receiver } from './seqpacket.ts';

declare const handleBrand: unique symbol;
/** Opaque, tagged: the module refuses anything else. */
export type Handle = { readonly [handleBrand]: true };

export interface Binding {
  createRingSet(ringId: Uint8Array, geometry: Uint32Array, cpus: Uint32Array, file: string): RingSetFds;
  /** Packets, bytes, events, begin, end, refused. */
  extractRings(
    ringId: Uint8Array,
    geometry: Uint32Array,
    ringFd: number,
    readerFd: number,
    directory: string,
    filePrefix: string,
    uuid: Uint8Array,
    streamClassId: number,
    streamInstanceBase: bigint,
    what: string,
  ): bigint[];
  adoptRingSet(ringId: Uint8Array, geometry: Uint32Array, ringFd: number, readerFd: number): RingSetFds;
  allocateRing(ringFd: number, geometry: Uint32Array, cpu: number): number;
  releaseLocks(ringFd: number, geometry: Uint32Array, applicationId: number): number;
  ringTotals(ringFd: number, readerFd: number, geometry: Uint32Array): bigint[];
  ringUsage(ringFd: number, readerFd: number, geometry: Uint32Array): bigint[];
  createMap(mapId: Uint8Array, geometry: Uint32Array): number;
  adoptMap(fd: number, mapId: Uint8Array, geometry: Uint32Array): void;
  readMap(fd: number, geometry: Uint32Array, slots: number, all: number): MapEntries;
  clearMap(fd: number, geometry: Uint32Array, first: number, count: number): void;
  startReader(
    ringFd: number,
    readerFd: number,
    ringId: Uint8Array,
    geometry: Uint32Array,
    directory: string,
    filePrefix: string,
    uuid: Uint8Array,
    streamClassId: number,
    streamInstanceBase: bigint,
    readTimerNs: bigint,
    switchTimerNs: bigint,
    chunk: bigint,
    previousChunk: bigint,
    previousDirectory: string, // '': no rotation is under way
    tracefileSize: bigint,
    tracefileCount: bigint,
    listener: (streams: (number | bigint)[], others: (string | number)[]) => void,
    plan: string,
    reclaim: string,
    reclaimAgeNs: bigint,
    live: number,
  ): [Handle, BigUint64Array];
  controlReader(handle: Handle, what: string): Promise<void> | undefined;
  controlReader(handle: Handle, what: 'freeze', ns: bigint): void;
  controlReader(
    handle: Handle,
    what: 'rotate',
    chunk: bigint,
    directory: string,
    at: bigint,
    layout: Uint8Array,
  ): Promise<void> | undefined;
  /** Reclaimed, pending. */
  controlReader(handle: Handle, what: 'reclaim', ageNs: bigint, wait: number): Promise<[number, number]>;
  /** Packets, bytes, events, begin, end, refused. */
  controlReader(
    handle: Handle,
    what: 'snapshot',
    directory: string,
    filePrefix: string,
    maxStreamBytes: bigint,
  ): Promise<bigint[]>;
  listenSeqpacket(
    path: string,
    mode: number,
    gid: number,
    accepted: (handle: Handle, pid: number, uid: number, gid: number) => Receiver,
  ): Handle;
  openSeqpacket(pathOrFd: string | number, receiver: Receiver): [Handle, number, number, number];
  sendSeqpacket(handle: Handle, message: Uint8Array, fds: Uint32Array): boolean;
  openClockPage(path: string): [Handle, number];
  readClock(handle: Handle): bigint;
  clockOffset(): bigint;
  wakeApplications(uid: number): void;
  tryCounter(type: number, config: bigint): void;
  lockFile(path: string, forExec: number): number;
  punchHole(fd: number, offset: bigint, length: bigint): void;
  closeHandle(handle: Handle): void;
  closeHandle(none: null, fd: number): void;
  /** Events; of each loss path, events, packets, begin, end; of each fault path, offset, message; why the output failed: errno name, message. */
  viewTraces(plan: Uint8Array): Promise<[bigint, (string | bigint)[], (string | bigint)[], string, string]>;
  openTail(table: Uint8Array, known?: Handle): Handle;
  /** Records: ns, name, line, JSON of each; left out: records, packets; faults. Paths with a NUL between two. */
  readTail(
    handle: Handle,
    limit: number,
    fromNow: Uint8Array,
    fromStart: Uint8Array,
  ): Promise<[(bigint | string)[], number, number, string[]]>;
  readonly constants: Readonly<Record<string, number>>;
}

const NO_GROUP = 0xffffffff;
const READ_TIMER_US = 200_000;

let loaded: Binding | undefined;
export const loadBinding = (): Binding => {
  loaded ??= createRequire(import.meta.url)('../build/weft.node') as Binding;
  return loaded;
};

/** 16 bytes from 32 hex digits. */
const idBytes = (hex: string, what: string): Uint8Array => {
  if (!/^[0-9a-fA-F]{32}$/.test(hex)) throw new TypeError(`${what}: 32 hexadecimal digits are needed`);
  return new Uint8Array(Buffer.from(hex, 'hex'));
};

const geometryWords = (geometry: Geometry): Uint32Array =>
  Uint32Array.of(
    geometry.cpuCount,
    geometry.subbufSize,
    geometry.subbufCount,
    geometry.mode === 'overwrite' ? 1 : 0,
    geometry.sync === 'lock' ? 1 : 0,
    geometry.allocation === 'per-channel' ? 1 : 0,
  );

/** A number that is no uint32 makes a geometry that the module refuses. */
const mapWords = ({ cpuCount, slots, bits }: MapGeometry): Uint32Array =>
  Uint32Array.from([cpuCount, slots, bits], (word) => (Number.isInteger(word) && word > 0 && word < 2 ** 32 ? word : 0));

const bindMaps = (binding: Binding): Pick<Native, 'createMap' | 'adoptMap' | 'readMap' | 'clearMap'> => ({
  createMap: ({ mapId, ...geometry }) => ({
    fd: calling(() => binding.createMap(idBytes(mapId, 'mapId'), mapWords(geometry))),
  }),
  adoptMap: ({ fd, mapId, ...geometry }) => calling(() => binding.adoptMap(fd, idBytes(mapId, 'mapId'), mapWords(geometry))),
  readMap: ({ fd, all = false, used, ...geometry }) =>
    calling(() => binding.readMap(fd, mapWords(geometry), used ?? geometry.slots, all ? 1 : 0)),
  clearMap: ({ fd, first = 0, count, ...geometry }) =>
    calling(() => binding.clearMap(fd, mapWords(geometry), first, count ?? geometry.slots - first)),
});

const microseconds = (us: number): bigint => BigInt(Math.round(us)) * 1000n;

const STREAM_VALUES = 8;
const readStreams = (flat: readonly (number | bigint)[]): StreamNews[] => {
  const streams: StreamNews[] = [];
  for (let at = 0; at < flat.length; at += STREAM_VALUES) {
    const [cpu, first, packets, bytes, events, begin, end, lost] = flat.slice(at, at + STREAM_VALUES) as [
      number,
      bigint,
      number,
      number,
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    streams.push({ cpu, first, packets, bytes, events, begin, end, lost });
  }
  return streams;
};

const OTHER_VALUES = 4;
const readOthers = (flat: readonly (string | number)[]): ReaderNews[] => {
  const news: ReaderNews[] = [];
  for (let at = 0; at < flat.length; at += OTHER_VALUES) {
    const [kind, cpu, text, message] = flat.slice(at, at + OTHER_VALUES) as [string, number, string, string];
    if (kind === 'corrupt') news.push({ kind, cpu, cause: text });
    else if (kind === 'write-failed') news.push({ kind, cpu, code: text, message });
    else if (kind === 'write-resumed' || kind === 'cut-late') news.push({ kind, cpu });
  }
  return news;
};

const totals = (flat: readonly bigint[]): SnapshotTotals => {
  const [packets, bytes, events, begin, end, refused] = flat as [bigint, bigint, bigint, bigint, bigint, bigint];
  return { packets, bytes, events, begin, end, refused };
};

const snapshot = async (
  binding: Binding,
  handle: Handle,
  prefix: string,
  options: SnapshotOptions,
): Promise<SnapshotTotals> => {
  const { directory, filePrefix = prefix, maxStreamBytes = 0 } = options;
  const taken = calling(() => binding.controlReader(handle, 'snapshot', directory, filePrefix, BigInt(maxStreamBytes)));
  return totals(await awaiting(taken));
};

const extractRings = (binding: Binding, options: ExtractOptions): SnapshotTotals =>
  totals(
    calling(() =>
      binding.extractRings(
        idBytes(options.ringId, 'ringId'),
        geometryWords(options.geometry),
        options.ringFd,
        options.readerFd,
        options.directory,
        options.filePrefix,
        idBytes(options.uuid, 'uuid'),
        options.streamClassId,
        BigInt(options.streamInstanceBase),
        options.what,
      ),
    ),
  );

const startReader = (binding: Binding, options: ReaderOptions, onNews: (news: ReaderNews) => void): Reader => {
  const listener = (streams: (number | bigint)[], others: (string | number)[]): void => {
    if (streams.length > 0) onNews({ kind: 'streams', streams: readStreams(streams) });
    for (const news of readOthers(others)) onNews(news);
  };
  const [handle, values] = calling(() =>
    binding.startReader(
      options.ringFd,
      options.readerFd,
      idBytes(options.ringId, 'ringId'),
      geometryWords(options.geometry),
      options.directory,
      options.filePrefix,
      idBytes(options.uuid, 'uuid'),
      options.streamClassId,
      BigInt(options.streamInstanceBase),
      microseconds(options.readTimerUs || READ_TIMER_US),
      microseconds(options.switchTimerUs),
      BigInt(options.chunk),
      BigInt(options.previous?.chunk ?? 0),
      options.previous?.directory ?? '',
      BigInt(options.tracefileSize),
      BigInt(options.tracefileCount),
      listener,
      options.plan ?? 'append',
      options.reclaim?.policy ?? 'off',
      microseconds(options.reclaim?.policy === 'older-than' ? options.reclaim.ageUs : 0),
      options.live ? 1 : 0,
    ),
  );
  return {
    stats: { values },
    setPlan: (plan) => void binding.controlReader(handle, plan),
    freeze: (ms) => void binding.controlReader(handle, 'freeze', BigInt(ms) * 1_000_000n),
    flush: () => awaiting(binding.controlReader(handle, 'flush') as Promise<void>),
    rotate: async ({ chunk, directory, at, layout }) =>
      awaiting(calling(() => binding.controlReader(handle, 'rotate', BigInt(chunk), directory, at, layout) as Promise<void>)),
    clear: () => awaiting(binding.controlReader(handle, 'clear') as Promise<void>),
    reclaim: async ({ ageUs, wait }) => {
      const asked = calling(() => binding.controlReader(handle, 'reclaim', microseconds(ageUs), wait ? 1 : 0));
      const [reclaimed, pending] = await awaiting(asked);
      return { reclaimed, pending };
    },
    snapshot: (wanted) => snapshot(binding, handle, options.filePrefix, wanted),
    close: () => awaiting(binding.controlReader(handle, 'close') as Promise<void>),
  };
};

const listen = (
  binding: Binding,
  path: string,
  options: { readonly mode: number; readonly gid?: number },
  onConnection: (connection: SeqpacketConnection) => void,
): SeqpacketServer => {
  const handle = calling(() =>
    binding.listenSeqpacket(path, options.mode, options.gid ?? NO_GROUP, (connected, pid, uid, gid) => {
      const connection = new Connection(binding);
      connection.attach(connected, { pid, uid, gid });
      onConnection(connection);
      return connection.receive;
    }),
  );
  return { close: () => binding.closeHandle(handle) };
};

const open = (binding: Binding, pathOrFd: string | number): SeqpacketConnection => {
  const connection = new Connection(binding);
  const [handle, pid, uid, gid] = calling(() => binding.openSeqpacket(pathOrFd, connection.receive));
  connection.attach(handle, { pid, uid, gid });
  return connection;
};

const openClockPage = (binding: Binding, path: string): ClockPage => {
  const [handle, readOnlyFd] = calling(() => binding.openClockPage(path));
  return {
    now: () => calling(() => binding.readClock(handle)),
    readOnlyFd,
    close: () => binding.closeHandle(handle),
  };
};

const viewTraces = async (binding: Binding, plan: Uint8Array): Promise<ViewResult> => {
  const [events, losses, faults, code, message] = await awaiting(calling(() => binding.viewTraces(plan)));
  const result: ViewResult = { events, losses: [], faults: [], output: code === '' ? null : { code, message } };
  for (let at = 0; at < losses.length; at += 5) {
    const [path, lost, packets, begin, end] = losses.slice(at, at + 5) as [string, bigint, bigint, bigint, bigint];
    result.losses.push({ path, events: lost, packets, begin, end });
  }
  for (let at = 0; at < faults.length; at += 3) {
    const [path, offset, text] = faults.slice(at, at + 3) as [string, bigint, string];
    result.faults.push({ path, offset, message: text });
  }
  return result;
};

const openTail = (binding: Binding, table: Uint8Array): Tail => {
  const handle = calling(() => binding.openTail(table));
  return {
    layOut: (next) => void calling(() => binding.openTail(next, handle)),
    read: async (limit, fromNow, fromStart) => {
      const asked = calling(() =>
        binding.readTail(handle, limit, Buffer.from(fromNow.join('\0')), Buffer.from(fromStart.join('\0'))),
      );
      const [flat, leftOut, packetsLeftOut, faults] = await awaiting(asked);
      const records: TailRecord[] = [];
      for (let at = 0; at < flat.length; at += 4) {
        const [ns, name, text, json] = flat.slice(at, at + 4) as [bigint, string, string, string];
        records.push({ ns, name, text, json });
      }
      return { records, leftOut, packetsLeftOut, faults };
    },
  };
};

export const bindNative = (): Native => {
  const binding = loadBinding();
  return {
    createRingSet: ({ ringId, geometry, cpus, file = '' }) =>
      calling(() => binding.createRingSet(idBytes(ringId, 'ringId'), geometryWords(geometry), Uint32Array.from(cpus), file)),
    extractRings: (options) => extractRings(binding, options),
    adoptRingSet: ({ ringFd, readerFd, ringId, geometry }) =>
      calling(() => binding.adoptRingSet(idBytes(ringId, 'ringId'), geometryWords(geometry), ringFd, readerFd)),
    allocateRing: ({ ringFd, geometry, cpu }) => calling(() => binding.allocateRing(ringFd, geometryWords(geometry), cpu)),
    releaseLocks: ({ ringFd, geometry, applicationId }) =>
      calling(() => binding.releaseLocks(ringFd, geometryWords(geometry), applicationId)),
    ringUsage: ({ ringFd, readerFd, geometry }) => {
      const [waiting = 0n, ...memory] = calling(() => binding.ringUsage(ringFd, readerFd, geometryWords(geometry)));
      return { waiting, memory: memory.map(Number) };
    },
    ringTotals: ({ ringFd, readerFd, geometry }) => {
      const sums = calling(() => binding.ringTotals(ringFd, readerFd, geometryWords(geometry)));
      return Object.fromEntries(STATS_FIELDS.map((field, i) => [field, sums[i]])) as ReturnType<Native['ringTotals']>;
    },
    ...bindMaps(binding),
    openTail: (table) => openTail(binding, table),
    viewTraces: (plan) => viewTraces(binding, plan),
    startReader: (options, onNews) => startReader(binding, options, onNews),
    listenSeqpacket: (path, options, onConnection) => listen(binding, path, options, onConnection),
    connectSeqpacket: (path) => open(binding, path),
    adoptSeqpacket: (fd) => open(binding, fd),
    openClockPage: (path) => openClockPage(binding, path),
    clockOffset: () => binding.clockOffset(),
    wakeApplications: (uid) => binding.wakeApplications(uid),
    tryCounter: (type, config) => binding.tryCounter(type, config),
    lockFile: (path, forExec = false) => {
      const fd = calling(() => binding.lockFile(path, forExec ? 1 : 0));
      return fd < 0 ? null : { fd, close: () => binding.closeHandle(null, fd) };
    },
    punchHole: (fd, offset, length) => calling(() => binding.punchHole(fd, BigInt(offset), BigInt(length))),
    closeFd: (fd) => calling(() => binding.closeHandle(null, fd)),
  };
};
