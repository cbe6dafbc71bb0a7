/** Viewers on a relay's live port: what they print is what was recorded, and nobody sees what they may not. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { LinkSender, readSpool, type SenderOptions, type Spool } from '../support/link-sender.ts';
import { COMMAND_MS } from '../support/patience.ts';
import { TestRelay } from '../support/relay.ts';
import { Weft } from '../support/weft.ts';

const EVENTS = 20_000;
const weft = new Weft();
let spool: Spool;
let relay: TestRelay;

const options = (session: string): SenderOptions => ({
  host: 'alpha',
  uid: 0,
  owner: String(process.getuid!()),
  link: randomBytes(16).toString('hex'),
  session,
  live: 1_000_000,
});

before(async () => {
  const trace = weft.session('s', ['--subbuf-size=16k', '--num-subbuf=256']);
  const counter = await weft.counter({ threads: 2, events: EVENTS / 2 });
  await counter.ended;
  weft.ok('destroy', 's');
  spool = readSpool(trace);
  relay = await TestRelay.start();
});

after(async () => {
  await relay.dispose();
  weft.dispose();
});

/** A viewer that counts what it is shown; `ended` when it ended by itself. */
const babeltrace = (session: string) => {
  const url = `net://localhost:${relay.livePort}/host/alpha/${session}`;
  const child = spawn('babeltrace2', ['--input-format=lttng-live', url], { stdio: ['ignore', 'pipe', 'pipe'] });
  const seen = { events: 0, complaints: '' };
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    seen.events += text.split('\n').length - 1;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    seen.complaints += text;
  });
  const ended = new Promise<{ status: number | null; events: number; complaints: string }>((done) => {
    child.once('close', (status) => done({ status, ...seen }));
  });
  return { ended, kill: () => child.kill('SIGKILL') };
};

