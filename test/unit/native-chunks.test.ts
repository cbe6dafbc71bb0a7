/** Rotations, trace files and clearing through the native module: what its promises say, and what lies in the files then. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, openSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeLayout } from '../../ctf/record-layout.ts';
import { EVENT_BYTES, eventClass, makeRings, News, native, RingWriter, readerOptions, temporary } from './native-support.ts';

const PACKET_HEADER_BYTES = 84;
const LAYOUT = encodeLayout([], [eventClass]);
const SOON = 2_000_000n;

/** Numbers of the events in a data file, in order, and its first packet's number. */
const numbersIn = (path: string): number[] => {
  const data = readFileSync(path);
  const numbers: number[] = [];
  for (let at = 0; at < data.length; ) {
    const bytes = Number(data.readBigUInt64LE(at + 48)) / 8;
    for (let event = at + PACKET_HEADER_BYTES; event < at + bytes; event += EVENT_BYTES)
      numbers.push(data.readUInt32LE(event + 13));
    at += bytes;
  }
  return numbers;
};
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** A ring, its writer and chunk directories c0, c1, ... */
const stage = () => {
  const folder = temporary();
  const rings = makeRings();
  for (let i = 0; i < 4; i++) mkdirSync(join(folder.path, `c${i}`));
  const directory = (chunk: number): string => join(folder.path, `c${chunk}`);
  return {
    rings,
    directory,
    writer: new RingWriter(rings.ringFd),
    data: (chunk: number) => join(directory(chunk), 'ch_0'),
    rotation: (chunk: number, at: bigint) => ({ chunk, directory: directory(chunk), at, layout: LAYOUT }),
    options: { ...readerOptions(rings, directory(0)), chunk: 0 },
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
};

test('a rotation cuts between the events around its moment, and asking again does nothing', async () => {
  using scene = stage();
  const reader = native.startReader(scene.options, () => {});
  await reader.flush();
  const at = process.hrtime.bigint() + SOON;
  scene.writer.emit(3);
  scene.writer.emit(4, at);
  const rotated = reader.rotate(scene.rotation(1, at));
  scene.writer.emit(5, at + 1n);
  await rotated;
  assert.deepEqual(numbersIn(scene.data(0)), range(0, 7));
  assert.equal(statSync(scene.data(1)).size, PACKET_HEADER_BYTES, 'an empty packet stands first');
  await reader.rotate(scene.rotation(1, at));
  // A message that was long on its way asks for a chunk of the past: nothing goes back to it.
  await reader.rotate(scene.rotation(0, at));
  await reader.flush();
  assert.deepEqual(numbersIn(scene.data(1)), range(7, 12));
  assert.ok(process.hrtime.bigint() > at);
  await reader.close();
});

test('records that the layout does not describe are cut late, and the news say so', async () => {
  using scene = stage();
  const news = new News();
  const reader = native.startReader(scene.options, news.listener);
  const at = process.hrtime.bigint() + SOON;
  scene.writer.emit(2);
  scene.writer.emit(2, at + 1n);
  await reader.rotate({ ...scene.rotation(1, at), layout: encodeLayout([], []) });
  assert.deepEqual(await news.until('cut-late'), { kind: 'cut-late', cpu: 0 });
  assert.deepEqual(numbersIn(scene.data(0)), range(0, 4));
  await reader.close();
});

test('a new directory that cannot be written leaves the old chunk whole', async () => {
  using scene = stage();
  const reader = native.startReader(scene.options, () => {});
  mkdirSync(scene.data(1));
  scene.writer.emit(3);
  const rotation = scene.rotation(1, process.hrtime.bigint());
  await assert.rejects(reader.rotate(rotation), { name: 'NativeError', code: 'EISDIR' });
  await assert.rejects(reader.rotate(scene.rotation(9, process.hrtime.bigint())), { code: 'ENOENT' });
  scene.writer.emit(3);
  await reader.flush();
  assert.deepEqual(numbersIn(scene.data(0)), range(0, 6));
  rmdirSync(scene.data(1));
  await reader.rotate(rotation);
  scene.writer.emit(1);
  await reader.flush();
  assert.deepEqual(numbersIn(scene.data(1)), [6]);
  await reader.close();
});

test('what a rotation refuses: held rings, moments far ahead, no layout, a reader that is closed', async () => {
  using scene = stage();
  const reader = native.startReader(scene.options, () => {});
  const now = process.hrtime.bigint();
  reader.setPlan('hold');
  await assert.rejects(reader.rotate(scene.rotation(1, now)), { code: 'EBUSY' });
  reader.setPlan('append');
  await assert.rejects(reader.rotate(scene.rotation(1, now + 120_000_000_000n)), { code: 'EINVAL' });
  await assert.rejects(reader.rotate({ ...scene.rotation(1, now), layout: new Uint8Array(3) }), { code: 'EINVAL' });
  const waiting = reader.rotate(scene.rotation(1, process.hrtime.bigint() + 30_000_000_000n));
  await Promise.all([assert.rejects(waiting, { code: 'ECANCELED' }), reader.close()]);
  await assert.rejects(reader.rotate(scene.rotation(1, now)), { code: 'EBADF' });
  await assert.rejects(reader.clear(), { code: 'EBADF' });
});

test('the successor of a reader that died in a rotation takes nothing until it is asked for it again', async () => {
  using scene = stage();
  const [ringFd, readerFd] = [scene.rings.ringFd, scene.rings.readerFd].map((fd) => openSync(`/proc/self/fd/${fd}`, 'r+'));
  const before = native.startReader(scene.options, () => {});
  scene.writer.emit(2);
  await before.flush();
  await before.close();
  const at = process.hrtime.bigint();
  scene.writer.emit(2, at);
  scene.writer.emit(2, at + 1n);
  const reader = native.startReader(
    {
      ...scene.options,
      ringFd: ringFd!,
      readerFd: readerFd!,
      chunk: 1,
      directory: scene.directory(1),
      previous: { chunk: 0, directory: scene.directory(0) },
    },
    () => {},
  );
  await assert.rejects(reader.flush(), { code: 'EBUSY' });
  await reader.rotate(scene.rotation(1, at));
  await reader.flush();
  assert.deepEqual(numbersIn(scene.data(0)), range(0, 4));
  assert.deepEqual(numbersIn(scene.data(1)), range(4, 6));
  await reader.close();
});

test('clearing forgets what is recorded and what is not yet', async () => {
  using scene = stage();
  const news = new News();
  const reader = native.startReader(scene.options, news.listener);
  scene.writer.emit(3);
  await reader.flush();
  scene.writer.emit(3);
  await reader.clear();
  assert.equal(statSync(scene.data(0)).size, PACKET_HEADER_BYTES);
  scene.writer.emit(3);
  await reader.flush();
  assert.deepEqual(numbersIn(scene.data(0)), range(6, 9));
  const { streams } = await news.until('streams');
  assert.equal(streams.at(-1)?.lost, 0n);
  await reader.close();
});

test('trace files have numbers, and the oldest is overwritten', async () => {
  using scene = stage();
  const reader = native.startReader({ ...scene.options, tracefileSize: 512, tracefileCount: 2 }, () => {});
  for (let i = 0; i < 5; i++) {
    scene.writer.emit(6); // 468 bytes with their packet header: a file each
    await reader.flush();
  }
  const files = [0, 1].map((number) => numbersIn(`${scene.data(0)}_${number}`));
  assert.deepEqual(files.sort((a, b) => a[0]! - b[0]!).flat(), range(18, 30));
  assert.ok(!existsSync(scene.data(0)) && !existsSync(`${scene.data(0)}_2`));
  assert.ok(existsSync(join(scene.directory(0), 'index', 'ch_0_1.idx')));
  await reader.close();
});
