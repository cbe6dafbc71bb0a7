import type { LogLevelRule } from '../../machines/document.ts';
import { parseLogLevel } from '../../rules/loglevel.ts';
import { checkExclusions } from '../../rules/match.ts';
import { splitList } from '../../rules/pattern.ts';
import type { Fault } from '../../transport/bus.ts';
import { exitStatusOf, FaultError } from '../../transport/errors.ts';
import { type Command, type Environment, partial } from '../command.ts';
import type { RuleDone } from '../mi/channels.ts';
import { type OptionSpec, type Parsed, UsageError } from '../options.ts';
import { wrongFilter } from '../wrong-filter.ts';
import { CHANNEL, DOMAINS, HELP, NO_KERNEL, needUserspace, noMoreWords, refused, SESSION, sessionOf } from './shared.ts';

const TYPES: readonly OptionSpec[] = [
  { long: 'tracepoint', help: 'Instrumentation points (default)' },
  refused('syscall', 'System calls', NO_KERNEL),
  refused('probe', 'Kernel probe', NO_KERNEL, { value: 'LOCATION' }),
  refused('function', 'Kernel function', NO_KERNEL, { value: 'LOCATION' }),
];

const patterns = (environment: Environment, all: string): string[] => {
  needUserspace(environment);
  noMoreWords(environment, 1);
  const [names] = environment.options.words;
  if (environment.options.has(all)) {
    if (names !== undefined) throw new UsageError(`Event names and --${all} exclude each other`);
    return ['*'];
  }
  const found = splitList(names ?? '');
  if (found.length === 0) throw new UsageError('Missing event name(s).');
  return found;
};

const logLevel = (options: Parsed): LogLevelRule | undefined => {
  if (options.has('loglevel') && options.has('loglevel-only'))
    throw new UsageError('--loglevel and --loglevel-only exclude each other');
  const kind = options.has('loglevel-only') ? 'single' : 'range';
  const text = options.get(kind === 'single' ? 'loglevel-only' : 'loglevel');
  if (text === undefined) return undefined;
  const level = parseLogLevel(text);
  if (level === null) throw new UsageError(`Unknown loglevel ${text}`);
  return { kind, level };
};

const each = async (
  names: readonly string[],
  act: (pattern: string) => Promise<readonly string[]>,
  failed: (pattern: string) => void,
) => {
  const lines: string[] = [];
  const faults: Fault[] = [];
  for (const pattern of names) {
    try {
      lines.push(...(await act(pattern)));
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      faults.push(error.fault);
      failed(pattern);
    }
  }
  return { lines, faults, status: Math.max(0, ...faults.map((fault) => exitStatusOf(fault.code))) };
};

/** All names are looked at before the first rule is made: a slip in one of them changes nothing. */
const exclusionWarnings = (names: readonly string[], exclusions: readonly string[]): string[] =>
  names.flatMap((pattern) => {
    const { error, useless } = checkExclusions(pattern, exclusions);
    if (error !== null) throw new UsageError(`Error: ${error}`);
    return useless.map((one) => `Warning: Event ${pattern}: ${one} does not exclude any events from ${pattern}`);
  });

