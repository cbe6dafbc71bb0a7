/**
 * Where a viewer stands in one stream, from chunk to chunk. Viewers keep one time for all that they see and take nothing older, so what
 * they are told of a stream never goes back: a packet begins no earlier than what was said before it, and what was lost was lost since.
 */
import type { HeldFile } from './relay-disk.ts';
import { entryField, FIELD, type RelayStream } from './relay-stream.ts';

const INDEX_FIELDS = 7;
/** In a packet: see native/ring/packet.h. Behind them comes the CPU, where packets name one. */
const AT = { begin: 32, end: 40, contentBits: 48, packetBits: 56, sequence: 64, discarded: 72 } as const;
const HEADER_BYTES = 80;
const CPU_BYTES = 4;

/** The packet whose index was given last: all that may be read. */
interface Shown {
  /** Null: there is no more of it than its header. */
  readonly file: HeldFile | null;
  readonly offset: number;
  readonly bytes: number;
  /** As it is told. */
  readonly header: Buffer;
}

/** What the viewer was told last, as packets say it. */
interface Last {
  readonly sequence: bigint;
  readonly discarded: bigint;
  readonly end: bigint;
  readonly streamClass: bigint;
  /** With its CPU, or what stands in that place. */
  readonly header: Buffer;
}

/** Bytes of a packet from its byte `from` on have this header, as far as they reach. */
const putHeader = (bytes: Uint8Array, from: number, header: Uint8Array): void => {
  if (from < header.length) bytes.set(header.subarray(from, from + bytes.length));
};

export class LiveCursor {
  stream: RelayStream;
  /** The last time of which the viewer was told that nothing older comes. */
  told = 0n;
  readonly #next: RelayStream[] = [];
  #file: number;
  #at: number;
  #cleared: number;
  #shown: Shown | null = null;
  #last: Last | null = null;
  /** What is added to the numbers of packets, so that they go on behind what was cleared. */
  #shift = 0n;
  #isJump = false;

  /** From its end: the newest packet, and nothing behind it. */
  constructor(stream: RelayStream, fromEnd: boolean) {
    this.stream = stream;
    this.#file = fromEnd ? stream.tail.file : stream.firstFile;
    this.#at = fromEnd ? stream.tail.entries : 0;
    this.#cleared = stream.cleared;
  }

  /** It goes on in the next chunk. */
  follow(stream: RelayStream): void {
    this.#next.push(stream);
  }

