/** The relay on a real host: its directory, its lock, its place on the bus. */
import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createActor, toPromise } from 'xstate';
import { loadNative } from '../native/addon/index.ts';
import type { Bus, Fault } from '../transport/bus.ts';
import { failure } from '../transport/errors.ts';
import { writeWhole } from '../transport/private-file.ts';
import { logCrashes, openLog, realClock, realIds } from './host-ports.ts';
import { type Connected, type LivePort, listenLive } from './live-server.ts';
import type { ViewerSocket } from './live-viewer.ts';
import { makeDirectories } from './make-directories.ts';
import { faultOfRefusal } from './refused.ts';
import { provideRelay } from './relay.ts';
import { DESCRIPTORS_LEAST, RelayDisk } from './relay-disk.ts';
import { RelayParts, type RelaySettings } from './relay-parts.ts';

const WINDOW = 8 << 20;
const DIRECTORY_MODE = 0o750;
const IDENTITY = '.weft-relay.json';
const LOCK = '.weft-relay.lock';
/** For sockets, the log, directories. */
const RESERVED = 64;

export interface RelayOptions extends Pick<RelaySettings, 'output' | 'groupBy' | 'allowClear' | 'retainBytes' | 'retainAgeMs'> {
  /** A path, or the descriptor 2. */
  readonly log: string | number;
  readonly descriptors: number | null;
  readonly pidFile: string | null;
  /** What the bus knows it by; null: it names itself. */
  readonly name: string | null;
  readonly live: LivePort;
  connect(relay: string): Promise<{ readonly bus: Bus; renew(): Promise<void> }>;
  onReady(): void;
}

const causeOf = (thrown: unknown): string => (thrown as Partial<NodeJS.ErrnoException>).code ?? String(thrown);

/** Kept with the directory, so that a relay that was started again is the same one to its senders. */
const identityOf = (output: string, name: string | null): string => {
  const path = join(output, IDENTITY);
  const known = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as { relay: string }).relay : null;
  if (known !== null && (name === null || name === known)) return known;
  const relay =
    name ??
    `${hostname()
      .replaceAll(/[^A-Za-z0-9-]/g, '-')
      .slice(0, 40)}-${randomBytes(4).toString('hex')}`;
  writeWhole(path, `${JSON.stringify({ v: 1, relay })}\n`, 0o600);
  return relay;
};

const descriptorLimit = (): number => {
  const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return soft === undefined ? 1024 : Number(soft);
};

const prepare = (output: string, name: string | null): { relay: string; unlock: () => void } => {
  try {
    makeDirectories(output, DIRECTORY_MODE);
    const lock = loadNative().lockFile(join(output, LOCK));
    if (lock === null) throw failure('relay-unusable', { cause: `another relay writes to ${output}` });
    return { relay: identityOf(output, name), unlock: () => lock.close() };
  } catch (thrown) {
    if (thrown instanceof Error && 'fault' in thrown) throw thrown;
    throw failure('relay-unusable', { cause: `${output} cannot be written (${causeOf(thrown)})` });
  }
};

/** Only a file, and only ours: what was named may be a device, or another relay's by now. */
const removePidFile = (path: string): void => {
  const ours = lstatSync(path, { throwIfNoEntry: false })?.isFile() && readFileSync(path, 'utf8') === `${process.pid}\n`;
  if (ours) rmSync(path, { force: true });
};

/** Resolves with null when the relay was told to end, else with what stopped it. */
export const runRelay = async (options: RelayOptions): Promise<Fault | null> => {
  const { output, groupBy, allowClear, retainBytes, retainAgeMs, pidFile } = options;
  const { relay, unlock } = prepare(output, options.name);
  const log = openLog('weft-relayd', options.log);
  logCrashes(log);
  const disk = new RelayDisk(Math.max(DESCRIPTORS_LEAST, options.descriptors ?? descriptorLimit() - RESERVED));
  const listen = async (connected: (socket: ViewerSocket) => Connected) => {
    const server = await listenLive(options.live, connected);
    return () => void server.close();
  };
  const ports = { clock: realClock, ids: realIds, log, disk, listen, connect: () => options.connect(relay) };
  const settings = { uid: process.getuid!(), relay, output, groupBy, allowClear, window: WINDOW, retainBytes, retainAgeMs };
  const parts = new RelayParts(ports, settings);
  const root = createActor(provideRelay(parts), { id: 'relay', clock: ports.clock });
  parts.root = root;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => root.send({ type: 'ShutdownRequested' }));
  let ready = false;
  root.subscribe((snapshot) => {
    if (ready || !snapshot.matches('serving')) return;
    ready = true;
    if (pidFile !== null) writeFileSync(pidFile, `${process.pid}\n`);
    log.info('the relay serves', { relay, output });
    options.onReady();
  });
  root.start();
  const { refusal } = await toPromise(root);
  if (refusal) log.error('the relay ends', { ...refusal });
  if (ready && pidFile !== null) removePidFile(pidFile);
  unlock();
  return refusal ? faultOfRefusal(refusal) : null;
};
