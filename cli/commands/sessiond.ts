import { spawn } from 'node:child_process';
import { accessSync, closeSync, constants, existsSync, openSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseLabel } from '../../actors/labels.ts';
import { type Directories, directoriesOf } from '../../actors/paths.ts';
import { startAfresh } from '../../actors/start-loading.ts';
import { forgetStartRefusal } from '../../actors/start-refusal.ts';
import { hasSecret } from '../../transport/bus-url.ts';
import { failure } from '../../transport/errors.ts';
import { readFleet } from '../../transport/fleet-file.ts';
import { writeWhole } from '../../transport/private-file.ts';
import { RESERVED_HOSTS } from '../../transport/subjects.ts';
import type { Command, Environment, Outcome } from '../command.ts';
import { askForAccess, checkStart, KEEPER, keeperArguments, prepareDirectories, START_TIMEOUT_MS } from '../connect.ts';
import { LIMIT_OPTIONS, limitsOf } from '../limit-options.ts';
import { type OptionSpec, UsageError } from '../options.ts';
import { takePlace } from '../take-place.ts';
import { HELP, noMoreWords, refused } from './shared.ts';

/** Anybody may read the words that a process was started with; they are those of the keeper too, for as long as it runs. */
const busWords = (url: string | undefined, { state }: Directories): string[] => {
  if (url === undefined || !hasSecret(url)) return url === undefined ? [] : ['--bus-url', url];
  const file = join(state, 'bus-url');
  writeWhole(file, url, 0o600);
  return ['--bus-url-file', file];
};

const words = ({ options, group }: Environment, directories: Directories): string[] => [
  '--group',
  options.get('group') ?? group,
  ...busWords(options.get('bus-url'), directories),
  ...['bus-context', 'host', 'fleet-user', ...LIMIT_OPTIONS.map(({ long }) => long)].flatMap((name) =>
    options.has(name) ? [`--${name}`, options.get(name)!] : [],
  ),
  ...options.all('label').flatMap((label) => ['--label', label]),
  ...(options.has('fleet') ? ['--fleet', resolve(options.get('fleet')!)] : []),
  ...(options.has('load') ? ['--load', resolve(options.get('load')!)] : []),
];

const checkHost = (host: string | undefined): void => {
  if (host !== undefined && RESERVED_HOSTS.includes(host)) {
    throw new UsageError(`No host can be called \`${host}\`: subjects of the bus begin so`);
  }
};

/** The keeper listens as long as anything of the daemon is left. */
const keeperListens = async (directories: Directories): Promise<boolean> => {
  const { loadNative } = await import('../../native/addon/index.ts');
  try {
    loadNative().connectSeqpacket(join(directories.runtime, 'keeper.sock')).close();
    return true;
  } catch {
    return false;
  }
};

const stop = async (environment: Environment): Promise<Outcome> => {
  await environment.request('daemon.shutdown', {});
  const directories = directoriesOf(process.getuid?.() ?? 0, environment.env);
  for (let tries = 0; tries < 1500 && (await keeperListens(directories)); tries++) await delay(10);
  return { lines: ['Session daemon stopped'], json: { stopped: true } };
};

/** Of a child's stdio: behind stderr. */
const INHERITED = 3;

const background = async (environment: Environment, directories: Directories, lock: number): Promise<Outcome> => {
  forgetStartRefusal(directories.runtime);
  const log = openSync(join(directories.state, 'log/keeper.log'), 'a', 0o600);
  const stdio = environment.options.has('daemonize')
    ? (['ignore', log, log, lock] as const)
    : (['ignore', log, 'inherit', lock] as const);
  const keeper = spawn(KEEPER, keeperArguments(directories, words(environment, directories), INHERITED), {
    detached: true,
    stdio: [...stdio],
    env: environment.env,
  });
  closeSync(lock);
  keeper.unref();
  let ended = false;
  keeper.once('exit', () => {
    ended = true;
  });
  keeper.once('error', () => {
    ended = true;
  });
  for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline; ) {
    if (await askForAccess(directories)) {
      const pid = keeper.pid!;
      const file = environment.options.get('pidfile');
      if (file !== undefined) writeFileSync(file, `${pid}\n`);
      return { lines: [], json: { keeperPid: pid } };
    }
    checkStart(directories, keeper);
    if (ended) break;
    await delay(10);
  }
  throw failure('daemon-unreachable', { cause: `it did not come up; see ${join(directories.state, 'log')}` });
};

/** This process becomes the keeper: systemd and containers know, signal and watch the process that they started. */
const foreground = (environment: Environment, directories: Directories, lock: number): never => {
  try {
    accessSync(KEEPER, constants.X_OK);
  } catch {
    throw failure('daemon-unreachable', { cause: `${KEEPER} cannot be run; try: npm run setup` });
  }
  const variables = Object.entries(environment.env).filter((one): one is [string, string] => one[1] !== undefined);
  return process.execve!(
    KEEPER,
    [KEEPER, ...keeperArguments(directories, words(environment, directories), lock)],
    Object.fromEntries(variables),
  );
};

const OWN_SOCKETS = 'sockets lie below the runtime directory, which WEFT_HOME moves';
const OWN_CONSUMER = 'the consumer is part of this program, and talks over the bus';
const NO_AGENTS = 'there are no agent domains, so nobody registers over TCP';
const NO_MODULES = 'there is no kernel domain, and so no modules to load';
const NO_ERROR_COUNTERS = 'lost messages of triggers are counted without a table of fixed size';