export const enableEvent: Command = {
  name: 'enable-event',
  summary: 'Create or enable recording event rules',
  usage: 'enable-event --userspace (NAME[,NAME]... | --all) [--session=SESSION] [--channel=CHANNEL] [OPTIONS]',
  options: [
    ...HELP,
    ...DOMAINS,
    ...TYPES,
    SESSION,
    CHANNEL,
    refused('userspace-probe', 'User-space probe', 'it is placed by the kernel domain, which is not there', {
      value: 'LOCATION',
    }),
    { long: 'all', short: 'a', help: 'All events: the same as the pattern *' },
    { long: 'loglevel', value: 'LEVEL', help: 'Only events at least as severe as LEVEL' },
    { long: 'loglevel-only', value: 'LEVEL', help: 'Only events of exactly this LEVEL' },
    { long: 'exclude', short: 'x', value: 'PATTERN[,PATTERN]...', help: 'But none that match these' },
    { long: 'filter', short: 'f', value: 'EXPR', help: 'Only events for which EXPR holds (docs/filters.md)' },
  ],
  async run(environment) {
    const { options } = environment;
    const names = patterns(environment, 'all');
    const exclusions = splitList(options.get('exclude') ?? '');
    const level = logLevel(options);
    const session = sessionOf(environment);
    const channel = options.get('channel');
    const filter = options.get('filter');
    const wrong =
      filter === undefined
        ? null
        : wrongFilter(
            filter,
            'program',
            names.map((name) => `Event ${name}: `),
          );
    if (wrong) return wrong;
    const warnings = exclusionWarnings(names, exclusions);
    const done: RuleDone[] = [];
    const wanted = { logLevel: level ?? null, exclusions, filter: filter ?? null };
    const enable = async (pattern: string): Promise<readonly string[]> => {
      const answer = await environment.request('event.enable', {
        session,
        pattern,
        ...(channel === undefined ? {} : { channel }),
        ...(level === undefined ? {} : { logLevel: level }),
        ...(exclusions.length === 0 ? {} : { exclusions }),
        ...(filter === undefined ? {} : { filter }),
      });
      done.push({ rule: answer.rule, success: true });
      if (filter !== undefined) return [`Event ${pattern}: Filter '${filter}' successfully set`];
      if (options.has('all')) return [`All ust events are enabled in channel ${answer.channel}`];
      return [`ust event ${pattern} ${answer.created ? 'created' : 'enabled'} in channel ${answer.channel}`];
    };
    const { lines, faults, status } = await each(names, enable, (pattern) =>
      done.push({ rule: { ...wanted, pattern, enabled: false }, success: false }),
    );
    const rules = done.filter(({ success }) => success).map(({ rule }) => rule);
    const outcome = partial(lines, { session, rules }, faults, status);
    const mi = async () => (await import('../mi/channels.ts')).rulesEnabled(done);
    return { ...outcome, notes: [...warnings, ...(outcome.notes ?? [])], mi };
  },
};

export const disableEvent: Command = {
  name: 'disable-event',
  summary: 'Disable recording event rules',
  usage: 'disable-event --userspace (NAME[,NAME]... | --all-events) [--session=SESSION] [--channel=CHANNEL]',
  options: [
    ...HELP,
    ...DOMAINS,
    ...TYPES,
    SESSION,
    CHANNEL,
    { long: 'all-events', short: 'a', help: 'All rules of the channel' },
  ],
  async run(environment) {
    const { options } = environment;
    const names = patterns(environment, 'all-events');
    if (options.has('tracepoint')) {
      throw new UsageError('Disabling ust events based on instrumentation type is not supported: leave out --tracepoint', 5);
    }
    const session = sessionOf(environment);
    const channel = options.get('channel');
    const place = { session, ...(channel === undefined ? {} : { channel }) };
    const done: { pattern: string; success: boolean }[] = [];
    let at = channel ?? 'channel0';
    const disable = async (pattern: string): Promise<readonly string[]> => {
      const all = options.has('all-events');
      const which = all ? ({ all: true } as const) : { pattern };
      const answer = await environment.request('event.disable', { ...place, ...which });
      at = answer.channel;
      done.push({ pattern, success: true });
      if (all) return [`All ust events of type any are disabled in channel ${at}`];
      return [`ust ${pattern} of type any disabled in channel ${at} for session ${session}`];
    };
    const { lines, faults, status } = await each(names, disable, (pattern) => done.push({ pattern, success: false }));
    const mi = async () => (await import('../mi/channels.ts')).rulesDisabled(at, done);
    return { ...partial(lines, { session, patterns: names }, faults, status), mi };
  },
};
