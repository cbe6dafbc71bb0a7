/** What a link sends from a spool on disk: in order, whole, each packet once, whatever is lost, cut or killed on the way. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompressSync } from 'node:zlib';
import { LinkLog } from '../../actors/link-log.ts';
import type { LinkPeer } from '../../actors/link-peer.ts';
import { LinkPump } from '../../actors/link-pump.ts';
import { LinkQueue } from '../../actors/link-queue.ts';
import { RelayPeer } from '../../actors/link-relay.ts';
import { openSpool } from '../../actors/spool.ts';
import { loadNative } from '../../native/addon/index.ts';
import { MemoryFabric } from '../../transport/memory-bus.ts';
import { Chance } from '../simulation/chance.ts';
import { FakeRelay } from '../support/fake-relay.ts';
import { SpoolFiles } from '../support/spool-files.ts';

const native = loadNative();
const TRACE = 'ust/uid/0/64-bit';
const rest = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const clock = {
  now: () => performance.now(),
  setTimeout: (task: () => void, ms: number) => setTimeout(task, ms),
  clearTimeout: (timer: unknown) => clearTimeout(timer as NodeJS.Timeout),
};
const place = {
  host: 'h',
  uid: 0,
  owner: '0',
  link: 'ab'.repeat(16),
  session: 's',
  createdAt: '2026-01-01T00:00:00Z',
  live: false,
  subdir: '',
};

/** One process: everything that it knows is gone with it. */
class Sender {
  readonly log: LinkLog;
  readonly queue: LinkQueue;
  readonly pump: LinkPump;
  readonly peer: RelayPeer;
  drained = 0;
  lost = 0;
  forgotten = 0;
  readonly refused: string[] = [];
  /** Messages until it is killed. */
  life = Number.POSITIVE_INFINITY;

  constructor(world: LinkWorld, compress: boolean) {
    const spool = openSpool(world.output, native.punchHole);
    const read = spool.read.bind(spool);
    spool.read = (path, at, length, memory) => {
      if (memory && path === world.unreadable) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      return read(path, at, length, memory);
    };
    this.log = new LinkLog(spool);
    this.queue = new LinkQueue(spool, this.log, (path) => world.settled.get(path) ?? null);
    this.peer = new RelayPeer(world.bus, place, {
      acked: (ack) => this.life > 0 && this.pump.acked(ack),
      refused: (cause) => void this.refused.push(cause),
      forgotten: () => {
        this.forgotten++;
      },
      cut: () => this.pump.pause(),
      connected: () => {},
    });
    const mortal: LinkPeer = {
      open: (epoch) => this.peer.open(epoch),
      send: (message) => this.life-- > 0 && this.peer.send(message),
      close: () => this.peer.close(),
    };
    this.pump = new LinkPump({
      spool,
      queue: this.queue,
      peer: mortal,
      clock,
      compress: compress ? world.compressor : null,
      tracefiles: () => ({ size: 0, count: 0 }),
      onSent: () => {},
      onDrained: () => {
        this.drained++;
      },
      onLost: () => {
        this.lost++;
      },
    });
  }

  async open(): Promise<void> {
    const position = await this.peer.open(this.log.nextEpoch());
    this.pump.begin(position);
    this.pump.run();
  }

  async kill(): Promise<void> {
    this.life = 0;
    this.pump.pause();
    await this.peer.close();
  }
}

class LinkWorld {
  readonly output = mkdtempSync(join(tmpdir(), 'weft-link-'));
  readonly files = new SpoolFiles(this.output);
  readonly fabric = new MemoryFabric();
  readonly bus = this.fabric.connect();
  readonly relay = new FakeRelay();
  readonly settled = new Map<string, number>();
  compress = false;
  unreadable = '';
  compressor: (bytes: Buffer) => Promise<Buffer> = promisify(zstdCompress);

  static async make(t: TestContext): Promise<LinkWorld> {
    const world = new LinkWorld();
    t.after(() => rmSync(world.output, { recursive: true, force: true }));
    await world.relay.start(world.fabric.connect());
    world.files.describe(TRACE, 'metadata 1');
    return world;
  }

  async sender(): Promise<Sender> {
    const sender = new Sender(this, this.compress);
    await sender.open();
    return sender;
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    for (let turn = 0; turn < 1_000 && !holds(); turn++) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.ok(holds(), what);
  }

