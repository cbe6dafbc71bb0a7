/**
 * Processes, mounts and network of the test's own. Whatever runs in there ends with this process, however it ends, and leaves nothing on
 * the machine.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './fleet-server.ts';
import { COMMAND_MS } from './patience.ts';

/** Where a test can make namespaces at all; else a reason to skip. */
export const enclosureMissing = (): string | false => {
  if (process.getuid?.() !== 0) return 'needs root for network namespaces';
  const words = ['--mount', '--net', '--pid', '--fork', 'ip', 'link', 'add', 'probe', 'type', 'bridge'];
  return spawnSync('unshare', words, { stdio: 'ignore' }).status === 0 ? false : 'network namespaces cannot be made here';
};

/** Pids of a process in each of its namespaces, from this one's to its own; [] when it is gone. */
export const namespacePids = (pid: string): number[] => {
  try {
    const [, found = ''] = /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return found.split(/\s+/).map(Number);
  } catch {
    return [];
  }
};

const environment = (pid: string): string[] => {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
};

/** The first process of a pid namespace. */
export interface Init {
  /** As this process and as the enclosure see it. */
  readonly pid: number;
  readonly within: number;
}

export class Enclosure {
  readonly directory: string;
  /** Also the name of the control groups that are made in here. */
  readonly id: string;
  #root: ChildProcess | null = null;
  #pid = 0;

  private constructor(directory: string) {
    this.directory = directory;
    this.id = `weft-test-${process.pid}-${Date.now().toString(36)}`;
  }

  /** `directory`: what is shared with the test, by the same path. `setUp`: what a shell does in there first. */
  static async start(directory: string, ...setUp: readonly string[]): Promise<Enclosure> {
    const enclosure = new Enclosure(directory);
    await enclosure.#unshare(setUp);
    return enclosure;
  }

  /** Its first process reads from this one, so it ends with this one, and the kernel ends all others with it. */
  async #unshare(setUp: readonly string[]): Promise<void> {
    const script = ['set -e', 'mount -t tmpfs none /run', 'ip link set lo up', ...setUp, 'echo up', 'cat >/dev/null'];
    const words = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', script.join('\n')];
    const env = { PATH: process.env.PATH, WEFT_TEST_HOST: this.#marker('') };
    const root = spawn('unshare', words, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#root = root;
    const ended = once(root, 'exit').then(() => Promise.reject(new Error('no namespaces can be made here')));
    ended.catch(() => {});
    await Promise.race([once(root.stdout, 'data'), ended]);
    this.#pid = this.initOf('').pid;
  }

  #marker(name: string): string {
    return `${this.id}/${name}`;
  }

  /** What the first process of a pid namespace in here has in its environment, so that it is found. */
  markOf(name: string): { readonly WEFT_TEST_HOST: string } {
    return { WEFT_TEST_HOST: this.#marker(name) };
  }

  /** The first process with this mark; the enclosure's own has the name ''. */
  initOf(name: string): Init {
    const mark = `WEFT_TEST_HOST=${this.#marker(name)}`;
    for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
      if (!environment(pid).includes(mark)) continue;
      const pids = namespacePids(pid);
      if (pids.length > 1 && pids.at(-1) === 1) return { pid: pids[0]!, within: pids.at(-2)! };
    }
    return { pid: 0, within: 0 };
  }

  /** Words for `nsenter` to run a command in here. */
  enter(...command: readonly string[]): string[] {
    return ['-t', String(this.#pid), '-m', '-n', '-p', ...command];
  }

  run(...command: readonly string[]): string {
    return execFileSync('nsenter', this.enter(...command), { encoding: 'utf8', timeout: COMMAND_MS });
  }

  async dispose(): Promise<void> {
    const root = this.#root;
    if (root && root.exitCode === null && root.signalCode === null) {
      const gone = once(root, 'exit');
      root.stdin?.end();
      await gone;
    }
    await until(() => removeGroups(this.id), 'the groups of the containers are empty');
  }
}

/** Control groups that an engine made; false: some are still in use. */
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
