/** The two tracers behind one interface. Their command lines take the same words for what is measured here. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Daemon } from '../cli/connect.ts';
import { ROOT, Weft } from '../test/support/weft.ts';

export type Program = 'producer' | 'disabled' | 'paced';

/** What a command costs from the daemon's receipt on: no process is started for it. */
export interface Connection {
  request(name: string, fields: Readonly<Record<string, unknown>>): Promise<unknown>;
  close(): Promise<void>;
}

export interface Tracer {
  readonly name: 'weft' | 'lttng';
  readonly version: string;
  /** Where programs and traces of this tracer go. */
  readonly directory: string;
  /** What a traced program runs with. */
  readonly env: NodeJS.ProcessEnv;
  compile(program: Program): string;
  /** Runs a command that must succeed; its time in seconds, from start to end of the process. */
  command(...words: string[]): { readonly seconds: number; readonly stdout: string };
  /** Stops a session; how many events it says were lost, null when it does not say. */
  stop(session: string): number | null;
  /** A connection to the daemon that is open before it is used; null: this tracer's daemon is reached by commands only. */
  connect(): Promise<Connection> | null;
  /** The daemons that run now. */
  daemons(): number[];
  end(): void;
}

const timed = (file: string, words: readonly string[], env: NodeJS.ProcessEnv) => {
  const begin = process.hrtime.bigint();
  const ran = spawnSync(file, words, { env, encoding: 'utf8', timeout: 120_000 });
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  if (ran.status !== 0) throw new Error(`${file} ${words.join(' ')}: ${ran.error ?? `status ${ran.status}`}\n${ran.stderr}`);
  return { seconds, stdout: ran.stdout };
};

const compileWith = (directory: string, program: Program, before: readonly string[], after: readonly string[]): string => {
  const out = join(directory, program);
  execFileSync('cc', ['-O2', ...before, join(ROOT, `bench/native/${program}.c`), '-o', out, ...after, '-ldl', '-lpthread']);
  return out;
};

const lostInAnswer = (answer: string): number => {
  const { sessions } = JSON.parse(answer) as { sessions: { stats: { lost: string | number } }[] };
  return Number(sessions[0]?.stats.lost ?? Number.NaN);
};

/** A daemon's first start on a machine fills the compile cache; what is measured is every other one. */
const warmUp = (weft: Weft): void => {
  weft.ok('create', 'warm-up', '-o', join(weft.home, 'warm-up'));
  weft.ok('destroy', 'warm-up');
  weft.ok('sessiond', '--stop');
};

export const openWeft = (): Tracer => {
  const weft = new Weft();
  warmUp(weft);
  const includes = ['bench/native', 'native/include/compat', 'native/include'].map((folder) => `-I${join(ROOT, folder)}`);
  const cli = join(ROOT, 'cli/weft');
  return {
    name: 'weft',
    version: weft.ok('--version').trim(),
    directory: weft.home,
    env: weft.env,
    compile: (program) => compileWith(weft.home, program, includes, []),
    command: (...words) => timed(cli, words, weft.env),
    stop: (session) => lostInAnswer(timed(cli, ['--json', 'stop', session], weft.env).stdout),
    connect: () => Daemon.connect({ env: weft.env, group: 'tracing', start: false }),
    daemons: () => weft.processes().map(({ pid }) => pid),
    end: () => weft.dispose(),
  };
};

/** A process and all that descend from it. */
const familyOf = (root: number): number[] => {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // it ended meanwhile
    }
  }
  const family = [root];
  for (const member of family) for (const [pid, parent] of parents) if (parent === member) family.push(pid);
  return family;
};

const answers = (env: NodeJS.ProcessEnv): boolean =>
  spawnSync('lttng', ['--no-sessiond', 'list'], { env, stdio: 'ignore' }).status === 0;

/** Root's LTTng daemon is one per machine: a running one is used and left, else one is started and ended again. */
const startLttng = async (env: NodeJS.ProcessEnv): Promise<ChildProcess | null> => {
  if (answers(env)) return null;
  const daemon = spawn('lttng-sessiond', ['--no-kernel'], { env, stdio: 'ignore' });
  const deadline = Date.now() + 10_000;
  while (!answers(env)) {
    if (Date.now() > deadline || daemon.exitCode !== null) throw new Error('lttng-sessiond does not come up');
    await delay(20);
  }
  return daemon;
};

const pidOfRunningLttng = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/comm`, 'utf8').trim() === 'lttng-sessiond';
      } catch {
        return false;
      }
    })
    .map(Number);

const installed = (file: string): boolean => spawnSync(file, ['--version'], { stdio: 'ignore' }).status === 0;

/** Whether programs can be instrumented for LTTng here: its daemon, its command line, its headers. */
const lttngIsThere = (): boolean =>
  installed('lttng') &&
  installed('lttng-sessiond') &&
  spawnSync('cc', ['-E', '-x', 'c', '-'], { input: '#include <lttng/tracepoint.h>\n', stdio: ['pipe', 'ignore', 'ignore'] })
    .status === 0;

/** null: LTTng is not installed. */
export const openLttng = async (): Promise<Tracer | null> => {
  if (!lttngIsThere()) return null;
  const directory = mkdtempSync(join(tmpdir(), 'weft-bench-lttng-'));
  // Without LTTNG_UST_ALLOW_BLOCKING a blocking channel does not block.
  const env = { ...process.env, LTTNG_HOME: directory, LTTNG_UST_ALLOW_BLOCKING: '1' };
  const own = await startLttng(env);
  const roots = own?.pid === undefined ? pidOfRunningLttng() : [own.pid];
  return {
    name: 'lttng',
    version: execFileSync('lttng', ['--version'], { encoding: 'utf8' }).trim(),
    directory,
    env,
    compile: (program) => compileWith(directory, program, [`-I${join(ROOT, 'bench/native')}`], ['-llttng-ust']),
    command: (...words) => timed('lttng', words, env),
    stop: (session) => {
      timed('lttng', ['stop', session], env);
      return null;
    },
    connect: () => null,
    daemons: () => [...new Set(roots.flatMap(familyOf))],
    end: () => {
      own?.kill('SIGTERM');
      rmSync(directory, { recursive: true, force: true });
    },
  };
};
