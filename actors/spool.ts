/**
 * The spool of a link on disk: an ordinary output directory that readers write, whose packets are taken by the entries of its index
 * files and given back as holes. What must outlive the process beside that (link-log.ts) is a file in it.
 */
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { ENTRY_BYTES, HEADER_BYTES } from '../ctf/index-file.ts';
import { DirectoryTree } from './directory-tree.ts';
import type { Spool, SpoolEntry } from './ports.ts';

const LOG = '.link';
const LOG_MODE = 0o600;
const INDEX = 'index';
const INDEX_SUFFIX = '.idx';
const PACKET_MAGIC = 0xc1fc1fc1;
const SEQUENCE_AT = 64;
/** Where the first packet was that was given back: the number of the last one. No hole says that, for a power cut leaves the same. */
const RELEASED_MAGIC = 0x72746677;
const RELEASED_BYTES = 16;
const RELEASED_NUMBER_AT = 8;
/** What is being removed: of a removal that was interrupted nobody takes the rest for a recording. */
const GONE = '.gone-';

const indexOf = (output: string, path: string): string =>
  join(output, dirname(path), INDEX, `${path.slice(path.lastIndexOf('/') + 1)}${INDEX_SUFFIX}`);

/** Null: the file is not there. */
const sizeOf = (path: string): number | null => statSync(path, { throwIfNoEntry: false })?.size ?? null;

const readAt = (path: string, offset: number, length: number, memory?: Buffer): Buffer => {
  const file = openSync(path, 'r');
  try {
    const bytes = memory ?? Buffer.allocUnsafe(length);
    let at = 0;
    while (at < length) {
      const read = readSync(file, bytes, at, length - at, offset + at);
      if (read === 0) break;
      at += read;
    }
    return bytes.subarray(0, at);
  } finally {
    closeSync(file);
  }
};

const entryOf = (index: Buffer): SpoolEntry => ({
  index,
  offset: Number(index.readBigUInt64BE(0)),
  bytes: Number(index.readBigUInt64BE(8) / 8n),
  number: Number(index.readBigUInt64BE(64)),
});

export type PunchHole = (fd: number, offset: number, length: number) => void;

class DiskSpool implements Spool {
  readonly output: string;
  readonly #punchHole: PunchHole;
  readonly #tree: DirectoryTree;

  constructor(output: string, punchHole: PunchHole) {
    this.output = output;
    this.#punchHole = punchHole;
    this.#tree = new DirectoryTree(output);
  }

  streams(): readonly string[] {
    const found: string[] = [];
    for (const name of this.#names()) {
      const parts = name.split('/');
      const file = parts.at(-1)!;
      if (parts.at(-2) === INDEX && file.endsWith(INDEX_SUFFIX))
        found.push([...parts.slice(0, -2), file.slice(0, -INDEX_SUFFIX.length)].join('/'));
    }
    return found;
  }

  traces(): readonly string[] {
    return this.#names()
      .filter((name) => name.endsWith('/metadata'))
      .map((name) => dirname(name));
  }

  count(path: string): number {
    const size = sizeOf(indexOf(this.output, path)) ?? 0;
    return Math.max(0, Math.floor((size - HEADER_BYTES) / ENTRY_BYTES));
  }

