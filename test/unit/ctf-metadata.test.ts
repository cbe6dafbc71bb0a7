import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { channelLayout, compactTime, dashed, type TraceDescription, traceMetadata } from '../../ctf/metadata.ts';
import type { Field, IntegerType } from '../../machines/document.ts';

const directory = mkdtempSync(join(tmpdir(), 'weft-ctf-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const UUID = '00112233445566778899aabbccddeeff';
const int = (bits: IntegerType['bits'], more: Partial<IntegerType> = {}): IntegerType => ({
  bits,
  signed: false,
  reverse: false,
  base: 10,
  ...more,
});

const fields: Field[] = [
  { name: 'struct', nowrite: false, type: { kind: 'integer', integer: int(8, { signed: true }) } },
  { name: 'event', nowrite: false, type: { kind: 'integer', integer: int(16, { reverse: true, base: 16 }) } },
  { name: 'hidden', nowrite: true, type: { kind: 'integer', integer: int(64) } },
  {
    name: 'enum',
    nowrite: false,
    type: {
      kind: 'enum',
      container: int(8, { signed: true }),
      name: 'e',
      entries: [
        { start: '-1', end: '-1', label: 'a "quoted" \\ label' },
        { start: '5', end: '9', label: 'range' },
      ],
    },
  },
  {
    name: 'list',
    nowrite: false,
    type: { kind: 'sequence', lengthName: '', lengthType: int(8), text: false, element: int(8) },
  },
  { name: 'text', nowrite: false, type: { kind: 'array', length: 4, text: true, element: int(8, { signed: true }) } },
  { name: 'string', nowrite: false, type: { kind: 'string', encoding: 'utf8' } },
  { name: 'half', nowrite: false, type: { kind: 'float', bits: 32, reverse: false } },
];

const description = (id: number): TraceDescription => ({
  uuid: UUID,
  sessionName: 'a "session" \\ name',
  hostname: 'host',
  createdAt: '2026-11-21T08:04:07.123Z',
  scope: { kind: 'process', uid: 0, pid: 42, procname: 'na"me', startedAt: '20261121-080407' },
  clock: { uuid: UUID, offsetNs: '1000000000000000000' },
  channels: [{ id: 0, contexts: ['vpid'] }],
  eventClasses: [{ id, channel: 0, description: { name: 'p:odd', logLevel: null, modelEmfUri: 'http://e/"x"', fields } }],
});

const PAYLOAD = Buffer.from([0xff, 0x12, 0x34, 0xff, 2, 7, 8, 0x61, 0x62, 0, 0, 0x68, 0x69, 0, 0, 0, 0, 0x3f]);

/** Event headers as native/ring/layout.h has them. */
const header = (id: number, timestamp: bigint, extended: boolean): Buffer => {
  if (extended) {
    const bytes = Buffer.alloc(13);
    bytes[0] = 31;
    bytes.writeUInt32LE(id, 1);
    bytes.writeBigUInt64LE(timestamp, 5);
    return bytes;
  }
  const word = Buffer.alloc(4);
  word.writeUInt32LE((Math.min(id, 30) | ((Number(timestamp & 0x7ffffffn) << 5) >>> 0)) >>> 0);
  if (id < 30) return word;
  const more = Buffer.alloc(2);
  more.writeUInt16LE(id);
  return Buffer.concat([word, more]);
};

const packet = (id: number): Buffer => {
  const vpid = Buffer.from([42, 0, 0, 0]);
  const begin = 5_000_000_000n;
  const events = [
    header(id, begin, true),
    vpid,
    PAYLOAD,
    ...(id > 0xffff ? [] : [header(id, begin + 7n, false), vpid, PAYLOAD]),
  ];
  const body = Buffer.concat(events);
  const head = Buffer.alloc(84);
  head.writeUInt32LE(0xc1fc1fc1, 0);
  Buffer.from(UUID, 'hex').copy(head, 4);
  const bits = BigInt((84 + body.length) * 8);
  for (const [at, value] of [begin, begin + 7n, bits, bits, 0n, 0n].entries()) head.writeBigUInt64LE(value, 32 + 8 * at);
  return Buffer.concat([head, body]);
};

for (const id of [3, 300, 70_000]) {
  test(`babeltrace2 reads an event of id ${id} with every kind of field under names that are keywords, without a word`, () => {
    writeFileSync(join(directory, 'metadata'), traceMetadata(description(id)));
    writeFileSync(join(directory, 'ch_0'), packet(id));
    const read = spawnSync('babeltrace2', [directory], { encoding: 'utf8' });
    assert.deepEqual([read.status, read.stderr], [0, '']);
    const expected =
      'p:odd: { cpu_id = 0 }, { vpid = 42 }, { struct = -1, event = 0x1234, enum = ( "a \\"quoted\\" \\\\ label" : container = -1 ), ' +
      '_list_length = 2, list = [ [0] = 7, [1] = 8 ], text = "ab", string = "hi", half = 0.5 }';
    const lines = read.stdout.trimEnd().split('\n');
    assert.equal(lines.length, id > 0xffff ? 1 : 2);
    for (const line of lines) assert.ok(line.endsWith(expected), line);
  });
}

test('contexts of every kind lie as native/ust/context.c writes them, the values of programs last', () => {
  const channels = [{ id: 0, contexts: ['$app.shop:user', 'vgid', 'perf:thread:cache-misses', 'uts_ns'] }] as const;
  const text = traceMetadata({ ...description(1), channels });
  const at = ['_vgid;', '_perf_thread_cache_misses;', '_uts_ns;', '__app_shop_user_tag;', '__app_shop_user;'].map((name) =>
    text.indexOf(name),
  );
  assert.ok(
    at.every((place, index) => place > (at[index - 1] ?? 0)),
    String(at),
  );
  assert.match(text, /size = 32; align = 8; signed = 0; encoding = none; base = 10; } _vgid;/);
  const layout = channelLayout(channels[0].contexts, []);
  assert.deepEqual([...new Uint32Array(layout.buffer)], [1, 0xffffffff, 2, (4 + 8 + 8) << 2, 3]);
});

test('where the fleet’s reference says otherwise, a trace has the reference’s time, says what was added, and readers bear it', () => {
  const fleet = { reference: 'db-1', offsetNs: '-1500000', uncertaintyNs: '80000' };
  const text = traceMetadata({ ...description(3), clock: { uuid: UUID, offsetNs: '1000000000000000000', fleet } });
  assert.match(text, /weft_clock_reference = "db-1";\s+weft_clock_offset_ns = -1500000;\s+weft_clock_uncertainty_ns = 80000;/);
  assert.match(text, /^\s*offset = 999999999998500000;$/m);
  writeFileSync(join(directory, 'metadata'), text);
  writeFileSync(join(directory, 'ch_0'), packet(3));
  const read = spawnSync('babeltrace2', [directory], { encoding: 'utf8' });
  assert.deepEqual([read.status, read.stderr], [0, '']);
  assert.doesNotMatch(traceMetadata(description(3)), /weft_clock/);
});

test('times and ids are written as readers expect them', () => {
  assert.equal(compactTime('2026-11-21T08:04:07.123Z'), '20261121T080407+0000');
  assert.equal(compactTime('2026-11-21T08:04:07+02:00'), '20261121T080407+0200');
  assert.equal(dashed(UUID), '00112233-4455-6677-8899-aabbccddeeff');
});
