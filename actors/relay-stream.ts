/**
 * One stream at the relay: whole packets appended to its data file, then their entries to its index. Where it stands follows from the
 * files alone; what lies behind the last whole packet is cut.
 */
import { zstdDecompressSync } from 'node:zlib';
import type { PacketMessage } from '../transport/link-data.ts';
import { LinkDataError } from '../transport/link-data.ts';
import type { Place, RelayDisk } from './relay-disk.ts';

export const INDEX_HEADER_BYTES = 16;
export const INDEX_ENTRY_BYTES = 72;
const MAGIC = 0xc1f1dcc1;
const PACKET_MAGIC = 0xc1fc1fc1;
const SEQUENCE_AT = 64;
/** Larger sub-buffers there are not. */
export const PACKET_BYTES_MAX = 1 << 30;
/** A compressed packet is put together in memory. */
const COMPRESSED_BYTES_MAX = 64 << 20;

const indexHeader = (): Buffer => {
  const bytes = Buffer.alloc(INDEX_HEADER_BYTES);
  for (const [i, value] of [MAGIC, 1, 1, INDEX_ENTRY_BYTES].entries()) bytes.writeUInt32BE(value, i * 4);
  return bytes;
};

export interface Limits {
  readonly size: number;
  /** 0: no limit. */
  readonly count: number;
}

/** Fields of an index entry, by their place. */
export const entryField = (entry: Uint8Array, field: number): bigint =>
  Buffer.from(entry.buffer, entry.byteOffset, entry.byteLength).readBigUInt64BE(field * 8);
export const FIELD = { offset: 0, packetBits: 1, contentBits: 2, begin: 3, end: 4, discarded: 5, streamClass: 6, sequence: 8 };

const packetBytesOf = (entry: Uint8Array): number => Number(entryField(entry, FIELD.packetBits) / 8n);

/** A packet of which the last part has not come. */
interface Partial {
  readonly number: number;
  readonly index: Uint8Array;
  readonly packetBytes: number;
  parts: number;
  received: number;
  compressed: Uint8Array[] | null;
}

export interface Tail {
  readonly file: number;
  readonly entries: number;
  readonly dataAt: number;
  readonly number: number;
}

const EMPTY: Tail = { file: 0, entries: 0, dataAt: 0, number: -1 };

export class RelayStream {
  readonly disk: RelayDisk;
  readonly limits: Limits;
  /** What the names of its files begin with (relay-stems.ts). */
  readonly stem: string;
  /** Of the directory of the link. */
  root: string;
  /** As the link calls it, relative to the root. */
  path: string;
  tail: Tail = EMPTY;
  durable = -1;
  /** For viewers: until when nothing older will come. */
  beacon = 0n;
  streamClass: bigint | null = null;
  /** How often all of it was removed: a viewer begins anew then. */
  cleared = 0;
  /** With its chunk, by which operation; 0: it was not. Nothing more comes. */
  archivedBy = 0;
  /** Packets that came and are none: a sender of before sends what a power cut left. */
  unreadable = 0;
  /** Numbers of the files that the disk may not hold yet. */
  touched = new Set<number>();
  #partial: Partial | null = null;

  constructor(disk: RelayDisk, root: string, path: string, limits: Limits, stem: string | null) {
    this.disk = disk;
    this.root = root;
    this.path = path;
    this.limits = limits;
    this.stem = stem ?? this.name;
  }

  get trace(): string {
    return this.path.slice(0, this.path.lastIndexOf('/'));
  }

  get name(): string {
    return this.path.slice(this.path.lastIndexOf('/') + 1);
  }

  /** The files that the disk may not hold yet, wherever they lie then; from now on they count as held. */
  takeTouched(): Place[] {
    const files = [...this.touched].flatMap((file) => [() => this.dataPath(file), () => this.indexPath(file)]);
    this.touched = new Set();
    return files;
  }

  fileName(file: number): string {
    if (this.limits.size === 0) return this.stem;
    return `${this.stem}_${this.limits.count === 0 ? file : file % this.limits.count}`;
  }

  dataPath(file = this.tail.file): string {
    return `${this.root}/${this.trace}/${this.fileName(file)}`;
  }

  indexPath(file = this.tail.file): string {
    return `${this.root}/${this.trace}/index/${this.fileName(file)}.idx`;
  }

  /** The oldest file that is still there. */
  get firstFile(): number {
    return this.limits.count === 0 ? 0 : Math.max(0, this.tail.file - this.limits.count + 1);
  }

  /** The entry `at` of a file; null: none yet. */
  entry(file: number, at: number): Buffer | null {
    if (file === this.tail.file && at >= this.tail.entries) return null;
    const bytes = this.disk.read(this.indexPath(file), INDEX_HEADER_BYTES + at * INDEX_ENTRY_BYTES, INDEX_ENTRY_BYTES);
    return bytes.length === INDEX_ENTRY_BYTES ? bytes : null;
  }