  entries(path: string, from: number, most: number): readonly SpoolEntry[] {
    const bytes = readAt(indexOf(this.output, path), HEADER_BYTES + from * ENTRY_BYTES, most * ENTRY_BYTES);
    const entries: SpoolEntry[] = [];
    for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES)
      entries.push(entryOf(bytes.subarray(at, at + ENTRY_BYTES)));
    return entries;
  }

  read(path: string, offset: number, length: number, memory?: Buffer): Buffer {
    return readAt(join(this.output, path), offset, length, memory);
  }

  /** The packet itself says that it is this one. */
  holds(path: string, { offset, bytes, number }: SpoolEntry): boolean {
    const size = sizeOf(join(this.output, path));
    if (size === null || offset + bytes > size) return false;
    const header = this.read(path, offset, SEQUENCE_AT + 8);
    return (
      header.length === SEQUENCE_AT + 8 &&
      header.readUInt32LE(0) === PACKET_MAGIC &&
      header.readBigUInt64LE(SEQUENCE_AT) === BigInt(number)
    );
  }

  released(path: string): number {
    if (!existsSync(join(this.output, path))) return Number.MAX_SAFE_INTEGER; // its removal was interrupted
    const note = this.read(path, 0, RELEASED_BYTES);
    if (note.length < RELEASED_BYTES || note.readUInt32LE(0) !== RELEASED_MAGIC) return -1;
    return Number(note.readBigUInt64LE(RELEASED_NUMBER_AT));
  }

  release(path: string, offset: number, end: number, number: number): void {
    const name = join(this.output, path);
    if (!existsSync(name)) return;
    const file = openSync(name, 'r+');
    try {
      const isNoted = this.#noteReleased(file, number);
      this.#punch(file, Math.max(offset, RELEASED_BYTES), end);
      // Now there may be room for it.
      if (!isNoted && !this.#noteReleased(file, number)) throw new Error('what was given back could not be noted');
    } finally {
      closeSync(file);
    }
  }

  describe(trace: string): string | null {
    const status = statSync(join(this.output, trace, 'metadata'), { bigint: true, throwIfNoEntry: false });
    return status ? `${status.ino} ${status.mtimeNs} ${status.size}` : null;
  }

  metadata(trace: string): string {
    return readFileSync(join(this.output, trace, 'metadata'), 'utf8');
  }

  file(name: string): string | null {
    const path = join(this.output, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : null;
  }

  writeFile(name: string, text: string): void {
    const path = join(this.output, name);
    try {
      writeFileSync(`${path}-new`, text, { mode: LOG_MODE });
      renameSync(`${path}-new`, path);
    } catch (thrown) {
      rmSync(`${path}-new`, { force: true });
      throw thrown;
    }
  }

  log(): string {
    return this.file(LOG) ?? '';
  }

  writeLog(text: string, at: number): void {
    const file = openSync(join(this.output, LOG), 'r+');
    try {
      const bytes = Buffer.from(text);
      for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done, at + done);
    } finally {
      closeSync(file);
    }
  }

  replaceLog(text: string): void {
    this.writeFile(LOG, text);
  }

  remove(directory: string): void {
    const path = join(this.output, directory);
    if (existsSync(path)) this.#removeHidden(path, join(this.output, `${GONE}${directory.replaceAll('/', '-')}`));
    const around = dirname(path);
    if (around.startsWith(`${this.output}/`) && existsSync(around) && readdirSync(around).length === 0) rmdirSync(around);
  }

  end(): void {
    rmSync(this.output, { recursive: true, force: true });
  }

  tidy(): void {
    if (!existsSync(this.output)) return;
    for (const name of readdirSync(this.output))
      if (name.startsWith(GONE)) rmSync(join(this.output, name), { recursive: true, force: true });
  }

  #noteReleased(file: number, number: number): boolean {
    const note = Buffer.alloc(RELEASED_BYTES);
    note.writeUInt32LE(RELEASED_MAGIC, 0);
    note.writeBigUInt64LE(BigInt(number), RELEASED_NUMBER_AT);
    try {
      return writeSync(file, note, 0, RELEASED_BYTES, 0) === RELEASED_BYTES;
    } catch {
      return false;
    }
  }

  #punch(file: number, from: number, end: number): void {
    try {
      this.#punchHole(file, from, end - from);
    } catch {
      // A file system without holes gives nothing back.
    }
  }

  #removeHidden(path: string, hidden: string): void {
    rmSync(hidden, { recursive: true, force: true });
    renameSync(path, hidden);
    rmSync(hidden, { recursive: true, force: true });
  }

  #names(): readonly string[] {
    return this.#tree.files().filter((name) => !name.startsWith(GONE));
  }
}

/** `output`: absolute; need not be there yet. */
export const openSpool = (output: string, punchHole: PunchHole): Spool => new DiskSpool(output, punchHole);
