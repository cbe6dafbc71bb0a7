/**
 * A Weft of the test's own: a temporary WEFT_HOME, the real command line, daemon, bus and consumer, the program `counter`, and
 * the checker of what it recorded. Nothing outlives `dispose()`.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { COMMAND_MS, PATIENCE_MS } from './patience.ts';

export const ROOT = resolve(import.meta.dirname, '../..');
export const CLI = join(ROOT, 'cli/weft');

/** What a process of Weft is for. */
export type Role = 'keeper' | 'vault' | 'sessiond' | 'bus' | 'consumer';

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Checked {
  readonly recorded: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly disorder: number;
  readonly errors: readonly string[];
  readonly threads: Readonly<Record<string, { readonly count: number; readonly last: number }>>;
}

const built = new Map<string, string>();

type Program =
  | 'counter'
  | 'large_counter'
  | 'check_trace'
  | 'check_large_trace'
  | 'contexts'
  | 'orders'
  | 'true_time'
  | 'wrong_clock';

/** Of each event of a large counter, beside who made it and its number. */
export const FILLER_BYTES = 1_000;

/** Programs that are another one with larger events. */
const LARGE: Readonly<Partial<Record<Program, Program>>> = { large_counter: 'counter', check_large_trace: 'check_trace' };

/** Compiles one of test/support's C programs (`wrong_clock`: a library to be preloaded) once per test process. */
export const build = (name: Program): string => {
  const known = built.get(name);
  if (known) return known;
  const out = join(mkdtempSync(join(tmpdir(), 'weft-build-')), name);
  const includes = ['-Itest/support', '-Inative/include/compat', '-Inative/include'].map((flag) =>
    flag.replace('-I', `-I${ROOT}/`),
  );
  const kind = name === 'wrong_clock' ? ['-shared', '-fPIC'] : [];
  if (LARGE[name]) kind.push(`-DWEFT_TEST_FILLER=${FILLER_BYTES}`);
  execFileSync('cc', [
    '-O2',
    '-w',
    ...kind,
    ...includes,
    join(ROOT, `test/support/${LARGE[name] ?? name}.c`),
    '-o',
    out,
    '-ldl',
    '-lpthread',
  ]);
  built.set(name, out);
  return out;
};

