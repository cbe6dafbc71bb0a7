/** Hosts in an enclosure: containers where a container engine is installed and starts, else namespaces. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { GenericContainer, type StartedTestContainer } from 'testcontainers';
import { startEngine } from './container-engine.ts';
import { Enclosure, type Init, namespacePids } from './enclosure.ts';
import { until } from './fleet-server.ts';
import { ROOT } from './weft.ts';

export type HostsRunIn = 'containers' | 'namespaces';

const IMAGE = 'weft-test-host';
const SHARED_MEMORY = 1 << 30;

/** A bucket that is smaller than any packet. */
const NOTHING_FITS = ['root', 'tbf', 'rate', '8kbit', 'burst', '10', 'limit', '10'];

export interface SandboxHost {
  readonly name: string;
  readonly address: string;
  init: Init;
  container: StartedTestContainer | null;
}

/** The root of a host: nothing but places for what is mounted, and names of users, libraries and itself. */
const makeRoot = (root: string): void => {
  for (const folder of ['usr', 'etc', 'tmp', 'proc', 'dev', 'sys', 'run', 'root', 'var'])
    mkdirSync(join(root, folder), { recursive: true });
  for (const folder of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${folder}`, join(root, folder));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\n');
  writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n');
  copyFileSync('/etc/ld.so.cache', join(root, 'etc/ld.so.cache'));
};

export class Sandbox {
  readonly directory: string;
  readonly #enclosure: Enclosure;
  hostsRunIn: HostsRunIn = 'namespaces';
  readonly #hosts = new Map<string, SandboxHost>();

  private constructor(directory: string, enclosure: Enclosure) {
    this.directory = directory;
    this.#enclosure = enclosure;
  }

  /** `directory`: what all hosts share with the test, by the same path. WEFT_TEST_HOSTS chooses; unset: containers if they can be had. */
  static async start(directory: string): Promise<Sandbox> {
    makeRoot(join(directory, 'image/files'));
    const bridge = ['ip link add fabric type bridge', 'ip link set fabric up'];
    const etc = `mount --bind ${join(directory, 'image/files/etc')} /etc`;
    const sandbox = new Sandbox(directory, await Enclosure.start(directory, etc, ...bridge));
    const why = await sandbox.#startContainers(process.env.WEFT_TEST_HOSTS);
    process.stdout.write(`hosts run in: ${sandbox.hostsRunIn}${why === null ? '' : ` (${why})`}\n`);
    return sandbox;
  }

  /** Null, or why hosts run in namespaces. */
  async #startContainers(wanted: string | undefined): Promise<string | null> {
    if (wanted === 'namespaces') return 'WEFT_TEST_HOSTS says so';
    const why = (await startEngine(this.#enclosure)) ?? (await this.#buildImage());
    if (why === null) this.hostsRunIn = 'containers';
    if (why === null || wanted !== 'containers') return why;
    await this.dispose();
    throw new Error(`WEFT_TEST_HOSTS wants containers: ${why}`);
  }

  async #buildImage(): Promise<string | null> {
    try {
      const context = join(this.directory, 'image');
      writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY files /\n');
      await GenericContainer.fromDockerfile(context).build(IMAGE);
      await (await this.#container('probe', 'sleep infinity')).stop();
      return null;
    } catch (thrown) {
      return `containers do not run here: ${String(thrown)}`;
    }
  }

  /** Its network is a veth pair made by hand: a test cuts it one way or both, and an engine's networks cannot be cut so. */
  #container(name: string, script: string): Promise<StartedTestContainer> {
    const shared = [ROOT, '/usr'].map((path) => ({ source: path, target: path, mode: 'ro' as const }));
    return new GenericContainer(IMAGE)
      .withName(name)
      .withHostname(name)
      .withNetworkMode('none')
      .withSharedMemorySize(SHARED_MEMORY)
      .withEnvironment(this.#enclosure.markOf(name))
      .withBindMounts([...shared, { source: this.directory, target: this.directory, mode: 'rw' }])
      .withCommand(['/bin/sh', '-c', script])
      .start();
  }

  async add(name: string): Promise<SandboxHost> {
    const address = `10.77.0.${this.#hosts.size + 1}`;
    const host: SandboxHost = { name, address, init: { pid: 0, within: 0 }, container: null };
    this.#hosts.set(name, host);
    await this.boot(host);
    return host;
  }

  /** Also again, after it was killed: with its disk as it was and nothing else. */
  async boot(host: SandboxHost): Promise<void> {
    // Also reaps what daemons leave behind.
    const script = 'ip link set lo up; sleep infinity; :';
    if (host.container) await host.container.restart();
    else if (this.hostsRunIn === 'containers') host.container = await this.#container(host.name, script);
    else this.#unshare(host.name, script);
    await until(() => {
      host.init = this.#enclosure.initOf(host.name);
      return host.init.pid !== 0;
    }, `${host.name} is up`);
    const pid = host.init.within;
    // The kernel takes its time to forget the port of a host that was killed.
    const lines = [
      `ip link del ${this.#port(host)} 2>/dev/null || true`,
      `ip link add ${this.#port(host)} type veth peer name eth0 netns ${pid}`,
      `ip link set ${this.#port(host)} master fabric up`,
      `nsenter -t ${pid} -n ip addr add ${host.address}/24 dev eth0`,
      `nsenter -t ${pid} -n ip link set eth0 up`,
    ];
    this.#enclosure.run('sh', '-c', `set -e; ${lines.join('; ')}`);
  }

  #unshare(name: string, script: string): void {
    const mark = Object.entries(this.#enclosure.markOf(name)).map((entry) => entry.join('='));
    const own = ['unshare', '--uts', '--ipc', '--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
    const first = `hostname ${name}; mount -t tmpfs none /dev/shm; ${script}`;
    spawn('nsenter', this.#enclosure.enter('env', ...mark, ...own, 'sh', '-c', first), { stdio: 'ignore' });
  }

  /** What `spawn` takes to run a command on a host. By hand: testcontainers' exec answers when all is over, and namespaces need the same. */
  on(host: SandboxHost, command: readonly string[]): [string, string[]] {
    return ['nsenter', ['-t', String(host.init.pid), '-m', '-u', '-i', '-n', '-p', ...command]];
  }

  spawn(host: SandboxHost, command: readonly string[], options: SpawnOptions): ChildProcess {
    return spawn(...this.on(host, command), options);
  }

  /** Pids, as the test sees them, of what runs on a host. */
  processesOn(host: SandboxHost): { pid: number; words: string[] }[] {
    const inside = (pid: string) => namespacePids(pid).length > 2 && sameNamespace(pid, host.init.pid);
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && inside(name))
      .map((pid) => ({ pid: Number(pid), words: commandOf(pid) }));
  }

  /** As if its power went. */
  async kill(host: SandboxHost): Promise<void> {
    process.kill(host.init.pid, 'SIGKILL');
    await until(() => !existsSync(`/proc/${host.init.pid}`), `${host.name} is gone`);
  }

  #port(host: SandboxHost): string {
    return `port${host.address.split('.').at(-1)}`;
  }

  /** Nothing goes through this cable. */
  cut(host: SandboxHost): void {
    this.#enclosure.run('ip', 'link', 'set', this.#port(host), 'down');
  }

  /** What goes to the host is dropped, what comes from it is not. */
  cutTowards(host: SandboxHost): void {
    this.#enclosure.run('tc', 'qdisc', 'add', 'dev', this.#port(host), ...NOTHING_FITS);
  }

  /** What comes from the host is dropped, what goes to it is not. */
  cutFrom(host: SandboxHost): void {
    this.#inside(host, 'tc', 'qdisc', 'add', 'dev', 'eth0', ...NOTHING_FITS);
  }

  #inside(host: SandboxHost, ...command: readonly string[]): void {
    this.#enclosure.run('nsenter', '-t', String(host.init.within), '-n', ...command);
  }

  mend(host: SandboxHost): void {
    const port = this.#port(host);
    this.#enclosure.run('sh', '-c', `tc qdisc del dev ${port} root 2>/dev/null; ip link set ${port} up`);
    this.#inside(host, 'sh', '-c', 'tc qdisc del dev eth0 root 2>/dev/null; true');
  }

  dispose(): Promise<void> {
    return this.#enclosure.dispose();
  }
}

const sameNamespace = (pid: string, other: number): boolean => {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`) === readlinkSync(`/proc/${other}/ns/pid`);
  } catch {
    return false;
  }
};

const commandOf = (pid: string): string[] => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
};
