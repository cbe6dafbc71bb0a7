/**
 * The words of `weft add-trigger`: options of the trigger, then `--condition TYPE` with its own, then `--action TYPE` with its own, as
 * often as wanted. Each section has its own table: `--name` before the condition names the trigger, behind it the events.
 */
import { resolve } from 'node:path';
import type { LogLevelRule } from '../machines/document.ts';
import type { RatePolicy, TriggerAction, TriggerCondition } from '../machines/trigger-document.ts';
import { parseLogLevel } from '../rules/loglevel.ts';
import { refused } from './commands/shared.ts';
import { placeOfSnapshots } from './network.ts';
import { parseSize } from './numbers.ts';
import { type OptionSpec, type Parsed, parseOptions, UsageError } from './options.ts';

export interface TriggerWords {
  readonly name: string | undefined;
  readonly ownerUid: number | undefined;
  readonly condition: TriggerCondition;
  readonly actions: readonly TriggerAction[];
}

const HEAD: readonly OptionSpec[] = [
  { long: 'name', value: 'NAME', help: 'Name of the trigger (default: trigger0, trigger1, ...)' },
  { long: 'owner-uid', value: 'UID', help: 'Whose trigger it is (root only)' },
];

const PROBES = 'probes belong to the kernel domain, which is not there';

const RULE: readonly OptionSpec[] = [
  { long: 'type', value: 'TYPE', help: 'Events of: user:tracepoint (or user)' },
  { long: 'name', short: 'n', value: 'PATTERN', help: 'Event names that match (default: *)' },
  { long: 'exclude-name', short: 'x', value: 'PATTERN', repeat: true, help: 'But none that match this' },
  {
    long: 'log-level',
    short: 'l',
    value: 'LEVEL|LEVEL..|..',
    help: 'This level; with `..` also all more severe ones; `..`: all',
  },
  { long: 'filter', short: 'f', value: 'EXPR', help: 'Only events for which EXPR holds' },
  { long: 'capture', value: 'FIELD', repeat: true, help: 'What a notification carries: a field, field[N], $ctx.NAME' },
  refused('location', 'Where a probe is placed', PROBES, { value: 'LOCATION' }),
  refused('event-name', 'Name of the events of a probe', PROBES, { short: 'E', value: 'NAME' }),
];

const SAMPLED: readonly OptionSpec[] = [
  { long: 'session', short: 's', value: 'SESSION', help: 'The session' },
  { long: 'channel', short: 'c', value: 'CHANNEL', help: 'The channel' },
  { long: 'domain', short: 'd', value: 'DOMAIN', help: 'Its domain: user' },
  { long: 'threshold-size', short: 't', value: 'SIZE', help: 'Bytes' },
  { long: 'threshold-ratio', short: 'r', value: 'RATIO', help: 'Part of a ring buffer, 0 to 1' },
];

const ACTION: readonly OptionSpec[] = [
  { long: 'rate-policy', value: 'POLICY', help: 'every:N (default every:1) or once-after:N' },
];
const SNAPSHOT: readonly OptionSpec[] = [
  ...ACTION,
  { long: 'name', short: 'n', value: 'NAME', help: 'Name of the snapshot' },
  { long: 'max-size', short: 'm', value: 'SIZE', help: 'At most so many bytes' },
  { long: 'path', value: 'PATH', help: 'Where it goes instead of the session’s output' },
  { long: 'url', value: 'URL', help: 'A file:// URL, or that of a relay: relay:, nats://HOST, net://HOST' },
  { long: 'fleet', help: 'On every host with a session of that name: all freeze, and record one snapshot id' },
  { long: 'post-ms', value: 'MS', help: 'With --fleet: go on recording so long before the freeze (at most 60000)' },
  { long: 'ctrl-url', value: 'URL', help: 'Where an LTTng relay takes commands: tcp://HOST[:PORT]' },
  { long: 'data-url', value: 'URL', help: 'Where the same relay takes data: tcp://HOST[:PORT]' },
];

const INCREMENT: readonly OptionSpec[] = [
  { long: 'session', short: 's', value: 'SESSION', help: 'The session' },
  { long: 'channel', short: 'c', value: 'CHANNEL', help: 'Its map channel' },
  { long: 'type', short: 't', value: 'TYPE', help: 'Type of the map channel: user' },
  { long: 'key', short: 'k', value: 'KEY', help: 'Text, {event_name}, {provider_name}' },
];

