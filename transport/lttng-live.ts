/**
 * The live viewer protocol of LTTng, 2.4: what a viewer asks, read from untrusted bytes, and the replies. Big-endian; a reply is one
 * buffer, for two writes would cost the viewer 40 ms.
 */
export const LIVE_MAJOR = 2;
export const LIVE_MINOR = 4;
const HEADER_BYTES = 16;

/** Nothing of this connection makes sense any more. */
export class LiveFrameError extends Error {}

export type LiveRequest =
  | { readonly kind: 'connect'; readonly major: number; readonly minor: number }
  | { readonly kind: 'list' }
  | { readonly kind: 'attach'; readonly session: bigint; readonly seek: number }
  | { readonly kind: 'index'; readonly stream: bigint }
  | { readonly kind: 'packet'; readonly stream: bigint; readonly offset: bigint; readonly length: number }
  | { readonly kind: 'metadata'; readonly stream: bigint }
  | { readonly kind: 'streams'; readonly session: bigint }
  | { readonly kind: 'create' }
  | { readonly kind: 'detach'; readonly session: bigint };

interface Shape {
  readonly bytes: number;
  read(payload: Buffer): LiveRequest;
}

const COMMANDS: Readonly<Record<number, Shape>> = {
  1: { bytes: 20, read: (at) => ({ kind: 'connect', major: at.readUInt32BE(8), minor: at.readUInt32BE(12) }) },
  2: { bytes: 0, read: () => ({ kind: 'list' }) },
  3: { bytes: 20, read: (at) => ({ kind: 'attach', session: at.readBigUInt64BE(0), seek: at.readUInt32BE(16) }) },
  4: { bytes: 8, read: (at) => ({ kind: 'index', stream: at.readBigUInt64BE(0) }) },
  5: {
    bytes: 20,
    read: (at) => ({
      kind: 'packet',
      stream: at.readBigUInt64BE(0),
      offset: at.readBigUInt64BE(8),
      length: at.readUInt32BE(16),
    }),
  },
  6: { bytes: 8, read: (at) => ({ kind: 'metadata', stream: at.readBigUInt64BE(0) }) },
  7: { bytes: 8, read: (at) => ({ kind: 'streams', session: at.readBigUInt64BE(0) }) },
  8: { bytes: 0, read: () => ({ kind: 'create' }) },
  9: { bytes: 8, read: (at) => ({ kind: 'detach', session: at.readBigUInt64BE(0) }) },
};