  /** The relay has exactly what was written. */
  same(): void {
    assert.deepEqual(this.relay.complaints, []);
    for (const [path, packets] of this.files.written) {
      const want = Buffer.concat(packets);
      assert.ok(this.relay.bytes(path).equals(want), `${path}: ${this.relay.numbers(path)}`);
    }
  }
}

const allocated = (path: string): number => statSync(path).blocks * 512;

test('packets arrive whole and in order, in fragments of 256 KiB, metadata first; what is durable takes no room', async (t) => {
  const world = await LinkWorld.make(t);
  for (const size of [4096, 300_000, 1 << 20, 84]) world.files.packet(`${TRACE}/c_0`, size);
  const sender = await world.sender();
  await world.until('all is there', () => sender.pump.drained);
  world.same();
  assert.equal(world.relay.metadata.get(TRACE), 'metadata 1');
  assert.equal(sender.queue.bytes, 0);
  assert.ok(allocated(join(world.output, TRACE, 'c_0')) <= 3 * 4096, 'holes, but for the note and an end within a block');
  assert.ok(sender.drained > 0);
});

test('metadata that grows is sent before the packets that need it', async (t) => {
  const world = await LinkWorld.make(t);
  const seen: string[] = [];
  world.relay.onPacket = (_, number) => void seen.push(`${number} ${world.relay.metadata.get(TRACE)?.length}`);
  const sender = await world.sender();
  world.files.packet(`${TRACE}/c_0`, 4096);
  sender.pump.wake();
  await rest();
  const text = 'x'.repeat(700_000);
  world.files.describe(TRACE, text);
  world.files.packet(`${TRACE}/c_0`, 4096);
  sender.pump.wake();
  await world.until('all is there', () => sender.pump.drained);
  assert.deepEqual(seen, ['0 10', '1 700000']);
  assert.equal(world.relay.metadata.get(TRACE), text);
});

test('compressed packets are one zstd frame each', async (t) => {
  const world = await LinkWorld.make(t);
  world.compress = true;
  world.relay.decompress = (frame) => zstdDecompressSync(frame);
  for (let i = 0; i < 5; i++) world.files.packet(`${TRACE}/c_0`, 500_000);
  const sender = await world.sender();
  await world.until('all is there', () => sender.pump.drained);
  world.same();
  assert.ok(sender.pump.sentBytes < 100_000);
});

test('a packet that cannot be compressed, or gets no smaller, is sent as it is', async (t) => {
  const world = await LinkWorld.make(t);
  world.compress = true;
  world.relay.decompress = () => assert.fail('no frame');
  let asked = 0;
  world.compressor = async (bytes) => (asked++ % 2 === 0 ? Promise.reject(new Error('ENOMEM')) : Buffer.concat([bytes, bytes]));
  for (let i = 0; i < 4; i++) world.files.packet(`${TRACE}/c_0`, 300_000);
  const sender = await world.sender();
  await world.until('all is there', () => sender.pump.drained);
  assert.equal(asked, 4);
  world.same();
});

test('a packet whose chunk is cleared while it is compressed is not sent', async (t) => {
  const world = await LinkWorld.make(t);
  const path = `${TRACE}/c_0`;
  world.compress = true;
  const compressed = Promise.withResolvers<Buffer>();
  world.compressor = () => compressed.promise;
  world.files.packet(path, 5000);
  const sender = await world.sender();
  sender.queue.block('');
  sender.pump.forget(() => true);
  world.files.empty(path);
  sender.log.add({ op: 'clear', directory: '' });
  sender.queue.emptied('');
  compressed.resolve(Buffer.alloc(10));
  await rest();
  sender.pump.wake();
  await world.until('all is there', () => sender.pump.drained);
  assert.deepEqual(world.relay.numbers(path), []);
});

test('very many packets that cannot be read are passed over', async (t) => {
  const world = await LinkWorld.make(t);
  for (let n = 0; n < 15_000; n++) world.files.packet(`${TRACE}/c_0`, 84);
  world.unreadable = `${TRACE}/c_0`;
  world.files.packet(`${TRACE}/c_1`, 84);
  const sender = await world.sender();
  await world.until('nothing waits', () => sender.pump.drained);
  assert.deepEqual(world.relay.numbers(`${TRACE}/c_1`), [0]);
});

