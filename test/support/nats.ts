/**
 * A nats-server of the test's own, with the configuration, certificate and keys that a session daemon would make: on a free port of
 * loopback, in a temporary directory. `kill()` is kill -9; `start()` brings it back on the same port.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Access, connectAccess } from '../../transport/access.ts';
import { grantAccess } from '../../transport/grant.ts';
import type { Role } from '../../transport/identity.ts';
import type { NatsBus, NatsBusOptions } from '../../transport/nats-bus.ts';
import { findServer, type PreparedServer, prepareServer } from '../../transport/server-config.ts';
import { PATIENCE_MS } from './patience.ts';

const START_WITHIN_MS = PATIENCE_MS;

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectSocket({ host: '127.0.0.1', port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

export class TestServer {
  readonly directory: string;
  prepared: PreparedServer;
  readonly place = { host: 'testhost', uid: process.getuid?.() ?? 0 };
  readonly #buses: NatsBus[] = [];
  #process: ChildProcess | null = null;

  private constructor(directory: string, prepared: PreparedServer) {
    this.directory = directory;
    this.prepared = prepared;
  }

  /** `port`: somebody else's, whom this server (another certificate, other keys) then poses as. */
  static async start(port?: number): Promise<TestServer> {
    const directory = mkdtempSync(join(tmpdir(), 'weft-nats-'));
    if (port !== undefined) {
      mkdirSync(join(directory, 'bus'), { mode: 0o700 });
      writeFileSync(join(directory, 'bus', 'port'), String(port));
    }
    const server = new TestServer(directory, await prepareServer({ stateDirectory: directory, running: false }));
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const binary = findServer(process.env.PATH ?? '');
    if (!binary) throw new Error('nats-server is not installed (npm run setup)');
    const child = spawn(binary, ['-c', this.prepared.configPath], { stdio: 'ignore' });
    this.#process = child;
    const deadline = Date.now() + START_WITHIN_MS;
    while (!(await accepts(this.prepared.port))) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`nats-server does not start:\n${this.log()}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** After `kill()`: starts again, on another port if somebody took the old one. */
  async move(): Promise<Access> {
    this.prepared = await prepareServer({ stateDirectory: this.directory, running: false });
    await this.start();
    return this.grant({ kind: 'daemon' });
  }

  log(): string {
    return readFileSync(join(this.directory, 'log', 'bus.log'), 'utf8');
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  grant(role: Role, expiresAtS?: number): Promise<Access> {
    return grantAccess(this.prepared, this.place, role, { version: '0.0.0', ...(expiresAtS !== undefined && { expiresAtS }) });
  }

  /** A bus with the rights of `role`; closed by `dispose()`. */
  async connect(role: Role, options: Partial<NatsBusOptions> = {}): Promise<NatsBus> {
    return this.connectWith(await this.grant(role), options);
  }

  async connectWith(access: Access, options: Partial<NatsBusOptions> = {}): Promise<NatsBus> {
    const bus = await connectAccess(access, { name: 'test', waitMs: PATIENCE_MS, ...options }, { home: this.directory });
    this.#buses.push(bus);
    return bus;
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#buses.map((bus) => bus.close()));
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
