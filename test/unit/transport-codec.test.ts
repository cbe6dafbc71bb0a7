/** Bodies as bytes: what comes back, and what is refused before anything is built from it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pack } from 'msgpackr';
import type { Body } from '../../transport/bus.ts';
import {
  decodeBody,
  type Encoding,
  encodeAround,
  encodeBody,
  encodingOf,
  MAX_BODY_BYTES,
  MAX_BODY_DEPTH,
} from '../../transport/codec.ts';

const ENCODINGS: readonly Encoding[] = ['msgpack', 'json'];

const through = (body: Body, encoding: Encoding): Body => {
  const encoded = encodeBody(body, encoding);
  assert.ok(encoded.ok, encoded.ok ? '' : encoded.fault.message);
  const decoded = decodeBody(encoded.bytes);
  assert.ok(decoded.ok, decoded.ok ? '' : decoded.fault.message);
  assert.equal(decoded.encoding, encoding);
  return decoded.body;
};

const refusal = (bytes: Uint8Array): string => {
  const decoded = decodeBody(bytes);
  assert.ok(!decoded.ok, 'it was taken');
  assert.equal(decoded.fault.code, 'bad-encoding');
  return decoded.fault.message;
};

const leaf = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0)),
  fc.boolean(),
  fc.constant(null),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    leaf,
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 20, noNullPrototype: true },
    ),
  ),
}));

test('any body of maps, lists, texts and numbers comes back as it was, in both encodings', () => {
  fc.assert(
    fc.property(value, fc.constantFrom(...ENCODINGS), (inner, encoding) => {
      assert.deepEqual(through({ inner }, encoding), { inner });
    }),
  );
});

test('64-bit values: exact integers in msgpack, decimal strings in JSON', () => {
  const body = { least: -(2n ** 63n), most: 2n ** 64n - 1n, small: 5n };
  assert.deepEqual(through(body, 'msgpack'), { ...body, small: 5 });
  assert.deepEqual(through(body, 'json'), { least: '-9223372036854775808', most: '18446744073709551615', small: '5' });
});

test('an integer beyond 32 bits leaves as an integer, which other languages read as one', () => {
  const encoded = encodeBody({ at: 2 ** 40 }, 'msgpack');
  assert.ok(encoded.ok);
  assert.equal(Buffer.from(encoded.bytes).toString('hex'), '81a26174d30000010000000000');
});

test('fields without value are left out', () => {
  for (const encoding of ENCODINGS) assert.deepEqual(through({ a: undefined, b: null }, encoding), { b: null });
});

test('what has no place in a message is not sent', () => {
  const bodies: Body[] = [
    { a: Number.NaN },
    { a: Number.POSITIVE_INFINITY },
    { a: 2n ** 64n },
    { a: () => 1 },
    { a: new Map() },
    { a: new Date() },
    { a: Symbol('x') },
    JSON.parse('{"__proto__": {"polluted": true}}') as Body,
    { a: 'x'.repeat(MAX_BODY_BYTES) },
  ];
  for (const encoding of ENCODINGS) {
    for (const body of bodies) {
      const encoded = encodeBody(body, encoding);
      assert.ok(!encoded.ok);
      assert.equal(encoded.fault.code, 'bad-encoding');
    }
  }
});

/** `levels` maps inside each other. */
const nested = (levels: number): Body => {
  let body: Body = {};
  for (let level = 1; level < levels; level++) body = { a: body };
  return body;
};

test(`${MAX_BODY_DEPTH} levels pass, one more is refused on both sides`, () => {
  for (const encoding of ENCODINGS) {
    assert.deepEqual(through(nested(MAX_BODY_DEPTH), encoding), nested(MAX_BODY_DEPTH));
    assert.ok(!encodeBody(nested(MAX_BODY_DEPTH + 1), encoding).ok);
  }
  assert.match(refusal(Buffer.from(JSON.stringify(nested(MAX_BODY_DEPTH + 1)))), /levels/);
  assert.match(refusal(Buffer.concat([Buffer.from('81a161'.repeat(MAX_BODY_DEPTH), 'hex'), Buffer.from([0x80])])), /levels/);
  assert.match(refusal(Buffer.concat([Buffer.from('81a161', 'hex'), Buffer.alloc(100_000, 0x91)])), /levels/);
  assert.match(refusal(Buffer.from(`{"a":${'['.repeat(500_000)}`)), /levels/);
});

test('brackets inside a text are no levels', () => {
  const body = { text: '[{'.repeat(100), quoted: '"[[['.repeat(50), escaped: '\\"[[['.repeat(50) };
  assert.deepEqual(through(body, 'json'), body);
});

test('more than 1 MiB is refused unread', () => {
  assert.match(refusal(Buffer.alloc(MAX_BODY_BYTES + 1, 0x7b)), /1048577 bytes/);
  assert.match(refusal(Buffer.alloc(MAX_BODY_BYTES + 1, 0x80)), /1048577 bytes/);
});

test('the first byte says what it is; everything but a map is refused', () => {
  const maps = new Set([0x7b, 0xde, 0xdf, ...Array.from({ length: 16 }, (_, index) => 0x80 + index)]);
  for (let first = 0; first < 256; first++) {
    assert.equal(encodingOf(Uint8Array.of(first)) !== null, maps.has(first));
    if (!maps.has(first)) assert.match(refusal(Uint8Array.of(first, 0, 0)), /begins no map/);
  }
  assert.match(refusal(new Uint8Array()), /empty/);
});

