/**
 * Processes, mounts and network of the test's own, and in it hosts: containers where a container engine is installed and starts, else
 * namespaces. Whatever runs in there ends with this process, however it ends, and leaves nothing on the machine.
 */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { until } from './fleet-server.ts';
import { ROOT } from './weft.ts';

export type HostsRunIn = 'containers' | 'namespaces';

/** Where this test can make network namespaces at all; else a reason to skip. */
export const sandboxMissing = (): string | false => {
  if (process.getuid?.() !== 0) return 'needs root for network namespaces';
  const words = ['--mount', '--net', '--pid', '--fork', 'ip', 'link', 'add', 'probe', 'type', 'bridge'];
  return spawnSync('unshare', words, { stdio: 'ignore' }).status === 0 ? false : 'network namespaces cannot be made here';
};

const IMAGE = 'weft-test-host';
const SOCKET = 'unix:///run/docker.sock';
/** On a tmpfs that only the sandbox sees, so nothing of the engine stays. The image is small: copying it costs nothing. */
const ENGINE = ['--data-root=/run/docker-data', '--exec-root=/run/docker', '--pidfile=/run/docker.pid', '-H', SOCKET].concat(
  ['--storage-driver=vfs', '--exec-opt', 'native.cgroupdriver=cgroupfs'],
  ['--bridge=none', '--iptables=false', '--ip6tables=false'],
);

/** A bucket that is smaller than any packet. */
const NOTHING_FITS = ['root', 'tbf', 'rate', '8kbit', 'burst', '10', 'limit', '10'];

/** Pids of a process in each of its namespaces, from this one's to its own; [] when it is gone. */
const namespacePids = (pid: string): number[] => {
  try {
    const [, found = ''] = /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return found.split(/\s+/).map(Number);
  } catch {
    return [];
  }
};

const environment = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return '';
  }
};

interface Init {
  /** As this process and as the sandbox see it. */
  readonly pid: number;
  readonly within: number;
}

export interface SandboxHost {
  readonly name: string;
  readonly address: string;
  init: Init;
}

export class Sandbox {
  readonly directory: string;
  readonly #id: string;
  #root: ChildProcess | null = null;
  #pid = 0;
  hostsRunIn: HostsRunIn = 'namespaces';
  readonly #hosts = new Map<string, SandboxHost>();

  private constructor(directory: string) {
    this.directory = directory;
    this.#id = `weft-test-${process.pid}-${Date.now().toString(36)}`;
  }

