import assert from 'node:assert/strict';
import { mkdirSync, openSync, readFileSync, readSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { loadBinding } from '../../native/addon/binding.ts';
import { NativeError } from '../../native/addon/errors.ts';
import { STATS_FIELDS } from '../../native/addon/index.ts';
import {
  EVENT_BYTES,
  GEOMETRY,
  layout,
  makeRings,
  News,
  native,
  openFds,
  RING_ID,
  RingWriter,
  readerOptions,
  temporary,
} from './native-support.ts';

const PACKET_HEADER_BYTES = 84;

test('the offsets that JavaScript is told are those that layout.h asserts', () => {
  const header = readFileSync(new URL('../../native/ring/layout.h', import.meta.url), 'utf8');
  const asserted = new Map<string, number>();
  for (const [, structure, field, offset] of header.matchAll(/offsetof\(struct (\w+), (\w+)\) == (\d+)/g))
    asserted.set(`${structure}.${field}`, Number(offset));
  for (const [name, field] of [
    ['ringSlot', 'weft_ring.slot'],
    ['ringReady', 'weft_ring.ready'],
    ['ringLock', 'weft_ring.lock'],
    ['ringLost', 'weft_ring.lost'],
    ['ringTable', 'weft_ring.table'],
    ['entryEndOffset', 'weft_entry.end_offset'],
    ['readerPageSelector', 'weft_reader_page.selector'],
    ['readerPageState', 'weft_reader_page.state'],
    ['setHeaderDoorbell', 'weft_set_header.doorbell'],
  ] as const)
    assert.equal(layout[name], asserted.get(field), name);
  assert.equal(layout.ringPosition, 0);
  assert.equal(layout.statsFields, STATS_FIELDS.length);
  assert.equal(layout.lossCauses, 8);
});

test('the module exports at most twenty-seven functions', () => {
  const functions = Object.values(loadBinding()).filter((value) => typeof value === 'function');
  assert.ok(functions.length <= 27, `${functions.length} functions`);
});

test('each ring tells what memory it has: none before its CPU records, when it is made without', () => {
  const geometry = { ...GEOMETRY, cpuCount: 2 };
  const bytes = geometry.subbufSize * geometry.subbufCount;
  const { ringFd, readerFd } = native.createRingSet({ ringId: RING_ID, geometry, cpus: [0] });
  const memory = () => native.ringUsage({ ringFd, readerFd, geometry }).memory;
  assert.deepEqual(memory(), [bytes, 0]);
  native.allocateRing({ ringFd, geometry, cpu: 1 });
  assert.deepEqual(memory(), [bytes, bytes]);
});

test('a flush writes what was committed, and news and counters say so', async () => {
  using folder = temporary();
  const rings = makeRings();
  const news = new News();
  const reader = native.startReader(readerOptions(rings, folder.path), news.listener);
  new RingWriter(rings.ringFd).emit(10);
  await reader.flush();
  const bytes = 2 * PACKET_HEADER_BYTES + 10 * EVENT_BYTES;
  assert.equal(statSync(join(folder.path, 'ch_0')).size, bytes);
  assert.equal(statSync(join(folder.path, 'index', 'ch_0.idx')).size, 16 + 2 * 72);
  const { streams } = await news.until('streams');
  assert.equal(streams[0]?.first, 0n);
  const value = (field: (typeof STATS_FIELDS)[number]): bigint => reader.stats.values[STATS_FIELDS.indexOf(field)]!;
  assert.deepEqual([value('packets'), value('events'), value('bytes')], [2n, 10n, BigInt(bytes)]);
  assert.deepEqual([value('position'), value('consumed')], [BigInt(10 * EVENT_BYTES), BigInt(10 * EVENT_BYTES)]);
  const totals = native.ringTotals({ ringFd: rings.ringFd, readerFd: rings.readerFd, geometry: GEOMETRY });
  assert.deepEqual([totals.events, totals.packets, totals.bytes, totals.lostFull], [10n, 2n, BigInt(bytes), 0n]);
  await reader.close();
});

test('a freeze is a time in the page of each ring in use; it is lifted, never longer than 5 s, and the next reader forgets it', async () => {
  const rings = makeRings();
  const page = Buffer.alloc(8);
  const until = (): bigint => {
    readSync(rings.readerFd, page, 0, 8, layout.readerPageFrozenUntil!);
    return page.readBigUInt64LE();
  };
  const reader = native.startReader({ ...readerOptions(rings, ''), plan: 'hold' }, () => {});
  const before = process.hrtime.bigint();
  reader.freeze(60_000);
  assert.ok(until() >= before + 5_000_000_000n && until() <= process.hrtime.bigint() + 5_000_000_000n, String(until()));
  reader.freeze(0);
  assert.equal(until(), 0n);
  reader.freeze(1_000);
  const [ringFd, readerFd] = [rings.ringFd, rings.readerFd].map((fd) => openSync(`/proc/self/fd/${fd}`, 'r+'));
  await reader.close();
  const next = native.startReader(
    { ...readerOptions({ ...rings, ringFdLent: ringFd!, readerFd: readerFd! }, ''), plan: 'hold' },
    () => {},
  );
  readSync(readerFd!, page, 0, 8, layout.readerPageFrozenUntil!);
  assert.equal(page.readBigUInt64LE(), 0n);
  await next.close();
  next.freeze(1_000);
});

test('a snapshot copies what a holding reader keeps, and takes nothing away', async () => {
  using folder = temporary();
  const rings = makeRings();
  const reader = native.startReader({ ...readerOptions(rings, ''), plan: 'hold' }, () => {});
  new RingWriter(rings.ringFd).emit(10);
  await assert.rejects(reader.flush(), { code: 'EBUSY' });
  const bytes = BigInt(2 * PACKET_HEADER_BYTES + 10 * EVENT_BYTES);
  for (const filePrefix of ['first', 'second']) {
    const taken = await reader.snapshot({ directory: folder.path, filePrefix });
    assert.deepEqual([taken.packets, taken.events, taken.bytes, taken.refused], [2n, 10n, bytes, 0n]);
    assert.equal(statSync(join(folder.path, `${filePrefix}_0`)).size, Number(bytes));
  }
  await assert.rejects(reader.snapshot({ directory: folder.path, maxStreamBytes: 100 }), { code: 'EMSGSIZE' });
  await assert.rejects(reader.snapshot({ directory: join(folder.path, 'none') }), { code: 'ENOENT' });
  const last = reader.snapshot({ directory: folder.path });
  await Promise.all([last, reader.close()]);
  await assert.rejects(reader.snapshot({ directory: folder.path }), { code: 'EBADF' });
});

test('memory is given back on request; a reader that is closed or may not says so', async () => {
  using folder = temporary();
  const rings = makeRings();
  const reader = native.startReader(readerOptions(rings, folder.path), () => {});
  new RingWriter(rings.ringFd).emit(10);
  await reader.flush();
  assert.deepEqual(
    await reader.reclaim({ ageUs: 0, wait: true }),
    { reclaimed: 0, pending: 0 },
    'its only sub-buffer is in use',
  );
  await reader.close();
  await assert.rejects(reader.reclaim({ ageUs: 0, wait: true }), { code: 'EBADF' });
  const others = makeRings();
  const ringFd = openSync(`/proc/self/fd/${others.ringFd}`, 'r');
  const powerless = native.startReader({ ...readerOptions(others, folder.path), ringFd, filePrefix: 'other' }, () => {});
  new RingWriter(others.ringFd).emit(10);
  await powerless.flush();
  await assert.rejects(powerless.reclaim({ ageUs: 0, wait: true }), { code: 'EBADF', message: /read-only/ });
  await powerless.close();
});

test('a corrupt ring is reported with the check that failed', async () => {
  using folder = temporary();
  const rings = makeRings();
  const news = new News();
  const reader = native.startReader(readerOptions(rings, folder.path), news.listener);
  new RingWriter(rings.ringFd).setPosition(1n << 60n);
  await reader.flush();
  assert.deepEqual(await news.until('corrupt'), { kind: 'corrupt', cpu: 0, cause: 'position-too-far' });
  await reader.close();
});

test('a file that cannot be written is reported, a flush rejects, and writing resumes by itself', async () => {
  using folder = temporary();
  mkdirSync(join(folder.path, 'ch_0'));
  const rings = makeRings();
  const news = new News();
  const reader = native.startReader(readerOptions(rings, folder.path), news.listener);
  assert.equal((await news.until('write-failed')).code, 'EISDIR');
  await assert.rejects(reader.flush(), (error) => error instanceof NativeError && error.code === 'EISDIR');
  rmdirSync(join(folder.path, 'ch_0'));
  await news.until('write-resumed');
  await reader.flush();
  await reader.close();
});

test('a reader does not start where its directory is missing or the rings are others', () => {
  using folder = temporary();
  const rings = makeRings();
  const start = (change: Partial<ReturnType<typeof readerOptions>>) => () =>
    native.startReader({ ...readerOptions(rings, folder.path), ...change }, () => {});
  assert.throws(start({ directory: join(folder.path, 'none') }), { name: 'NativeError', code: 'ENOENT' });
  assert.throws(start({ ringId: 'ff'.repeat(16) }), { code: 'EINVAL' });
  assert.throws(start({ geometry: { ...GEOMETRY, subbufSize: 8192 } }), { code: 'EINVAL' });
  assert.throws(start({ geometry: { ...GEOMETRY, cpuCount: 4_000_000_000 } }), { code: 'EINVAL' });
  assert.throws(start({ ringFd: 0 }), { code: 'EINVAL' });
  assert.throws(start({ uuid: 'short' }), TypeError);
  native.closeFd(rings.ringFdLent); /* still ours: no reader took it */
});

/** Every public method in every condition: what is allowed. */
test('hold refuses a flush, close ends everything, and afterwards nothing hangs', async () => {
  using folder = temporary();
  const before = openFds();
  const rings = makeRings();
  const reader = native.startReader(readerOptions(rings, folder.path), () => {});
  reader.setPlan('hold');
  await assert.rejects(reader.flush(), { code: 'EBUSY' });
  reader.setPlan('append');
  const unsettled = reader.flush().then(
    () => 'flushed',
    (error: NativeError) => error.code,
  );
  await reader.close();
  assert.match(await unsettled, /^(flushed|ECANCELED)$/);
  await assert.rejects(reader.flush(), { code: 'EBADF' });
  reader.setPlan('count');
  await reader.close();
  assert.equal(reader.stats.values.length, STATS_FIELDS.length);
  native.closeFd(rings.ringFd);
  native.closeFd(rings.readerFdReadOnly);
  assert.equal(openFds(), before, 'the reader closed its fds');
});

test('forged handles and wrong arguments are TypeErrors, not crashes', () => {
  const binding = loadBinding() as unknown as Record<string, (...values: unknown[]) => unknown>;
  for (const forged of [{}, null, undefined, 7, Object.create(null), new Proxy({}, {}), []]) {
    assert.throws(() => binding.controlReader!(forged, 'flush'), TypeError);
    assert.throws(() => binding.sendSeqpacket!(forged, new Uint8Array(1), new Uint32Array(0)), TypeError);
    assert.throws(() => binding.readClock!(forged), TypeError);
    assert.throws(() => binding.closeHandle!(forged), TypeError);
    for (const name of ['createRingSet', 'startReader', 'ringTotals', 'openClockPage', 'listenSeqpacket', 'openSeqpacket'])
      assert.throws(() => binding[name]!(forged), TypeError, name);
  }
});

test('a handle of one kind is refused where another is needed', async () => {
  using folder = temporary();
  const binding = loadBinding();
  const [clock] = binding.openClockPage(join(folder.path, 'clock'));
  assert.throws(() => binding.controlReader(clock, 'flush'), TypeError);
  assert.throws(() => binding.sendSeqpacket(clock, new Uint8Array(1), new Uint32Array(0)), TypeError);
  binding.closeHandle(clock);
});

const WRITER = `
  import { readSync, writeSync } from 'node:fs';
  import { workerData } from 'node:worker_threads';
  import { RingWriter, EVENT_BYTES } from ${JSON.stringify(new URL('./native-support.ts', import.meta.url).href)};
  const { ringFd, readerFd, flags, rounds } = workerData;
  const writer = new RingWriter(ringFd);
  const consumed = Buffer.alloc(8);
  for (let round = 1; round <= rounds; round++) {
    writer.emit(1);
    while (consumed.readBigUInt64LE() < BigInt(round * EVENT_BYTES)) {
      readSync(readerFd, consumed, 0, 8, 0);
      Atomics.wait(flags, 1, 0, 1);
    }
  }
  Atomics.store(flags, 0, 1);
  Atomics.notify(flags, 0);
`;

test('a JavaScript thread that is blocked does not hold up the reader', async () => {
  using folder = temporary();
  const rings = makeRings();
  const news = new News();
  const reader = native.startReader({ ...readerOptions(rings, folder.path), switchTimerUs: 1000 }, news.listener);
  const flags = new Int32Array(new SharedArrayBuffer(8));
  const rounds = 50;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(WRITER)}`), {
    workerData: { ringFd: rings.ringFd, readerFd: rings.readerFd, flags, rounds },
  });
  await new Promise((resolve) => worker.once('online', resolve));
  const told = news.all.length;
  assert.equal(Atomics.wait(flags, 0, 0, 20_000), 'ok', 'the reader consumed every round while this thread was blocked');
  assert.equal(news.all.length, told, 'this thread heard nothing meanwhile');
  await reader.flush();
  const streams = news.all.filter((item) => item.kind === 'streams').flatMap((item) => item.streams);
  assert.equal(
    streams.reduce((sum, stream) => sum + stream.events, 0n),
    BigInt(rounds),
  );
  assert.ok(streams.length < rounds, 'what happened meanwhile was merged');
  await worker.terminate();
  await reader.close();
});

const HOLDER = `
  import { parentPort, workerData } from 'node:worker_threads';
  import { makeRings, native, readerOptions } from ${JSON.stringify(new URL('./native-support.ts', import.meta.url).href)};
  const { path, id } = workerData;
  const reader = native.startReader({ ...readerOptions(makeRings(), path), filePrefix: 'w' + id }, () => {});
  const server = native.listenSeqpacket(path + '/' + id + '.sock', { mode: 0o600 }, (peer) => peer.onMessage(() => {}));
  const client = native.connectSeqpacket(path + '/' + id + '.sock');
  native.openClockPage(path + '/clock' + id);
  client.onMessage(() => {});
  setInterval(() => client.send(Buffer.from('x')), 1);
  void reader.flush();
  parentPort.postMessage('open');
`;

test('workers that are terminated with everything open leave nothing running', { timeout: 300_000 }, async () => {
  using folder = temporary();
  const threads = (): number => statSync('/proc/self/task').nlink;
  const before = threads();
  for (let round = 0; round < 3; round++) {
    const workers = Array.from(
      { length: 8 },
      (_, i) =>
        new Worker(new URL(`data:text/javascript,${encodeURIComponent(HOLDER)}`), {
          workerData: { path: folder.path, id: `${round}-${i}` },
        }),
    );
    await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  assert.ok(threads() <= before + 1, 'no reader or clock thread is left');
});

test('ring sets: refused without memory, taken back, not taken from strangers', () => {
  const huge = { ...GEOMETRY, subbufSize: 1 << 30, subbufCount: 4096 };
  assert.throws(() => makeRings(huge), { name: 'NativeError', code: 'ENOMEM', message: /need \d+ bytes, \d+ are available/ });
  const rings = makeRings();
  const again = native.adoptRingSet({ ringFd: rings.ringFd, readerFd: rings.readerFd, ringId: RING_ID, geometry: GEOMETRY });
  assert.equal(again.allocatedBytes, rings.allocatedBytes);
  assert.throws(
    () => native.adoptRingSet({ ringFd: rings.ringFd, readerFd: rings.readerFd, ringId: 'ee'.repeat(16), geometry: GEOMETRY }),
    { code: 'EINVAL' },
  );
  assert.equal(native.releaseLocks({ ringFd: rings.ringFd, geometry: GEOMETRY, applicationId: 5 }), 0);
});
