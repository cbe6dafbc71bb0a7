/** A relay of the test's own: the real process on a bus without permissions, killed and started again at will. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectExternal } from '../../transport/access.ts';
import type { Bus } from '../../transport/bus.ts';
import { findServer } from '../../transport/server-config.ts';
import { PATIENCE_MS } from './patience.ts';
import { CLI } from './weft.ts';

export const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

export class TestRelay {
  readonly home = mkdtempSync(join(tmpdir(), 'weft-relay-'));
  readonly output = join(this.home, 'out');
  url = '';
  livePort = 0;
  #server: ChildProcess | null = null;
  #relay: ChildProcess | null = null;
  readonly #buses: Bus[] = [];

  static async start(...words: readonly string[]): Promise<TestRelay> {
    const relay = new TestRelay();
    const port = await freePort();
    relay.url = `nats://127.0.0.1:${port}`;
    relay.livePort = await freePort();
    relay.#server = spawn(findServer(process.env.PATH ?? '')!, ['-a', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
    await relay.up(...words);
    return relay;
  }

  /** Resolves when it serves. */
  async up(...words: readonly string[]): Promise<void> {
    const all = ['relayd', '--bus-url', this.url, '-o', this.output, '--sig-parent', '-L', this.live, ...words];
    const env = { ...process.env, WEFT_HOME: this.home };
    const ready = once(process, 'SIGUSR1' as unknown as 'message');
    const child = spawn(CLI, all, { env, stdio: ['ignore', 'ignore', 'inherit'] });
    const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the relay ended with ${String(code)}`)));
    ended.catch(() => {});
    await Promise.race([ready, ended]);
    this.#relay = child;
  }

  get live(): string {
    return `tcp://127.0.0.1:${this.livePort}`;
  }

  get relayPid(): number {
    return this.#relay!.pid!;
  }

  /** `null`: a signal ended it. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    const child = this.#relay!;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const gone = once(child, 'exit');
    child.kill(signal);
    const [code] = (await gone) as [number | null];
    return code;
  }

  async connect(): Promise<Bus> {
    const bus = await connectExternal({ url: this.url }, { name: 'test', waitMs: PATIENCE_MS }, { home: this.home });
    this.#buses.push(bus);
    return bus;
  }

  log(): string {
    return readFileSync(join(this.home, 'state/log/relayd.log'), 'utf8');
  }

  async dispose(): Promise<void> {
    await this.kill();
    await Promise.all(this.#buses.map((bus) => bus.close()));
    this.#server?.kill('SIGKILL');
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** Path to content of everything below, hidden files aside. */
export const filesBelow = (directory: string): Readonly<Record<string, Buffer>> =>
  Object.fromEntries(
    readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .filter((name) => !/(^|\/)\./.test(name) && statSync(join(directory, name)).isFile())
      .sort()
      .map((name) => [name, readFileSync(join(directory, name))]),
  );
