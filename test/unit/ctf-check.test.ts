/** The checker of the fault tests: it accepts what the consumer writes and names each kind of damage. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { checkTrace } from '../../ctf/check-trace.ts';
import { PACKET_HEADER_BYTES } from '../../ctf/packets.ts';

const UUID = '00112233445566778899aabbccddeeff';
const SIZE = 256;

interface Packet {
  uuid: string;
  instance: bigint;
  begin: bigint;
  end: bigint;
  contentBits: bigint;
  packetBits: bigint;
  sequence: bigint;
  discarded: bigint;
  cpu: number;
}

/** The n-th packet of a stream in which nothing is wrong. */
const packet = (n: number, changes: Partial<Packet> = {}): Packet => ({
  uuid: UUID,
  instance: 0n,
  begin: BigInt(n) * 100n,
  end: BigInt(n) * 100n + 90n,
  contentBits: BigInt((PACKET_HEADER_BYTES + 16) * 8),
  packetBits: BigInt(SIZE * 8),
  sequence: BigInt(n),
  discarded: 0n,
  cpu: 0,
  ...changes,
});

const bytesOf = (of: Packet): Buffer => {
  const bytes = Buffer.alloc(SIZE);
  bytes.writeUInt32LE(0xc1fc1fc1, 0);
  bytes.write(of.uuid, 4, 'hex');
  bytes.writeBigUInt64LE(of.instance, 24);
  const context = [of.begin, of.end, of.contentBits, of.packetBits, of.sequence, of.discarded];
  for (const [at, value] of context.entries()) bytes.writeBigUInt64LE(value, 32 + 8 * at);
  bytes.writeUInt32LE(of.cpu, 80);
  return bytes;
};

const indexOf = (packets: readonly Packet[]): Buffer => {
  const header = Buffer.alloc(16);
  for (const [at, word] of [0xc1f1dcc1, 1, 1, 72].entries()) header.writeUInt32BE(word, 4 * at);
  const entries = packets.map((of, at) => {
    const entry = Buffer.alloc(72);
    const fields = [
      BigInt(at * SIZE),
      of.packetBits,
      of.contentBits,
      of.begin,
      of.end,
      of.discarded,
      0n,
      of.instance,
      of.sequence,
    ];
    for (const [place, value] of fields.entries()) entry.writeBigUInt64BE(value, 8 * place);
    return entry;
  });
  return Buffer.concat([header, ...entries]);
};

interface Files {
  data: Buffer;
  index: Buffer | null;
  metadata: string;
}

const filesOf = (packets: readonly Packet[], changes: Partial<Files> = {}): Files => ({
  data: Buffer.concat(packets.map(bytesOf)),
  index: indexOf(packets),
  metadata: 'trace {\n  major = 1;\n  uuid = "00112233-4455-6677-8899-aabbccddeeff";\n};\n',
  ...changes,
});

const write = (t: TestContext, streams: Readonly<Record<string, Files>>): string => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-check-'));
  t.after(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, 'index'));
  for (const [name, { data, index, metadata }] of Object.entries(streams)) {
    writeFileSync(join(directory, name), data);
    if (index) writeFileSync(join(directory, 'index', `${name}.idx`), index);
    if (metadata) writeFileSync(join(directory, 'metadata'), metadata);
  }
  return directory;
};

const three = (): Packet[] => [packet(0), packet(1, { discarded: 5n }), packet(2, { discarded: 7n })];

test('a trace in which everything agrees has no faults; what was lost is the last word of each stream', (t) => {
  const other = three().map((of) => ({ ...of, instance: 1n, cpu: 1 }));
  const report = checkTrace(write(t, { ch_0: filesOf(three()), ch_1: filesOf(other) }));
  assert.deepEqual(report, { files: 2, packets: 6, discarded: 14n, errors: [] });
});

const damages: readonly { what: string; files: Files; says: RegExp }[] = [
  {
    what: 'a cut packet',
    files: filesOf(three(), { data: Buffer.concat(three().map(bytesOf)).subarray(0, 700) }),
    says: /ends after 188/,
  },
  {
    what: 'a cut header',
    files: filesOf(three(), { data: Buffer.concat(three().map(bytesOf)).subarray(0, 530) }),
    says: /cut packet header at 512/,
  },
  {
    what: 'something that is no packet',
    files: filesOf(three(), { data: Buffer.concat([bytesOf(packet(0)), Buffer.alloc(SIZE)]) }),
    says: /no packet begins at 256/,
  },
  {
    what: 'more content than packet',
    files: filesOf([packet(0, { contentBits: 4096n })]),
    says: /4096 bits of content in a packet of 2048/,
  },
  { what: 'half a byte', files: filesOf([packet(0, { contentBits: 801n })]), says: /not whole bytes/ },
  { what: 'a packet that is missing', files: filesOf([packet(0), packet(2)]), says: /packet 1: number 2 follows 0/ },
  { what: 'a packet that is there twice', files: filesOf([packet(0), packet(0)]), says: /number 0 follows 0/ },
  {
    what: 'time that goes back',
    files: filesOf([packet(0), packet(1, { begin: 50n })]),
    says: /begins at 50, before the last end 90/,
  },
  { what: 'an end before the begin', files: filesOf([packet(1, { end: 3n })]), says: /ends at 3, before its begin 100/ },
  {
    what: 'a count of losses that shrinks',
    files: filesOf([packet(0, { discarded: 9n }), packet(1, { discarded: 8n })]),
    says: /8 discarded, after 9/,
  },
  { what: 'another CPU in the middle', files: filesOf([packet(0), packet(1, { cpu: 3 })]), says: /cpu changes from 0 to 3/ },
  { what: 'a packet of another trace', files: filesOf([packet(0, { uuid: 'f'.repeat(32) })]), says: /is not the trace's/ },
  { what: 'no metadata', files: filesOf(three(), { metadata: '' }), says: /no metadata beside it/ },
  { what: 'no index', files: filesOf(three(), { index: null }), says: /there is no index/ },
  {
    what: 'an index that ends early',
    files: filesOf(three(), { index: indexOf(three().slice(0, 2)) }),
    says: /index has 2 packets, the file 3/,
  },
  {
    what: 'a cut index entry',
    files: filesOf(three(), { index: indexOf(three()).subarray(0, 100) }),
    says: /index: cut entry at 88/,
  },
  { what: 'an index of something else', files: filesOf(three(), { index: Buffer.alloc(64) }), says: /no index begins here/ },
  {
    what: 'an index entry that says otherwise',
    files: filesOf(three(), {
      index: indexOf([packet(0), packet(1, { discarded: 5n, end: 1n }), packet(2, { discarded: 7n })]),
    }),
    says: /packet 1: end is 190 in the packet, 1 in the index/,
  },
];

for (const { what, files, says } of damages) {
  test(`the checker names ${what}`, (t) => {
    const { errors } = checkTrace(write(t, { ch_0: files }));
    assert.ok(
      errors.some((error) => error.includes('ch_0') && says.test(error)),
      errors.join('\n') || 'it found nothing',
    );
  });
}

test('the checker names two files that are the same stream', (t) => {
  const { errors } = checkTrace(write(t, { ch_0: filesOf(three()), ch_1: filesOf(three()) }));
  assert.match(errors.join('\n'), /ch_1: the same stream as .*ch_0/);
});
