/** The reader of metadata: what tracers write is understood, and whatever else a file holds ends in a sentence with its line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TableWriter, writeTrace } from '../../ctf/layout-table.ts';
import { metadataText, parseTsdl } from '../../ctf/tsdl.ts';
import { MetadataError, type TraceMetadata } from '../../ctf/tsdl-types.ts';

const HEAD = `/* CTF 1.8 */
typealias integer { size = 8; align = 8; signed = false; } := uint8_t;
typealias integer { size = 64; } := unsigned long;
trace { major = 1; minor = 8; uuid = "00010203-0405-0607-0809-0a0b0c0d0e0f"; byte_order = le; packet.header := struct { uint8_t x; }; };
`;
const event = (fields: string): string => `${HEAD}stream { id = 0; event.header := struct { uint8_t id; }; };
event { name = "a"; id = 3; stream_id = 0; fields := struct { ${fields} }; };`;
const fieldsOf = (fields: string) => parseTsdl(event(fields)).events[0]!.fields!.members;
const tableOf = (metadata: TraceMetadata): Uint8Array => {
  const out = new TableWriter();
  writeTrace(out, metadata);
  return out.bytes();
};

test('every kind of field', () => {
  const members = fieldsOf(`
    integer { size = 27; align = 1; signed = 1; base = x; byte_order = be; encoding = UTF8; } _a;
    unsigned long b; string { encoding = none; } s; floating_point { exp_dig = 8; mant_dig = 24; align = 8; } f;
    enum : uint8_t { A, B = 5 ... 7, "c d" } e; uint8_t rows[2][ b ];
    variant <e> { uint8_t A; struct { string x; } B; } v; /* a comment */ struct { uint8_t y; } align(32) st; // another\n`);
  assert.deepEqual(
    members.map(({ name, layout }) => `${name} ${layout.kind}`),
    ['_a integer', 'b integer', 's string', 'f float', 'e enum', 'rows array', 'v variant', 'st struct'],
  );
  const [a, b, , , e, rows, , st] = members.map(({ layout }) => layout);
  assert.deepEqual(a, { kind: 'integer', bits: 27, align: 1, signed: true, big: true, base: 16, text: true, clock: null });
  assert.ok(b?.kind === 'integer' && b.bits === 64 && b.align === 8);
  assert.deepEqual(e?.kind === 'enum' && e.mappings, [
    { label: 'A', first: 0n, last: 0n },
    { label: 'B', first: 5n, last: 7n },
    { label: 'c d', first: 8n, last: 8n },
  ]);
  assert.ok(rows?.kind === 'array' && rows.length === 2 && rows.element.kind === 'sequence');
  assert.ok(st?.kind === 'struct' && st.align === 32);
  assert.ok(tableOf(parseTsdl(event('uint8_t n; uint8_t q[ n ];'))).length > 0);
});

test('metadata in packets is put together', () => {
  const text = event('uint8_t x;');
  const packet = (part: string): Buffer => {
    const bytes = Buffer.alloc(37 + part.length + 3);
    bytes.writeUInt32LE(0x75d11d57);
    bytes.writeUInt32LE((37 + part.length) * 8, 24);
    bytes.writeUInt32LE(bytes.length * 8, 28);
    bytes.write(part, 37);
    return bytes;
  };
  const whole = Buffer.concat([packet(text.slice(0, 100)), packet(text.slice(100))]);
  assert.equal(metadataText(whole), text);
  for (let cut = 1; cut < whole.length; cut++) {
    if (cut < 4 || cut === packet(text.slice(0, 100)).length) continue;
    assert.throws(() => metadataText(whole.subarray(0, cut)), MetadataError, `cut at ${cut}`);
  }
});

