/** The seam on a real host: its clock, its users and memory, its disk. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { hostname, loadavg } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { completeDocument, DOCUMENT_VERSION, type SessionDocument } from '../machines/document.ts';
import type { KeptSessions } from '../machines/fleet-document.ts';
import { TRIGGER_VERSION, type TriggerDocument } from '../machines/trigger-document.ts';
import type { Native } from '../native/addon/index.ts';
import { writeWhole } from '../transport/private-file.ts';
import { makeDirectories } from './make-directories.ts';
import { PARCEL_VERSION, type ParcelDocument } from './parcels.ts';
import type { Clock, Disk, FleetDisk, Host, Ids, Log, ParcelDisk, TriggerDisk, User } from './ports.ts';
import { statFields } from './process-stat.ts';

export const VERSION = '0.1.0';

export const realClock: Clock = {
  now: () => Date.now(),
  setTimeout: (task, ms) => setTimeout(task, ms),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

export const realIds: Ids = { hex: (bytes) => randomBytes(bytes).toString('hex') };

/** Synchronous: the last line before a death is the one that matters. */
export const openLog = (name: string, destination: string | number): Log => {
  const logger = pino({ name, base: null }, pino.destination({ dest: destination, sync: true, mkdir: true }));
  return {
    info: (what, fields) => logger.info(fields ?? {}, what),
    warn: (what, fields) => logger.warn(fields ?? {}, what),
    error: (what, fields) => logger.error(fields ?? {}, what),
  };
};

/** A defect ends the process, with its place in the log; what started it starts it again. */
export const logCrashes = (log: Log): void => {
  process.on('uncaughtException', (error) => {
    log.error('this is a defect: the process ends', {
      stack: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    process.exit(70);
  });
};

/** `0-3,8-11` */
export const parseCpuList = (text: string): readonly number[] =>
  text
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first, last = first] = part.split('-').map(Number) as [number, number?];
      return Array.from({ length: last! - first + 1 }, (_, at) => first + at);
    });

const readLine = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
};

const cpus = (which: 'possible' | 'online'): readonly number[] =>
  parseCpuList(readLine(`/sys/devices/system/cpu/${which}`) ?? '0');

/** What the control group leaves; version 2 only. */
const groupMemory = (): number => {
  const path = /^0::(.*)$/m.exec(readLine('/proc/self/cgroup') ?? '')?.[1];
  if (path === undefined) return Number.POSITIVE_INFINITY;
  const max = readLine(join('/sys/fs/cgroup', path, 'memory.max'));
  const current = readLine(join('/sys/fs/cgroup', path, 'memory.current'));
  return max === null || max === 'max' || current === null ? Number.POSITIVE_INFINITY : Number(max) - Number(current);
};

/** Of /proc/PID/stat, behind the name. */
const STAT = { state: 0, starttime: 19, vsize: 20, startcode: 23, startstack: 25 } as const;

/** The memory of a task that exits goes before its files are closed, which is what a peer hears; and the others of a process may go on. */
const executes = (fields: readonly string[]): boolean =>
  fields[STAT.state] !== 'Z' && fields[STAT.state] !== 'X' && fields[STAT.vsize] !== '0';

const image = (pid: number): string | null => {
  try {
    const started = statFields(`/proc/${pid}`)[STAT.starttime];
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const fields = statFields(`/proc/${pid}/task/${task}`);
      if (executes(fields)) return `${started} ${fields[STAT.startcode]} ${fields[STAT.startstack]}`;
    }
    return null;
  } catch {
    return null;
  }
};

const availableMemory = (): number => {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
  return Math.min(kib === undefined ? Number.POSITIVE_INFINITY : Number(kib) * 1024, groupMemory());
};