/** Bytes as they come to requests. It keeps no more than one request: whoever sends more waits. */
export class LiveFrames {
  #bytes: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
  }

  /** The next whole request; null: it has not come yet. Throws LiveFrameError. */
  next(): LiveRequest | null {
    if (this.#bytes.length < HEADER_BYTES) return null;
    const size = this.#bytes.readBigUInt64BE(0);
    const command = this.#bytes.readUInt32BE(8);
    const shape = COMMANDS[command];
    if (!shape) throw new LiveFrameError(`command ${command} is unknown`);
    if (size !== BigInt(shape.bytes)) throw new LiveFrameError(`command ${command} has ${size} bytes, not ${shape.bytes}`);
    if (this.#bytes.length < HEADER_BYTES + shape.bytes) return null;
    const payload = this.#bytes.subarray(HEADER_BYTES, HEADER_BYTES + shape.bytes);
    this.#bytes = this.#bytes.subarray(HEADER_BYTES + shape.bytes);
    return shape.read(payload);
  }
}

export const STATUS = {
  ok: 1,
  attach: { busy: 2, unknown: 3, notLive: 4, badSeek: 5, noViewerSession: 6 },
  streams: { none: 2, error: 3, closed: 4 },
  detach: { unknown: 2, error: 3 },
  index: { retry: 2, hangup: 3, error: 4, inactive: 5 },
  packet: { error: 3 },
  metadata: { none: 2, error: 3 },
} as const;

export const FLAG = { metadata: 1, streams: 2 } as const;

export interface LiveSession {
  readonly id: bigint;
  readonly timerUs: number;
  readonly clients: number;
  readonly streams: number;
  readonly host: string;
  readonly name: string;
}

export interface LiveStream {
  readonly id: bigint;
  readonly trace: bigint;
  readonly metadata: boolean;
  readonly path: string;
  readonly channel: string;
}

/** Cut where it must be, and never without its NUL. */
const putText = (into: Buffer, at: number, size: number, text: string): void => {
  into.write(text, at, size - 1, 'utf8');
};

export const connectReply = (viewer: bigint): Buffer => {
  const reply = Buffer.alloc(20);
  reply.writeBigUInt64BE(viewer, 0);
  reply.writeUInt32BE(LIVE_MAJOR, 8);
  reply.writeUInt32BE(LIVE_MINOR, 12);
  return reply;
};

const SESSION_BYTES = 339;
const HOST_BYTES = 64;
const NAME_BYTES = 255;

export const listReply = (sessions: readonly LiveSession[]): Buffer => {
  const reply = Buffer.alloc(4 + sessions.length * SESSION_BYTES);
  reply.writeUInt32BE(sessions.length, 0);
  for (const [i, { id, timerUs, clients, streams, host, name }] of sessions.entries()) {
    const at = 4 + i * SESSION_BYTES;
    reply.writeBigUInt64BE(id, at);
    reply.writeUInt32BE(timerUs, at + 8);
    reply.writeUInt32BE(clients, at + 12);
    reply.writeUInt32BE(streams, at + 16);
    putText(reply, at + 20, HOST_BYTES, host);
    putText(reply, at + 20 + HOST_BYTES, NAME_BYTES, name);
  }
  return reply;
};

const STREAM_BYTES = 4371;
const PATH_BYTES = 4096;

/** To ATTACH_SESSION and GET_NEW_STREAMS. */
export const streamsReply = (status: number, streams: readonly LiveStream[] = []): Buffer => {
  const reply = Buffer.alloc(8 + streams.length * STREAM_BYTES);
  reply.writeUInt32BE(status, 0);
  reply.writeUInt32BE(streams.length, 4);
  for (const [i, { id, trace, metadata, path, channel }] of streams.entries()) {
    const at = 8 + i * STREAM_BYTES;
    reply.writeBigUInt64BE(id, at);
    reply.writeBigUInt64BE(trace, at + 8);
    reply.writeUInt32BE(metadata ? 1 : 0, at + 16);
    putText(reply, at + 20, PATH_BYTES, path);
    putText(reply, at + 20 + PATH_BYTES, NAME_BYTES, channel);
  }
  return reply;
};

const INDEX_FIELDS = 7;

/** `fields`: the first seven of an index entry, which are the reply's. */
export const indexReply = (status: number, flags = 0, fields: readonly bigint[] = []): Buffer => {
  const reply = Buffer.alloc(64);
  for (const [i, value] of fields.slice(0, INDEX_FIELDS).entries()) reply.writeBigUInt64BE(value, i * 8);
  reply.writeUInt32BE(status, 56);
  reply.writeUInt32BE(flags, 60);
  return reply;
};

/** Nothing older than `end` will come on the stream. */
export const inactiveReply = (end: bigint, streamClass: bigint): Buffer =>
  indexReply(STATUS.index.inactive, 0, [0n, 0n, 0n, 0n, end, 0n, streamClass]);

export const packetReply = (status: number, bytes: Uint8Array = new Uint8Array(), flags = 0): Buffer => {
  const reply = Buffer.alloc(12 + bytes.length);
  reply.writeUInt32BE(status, 0);
  reply.writeUInt32BE(bytes.length, 4);
  reply.writeUInt32BE(flags, 8);
  reply.set(bytes, 12);
  return reply;
};

export const metadataReply = (status: number, bytes: Uint8Array = new Uint8Array()): Buffer => {
  const reply = Buffer.alloc(12 + bytes.length);
  reply.writeBigUInt64BE(BigInt(bytes.length), 0);
  reply.writeUInt32BE(status, 8);
  reply.set(bytes, 12);
  return reply;
};

/** To CREATE_SESSION and DETACH_SESSION. */
export const statusReply = (status: number): Buffer => {
  const reply = Buffer.alloc(4);
  reply.writeUInt32BE(status, 0);
  return reply;
};

const METADATA_MAGIC = 0x75d11d57;
const METADATA_HEADER_BYTES = 37;
const METADATA_TEXT_MAX = 32 << 10;

const metadataPacket = (uuid: Buffer, text: Buffer): Buffer => {
  const packet = Buffer.alloc(METADATA_HEADER_BYTES + text.length);
  packet.writeUInt32LE(METADATA_MAGIC, 0);
  uuid.copy(packet, 4);
  packet.writeUInt32LE(packet.length * 8, 24); // content, then the packet: no padding
  packet.writeUInt32LE(packet.length * 8, 28);
  packet[35] = 1; // CTF 1.8
  packet[36] = 8;
  text.copy(packet, METADATA_HEADER_BYTES);
  return packet;
};

/** Text of CTF 1.8 metadata as the packets that viewers expect; `uuid`: the trace's, 16 bytes. */
export const metadataPackets = (uuid: Buffer, text: string): Buffer => {
  const bytes = Buffer.from(text);
  const count = Math.ceil(bytes.length / METADATA_TEXT_MAX);
  return Buffer.concat(
    Array.from({ length: count }, (_, i) =>
      metadataPacket(uuid, bytes.subarray(i * METADATA_TEXT_MAX, (i + 1) * METADATA_TEXT_MAX)),
    ),
  );
};
