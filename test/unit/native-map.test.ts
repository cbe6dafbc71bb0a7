/** Counter maps through the native module, with a test in the place of the applications that count. */
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { MapEntries, MapGeometry } from '../../native/addon/index.ts';
import { native, openFds, RING_ID, temporary } from './native-support.ts';

const GEOMETRY: MapGeometry = { cpuCount: 3, slots: 40, bits: 64 };
const PAGE = 4096;
const COUNTER_BYTES = 8;

/** Follows native/ring/map_layout.h: a part of 40 counters fits one page. */
const poke = (fd: number, cpu: number, slot: number, value: bigint): void => {
  const bytes = Buffer.alloc(COUNTER_BYTES);
  bytes.writeBigInt64LE(value);
  writeSync(fd, bytes, 0, COUNTER_BYTES, PAGE * (1 + cpu) + slot * COUNTER_BYTES);
};
const pokeOverflow = (fd: number, cpu: number, slot: number): void => {
  const at = PAGE * (1 + cpu) + GEOMETRY.slots * COUNTER_BYTES + (slot >> 5) * 4;
  const bytes = Buffer.alloc(4);
  readSync(fd, bytes, 0, 4, at);
  bytes.writeUInt32LE((bytes.readUInt32LE() | (1 << (slot % 32))) >>> 0);
  writeSync(fd, bytes, 0, 4, at);
};

const make = (geometry: MapGeometry = GEOMETRY) => {
  const { fd } = native.createMap({ mapId: RING_ID, ...geometry });
  return { fd, ...geometry, [Symbol.dispose]: () => closeSync(fd) };
};

const rows = ({ cpus, slots, values, overflows }: MapEntries): unknown[] =>
  Array.from(cpus, (cpu, i) => [cpu, slots[i], values[i], overflows[i]]);

test('a new map is zero, and only what counts is read unless all is asked for', () => {
  using map = make();
  assert.deepEqual(rows(native.readMap(map)), []);
  poke(map.fd, 0, 39, 5n);
  poke(map.fd, 2, 0, -7n);
  pokeOverflow(map.fd, 1, 33);
  assert.deepEqual(rows(native.readMap(map)), [
    [0, 39, 5n, 0],
    [1, 33, 0n, 1],
    [2, 0, -7n, 0],
  ]);
  assert.deepEqual(rows(native.readMap({ ...map, used: 34 })), [
    [1, 33, 0n, 1],
    [2, 0, -7n, 0],
  ]);
  assert.equal(native.readMap({ ...map, all: true }).values.length, 120);
  assert.deepEqual(rows(native.readMap({ ...map, all: true, used: 1 })), [
    [0, 0, 0n, 0],
    [1, 0, 0n, 0],
    [2, 0, -7n, 0],
  ]);
});

test('counters of 32 bits come with their sign', () => {
  using map = make({ ...GEOMETRY, bits: 32 });
  poke(map.fd, 0, 1, 0x8000_0000n);
  poke(map.fd, 1, 1, 0x7fff_ffffn);
  assert.deepEqual(rows(native.readMap(map)), [
    [0, 1, -2147483648n, 0],
    [1, 1, 2147483647n, 0],
  ]);
});

test('clearing takes counters and overflow bits of a range, or all', () => {
  using map = make();
  for (const slot of [3, 4, 5]) {
    poke(map.fd, 1, slot, 9n);
    pokeOverflow(map.fd, 1, slot);
  }
  native.clearMap({ ...map, first: 4, count: 1 });
  assert.deepEqual(rows(native.readMap(map)), [
    [1, 3, 9n, 1],
    [1, 5, 9n, 1],
  ]);
  native.clearMap(map);
  assert.deepEqual(rows(native.readMap(map)), []);
  assert.throws(() => native.clearMap({ ...map, first: 40, count: 1 }), { code: 'EINVAL', message: /40 slots/ });
});

test('a map that comes back is taken only when it is that map', () => {
  using map = make();
  native.adoptMap({ ...map, mapId: RING_ID });
  assert.throws(() => native.adoptMap({ ...map, mapId: 'ee'.repeat(16) }), { code: 'EINVAL', message: /another map/ });
  assert.throws(() => native.adoptMap({ ...map, mapId: RING_ID, cpuCount: 4 }), { code: 'EINVAL', message: /bytes/ });
  using folder = temporary();
  const file = openSync(join(folder.path, 'map'), 'w+');
  ftruncateSync(file, PAGE * 4);
  writeSync(file, readFileSync(`/proc/self/fd/${map.fd}`));
  assert.throws(() => native.adoptMap({ ...map, fd: file, mapId: RING_ID }), { code: 'EPERM' });
  assert.throws(() => native.readMap({ ...map, fd: file }), { code: 'EPERM', message: /neither sealed/ });
  closeSync(file);
  const readOnly = openSync(`/proc/self/fd/${map.fd}`, 'r');
  assert.throws(() => native.adoptMap({ ...map, fd: readOnly, mapId: RING_ID }), { code: 'EPERM', message: /not writable/ });
  closeSync(readOnly);
  assert.throws(() => ftruncateSync(map.fd, PAGE), { code: 'EPERM' });
});

test('sizes that no map can have are refused, and what memory does not hold', () => {
  const before = openFds();
  for (const wrong of [{ slots: 0 }, { slots: 2 ** 20 + 1 }, { cpuCount: 0 }, { cpuCount: 2 ** 20 }, { slots: 2 ** 32 + 1 }])
    assert.throws(() => native.createMap({ mapId: RING_ID, ...GEOMETRY, ...wrong }), { code: 'EINVAL', message: /slots/ });
  assert.throws(() => native.createMap({ mapId: RING_ID, cpuCount: 4096, slots: 2 ** 20, bits: 64 }), {
    code: 'ENOMEM',
    message: /counter maps need \d+ bytes/,
  });
  assert.throws(() => native.createMap({ mapId: 'short', ...GEOMETRY }), TypeError);
  assert.equal(openFds(), before);
});