/** One who speaks the protocol by hand. */
class Caller {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);
  #wake: () => void = () => {};
  closed = false;

  constructor() {
    this.socket = connect(relay.livePort, '127.0.0.1');
    this.socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  send(command: number, payload: Buffer = Buffer.alloc(0), size = payload.length): void {
    const header = Buffer.alloc(16);
    header.writeBigUInt64BE(BigInt(size), 0);
    header.writeUInt32BE(command, 8);
    this.socket.write(Buffer.concat([header, payload]));
  }

  /** Null: the connection was closed before so much came. */
  async take(count: number): Promise<Buffer | null> {
    while (this.#bytes.length < count && !this.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#bytes.length < count) return null;
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }

  greeted = false;

  async greet(): Promise<void> {
    const payload = Buffer.alloc(20);
    payload.writeUInt32BE(2, 8);
    payload.writeUInt32BE(4, 12);
    this.send(1, payload);
    this.greeted = (await this.take(20)) !== null;
  }

  /** Name to id, clients. */
  async list(): Promise<Map<string, { id: bigint; clients: number }>> {
    this.send(2);
    const count = (await this.take(4))!.readUInt32BE(0);
    const sessions = new Map<string, { id: bigint; clients: number }>();
    for (let i = 0; i < count; i++) {
      const record = (await this.take(339))!;
      const name = record.toString('utf8', 84).replaceAll('\0', '');
      sessions.set(name, { id: record.readBigUInt64BE(0), clients: record.readUInt32BE(12) });
    }
    return sessions;
  }

  async attach(id: bigint, seek: number) {
    this.send(8);
    await this.take(4);
    const payload = Buffer.alloc(20);
    payload.writeBigUInt64BE(id, 0);
    payload.writeUInt32BE(seek, 16);
    this.send(3, payload);
    const head = (await this.take(8))!;
    const records = (await this.take(head.readUInt32BE(4) * 4371))!;
    const streams = Array.from({ length: head.readUInt32BE(4) }, (_, i) => {
      const at = i * 4371;
      return { id: records.readBigUInt64BE(at), metadata: records.readUInt32BE(at + 16) === 1 };
    });
    return { status: head.readUInt32BE(0), streams };
  }

  async index(stream: bigint) {
    const payload = Buffer.alloc(8);
    payload.writeBigUInt64BE(stream, 0);
    this.send(4, payload);
    const reply = (await this.take(64))!;
    return { status: reply.readUInt32BE(56), offset: reply.readBigUInt64BE(0), bytes: Number(reply.readBigUInt64BE(8) / 8n) };
  }

  async packet(stream: bigint, offset: bigint, length: number) {
    const payload = Buffer.alloc(20);
    payload.writeBigUInt64BE(stream, 0);
    payload.writeBigUInt64BE(offset, 8);
    payload.writeUInt32BE(length, 16);
    this.send(5, payload);
    const head = (await this.take(12))!;
    return { status: head.readUInt32BE(0), bytes: (await this.take(head.readUInt32BE(4)))! };
  }
}

const attached = async (session: string, clients: number): Promise<void> => {
  const caller = new Caller();
  await caller.greet();
  while ((await caller.list()).get(session)?.clients !== clients) await new Promise((resolve) => setImmediate(resolve));
  caller.socket.destroy();
};

test('babeltrace2 prints all events of a session that begins while it watches, twice at a time, and ends with it', async () => {
  const sender = new LinkSender(await relay.connect(), options('live'), spool);
  await sender.open();
  sender.metadata();
  assert.ok(await sender.pump());
  const viewers = [babeltrace('live'), babeltrace('live')];
  await attached('live', viewers.length);
  sender.packets();
  assert.ok(await sender.pump());
  sender.op(1, { op: 'close' });
  assert.ok(await sender.pump());
  for (const { ended } of viewers) {
    const { status, events, complaints } = await ended;
    assert.deepEqual({ status, events, complaints }, { status: 0, events: EVENTS, complaints: '' });
  }
});

/** All bytes of all streams, in the order of their packets, until every one has hung up or has nothing yet. */
const readAll = async (caller: Caller, streams: readonly { id: bigint; metadata: boolean }[]): Promise<number> => {
  let packets = 0;
  for (const { id } of streams.filter(({ metadata }) => !metadata)) {
    for (;;) {
      const { status, offset, bytes } = await caller.index(id);
      if (status !== 1) break;
      const half = await caller.packet(id, offset, Math.ceil(bytes / 2));
      const rest = await caller.packet(id, offset + BigInt(half.bytes.length), 1 << 30);
      assert.equal(half.bytes.length + rest.bytes.length, bytes);
      assert.equal(half.bytes.readUInt32LE(0), 0xc1fc1fc1);
      packets++;
    }
  }
  return packets;
};

test('a late viewer sees all of it from the beginning, or only what comes; and goes on in the chunk behind a rotation', async () => {
  const sender = new LinkSender(await relay.connect(), options('late'), spool);
  await sender.open();
  sender.metadata();
  const half = spool.packets.length >> 1;
  sender.packets(0, half);
  assert.ok(await sender.pump());
  const [early, late] = [new Caller(), new Caller()];
  await early.greet();
  await late.greet();
  const id = (await early.list()).get('late')!.id;
  const [fromBeginning, fromNow] = [await early.attach(id, 1), await late.attach(id, 2)];
  assert.equal(await readAll(early, fromBeginning.streams), half);
  assert.equal(await readAll(late, fromNow.streams), 0);
  sender.packets(half);
  assert.ok(await sender.pump());
  assert.equal(await readAll(early, fromBeginning.streams), spool.packets.length - half);
  assert.equal(await readAll(late, fromNow.streams), spool.packets.length - half);
  const data = fromNow.streams.find(({ metadata }) => !metadata)!;
  const paths = [...new Set(spool.packets.map(({ path }) => path))];
  sender.beat(2n ** 60n, paths);
  assert.ok(await sender.pump());
  assert.equal((await late.index(data.id)).status, 5, 'time goes on without events');
  assert.equal((await late.index(data.id)).status, 2, 'but it is told once');
  sender.op(1, { op: 'archive', from: '', to: 'archives/a-0' });
  assert.ok(await sender.pump());
  assert.equal((await late.index(data.id)).status, 2);
  sender.durable.clear();
  sender.metadata();
  sender.packets(0, 4);
  assert.ok(await sender.pump());
  const request = Buffer.alloc(8);
  request.writeBigUInt64BE(id);
  late.send(7, request);
  const head = (await late.take(8))!;
  assert.equal(head.readUInt32BE(0), 2, 'no stream is new');
  // And at most an empty one of each stream: that numbers begin anew here looks like a loss.
  const shown = await readAll(late, fromNow.streams);
  assert.ok(shown >= 4 && shown <= 4 + paths.length, `${shown} packets`);
});

test('whoever asks for what is not theirs gets an error, and what is no request ends the connection', async () => {
  const sender = new LinkSender(await relay.connect(), options('hostile'), spool);
  await sender.open();
  sender.metadata();
  sender.packets();
  assert.ok(await sender.pump());
  const caller = new Caller();
  await caller.greet();
  const id = (await caller.list()).get('hostile')!.id;
  assert.equal((await caller.attach(id + 1000n, 1)).status, 3);
  const { streams } = await caller.attach(id, 1);
  const data = streams.find(({ metadata }) => !metadata)!;
  assert.equal((await caller.packet(data.id, 0n, 100)).status, 3, 'before its index');
  const { offset, bytes } = await caller.index(data.id);
  for (const [at, length] of [
    [offset + BigInt(bytes), 1],
    [2n ** 64n - 1n, 0xffff_ffff],
    [2n ** 63n, 1],
    [offset, 0],
  ] as const) {
    assert.equal((await caller.packet(data.id, at, length)).status, 3, `${at} ${length}`);
  }
  assert.equal((await caller.packet(data.id, offset, 0xffff_ffff)).bytes.length, bytes, 'no more than the packet');
  assert.equal((await caller.packet(999n, 0n, 1)).status, 3);
  assert.equal((await caller.index(999n)).status, 4);
  const wrong: ((one: Caller) => void)[] = [
    (one) => one.send(99),
    (one) => one.send(5, Buffer.alloc(20), Number.MAX_SAFE_INTEGER),
    (one) => one.send(4, Buffer.alloc(8)),
    (one) => one.send(1, Buffer.alloc(20)),
    (one) => one.socket.write(Buffer.alloc(4096, 0xff)),
  ];
  for (const [at, attack] of wrong.entries()) {
    const attacker = new Caller();
    attack(attacker);
    assert.equal(await attacker.take(1), null, `attack ${at} was answered`);
  }
  assert.ok((await caller.index(data.id)).status <= 2, 'others are still served');
});

test('a viewer of another user sees nothing of it', {
  skip: process.getuid!() !== 0 && 'only root can be somebody else',
}, async () => {
  const sender = new LinkSender(await relay.connect(), options('private'), spool);
  await sender.open();
  sender.metadata();
  assert.ok(await sender.pump());
  const list = (uid: number): string => {
    const words = ['--input-format=lttng-live', `net://localhost:${relay.livePort}`];
    const { stdout, stderr } = spawnSync('babeltrace2', words, { encoding: 'utf8', uid, timeout: COMMAND_MS });
    return stdout + stderr;
  };
  assert.match(list(0), /private/);
  assert.doesNotMatch(list(65_534), /private|alpha/);
});

test('forty viewers see the same; one user cannot take every place, and gives back what they leave', async () => {
  const sender = new LinkSender(await relay.connect(), options('crowd'), spool);
  await sender.open();
  sender.metadata();
  sender.packets();
  assert.ok(await sender.pump());
  const viewers = Array.from({ length: 40 }, () => new Caller());
  await Promise.all(viewers.map((one) => one.greet()));
  const id = (await viewers[0]!.list()).get('crowd')!.id;
  const seen = await Promise.all(viewers.map(async (one) => readAll(one, (await one.attach(id, 1)).streams)));
  assert.deepEqual(new Set(seen), new Set([spool.packets.length]));
  assert.equal((await viewers[0]!.list()).get('crowd')!.clients, viewers.length);
  // Neither whole requests nor replies that nobody takes keep the others waiting.
  for (const one of viewers.slice(20)) {
    one.socket.pause();
    for (let i = 0; i < 100; i++) one.send(2);
    one.socket.write(Buffer.alloc(15));
  }
  const more = Array.from({ length: 100 }, () => new Caller());
  await Promise.all(more.map((one) => one.greet()));
  const welcome = more.map(({ greeted }) => greeted);
  assert.ok(welcome.includes(true) && welcome.includes(false), `${welcome.filter(Boolean).length} more were let in`);
  for (const one of [...viewers, ...more]) one.socket.destroy();
  for (let again: Caller | null = null; !again?.greeted; ) {
    again = new Caller();
    await again.greet();
    again.socket.destroy();
  }
});
