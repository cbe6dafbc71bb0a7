/**
 * What one viewer sees of one link: its streams with a position each, and what it was told of their metadata. Data is read from the
 * relay's files as soon as it was written there, before it is durable.
 */
import {
  FLAG,
  inactiveReply,
  indexReply,
  type LiveStream,
  metadataPackets,
  metadataReply,
  packetReply,
  STATUS,
  streamsReply,
} from '../transport/lttng-live.ts';
import type { LinkStore, Trace } from './relay-store.ts';
import { entryField, FIELD, type RelayStream } from './relay-stream.ts';

const PACKET_REPLY_MAX = 1 << 20;
const INDEX_FIELDS = 7;
/** Of `timestamp_begin` in a packet. */
const BEGIN_AT = 32;

interface Cursor {
  readonly stream: RelayStream;
  file: number;
  at: number;
  cleared: number;
  /** The last time of which the viewer was told that nothing older comes. */
  told: bigint;
  /** The packet whose index was given last: all that may be read. */
  packet: { readonly file: number; readonly offset: number; readonly bytes: number; readonly begin: bigint } | null;
}

/** One of the blocks that metadata is made of, each complete. */
const blocksOf = (text: string): string[] => text.split(/\n\n(?=\S)/).map((block) => `${block.trimEnd()}\n\n`);

const uuidOf = (text: string): Buffer => {
  const dashed = /\buuid = "([0-9a-f-]{36})"/.exec(text)?.[1] ?? '';
  const uuid = Buffer.from(dashed.replaceAll('-', ''), 'hex');
  return uuid.length === 16 ? uuid : Buffer.alloc(16);
};

class Metadata {
  readonly trace: Trace;
  readonly id: bigint;
  readonly #told = new Set<string>();
  #seen = '';

  constructor(trace: Trace, id: bigint) {
    this.trace = trace;
    this.id = id;
  }

  get news(): boolean {
    return this.trace.text !== this.#seen;
  }

  /** The text grows by whole blocks: readers join what they get. */
  take(): Buffer {
    const blocks = blocksOf(this.trace.text).filter((block) => !this.#told.has(block));
    for (const block of blocks) this.#told.add(block);
    this.#seen = this.trace.text;
    return metadataPackets(uuidOf(this.trace.text), blocks.join(''));
  }
}

/** Bytes of a packet from its byte `from` on say when it begins, as far as they reach. */
const putBegin = (bytes: Uint8Array, from: number, begin: bigint): void => {
  const text = Buffer.alloc(8);
  text.writeBigUInt64LE(begin);
  for (const [i, byte] of text.entries()) {
    const at = BEGIN_AT + i - from;
    if (at >= 0 && at < bytes.length) bytes[at] = byte;
  }
};

/** The newest entry, or nothing behind it. */
const atEnd = ({ tail, cleared }: RelayStream) => ({ file: tail.file, at: tail.entries, cleared });
const atBeginning = (stream: RelayStream) => ({ file: stream.firstFile, at: 0, cleared: stream.cleared });

export const SEEK = { beginning: 1, last: 2 } as const;

export class LiveView {
  readonly id: bigint;
  readonly store: LinkStore;
  readonly #cursors = new Map<bigint, Cursor>();
  readonly #known = new Set<RelayStream>();
  readonly #metadata = new Map<Trace, Metadata>();
  #ids = 0n;
  #dropped = 0;

  constructor(id: bigint, store: LinkStore) {
    this.id = id;
    this.store = store;
  }

  /** The streams that there are; those that come later are seen from their beginning. */
  attach(seek: number): Buffer {
    const streams = this.#announce(seek === SEEK.last ? atEnd : atBeginning);
    return streamsReply(STATUS.ok, streams);
  }

  newStreams(): Buffer {
    const streams = this.#announce(atBeginning);
    if (streams.length > 0) return streamsReply(STATUS.ok, streams);
    return streamsReply(this.store.over ? STATUS.streams.closed : STATUS.streams.none);
  }

