/** Files of a relay: written by position through descriptors that are kept open, up to a limit, and made durable in groups. */
import {
  closeSync,
  constants,
  existsSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { makeDirectories } from './make-directories.ts';

const FILE_MODE = 0o640;
const DIRECTORY_MODE = 0o750;
const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
export const DESCRIPTORS_LEAST = 100;

const toDisk = promisify(fdatasync);
const withNames = promisify(fsync);
const DIRECTORIES_AT_ONCE = 8;

export const besideOf = (path: string): string => `${path}.tmp`;

/** One that may be moved meanwhile says where it lies when it is its turn. */
export type Place = string | (() => string);

interface Open {
  readonly path: string;
  readonly fd: number;
  /** Someone waits for the disk with it: it must stay what it is. */
  pins: number;
  dropped: boolean;
}

/** One file as it is now, whatever becomes of its name. */
export interface HeldFile {
  /** What is there of it. */
  read(at: number, length: number): Buffer;
  close(): void;
}

const readAt = (fd: number, at: number, length: number): Buffer => {
  const bytes = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const got = readSync(fd, bytes, done, length - done, at + done);
    if (got === 0) break;
    done += got;
  }
  return bytes.subarray(0, done);
};

export class RelayDisk {
  readonly #limit: number;
  /** Least recently used first. */
  readonly #open = new Map<string, Open>();
  /** Directories in which something is new that the disk may not know yet, and when it came. */
  readonly #newNames = new Map<string, number>();
  #names = 0;
  #pinned = 0;
  /** Descriptors beside those by name: as many at most. */
  #held = 0;
  #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** All of it or an error; what was written of it before an error lies behind the end that the caller knows. */
  write(path: string, at: number, bytes: Uint8Array): void {
    const { fd } = this.#use(path);
    for (let done = 0; done < bytes.length; ) {
      const wrote = writeSync(fd, bytes, done, bytes.length - done, at + done);
      if (wrote === 0) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      done += wrote;
    }
  }

