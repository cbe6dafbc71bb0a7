/** What a viewer is told of a link: times that never go back, whatever order beats and packets come in. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { LiveView, SEEK } from '../../actors/live-session.ts';
import { RelayDisk } from '../../actors/relay-disk.ts';
import { LinkStore } from '../../actors/relay-store.ts';

const directory = mkdtempSync(join(tmpdir(), 'weft-live-'));
const disk = new RelayDisk(100);
after(() => {
  disk.close();
  rmSync(directory, { recursive: true, force: true });
});

const PATH = 'ust/uid/1000/64-bit/ch_0';
const BYTES = 100;
const BEGIN_AT = 32;
const PACKET_MAGIC = 0xc1fc1fc1;

const TRACE = 'ust/uid/1000/64-bit';

const metadata = (store: LinkStore, path = TRACE, text = '/* CTF 1.8 */\n'): void =>
  store.metadata({ kind: 'metadata', path, text, first: true, more: false });

const storeOf = (session: string): LinkStore => {
  const identity = { link: '0'.repeat(32), host: 'h', uid: '0', owner: '0', session, createdAt: '', subdir: '' };
  const store = new LinkStore(disk, join(directory, session), identity, { allowClear: true, number: 1n });
  store.take(1);
  metadata(store);
  return store;
};

interface Put {
  readonly path?: string;
  readonly discarded?: bigint;
  readonly limits?: { readonly tracefileSize: number; readonly tracefileCount: number };
}

/** Both the packet and its index entry say when it begins and ends. */
const put = (store: LinkStore, number: number, begin: bigint, end: bigint, how: Put = {}): void => {
  const { path = PATH, discarded = 0n, limits = { tracefileSize: 0, tracefileCount: 0 } } = how;
  const bytes = Buffer.alloc(BYTES, 0xee);
  bytes.writeUInt32LE(PACKET_MAGIC, 0);
  const bits = BigInt(BYTES * 8);
  for (const [i, value] of [begin, end, bits, bits, BigInt(number), discarded].entries())
    bytes.writeBigUInt64LE(value, BEGIN_AT + i * 8);
  const index = Buffer.alloc(72);
  for (const [field, value] of [0n, bits, bits, begin, end, discarded, 0n, 0n, BigInt(number)].entries())
    index.writeBigUInt64BE(value, field * 8);
  store.packet({ kind: 'packet', path, number, index, part: 0, parts: 1, offset: 0, bytes, zstd: false, ...limits });
};

const told = (reply: Buffer) => ({
  status: reply.readUInt32BE(56),
  begin: reply.readBigUInt64BE(24),
  end: reply.readBigUInt64BE(32),
});

/** Ids as they are announced: metadata, then the stream. */
const STREAM = 2n;

test('a packet that begins before a time that was told begins then, in its index and in its bytes, however they are read', () => {
  const store = storeOf('late');
  put(store, 0, 10n, 20n);
  const view = new LiveView(1n, store);
  view.attach(SEEK.beginning);
  assert.deepEqual(told(view.index(STREAM)), { status: 1, begin: 10n, end: 20n });
  store.beat(500n, [PATH]);
  assert.deepEqual(told(view.index(STREAM)), { status: 5, begin: 0n, end: 500n });
  put(store, 1, 20n, 0x1234_5678_9abc_def0n);
  assert.deepEqual(told(view.index(STREAM)), { status: 1, begin: 500n, end: 0x1234_5678_9abc_def0n });
  const packet = view.packet(STREAM, BigInt(BYTES), BYTES).subarray(12);
  assert.equal(packet.readBigUInt64LE(BEGIN_AT), 500n);
  const HEADER_END = BEGIN_AT + 48;
  const behind = [...packet.subarray(4, BEGIN_AT), ...packet.subarray(HEADER_END)];
  assert.deepEqual(behind, Array(BYTES - 52).fill(0xee), 'nothing else of it is another');
  for (let cut = BEGIN_AT - 1; cut <= BEGIN_AT + 9; cut++) {
    const parts = [view.packet(STREAM, BigInt(BYTES), cut), view.packet(STREAM, BigInt(BYTES + cut), BYTES)];
    assert.deepEqual(Buffer.concat(parts.map((part) => part.subarray(12))), packet, `in two, the first of ${cut} bytes`);
  }
  put(store, 2, 0x1234_5678_9abc_def0n, 0x1234_5678_9abc_def1n);
  assert.equal(told(view.index(STREAM)).begin, 0x1234_5678_9abc_def0n, 'what is not late stays as it is');
});