  /**
   * To where the disk held it for certain; null: nothing of it. Whatever else is there may have come to the disk in part only, and
   * comes again. `files`: the numbers in names that are there.
   */
  recoverAt(known: Tail | null, files: readonly number[]): void {
    const tail = this.#standing(known ?? EMPTY);
    for (const file of files)
      if (this.fileName(file) !== this.fileName(tail.file) && !this.#isOlder(file, tail.number))
        this.#cutTo({ ...EMPTY, file });
    this.#cutTo(tail);
    this.tail = tail;
    this.touched.add(tail.file);
  }

  /** From the files, of which `file` is the newest; what lies behind the last whole packet is cut. */
  recover(file: number): void {
    const tail = this.#whole(file);
    this.#cutTo(tail);
    // All files of a stream that goes round may be there; how often it did nobody needs to know.
    this.tail = { ...tail, file: file + this.limits.count };
    this.touched.add(this.tail.file);
  }

  /** The last sequence number in a file; -1: none. */
  lastNumber(file: number): number {
    return this.#whole(file).number;
  }

  /** True: the packet is whole now. One that was there before counts for nothing. */
  take(message: PacketMessage): boolean {
    if (message.number <= this.tail.number) {
      this.#partial = null;
      return false;
    }
    const partial = message.part === 0 ? this.#begin(message) : this.#continue(message);
    const last = message.part === message.parts - 1;
    const received = partial.compressed ? this.#collect(partial, message.bytes, last) : this.#place(partial, message);
    if (last) this.#finish(partial, received);
    // Not before: what the disk does not take is given to it once more.
    partial.parts++;
    partial.received = received;
    return last;
  }

  /** Another opening of the link begins: whole packets again. */
  forgetPartial(): void {
    this.#partial = null;
  }

  /** Nothing of it is left; its numbers go on. */
  clear(): void {
    for (let file = this.firstFile; file <= this.tail.file; file++) {
      this.disk.remove(this.indexPath(file));
      this.disk.remove(this.dataPath(file));
    }
    this.tail = { ...EMPTY, number: this.tail.number };
    for (const path of [this.indexPath(), this.dataPath()]) this.disk.cut(path, 0);
    this.touched = new Set([0]);
    this.#partial = null;
    this.cleared++;
  }

  #begin(message: PacketMessage): Partial {
    const packetBytes = packetBytesOf(message.index);
    if (packetBytes === 0 || packetBytes > PACKET_BYTES_MAX) throw new LinkDataError(`a packet of ${packetBytes} bytes`);
    if (entryField(message.index, FIELD.sequence) !== BigInt(message.number))
      throw new LinkDataError(`packet ${message.number} has another number in its index entry`);
    if (entryField(message.index, FIELD.contentBits) > entryField(message.index, FIELD.packetBits))
      throw new LinkDataError(`packet ${message.number} has more content than it is long`);
    if (this.limits.size > 0 && this.tail.dataAt > 0 && this.tail.dataAt + packetBytes > this.limits.size) this.#nextFile();
    const { number, zstd } = message;
    const index = Uint8Array.from(message.index);
    this.#partial = { number, index, packetBytes, parts: 0, received: 0, compressed: zstd ? [] : null };
    return this.#partial;
  }

