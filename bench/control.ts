/** What commands cost: each as a whole, and those that users wait for also from the daemon's receipt until the effect is there. */
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync, statSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { dataFiles } from '../test/support/weft.ts';
import { pssOf } from './machine.ts';
import { runProgram, startSession } from './measure.ts';
import type { Connection, Tracer } from './tracers.ts';

export interface Commands {
  /** Each of LISTS runs. */
  readonly listSeconds: readonly number[];
  readonly rotateSeconds: number;
  readonly destroySeconds: number;
  readonly snapshotSeconds: number;
  /** From receipt; null: only whole commands can be measured with this tracer. */
  readonly rotateReceived: number | null;
  readonly destroyReceived: number | null;
  readonly snapshotReceived: number | null;
  readonly idleBytes: number;
}

const LISTS = 20;
/** 100,000 events/s: moderate. */
const PER_MS = 100;
const SNAPSHOT_BYTES = 64 * 2 ** 20;
/** The sub-buffer that is being written may be nearly empty. */
const SNAPSHOT_LEAST = 0.85 * SNAPSHOT_BYTES;
/** Threads need not reach every CPU. */
const FILL_ATTEMPTS = 8;

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const begin = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - begin) / 1e9;
};

const received = (connection: Connection | null, name: string, fields: Record<string, unknown>): Promise<number | null> =>
  connection === null ? Promise.resolve(null) : timed(() => connection.request(name, fields));

/** A program that makes events as long as `work` takes. */
const underLoad = async <T>(tracer: Tracer, program: string, work: () => Promise<T>): Promise<T> => {
  const load: ChildProcess = spawn(program, [String(PER_MS)], { env: tracer.env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((done) => load.once('exit', done));
  try {
    await new Promise((done, fail) => {
      load.stdout?.once('data', done);
      load.once('error', fail);
    });
    return await work();
  } finally {
    load.kill('SIGKILL');
    await ended;
  }
};

const remove = (trace: string): void => rmSync(trace, { recursive: true, force: true });

/** What a rotation archived is readable when it is answered: that is what was waited for. */
const checkArchives = (trace: string, expected: number): void => {
  const archives = new Set(dataFiles(join(trace, 'archives')).map((path) => path.slice(trace.length).split('/')[2]));
  if (archives.size !== expected) throw new Error(`${archives.size} chunks lie in ${trace}/archives, not ${expected}`);
};

const measureRotation = async (tracer: Tracer, paced: string, connection: Connection | null) => {
  const { session, trace } = startSession(tracer);
  const result = await underLoad(tracer, paced, async () => {
    const rotateSeconds = tracer.command('rotate', session).seconds;
    const rotateReceived = await received(connection, 'session.rotate', { session, wait: true });
    checkArchives(trace, connection === null ? 1 : 2);
    const destroySeconds = tracer.command('destroy', session).seconds;
    return { rotateSeconds, rotateReceived, destroySeconds };
  });
  remove(trace);
  return result;
};

const measureDestroy = async (tracer: Tracer, paced: string, connection: Connection | null): Promise<number | null> => {
  if (connection === null) return null;
  const { session, trace } = startSession(tracer);
  const seconds = await underLoad(tracer, paced, () => received(connection, 'session.destroy', { session }));
  remove(trace);
  return seconds;
};

const bytesBelow = (directory: string): number => dataFiles(directory).reduce((sum, path) => sum + statSync(path).size, 0);

/** Overwriting rings of 64 MiB over all CPUs, full. */
const fillRings = (tracer: Tracer, producer: string): { session: string; trace: string } => {
  const perCpu = 2 ** Math.floor(Math.log2(SNAPSHOT_BYTES / 8 / cpus().length));
  const started = startSession(tracer, { snapshot: true, subbufSize: String(perCpu), channel: ['--overwrite'] });
  for (let attempt = 0; attempt < FILL_ATTEMPTS; attempt++) {
    runProgram(tracer, producer, String(Math.ceil(SNAPSHOT_BYTES / 16 / cpus().length)), String(2 * cpus().length));
    tracer.command('snapshot', 'record', '-s', started.session);
    const bytes = bytesBelow(started.trace);
    remove(started.trace);
    if (bytes >= SNAPSHOT_LEAST) return started;
  }
  throw new Error(`${tracer.name}: the rings of a snapshot session do not fill`);
};

const measureSnapshot = async (tracer: Tracer, producer: string, connection: Connection | null) => {
  const { session, trace } = fillRings(tracer, producer);
  const snapshotSeconds = tracer.command('snapshot', 'record', '-s', session).seconds;
  remove(trace);
  const snapshotReceived = await received(connection, 'snapshot.record', { session });
  tracer.command('destroy', session);
  remove(trace);
  return { snapshotSeconds, snapshotReceived };
};

/** With a session that has recorded and is still active: the daemons at rest, and a command that only asks. */
const measureAtRest = (tracer: Tracer, producer: string) => {
  const { session, trace } = startSession(tracer);
  runProgram(tracer, producer, '1000', '1');
  const idleBytes = tracer.daemons().reduce((sum, pid) => sum + pssOf(pid), 0);
  const listSeconds = Array.from({ length: LISTS }, () => tracer.command('list').seconds);
  tracer.command('destroy', session);
  remove(trace);
  return { idleBytes, listSeconds };
};

export const measureCommands = async (tracer: Tracer, programs: { producer: string; paced: string }): Promise<Commands> => {
  const atRest = measureAtRest(tracer, programs.producer);
  const connection = await tracer.connect();
  try {
    const rotation = await measureRotation(tracer, programs.paced, connection);
    const destroyReceived = await measureDestroy(tracer, programs.paced, connection);
    return { ...atRest, ...rotation, destroyReceived, ...(await measureSnapshot(tracer, programs.producer, connection)) };
  } finally {
    await connection?.close();
  }
};
