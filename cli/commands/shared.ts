/** What several commands have in common. */
import { resolve } from 'node:path';
import { matchesPattern } from '../../rules/pattern.ts';
import { isNetworkUrl } from '../../transport/destination.ts';
import type { Environment } from '../command.ts';
import { type OptionSpec, UsageError } from '../options.ts';

export const HELP: readonly OptionSpec[] = [
  { long: 'help', short: 'h', help: 'Show this help' },
  { long: 'list-options', help: 'List the options, one per line' },
];

export const SESSION: OptionSpec = {
  long: 'session',
  short: 's',
  value: 'SESSION',
  help: 'The session (default: the current one)',
};
export const CHANNEL: OptionSpec = { long: 'channel', short: 'c', value: 'CHANNEL', help: 'The channel' };

const other = (long: string, what: string, short?: string): OptionSpec => ({
  long,
  ...(short === undefined ? {} : { short }),
  help: `${what} domain`,
  unsupported: `the ${what} domain is not there yet; --userspace is`,
});

/** The tracing domains; this version has user space. */
export const DOMAINS: readonly OptionSpec[] = [
  { long: 'userspace', short: 'u', help: 'User-space domain' },
  other('kernel', 'Linux kernel', 'k'),
  other('jul', 'java.util.logging', 'j'),
  other('log4j', 'Apache log4j', 'l'),
  other('log4j2', 'Apache Log4j 2'),
  other('python', 'Python logging', 'p'),
];

/** Known, and not done: each with its own reason, which is also the way out. */
export const refused = (long: string, help: string, unsupported: string, more: Partial<OptionSpec> = {}): OptionSpec => ({
  long,
  help,
  unsupported,
  ...more,
});

export const NO_KERNEL = 'there is no kernel domain; --userspace is there';
export const NO_WAIT = 'it is answered when the trace is complete, not before; a shell’s `&` does not wait';
export const NETWORK_URLS: readonly OptionSpec[] = [
  { long: 'ctrl-url', short: 'C', value: 'URL', help: 'Where an LTTng relay takes commands: tcp://HOST[:PORT][/SUBDIR]' },
  { long: 'data-url', short: 'D', value: 'URL', help: 'Where the same relay takes data: tcp://HOST[:PORT]' },
];

/** The directory that a URL of this version names. */
export const localPath = (url: string): string => {
  if (isNetworkUrl(url))
    throw new UsageError(`Destination ${url} is not supported by this version: only directories and file:// URLs are`, 5);
  const path = url.startsWith('file://') ? url.slice('file://'.length) : url;
  if (/^\w+:\/\//.test(path)) throw new UsageError(`Destination ${url} is no directory and no file:// URL`);
  return resolve(path);
};

export const needUserspace = ({ options }: Environment): void => {
  if (!options.has('userspace')) throw new UsageError('Please specify a tracing domain (--userspace)');
};

export const noMoreWords = ({ options }: Environment, allowed: number): void => {
  const extra = options.words[allowed];
  if (extra !== undefined) throw new UsageError(`Unknown argument: ${extra}`);
};

export const sessionOf = (environment: Environment): string =>
  environment.options.get('session') ?? environment.currentSession();

export const listOf = (text: string): string[] => text.split(',').filter((item) => item !== '');

export const SELECT: readonly OptionSpec[] = [
  { long: 'all', short: 'a', help: 'All sessions' },
  { long: 'glob', short: 'g', help: 'SESSION is a pattern' },
];

/** Which sessions `[SESSION | --all | --glob PATTERN]` names. */
export const selectSessions = async (environment: Environment): Promise<string[]> => {
  const { options } = environment;
  const [name] = options.words;
  noMoreWords(environment, 1);
  if (options.has('all') && name !== undefined) throw new UsageError('A session name and --all exclude each other');
  if (!options.has('all') && !options.has('glob')) return [name ?? environment.currentSession()];
  if (options.has('glob') && name === undefined) throw new UsageError('--glob needs a pattern');
  const { sessions } = await environment.request('session.list', {});
  const names = sessions.map((session) => session.name);
  return options.has('all') ? names : names.filter((one) => matchesPattern(name!, one));
};
