/** add-map-channel, show-maps, export-maps: counters that triggers increment. */
import type { MapView } from '../../transport/map-messages.ts';
import type { Command, Environment } from '../command.ts';
import { mapScript } from '../map-sql.ts';
import { type MapChoice, type MapRow, mapRows } from '../map-table.ts';
import { type OptionSpec, type Parsed, UsageError } from '../options.ts';
import { userId, userName } from '../users.ts';
import { HELP, NO_KERNEL, noMoreWords, refused, SESSION, sessionOf } from './shared.ts';

const oneOf = <T extends string>(options: Parsed, name: string, known: readonly T[], otherwise: T): T => {
  const value = options.get(name);
  const found = value === undefined ? otherwise : known.find((one) => one === value);
  if (found === undefined) throw new UsageError(`--${name}=${value} is none of: ${known.join(', ')}`);
  return found;
};

const once = (options: Parsed, names: readonly string[]): void => {
  const twice = names.find((name) => options.all(name).length > 1);
  if (twice !== undefined) throw new UsageError(`--${twice} was given more than once`);
};

const needUser = (options: Parsed): void => {
  for (const type of options.all('type')) {
    if (type === 'kernel') throw new UsageError(`Type kernel is not supported by this version: ${NO_KERNEL}`, 5);
    if (type !== 'user') throw new UsageError(`--type=${type} is none of: user, kernel`);
  }
};

const number = (name: string, text: string): number => {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new UsageError(`--${name}=${text} is no number`);
  return value;
};

const positive = (options: Parsed, name: string): number | null => {
  const text = options.get(name);
  if (text === undefined) return null;
  const value = number(name, text);
  if (value === 0) throw new UsageError(`--${name} must be greater than 0`);
  return value;
};

export const addMapChannel: Command = {
  name: 'add-map-channel',
  summary: 'Add a map channel: counters that triggers increment',
  usage: 'add-map-channel --type=user [--session=SESSION] [OPTIONS] [NAME]',
  options: [
    ...HELP,
    SESSION,
    { long: 'type', short: 't', value: 'TYPE', help: 'Whose events it counts: user' },
    { long: 'value-type', value: 'TYPE', help: 'signed-int-32, signed-int-64 or signed-int-max (default)' },
    { long: 'max-key-count', value: 'COUNT', help: 'New keys beyond are dropped (default: 4096)' },
    { long: 'update-policy', value: 'POLICY', help: 'An event counts per-event (default) or per-rule-match' },
    { long: 'buffer-ownership', value: 'OWNER', help: 'Counters belong to each user (default) or process' },
    {
      long: 'dead-process-policy',
      value: 'POLICY',
      help: 'With process: what a dead one counted, sum-into-shared (default) or drop',
    },
  ],
  async run(environment) {
    const { options } = environment;
    noMoreWords(environment, 1);
    once(options, [
      'type',
      'session',
      'value-type',
      'max-key-count',
      'update-policy',
      'buffer-ownership',
      'dead-process-policy',
    ]);
    if (!options.has('type')) throw new UsageError('Missing --type (user)');
    needUser(options);
    const ownership = oneOf(options, 'buffer-ownership', ['user', 'process'], 'user');
    const deadProcesses = oneOf(options, 'dead-process-policy', ['sum-into-shared', 'drop'], 'sum-into-shared');
    if (options.has('dead-process-policy') && ownership === 'user')
      throw new UsageError('--dead-process-policy needs --buffer-ownership=process');
    const valueType = oneOf(options, 'value-type', ['signed-int-32', 'signed-int-64', 'signed-int-max'], 'signed-int-max');
    const maxKeys = positive(options, 'max-key-count');
    const updatePolicy = oneOf(options, 'update-policy', ['per-event', 'per-rule-match'], 'per-event');
    const [wanted] = options.words;
    const session = sessionOf(environment);
    const { name } = await environment.request('map.add', {
      session,
      ...(wanted === undefined ? {} : { name: wanted }),
      bits: valueType === 'signed-int-32' ? 32 : 64,
      ...(maxKeys === null ? {} : { maxKeys }),
      updatePolicy,
      ...(ownership === 'process' ? { ownership, deadProcesses } : {}),
    });
    const shown = wanted === undefined ? 'Map channel' : `Map channel \`${name}\``;
    return { lines: [`${shown} added to recording session \`${session}\`.`], json: { session, name } };
  },
};

/** One answer per channel: together they might be longer than a message may be. */
const mapsWanted = async (environment: Environment, names: readonly string[]): Promise<readonly MapView[]> => {
  const session = sessionOf(environment);
  const { session: shown } = await environment.request('session.show', { session });
  const wanted = names.length > 0 ? names : shown.mapChannels.map(({ name }) => name);
  const maps: MapView[] = [];
  for (const name of wanted) maps.push((await environment.request('map.show', { session, name })).map);
  return maps;
};

const uidOf = (text: string): number => {
  const uid = userId(text);
  if (uid === null) throw new UsageError(`There is no user ${text}`);
  return uid;
};