/** An entry of the user or group database, whatever serves it. */
const entry = (database: 'passwd' | 'group', key: string | number): string[] | null => {
  try {
    const text = execFileSync('getent', [database, String(key)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return text.trim().split(':');
  } catch {
    return null;
  }
};

const user = (uid: number): User | null => {
  const fields = entry('passwd', uid);
  return fields ? { gid: Number(fields[3]), home: fields[5] ?? '/' } : null;
};

const MACHINE_ID = '/etc/machine-id';

/** Machines made from one image may have one id, and several daemons of one machine have several state directories. */
const machineIdOf = (stateDirectory: string): string =>
  createHash('sha256')
    .update(`${readLine(MACHINE_ID) ?? hostname()}\0${stateDirectory}`)
    .digest('hex')
    .slice(0, 32);

export interface RealHostOptions {
  readonly host: string | null;
  readonly group: string;
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly fleetUser: string | null;
  /** JavaScript's own real time counts in whole milliseconds. */
  readonly native: Pick<Native, 'clockOffset'>;
}

export const realHost = (options: RealHostOptions): Host => {
  const tracingGid = (): number | null => {
    const fields = entry('group', options.group);
    return fields ? Number(fields[2]) : null;
  };
  return {
    hostname: options.host ?? hostname(),
    uid: process.getuid!(),
    gid: process.getgid!(),
    pid: process.pid,
    version: VERSION,
    bootId: (readLine('/proc/sys/kernel/random/boot_id') ?? '0'.repeat(32)).replaceAll('-', ''),
    machineId: machineIdOf(options.state),
    labels: options.labels,
    fleetUser: options.fleetUser,
    load: () => loadavg()[0] ?? 0,
    clockOffsetNs: () => options.native.clockOffset(),
    monotonicNs: () => process.hrtime.bigint(),
    possibleCpus: Math.max(...cpus('possible')) + 1,
    onlineCpus: () => cpus('online'),
    image,
    availableMemory,
    user,
    idOf: (database, name) => {
      const fields = entry(database === 'user' ? 'passwd' : 'group', name);
      return fields ? Number(fields[2]) : null;
    },
    tracingGid,
    isTracing: (uid, gid) => {
      const fields = entry('group', options.group);
      if (!fields) return false;
      const name = entry('passwd', uid)?.[0];
      return Number(fields[2]) === gid || (name !== undefined && (fields[3] ?? '').split(',').includes(name));
    },
  };
};

const parseDocument = <T extends { readonly version: number }>(path: string, version: T['version'], log: Log): T | null => {
  try {
    const document = JSON.parse(readFileSync(path, 'utf8')) as T;
    if (document.version === version) return document;
    log.error('a document is of another version and stays as it is', { path, version: document.version });
  } catch (thrown) {
    log.error('a document cannot be read and stays as it is', { path, cause: String(thrown) });
  }
  return null;
};

/** `ID.json`: one file per document, each whole or absent. */
const documentsIn = <T extends { readonly version: number; readonly id: string }>(
  directory: string,
  version: T['version'],
  log: Log,
) => {
  const path = (id: string): string => join(directory, `${id}.json`);
  makeDirectories(directory, 0o700);
  return {
    load: async (): Promise<readonly T[]> =>
      readdirSync(directory)
        .filter((name) => /^[0-9a-f]{32}\.json$/.test(name))
        .map((name) => parseDocument<T>(join(directory, name), version, log))
        .filter((document) => document !== null),
    write: async (document: T): Promise<void> => writeWhole(path(document.id), `${JSON.stringify(document)}\n`, 0o600),
    remove: async (id: string): Promise<void> => unlinkSync(path(id)),
  };
};

/** Without it this host follows what it reads next; no session is lost by that. */
const readFollowed = (path: string, log: Log): KeptSessions => {
  const content = readLine(path);
  if (content === null) return {};
  try {
    return JSON.parse(content) as KeptSessions;
  } catch (thrown) {
    log.error('what this host knew of the sessions of its fleet cannot be read', { path, cause: String(thrown) });
    return {};
  }
};

export const realDisk = (stateDirectory: string, log: Log): Disk & TriggerDisk & ParcelDisk & FleetDisk => {
  const triggers = documentsIn<TriggerDocument>(join(stateDirectory, 'triggers'), TRIGGER_VERSION, log);
  const parcels = documentsIn<ParcelDocument>(join(stateDirectory, 'parcels'), PARCEL_VERSION, log);
  const fleet = join(stateDirectory, 'fleet-sessions.json');
  const sessions = documentsIn<SessionDocument>(join(stateDirectory, 'sessions'), DOCUMENT_VERSION, log);
  return {
    ...sessions,
    load: async () => (await sessions.load()).map(completeDocument),
    loadTriggers: triggers.load,
    writeTrigger: triggers.write,
    removeTrigger: triggers.remove,
    loadParcels: parcels.load,
    writeParcel: parcels.write,
    removeParcel: parcels.remove,
    loadFleetSessions: async () => readFollowed(fleet, log),
    writeFleetSessions: async (followed) => writeWhole(fleet, `${JSON.stringify(followed)}\n`, 0o600),
  };
};