  /** What is there of it. */
  read(path: string, at: number, length: number): Buffer {
    if (!this.#open.has(path) && !existsSync(path)) return Buffer.alloc(0);
    return readAt(this.#use(path).fd, at, length);
  }

  /** For somebody who reads slowly what may be removed meanwhile. Where many do, some are held by name only. Null: there is none. */
  hold(path: string): HeldFile | null {
    if (!existsSync(path)) return null;
    if (this.#held >= this.#limit) return { read: (at, length) => this.read(path, at, length), close: () => {} };
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    this.#held++;
    let isOpen = true;
    return {
      read: (at, length) => readAt(fd, at, length),
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#held--;
        closeSync(fd);
      },
    };
  }

  size(path: string): number {
    if (!this.#open.has(path) && !existsSync(path)) return 0;
    return fstatSync(this.#use(path).fd).size;
  }

  cut(path: string, size: number): void {
    ftruncateSync(this.#use(path).fd, size);
  }

  remove(path: string): void {
    this.drop(path);
    rmSync(path, { force: true });
  }

  /** What is to take the place of a file. */
  writeBeside(path: string, bytes: Uint8Array): void {
    this.remove(besideOf(path));
    this.write(besideOf(path), 0, bytes);
  }

  /** What was written beside has its place, if it is still to. The disk has to hold it. */
  takePlace(path: string): void {
    this.drop(besideOf(path));
    this.drop(path);
    if (existsSync(besideOf(path))) renameSync(besideOf(path), path);
    this.#noteName(dirname(path));
  }

  /** At once: the new text or the one before is there, whenever we die. */
  replace(path: string, bytes: Uint8Array): void {
    this.writeBeside(path, bytes);
    fdatasyncSync(this.#use(besideOf(path)).fd);
    this.takePlace(path);
  }

  /** A directory, and all that is in it. */
  removeAll(path: string): void {
    this.drop(path);
    rmSync(path, { recursive: true, force: true });
  }

  /** A directory, unless something is in it. */
  removeEmpty(path: string): void {
    if (existsSync(path) && readdirSync(path).length === 0) rmdirSync(path);
  }

  /** The names in it. One that is gone needs nothing. */
  async syncDirectory(path: string): Promise<void> {
    if (!existsSync(path)) return;
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await withNames(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** Resolves when the disk holds what was written to them, and their names. What is gone meanwhile needs nothing. */
  async sync(places: Iterable<Place>): Promise<void> {
    const all = [...places];
    const most = this.#pinsMost;
    for (let at = 0; at < all.length; at += most) await this.#syncSome(all.slice(at, at + most));
    await this.#syncNames();
  }

  /** The file, or all below the directory, is about to be moved or removed. */
  drop(path: string): void {
    for (const [key, open] of this.#open) if (key === path || key.startsWith(`${path}/`)) this.#close(open);
  }

  /** Done again it does nothing. */
  move(from: string, to: string): void {
    this.makeDirectory(dirname(to));
    this.drop(from);
    if (existsSync(from) && !existsSync(to)) renameSync(from, to);
    for (const [name, at] of [...this.#newNames].filter(([one]) => one === from || one.startsWith(`${from}/`))) {
      this.#newNames.delete(name);
      this.#newNames.set(`${to}${name.slice(from.length)}`, at);
    }
    this.#syncDirectoryNow(dirname(to));
    this.#syncDirectoryNow(dirname(from));
  }

  makeDirectory(path: string): void {
    for (let missing = path; !existsSync(missing); missing = dirname(missing)) this.#noteName(dirname(missing));
    makeDirectories(path, DIRECTORY_MODE);
  }

  freeBytes(path: string): number {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  }

  close(): void {
    for (const open of [...this.#open.values()]) this.#close(open);
  }

  #use(path: string): Open {
    const known = this.#open.get(path);
    if (known) {
      this.#open.delete(path);
      this.#open.set(path, known);
      return known;
    }
    this.makeDirectory(dirname(path));
    if (!existsSync(path)) this.#noteName(dirname(path));
    const open = { path, fd: openSync(path, FLAGS, FILE_MODE), pins: 0, dropped: false };
    this.#open.set(path, open);
    this.#evict(open);
    return open;
  }

  #evict(wanted: Open): void {
    for (const open of this.#open.values()) {
      if (this.#open.size <= this.#limit) return;
      if (open !== wanted && open.pins === 0) this.#close(open);
    }
  }

  #noteName(directory: string): void {
    this.#newNames.set(directory, ++this.#names);
  }

  /** Those of until now; one that was moved meanwhile is found under its new name. */
  async #syncNames(): Promise<void> {
    const until = this.#names;
    for (;;) {
      const some = [...this.#newNames].filter(([, at]) => at <= until).slice(0, DIRECTORIES_AT_ONCE);
      if (some.length === 0) return;
      await Promise.all(some.map(([directory]) => this.syncDirectory(directory)));
      for (const [directory, at] of some) if (this.#newNames.get(directory) === at) this.#newNames.delete(directory);
    }
  }

  /** The rest is for those who write meanwhile. */
  get #pinsMost(): number {
    return Math.max(1, Math.floor(this.#limit / 2));
  }

  async #syncSome(places: readonly Place[]): Promise<void> {
    while (this.#pinned > 0 && this.#pinned + places.length > this.#pinsMost)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const pinned: Open[] = [];
    try {
      for (const place of places) {
        const path = typeof place === 'string' ? place : place();
        if (this.#open.has(path) || existsSync(path)) pinned.push(this.#pin(path));
      }
      // Each has to end before its descriptor may be another file's.
      const ends = await Promise.allSettled(pinned.map(({ fd }) => toDisk(fd)));
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    } finally {
      for (const open of pinned) this.#unpin(open);
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  #pin(path: string): Open {
    const open = this.#use(path);
    open.pins++;
    this.#pinned++;
    return open;
  }

  #close(open: Open): void {
    if (this.#open.get(open.path) === open) this.#open.delete(open.path);
    open.dropped = true;
    if (open.pins === 0) closeSync(open.fd);
  }

  #unpin(open: Open): void {
    open.pins--;
    this.#pinned--;
    if (open.dropped && open.pins === 0) closeSync(open.fd);
  }

  #syncDirectoryNow(path: string): void {
    if (!existsSync(path)) return;
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}
