/**
 * Keeper and daemon were killed together: their sockets and fds are gone, but the memory of rings and maps is with the keeper's vault
 * (native/keeper/vault.c), with the owner's consumer, which reads on, and with the programs that have it mapped. The next daemon
 * takes it from the first of them that lives, out of tables of the kernel. Nothing that any of them says is believed: what counts
 * is who made the memory and under which name (docs/adr/0014-memory-from-survivors.md).
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { writeWhole } from '../transport/private-file.ts';
import type { Host, Log, Survivors } from './ports.ts';

/** Node knows no name for it. */
const O_PATH = 0o10000000;
/** For writing out what it read, which its own machine bounds to less. */
const END_MS = 6_000;
const PAUSE_MS = 20;

/** In which tick of the machine's life a process began: with the pid it names one process for good. */
const beganAt = (pid: number): string | null => {
  try {
    const [state, ...fields] = fieldsOf(`/proc/${pid}`);
    return state === 'Z' || state === 'X' ? null : (fields[18] ?? null);
  } catch {
    return null;
  }
};

/** Opens memory of that name if this user made it. By way of O_PATH, so that nothing else is ever opened. */
const openMemory = (link: string, name: string, uid: number): number | null => {
  let held: number | null = null;
  try {
    if (readlinkSync(link) !== `/memfd:${name} (deleted)`) return null;
    held = openSync(link, O_PATH);
    const status = fstatSync(held);
    const own = status.uid === uid && status.isFile() && readlinkSync(`/proc/self/fd/${held}`) === `/memfd:${name} (deleted)`;
    return own ? openSync(`/proc/self/fd/${held}`, constants.O_RDWR) : null;
  } catch {
    return null;
  } finally {
    if (held !== null) closeSync(held);
  }
};

const linksIn = (folder: string): string[] => {
  try {
    return readdirSync(folder).map((name) => `${folder}/${name}`);
  } catch {
    return [];
  }
};

const PROCESS = /\/\d+$/;

const wordsOf = (process: string): readonly string[] => {
  try {
    return readFileSync(`${process}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
};

/** The fields behind the name: state, parent, ... */
const fieldsOf = (process: string): readonly string[] => {
  const text = readFileSync(`${process}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
};

/** Pids of the vaults of all keepers that ever served this directory. */
const vaultsOf = (runtime: string): readonly number[] =>
  linksIn('/proc')
    .filter((process) => PROCESS.test(process))
    .filter((process) => {
      const [program = '', ...words] = wordsOf(process);
      return program.endsWith('/weft-vault') && words[words.indexOf('--runtime') + 1] === runtime;
    })
    .map((process) => Number(process.slice(process.lastIndexOf('/') + 1)));

const targetOf = (link: string): string => {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
};

/** libweft keeps no descriptor of what it has mapped. Following these links takes CAP_CHECKPOINT_RESTORE: only root's daemon can. */
const memoryMapped = (): string[] =>
  linksIn('/proc')
    .filter((process) => PROCESS.test(process))
    .flatMap((process) => linksIn(`${process}/map_files`))
    .filter((link) => /^\/memfd:weft-(ring|reader|map)-/.test(targetOf(link)));

const open = (links: readonly string[], name: string, uid: number): number | null => {
  for (const link of links) {
    const fd = openMemory(link, name, uid);
    if (fd !== null) return fd;
  }
  return null;
};

export const realSurvivors = (host: Host, runtime: string, log: Log): Survivors => {
  const path = (owner: number): string => join(runtime, `consumer-${owner}.pid`);
  /** Null: it does not live, or what lives under its pid is another process. */
  const consumerOf = (owner: number): number | null => {
    try {
      const [pid, began] = readFileSync(path(owner), 'utf8').trim().split(' ') as [string, string?];
      const alive = beganAt(Number(pid)) === began && statSync(`/proc/${pid}`).uid === owner;
      return alive ? Number(pid) : null;
    } catch {
      return null;
    }
  };
  const gone = async (owner: number, ms: number): Promise<boolean> => {
    for (const until = Date.now() + ms; Date.now() < until; await delay(PAUSE_MS)) if (consumerOf(owner) === null) return true;
    return consumerOf(owner) === null;
  };
  let mapped: readonly string[] | null = null;
  /** What is mapped is looked for once, for all that is missing at a start, and last: there may be thousands of programs. */
  const find = (owner: number, name: string): number | null => {
    for (const pid of [...vaultsOf(runtime), consumerOf(owner)]) {
      const held = pid === null ? null : open(linksIn(`/proc/${pid}/fd`), name, host.uid);
      if (held !== null) return held;
    }
    mapped ??= memoryMapped();
    return open(mapped, name, host.uid);
  };
  return {
    note: (owner, pid) => writeWhole(path(owner), `${pid} ${beganAt(pid)}\n`, 0o600),
    memoryOf: (owner, ringId) => {
      const ringFd = find(owner, `weft-ring-${ringId}`);
      const readerFd = find(owner, `weft-reader-${ringId}`);
      if (ringFd !== null && readerFd !== null) return [ringFd, readerFd];
      for (const fd of [ringFd, readerFd]) if (fd !== null) closeSync(fd);
      return null;
    },
    mapOf: (owner, mapId) => find(owner, `weft-map-${mapId}`),
    readOnly: (fd) => openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY),
    releaseVaults: (keeper) => {
      for (const pid of vaultsOf(runtime)) {
        try {
          const own = statSync(`/proc/${pid}`).uid === host.uid;
          if (own && fieldsOf(`/proc/${pid}`)[1] !== String(keeper)) process.kill(pid, 'SIGKILL');
        } catch {
          // It is gone.
        }
      }
    },
    end: async (owner) => {
      const pid = consumerOf(owner);
      if (pid === null) return;
      log.info('the consumer of a daemon that is gone is told to end', { owner, pid });
      process.kill(pid, 'SIGTERM');
      if (await gone(owner, END_MS)) return;
      process.kill(pid, 'SIGKILL');
      await gone(owner, END_MS);
    },
  };
};