export const TRIGGER_OPTIONS: readonly OptionSpec[] = [
  ...HEAD,
  { long: 'condition', value: 'TYPE', help: 'Condition; its options follow' },
  ...RULE.filter(({ long }) => long !== 'name'),
  ...SAMPLED,
  { long: 'action', value: 'TYPE', repeat: true, help: 'Action; its options follow' },
  ...SNAPSHOT.filter(({ long }) => long !== 'name'),
  { long: 'key', short: 'k', value: 'KEY', help: 'Key that incr-map-value counts under: text, {event_name}, {provider_name}' },
];

interface Section {
  readonly kind: 'head' | 'condition' | 'action';
  readonly type: string;
  readonly words: string[];
}

/** Cuts at `--condition` and `--action`. */
const sections = (argv: readonly string[]): readonly Section[] => {
  const found: Section[] = [{ kind: 'head', type: '', words: [] }];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    const match = /^--(condition|action)(?:=(.*))?$/.exec(word);
    if (!match) {
      found.at(-1)!.words.push(word);
      continue;
    }
    const type = match[2] ?? argv[++at];
    if (type === undefined || type === '') throw new UsageError(`Argument ${at + 1}: ${word} needs a type`);
    found.push({ kind: match[1] as 'condition' | 'action', type, words: [] });
  }
  return found;
};

const parsed = (specs: readonly OptionSpec[], { words, type }: Section, positional: number): Parsed => {
  const { parsed: options } = parseOptions(specs, words);
  const extra = options.words[positional];
  if (extra !== undefined) throw new UsageError(`Unknown argument: ${extra}${type ? ` (of ${type})` : ''}`);
  return options;
};

const sizeOf = (text: string): number => {
  const bytes = parseSize(text);
  if (bytes === null) throw new UsageError(`${text} is no size`);
  return bytes;
};

const need = (options: Parsed, long: string, of: string): string => {
  const value = options.get(long);
  if (value === undefined) throw new UsageError(`Condition ${of} needs --${long}`);
  return value;
};

const levelRule = (text: string | undefined): LogLevelRule | null => {
  if (text === undefined || text === '..') return null;
  const range = text.endsWith('..');
  const name = range ? text.slice(0, -2) : text;
  const level = parseLogLevel(name);
  if (level === null) throw new UsageError(`Unknown log level ${name}`);
  return { kind: range ? 'range' : 'single', level };
};

const USER_TYPES = ['user', 'user:tracepoint'];

const ruleCondition = (section: Section): TriggerCondition => {
  const options = parsed(RULE, section, 0);
  const type = need(options, 'type', section.type);
  if (!USER_TYPES.includes(type))
    throw new UsageError(`Event rule type ${type} is not supported by this version: user:tracepoint is`, 5);
  return {
    kind: 'event-rule-matches',
    rule: {
      pattern: options.get('name') ?? '*',
      logLevel: levelRule(options.get('log-level')),
      exclusions: options.all('exclude-name'),
      filter: options.get('filter') ?? null,
    },
    captures: options.all('capture'),
  };
};

const usageCondition = (section: Section, kind: 'channel-buffer-usage-ge' | 'channel-buffer-usage-le'): TriggerCondition => {
  const options = parsed(SAMPLED, section, 0);
  const domain = need(options, 'domain', kind);
  if (domain !== 'user') throw new UsageError(`Domain ${domain} is not supported by this version: user is`, 5);
  const size = options.get('threshold-size');
  const ratio = options.get('threshold-ratio');
  if ((size === undefined) === (ratio === undefined))
    throw new UsageError(`Condition ${kind} needs --threshold-size or --threshold-ratio`);
  const part = ratio === undefined ? 0 : Number(ratio);
  if (Number.isNaN(part) || part < 0 || part > 1) throw new UsageError(`Threshold ratio ${ratio} is not between 0 and 1`);
  return {
    kind,
    session: need(options, 'session', kind),
    channel: need(options, 'channel', kind),
    threshold: size === undefined ? { ratio: part } : { bytes: sizeOf(size) },
  };
};

const conditionOf = (section: Section): TriggerCondition => {
  const { type } = section;
  switch (type) {
    case 'event-rule-matches':
      return ruleCondition(section);
    case 'channel-buffer-usage-ge':
    case 'channel-buffer-usage-le':
      return usageCondition(section, type);
    case 'session-consumed-size-ge': {
      const options = parsed(SAMPLED, section, 0);
      return { kind: type, session: need(options, 'session', type), bytes: sizeOf(need(options, 'threshold-size', type)) };
    }
    case 'session-rotation-starts':
    case 'session-rotation-finishes':
      return { kind: type, session: need(parsed(SAMPLED, section, 0), 'session', type) };
    default:
      throw new UsageError(`Unknown condition type ${type}`);
  }
};

