/** Many emulated hosts around a real nats-server, several in a process, and whoever commands them: from a host that hears them all. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Body, Bus } from '../../../transport/bus.ts';
import type { HostView } from '../../../transport/fleet-messages.ts';
import { FLEET_DOMAIN } from '../../../transport/fleet-store.ts';
import { findServer } from '../../../transport/server-config.ts';
import { PATIENCE_MS } from '../patience.ts';
import { UID, type World } from '../world/world.ts';
import { type Commanded, type Cpu, type Operated, type OperateOptions, operateOver } from './commanded.ts';
import { connectFleet, type EmulatedHost, type Frozen, frozenOn, startHost } from './host.ts';

const MAIN = join(import.meta.dirname, 'hosts-main.ts');
const TICKS_PER_S = 100;
/** What hundreds of hosts have at hand would be moved again and again in a young generation that is made for one. */
const MANY_IN_ONE = ['--max-semi-space-size=64'];

const startServer = async (directory: string): Promise<{ server: ChildProcess; url: string }> => {
  const binary = findServer(process.env.PATH ?? '');
  if (!binary) throw new Error('nats-server is not installed (npm run setup)');
  const config = join(directory, 'nats.conf');
  writeFileSync(config, `jetstream { store_dir: "${join(directory, 'js')}", domain: ${FLEET_DOMAIN} }`);
  const words = ['-a', '127.0.0.1', '-p', '-1', '--ports_file_dir', directory, '-c', config];
  const server = spawn(binary, words, { stdio: 'ignore' });
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
    const file = readdirSync(directory).find((name) => name.endsWith('.ports'));
    const text = file === undefined ? '' : readFileSync(join(directory, file), 'utf8');
    if (text.trimEnd().endsWith('}')) return { server, url: (JSON.parse(text) as { nats: string[] }).nats[0] ?? '' };
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  server.kill('SIGKILL');
  throw new Error('nats-server does not start');
};

const cpuOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_S;
};

export class EmulatedFleet implements Commanded {
  readonly uid = UID;
  readonly #directory: string;
  readonly #server: ChildProcess;
  readonly #processes: ChildProcess[] = [];
  readonly #caller: EmulatedHost;
  readonly #bus: Bus;

  private constructor(directory: string, server: ChildProcess, caller: EmulatedHost, bus: Bus) {
    this.#directory = directory;
    this.#server = server;
    this.#caller = caller;
    this.#bus = bus;
  }

  /** `count`: with the host of the caller. Resolves when it knows all of them. */
  static async start(count: number, processes: number): Promise<EmulatedFleet> {
    const directory = mkdtempSync(join(tmpdir(), 'weft-emulated-'));
    const { server, url } = await startServer(directory);
    const bus = await connectFleet(url, 'caller');
    const fleet = new EmulatedFleet(directory, server, await startHost('host-0', url, true), bus);
    try {
      await fleet.#add(url, count - 1, processes);
      await fleet.#caller.world.until('all beat', () => fleet.known === count, 60_000);
    } catch (thrown) {
      await fleet.dispose();
      throw thrown;
    }
    return fleet;
  }

  get known(): number {
    const member = this.#caller.world.daemon?.root.getSnapshot().context.fleet;
    const hosts = Object.values(member?.getSnapshot().context.hosts ?? {});
    return hosts.filter((host) => host.getSnapshot().value === 'ready').length;
  }

  async operate(name: string, fields: Body, options: OperateOptions = {}): Promise<Operated> {
    return operateOver(this, name, fields, options);
  }

  async hostsSeen(): Promise<readonly HostView[]> {
    const answer = await this.#caller.world.ask('hosts.list');
    if (!answer.ok) throw new Error(answer.fault.message);
    return answer.body.hosts as readonly HostView[];
  }

  async cpu(): Promise<Cpu> {
    const { user, system } = process.cpuUsage();
    const told = await this.#ask<{ cpuMs: number }>('use');
    return {
      caller: (user + system) / 1000,
      hosts: told.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
      server: cpuOf(this.#server.pid ?? 0),
    };
  }

  /** The caller's own host: it can see symptoms. */
  get host(): World {
    return this.#caller.world;
  }

  /** What an operator's command line connects with. */
  get bus(): Bus {
    return this.#bus;
  }

  /** All freezes of all hosts until now. */
  async frozen(): Promise<readonly Frozen[]> {
    const told = await this.#ask<{ frozen: readonly Frozen[] }>('frozen');
    return [...frozenOn(this.host), ...told.flatMap(({ frozen }) => frozen)];
  }

  /** Ends as many processes of hosts, without a word to anybody. */
  async kill(count: number): Promise<void> {
    for (const child of this.#processes.splice(0, count)) {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
  }

  async dispose(): Promise<void> {
    await this.kill(this.#processes.length);
    await this.#caller.end();
    await this.#bus.close();
    const gone = once(this.#server, 'exit');
    this.#server.kill('SIGKILL');
    await gone;
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #add(url: string, count: number, processes: number): Promise<void> {
    const ready = Array.from({ length: processes }, async (_, i) => {
      const first = 1 + Math.floor((i * count) / processes);
      const next = 1 + Math.floor(((i + 1) * count) / processes);
      const child = fork(MAIN, [url, String(first), String(next - first)], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        execArgv: [...process.execArgv, ...MANY_IN_ONE],
      });
      this.#processes.push(child);
      const ended = once(child, 'exit').then(() => Promise.reject(new Error('a process of emulated hosts ended')));
      await Promise.race([once(child, 'message'), ended]);
      ended.catch(() => {});
    });
    await Promise.all(ready);
  }

  #ask<T>(ask: 'use' | 'frozen'): Promise<readonly T[]> {
    return Promise.all(
      this.#processes.map(async (child) => {
        child.send({ ask });
        const [said] = (await once(child, 'message')) as [T];
        return said;
      }),
    );
  }
}
