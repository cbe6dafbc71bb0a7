/** The session daemon on a real host: every port of the seam, and the root actor upon them. */
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createActor, toPromise } from 'xstate';
import { loadNative, type Native } from '../native/addon/index.ts';
import { readFleet, storeFleet } from '../transport/fleet-file.ts';
import type { External } from '../transport/nats-context.ts';
import { externalBus, ownBus } from './bus-process.ts';
import { DaemonParts } from './daemon-parts.ts';
import { logCrashes, openLog, realClock, realDisk, realHost, realIds } from './host-ports.ts';
import { KeeperClient } from './keeper-client.ts';
import { labelsOf } from './labels.ts';
import type { Limits } from './limits.ts';
import { localStamp } from './local-time.ts';
import type { ConsumerProgram, DaemonPorts, Host, KeeperPort, Log } from './ports.ts';
import { faultOfRefusal } from './refused.ts';
import { realRingFiles } from './ring-files.ts';
import { provideSessionDaemon } from './session-daemon.ts';
import { startAfresh, startLoading } from './start-loading.ts';
import { writeStartRefusal } from './start-refusal.ts';
import { realSurvivors } from './survivors.ts';

const ROOT = resolve(import.meta.dirname, '..');
const KEEPER = join(ROOT, 'native/build/weft-keeper');
const MAIN = join(ROOT, 'cli/main.ts');
const KEEPER_START_MS = 8_000;

export interface SessionDaemonOptions {
  readonly runtime: string;
  readonly state: string;
  /** Of default outputs; null: `weft-traces` in the owner's home. */
  readonly traces: string | null;
  readonly group: string;
  readonly host?: string | undefined;
  /** A file that says which fleet to join; absent: the one of last time. */
  readonly fleet?: string | undefined;
  /** As whom root's daemon acts for the fleet. */
  readonly fleetUser?: string | undefined;
  /** `KEY=VALUE`, besides those of the labels files. */
  readonly labels: readonly string[];
  readonly external?: External | undefined;
  readonly forCommand: boolean;
  readonly limits: Limits;
  /** The words after `weft` of what loads saved sessions, once it serves; null: none are to be loaded. */
  readonly loader: readonly string[] | null;
  /** The words after the program with which a keeper starts this daemon again. */
  readonly arguments: readonly string[];
}

const keeperPort = (native: Native, options: SessionDaemonOptions): KeeperPort => {
  const path = join(options.runtime, 'keeper.sock');
  const log = join(options.state, 'log/keeper.log');
  const connect = () => new KeeperClient(native.connectSeqpacket(path), (fd) => native.closeFd(fd));
  const listens = (): boolean => {
    try {
      native.connectSeqpacket(path).close();
      return true;
    } catch {
      return false;
    }
  };
  return {
    connect,
    startAnother: async () => {
      const out = openSync(log, 'a', 0o600);
      const words = ['--runtime', options.runtime, '--log', log, '--sessiond', String(process.pid), '--'];
      const child = spawn(KEEPER, [...words, process.execPath, ...options.arguments], {
        detached: true,
        stdio: ['ignore', out, out],
      });
      child.on('error', () => {});
      child.unref();
      native.closeFd(out);
      for (const until = Date.now() + KEEPER_START_MS; !listens() && Date.now() < until; ) await delay(20);
    },
  };
};

const consumerProgram =
  (host: Host, options: SessionDaemonOptions) =>
  (owner: number): ConsumerProgram => ({
    arguments: [
      process.execPath,
      '--max-semi-space-size=1',
      '--v8-pool-size=0',
      '--disable-warning=ExperimentalWarning',
      MAIN,
      'consumerd',
    ],
    environment: {
      ...(process.env.WEFT_HOME !== undefined && { WEFT_HOME: process.env.WEFT_HOME }),
      // Another user can neither read nor write this daemon's cache.
      ...(process.env.NODE_COMPILE_CACHE !== undefined &&
        owner === host.uid && { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE }),
    },
    log: join(options.state, `log/consumer-${owner}.log`),
  });

const loaderOf = ({ loader }: SessionDaemonOptions): readonly string[] | null =>
  loader && [process.execPath, '--disable-warning=ExperimentalWarning', MAIN, ...loader];

const defaultOutput =
  (host: Host, options: SessionDaemonOptions) =>
  (owner: number, name: string, createdAtMs: number): string => {
    const traces = options.traces ?? join(host.user(owner)?.home ?? '/', 'weft-traces');
    return join(traces, name.startsWith('auto-') ? name : `${name}-${localStamp(createdAtMs)}`);
  };

/** Below the owner's state: the daemon's own, when they are the same. */
const spool =
  (host: Host, options: SessionDaemonOptions) =>
  (owner: number, sessionId: string): string => {
    const state = owner === host.uid ? options.state : join(host.user(owner)?.home ?? '/', '.local/state/weft');
    return join(state, 'spool', sessionId);
  };

const portsOf = (options: SessionDaemonOptions, log: Log): DaemonPorts => {
  const native = loadNative();
  const { runtime, state, group } = options;
  const host = realHost({
    host: options.host ?? null,
    group,
    state,
    fleetUser: options.fleetUser ?? null,
    labels: labelsOf(options, (message) => log.error(message)),
    native,
  });
  const around = { host, runtime, state, log };
  return {
    clock: realClock,
    ids: realIds,
    log,
    host,
    disk: realDisk(state, log),
    native,
    keeper: keeperPort(native, options),
    bus: options.external ? externalBus(around, options.external) : ownBus(around),
    survivors: realSurvivors(host, runtime, log),
    ringFiles: realRingFiles(host.uid),
    paths: {
      lock: join(runtime, 'lock'),
      clock: join(runtime, 'clock'),
      appsSocket: join(runtime, 'apps.sock'),
      clientSocket: join(runtime, 'client.sock'),
    },
    forCommand: options.forCommand,
    limits: options.limits,
    consumerProgram: consumerProgram(host, options),
    defaultOutput: defaultOutput(host, options),
    spool: spool(host, options),
  };
};

/** Resolves with the exit status when the daemon was told to end, or could not begin. */
export const runSessionDaemon = async (options: SessionDaemonOptions): Promise<number> => {
  const log = openLog('weft-sessiond', join(options.state, 'log/sessiond.log'));
  logCrashes(log);
  if (options.fleet !== undefined) storeFleet(options.state, readFleet(options.fleet));
  const ports = portsOf(options, log);
  const parts = new DaemonParts(ports);
  const root = createActor(provideSessionDaemon(parts), { id: 'sessiond', clock: ports.clock });
  parts.root = root;
  const shutdown = () => root.send({ type: 'ShutdownRequested' });
  process.on('SIGTERM', shutdown);
  process.on('SIGINT', shutdown);
  const serving = root.subscribe((snapshot) => {
    if (!snapshot.hasTag('serves')) return;
    serving.unsubscribe();
    startLoading(options.runtime, ports.host.bootId, loaderOf(options), log);
  });
  root.start();
  const { refusal } = await toPromise(root);
  if (refusal) {
    log.error('the session daemon ends', { ...refusal });
    writeStartRefusal(options.runtime, faultOfRefusal(refusal));
    return 1;
  }
  log.info('the session daemon ends');
  startAfresh(options.runtime);
  return 0;
};
