/** The packets of a data file: their headers and contexts, as native/ring/packet.h writes them; the event records are passed over. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

export const PACKET_HEADER_BYTES = 32 + 52;
/** Of a channel with one ring for all CPUs. */
export const PACKET_HEADER_BYTES_ANY_CPU = PACKET_HEADER_BYTES - 4;
const MAGIC = 0xc1fc1fc1;

/** 64-bit numbers as they are: times in ns, sizes in bits. */
export interface PacketHeader {
  readonly offset: bigint; // in the file, bytes
  readonly uuid: string; // 32 hex digits
  readonly streamClass: number;
  readonly streamInstance: bigint;
  readonly begin: bigint;
  readonly end: bigint;
  readonly contentBits: bigint;
  readonly packetBits: bigint;
  readonly sequence: bigint;
  readonly discarded: bigint;
  readonly cpu: number | null;
}

/** What could be read, and why the rest could not. */
export interface Read<T> {
  readonly items: readonly T[];
  readonly error: string | null;
}

const decode = (bytes: Buffer, offset: number, anyCpu: ReadonlySet<number>): PacketHeader => ({
  offset: BigInt(offset),
  uuid: bytes.toString('hex', 4, 20),
  streamClass: bytes.readUInt32LE(20),
  streamInstance: bytes.readBigUInt64LE(24),
  begin: bytes.readBigUInt64LE(32),
  end: bytes.readBigUInt64LE(40),
  contentBits: bytes.readBigUInt64LE(48),
  packetBits: bytes.readBigUInt64LE(56),
  sequence: bytes.readBigUInt64LE(64),
  discarded: bytes.readBigUInt64LE(72),
  cpu: anyCpu.has(bytes.readUInt32LE(20)) ? null : bytes.readUInt32LE(80),
});

const headerBytes = (bytes: Buffer, anyCpu: ReadonlySet<number>): number =>
  anyCpu.has(bytes.readUInt32LE(20)) ? PACKET_HEADER_BYTES_ANY_CPU : PACKET_HEADER_BYTES;

const sizeFault = ({ contentBits, packetBits, cpu }: PacketHeader, left: number): string | null => {
  if (contentBits % 8n !== 0n || packetBits % 8n !== 0n) return 'sizes are not whole bytes';
  if (contentBits < BigInt((cpu === null ? PACKET_HEADER_BYTES_ANY_CPU : PACKET_HEADER_BYTES) * 8) || contentBits > packetBits)
    return `${contentBits} bits of content in a packet of ${packetBits}`;
  return packetBits > BigInt(left) * 8n ? `the packet has ${packetBits} bits, but the file ends after ${left} bytes` : null;
};

/** Reads the headers only: a trace may be larger than the memory. `anyCpu`: the stream classes whose packets name no CPU. */
export const readPackets = (path: string, anyCpu: ReadonlySet<number> = new Set()): Read<PacketHeader> => {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const items: PacketHeader[] = [];
    const bytes = Buffer.alloc(PACKET_HEADER_BYTES);
    for (let offset = 0; offset < size; ) {
      if (readSync(file, bytes, 0, bytes.length, offset) < headerBytes(bytes, anyCpu))
        return { items, error: `cut packet header at ${offset}` };
      if (bytes.readUInt32LE(0) !== MAGIC) return { items, error: `no packet begins at ${offset}` };
      const packet = decode(bytes, offset, anyCpu);
      const fault = sizeFault(packet, size - offset);
      if (fault !== null) return { items, error: `packet at ${offset}: ${fault}` };
      items.push(packet);
      offset += Number(packet.packetBits / 8n);
    }
    return { items, error: null };
  } finally {
    closeSync(file);
  }
};