const rateOf = (text: string | undefined): RatePolicy => {
  if (text === undefined) return { kind: 'every', count: 1 };
  const match = /^(every|once-after):(\d+)$/.exec(text);
  const count = Number(match?.[2] ?? 0);
  if (!match || count < 1 || !Number.isSafeInteger(count))
    throw new UsageError(`Rate policy ${text} is neither every:N nor once-after:N, N > 0`);
  return { kind: match[1] as RatePolicy['kind'], count };
};

const fleetOf = (options: Parsed, { type }: Section, placed: boolean): { fleet?: { postMs: number } } => {
  const after = options.get('post-ms');
  if (!options.has('fleet') && after !== undefined) throw new UsageError(`Action ${type}: --post-ms needs --fleet`);
  if (!options.has('fleet')) return {};
  if (placed) throw new UsageError(`Action ${type}: with --fleet each host’s own output is used, not --path or --url`);
  const postMs = after === undefined ? 0 : Number(after);
  if (!/^\d{1,5}$/.test(after ?? '0') || postMs > 60_000)
    throw new UsageError(`Action ${type}: --post-ms ${after} is no number of milliseconds up to 60000`);
  return { fleet: { postMs } };
};

const snapshotAction = (section: Section): TriggerAction => {
  const options = parsed(SNAPSHOT, section, 1);
  const session = options.words[0];
  if (session === undefined) throw new UsageError(`Action ${section.type} needs a session`);
  const given = options.get('path');
  const elsewhere = placeOfSnapshots(options, options.get('url'));
  if (given !== undefined && elsewhere !== undefined)
    throw new UsageError(`Action ${section.type}: --path and --url exclude each other`);
  const path = elsewhere ?? (given === undefined ? undefined : resolve(given));
  const name = options.get('name') ?? null;
  const size = options.get('max-size');
  if (path === undefined && (name !== null || size !== undefined))
    throw new UsageError(`Action ${section.type}: --name and --max-size need --path or --url`);
  const output = path === undefined ? null : { name, path, maxSize: size === undefined ? 0 : sizeOf(size) };
  return {
    kind: 'snapshot-session',
    session,
    output,
    ...fleetOf(options, section, output !== null),
    rate: rateOf(options.get('rate-policy')),
  };
};

const incrementAction = (section: Section): TriggerAction => {
  const options = parsed(INCREMENT, section, 0);
  const needed = (long: string): string => {
    const value = options.get(long);
    if (value === undefined) throw new UsageError(`Action ${section.type} needs --${long}`);
    return value;
  };
  const type = needed('type');
  if (type !== 'user') throw new UsageError(`Map channel type ${type} is not supported by this version: user is`, 5);
  return { kind: 'incr-map-value', session: needed('session'), channel: needed('channel'), key: needed('key') };
};

const actionOf = (section: Section): TriggerAction => {
  const { type } = section;
  switch (type) {
    case 'notify':
      return { kind: 'notify', rate: rateOf(parsed(ACTION, section, 0).get('rate-policy')) };
    case 'start-session':
    case 'stop-session':
    case 'rotate-session': {
      const options = parsed(ACTION, section, 1);
      const session = options.words[0];
      if (session === undefined) throw new UsageError(`Action ${type} needs a session`);
      return { kind: type, session, rate: rateOf(options.get('rate-policy')) };
    }
    case 'snapshot-session':
      return snapshotAction(section);
    case 'incr-map-value':
      return incrementAction(section);
    default:
      throw new UsageError(`Unknown action type ${type}`);
  }
};

export const parseTriggerWords = (argv: readonly string[]): TriggerWords => {
  const [head, ...rest] = sections(argv);
  const options = parsed(HEAD, head!, 0);
  const conditions = rest.filter(({ kind }) => kind === 'condition');
  const [condition, second] = conditions;
  if (!condition) throw new UsageError('Missing --condition');
  if (second) throw new UsageError('A --condition was already given');
  const actions = rest.filter(({ kind }) => kind === 'action').map(actionOf);
  if (actions.length === 0) throw new UsageError('Need at least one --action');
  const owner = options.get('owner-uid');
  if (owner !== undefined && !/^\d{1,10}$/.test(owner)) throw new UsageError(`Owner uid ${owner} is no user id`);
  return {
    name: options.get('name'),
    ownerUid: owner === undefined ? undefined : Number(owner),
    condition: conditionOf(condition),
    actions,
  };
};