  /** The fields of the next packet's index; null: none yet. `namesCpu`: its packets do. */
  next(namesCpu: () => boolean): bigint[] | null {
    for (let entry = this.#entry(); entry; entry = this.#entry()) {
      const fields = Array.from({ length: FIELD.sequence + 1 }, (_, field) => entryField(entry, field));
      this.close();
      const file = this.stream.disk.hold(this.stream.dataPath(this.#file));
      const header = file?.read(Number(fields[FIELD.offset]), HEADER_BYTES + CPU_BYTES) ?? Buffer.alloc(0);
      const isThere = file !== null && header.length >= HEADER_BYTES;
      if (isThere && !this.#isLossBehindRest(fields)) return this.#show(fields, file, header);
      file?.close();
      if (isThere) return this.rest(namesCpu);
      // Somebody took it away.
      this.#at++;
    }
    return null;
  }

  /** A packet with nothing in it, at the time that was told last; null: nothing was shown that it could follow. */
  rest(namesCpu: () => boolean): bigint[] | null {
    const last = this.#last;
    if (!last) return null;
    this.close();
    const header = Buffer.from(last.header.subarray(0, HEADER_BYTES + (namesCpu() ? CPU_BYTES : 0)));
    const bits = BigInt(header.length * 8);
    this.#last = { ...last, sequence: last.sequence + 1n, end: this.told };
    this.#shift++;
    this.#told(header, this.told, this.told);
    header.writeBigUInt64LE(bits, AT.contentBits);
    header.writeBigUInt64LE(bits, AT.packetBits);
    this.#shown = { file: null, offset: 0, bytes: header.length, header };
    return [0n, bits, bits, this.told, this.told, last.discarded, last.streamClass];
  }

  /** Of the packet whose index was given last, and nothing beyond it; null: of no other. */
  read(offset: bigint, length: number): Buffer | null {
    const shown = this.#shown;
    if (!shown || length === 0) return null;
    const from = Number(offset) - shown.offset;
    if (from < 0 || from >= shown.bytes) return null;
    const wanted = Math.min(length, shown.bytes - from);
    const bytes = shown.file ? shown.file.read(Number(offset), wanted) : Buffer.alloc(wanted);
    putHeader(bytes, from, shown.header);
    return bytes.length === 0 ? null : bytes;
  }

  /** The viewer is gone, or asks for what comes. */
  close(): void {
    this.#shown?.file?.close();
    this.#shown = null;
  }

  /** The entry behind the last one that was given. The next chunk's only when the one before is complete. */
  #entry(): Buffer | null {
    for (;;) {
      const { stream } = this;
      if (this.#cleared !== stream.cleared) this.#begin(stream);
      if (this.#file < stream.firstFile) [this.#file, this.#at] = [stream.firstFile, 0];
      const entry = stream.entry(this.#file, this.#at);
      if (entry) return entry;
      if (this.#file < stream.tail.file) [this.#file, this.#at] = [this.#file + 1, 0];
      else if (stream.archivedBy > 0 && this.#next.length > 0) {
        this.stream = this.#next.shift()!;
        [this.#file, this.#at, this.#cleared] = [this.stream.firstFile, 0, this.stream.cleared];
      } else return null;
    }
  }

  /** What was cleared is not lost. */
  #begin(stream: RelayStream): void {
    [this.#file, this.#at, this.#cleared] = [stream.firstFile, 0, stream.cleared];
    this.#isJump = true;
  }

  /**
   * A viewer dates a loss from the end of the packet before, which is older than what it was told meanwhile: a packet with nothing in
   * it comes between.
   */
  #isLossBehindRest(fields: readonly bigint[]): boolean {
    const last = this.#last;
    if (!last || this.told <= last.end) return false;
    const isGap = !this.#isJump && fields[FIELD.sequence]! + this.#shift !== last.sequence + 1n;
    return isGap || fields[FIELD.discarded]! > last.discarded;
  }

  #show(fields: readonly bigint[], file: HeldFile, header: Buffer): bigint[] {
    if (this.#isJump && this.#last) this.#shift = this.#last.sequence + 1n - fields[FIELD.sequence]!;
    this.#isJump = false;
    const later = (time: bigint): bigint => (time < this.told ? this.told : time);
    // Its events are later than what was told: only a packet without any ends before it.
    const [begin, end] = [later(fields[FIELD.begin]!), later(fields[FIELD.end]!)];
    const discarded = fields[FIELD.discarded]!;
    const sequence = fields[FIELD.sequence]! + this.#shift;
    this.#last = { sequence, discarded, end, streamClass: fields[FIELD.streamClass]!, header };
    this.#told(header, begin, end);
    const bytes = Number(fields[FIELD.packetBits]! / 8n);
    this.#shown = { file, offset: Number(fields[FIELD.offset]), bytes, header: header.subarray(0, HEADER_BYTES) };
    this.#at++;
    this.told = end;
    return fields.slice(0, INDEX_FIELDS).with(FIELD.begin, begin).with(FIELD.end, end);
  }

  /** Into its header. */
  #told(header: Buffer, begin: bigint, end: bigint): void {
    const { sequence, discarded } = this.#last!;
    header.writeBigUInt64LE(begin, AT.begin);
    header.writeBigUInt64LE(end, AT.end);
    header.writeBigUInt64LE(sequence, AT.sequence);
    header.writeBigUInt64LE(discarded, AT.discarded);
  }
}