  /** `directory`: what all hosts share with the test, by the same path. */
  static async start(directory: string): Promise<Sandbox> {
    const sandbox = new Sandbox(directory);
    sandbox.#makeRoot();
    await sandbox.#unshare();
    if (process.env.WEFT_TEST_HOSTS !== 'namespaces' && (await sandbox.#startEngine())) sandbox.hostsRunIn = 'containers';
    process.stdout.write(`hosts run in: ${sandbox.hostsRunIn}\n`);
    return sandbox;
  }

  /** The root of a host: nothing but places for what is mounted, and names of users and libraries. */
  #makeRoot(): void {
    const root = join(this.directory, 'root');
    for (const folder of ['usr', 'etc', 'tmp', 'proc', 'dev', 'sys', 'run', 'root', 'var'])
      mkdirSync(join(root, folder), { recursive: true });
    for (const folder of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${folder}`, join(root, folder));
    writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
    writeFileSync(join(root, 'etc/group'), 'root:x:0:\n');
    copyFileSync('/etc/ld.so.cache', join(root, 'etc/ld.so.cache'));
  }

  /** Its first process reads from this one, so it ends with this one, and the kernel ends all others with it. */
  async #unshare(): Promise<void> {
    const script = [
      'set -e',
      'mount -t tmpfs none /run',
      `mount --bind ${join(this.directory, 'root/etc')} /etc`,
      'ip link set lo up',
      'ip link add fabric type bridge',
      'ip link set fabric up',
      'echo up',
      'cat >/dev/null',
    ];
    const words = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', script.join('\n')];
    const env = { PATH: process.env.PATH, WEFT_TEST_HOST: this.#marker('') };
    const root = spawn('unshare', words, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#root = root;
    const ended = once(root, 'exit').then(() => Promise.reject(new Error('no namespaces can be made here')));
    ended.catch(() => {});
    await Promise.race([once(root.stdout, 'data'), ended]);
    this.#pid = this.#initOf('').pid;
  }

  #marker(name: string): string {
    return `${this.#id}/${name}`;
  }

  /** The first process of a host, or of the sandbox (name ''). */
  #initOf(name: string): Init {
    for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
      if (
        !environment(pid)
          .split('\0')
          .includes(`WEFT_TEST_HOST=${this.#marker(name)}`)
      )
        continue;
      const pids = namespacePids(pid);
      if (pids.length > 1 && pids.at(-1) === 1) return { pid: pids[0]!, within: pids.at(-2)! };
    }
    return { pid: 0, within: 0 };
  }

  #enter(...command: readonly string[]): string[] {
    return ['-t', String(this.#pid), '-m', '-n', '-p', ...command];
  }

  #run(...command: readonly string[]): string {
    const options = { encoding: 'utf8' as const, timeout: 30_000 };
    return execFileSync('nsenter', this.#enter(...command), options);
  }

  #docker(...words: readonly string[]): string {
    return this.#run('docker', '-H', SOCKET, ...words);
  }

  /** False: no engine is installed, or it does not run here; why is in `engine.log`. */
  async #startEngine(): Promise<boolean> {
    if (!existsSync('/usr/sbin/dockerd') && !existsSync('/usr/bin/dockerd')) return false;
    const log = join(this.directory, 'engine.log');
    const command = `exec dockerd ${ENGINE.join(' ')} --cgroup-parent=/${this.#id} >${log} 2>&1`;
    const engine = spawn('nsenter', this.#enter('sh', '-c', command), { stdio: 'ignore' });
    try {
      await until(() => {
        if (engine.exitCode !== null) throw new Error('it ended');
        return spawnSync('nsenter', this.#enter('docker', '-H', SOCKET, 'info'), { stdio: 'ignore' }).status === 0;
      }, 'the container engine serves');
      this.#run('sh', '-c', `tar -C ${join(this.directory, 'root')} -c . | docker -H ${SOCKET} import - ${IMAGE}`);
      return this.#docker('run', '--rm', '--network=none', '-v', '/usr:/usr:ro', IMAGE, '/bin/echo', 'works').includes('works');
    } catch (thrown) {
      process.stdout.write(`no containers: ${String(thrown)}\n`);
      return false;
    }
  }

  async add(name: string): Promise<SandboxHost> {
    const host = { name, address: `10.77.0.${this.#hosts.size + 1}`, init: { pid: 0, within: 0 } };
    this.#hosts.set(name, host);
    await this.boot(host);
    return host;
  }

  /** Also again, after it was killed: with its disk as it was and nothing else. */
  async boot(host: SandboxHost): Promise<void> {
    // Also reaps what daemons leave behind.
    const script = 'ip link set lo up; sleep infinity; :';
    const marker = `WEFT_TEST_HOST=${this.#marker(host.name)}`;
    if (this.hostsRunIn === 'containers') {
      const mounts = ['/usr:/usr:ro', `${ROOT}:${ROOT}:ro`, `${this.directory}:${this.directory}`].flatMap((one) => [
        '-v',
        one,
      ]);
      spawnSync('nsenter', this.#enter('docker', '-H', SOCKET, 'rm', '-f', host.name), { stdio: 'ignore' });
      const kind = ['--network=none', '--shm-size=1g', '--name', host.name, '--hostname', host.name, '-e', marker];
      this.#docker('run', '-d', ...kind, ...mounts, IMAGE, '/bin/sh', '-c', script);
    } else {
      const own = ['unshare', '--uts', '--ipc', '--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
      const first = `hostname ${host.name}; mount -t tmpfs none /dev/shm; ${script}`;
      spawn('nsenter', this.#enter('env', marker, ...own, 'sh', '-c', first), { stdio: 'ignore' });
    }
    await until(() => {
      host.init = this.#initOf(host.name);
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
    this.#run('sh', '-c', `set -e; ${lines.join('; ')}`);
  }

  /** What `spawn` takes to run a command on a host. */
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
    this.#run('ip', 'link', 'set', this.#port(host), 'down');
  }

  /** What goes to the host is dropped, what comes from it is not. */
  cutTowards(host: SandboxHost): void {
    this.#run('tc', 'qdisc', 'add', 'dev', this.#port(host), ...NOTHING_FITS);
  }

  /** What comes from the host is dropped, what goes to it is not. */
  cutFrom(host: SandboxHost): void {
    this.#inside(host, 'tc', 'qdisc', 'add', 'dev', 'eth0', ...NOTHING_FITS);
  }

  #inside(host: SandboxHost, ...command: readonly string[]): void {
    this.#run('nsenter', '-t', String(host.init.within), '-n', ...command);
  }

  mend(host: SandboxHost): void {
    const port = this.#port(host);
    this.#run('sh', '-c', `tc qdisc del dev ${port} root 2>/dev/null; ip link set ${port} up`);
    this.#inside(host, 'sh', '-c', 'tc qdisc del dev eth0 root 2>/dev/null; true');
  }

  async dispose(): Promise<void> {
    const root = this.#root;
    if (root && root.exitCode === null && root.signalCode === null) {
      const gone = once(root, 'exit');
      root.stdin?.end();
      await gone;
    }
    await until(() => removeGroups(this.#id), 'the groups of the containers are empty');
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

/** Control groups that the engine made; false: some are still in use. */
const removeGroups = (id: string): boolean => {
  const base = '/sys/fs/cgroup';
  const roots = existsSync(base) ? ['', ...readdirSync(base)].map((name) => join(base, name, id)) : [];
  try {
    for (const root of roots.filter((path) => existsSync(path))) {
      const below = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory());
      for (const entry of below.reverse()) rmdirSync(join(entry.parentPath, entry.name));
      rmdirSync(root);
    }
    return true;
  } catch {
    return false;
  }
};