  metadata(id: bigint): Buffer {
    const metadata = [...this.#metadata.values()].find((one) => one.id === id);
    if (!metadata) return metadataReply(STATUS.metadata.error);
    if (!metadata.news) return metadataReply(STATUS.metadata.none);
    const bytes = metadata.take();
    return bytes.length === 0 ? metadataReply(STATUS.metadata.none) : metadataReply(STATUS.ok, bytes);
  }

  index(id: bigint): Buffer {
    const cursor = this.#cursors.get(id);
    if (!cursor) {
      const known = [...this.#metadata.values()].some((one) => one.id === id);
      return indexReply(known ? STATUS.index.hangup : STATUS.index.error);
    }
    const { stream } = cursor;
    const entry = this.#advance(cursor);
    if (entry) return this.#found(cursor, entry);
    const trace = this.store.traces.get(stream.trace);
    if (this.store.over || stream.archivedBy > 0 || trace?.ended) return indexReply(STATUS.index.hangup);
    if (stream.beacon <= cursor.told || stream.streamClass === null) return indexReply(STATUS.index.retry, this.#flags(stream));
    cursor.told = stream.beacon;
    return inactiveReply(stream.beacon, stream.streamClass);
  }

  /** Of the packet whose index was asked for last, and nothing beyond it. */
  packet(id: bigint, offset: bigint, length: number): Buffer {
    const cursor = this.#cursors.get(id);
    const packet = cursor?.packet;
    const inside = packet && offset >= packet.offset && offset < packet.offset + packet.bytes;
    if (!inside || length === 0 || cursor.cleared !== cursor.stream.cleared || packet.file < cursor.stream.firstFile)
      return packetReply(STATUS.packet.error);
    const left = packet.offset + packet.bytes - Number(offset);
    const { disk } = cursor.stream;
    const bytes = disk.read(cursor.stream.dataPath(packet.file), Number(offset), Math.min(length, left, PACKET_REPLY_MAX));
    putBegin(bytes, Number(offset) - packet.offset, packet.begin);
    return bytes.length === 0 ? packetReply(STATUS.packet.error) : packetReply(STATUS.ok, bytes);
  }

  /** The entry behind the last one that was given; null: none yet. */
  #advance(cursor: Cursor): Buffer | null {
    const { stream } = cursor;
    if (cursor.cleared !== stream.cleared) Object.assign(cursor, atBeginning(stream), { packet: null });
    if (cursor.file < stream.firstFile) Object.assign(cursor, atBeginning(stream));
    for (;;) {
      const entry = stream.entry(cursor.file, cursor.at);
      if (entry || cursor.file >= stream.tail.file) return entry;
      cursor.file++;
      cursor.at = 0;
    }
  }

  /**
   * A packet begins where the one before ended, which may have been long ago; a viewer that was told of a later time meanwhile refuses
   * one that begins before that. Its events are later.
   */
  #found(cursor: Cursor, entry: Buffer): Buffer {
    const fields = Array.from({ length: INDEX_FIELDS }, (_, field) => entryField(entry, field));
    const bytes = Number(fields[FIELD.packetBits]! / 8n);
    const end = fields[FIELD.end]!;
    if (fields[FIELD.begin]! < cursor.told) fields[FIELD.begin] = cursor.told;
    if (fields[FIELD.begin]! > end) fields[FIELD.begin] = end;
    cursor.packet = { file: cursor.file, offset: Number(fields[FIELD.offset]), bytes, begin: fields[FIELD.begin]! };
    cursor.at++;
    if (end > cursor.told) cursor.told = end;
    return indexReply(STATUS.ok, this.#flags(cursor.stream), fields);
  }

  #flags({ trace }: RelayStream): number {
    const known = this.store.traces.get(trace);
    const news = known && this.#metadata.get(known)?.news;
    return (news ? FLAG.metadata : 0) | (this.#hidden().length > 0 ? FLAG.streams : 0);
  }

  /** The relay has let go of them. */
  #forgetDropped(): void {
    if (this.#dropped === this.store.dropped) return;
    this.#dropped = this.store.dropped;
    for (const known of this.#known) if (this.store.streams.get(known.path) !== known) this.#known.delete(known);
  }

  /** What the viewer was not told of. A stream is nothing to it before there is metadata of its trace. */
  #hidden(): RelayStream[] {
    this.#forgetDropped();
    if (this.#known.size === this.store.streams.size) return [];
    return [...this.store.streams.values()].filter(
      (stream) => !this.#known.has(stream) && stream.tail.number >= 0 && this.store.traces.has(stream.trace),
    );
  }

  /** A trace comes with its first stream: viewers forget one that has none. */
  #announce(place: (stream: RelayStream) => Pick<Cursor, 'file' | 'at' | 'cleared'>): LiveStream[] {
    const announced: LiveStream[] = [];
    for (const stream of this.#hidden()) {
      const trace = this.store.traces.get(stream.trace)!;
      this.#known.add(stream);
      // A chunk that was archived before is not live.
      if (trace.ended && !this.#metadata.has(trace)) continue;
      if (!this.#metadata.has(trace)) announced.push(this.#addMetadata(trace));
      const id = ++this.#ids;
      this.#cursors.set(id, { stream, ...place(stream), told: 0n, packet: null });
      const { id: ofTrace } = this.#metadata.get(trace)!;
      announced.push({ id, trace: ofTrace, metadata: false, path: stream.trace, channel: stream.name });
    }
    return announced;
  }

  #addMetadata(trace: Trace): LiveStream {
    const metadata = new Metadata(trace, ++this.#ids);
    this.#metadata.set(trace, metadata);
    return { id: metadata.id, trace: metadata.id, metadata: true, path: trace.path, channel: 'metadata' };
  }
}
