/** Metadata as readers of streams take it: text in packets, each with a header that names the trace. Native (little-endian) order. */
const MAGIC = 0x75d11d57;
const HEADER_BYTES = 37;
const PACKET_BYTES = 4096;
const VERSION = [1, 8] as const;

const header = (uuid: Buffer, contentBytes: number, packetBytes: number): Buffer => {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  uuid.copy(bytes, 4);
  // No checksum, compression or encryption: zeros from 20 on, but for the sizes in bits and the version.
  bytes.writeUInt32LE(contentBytes * 8, 24);
  bytes.writeUInt32LE(packetBytes * 8, 28);
  bytes.set(VERSION, 35);
  return bytes;
};

/** `uuid`: 32 hex digits. The packets of texts one after the other are the packets of the texts together. */
export const metadataPackets = (text: string, uuid: string): Buffer => {
  const [bytes, id] = [Buffer.from(text, 'utf8'), Buffer.from(uuid, 'hex')];
  const packets: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += PACKET_BYTES - HEADER_BYTES) {
    const part = bytes.subarray(at, at + PACKET_BYTES - HEADER_BYTES);
    const used = HEADER_BYTES + part.length;
    packets.push(header(id, used, PACKET_BYTES), part, Buffer.alloc(PACKET_BYTES - used));
  }
  return Buffer.concat(packets);
};
