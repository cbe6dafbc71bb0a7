/** Frames of the live viewer protocol, and who a connection belongs to: bytes of strangers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { uidInTable } from '../../actors/live-server.ts';
import { LinkDataError, parseLinkData } from '../../transport/link-data.ts';
import {
  LiveFrameError,
  LiveFrames,
  listReply,
  metadataPackets,
  metadataReply,
  packetReply,
  streamsReply,
} from '../../transport/lttng-live.ts';

const SIZES: Readonly<Record<number, number>> = { 1: 20, 2: 0, 3: 20, 4: 8, 5: 20, 6: 8, 7: 8, 8: 0, 9: 8 };

const frame = (command: number, payload: Uint8Array): Buffer => {
  const header = Buffer.alloc(16);
  header.writeBigUInt64BE(BigInt(payload.length));
  header.writeUInt32BE(command, 8);
  return Buffer.concat([header, payload]);
};

const drain = (frames: LiveFrames): string[] => {
  const kinds: string[] = [];
  for (let request = frames.next(); request !== null; request = frames.next()) kinds.push(request.kind);
  return kinds;
};

test('requests come out whole and in order, however the bytes are cut', () => {
  const command = fc.integer({ min: 1, max: 9 });
  fc.assert(
    fc.property(
      fc.array(command, { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat(200), { maxLength: 6 }),
      (commands, cuts) => {
        const bytes = Buffer.concat(commands.map((one) => frame(one, Buffer.alloc(SIZES[one]!, 7))));
        const edges = [0, ...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length];
        const frames = new LiveFrames();
        const kinds = edges.slice(1).flatMap((edge, i) => {
          frames.push(bytes.subarray(edges[i], edge));
          return drain(frames);
        });
        assert.equal(kinds.length, commands.length);
      },
    ),
  );
});

test('any bytes are requests or refused; a size that lies is refused before its bytes are waited for', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const frames = new LiveFrames();
      try {
        frames.push(Buffer.from(bytes));
        drain(frames);
      } catch (thrown) {
        assert.ok(thrown instanceof LiveFrameError);
      }
    }),
  );
  for (const size of [0n, 19n, 21n, 2n ** 32n + 20n, 2n ** 64n - 1n]) {
    const header = frame(5, new Uint8Array());
    header.writeBigUInt64BE(size);
    const frames = new LiveFrames();
    frames.push(header);
    assert.throws(() => frames.next(), LiveFrameError, String(size));
  }
});

test('records have the sizes and places that viewers expect, and names that are too long keep their NUL', () => {
  const long = 'é'.repeat(300);
  const list = listReply([{ id: 7n, timerUs: 1, clients: 2, streams: 3, host: long, name: long }]);
  assert.equal(list.length, 4 + 339);
  assert.equal(list[4 + 20 + 63], 0);
  assert.equal(list.at(-1), 0);
  const streams = streamsReply(1, [{ id: 1n, trace: 2n, metadata: true, path: 'p'.repeat(5000), channel: 'metadata' }]);
  assert.equal(streams.length, 8 + 4371);
  assert.equal(streams[8 + 20 + 4095], 0);
  assert.equal(packetReply(1, Buffer.from('abc')).toString('hex'), '000000010000000300000000616263');
  assert.equal(metadataReply(2).toString('hex'), '000000000000000000000002');
});

test('metadata is told in packets with headers of 37 bytes', () => {
  const uuid = Buffer.alloc(16, 5);
  const packets = metadataPackets(uuid, 'x'.repeat(40_000));
  assert.equal(packets.length, 40_000 + 2 * 37);
  assert.equal(packets.readUInt32LE(0), 0x75d11d57);
  assert.equal(packets.readUInt32LE(24), ((32 << 10) + 37) * 8);
  assert.deepEqual([...packets.subarray(32, 37)], [0, 0, 0, 1, 8]);
});

test('a connection belongs to whom the kernel names, if it is established', () => {
  const row = (state: string, uid: number) =>
    `   0: 0100007F:C350 0100007F:14E0 ${state} 00000000:00000000 00:00000000 00000000  ${uid}        0 1 1`;
  const [from, to] = [
    { host: '127.0.0.1', port: 50_000 },
    { host: '::ffff:127.0.0.1', port: 5_344 },
  ];
  assert.equal(uidInTable(`head\n${row('01', 1000)}\n`, from, to), 1000);
  assert.equal(uidInTable(`head\n${row('06', 0)}\n`, from, to), null, 'what is closed belongs to nobody, not to root');
  assert.equal(uidInTable(`head\n${row('01', 1000)}\n`, to, from), null);
});

test('data of links: any map is a message or refused, and no path leaves its directory', () => {
  const key = fc.constantFrom(
    'kind',
    'path',
    'number',
    'index',
    'part',
    'parts',
    'offset',
    'bytes',
    'op',
    'to',
    'from',
    'epoch',
    'n',
    'clock',
    'paths',
  );
  const part = fc.constantFrom('..', '.', '', 'ust', '.x', 'a\0', 'metadata', 'index', 'x'.repeat(300));
  const path = fc.array(part, { maxLength: 14 }).map((parts) => parts.join('/'));
  const value = fc.oneof(
    path,
    fc.integer(),
    fc.bigInt(),
    fc.double(),
    fc.constant(null),
    fc.constant([]),
    fc.uint8Array({ maxLength: 80 }),
  );
  const kind = fc.constantFrom('packet', 'metadata', 'op', 'beat');
  fc.assert(
    fc.property(fc.dictionary(key, value), kind, path, (fields, kinds, where) => {
      try {
        const message = parseLinkData({ ...fields, kind: kinds, path: where, epoch: 1, n: 1, text: '' });
        if ('clock' in message) assert.equal(message.clock, BigInt.asUintN(64, message.clock));
        if ('path' in message) assert.ok(!/(^|\/)(\.|\/|$)|\0/.test(message.path), message.path);
      } catch (thrown) {
        assert.ok(thrown instanceof LinkDataError, String(thrown));
      }
    }),
    { numRuns: 2_000 },
  );
});