test('thousands of streams: the link opens, and beats come in as many messages as they need', async (t) => {
  const world = await LinkWorld.make(t);
  const long = 'x'.repeat(150);
  const paths = Array.from({ length: 9_000 }, (_, n) => `${TRACE}/${long}_${n}`);
  const sender = await world.sender();
  await world.until('the metadata is there', () => sender.pump.drained);
  Object.defineProperty(sender.queue, 'idlePaths', { get: () => paths });
  sender.pump.beat(5n);
  await world.until('the beats are there', () => sender.pump.drained);
  assert.ok(world.relay.beats.length > 1);
  assert.deepEqual(
    world.relay.beats.flatMap(({ paths: some }) => some as string[]),
    paths,
  );
  assert.equal(world.relay.opens.at(-1)?.streams, undefined);
  assert.deepEqual(sender.refused, []);
});

test('what no message can carry is told, with its cause', async (t) => {
  const world = await LinkWorld.make(t);
  const sender = await world.sender();
  await world.until('the metadata is there', () => sender.pump.drained);
  sender.log.add({ op: 'archive', from: '', to: 'x'.repeat(2 << 20) });
  sender.pump.wake();
  assert.match(sender.refused[0] ?? '', /kind op is larger than a bus takes.*stays in the spool/);
});

test('no more than the window is on the way; a full relay stops the link until it has room', async (t) => {
  const world = await LinkWorld.make(t);
  world.relay.window = 1 << 20;
  world.relay.prompt = false;
  for (let i = 0; i < 16; i++) world.files.packet(`${TRACE}/c_0`, 1 << 18);
  const sender = await world.sender();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(sender.pump.sentBytes <= (1 << 20) + (1 << 18) + 4096, String(sender.pump.sentBytes));
  world.relay.full = true;
  const before = sender.pump.sentBytes;
  world.relay.acknowledge();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(sender.pump.sentBytes, before);
  world.relay.full = false;
  world.relay.prompt = true;
  world.relay.acknowledge();
  await world.until('all is there', () => sender.pump.drained);
  world.same();
});

test('messages that were lost are sent again from the first missing one', async (t) => {
  const world = await LinkWorld.make(t);
  const sender = await world.sender();
  await world.until('the metadata is there', () => sender.pump.drained);
  world.relay.lose = 3;
  for (let i = 0; i < 6; i++) world.files.packet(`${TRACE}/c_0`, 4096);
  sender.pump.wake();
  await world.until('all is there', () => sender.pump.drained);
  world.same();
});

test('a relay that was restarted says at once that it knows no such link, and gets what it has not', async (t) => {
  const world = await LinkWorld.make(t);
  world.files.packet(`${TRACE}/c_0`, 4096);
  const sender = await world.sender();
  await world.until('the first is there', () => sender.pump.drained);
  world.relay.forget();
  world.files.packet(`${TRACE}/c_0`, 4096);
  sender.pump.wake();
  await world.until('the relay said so', () => sender.forgotten > 0);
  await sender.open();
  await world.until('all is there', () => sender.pump.drained);
  world.same();
});

test('a packet that its reader may write again is not sent', async (t) => {
  const world = await LinkWorld.make(t);
  world.settled.set(`${TRACE}/c_0`, 1);
  world.files.packet(`${TRACE}/c_0`, 4096);
  world.files.packet(`${TRACE}/c_0`, 4096);
  const sender = await world.sender();
  await world.until('the first is there', () => sender.pump.drained);
  assert.deepEqual(world.relay.numbers(`${TRACE}/c_0`), [0]);
  world.settled.set(`${TRACE}/c_0`, 2);
  sender.pump.wake();
  await world.until('the second is there', () => world.relay.numbers(`${TRACE}/c_0`).length === 2);
});