test('bytes are binary in msgpack and base64 in JSON', () => {
  const bytes = Uint8Array.from({ length: 70_000 }, (_, at) => at);
  for (const length of [0, 1, 300, 70_000]) {
    const packed = encodeBody({ bytes: bytes.subarray(0, length) }, 'msgpack');
    assert.ok(packed.ok);
    const back = decodeBody(packed.bytes);
    assert.ok(back.ok && back.body.bytes instanceof Uint8Array);
    assert.deepEqual(Buffer.from(back.body.bytes), Buffer.from(bytes.subarray(0, length)));
  }
  const text = encodeBody({ bytes: bytes.subarray(0, 3) }, 'json');
  assert.ok(text.ok);
  assert.equal(Buffer.from(text.bytes).toString(), '{"bytes":"AAEC"}');
});

test('hostile msgpack is refused: extensions, records, lying lengths, strange keys, trailing bytes', () => {
  const table: [string, RegExp][] = [
    ['81a161d40000', /extension/],
    ['81a161c70100ff', /extension/],
    ['81a161c40200', /ends too early/], // binary
    ['81a161c6ffffffff00', /ends too early/],
    ['81a161c1', /extension/],
    ['81a161d6ff00000000', /extension/], // a time stamp
    ['81a161d8720000000000000000000000000000000000', /extension/], // msgpackr's record
    ['dfffffffff', /too early/],
    ['81a161ddffffffff', /too early/],
    ['81a161dbffffffff61', /too early/],
    ['81a161cf00', /too early/],
    ['81', /too early/],
    ['8101a161', /key is no text/],
    ['81c0a161', /key is no text/],
    [`81a9${Buffer.from('__proto__').toString('hex')}80`, /__proto__/],
    [`81a16181d909${Buffer.from('__proto__').toString('hex')}80`, /__proto__/],
    ['81a161a1ff', /UTF-8/],
    ['81a1ff01', /UTF-8/],
    ['8000', /follows/],
  ];
  for (const [hex, cause] of table) assert.match(refusal(Buffer.from(hex, 'hex')), cause, hex);
});

test('what other msgpack libraries make of a plain map is taken: map16, str8, float32, small integers', () => {
  assert.deepEqual(decodeBody(Buffer.from('de0001d90161ca3fc00000', 'hex')), {
    ok: true,
    body: { a: 1.5 },
    encoding: 'msgpack',
  });
  assert.deepEqual(decodeBody(Buffer.from('df0000000181a0ff', 'hex')).ok, false);
  const many = Object.fromEntries(Array.from({ length: 70_000 }, (_, index) => [String(index), index]));
  assert.deepEqual(through(many, 'msgpack'), many);
});

test('hostile JSON is refused: no JSON, no UTF-8, keys that reach for the prototype, however spelt', () => {
  const table: [string | Uint8Array, RegExp][] = [
    ['{', /no JSON/],
    ['{"a":1}x', /no JSON/],
    [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), /UTF-8/],
    ['{"__proto__":{"polluted":1}}', /__proto__/],
    ['{"a":[{"__pr\\u006fto__":1}]}', /__proto__/],
  ];
  for (const [text, cause] of table) assert.match(refusal(Buffer.from(text)), cause);
  assert.equal(({} as { polluted?: number }).polluted, undefined);
});

test('a field of bytes is encoded where it lies, in the room before it; without room it is copied', () => {
  const body = { v: 1, epoch: 3, path: 'ust/chan_0', nothing: undefined };
  for (const room of [0, 10, 500]) {
    const memory = Buffer.alloc(room + 70_000, 0xee);
    const bytes = memory.subarray(room).fill(7);
    const encoded = encodeAround(body, 'bytes', { bytes, room });
    assert.ok(encoded.ok);
    assert.equal(encoded.bytes.buffer === memory.buffer, room === 500, 'it is not copied where there is room');
    assert.equal(encoded.room, room === 500 ? encoded.bytes.byteOffset - memory.byteOffset : 0);
    const decoded = decodeBody(encoded.bytes);
    assert.ok(decoded.ok);
    assert.deepEqual(
      { ...decoded.body, bytes: Buffer.from(decoded.body.bytes as Uint8Array) },
      {
        v: 1,
        epoch: 3,
        path: 'ust/chan_0',
        bytes: Buffer.alloc(70_000, 7),
      },
    );
  }
  const many = Object.fromEntries(Array.from({ length: 15 }, (_, at) => [`field${at}`, at]));
  const memory = Buffer.alloc(1_000);
  const encoded = encodeAround(many, 'bytes', { bytes: memory.subarray(500, 900), room: 500 });
  assert.ok(encoded.ok);
  const decoded = decodeBody(encoded.bytes);
  assert.ok(decoded.ok);
  assert.equal(Object.keys(decoded.body).length, 16);
  const large = Buffer.alloc(MAX_BODY_BYTES + 500);
  assert.ok(!encodeAround({ v: 1 }, 'bytes', { bytes: large.subarray(500), room: 500 }).ok, 'more than 1 MiB is not sent');
});

test('any bytes are either taken or refused, never thrown at', () => {
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Uint8Array.of(0x8f, 0xa1, ...bytes)),
    fc.json().map((text) => Buffer.from(text)),
    value.map((inner) => new Uint8Array(pack({ inner }))),
  );
  fc.assert(
    fc.property(anything, (bytes) => {
      const decoded = decodeBody(bytes);
      if (decoded.ok) assert.equal(Object.getPrototypeOf(decoded.body), Object.prototype);
      else assert.equal(decoded.fault.code, 'bad-encoding');
    }),
    { numRuns: 2_000 },
  );
});
