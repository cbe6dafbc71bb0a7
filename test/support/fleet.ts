/** A fleet of the test's own: one NATS server for all, and hosts (each a Weft of its own) whose buses are its leaf nodes. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findServer, freePort } from '../../transport/server-config.ts';
import { COMMAND_MS, PATIENCE_MS } from './patience.ts';
import { CLI, Weft } from './weft.ts';

export interface FleetHost {
  readonly host: string;
  readonly session: string;
  readonly state: string;
  readonly labels: Record<string, string>;
}

const WITHIN_MS = PATIENCE_MS;

export class Fleet {
  readonly directory = mkdtempSync(join(tmpdir(), 'weft-fleet-'));
  readonly file = join(this.directory, 'fleet.json');
  readonly hosts = new Map<string, Weft>();
  #server: ChildProcess | null = null;
  #config = '';
  port = 0;

  static async start(): Promise<Fleet> {
    const fleet = new Fleet();
    await fleet.#configure();
    await fleet.startServer();
    return fleet;
  }

  /** JetStream under the domain `fleet`; hosts are known by a password here. */
  async #configure(): Promise<void> {
    const [port, leafPort] = [await freePort(), await freePort()];
    this.port = port;
    this.#config = join(this.directory, 'nats.conf');
    const lines = [
      `listen: "127.0.0.1:${port}"`,
      'server_name: fleet',
      `jetstream { store_dir: "${join(this.directory, 'js')}", domain: fleet }`,
      `leafnodes { listen: "127.0.0.1:${leafPort}", authorization { user: host, password: secret } }`,
      `log_file: "${join(this.directory, 'nats.log')}"`,
      'max_payload: 1114112',
    ];
    writeFileSync(this.#config, lines.join('\n'));
    writeFileSync(this.file, JSON.stringify({ urls: [`nats-leaf://host:secret@127.0.0.1:${leafPort}`], domain: 'fleet' }));
  }

  async startServer(): Promise<void> {
    const child = spawn(findServer(process.env.PATH ?? '')!, ['-c', this.#config], { stdio: 'ignore' });
    this.#server = child;
    await once(child, 'spawn');
  }

  async killServer(): Promise<void> {
    const server = this.#server!;
    const gone = once(server, 'exit');
    server.kill('SIGKILL');
    await gone;
  }

  /** A host whose daemon is up. */
  add(name: string, labels: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Weft {
    const weft = new Weft(env);
    this.hosts.set(name, weft);
    this.startHost(name, labels);
    return weft;
  }

  startHost(name: string, labels: readonly string[] = []): void {
    const words = ['sessiond', '--daemonize', '--host', name, '--fleet', this.file];
    const options = { env: this.at(name).env, stdio: 'ignore', timeout: COMMAND_MS } as const;
    const ran = spawnSync(CLI, [...words, ...labels.flatMap((label) => ['--label', label])], options);
    if (ran.status !== 0) throw new Error(`host ${name} does not start: status ${ran.status}`);
  }

  at(name: string): Weft {
    const weft = this.hosts.get(name);
    if (!weft) throw new Error(`no host ${name}`);
    return weft;
  }

  /** What `weft hosts` says on a host: names and states. */
  seen(name: string): string {
    const { hosts } = this.at(name).json<{ hosts: FleetHost[] }>('hosts');
    return hosts.map(({ host, state }) => `${host} ${state}`).join(', ');
  }

  async until(name: string, wanted: string): Promise<void> {
    const deadline = Date.now() + WITHIN_MS;
    for (let seen = ''; seen !== wanted; seen = this.seen(name)) {
      if (Date.now() > deadline) throw new Error(`${name} sees ${seen}, not ${wanted}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** kill -9 of all that runs on a host. */
  kill(name: string): void {
    this.at(name).killAll();
  }

  dispose(): void {
    for (const weft of this.hosts.values()) weft.dispose();
    this.#server?.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}