const path = (long: string, unsupported: string, short?: string): OptionSpec =>
  refused(long, 'A path', unsupported, { value: 'PATH', ...(short === undefined ? {} : { short }) });

const NOT_HERE: readonly OptionSpec[] = [
  refused('config', 'Configuration file', 'the daemon has no settings beyond these options; give them here', {
    short: 'f',
    value: 'PATH',
  }),
  refused('sig-parent', 'Signal the parent when ready', '--background returns when it is ready, and systemd is notified', {
    short: 'S',
  }),
  refused('default-trace-format', 'Trace format', 'traces are CTF 1.8, there is no other format', { value: 'FORMAT' }),
  refused('spawn-consumers', 'Start consumers at once', 'a consumer starts with the first program of its user'),
  refused('kmod-probes', 'Kernel probe modules', NO_MODULES, { value: 'LIST' }),
  refused('extra-kmod-probes', 'More kernel probe modules', NO_MODULES, { value: 'LIST' }),
  refused('agent-tcp-port', 'Port of agents', NO_AGENTS, { value: 'PORT' }),
  path('apps-sock', OWN_SOCKETS, 'a'),
  path('client-sock', OWN_SOCKETS, 'c'),
  ...['kconsumerd', 'ustconsumerd32', 'ustconsumerd64'].flatMap((name) => [
    path(`${name}-cmd-sock`, OWN_CONSUMER),
    path(`${name}-err-sock`, OWN_CONSUMER),
  ]),
  ...['consumerd32', 'consumerd64'].flatMap((name) => [
    path(`${name}-path`, OWN_CONSUMER),
    path(`${name}-libdir`, OWN_CONSUMER),
  ]),
  ...['kernel', 'userspace'].map((domain) =>
    refused(`event-notifier-error-buffer-size-${domain}`, 'Slots of error counters', NO_ERROR_COUNTERS, { value: 'SLOTS' }),
  ),
  refused('quiet', 'Say nothing', 'write it before the command: weft --quiet sessiond', { short: 'q' }),
  refused('verbose', 'Say more', 'the daemon writes all it has to say to log/sessiond.log in the state directory', {
    short: 'v',
  }),
  refused('verbose-consumer', 'Consumers say more', 'consumers write all they have to say to log/consumer-UID.log'),
  refused('version', 'Show the version', 'ask the program itself: weft --version', { short: 'V' }),
];

export const sessiond: Command = {
  name: 'sessiond',
  summary: 'Run the session daemon',
  usage: 'sessiond [--background | --daemonize | --stop] [--replace] [OPTIONS]',
  textOnly: true,
  options: [
    ...HELP,
    { long: 'background', short: 'b', help: 'Return when it is ready; keep stderr' },
    { long: 'daemonize', short: 'd', help: 'Return when it is ready' },
    { long: 'stop', help: 'End the running session daemon; sessions are kept' },
    { long: 'replace', help: 'Take the place of the running session daemon; sessions are kept' },
    { long: 'group', short: 'g', value: 'GROUP', help: 'Group that may command root’s daemon (default: tracing)' },
    { long: 'host', value: 'NAME', help: 'Name of this host on the bus' },
    { long: 'label', value: 'KEY=VALUE', repeat: true, help: 'What this host is for, for selectors of the fleet' },
    { long: 'fleet', value: 'FILE', help: 'Join the fleet that this file describes' },
    { long: 'fleet-user', value: 'USER', help: 'As whom root’s daemon acts for the fleet (default: weft)' },
    { long: 'bus-url', value: 'URL', help: 'Use this NATS server instead of an own one' },
    { long: 'bus-context', value: 'NAME', help: 'The same by a NATS context' },
    {
      long: 'load',
      short: 'l',
      value: 'PATH',
      help: 'Load this file or directory, not ~/.weft/sessions/auto, /etc/weft/sessions/auto',
    },
    { long: 'pidfile', short: 'p', value: 'PATH', help: 'Write the pid here (with --background, --daemonize)' },
    ...LIMIT_OPTIONS,
    { long: 'no-kernel', help: 'No kernel domain: there is none' },
    ...NOT_HERE,
  ],
  async run(environment) {
    noMoreWords(environment, 0);
    if (environment.options.has('stop')) return stop(environment);
    if (environment.options.has('bus-url') && environment.options.has('bus-context')) {
      throw new UsageError('--bus-url and --bus-context exclude each other');
    }
    checkHost(environment.options.get('host'));
    if (environment.options.has('fleet-user') && process.getuid?.() !== 0) {
      throw new UsageError('--fleet-user is for root’s daemon: yours acts as you');
    }
    limitsOf(environment.options);
    for (const label of environment.options.all('label')) parseLabel(label);
    if (environment.options.has('fleet')) readFleet(resolve(environment.options.get('fleet')!));
    const directories = directoriesOf(process.getuid?.() ?? 0, environment.env);
    const path = environment.options.get('load');
    if (path !== undefined && !existsSync(path)) throw failure('file-unreadable', { file: path, cause: 'it is not there' });
    prepareDirectories(directories);
    const lock = await takePlace(directories, environment.env, environment.options.has('replace'));
    // Whoever died before: this is a start that somebody asked for.
    startAfresh(directories.runtime);
    const detached = environment.options.has('background') || environment.options.has('daemonize');
    return detached ? background(environment, directories, lock) : foreground(environment, directories, lock);
  },
};