test('a packet without events that ended before a time that was told ends then', () => {
  const store = storeOf('behind');
  put(store, 0, 10n, 20n);
  const view = new LiveView(1n, store);
  view.attach(SEEK.last);
  store.beat(500n, [PATH]);
  assert.equal(told(view.index(STREAM)).end, 500n);
  put(store, 1, 20n, 300n);
  assert.deepEqual(told(view.index(STREAM)), { status: 1, begin: 500n, end: 500n });
});

test('time is told once, and no time that lies before a packet that was shown', () => {
  const store = storeOf('once');
  put(store, 0, 10n, 1_000n);
  const view = new LiveView(1n, store);
  view.attach(SEEK.beginning);
  assert.equal(told(view.index(STREAM)).status, 1);
  store.beat(900n, [PATH]);
  assert.equal(told(view.index(STREAM)).status, 2);
  store.beat(1_100n, [PATH]);
  assert.deepEqual([told(view.index(STREAM)), told(view.index(STREAM)).status], [{ status: 5, begin: 0n, end: 1_100n }, 2]);
});

/** As its header says: what `index` told of it. */
const headerOf = (view: LiveView, reply: Buffer) => {
  const packet = view.packet(STREAM, reply.readBigUInt64BE(0), 1 << 16).subarray(12);
  const [begin, end, content, size, sequence, discarded] = Array.from({ length: 6 }, (_, i) =>
    packet.readBigUInt64LE(BEGIN_AT + i * 8),
  );
  return { begin, end, content, size, sequence, discarded, bytes: packet.length };
};
const sizes = { content: BigInt(BYTES * 8), size: BigInt(BYTES * 8), bytes: BYTES };

const rotated = (store: LinkStore, number: number, from: string): void =>
  store.operate({ kind: 'op', number, op: 'archive', from, to: `archives/${number}` });

test('a stream goes on in the next chunk, and no packet of it begins before a time that was told', () => {
  const store = storeOf('rotated');
  put(store, 0, 10n, 20n);
  const view = new LiveView(1n, store);
  view.attach(SEEK.beginning);
  view.metadata(1n);
  view.index(STREAM);
  store.beat(500n, [PATH]);
  assert.equal(told(view.index(STREAM)).end, 500n);
  metadata(store, `C-1/${TRACE}`);
  put(store, 1, 20n, 20n, { path: `C-1/${PATH}` });
  put(store, 2, 20n, 700n, { path: `C-1/${PATH}` });
  assert.equal(told(view.index(STREAM)).status, 2, 'more of this chunk may come');
  rotated(store, 1, '');
  assert.deepEqual(told(view.index(STREAM)), { status: 1, begin: 500n, end: 500n });
  assert.deepEqual(told(view.index(STREAM)), { status: 1, begin: 500n, end: 700n });
  assert.equal(view.newStreams().readUInt32BE(0), 2, 'none is new');
});

test('of the next chunk’s metadata a viewer is told what is new, and nothing of the trace again', () => {
  const store = storeOf('blocks');
  const text = (offset: number, events: readonly string[]) =>
    [
      '/* CTF 1.8 */',
      'trace {\n\tmajor = 1;\n};',
      `clock {\n\toffset = ${offset};\n};`,
      ...events.map((name) => `event {\n\tname = "${name}";\n};`),
    ].join('\n\n');
  metadata(store, TRACE, `${text(1, ['a'])}\n`);
  put(store, 0, 10n, 20n);
  const view = new LiveView(1n, store);
  view.attach(SEEK.beginning);
  const newsOf = (): string[] =>
    view
      .metadata(1n)
      .toString('latin1')
      .match(/offset = \d|name = "\w"/g) ?? [];
  assert.deepEqual(newsOf(), ['offset = 1', 'name = "a"']);
  assert.deepEqual(newsOf(), []);
  metadata(store, `C-1/${TRACE}`, `${text(2, ['b', 'a'])}\n`);
  put(store, 1, 20n, 30n, { path: `C-1/${PATH}` });
  rotated(store, 1, '');
  view.index(STREAM);
  assert.deepEqual(newsOf(), ['name = "b"']);
  metadata(store, `C-1/${TRACE}`, `${text(2, ['b', 'a', 'c'])}\n`);
  assert.equal(view.index(STREAM).readUInt32BE(60) & 1, 1, 'there are news');
  assert.deepEqual(newsOf(), ['name = "c"']);
});

