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

const storeOf = (session: string): LinkStore => {
  const identity = { link: '0'.repeat(32), host: 'h', uid: '0', owner: '0', session, createdAt: '', subdir: '' };
  const store = new LinkStore(disk, join(directory, session), identity, { allowClear: true, number: 1n });
  store.take(1);
  store.metadata({ kind: 'metadata', path: 'ust/uid/1000/64-bit', text: '/* CTF 1.8 */\n', first: true, more: false });
  return store;
};

/** Both the packet and its index entry say when it begins and ends. */
const put = (store: LinkStore, number: number, begin: bigint, end: bigint): void => {
  const bytes = Buffer.alloc(BYTES, 0xee);
  bytes.writeBigUInt64LE(begin, BEGIN_AT);
  const index = Buffer.alloc(72);
  for (const [field, value] of [0n, BigInt(BYTES * 8), BigInt(BYTES * 8), begin, end, 0n, 0n, 0n, BigInt(number)].entries())
    index.writeBigUInt64BE(value, field * 8);
  const limits = { tracefileSize: 0, tracefileCount: 0 };
  store.packet({ kind: 'packet', path: PATH, number, index, part: 0, parts: 1, offset: 0, bytes, zstd: false, ...limits });
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
  assert.deepEqual([...packet.subarray(0, BEGIN_AT), ...packet.subarray(BEGIN_AT + 8)], Array(BYTES - 8).fill(0xee));
  for (let cut = BEGIN_AT - 1; cut <= BEGIN_AT + 9; cut++) {
    const parts = [view.packet(STREAM, BigInt(BYTES), cut), view.packet(STREAM, BigInt(BYTES + cut), BYTES)];
    assert.deepEqual(Buffer.concat(parts.map((part) => part.subarray(12))), packet, `in two, the first of ${cut} bytes`);
  }
  put(store, 2, 0x1234_5678_9abc_def0n, 0x1234_5678_9abc_def1n);
  assert.equal(told(view.index(STREAM)).begin, 0x1234_5678_9abc_def0n, 'what is not late stays as it is');
});

test('a packet never begins behind its end', () => {
  const store = storeOf('behind');
  put(store, 0, 10n, 20n);
  const view = new LiveView(1n, store);
  view.attach(SEEK.last);
  store.beat(500n, [PATH]);
  assert.equal(told(view.index(STREAM)).end, 500n);
  put(store, 1, 20n, 300n);
  assert.deepEqual(told(view.index(STREAM)), { status: 1, begin: 300n, end: 300n });
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
