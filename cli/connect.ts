/** From the command line to the session daemon: find its sockets, start it when none runs, get a key, talk over the bus. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { accessSync, closeSync, constants, lstatSync, openSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeDirectories } from '../actors/make-directories.ts';
import { type Directories, directoriesOf } from '../actors/paths.ts';
import { GIVE_UP_MS } from '../actors/replies.ts';
import { forgetStartRefusal, readStartRefusal } from '../actors/start-refusal.ts';
import { NativeError } from '../native/addon/errors.ts';
import { loadNative, type SeqpacketConnection } from '../native/addon/index.ts';
import { type Access, connectAccess, parseAccess } from '../transport/access.ts';
import type { Body, Bus, Fault, Reply } from '../transport/bus.ts';
import { FaultError, failure } from '../transport/errors.ts';
import type { HostView } from '../transport/fleet-messages.ts';
import {
  ANY,
  commandSubject,
  type EventAddress,
  fleetWho,
  liveSubject,
  parseEventSubject,
  subtree,
} from '../transport/subjects.ts';
import type { FleetCaller } from './fleet-run.ts';
import { whileWaiting } from './waiting.ts';

const ROOT = resolve(import.meta.dirname, '..');
/** A machine with more to do than it can takes its time over a start; whoever cannot start ends, and is not waited for. */
export const START_TIMEOUT_MS = 60_000;
/** Longer than the daemon takes for anything: it then says itself what it waited for. */
export const REQUEST_TIMEOUT_MS = GIVE_UP_MS + 10_000;

export interface ConnectOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly group: string;
  readonly start: boolean;
  /** The daemon of this user, whoever else's answers. */
  readonly own?: boolean;
}

const uidOf = (): number => process.getuid?.() ?? 0;

/** The words with which the keeper starts a session daemon; `lock`: the fd of its lock, which it inherits. */
export const keeperArguments = (directories: Directories, words: readonly string[], lock: number | null): string[] => [
  '--runtime',
  directories.runtime,
  '--log',
  join(directories.state, 'log/keeper.log'),
  ...(lock === null ? [] : ['--lock-fd', String(lock)]),
  '--',
  process.execPath,
  '--max-semi-space-size=1',
  '--v8-pool-size=0',
  '--disable-warning=ExperimentalWarning',
  join(ROOT, 'cli/main.ts'),
  'sessiond-run',
  ...words,
];

export const KEEPER = join(ROOT, 'native/build/weft-keeper');

const errnoOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

/** Whoever owns the runtime directory could pose as the daemon: below /tmp anybody may have made it first. */
const checkOwner = (path: string): void => {
  const status = lstatSync(path);
  const ours = status.isDirectory() && status.uid === uidOf() && (status.mode & 0o022) === 0;
  if (!ours) throw failure('permission-denied', { what: `${path} is not a directory of yours that only you can write` });
};

export const prepareDirectories = (directories: Directories): void => {
  const open = uidOf() === 0 ? 0o755 : 0o700;
  const log = join(directories.state, 'log');
  try {
    makeDirectories(directories.runtime, open);
    makeDirectories(log, 0o700);
  } catch (error) {
    throw failure('daemon-unreachable', { cause: `${directories.runtime} or ${log} cannot be made (${errnoOf(error)})` });
  }
  checkOwner(directories.runtime);
};

const firstMessage = (connection: SeqpacketConnection): Promise<Body> =>
  new Promise((done, fail) => {
    connection.onMessage((message) => done(JSON.parse(message.toString()) as Body));
    connection.onClose(() => fail(failure('daemon-unreachable', { cause: 'it closed the connection without a word' })));
  });

/** Null: nobody answers. Throws FaultError when somebody does who is not to be believed, or who refuses. */
export const askForAccess = async (directories: Directories): Promise<Access | null> => {
  const path = join(directories.runtime, 'client.sock');
  let connection: SeqpacketConnection;
  try {
    connection = loadNative().connectSeqpacket(path);
  } catch (error) {
    const code = error instanceof NativeError ? error.code : '';
    if (code === 'EACCES' || code === 'EPERM') throw failure('permission-denied', { what: `${path} is another user's` });
    return null;
  }
  try {
    if (connection.peer.uid !== 0 && connection.peer.uid !== uidOf()) {
      throw failure('permission-denied', { what: `the daemon at ${path} belongs to user ${connection.peer.uid}` });
    }
    const answer = await firstMessage(connection);
    if (answer.ok !== true) throw new FaultError(answer.fault as Fault);
    const access = parseAccess(answer.access as Body);
    if (!access.ok) throw new FaultError(access.fault);
    return access.value;
  } finally {
    connection.close();
  }
};