/** Which chunk a file lies in; without a directory of its own it is the first. */
const chunkOf = (path: string): number => Number(/\/\d{8}T\d{6}[+-]\d{4}-(?:\S+-)?(\d+)\/ust\//.exec(path)?.[1] ?? 0);

/** Every data file below a directory (no metadata, no index), those of older chunks first. */
export const dataFiles = (directory: string): string[] =>
  existsSync(directory)
    ? readdirSync(directory, { recursive: true, encoding: 'utf8' })
        .map((name) => join(directory, name))
        .filter((path) => statSync(path).isFile() && !path.includes('/index/') && !path.endsWith('/metadata'))
        .sort((a, b) => chunkOf(a) - chunkOf(b))
    : [];

export const checkTrace = (directory: string, checker: Program = 'check_trace'): Checked => {
  const ran = spawnSync(build(checker), dataFiles(directory), { encoding: 'utf8', maxBuffer: 1 << 24 });
  return JSON.parse(ran.stdout) as Checked;
};

/** babeltrace2's word on a trace: how many events, and what it said on stderr besides losses. */
export const babeltrace = (directory: string): { status: number; events: number; discarded: number; complaints: string } => {
  // step=0: only the final counts; by default they are printed again and again, growing.
  const counter = [directory, '-c', 'sink.utils.counter', '-p', 'step=+0'];
  const ran = spawnSync('babeltrace2', counter, { encoding: 'utf8', maxBuffer: 1 << 26 });
  const count = (what: string) => Number(new RegExp(`(\\d+) ${what}`).exec(ran.stdout)?.[1] ?? 0);
  return {
    status: ran.status ?? -1,
    events: count('Event message'),
    discarded: count('Discarded events message'),
    complaints: ran.stderr,
  };
};

export class Weft {
  readonly home = mkdtempSync(join(tmpdir(), 'weft-test-'));
  readonly env: NodeJS.ProcessEnv;
  readonly #children: ChildProcess[] = [];

  constructor(extra: NodeJS.ProcessEnv = {}) {
    const path = [join(ROOT, 'native/build'), process.env.LD_LIBRARY_PATH].filter(Boolean).join(':');
    // Tests may run as root, on a machine that has no user for the fleet.
    const own = { WEFT_HOME: this.home, WEFT_FLEET_USER: 'root', LD_LIBRARY_PATH: path };
    // No program misses its first events because the daemon loses the processor while it attaches it.
    this.env = { ...process.env, ...own, WEFT_REGISTER_TIMEOUT: String(PATIENCE_MS), ...extra };
  }

  run(...args: string[]): Ran {
    const ran = spawnSync(CLI, args, { env: this.env, encoding: 'utf8', timeout: COMMAND_MS });
    return { status: ran.status ?? -1, stdout: ran.stdout, stderr: ran.stderr };
  }

  /** Runs a command that must succeed. */
  ok(...args: string[]): string {
    const ran = this.run(...args);
    if (ran.status !== 0) throw new Error(`weft ${args.join(' ')}: status ${ran.status}\n${ran.stdout}\n${ran.stderr}`);
    return ran.stdout;
  }

  json<T = Record<string, unknown>>(...args: string[]): T {
    return JSON.parse(this.ok('--json', ...args)) as T;
  }

  trace(session: string): string {
    return join(this.home, 'traces', session);
  }

  /** A session that records weft_test:count into channel `ch`; started unless told not to. */
  session(name: string, channel: readonly string[] = [], start = true): string {
    this.ok('create', name, '-o', this.trace(name));
    this.ok('enable-channel', '-u', '-s', name, 'ch', ...channel);
    this.ok('enable-event', '-u', '-s', name, '-c', 'ch', 'weft_test:*');
    if (start) this.ok('start', name);
    return this.trace(name);
  }

  /** Starts `counter`; resolves when it is about to make its first event. */
  async counter(options: {
    threads?: number;
    events?: number;
    periodNs?: number;
    processes?: number;
    env?: NodeJS.ProcessEnv;
    confirm?: string;
    /** The lowest thread id: programs whose events meet in one trace, or that share a confirm file, have different ones. */
    first?: number;
    /** The only CPU that it runs on. */
    pinned?: number;
    /** Its events have FILLER_BYTES more. */
    large?: boolean;
  }) {
    const confirm = options.confirm ?? join(this.home, `confirm-${this.#children.length}`);
    const { threads = 1, events = 0, periodNs = 0, processes = 1, first = 0, pinned } = options;
    const args = [confirm, threads, events, periodNs, processes, first].map(String);
    const program = build(options.large ? 'large_counter' : 'counter');
    const command = pinned === undefined ? [program] : ['taskset', '-c', String(pinned), program];
    const child = spawn(command[0]!, [...command.slice(1), ...args], {
      env: { ...this.env, ...options.env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#children.push(child);
    const ended = new Promise<number>((done) => child.once('exit', (code) => done(code ?? -1)));
    await new Promise<void>((done, fail) => {
      child.stdout.once('data', () => done());
      child.once('error', fail);
      child.once('exit', () => fail(new Error('counter ended before its first event')));
    });
    const made = (): number[] => {
      const bytes = readFileSync(confirm);
      const counts: number[] = [];
      for (let at = 0; at < bytes.length; at += 8) counts.push(Number(bytes.readBigUInt64LE(at)));
      return counts;
    };
    const total = () => made().reduce((sum, count) => sum + count, 0);
    return {
      child,
      ended,
      made,
      total,
      /** Resolves when at least `more` further events were confirmed: proof that the program was advancing. */
      advance: async (more: number) => {
        const from = total();
        const deadline = Date.now() + PATIENCE_MS;
        while (total() < from + more) {
          if (Date.now() > deadline) throw new Error(`counter stands still at ${total()}`);
          await new Promise((done) => setTimeout(done, 1));
        }
      },
      stop: async () => {
        child.kill('SIGTERM');
        await ended;
      },
    };
  }

  readPid(role: Role): number {
    const processes = this.processes().filter((entry) => entry.role === role);
    if (!processes[0]) throw new Error(`no ${role} of ${this.home} runs`);
    return processes[0].pid;
  }

  /** The processes of this WEFT_HOME, found by what they were started with. */
  processes(): { pid: number; role: Role }[] {
    const found: { pid: number; role: Role }[] = [];
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      const role = this.#roleOf(name);
      if (role) found.push({ pid: Number(name), role });
    }
    return found;
  }

  #roleOf(pid: string): Role | null {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const ours =
        words.some((word) => word.includes(this.home)) ||
        readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`WEFT_HOME=${this.home}\0`);
      if (!ours) return null;
      if (words[0]?.endsWith('weft-keeper')) return 'keeper';
      if (words[0]?.endsWith('weft-vault')) return 'vault';
      if (words[0]?.endsWith('nats-server')) return 'bus';
      if (words.includes('consumerd')) return 'consumer';
      return words.includes('sessiond-run') ? 'sessiond' : null;
    } catch {
      return null;
    }
  }

  dispose(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    this.killAll();
    rmSync(this.home, { recursive: true, force: true });
  }

  /** kill -9 of all its daemons, until nothing is left: keeper, vault and session daemon start each other anew. */
  killAll(): void {
    for (let quiet = 0; quiet < 3; ) {
      const left = this.processes();
      quiet = left.length === 0 ? quiet + 1 : 0;
      for (const { pid } of left) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // gone already
        }
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
}
