/** Numbers of strangers: what no index, no reply and no file can hold ends the link or the viewer that it came from, never the relay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LinkDataError, parseLinkData } from '../../transport/link-data.ts';
import { WorldRelay } from '../support/world/relay.ts';
import { World } from '../support/world/world.ts';

const PATH = 'ust/uid/7/64-bit/c_0';
const PACKET_BYTES = 128;
const PACKET_MAGIC = 0xc1fc1fc1;
const SEQUENCE_AT = 64;
const LAST_TIME = 2n ** 64n - 1n;

const bytesOf = (...fields: readonly (readonly [bytes: 4 | 8, value: bigint])[]): Buffer =>
  Buffer.concat(
    fields.map(([bytes, value]) => {
      const field = Buffer.alloc(8);
      field.writeBigUInt64BE(value);
      return field.subarray(8 - bytes);
    }),
  );

/** Of an index: offset, sizes in bits, begin, end, discarded, class, instance, number. */
const indexOf = (number: bigint, begin = 1n, end = 2n): Buffer => {
  const bits = BigInt(PACKET_BYTES * 8);
  return bytesOf(...[0n, bits, bits, begin, end, 0n, 0n, 0n, number].map((value) => [8, value] as const));
};

const packet = (index: Buffer, parts = 1, part = 0) => {
  const bytes = Buffer.alloc(PACKET_BYTES / parts, 1);
  const number = Number(index.readBigUInt64BE(SEQUENCE_AT));
  if (part === 0 && bytes.length > SEQUENCE_AT) {
    bytes.writeUInt32LE(PACKET_MAGIC, 0);
    bytes.writeBigUInt64LE(BigInt(number), SEQUENCE_AT);
  }
  return { kind: 'packet', path: PATH, number, index, part, parts, offset: part * bytes.length, bytes };
};

const CONNECT = bytesOf([8, 0n], [4, 2n], [4, 4n], [4, 1n]);
const ATTACH = bytesOf([8, 1n], [8, 0n], [4, 1n]);

const attached = async (relay: WorldRelay) => {
  const viewer = relay.viewer(0);
  await viewer.ask(1, CONNECT);
  await viewer.ask(8);
  assert.equal((await viewer.ask(3, ATTACH)).readUInt32BE(0), 1);
  return viewer;
};

const inWorld = async (work: (relay: WorldRelay, world: World) => Promise<void>): Promise<void> => {
  const world = new World();
  const relay = await WorldRelay.receiving(world);
  try {
    await work(relay, world);
    assert.equal(relay.root.getSnapshot().status, 'active');
    assert.deepEqual(world.crashes, []);
  } finally {
    relay.dispose();
  }
};

test('a time of a beat is a whole number of 64 bits, or the message is refused by name', () => {
  const beat = (clock: unknown) => parseLinkData({ kind: 'beat', epoch: 1, n: 1, clock, paths: [] });
  for (const clock of [1e300, 0.5, -1, -1n, 2n ** 64n, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, '7', null])
    assert.throws(
      () => beat(clock),
      (thrown) => thrown instanceof LinkDataError && /clock/.test(thrown.message),
      String(clock),
    );
  for (const clock of [0, 7, 0n, LAST_TIME])
    assert.deepEqual(beat(clock), { kind: 'beat', epoch: 1, n: 1, clock: BigInt(clock), paths: [] });
});

test('a beat with a time that no reply can hold closes its link; the relay and its viewers go on', async () => {
  for (const clock of [1e300, 0.5])
    await inWorld(async (relay) => {
      await relay.send(1, packet(indexOf(0n)));
      const viewer = await attached(relay);
      await relay.send(1, { kind: 'beat', clock, paths: [PATH] });
      assert.ok(
        relay.acks.some(({ refused }) => refused !== undefined),
        String(clock),
      );
      for (let asked = 0; asked < 3; asked++) await viewer.ask(4, bytesOf([8, 2n]));
      assert.ok(!viewer.closed);
    });
});

test('the highest times that there are can be shown', () =>
  inWorld(async (relay) => {
    await relay.send(1, packet(indexOf(0n, LAST_TIME, LAST_TIME)));
    await relay.send(1, packet(indexOf(1n, LAST_TIME, 0n)));
    await relay.send(1, { kind: 'beat', clock: LAST_TIME, paths: [PATH] });
    const viewer = await attached(relay);
    const statuses: number[] = [];
    for (let asked = 0; asked < 3; asked++) statuses.push((await viewer.ask(4, bytesOf([8, 2n]))).readUInt32BE(56));
    assert.deepEqual(statuses, [1, 1, 2]);
  }));

test('what cannot be answered ends that viewer only', () =>
  inWorld(async (relay) => {
    await relay.send(1, packet(indexOf(0n)));
    const [one, other] = [await attached(relay), await attached(relay)];
    const read = relay.disk.read;
    relay.disk.read = () => {
      throw new Error('EIO');
    };
    await one.ask(4, bytesOf([8, 2n]));
    relay.disk.read = read;
    assert.ok(one.closed);
    assert.equal((await other.ask(4, bytesOf([8, 2n]))).readUInt32BE(56), 1);
    assert.equal(relay.viewers, 1);
  }));

test('a packet in parts whose index the full disk did not take never ends the relay', () =>
  inWorld(async (relay, world) => {
    await relay.send(1, packet(indexOf(0n), 2, 0));
    const write = relay.disk.write;
    relay.disk.write = (path, at, bytes) => {
      if (path.endsWith('.idx')) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
      write.call(relay.disk, path, at, bytes);
    };
    await relay.send(1, packet(indexOf(0n), 2, 1));
    relay.disk.write = write;
    await world.clock.advance(1_000);
  }));

test('bytes that are no packet are told once, and end nothing', () =>
  inWorld(async (relay) => {
    for (const number of [0n, 1n]) await relay.send(1, { ...packet(indexOf(number)), bytes: Buffer.alloc(PACKET_BYTES) });
    await relay.send(1, packet(indexOf(2n)));
    assert.equal(relay.events.filter((what) => what === 'unreadable').length, 1);
    const viewer = await attached(relay);
    assert.equal((await viewer.ask(4, bytesOf([8, 2n]))).readUInt32BE(56), 1);
  }));