const readable = (path: string): boolean => {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

/** Root's daemon for root, and for who may open its socket; else the caller's own. */
const chooseDirectories = (env: NodeJS.ProcessEnv): Directories => {
  const own = directoriesOf(uidOf(), env);
  if (uidOf() === 0 || env.WEFT_HOME) return own;
  const root = directoriesOf(0, env);
  return readable(join(root.runtime, 'client.sock')) ? root : own;
};

const startDaemon = (directories: Directories, options: ConnectOptions): ChildProcess => {
  prepareDirectories(directories);
  forgetStartRefusal(directories.runtime);
  const log = openSync(join(directories.state, 'log/keeper.log'), 'a', 0o600);
  const child = spawn(KEEPER, keeperArguments(directories, ['--group', options.group, '--for-command'], null), {
    detached: true,
    stdio: ['ignore', log, log],
    env: options.env,
  });
  child.on('error', () => {});
  child.unref();
  closeSync(log);
  if (child.pid === undefined) throw failure('daemon-unreachable', { cause: `${KEEPER} cannot be run; try: npm run setup` });
  return child;
};

/** What a keeper ends with where another one serves: one that is coming up for somebody else, or that has not quite ended yet. */
const ANOTHER_SERVES = 3;
/** Doubled with each try: the other one's daemon needs the processor to come up. */
const TRY_AGAIN_MS = 100;

/** Throws FaultError when the daemon said why it cannot serve: its keeper, which would try for ever, ends with it. */
export const checkStart = ({ runtime }: Directories, keeper: ChildProcess): void => {
  const refusal = readStartRefusal(runtime);
  if (refusal === null) return;
  keeper.kill('SIGTERM');
  throw new FaultError(refusal);
};

const ended = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;

const startAndWait = async (directories: Directories, options: ConnectOptions): Promise<Access> => {
  let keeper = startDaemon(directories, options);
  let pause = TRY_AGAIN_MS;
  let next = Date.now() + pause;
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const access = await askForAccess(directories);
    if (access) return access;
    checkStart(directories, keeper);
    const anotherServes = keeper.exitCode === ANOTHER_SERVES;
    if (anotherServes && Date.now() > next) {
      keeper = startDaemon(directories, options);
      pause *= 2;
      next = Date.now() + pause;
    }
    if (Date.now() > deadline || (ended(keeper) && !anotherServes)) {
      const cause = `it did not come up; see ${join(directories.state, 'log')}`;
      throw failure('daemon-unreachable', { cause });
    }
    await delay(20);
  }
};

const access = async (options: ConnectOptions): Promise<Access> => {
  const directories = options.own ? directoriesOf(uidOf(), options.env) : chooseDirectories(options.env);
  const found = await askForAccess(directories);
  if (found) return found;
  if (!options.start)
    throw failure('daemon-unreachable', { cause: `nobody answers at ${join(directories.runtime, 'client.sock')}` });
  return startAndWait(directoriesOf(uidOf(), options.env), options);
};

/** How requests to a daemon end that ended itself. */
const LEFT = ['bus-cut', 'no-responder'];

interface Reached {
  readonly access: Access;
  readonly bus: Bus;
}

/** One that leaves its place to another may do so between the key and its use. */
const reach = async (options: ConnectOptions): Promise<Reached> => {
  const homes = { home: homedir(), configHome: options.env.XDG_CONFIG_HOME };
  for (const deadline = Date.now() + START_TIMEOUT_MS; ; await delay(20)) {
    const granted = await access(options);
    try {
      return { access: granted, bus: await connectAccess(granted, { name: 'weft' }, homes) };
    } catch (thrown) {
      if (granted.yields !== true || !(thrown instanceof FaultError) || Date.now() > deadline) throw thrown;
    }
  }
};

export class Daemon {
  readonly #options: ConnectOptions;
  #reached: Reached;
  /** Nothing hangs on the bus of the first. */
  #mayMove = true;

  private constructor(reached: Reached, options: ConnectOptions) {
    this.#reached = reached;
    this.#options = options;
  }

  static async connect(options: ConnectOptions): Promise<Daemon> {
    return new Daemon(await reach(options), options);
  }

  get access(): Access {
    return this.#reached.access;
  }

  get bus(): Bus {
    return this.#reached.bus;
  }

  /** What one was asked that left its place to another, that other one is asked, with the same id: nothing is done twice. */
  async request(name: string, fields: Body): Promise<Body> {
    const body = { v: 1, id: randomUUID(), ...fields };
    let reply = await this.#ask(name, body);
    if (!reply.ok && LEFT.includes(reply.fault.code) && this.access.yields === true && this.#mayMove) {
      await this.bus.close();
      this.#reached = await reach(this.#options);
      reply = await this.#ask(name, body);
    }
    if (!reply.ok) throw new FaultError(reply.fault);
    return reply.body;
  }

  #ask(name: string, body: Body): Promise<Reply> {
    const [noun, verb] = name.split('.') as [string, string];
    const { host, uid, realm, who } = this.access;
    const subject = commandSubject({ host, uid, realm, who, noun, verb });
    return whileWaiting(name, process.stderr, () => this.bus.request(subject, body, REQUEST_TIMEOUT_MS));
  }

  /** Of the caller's own things; root, and the daemon's user, hear of all. */
  async listen(noun: string | null, heard: (of: EventAddress, body: Body) => void): Promise<() => void> {
    this.#mayMove = false;
    const { host, uid, who } = this.access;
    const all = who === '0' || who === String(uid);
    const subscription = this.bus.subscribe(subtree({ host, uid }, 'evt', all ? ANY : who), ({ subject, body }) => {
      const address = parseEventSubject(subject);
      if (address && (noun === null || address.noun === noun)) heard(address, body);
    });
    await this.bus.flush();
    return () => subscription.stop();
  }

  /** Decoded events of a session, while a lease runs (session.watch). */
  async live(owner: string, session: string, heard: (body: Body, host: string) => void): Promise<() => void> {
    this.#mayMove = false;
    const { host, uid } = this.access;
    const subscription = this.bus.subscribe(liveSubject({ host, uid, owner, session, event: ANY }), ({ body }) =>
      heard(body, host),
    );
    await this.bus.flush();
    return () => subscription.stop();
  }

  /** Commands of the fleet as this host's bus carries them. */
  get fleetCaller(): FleetCaller {
    const { host, uid, who } = this.access;
    const hosts = async () => (await this.request('hosts.list', {})).hosts as readonly HostView[];
    return { bus: this.bus, uid, who: fleetWho(who, host), hosts };
  }

  close(): Promise<void> {
    return this.bus.close();
  }
}
