/** What applications may say, and what happens to those who say something else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeFromApplication, decodeWire, encodeWire } from '../../actors/wire.ts';
import { WireError } from '../../actors/wire-codec.ts';
import type { Field } from '../../machines/document.ts';

const integer = { bits: 32, signed: true, reverse: false, base: 10 } as const;

const FIELDS: readonly Field[] = [
  { name: 'i', nowrite: false, type: { kind: 'integer', integer: { bits: 64, signed: false, reverse: true, base: 16 } } },
  { name: 'f', nowrite: false, type: { kind: 'float', bits: 32, reverse: false } },
  { name: 's', nowrite: true, type: { kind: 'string', encoding: 'utf8' } },
  {
    name: 'e',
    nowrite: false,
    type: {
      kind: 'enum',
      container: integer,
      name: 'colour',
      entries: [
        { start: '-3', end: '-1', label: 'below' },
        { start: '0', end: '18446744073709551615', label: 'a "b"\n' },
      ],
    },
  },
  { name: 'a', nowrite: false, type: { kind: 'array', length: 4, text: true, element: { ...integer, bits: 8 } } },
  {
    name: 'q',
    nowrite: false,
    type: { kind: 'sequence', lengthName: '', lengthType: { ...integer, signed: false }, text: false, element: integer },
  },
];

const point = (change: Record<string, unknown> = {}): Buffer =>
  encodeWire('point', { point: 3, logLevel: 6, name: 'a:b', modelEmfUri: 'http://x', fields: FIELDS, ...change } as never);

test('a point with every kind of field comes back as it was sent', () => {
  assert.deepEqual(decodeFromApplication(point()), {
    kind: 'point',
    point: 3,
    logLevel: 6,
    name: 'a:b',
    modelEmfUri: 'http://x',
    fields: FIELDS,
  });
  const undeclared = decodeFromApplication(point({ logLevel: null }));
  assert.equal(undeclared.kind === 'point' && undeclared.logLevel, null);
});

const CONTEXTS = ['vpid', 'uts_ns', 'vsgid', 'perf:thread:task-clock', 'perf:thread:raw:rff:raw', '$app.shop:user'] as const;

test('every command of the daemon comes back as it was sent', () => {
  const geometry = {
    cpuCount: 2,
    subbufSize: 4096,
    subbufCount: 4,
    mode: 'overwrite',
    sync: 'lock',
    allocation: 'per-cpu',
  } as const;
  const attach = {
    command: 1,
    channel: 2,
    ringId: 'ab'.repeat(16),
    geometry,
    contexts: CONTEXTS,
    blockingNs: 5n,
  } as const;
  assert.deepEqual(decodeWire(encodeWire('attach', attach)), { kind: 'attach', ...attach });
  const enable = { command: 1, channel: 2, point: 3, eventId: 70000, filter: Buffer.from('0101', 'hex') };
  assert.deepEqual(decodeWire(encodeWire('enable', enable)), { kind: 'enable', ...enable });
  const dump = { command: 3, channel: 2 };
  assert.deepEqual(decodeWire(encodeWire('statedump', dump)), { kind: 'statedump', ...dump });
});

test('the bytes are those of wire.h', () => {
  const hello = encodeWire('hello', { abi: 1, pid: 2, bits: 64, rseq: true, reserved: null, procname: 'p', path: '/x' });
  assert.equal(
    hello.toString('hex'),
    '010000001b000000' + '01000000' + '02000000' + '40' + '01' + '0000' + '010070' + '02002f78',
  );
});

const patched = (bytes: Buffer, at: number, value: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(value, at);
  return copy;
};
const sized = (bytes: Buffer): Buffer => {
  const copy = Buffer.from(bytes);
  copy.writeUInt32LE(copy.length, 4);
  return copy;
};

const HELLO = encodeWire('hello', { abi: 1, pid: 2, bits: 64, rseq: true, reserved: null, procname: 'p', path: '/x' });

const MALICIOUS: Readonly<Record<string, Buffer>> = {
  'an empty message': Buffer.alloc(0),
  'half a header': HELLO.subarray(0, 6),
  'a length that is too small': patched(HELLO, 4, 3),
  'a length that is too large': patched(HELLO, 7, 0xff),
  'a type that nobody knows': patched(HELLO, 0, 99),
  'reserved bytes that are set': patched(HELLO, 2, 1),
  'a flag that is neither 0 nor 1': patched(HELLO, 17, 7),
  'a text that is longer than the message': patched(HELLO, 20, 200),
  'a message cut at the end': sized(HELLO.subarray(0, HELLO.length - 1)),
  'bytes behind the end': sized(Buffer.concat([HELLO, Buffer.from([0])])),
  'a name that is too long': point({ name: `a:${'x'.repeat(5000)}` }),
  'a name without provider': point({ name: 'nothing' }),
  'a name with a control character': point({ name: 'a:b\u0007' }),
  'a name with a NUL': point({ name: 'a:b\0' }),
  'a field whose name is code': point({ fields: [{ ...FIELDS[0]!, name: 'x; }; event {' }] }),
  'a field whose name is empty': point({ fields: [{ ...FIELDS[0]!, name: '' }] }),
  'too many fields': point({ fields: Array.from({ length: 1025 }, () => FIELDS[0]) }),
  'an array that is too long': point({ fields: [{ ...FIELDS[4]!, type: { ...FIELDS[4]!.type, length: 1 << 30 } }] }),
  'an integer of 7 bits': point({ fields: [{ ...FIELDS[0]!, type: { kind: 'integer', integer: { ...integer, bits: 7 } } }] }),
  'an integer of base 3': point({ fields: [{ ...FIELDS[0]!, type: { kind: 'integer', integer: { ...integer, base: 3 } } }] }),
  'a float of 16 bits': point({ fields: [{ ...FIELDS[1]!, type: { kind: 'float', bits: 16, reverse: false } }] }),
  'a command of the daemon': encodeWire('stop', { command: 1, channel: 1 }),
};

for (const [what, bytes] of Object.entries(MALICIOUS)) {
  test(`malicious: ${what} is refused`, () => {
    assert.throws(() => decodeFromApplication(bytes), WireError);
  });
}

test('malicious: a name that is no UTF-8 is refused', () => {
  const bytes = point();
  bytes[bytes.indexOf('a:b') + 2] = 0xff;
  assert.throws(() => decodeFromApplication(bytes), WireError);
});

test('malicious: a filter that is longer than the message, or than any program, is refused', () => {
  const bytes = encodeWire('enable', { command: 1, channel: 2, point: 3, eventId: 4, filter: Buffer.alloc(0) });
  assert.throws(() => decodeWire(patched(bytes, bytes.length - 4, 1)), WireError);
  const long = encodeWire('enable', { command: 1, channel: 2, point: 3, eventId: 4, filter: Buffer.alloc(65536) });
  assert.throws(() => decodeWire(long), WireError);
});

test('what a program calls itself is taken whatever its bytes are', () => {
  const bytes = Buffer.from(HELLO);
  bytes[22] = 0x07;
  const message = decodeFromApplication(bytes);
  assert.equal(message.kind === 'hello' && message.procname, '?');
});

test('no bytes at all make the decoder do anything but refuse or understand', () => {
  let seed = 42;
  const random = (): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return seed >>> 8;
  };
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(round % 2 ? HELLO : point());
    for (let change = 0; change <= random() % 4; change++) bytes[random() % bytes.length] = random() & 0xff;
    try {
      decodeFromApplication(sized(bytes.subarray(0, 8 + (random() % (bytes.length - 7)))));
    } catch (thrown) {
      assert.ok(thrown instanceof WireError, `round ${round}: ${String(thrown)}`);
    }
  }
});