test('a stream that rests in the next chunk keeps nobody waiting, and goes on there', () => {
  const store = storeOf('rests');
  put(store, 0, 10n, 20n);
  const view = new LiveView(1n, store);
  view.attach(SEEK.beginning);
  assert.equal(told(view.index(STREAM)).status, 1);
  rotated(store, 1, '');
  assert.equal(told(view.index(STREAM)).status, 2);
  store.beat(600n, [PATH]);
  assert.equal(told(view.index(STREAM)).status, 2, 'that is said of others');
  store.beat(600n, []);
  assert.deepEqual(told(view.index(STREAM)), { status: 5, begin: 0n, end: 600n });
  metadata(store, `C-1/${TRACE}`);
  put(store, 1, 20n, 700n, { path: `C-1/${PATH}` });
  assert.deepEqual(told(view.index(STREAM)), { status: 1, begin: 600n, end: 700n });
  store.retire();
  assert.equal(told(view.index(STREAM)).status, 3);
});

test('no time is told while the viewer does not know all streams', () => {
  const store = storeOf('unknown');
  put(store, 0, 10n, 20n);
  const view = new LiveView(1n, store);
  view.attach(SEEK.beginning);
  view.index(STREAM);
  store.beat(500n, [PATH]);
  put(store, 0, 300n, 400n, { path: `${TRACE}/ch_1` });
  const reply = view.index(STREAM);
  assert.deepEqual(told(reply), { status: 1, begin: 20n, end: 20n }, 'a packet with nothing in it');
  assert.equal(reply.readUInt32BE(60) & 2, 2, 'there are new streams');
  assert.equal(headerOf(view, reply).sequence, 1n);
  view.newStreams();
  assert.equal(told(view.index(STREAM)).status, 5);
});

test('what was cleared is no gap', () => {
  const store = storeOf('cleared');
  put(store, 0, 10n, 20n);
  const view = new LiveView(1n, store);
  view.attach(SEEK.beginning);
  view.index(STREAM);
  for (const number of [1, 2, 3]) put(store, number, 20n, 30n);
  store.beat(500n, [PATH]);
  store.operate({ kind: 'op', number: 1, op: 'clear', directory: '' });
  assert.equal(told(view.index(STREAM)).status, 5);
  put(store, 4, 30n, 600n);
  const packet = headerOf(view, view.index(STREAM));
  assert.deepEqual(packet, { begin: 500n, end: 600n, sequence: 1n, discarded: 0n, ...sizes });
});

test('what was lost was lost since the viewer was last told the time', () => {
  const store = storeOf('lost');
  put(store, 0, 10n, 20n);
  const view = new LiveView(1n, store);
  view.attach(SEEK.beginning);
  view.index(STREAM);
  store.beat(500n, [PATH]);
  view.index(STREAM);
  put(store, 1, 20n, 600n, { discarded: 7n });
  const empty = { begin: 500n, end: 500n, content: 84n * 8n, size: 84n * 8n, bytes: 84 };
  assert.deepEqual(headerOf(view, view.index(STREAM)), { ...empty, sequence: 1n, discarded: 0n });
  const lossy = { begin: 500n, end: 600n, ...sizes, discarded: 7n };
  assert.deepEqual(headerOf(view, view.index(STREAM)), { ...lossy, sequence: 2n });
  put(store, 3, 600n, 700n, { discarded: 7n });
  assert.deepEqual(headerOf(view, view.index(STREAM)).sequence, 4n, 'a gap that nobody was told anything after is one');
});

test('a viewer reads its packet to the end, whatever becomes of the file', () => {
  const limits = { tracefileSize: BYTES, tracefileCount: 2 };
  const store = storeOf('round');
  put(store, 0, 10n, 20n, { limits });
  const view = new LiveView(1n, store);
  view.attach(SEEK.beginning);
  view.index(STREAM);
  const whole = view.packet(STREAM, 0n, BYTES);
  for (const number of [1, 2, 3]) put(store, number, BigInt(number * 20), BigInt(number * 20 + 20), { limits });
  assert.deepEqual(view.packet(STREAM, 0n, BYTES), whole);
  view.index(STREAM);
  const next = view.packet(STREAM, 0n, BYTES);
  store.operate({ kind: 'op', number: 1, op: 'clear', directory: '' });
  assert.deepEqual(view.packet(STREAM, 0n, BYTES), next);
  view.close();
  assert.equal(view.packet(STREAM, 0n, BYTES).readUInt32BE(0), 3);
});