test('operations come behind the packets of their chunk, backlog and newest chunk in turn; the chunk that moved leaves the spool', async (t) => {
  const world = await LinkWorld.make(t);
  const order: string[] = [];
  world.relay.onPacket = (path) => void order.push(path.startsWith('ust') ? 'old' : 'new');
  for (let i = 0; i < 20; i++) world.files.packet(`${TRACE}/c_0`, 4096);
  world.files.describe(`20260101T000000-1/${TRACE}`, 'metadata 2');
  for (let i = 0; i < 20; i++) world.files.packet(`20260101T000000-1/${TRACE}/c_0`, 4096);
  const kept = Buffer.concat(world.files.written.get(`${TRACE}/c_0`)!);
  const sender = new Sender(world, false);
  sender.log.add({ op: 'archive', from: '', to: 'archives/a-0' });
  sender.log.add({ op: 'archive', from: '', to: 'archives/a-0' });
  await sender.open();
  await world.until('all is there', () => sender.pump.drained);
  assert.deepEqual(world.relay.complaints, []);
  assert.ok(order.slice(0, 10).includes('old') && order.slice(0, 10).includes('new'), order.join());
  assert.equal(world.relay.operations.length, 1);
  assert.ok(world.relay.bytes(`archives/a-0/${TRACE}/c_0`).equals(kept));
  assert.equal(existsSync(join(world.output, 'ust')), false);
  assert.equal(existsSync(join(world.output, '20260101T000000-1')), true);
});

test('what was cleared is not sent, and what comes after it follows the clearing', async (t) => {
  const world = await LinkWorld.make(t);
  const path = `${TRACE}/c_0`;
  world.relay.prompt = false;
  world.relay.window = 1 << 19;
  for (let i = 0; i < 8; i++) world.files.packet(path, 1 << 18);
  const sender = await world.sender();
  await rest();
  sender.queue.block('');
  sender.pump.forget(() => true);
  world.files.empty(path);
  sender.log.add({ op: 'clear', directory: '' });
  sender.queue.emptied('');
  const number = world.files.packet(path, 5000);
  world.relay.prompt = true;
  sender.pump.wake();
  world.relay.acknowledge();
  await world.until('all is there', () => sender.pump.drained);
  assert.deepEqual(world.relay.numbers(path), [number]);
  assert.deepEqual(world.relay.complaints, []);
});

const PATHS = [`${TRACE}/c_0`, `${TRACE}/c_1`, `20260101T000000-1/${TRACE}/c_0`];

test('a sender that is killed after any number of messages leaves nothing out and sends nothing twice', async (t) => {
  for (let life = 0; life < 16; life++) {
    const world = await LinkWorld.make(t);
    world.files.describe(`20260101T000000-1/${TRACE}`, 'metadata 2');
    for (const path of PATHS) for (let i = 0; i < 4; i++) world.files.packet(path, i === 2 ? 600_000 : 4096, path);
    const first = new Sender(world, false);
    first.life = life;
    await first.open();
    await rest();
    await rest();
    await first.kill();
    const second = await world.sender();
    await world.until('all is there', () => second.pump.drained);
    world.same();
  }
});

test('cuts, losses, deaths of either side at random: everything once, in order (12 seeds)', async (t) => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = new Chance(seed);
    const pick = (below: number): number => random.below(below);
    const world = await LinkWorld.make(t);
    world.files.describe(`20260101T000000-1/${TRACE}`, 'metadata 2');
    let sender = await world.sender();
    for (let step = 0; step < 25; step++) {
      const path = PATHS[pick(3)]!;
      world.files.packet(path, pick(8) === 0 ? 600_000 : 84 + pick(9_000), path);
      const what = pick(8);
      if (what === 0) {
        await sender.kill();
        sender = await world.sender();
      } else if (what === 1) {
        world.fabric.cut();
        sender.pump.wake();
        world.fabric.restore();
        await sender.open();
      } else if (what === 2) world.relay.lose = pick(3);
      else if (what === 3) {
        await world.relay.kill();
        await world.relay.start(world.fabric.connect());
        await sender.open();
      } else if (what === 4) world.relay.prompt = !world.relay.prompt;
      sender.pump.wake();
      if (pick(2) === 0) await rest();
    }
    world.relay.lose = 0;
    world.relay.prompt = true;
    await sender.kill();
    sender = await world.sender();
    await world.until(`seed ${seed}: all is there`, () => sender.pump.drained);
    assert.equal(sender.queue.lostPackets, 0);
    assert.deepEqual(world.relay.complaints, [], `seed ${seed}`);
    for (const path of PATHS) {
      const want = Buffer.concat(world.files.written.get(path) ?? []);
      assert.ok(world.relay.bytes(path).equals(want), `seed ${seed} ${path}: ${world.relay.numbers(path)}`);
    }
  }
});
