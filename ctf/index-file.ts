/** The index of a data file: where each packet lies and what its header says, big-endian, as LTTng lays it out. */
import { readFileSync } from 'node:fs';
import type { PacketHeader, Read } from './packets.ts';

const MAGIC = 0xc1f1dcc1;
const VERSION = [1, 1] as const;
export const HEADER_BYTES = 16;
export const ENTRY_BYTES = 72;

/** In the order in which an entry has them: each a big-endian u64. */
const FIELDS = [
  'offset',
  'packetBits',
  'contentBits',
  'begin',
  'end',
  'discarded',
  'streamClass',
  'streamInstance',
  'sequence',
] as const satisfies readonly (keyof PacketHeader)[];

export type IndexEntry = Readonly<Record<(typeof FIELDS)[number], bigint>>;

const headerFault = (bytes: Buffer): string | null => {
  if (bytes.length < HEADER_BYTES) return `${bytes.length} bytes are no index`;
  if (bytes.readUInt32BE(0) !== MAGIC) return 'no index begins here';
  const version = [bytes.readUInt32BE(4), bytes.readUInt32BE(8)];
  if (version.join('.') !== VERSION.join('.')) return `version ${version.join('.')} is not ${VERSION.join('.')}`;
  const length = bytes.readUInt32BE(12);
  return length === ENTRY_BYTES ? null : `entries of ${length} bytes, not ${ENTRY_BYTES}`;
};

export const readIndex = (path: string): Read<IndexEntry> => {
  const bytes = readFileSync(path);
  const fault = headerFault(bytes);
  if (fault !== null) return { items: [], error: fault };
  const items: IndexEntry[] = [];
  let at = HEADER_BYTES;
  for (; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES)
    items.push(Object.fromEntries(FIELDS.map((name, i) => [name, bytes.readBigUInt64BE(at + 8 * i)])) as IndexEntry);
  return { items, error: at === bytes.length ? null : `cut entry at ${at}` };
};

/** The fields of an entry that are not what the packet says itself. */
export const disagreements = (entry: IndexEntry, packet: PacketHeader): string[] =>
  FIELDS.filter((name) => entry[name] !== BigInt(packet[name])).map(
    (name) => `${name} is ${packet[name]} in the packet, ${entry[name]} in the index`,
  );
