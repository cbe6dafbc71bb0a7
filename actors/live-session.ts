/**
 * What one viewer sees of one link: its streams with a position each, and what it was told of their metadata. Data is read from the
 * relay's files as soon as it was written there, before it is durable. A rotation is nothing to a viewer: streams and traces go on.
 */
import {
  FLAG,
  inactiveReply,
  indexReply,
  type LiveStream,
  metadataReply,
  packetReply,
  STATUS,
  streamsReply,
} from '../transport/lttng-live.ts';
import { LiveCursor } from './live-cursor.ts';
import { LiveMetadata, namesCpu } from './live-metadata.ts';
import type { LinkStore, Trace } from './relay-store.ts';
import type { RelayStream } from './relay-stream.ts';

const PACKET_REPLY_MAX = 1 << 20;

/** The same in each chunk: below the directory of the domain. */
const keyOf = (path: string): string => /(?:^|\/)((?:ust|kernel)(?:\/.*)?)$/.exec(path)?.[1] ?? path;

export const SEEK = { beginning: 1, last: 2 } as const;

/** The chunks in their order: that of now is the last. */
const orderOf = ({ archivedBy }: RelayStream): number => (archivedBy === 0 ? Number.MAX_SAFE_INTEGER : archivedBy);

/** Ids of streams are those of a connection: a viewer may watch several sessions. */
export const streamIds = (): (() => bigint) => {
  let last = 0n;
  return () => ++last;
};

export class LiveView {
  readonly id: bigint;
  readonly store: LinkStore;
  readonly #nextId: () => bigint;
  readonly #cursors = new Map<bigint, LiveCursor>();
  readonly #known = new Set<RelayStream>();
  /** By what stays the same in each chunk: those that go on. */
  readonly #lasting = new Map<string, LiveCursor>();
  readonly #metadata = new Map<string, LiveMetadata>();
  #dropped = 0;

  constructor(id: bigint, store: LinkStore, nextId = streamIds()) {
    this.id = id;
    this.store = store;
    this.#nextId = nextId;
  }

  has(id: bigint): boolean {
    return this.#cursors.has(id) || this.#metadataBy(id) !== undefined;
  }

