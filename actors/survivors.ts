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
import { statFields } from './process-stat.ts';

/** Node knows no name for it. */
const O_PATH = 0o10000000;
/** For writing out what it read, which its own machine bounds to less. */
const END_MS = 6_000;
const PAUSE_MS = 20;

/** These say nothing of what was looked for: who swallowed them would take memory for lost, and end the vault that has it. */
const SHORTAGES: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

/** What is gone, or not for this daemon, is absent. Paths of other users' descriptors fail in many ways; none of them may stop a start. */
const unlessAbsent = <T>(take: () => T, absent: T): T => {
  try {
    return take();
  } catch (thrown) {
    if (SHORTAGES.has((thrown as NodeJS.ErrnoException).code)) throw thrown;
    return absent;
  }
};

/** Not kept when `make` throws. */
const once = <T>(make: () => T): (() => T) => {
  let made: { readonly value: T } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
};

/** In which tick of the machine's life a process began: with the pid it names one process for good. */
const beganAt = (pid: number): string | null => {
  const [state = 'X', ...fields] = unlessAbsent(() => statFields(`/proc/${pid}`), []);
  return state === 'Z' || state === 'X' ? null : (fields[18] ?? null);
};

/** Opens memory of that name if this user made it. By way of O_PATH, so that nothing else is ever opened. */
const openMemory = (link: string, name: string, uid: number): number | null => {
  const expected = `/memfd:${name} (deleted)`;
  if (targetOf(link) !== expected) return null;
  const held = unlessAbsent(() => openSync(link, O_PATH), null);
  if (held === null) return null;
  try {
    const status = fstatSync(held);
    const path = `/proc/self/fd/${held}`;
    const own = status.uid === uid && status.isFile() && targetOf(path) === expected;
    return own ? unlessAbsent(() => openSync(path, constants.O_RDWR), null) : null;
  } finally {
    closeSync(held);
  }
};

const targetOf = (link: string): string => unlessAbsent(() => readlinkSync(link), '');

const linksIn = (folder: string): readonly string[] =>
  unlessAbsent(() => readdirSync(folder).map((name) => `${folder}/${name}`), []);

const processes = (): readonly string[] => linksIn('/proc').filter((process) => /\/\d+$/.test(process));

const wordsOf = (process: string): readonly string[] =>
  unlessAbsent(() => readFileSync(`${process}/cmdline`, 'utf8').split('\0'), []);

const ownerOf = (process: string): number | null => unlessAbsent(() => statSync(process).uid, null);

/** In another mount namespace, a container's, the same path is another directory. */
const sharesMounts = (process: string): boolean => targetOf(`${process}/ns/mnt`) === readlinkSync('/proc/self/ns/mnt');

/** This user's vaults of all keepers that ever served this directory. */
const vaultsOf = (runtime: string, uid: number): readonly string[] =>
  processes()
    .filter((process) => ownerOf(process) === uid)
    .filter((process) => {
      const [program = '', ...words] = wordsOf(process);
      return program.endsWith('/weft-vault') && words[words.indexOf('--runtime') + 1] === runtime;
    })
    .filter(sharesMounts);

/** The vault of the keeper that serves is its child. */
const release = (vault: string, keeper: number): void => {
  const parent = unlessAbsent(() => statFields(vault)[1], undefined);
  const pid = Number(vault.slice(vault.lastIndexOf('/') + 1));
  if (parent !== undefined && parent !== String(keeper)) unlessAbsent(() => process.kill(pid, 'SIGKILL'), false);
};

/** By name of the memory. Several may bear one name, and anybody can give any name. */
type Links = ReadonlyMap<string, readonly string[]>;

const memoryIn = (folders: readonly string[]): Links => {
  const found = new Map<string, string[]>();
  for (const link of folders.flatMap(linksIn)) {
    const name = /^\/memfd:(weft-(?:ring|reader|map)-.+) \(deleted\)$/.exec(targetOf(link))?.[1];
    if (name === undefined) continue;
    const links = found.get(name);
    if (links) links.push(link);
    else found.set(name, [link]);
  }
  return found;
};

const open = (links: readonly string[], name: string, uid: number): number | null => {
  for (const link of links) {
    const fd = openMemory(link, name, uid);
    if (fd !== null) return fd;
  }
  return null;
};

/** Where memory of one name is, that was missing for sessions of `owner`. */
type Find = (owner: number, name: string) => number | null;

const finder = (uid: number, runtime: string, consumerOf: (owner: number) => number | null): Find => {
  const inVaults = once(() => memoryIn(vaultsOf(runtime, uid).map((vault) => `${vault}/fd`)));
  const inConsumers = new Map<number, Links>();
  const inConsumerOf = (owner: number): Links => {
    const known = inConsumers.get(owner);
    if (known) return known;
    const pid = consumerOf(owner);
    const links = memoryIn(pid === null ? [] : [`/proc/${pid}/fd`]);
    inConsumers.set(owner, links);
    return links;
  };
  /** libweft keeps no descriptor of what it has mapped. Following these links takes CAP_CHECKPOINT_RESTORE: only root's daemon can. */
  const inPrograms = once(() => memoryIn(processes().map((process) => `${process}/map_files`)));
  /** Each place is looked through once, for all that is missing at a start; programs last: there may be thousands. */
  return (owner, name) => {
    for (const look of [inVaults, () => inConsumerOf(owner), inPrograms]) {
      const held = open(look().get(name) ?? [], name, uid);
      if (held !== null) return held;
    }
    return null;
  };
};

export const realSurvivors = (host: Host, runtime: string, log: Log): Survivors => {
  const path = (owner: number): string => join(runtime, `consumer-${owner}.pid`);
  /** Null: it does not live, or what lives under its pid is another process. */
  const consumerOf = (owner: number): number | null => {
    const [pid, began] = unlessAbsent(() => readFileSync(path(owner), 'utf8'), '')
      .trim()
      .split(' ') as [string, string?];
    const alive = began !== undefined && beganAt(Number(pid)) === began && ownerOf(`/proc/${pid}`) === owner;
    return alive ? Number(pid) : null;
  };
  const gone = async (owner: number, ms: number): Promise<boolean> => {
    for (const until = Date.now() + ms; Date.now() < until; await delay(PAUSE_MS)) if (consumerOf(owner) === null) return true;
    return consumerOf(owner) === null;
  };
  const find = finder(host.uid, runtime, consumerOf);
  return {
    note: (owner, pid) => writeWhole(path(owner), `${pid} ${beganAt(pid)}\n`, 0o600),
    memoryOf: (owner, ringId) => {
      const ringFd = find(owner, `weft-ring-${ringId}`);
      if (ringFd === null) return null;
      const readerFd = find(owner, `weft-reader-${ringId}`);
      if (readerFd !== null) return [ringFd, readerFd];
      closeSync(ringFd);
      return null;
    },
    mapOf: (owner, mapId) => find(owner, `weft-map-${mapId}`),
    readOnly: (fd) => openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY),
    releaseVaults: (keeper) => {
      try {
        for (const vault of vaultsOf(runtime, host.uid)) release(vault, keeper);
      } catch (thrown) {
        log.warn('what former keepers left holds memory until the next daemon looks for it', { cause: String(thrown) });
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