test('what is wrong is named with its line', () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['', /no `trace` block/],
    [`${HEAD}nonsense`, /`nonsense` begins nothing/],
    [`${HEAD}\u0001`, /is no word/],
    [`${HEAD}env { a = "unfinished`, /is no word/],
    [event('uint99_t x;'), /there is no type `uint99_t x`/],
    [event('integer { size = 0; } x;'), /`size` must be a number from 1 to 64/],
    [event('integer { size = 65; } x;'), /`size` must be/],
    [event('integer { size = 8; align = 3; } x;'), /3 is no alignment/],
    [event('integer { size = 8; base = 7; } x;'), /7 is no base/],
    [event('integer { size = 8; byte_order = up; } x;'), /up is no byte order/],
    [event('floating_point { exp_dig = 5; mant_dig = 3; } x;'), /cannot be read/],
    [event('uint8_t x; uint8_t x;'), /`x` is there twice/],
    [event('uint8_t x[-1];'), /-1 is no length/],
    [event('uint8_t x[99999999999];'), /is no length/],
    [event('enum : uint8_t { a = 3 ... 1 } x;'), /`a` goes backward/],
    [event('enum : string {} { a } x;'), /made of an integer/],
    [event('struct nosuch x;'), /there is no structure `nosuch`/],
    [event('variant { uint8_t a; } x;'), /without its tag/],
    [event('uint8_t x'), /is missing/],
    [`${HEAD}clock { freq = 0; };`, /0 is no frequency/],
    [`${HEAD}stream { id = 1; }; stream { id = 1; };`, /stream 1 is there twice/],
    [`${HEAD}${HEAD.slice(HEAD.indexOf('trace'))}`, /two traces/],
    [HEAD.replace('00010203', 'xx'), /is no uuid/],
  ];
  for (const [text, message] of wrong)
    assert.throws(
      () => parseTsdl(text),
      (error) => error instanceof MetadataError && error.line >= 1 && message.test(error.message),
      text.slice(-60),
    );
  assert.throws(() => parseTsdl(`${HEAD}\n\nnonsense`), { line: 7 });
});

test('lengths and tags that lie nowhere are refused', () => {
  const wrong = [
    'uint8_t x[ n ];',
    'uint8_t x[ n ]; uint8_t n;',
    'string n; uint8_t x[ n ];',
    'variant <x> { uint8_t a; } x;',
    'uint8_t x[ stream.event.header.nosuch ];',
  ];
  for (const fields of wrong) assert.throws(() => tableOf(parseTsdl(event(fields))), /no integer that lies before it/, fields);
  assert.ok(tableOf(parseTsdl(event('uint8_t x[ stream.event.header.id ];'))).length > 0);
});

test('a text that unfolds without end is refused', () => {
  const nested = (deep: number): string => `${'struct { '.repeat(deep)}uint8_t x;${' } x;'.repeat(deep)}`;
  assert.throws(() => parseTsdl(event(nested(100_000))), /within each other/);
  const rows = `uint8_t x${'[1]'.repeat(1000)};`;
  assert.throws(() => parseTsdl(event(rows)), /within each other/);
  const doubled = Array.from({ length: 40 }, (_, i) => `struct s${i + 1} { struct s${i} a; struct s${i} b; };`).join('\n');
  const bomb = parseTsdl(`${HEAD}struct s0 { uint8_t x; };\n${doubled}\n${event('struct s40 x;').slice(HEAD.length)}`);
  assert.throws(() => tableOf(bomb), /more than \d+ fields/);
  const chain = Array.from({ length: 1000 }, (_, i) => `struct s${i + 1} { struct s${i} a; };`).join('\n');
  const deep = parseTsdl(`${HEAD}struct s0 { uint8_t x; };\n${chain}\n${event('struct s1000 x;').slice(HEAD.length)}`);
  assert.throws(() => tableOf(deep), /within each other/);
});

test('any change of a text is understood or refused', () => {
  const text = event('enum : uint8_t { a = 1 ... 3 } t; variant <t> { string a; } v; uint8_t n; uint8_t q[ n ];');
  for (let at = 0; at < text.length; at++) {
    for (const changed of [
      text.slice(0, at) + text.slice(at + 1),
      `${text.slice(0, at)}{${text.slice(at)}`,
      text.slice(0, at),
    ]) {
      try {
        tableOf(parseTsdl(changed));
      } catch (error) {
        assert.ok(error instanceof MetadataError, `${at}: ${error}`);
      }
    }
  }
});
