/**
 * A fabric as an operator would build it: a machine for NATS, one for a relay, and hosts, each with its own network, with keys of
 * `weft keys` and the configuration of deploy/nats. Nothing outlives `dispose()`.
 */
import { type ChildProcess, execFile, execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from './fleet-server.ts';
import { COMMAND_MS } from './patience.ts';
import { Sandbox, type SandboxHost } from './sandbox.ts';
import { babeltrace, build, type Checked, CLI, checkTrace, dataFiles, type Ran, ROOT } from './weft.ts';

/** What a machine of the fabric is asked to do. */
export class Machine {
  readonly host: SandboxHost;
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
  readonly #sandbox: Sandbox;
  #counters = 0;

  constructor(sandbox: Sandbox, host: SandboxHost) {
    this.#sandbox = sandbox;
    this.host = host;
    this.home = join(sandbox.directory, host.name);
    mkdirSync(this.home, { recursive: true });
    this.env = {
      PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: this.home,
      WEFT_HOME: this.home,
      WEFT_FLEET_USER: 'root',
      XDG_CONFIG_HOME: join(this.home, 'config'),
      LD_LIBRARY_PATH: join(ROOT, 'native/build'),
    };
  }

  run(...command: readonly string[]): Ran {
    const [file, words] = this.#sandbox.on(this.host, command);
    const ran = spawnSync(file, words, {
      env: this.env,
      encoding: 'utf8',
      timeout: COMMAND_MS,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return { status: ran.status ?? -1, stdout: ran.stdout, stderr: ran.stderr };
  }

  spawn(...command: readonly string[]): ChildProcess {
    return this.#sandbox.spawn(this.host, command, { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  weft(...words: readonly string[]): string {
    const ran = this.run(CLI, ...words);
    if (ran.status !== 0)
      throw new Error(`${this.host.name}: weft ${words.join(' ')}: status ${ran.status}\n${ran.stdout}\n${ran.stderr}`);
    return ran.stdout;
  }

  /** Commands one after the other, while other machines have theirs. */
  async each(...commands: readonly string[]): Promise<void> {
    for (const command of commands) {
      const [file, words] = this.#sandbox.on(this.host, [CLI, ...command.split(' ')]);
      await promisify(execFile)(file, words, { env: this.env, timeout: COMMAND_MS });
    }
  }

  /** A session at the relay that records weft_test:count. */
  session(name: string, ...options: readonly string[]): Promise<void> {
    return this.each(
      ['create', name, '--set-url=relay:', ...options].join(' '),
      `enable-channel -u -s ${name} ch --subbuf-size=64k --num-subbuf=64`,
      `enable-event -u -s ${name} -c ch weft_test:*`,
      `start ${name}`,
    );
  }

  /** Numbered events; resolves when it is about to make its first. */
  async counter(options: {
    events?: number;
    periodNs?: number;
    /** The only CPU that it runs on. */
    pinned?: number;
  }) {
    const confirm = join(this.home, `confirm-${this.#counters++}`);
    const words = [confirm, '1', String(options.events ?? 0), String(options.periodNs ?? 0)];
    const pinned = options.pinned === undefined ? [] : ['taskset', '-c', String(options.pinned)];
    const child = this.spawn(...pinned, join(this.#sandbox.directory, 'counter'), ...words);
    const ended = new Promise<void>((done) => child.once('close', () => done()));
    await new Promise<void>((done, fail) => {
      child.stdout!.once('data', () => done());
      child.once('exit', () => fail(new Error('counter ended before its first event')));
    });
    const total = () => Number(readFileSync(confirm).readBigUInt64LE(0));
    return {
      ended,
      total,
      advance: async (more: number) => {
        const from = total();
        await until(() => total() >= from + more, 'the program goes on');
      },
      /** It goes on on another CPU. */
      move: (cpu: number): void => {
        for (const { pid, words } of this.#sandbox.processesOn(this.host))
          if (words.includes(confirm) && words[0] !== 'taskset')
            execFileSync('taskset', ['-a', '-p', '-c', String(cpu), String(pid)]);
      },
      stop: async () => {
        // The process itself: who entered the host for it passes no signals on.
        this.kill((command) => command.includes(confirm), 'SIGTERM');
        await ended;
      },
    };
  }

  kill(which: (words: readonly string[]) => boolean, signal: NodeJS.Signals): void {
    const meant = this.#sandbox.processesOn(this.host).filter(({ words }) => which(words));
    if (meant.length === 0) throw new Error(`${this.host.name}: nothing to kill`);
    for (const { pid } of meant) process.kill(pid, signal);
  }
}

export class Fabric {
  readonly sandbox: Sandbox;
  readonly directory: string;
  readonly nats: Machine;
  readonly relay: Machine;
  readonly hosts: readonly Machine[];
  readonly startedInMs: number;

  private constructor(sandbox: Sandbox, machines: readonly Machine[], startedInMs: number) {
    this.sandbox = sandbox;
    this.directory = sandbox.directory;
    const [nats, relay, ...hosts] = machines as [Machine, Machine, ...Machine[]];
    this.nats = nats;
    this.relay = relay;
    this.hosts = hosts;
    this.startedInMs = startedInMs;
  }

  static async start(...names: readonly string[]): Promise<Fabric> {
    const begin = Date.now();
    const directory = mkdtempSync(join(tmpdir(), 'weft-fabric-'));
    copyFileSync(build('counter'), join(directory, 'counter'));
    spawnSync('chmod', ['755', join(directory, 'counter')]);
    const sandbox = await Sandbox.start(directory);
    try {
      const hosts = await Promise.all(['nats', 'relay', ...names].map((name) => sandbox.add(name)));
      const machines = hosts.map((host) => new Machine(sandbox, host));
      const fabric = new Fabric(sandbox, machines, Date.now() - begin);
      await fabric.#mint();
      await fabric.startNats();
      fabric.startRelay();
      await Promise.all(fabric.hosts.map((host) => fabric.startHost(host)));
      return fabric;
    } catch (thrown) {
      await sandbox.dispose();
      rmSync(directory, { recursive: true, force: true });
      throw thrown;
    }
  }

  get #keys(): string {
    return join(this.directory, 'keys');
  }

  async #mint(): Promise<void> {
    const keys = (...words: string[]) => this.nats.weft('keys', ...words, `--dir=${this.#keys}`);
    this.nats.weft('keys', 'init', this.#keys, `--server=nats,${this.nats.host.address}`);
    keys('relay', 'store');
    keys('operator', 'alice');
    for (const { host } of this.hosts) keys('host', host.name);
    const from = join(this.#keys, 'relays/store');
    const to = join(this.relay.home, 'config/nats/context');
    mkdirSync(to, { recursive: true });
    const context = readFileSync(join(from, 'nats-context.json'), 'utf8').replaceAll('/etc/weft/relay', from);
    writeFileSync(join(to, 'fleet.json'), context);
  }

  async startNats(): Promise<void> {
    const log = join(this.nats.home, 'log');
    const at = join(this.#keys, 'servers/nats');
    this.nats.spawn('sh', '-c', `cd ${at} && exec nats-server -c nats-server.conf >>${log} 2>&1`);
    const listens = ['sh', '-c', `ss -ltn 2>/dev/null | grep -q :7422`];
    await until(() => this.nats.run(...listens).status === 0, 'NATS listens');
  }

  killNats(): void {
    this.nats.kill(([name]) => name === 'nats-server', 'SIGKILL');
  }

  get output(): string {
    return join(this.relay.home, 'out');
  }

  /** Returns when it serves. */
  startRelay(...words: readonly string[]): void {
    this.relay.weft('relayd', '--daemonize', '--bus-context=fleet', '-o', this.output, ...words);
  }

  killRelay(): void {
    this.relay.kill((words) => words.includes('relayd'), 'SIGKILL');
  }

  startHost(machine: Machine): Promise<void> {
    const { name } = machine.host;
    const file = join(this.#keys, 'hosts', name, 'fleet.json');
    return machine.each(`sessiond --daemonize --host ${name} --fleet ${file}`);
  }

  /** `weft fleet`, as an operator calls it from a machine that is no host of the fleet. */
  fleet(...words: readonly string[]): string {
    return this.nats.weft('fleet', ...words, `--fleet-creds=${join(this.#keys, 'operators/alice')}`);
  }

  /** Where the relay put a host's session. */
  trace(machine: Machine, session: string): string {
    const below = join(this.output, machine.host.name);
    const found = readdirSync(below).filter((entry) => entry.startsWith(`${session}-`));
    if (found.length !== 1)
      throw new Error(`${session} of ${machine.host.name}: ${found.join(', ') || 'nothing'} at the relay`);
    return join(below, found[0]!);
  }

  /** Of a host's session at the relay; 0: it is not there. */
  bytes(machine: Machine, session: string): number {
    const below = join(this.output, machine.host.name);
    const found = existsSync(below) && readdirSync(below).some((entry) => entry.startsWith(`${session}-`));
    return found ? dataFiles(this.trace(machine, session)).reduce((sum, path) => sum + statSync(path).size, 0) : 0;
  }

  check(machine: Machine, session: string): Checked & { complaints: string; readable: number } {
    const trace = this.trace(machine, session);
    const { events, complaints } = babeltrace(trace);
    return { ...checkTrace(join(trace, 'ust')), readable: events, complaints };
  }

  /** Those that a failed test left would record into the sessions of the next one. */
  endCounters(): void {
    const program = join(this.directory, 'counter');
    for (const { host } of this.hosts)
      for (const { pid, words } of this.sandbox.processesOn(host)) if (words[0] === program) process.kill(pid, 'SIGKILL');
  }

  async dispose(): Promise<void> {
    await this.sandbox.dispose();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