  /** The streams that there are; those that come later are seen from their beginning. */
  attach(seek: number): Buffer {
    // A chunk that was archived before is not live.
    for (const stream of this.store.streams.values()) if (stream.archivedBy > 0) this.#known.add(stream);
    return streamsReply(STATUS.ok, this.#announce(seek === SEEK.last));
  }

  newStreams(): Buffer {
    const streams = this.#announce(false);
    if (streams.length > 0) return streamsReply(STATUS.ok, streams);
    return streamsReply(this.store.over ? STATUS.streams.closed : STATUS.streams.none);
  }

  metadata(id: bigint): Buffer {
    const metadata = this.#metadataBy(id);
    if (!metadata) return metadataReply(STATUS.metadata.error);
    if (!metadata.news) return metadataReply(STATUS.metadata.none);
    const bytes = metadata.take();
    return bytes.length === 0 ? metadataReply(STATUS.metadata.none) : metadataReply(STATUS.ok, bytes);
  }

  index(id: bigint): Buffer {
    const cursor = this.#cursors.get(id);
    if (!cursor) return indexReply(this.#metadataBy(id) ? STATUS.index.hangup : STATUS.index.error);
    this.#follow();
    const namesCpu = () => this.#namesCpu(cursor.stream);
    const fields = cursor.next(namesCpu);
    if (fields) return indexReply(STATUS.ok, this.#flags(cursor.stream), fields);
    const { stream } = cursor;
    if (this.#isEnded(stream)) return this.#hangUp(cursor);
    const beacon = stream.archivedBy > 0 ? this.store.beacon : stream.beacon;
    const flags = this.#flags(stream);
    if (beacon <= cursor.told || stream.streamClass === null) return indexReply(STATUS.index.retry, flags);
    // A viewer goes on to that time with what it knows, so it has to know all; and it looks for flags with packets only.
    const empty = (flags & FLAG.streams) === 0 ? null : cursor.rest(namesCpu);
    if (empty) return indexReply(STATUS.ok, flags, empty);
    cursor.told = beacon;
    return inactiveReply(beacon, stream.streamClass);
  }

  /** Of the packet whose index was asked for last, and nothing beyond it. */
  packet(id: bigint, offset: bigint, length: number): Buffer {
    const bytes = this.#cursors.get(id)?.read(offset, Math.min(length, PACKET_REPLY_MAX)) ?? null;
    return bytes ? packetReply(STATUS.ok, bytes) : packetReply(STATUS.packet.error);
  }

  close(): void {
    for (const cursor of this.#cursors.values()) cursor.close();
  }

  #metadataBy(id: bigint): LiveMetadata | undefined {
    return [...this.#metadata.values()].find((one) => one.id === id);
  }

  #namesCpu({ trace, streamClass }: RelayStream): boolean {
    return namesCpu(this.store.traces.get(trace)?.text ?? '', streamClass ?? 0n);
  }

  /** Nothing comes any more. What was archived may go on: a ring that rests has no stream in the next chunk before something is recorded. */
  #isEnded(stream: RelayStream): boolean {
    return this.store.over || (stream.archivedBy === 0 && this.store.traces.get(stream.trace)?.ended === true);
  }

  #hangUp(cursor: LiveCursor): Buffer {
    cursor.close();
    const key = keyOf(cursor.stream.path);
    if (this.#lasting.get(key) === cursor) this.#lasting.delete(key);
    return indexReply(STATUS.index.hangup);
  }

  #flags({ trace }: RelayStream): number {
    const news = this.#metadata.get(keyOf(trace))?.news;
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
    const isNews = (stream: RelayStream) =>
      !this.#known.has(stream) && stream.tail.number >= 0 && this.store.traces.has(stream.trace);
    return [...this.store.streams.values()].filter(isNews).sort((a, b) => orderOf(a) - orderOf(b));
  }

  /** What goes on in another chunk needs no telling. */
  #follow(): void {
    for (const stream of this.#hidden()) this.#goesOn(stream);
  }

  #goesOn(stream: RelayStream): boolean {
    const cursor = this.#lasting.get(keyOf(stream.path));
    if (!cursor) return false;
    this.#known.add(stream);
    cursor.follow(stream);
    this.#metadata.get(keyOf(stream.trace))!.follow(this.store.traces.get(stream.trace)!);
    return true;
  }

  /** A trace comes with its first stream: viewers forget one that has none. */
  #announce(fromEnd: boolean): LiveStream[] {
    const announced: LiveStream[] = [];
    for (const stream of this.#hidden()) {
      if (this.#goesOn(stream)) continue;
      const trace = this.store.traces.get(stream.trace)!;
      this.#known.add(stream);
      const known = this.#metadata.get(keyOf(trace.path));
      const metadata = known ?? this.#addMetadata(trace);
      if (!known) announced.push(describe(metadata, trace));
      metadata.follow(trace);
      const cursor = new LiveCursor(stream, fromEnd);
      const id = this.#nextId();
      this.#cursors.set(id, cursor);
      this.#lasting.set(keyOf(stream.path), cursor);
      announced.push({ id, trace: metadata.id, metadata: false, path: stream.trace, channel: stream.name });
    }
    return announced;
  }

  #addMetadata(trace: Trace): LiveMetadata {
    const metadata = new LiveMetadata(this.store, trace, this.#nextId());
    this.#metadata.set(keyOf(trace.path), metadata);
    return metadata;
  }
}

const describe = ({ id }: LiveMetadata, { path }: Trace): LiveStream => ({
  id,
  trace: id,
  metadata: true,
  path,
  channel: 'metadata',
});
