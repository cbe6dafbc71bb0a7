/**
 * Hosts of a fleet whose clocks are wrong by what the test says, on ways to the fleet that are slow by what it says. CLOCK_MONOTONIC is
 * shifted by a namespace of time; CLOCK_REALTIME, which no namespace has, by wrong_clock.c. A keeper gives no LD_PRELOAD on, so a
 * namespace of mounts has an /etc/ld.so.preload. All of it is one kernel's time: the truth is known to the nanosecond.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NatsBus } from '../../transport/nats-bus.ts';
import { findServer, freePort } from '../../transport/server-config.ts';
import { Fleet } from './fleet.ts';
import { PATIENCE_MS } from './patience.ts';
import type { Way } from './uneven-way.ts';
import { build, CLI, ROOT, Weft } from './weft.ts';

export interface ClockedHost {
  readonly name: string;
  readonly monotonicS: number;
  /** Added to the kernel's real time. */
  readonly realNs: bigint;
  /** Null: as fast as loopback is. */
  readonly way: Way | null;
}

const inNamespace = (monotonicS: number): readonly string[] => ['--time', '--fork', '--monotonic', String(monotonicS), '--'];

/** Arguments of unshare: what follows runs with `etc` over /etc. */
const withClocks = (monotonicS: number, etc: string): readonly string[] => {
  const mounted = 'mount -t overlay overlay -o "lowerdir=$0:/etc" /etc && exec "$@"';
  return ['--mount', ...inNamespace(monotonicS), 'sh', '-c', mounted, etc];
};

/** Why hosts with clocks of their own cannot be made on this machine; false: they can. */
export const noClocks = (): string | false => {
  const ran = spawnSync('unshare', [...withClocks(7, import.meta.dirname), 'true'], { encoding: 'utf8' });
  return ran.status === 0 ? false : `no namespaces of time and mounts: ${ran.error?.message ?? ran.stderr.trim()}`;
};

const ended = async (child: ChildProcess): Promise<void> => {
  const [status] = (await once(child, 'exit')) as [number | null];
  if (status !== 0) throw new Error(`${child.spawnargs.join(' ')}: status ${status}`);
};

const firstLine = async ({ stdout }: ChildProcess): Promise<string> => {
  let text = '';
  for await (const piece of stdout!) {
    text += String(piece);
    if (text.includes('\n')) break;
  }
  return text.trim();
};

export class ClockFleet {
  readonly fleet: Fleet;
  readonly #leafUrl: URL;
  readonly #clocks = new Map<string, ClockedHost>();
  readonly #children: ChildProcess[] = [];
  readonly #buses: NatsBus[] = [];

  private constructor(fleet: Fleet) {
    this.fleet = fleet;
    const { urls } = JSON.parse(readFileSync(fleet.file, 'utf8')) as { urls: string[] };
    this.#leafUrl = new URL(urls[0]!);
  }

  static async start(): Promise<ClockFleet> {
    return new ClockFleet(await Fleet.start());
  }

  /** URLs of the fleet's server, at the far end of these ways. */
  async #urls(ways: readonly (Way | null)[]): Promise<string[]> {
    const slow = ways.filter((way) => way !== null);
    const words = [join(ROOT, 'test/support/uneven-way.ts'), JSON.stringify({ port: Number(this.#leafUrl.port), ways: slow })];
    const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.push(child);
    const ports = JSON.parse(await firstLine(child)) as number[];
    return ways.map((way) => {
      const url = new URL(this.#leafUrl);
      if (way) url.port = String(ports.shift());
      return url.href;
    });
  }

  /** All at once. */
  async addHosts(hosts: readonly ClockedHost[]): Promise<void> {
    const etc = join(this.fleet.directory, 'etc');
    mkdirSync(etc);
    writeFileSync(join(etc, 'ld.so.preload'), `${build('wrong_clock')}\n`);
    const urls = await this.#urls(hosts.map(({ way }) => way));
    await Promise.all(hosts.map((host, at) => this.#addHost(host, urls[at]!, etc)));
  }

  async #addHost(host: ClockedHost, url: string, etc: string): Promise<void> {
    const { name, monotonicS } = host;
    const file = join(this.fleet.directory, `${name}.json`);
    writeFileSync(file, JSON.stringify({ urls: [url], domain: 'fleet' }));
    const clock = join(this.fleet.directory, `${name}.clock`);
    const weft = new Weft({ WEFT_TEST_CLOCK: clock });
    this.fleet.hosts.set(name, weft);
    this.setClock(host, host.realNs);
    const words = ['sessiond', '--daemonize', '--host', name, '--fleet', file];
    await ended(spawn('unshare', [...withClocks(monotonicS, etc), CLI, ...words], { env: weft.env, stdio: 'ignore' }));
  }

  /** As an administrator sets it. Written in place: the daemon has the file mapped. */
  setClock(host: ClockedHost, realNs: bigint): void {
    this.#clocks.set(host.name, { ...host, realNs });
    const file = join(this.fleet.directory, `${host.name}.clock`);
    writeFileSync(file, new BigInt64Array([realNs]), { flag: existsSync(file) ? 'r+' : 'w' });
  }

  /** What the clock of `host` lacks to be the one of `reference`, ns. */
  truth(reference: string, host: string): number {
    return Number(this.#clocks.get(reference)!.realNs - this.#clocks.get(host)!.realNs);
  }

  realNs(host: string): bigint {
    return this.#clocks.get(host)!.realNs;
  }

  /** A bus of the test's own, in the fleet like a host's: a server that is its leaf node, over that way. */
  async join(name: string, way: Way): Promise<NatsBus> {
    const [[url], port] = await Promise.all([this.#urls([way]), freePort()]);
    const directory = join(this.fleet.directory, name);
    mkdirSync(directory);
    const config = join(directory, 'nats.conf');
    const log = `log_file: "${join(directory, 'log')}"`;
    writeFileSync(config, `listen: "127.0.0.1:${port}"\nleafnodes { remotes: [ { url: "${url}" } ] }\n${log}\n`);
    this.#children.push(spawn(findServer(process.env.PATH ?? '')!, ['-c', config], { stdio: 'ignore' }));
    const options = { name, waitMs: PATIENCE_MS };
    const bus = await NatsBus.connectExternal({ servers: [`127.0.0.1:${port}`] }, options);
    this.#buses.push(bus);
    return bus;
  }

  /** true_time on each host, begun together; resolves with what CLOCK_REALTIME minus CLOCK_BOOTTIME really is, when all have ended. */
  async recordTruth(hosts: readonly string[], events: number, periodNs: number): Promise<bigint> {
    const started = hosts.map((name, at) => {
      const words = [...inNamespace(this.#clocks.get(name)!.monotonicS), build('true_time'), at, events, periodNs].map(String);
      return spawn('unshare', words, { env: this.fleet.at(name).env, stdio: ['pipe', 'pipe', 'inherit'] });
    });
    this.#children.push(...started);
    const done = started.map(ended);
    const [offset] = await Promise.all(started.map(firstLine));
    for (const { stdin } of started) stdin.end();
    await Promise.all(done);
    return BigInt(offset!);
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#buses.map((bus) => bus.close()));
    for (const child of this.#children) child.kill('SIGKILL');
    this.fleet.dispose();
  }
}
