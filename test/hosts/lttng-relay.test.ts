/** A real lttng-relayd at the other end of a link: what it writes is what the spool held, chunk by chunk, also over its own death. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LinkLog } from '../../actors/link-log.ts';
import { LttngPeer } from '../../actors/link-lttng.ts';
import { LinkPump } from '../../actors/link-pump.ts';
import { LinkQueue } from '../../actors/link-queue.ts';
import { openSpool } from '../../actors/spool.ts';
import { loadNative } from '../../native/addon/index.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { SpoolFiles } from '../support/spool-files.ts';

const SKIP = spawnSync('lttng-relayd', ['--version']).status === 0 ? false : 'lttng-relayd is not installed';
const TRACE = 'ust/uid/0/64-bit';
const METADATA = '/* CTF 1.8 */\ntrace { uuid = "01234567-89ab-cdef-0123-456789abcdef"; };\n';
const native = loadNative();

const until = async (what: string | (() => string), holds: () => boolean | Promise<boolean>): Promise<void> => {
  for (const deadline = Date.now() + PATIENCE_MS; !(await holds()); await new Promise((done) => setTimeout(done, 5)))
    assert.ok(Date.now() < deadline, `waited too long: ${typeof what === 'string' ? what : what()}`);
};

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

class World {
  readonly home = mkdtempSync(join(tmpdir(), 'weft-lttng-'));
  readonly base = join(this.home, 'relay');
  readonly files = new SpoolFiles(join(this.home, 'spool'));
  readonly ports: readonly [number, number, number];
  #relay: ChildProcess | null = null;
  #spool = openSpool(this.files.output, native.punchHole);
  readonly log = new LinkLog(this.#spool);
  readonly queue = new LinkQueue(this.#spool, this.log, () => null, { oneChunk: true });
  readonly peer: LttngPeer;
  readonly pump: LinkPump;
  cuts = 0;
  connections = 0;

  private constructor(ports: readonly [number, number, number]) {
    this.ports = ports;
    const clock = {
      now: () => Date.now(),
      setTimeout: (task: () => void, ms: number) => setTimeout(task, ms),
      clearTimeout: (timer: unknown) => clearTimeout(timer as NodeJS.Timeout),
    };
    const link = {
      ...{ host: '127.0.0.1', ctrlPort: ports[0], dataPort: ports[1], session: 's', hostname: 'vm', subdir: '' },
      ...{ liveTimerUs: 0, link: 'ab'.repeat(16), createdAt: '2026-01-01T00:00:00Z' },
    };
    const listener = {
      acked: (ack: Parameters<LinkPump['acked']>[0]) => this.pump.acked(ack),
      forgotten: () => {},
      refused: () => {},
      cut: () => {
        this.cuts++;
        this.pump.pause();
      },
      connected: () => void this.connections++,
    };
    this.peer = new LttngPeer(link, listener, clock);
    this.pump = new LinkPump({
      ...{ spool: this.#spool, queue: this.queue, peer: this.peer, clock, compress: null },
      tracefiles: () => ({ size: 0, count: 0 }),
      onSent: () => {},
      onDrained: () => {},
      onLost: () => {},
    });
  }

  static async make(t: TestContext): Promise<World> {
    const world = new World([await freePort(), await freePort(), await freePort()]);
    t.after(async () => {
      await world.peer.close();
      world.kill();
      rmSync(world.home, { recursive: true, force: true });
    });
    world.files.describe(TRACE, METADATA);
    await world.startRelay();
    return world;
  }

  /** What happened to the link, for who waits in vain. */
  get state(): string {
    const { exitCode, signalCode } = this.#relay ?? {};
    return `relay ${exitCode ?? signalCode ?? 'runs'}, ${this.cuts} cuts, ${this.queue.bytes} bytes in the spool, drained: ${this.pump.drained}`;
  }

  async startRelay(): Promise<void> {
    const [ctrl, data, live] = this.ports.map((port) => `tcp://127.0.0.1:${port}`) as [string, string, string];
    const env = { ...process.env, LTTNG_HOME: this.home, HOME: this.home };
    const relay = spawn('lttng-relayd', ['-o', this.base, '-C', ctrl, '-D', data, '-L', live], { env, stdio: 'ignore' });
    this.#relay = relay;
    await until('the relay listens', async () => {
      assert.equal(relay.exitCode, null, 'the relay does not start: has another program one of its ports?');
      return (await listens(this.ports[0])) && (await listens(this.ports[1]));
    });
  }

  kill(): void {
    this.#relay?.kill('SIGKILL');
  }

  async open(): Promise<void> {
    this.pump.begin(await this.peer.open(this.log.nextEpoch()));
    this.pump.run();
  }

  async drained(): Promise<void> {
    this.pump.wake();
    await until(
      () => `all is there (${this.state})`,
      () => this.pump.drained,
    );
  }

  /** Files of the relay that end so, by path. */
  found(end: string): Map<string, Buffer> {
    const paths = (readdirSync(this.base, { recursive: true }) as string[]).filter((path) => path.endsWith(end)).sort();
    return new Map(paths.map((path) => [path, readFileSync(join(this.base, path))]));
  }
}

/** The packets' numbers: the second word of each, which has a length of its own. */
const numbersIn = (bytes: Buffer): number[] => {
  const numbers: number[] = [];
  for (let at = 0; at < bytes.length; at += 4096) numbers.push(Number(bytes.readBigUInt64LE(at + 64)));
  return numbers;
};

test('packets, their index and metadata arrive; what did is given back by the spool', { skip: SKIP }, async (t) => {
  const world = await World.make(t);
  for (let at = 0; at < 20; at++) world.files.packet(`${TRACE}/c_0`, 4096);
  world.files.packet(`${TRACE}/c_1`, 700_000);
  await world.open();
  await world.drained();
  assert.equal(world.queue.bytes, 0);
  const [first] = [...world.found('c_0').values()];
  assert.ok(first?.equals(Buffer.concat(world.files.written.get(`${TRACE}/c_0`)!)));
  const [second] = [...world.found('c_1').values()];
  assert.ok(second?.equals(Buffer.concat(world.files.written.get(`${TRACE}/c_1`)!)));
  assert.equal([...world.found('c_0.idx').values()][0]?.length, 16 + 20 * 72);
  const text = [...world.found('/metadata').values()][0]!.subarray(37).toString('utf8').replaceAll('\0', '');
  assert.equal(text, METADATA);
});

test('a chunk that was rotated lies in the archives there, a cleared one is gone, and the next goes on', {
  skip: SKIP,
}, async (t) => {
  const world = await World.make(t);
  for (let at = 0; at < 3; at++) world.files.packet(`${TRACE}/c_0`, 4096);
  // The next chunk's packets are there before the end of this one is told: they wait.
  world.files.describe(`NEXT-1/${TRACE}`, METADATA);
  world.files.packet(`NEXT-1/${TRACE}/c_0`, 4096);
  await world.open();
  world.log.add({ op: 'archive', from: '', to: 'archives/a' });
  await world.drained();
  await until('the chunk is archived', () => [...world.found('c_0').keys()].some((path) => path.includes('/archives/')));
  world.log.add({ op: 'clear', directory: 'NEXT-1' });
  await world.drained();
  world.files.packet(`NEXT-1/${TRACE}/c_0`, 4096);
  await world.drained();
  await until('the cleared chunk is gone', () => world.found('c_0').size === 2);
  const held = [...world.found('c_0')].map(([path, bytes]) => [path.includes('/archives/'), numbersIn(bytes)]);
  assert.deepEqual(
    held.sort(),
    [
      [false, [4]],
      [true, [0, 1, 2]],
    ].sort(),
  );
  assert.equal(world.found('/metadata').size, 2);
});

test('kill -9 of the relay: what had not arrived goes into a session of its own there, and nothing is lost', {
  skip: SKIP,
}, async (t) => {
  const world = await World.make(t);
  for (let at = 0; at < 50; at++) world.files.packet(`${TRACE}/c_0`, 4096);
  await world.open();
  await until('some have arrived', () => world.pump.ackedBytes > 0);
  world.kill();
  await until('the link knows', () => world.cuts === 1);
  for (let at = 0; at < 50; at++) world.files.packet(`${TRACE}/c_0`, 4096);
  await assert.rejects(world.open(), /relay-unreachable/);
  await world.startRelay();
  await until('it may be opened again', () => world.connections === 1);
  await world.open();
  await world.drained();
  const numbers = [...world.found('c_0').values()].flatMap(numbersIn);
  assert.deepEqual(
    [...new Set(numbers)].sort((a, b) => a - b),
    Array.from({ length: 100 }, (_, at) => at),
  );
});
