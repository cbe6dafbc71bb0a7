import { spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { makeDirectories } from '../../actors/make-directories.ts';
import { directoriesOf } from '../../actors/paths.ts';
import { hasSecret } from '../../transport/bus-url.ts';
import { FaultError, failure } from '../../transport/errors.ts';
import type { Command, Environment, Outcome } from '../command.ts';
import { parseAge, parseSize } from '../numbers.ts';
import { type OptionSpec, type Parsed, parseOptions, UsageError } from '../options.ts';
import { HELP, noMoreWords, refused } from './shared.ts';

const NO_LTTNG_PRODUCERS =
  'hosts reach the relay over the bus; a recorder that speaks the stream protocol over TCP needs a relay of its own';

const OPTIONS: readonly OptionSpec[] = [
  ...HELP,
  { long: 'background', short: 'b', help: 'Return when it is ready; keep stderr' },
  { long: 'daemonize', short: 'd', help: 'Return when it is ready' },
  { long: 'config', short: 'f', value: 'PATH', help: 'Read options from PATH: lines `option = value` below [relayd]' },
  { long: 'live-port', short: 'L', value: 'URL', help: 'Serve viewers here (default: tcp://localhost:5344)' },
  { long: 'output', short: 'o', value: 'DIR', help: 'Write traces below DIR (default: weft-traces in the home directory)' },
  { long: 'group-output-by-host', short: 'p', help: 'DIR/HOST/SESSION-DATE (default)' },
  { long: 'group-output-by-session', short: 's', help: 'DIR/SESSION/HOST-DATE' },
  { long: 'working-directory', short: 'w', value: 'DIR', help: 'Work in DIR' },
  { long: 'disallow-clear', short: 'x', help: 'Keep what a session clears' },
  { long: 'fd-pool-size', value: 'N', help: 'Files kept open, at least 100 (default: what the system allows)' },
  { long: 'retain-bytes', value: 'SIZE', help: 'Remove the oldest sessions that ended when all together are larger' },
  { long: 'retain-age', value: 'TIME', help: 'Remove sessions that ended so long ago: 12h, 30d, 1y' },
  { long: 'pid-file', short: 'P', value: 'PATH', help: 'Write the pid here; removed at the end' },
  { long: 'sig-parent', short: 'S', help: 'Send SIGUSR1 to the parent when ready' },
  { long: 'bus-url', value: 'URL', help: 'Serve this NATS server instead of the bus of the own session daemon' },
  { long: 'bus-context', value: 'NAME', help: 'The same by a NATS context' },
  { long: 'verbose', short: 'v', help: 'Log to stderr instead of log/relayd.log in the state directory' },
  refused('control-port', 'Control port of hosts', NO_LTTNG_PRODUCERS, { short: 'C', value: 'URL' }),
  refused('data-port', 'Data port of hosts', NO_LTTNG_PRODUCERS, { short: 'D', value: 'URL' }),
  refused('dynamic-port-allocation', 'Ports from the system', 'only the live port is there; name it with --live-port'),
  refused('group', 'Group of viewers', 'a viewer reads the sessions of its own user; root and the user of the relay read all', {
    short: 'g',
    value: 'GROUP',
  }),
  refused('version', 'Show the version', 'ask the program itself: weft --version', { short: 'V' }),
];

/** What stands in the file, as it would on the command line. */
const configured = (path: string): string[] => {
  const lines = readFileSync(path, 'utf8').split('\n');
  let section = 'relayd';
  const words: string[] = [];
  for (const [at, line] of lines.map((one) => one.replace(/[#;].*$/, '').trim()).entries()) {
    const header = /^\[(.+)\]$/.exec(line);
    if (header) section = header[1]!;
    if (header || line === '' || section !== 'relayd') continue;
    const [, name, value] = /^([a-z-]+)\s*=\s*(.*)$/.exec(line) ?? [];
    const spec = OPTIONS.find(({ long }) => long === name);
    if (!spec || name === 'config') throw new UsageError(`${path}, line ${at + 1}: no option of relayd: ${line}`);
    if (spec.value !== undefined) words.push(`--${name}=${value}`);
    else if (!/^(0|no|false|off)$/i.test(value!)) words.push(`--${name}`);
  }
  return words;
};

/** The file first, so that the command line has the last word. */
const withConfiguration = ({ options, words }: Environment): Parsed => {
  const path = options.get('config');
  if (path === undefined) return options;
  try {
    return parseOptions(OPTIONS, [...configured(path), ...words]).parsed;
  } catch (thrown) {
    if (thrown instanceof UsageError) throw thrown;
    throw new UsageError(`Configuration ${path} cannot be read (${(thrown as NodeJS.ErrnoException).code})`);
  }
};

const number = (options: Parsed, name: string, parse: (text: string) => number | null): number => {
  const text = options.get(name);
  const value = text === undefined ? 0 : parse(text);
  if (value === null) throw new UsageError(`--${name}: ${text} is no number`);
  return value;
};

const ageMs = (text: string | undefined): number => {
  const seconds = text === undefined ? 0 : parseAge(text);
  if (seconds === null) throw new UsageError(`--retain-age=${text}: give a number and s, m, h, d or y, as in 30d`);
  return seconds * 1000;
};

const count = (text: string): number | null => (/^\d+$/.test(text) ? Number(text) : null);

/** Loopback unless told otherwise: whoever reaches another address may read all sessions. */
const livePort = (text: string): { host: string; port: number } => {
  const [, v6, name, port] = /^tcp:\/\/(?:\[([0-9a-fA-F:]+)\]|([^/:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65_535) throw new UsageError(`--live-port: ${text} is no tcp://HOST:PORT`);
  const host = v6 ?? name!;
  return { host: host === 'localhost' ? '127.0.0.1' : host, port: Number(port) };
};

const groupOf = (options: Parsed): 'host' | 'session' => {
  const bySession = options.has('group-output-by-session');
  if (bySession && options.has('group-output-by-host'))
    throw new UsageError('--group-output-by-host and --group-output-by-session exclude each other');
  return bySession ? 'session' : 'host';
};

/** `ready` tells whoever waits for it: systemd's kin by a signal, `relayd --background` by its channel. */
const ready = (options: Parsed): void => {
  if (options.has('sig-parent')) process.kill(process.ppid, 'SIGUSR1');
  process.send?.('ready');
  if (process.connected) process.disconnect();
};

const foreground = async (environment: Environment, options: Parsed): Promise<Outcome> => {
  const directories = directoriesOf(process.getuid?.() ?? 0, environment.env);
  const working = options.get('working-directory');
  const descriptors = number(options, 'fd-pool-size', count);
  const settings = {
    output: resolve(options.get('output') ?? directories.traces),
    groupBy: groupOf(options),
    allowClear: !options.has('disallow-clear'),
    retainBytes: number(options, 'retain-bytes', parseSize),
    retainAgeMs: ageMs(options.get('retain-age')),
    descriptors: descriptors === 0 ? null : descriptors,
    live: livePort(options.get('live-port') ?? 'tcp://localhost:5344'),
    pidFile: options.has('pid-file') ? resolve(options.get('pid-file')!) : null,
  };
  if (working !== undefined) process.chdir(working);
  const log = join(directories.state, 'log');
  makeDirectories(log, 0o700);
  const { joinExternalBus, joinOwnBus, nameOnBus } = await import('../relay-bus.ts');
  const [url, context] = [options.get('bus-url'), options.get('bus-context')];
  const external = url !== undefined ? { url } : context === undefined ? null : { context };
  const { runRelay } = await import('../../actors/relayd-main.ts');
  const stopped = await runRelay({
    ...settings,
    name: nameOnBus(external),
    log: options.has('verbose') ? 2 : join(log, 'relayd.log'),
    connect: (relay) => (external ? joinExternalBus(external) : joinOwnBus(relay, environment.group)),
    onReady: () => ready(options),
  });
  if (stopped) throw new FaultError(stopped);
  return { lines: [], json: { stopped: true } };
};

const OWN_WORDS = new Set(['--background', '-b', '--daemonize', '-d', '--json']);

/** Resolves when the relay in the background serves. */
const background = (environment: Environment, options: Parsed): Promise<Outcome> => {
  const log = join(directoriesOf(process.getuid?.() ?? 0, environment.env).state, 'log');
  makeDirectories(log, 0o700);
  const out = openSync(join(log, 'relayd.log'), 'a', 0o600);
  const words = environment.words.filter((word) => !OWN_WORDS.has(word));
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, 'relayd', ...words], {
    detached: true,
    stdio: ['ignore', out, options.has('daemonize') ? out : 'inherit', 'ipc'],
    env: { ...environment.env, WEFT_RELAYD_DETACHED: '1' },
  });
  return new Promise((done, fail) => {
    child.once('error', (error) => fail(failure('relay-unusable', { cause: error.message })));
    child.once('exit', () => fail(failure('relay-unusable', { cause: `it ended; see ${join(log, 'relayd.log')}` })));
    child.once('message', () => {
      child.disconnect();
      child.unref();
      done({ lines: [], json: { pid: child.pid } });
    });
  });
};

export const relayd: Command = {
  name: 'relayd',
  summary: 'Run a relay: it takes the traces of other hosts and serves live viewers',
  usage: 'relayd [--background | --daemonize] [--output=DIR] [OPTIONS]',
  textOnly: true,
  options: OPTIONS,
  async run(environment) {
    noMoreWords(environment, 0);
    const options = withConfiguration(environment);
    // Anybody may read the words that a process was started with.
    if (hasSecret(options.get('bus-url') ?? '')) process.title = 'weft relayd';
    if (options.has('bus-url') && options.has('bus-context')) {
      throw new UsageError('--bus-url and --bus-context exclude each other');
    }
    const detached = options.has('background') || options.has('daemonize');
    return detached && environment.env.WEFT_RELAYD_DETACHED === undefined
      ? background(environment, options)
      : foreground(environment, options);
  },
};
