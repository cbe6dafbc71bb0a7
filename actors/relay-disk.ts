/** Files of a relay: written by position through descriptors that are kept open, up to a limit, and made durable in groups. */
import {
  closeSync,
  constants,
  existsSync,
  fdatasync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
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

interface Open {
  readonly path: string;
  readonly fd: number;
  /** Someone waits for the disk with it: it must stay what it is. */
  pins: number;
  dropped: boolean;
}

export class RelayDisk {
  readonly #limit: number;
  /** Least recently used first. */
  readonly #open = new Map<string, Open>();
  readonly #newNames = new Set<string>();

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
    const bytes = Buffer.allocUnsafe(length);
    if (!this.#open.has(path) && !existsSync(path)) return bytes.subarray(0, 0);
    const { fd } = this.#use(path);
    let done = 0;
    while (done < length) {
      const got = readSync(fd, bytes, done, length - done, at + done);
      if (got === 0) break;
      done += got;
    }
    return bytes.subarray(0, done);
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

  /** Resolves when the disk holds what was written to them, and their names. */
  async sync(paths: Iterable<string>): Promise<void> {
    const names = [...this.#newNames];
    this.#newNames.clear();
    const pinned = [...paths].map((path) => this.#use(path));
    for (const open of pinned) open.pins++;
    try {
      await Promise.all(pinned.map(({ fd }) => toDisk(fd)));
      for (const directory of names) this.#syncDirectory(directory);
    } finally {
      for (const open of pinned) this.#unpin(open);
    }
  }

  /** The file, or all below the directory, is about to be moved or removed. */
  drop(path: string): void {
    for (const [key, open] of this.#open) if (key === path || key.startsWith(`${path}/`)) this.#close(open);
  }

  /** Done again it does nothing. */
  move(from: string, to: string): void {
    makeDirectories(dirname(to), DIRECTORY_MODE);
    if (existsSync(from) && !existsSync(to)) renameSync(from, to);
    this.#syncDirectory(dirname(to));
    this.#syncDirectory(dirname(from));
  }

  makeDirectory(path: string): void {
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
    makeDirectories(dirname(path), DIRECTORY_MODE);
    const open = { path, fd: openSync(path, FLAGS, FILE_MODE), pins: 0, dropped: false };
    this.#open.set(path, open);
    this.#newNames.add(dirname(path));
    this.#evict();
    return open;
  }

  #evict(): void {
    for (const open of this.#open.values()) {
      if (this.#open.size <= this.#limit) return;
      if (open.pins === 0) this.#close(open);
    }
  }

  #close(open: Open): void {
    if (this.#open.get(open.path) === open) this.#open.delete(open.path);
    open.dropped = true;
    if (open.pins === 0) closeSync(open.fd);
  }

  #unpin(open: Open): void {
    open.pins--;
    if (open.dropped && open.pins === 0) closeSync(open.fd);
  }

  #syncDirectory(path: string): void {
    if (!existsSync(path)) return;
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}
