/** The consumer process on a real host: fd 3 is the daemon's socket pair, stdout the log. */
import { join } from 'node:path';
import { promisify } from 'node:util';
import { zstdCompress } from 'node:zlib';
import { createActor, toPromise } from 'xstate';
import { loadNative } from '../native/addon/index.ts';
import { connectAccess, renewAccess } from '../transport/access.ts';
import { NatsBus } from '../transport/nats-bus.ts';
import { writeWhole } from '../transport/private-file.ts';
import { chunkFiles } from './chunk-files.ts';
import { ConsumerProcessParts, listenToDaemon, provideConsumerProcess } from './consumer-process.ts';
import { followedTraces } from './followed-trace.ts';
import { logCrashes, openLog, realClock } from './host-ports.ts';
import { makeDirectories } from './make-directories.ts';
import { homes } from './paths.ts';
import type { ConsumerPorts } from './ports.ts';
import { openSpool } from './spool.ts';

const LINK_FD = 3;
const STDOUT = 1;
const JOIN_MS = 20_000;

/** A trace is its owner's, like the files of its streams. */
const METADATA_MODE = 0o640;
const DIRECTORY_MODE = 0o750;

/** What stands behind host and port is a directory at the relay. */
const serverOf = (url: string): string => url.replace(/^([a-z]+:\/\/[^/]*)\/.*$/i, '$1');

export const runConsumer = async (): Promise<number> => {
  const native = loadNative();
  const owner = String(process.getuid!());
  const log = openLog('weft-consumer', STDOUT);
  logCrashes(log);
  const ports: ConsumerPorts = {
    clock: realClock,
    log,
    pid: process.pid,
    owner,
    link: native.adoptSeqpacket(LINK_FD),
    native,
    connect: async (access) => {
      const bus = await connectAccess(access, { name: `weft-consumer-${owner}`, waitMs: JOIN_MS }, homes());
      return { bus, renew: (next) => renewAccess(bus, next) };
    },
    connectRelay: async (url) =>
      NatsBus.connectExternal({ servers: [serverOf(url)] }, { name: `weft-link-${owner}`, waitMs: 0 }),
    openSpool: (output) => openSpool(output, native.punchHole),
    compress: promisify(zstdCompress),
    monotonicNs: () => process.hrtime.bigint(),
    clockOffsetNs: () => native.clockOffset(),
    ...chunkFiles,
    followTrace: followedTraces(native),
    makeDirectory: (path) => makeDirectories(path, DIRECTORY_MODE),
    writeNote: (path, text) => writeWhole(path, text, METADATA_MODE),
    writeMetadata: (directory, text) =>
      writeWhole(join(directory, 'metadata'), text, METADATA_MODE, join(directory, 'metadata.tmp')),
  };
  const parts = new ConsumerProcessParts(ports);
  const root = createActor(provideConsumerProcess(parts), { id: 'consumer', clock: ports.clock });
  parts.root = root;
  process.on('SIGTERM', () => root.send({ type: 'ShutdownRequested' }));
  process.on('SIGINT', () => root.send({ type: 'ShutdownRequested' }));
  root.start();
  listenToDaemon(parts);
  const { refusal } = await toPromise(root);
  if (refusal) log.error('the consumer ends', { ...refusal });
  ports.link.close();
  return refusal ? 1 : 0;
};
