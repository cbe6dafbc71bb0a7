/** Pieces of a stream from a NATS server: whatever they are, what comes out ends where a message does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WholeMessages } from '../../transport/nats-transport.ts';

const message = (subject: string, payload: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`MSG ${subject} 7 ${payload.length}\r\n`), payload, Buffer.from('\r\n')]);

const withHeaders = (subject: string, payload: Buffer): Buffer => {
  const headers = Buffer.from('NATS/1.0\r\nName: MSG a 1 99\r\n\r\n');
  const line = `HMSG ${subject} 7 _INBOX.1 ${headers.length} ${headers.length + payload.length}\r\n`;
  return Buffer.concat([Buffer.from(line), headers, payload, Buffer.from('\r\n')]);
};

const line = fc.constantFrom(
  'PING\r\n',
  'PONG\r\n',
  '+OK\r\n',
  "-ERR 'Permissions Violation'\r\n",
  'INFO {"a":"MSG x 1 5"}\r\n',
);
const payload = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const item = fc.oneof(
  line.map((text) => Buffer.from(text)),
  payload.map((bytes) => message('weft.v1.relay.r.ack', bytes)),
  payload.map((bytes) => withHeaders('weft.v1.a', bytes)),
);

const ends = (items: readonly Buffer[]): Set<number> => {
  let at = 0;
  return new Set(items.map(({ length }) => (at += length)));
};

const pieces = (bytes: Buffer, sizes: readonly number[]): Buffer[] => {
  const cut: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    cut.push(bytes.subarray(at, at + size));
    at += size;
  }
  return cut;
};

test('any messages in any pieces come out in order, each whole', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(fc.array(item, { maxLength: 30 }), sizes, (items, cuts) => {
      const out: Buffer[] = [];
      const messages = new WholeMessages((bytes) => out.push(Buffer.from(bytes)));
      for (const piece of pieces(Buffer.concat(items), cuts)) messages.take(piece);
      assert.deepEqual(Buffer.concat(out), Buffer.concat(items));
      const allowed = ends(items);
      for (const end of ends(out)) assert.ok(allowed.has(end), `it ends at ${end}, within a message`);
    }),
  );
});

test('a large message lies in memory that is used again once it was given back, and only then', () => {
  const large = (byte: number): Buffer => message('weft.v1.data', Buffer.alloc(256 << 10, byte));
  const out: Uint8Array[] = [];
  const messages = new WholeMessages((bytes) => out.push(bytes));
  const receive = (byte: number): Uint8Array => {
    for (const piece of pieces(large(byte), [16 << 10])) messages.take(piece);
    return out.at(-1)!;
  };
  const first = receive(1);
  const second = receive(2);
  assert.deepEqual(Buffer.from(first), large(1));
  messages.giveBack(first);
  const third = receive(3);
  assert.equal(third.buffer, first.buffer);
  assert.deepEqual([Buffer.from(second), Buffer.from(third)], [large(2), large(3)]);
});