  #continue({ number, part }: PacketMessage): Partial {
    const partial = this.#partial;
    if (!partial || partial.number !== number || partial.parts !== part)
      throw new LinkDataError(`part ${part} of packet ${number} follows nothing`);
    return partial;
  }

  /** How much of it is there with this. */
  #place(partial: Partial, { offset, bytes }: PacketMessage): number {
    if (offset !== partial.received || offset + bytes.length > partial.packetBytes)
      throw new LinkDataError(`a part at ${offset} does not follow ${partial.received} of ${partial.packetBytes} bytes`);
    this.disk.write(this.dataPath(), this.tail.dataAt + offset, bytes);
    return offset + bytes.length;
  }

  #collect(partial: Partial, bytes: Uint8Array, last: boolean): number {
    const length = partial.received + bytes.length;
    if (length > COMPRESSED_BYTES_MAX)
      throw new LinkDataError(`a compressed packet of more than ${COMPRESSED_BYTES_MAX} bytes`);
    if (!last) {
      partial.compressed!.push(Uint8Array.from(bytes));
      return length;
    }
    const whole = decompressed([...partial.compressed!, bytes], partial.packetBytes);
    this.disk.write(this.dataPath(), this.tail.dataAt, whole);
    return whole.length;
  }

  #finish({ number, index, packetBytes }: Partial, received: number): void {
    if (received !== packetBytes) throw new LinkDataError(`packet ${number} has ${received} of ${packetBytes} bytes`);
    const { entries, dataAt, file } = this.tail;
    const entry = Buffer.from(index);
    entry.writeBigUInt64BE(BigInt(dataAt), FIELD.offset);
    if (!this.#holds(file, entry)) {
      this.#passOver(number);
      return;
    }
    if (entries === 0) this.disk.write(this.indexPath(), 0, indexHeader());
    this.disk.write(this.indexPath(), INDEX_HEADER_BYTES + entries * INDEX_ENTRY_BYTES, entry);
    this.streamClass ??= entryField(entry, FIELD.streamClass);
    this.touched.add(file);
    this.tail = { file, entries: entries + 1, dataAt: dataAt + packetBytes, number };
    this.#partial = null;
  }

  /** It is no packet, and the sender has no better one. */
  #passOver(number: number): void {
    this.disk.cut(this.dataPath(), this.tail.dataAt);
    this.touched.add(this.tail.file);
    this.tail = { ...this.tail, number };
    this.#partial = null;
    this.unreadable++;
  }

  #nextFile(): void {
    const file = this.tail.file + 1;
    // A viewer may still read what was there.
    for (const path of [this.indexPath(file), this.dataPath(file)]) {
      this.disk.remove(path);
      this.disk.cut(path, 0);
    }
    this.tail = { file, entries: 0, dataAt: 0, number: this.tail.number };
  }

  #cutTo({ file, entries, dataAt }: Tail): void {
    this.disk.cut(this.indexPath(file), entries === 0 ? 0 : INDEX_HEADER_BYTES + entries * INDEX_ENTRY_BYTES);
    this.disk.cut(this.dataPath(file), dataAt);
  }

  #entryAt(file: number, at: number): Buffer | null {
    const entry = this.disk.read(this.indexPath(file), INDEX_HEADER_BYTES + at * INDEX_ENTRY_BYTES, INDEX_ENTRY_BYTES);
    return entry.length === INDEX_ENTRY_BYTES && this.#holds(file, entry) ? entry : null;
  }

  /**
   * What was noted, as far as the files say so too, to the last whole packet: nothing is left where a stream went round since, or was
   * cleared. Its numbers go on.
   */
  #standing({ file, number, entries: noted }: Tail): Tail {
    for (let entries = Math.min(noted, this.#entriesIn(file)); entries > 0; entries--) {
      const entry = this.#entryAt(file, entries - 1);
      if (!entry || entryField(entry, FIELD.sequence) > BigInt(number)) continue;
      this.streamClass = entryField(entry, FIELD.streamClass);
      return { file, entries, dataAt: Number(entryField(entry, FIELD.offset)) + packetBytesOf(entry), number };
    }
    return { ...EMPTY, file, number };
  }

  #entriesIn(file: number): number {
    return Math.max(0, Math.floor((this.disk.size(this.indexPath(file)) - INDEX_HEADER_BYTES) / INDEX_ENTRY_BYTES));
  }

  /** What a file of a split stream has was on the disk before the packet with that number. */
  #isOlder(file: number, number: number): boolean {
    const first = this.#entryAt(file, 0);
    return first !== null && entryField(first, FIELD.sequence) <= BigInt(number);
  }

  #whole(file: number): Tail {
    const dataBytes = this.disk.size(this.dataPath(file));
    for (let entries = this.#entriesIn(file); entries > 0; entries--) {
      const at = INDEX_HEADER_BYTES + (entries - 1) * INDEX_ENTRY_BYTES;
      const entry = this.disk.read(this.indexPath(file), at, INDEX_ENTRY_BYTES);
      const end = Number(entryField(entry, FIELD.offset)) + packetBytesOf(entry);
      if (end > dataBytes || !this.#holds(file, entry)) continue;
      this.streamClass = entryField(entry, FIELD.streamClass);
      return { file, entries, dataAt: end, number: Number(entryField(entry, FIELD.sequence)) };
    }
    return { ...EMPTY, file };
  }

  /** The packet itself says that it is this one. */
  #holds(file: number, entry: Buffer): boolean {
    const header = this.disk.read(this.dataPath(file), Number(entryField(entry, FIELD.offset)), SEQUENCE_AT + 8);
    return (
      header.length === SEQUENCE_AT + 8 &&
      header.readUInt32LE(0) === PACKET_MAGIC &&
      header.readBigUInt64LE(SEQUENCE_AT) === entryField(entry, FIELD.sequence)
    );
  }
}

const decompressed = (parts: readonly Uint8Array[], length: number): Buffer => {
  try {
    return zstdDecompressSync(Buffer.concat(parts), { maxOutputLength: length });
  } catch (thrown) {
    throw new LinkDataError(`a packet is no zstd frame of ${length} bytes (${String((thrown as NodeJS.ErrnoException).code)})`);
  }
};