const choiceOf = (options: Parsed): MapChoice => {
  for (const [one, all] of [['uid', 'all-uids'] as const, ['pid', 'all-pids'] as const])
    if (options.has(one) && options.has(all)) throw new UsageError(`--${one} and --${all} exclude each other`);
  const per = oneOf(options, 'per', ['channel', 'owner', 'cpu', 'part'], 'channel');
  const parts = ['cpu-id', 'part-id'].flatMap((name) => options.all(name).map((text) => number(name, text)));
  return {
    per: per === 'part' ? 'cpu' : per,
    uids: options.has('all-uids') ? 'all' : options.all('uid').map(uidOf),
    pids: options.has('all-pids') ? 'all' : options.all('pid').map((text) => number('pid', text)),
    shared: options.has('shared'),
    cpus: parts.length > 0 ? parts : null,
    keys: options.all('key'),
    globs: options.all('key-glob'),
    counted: options.has('non-init-values'),
    sortBy: oneOf(options, 'sort-by', ['key', 'value'], 'key'),
    descending: oneOf(options, 'sort-order', ['asc', 'desc'], 'asc') === 'desc',
    limit: positive(options, 'limit'),
  };
};

const columns = (per: MapChoice['per']): readonly string[] => [
  ...(per === 'channel' ? [] : ['Owner']),
  ...(per === 'cpu' ? ['CPU'] : []),
  'Key',
  'Value',
  'Overflow',
];

const owner = ({ uid, process }: MapRow): string => {
  if (process) return `${process.procname} (${process.pid})`;
  return uid === null ? 'shared' : userName(uid);
};

const cells = (per: MapChoice['per'], row: MapRow): readonly string[] => {
  const { cpu, key, value, overflow } = row;
  return [
    ...(per === 'channel' ? [] : [owner(row)]),
    ...(per === 'cpu' ? [cpu === null ? '-' : String(cpu)] : []),
    key,
    String(value),
    overflow ? 'yes' : 'no',
  ];
};

const table = (rows: readonly (readonly string[])[]): string[] => {
  const widths = rows[0]!.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)));
  return rows.map((row) => `  ${row.map((cell, at) => cell.padEnd(widths[at]!)).join('  ')}`.trimEnd());
};

const AXES: readonly OptionSpec[] = [
  { long: 'channel', short: 'c', value: 'CHANNEL', repeat: true, help: 'Only this map channel' },
  { long: 'type', value: 'TYPE', repeat: true, help: 'Only of this type: user' },
  { long: 'per', value: 'WHAT', help: 'One value per key and channel (default), owner or cpu (the same as part)' },
  { long: 'uid', value: 'UID', repeat: true, help: 'Only counters of this user' },
  { long: 'all-uids', help: 'Only counters of users' },
  { long: 'pid', value: 'PID', repeat: true, help: 'Only counters of this process' },
  { long: 'all-pids', help: 'Only counters of processes' },
  { long: 'shared', help: 'Only counters of the daemon itself' },
  refused('system', 'Only counters of the kernel', NO_KERNEL),
  { long: 'part-id', value: 'CPU', repeat: true, help: 'The same as --cpu-id' },
  { long: 'cpu-id', value: 'CPU', repeat: true, help: 'Only counters of this CPU' },
  { long: 'key', value: 'KEY', repeat: true, help: 'Only this key' },
  { long: 'key-glob', value: 'PATTERN', repeat: true, help: 'Only keys that match' },
  { long: 'non-init-values', help: 'Only values that are not 0' },
  { long: 'sort-by', value: 'WHAT', help: 'key (default) or value' },
  { long: 'sort-order', value: 'ORDER', help: 'asc (default) or desc' },
  { long: 'limit', value: 'COUNT', help: 'At most so many rows of each channel' },
];

export const showMaps: Command = {
  name: 'show-maps',
  summary: 'Show the counters of map channels',
  usage: 'show-maps [--session=SESSION] [OPTIONS]',
  options: [...HELP, SESSION, ...AXES],
  async run(environment) {
    const { options } = environment;
    noMoreWords(environment, 0);
    needUser(options);
    const choice = choiceOf(options);
    const maps = (await mapsWanted(environment, options.all('channel'))).map((map) => ({
      name: map.name,
      rows: mapRows(map, choice),
    }));
    const lines = maps.flatMap(({ name, rows }) => [
      `Map channel \`${name}\`:`,
      ...(rows.length === 0 ? ['  None'] : table([columns(choice.per), ...rows.map((row) => cells(choice.per, row))])),
      '',
    ]);
    return { lines: lines.length > 0 ? lines : ['No map channel'], json: { maps: maps.map(jsonOf) } };
  },
};

/** JSON has no integers of 64 bits. */
const jsonOf = ({ name, rows }: { name: string; rows: readonly MapRow[] }): object => ({
  name,
  rows: rows.map((row) => ({ ...row, value: String(row.value) })),
});

export const exportMaps: Command = {
  name: 'export-maps',
  summary: 'Write the counters of all map channels as an SQL script',
  usage: 'export-maps [--session=SESSION] [--format=sqlite]',
  options: [...HELP, SESSION, { long: 'format', short: 'f', value: 'FORMAT', help: 'sqlite (default)' }],
  async run(environment) {
    noMoreWords(environment, 0);
    const format = oneOf(environment.options, 'format', ['sqlite'], 'sqlite');
    const lines = mapScript(await mapsWanted(environment, []), userName);
    return { lines, json: { format, script: lines.join('\n') } };
  },
};
