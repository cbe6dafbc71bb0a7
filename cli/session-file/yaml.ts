/**
 * The same content as YAML for people: the names of the command line's options, sizes as `512k`, times as `200ms`. What is absent is
 * as if the option had not been given. Aliases are refused: a few bytes of them can stand for gigabytes.
 */

import { type Document, isAlias, LineCounter, type Node, parseDocument, stringify, visit } from 'yaml';
import { z } from 'zod';
import { isContextType } from '../../machines/contexts.ts';
import type { ContextType, EventRule, LogLevelRule } from '../../machines/document.ts';
import { logLevelName, parseLogLevel } from '../../rules/loglevel.ts';
import { isNetworkUrl, parseDestination } from '../../transport/destination.ts';
import { parseTime } from '../numbers.ts';
import {
  ALL_PROCESSES,
  FileFault,
  type Place,
  type ReadFile,
  type SavedAttributes,
  type SavedChannel,
  type SavedDestination,
  type SavedFile,
  type SavedSession,
  type SavedTracker,
  sizeFault,
  TRACKED,
} from './model.ts';
import { mapIn, mapOut, mapSchema } from './yaml-maps.ts';
import { triggerIn, triggerOut, triggerSchema } from './yaml-triggers.ts';
import { bytes, micros, sizeText, text, timeText } from './yaml-values.ts';

const FORMAT = 1;

// ---- what may stand there

const blocking = z.union([z.literal('inf').transform(() => -1), micros]);
const reclaim = z.union([
  z.enum(['off', 'consumed']).transform((policy) => ({ policy, ageUs: 0 })),
  z.templateLiteral(['older-than:', z.string()]).transform((text, context): NonNullable<SavedAttributes['reclaim']> => {
    const ageUs = parseTime(text.slice('older-than:'.length));
    if (ageUs === null) context.addIssue('a time is needed behind `older-than:`');
    return { policy: 'older-than', ageUs: ageUs ?? 0 };
  }),
]);

const level = z.union([
  z.int().min(-1).max(0x7fff_ffff),
  z.string().transform((name, context): number => {
    const found = parseLogLevel(name);
    if (found === null) context.addIssue(`\`${name}\` is no log level`);
    return found ?? 0;
  }),
]);

const event = z
  .strictObject({
    name: text,
    enabled: z.boolean().default(true),
    loglevel: level.optional(),
    'loglevel-only': level.optional(),
    exclude: z.array(text).default([]),
    filter: text.optional(),
  })
  .refine((one) => one.loglevel === undefined || one['loglevel-only'] === undefined, {
    error: '`loglevel` and `loglevel-only` exclude each other',
  });

const context = text.refine((name): name is ContextType => isContextType(name), {
  error: 'no context type of the user-space domain: see weft add-context --list',
}) as unknown as z.ZodType<ContextType>;

const channel = z.strictObject({
  name: text,
  enabled: z.boolean().default(true),
  mode: z.enum(['discard', 'overwrite']).optional(),
  'subbuf-size': bytes.optional(),
  'num-subbuf': z.int().min(0).max(0x7fff_ffff).optional(),
  'switch-timer': micros.optional(),
  'read-timer': micros.optional(),
  'monitor-timer': micros.optional(),
  'watchdog-timer': micros.optional(),
  'blocking-timeout': blocking.optional(),
  'buffer-allocation': z.enum(['per-cpu', 'per-channel']).optional(),
  'buffer-preallocation': z.enum(['preallocate', 'on-demand']).optional(),
  'auto-reclaim-memory': reclaim.optional(),
  'tracefile-size': bytes.optional(),
  'tracefile-count': z.int().min(0).max(0xffff_ffff).optional(),
  contexts: z.array(context).default([]),
  events: z.array(event).default([]),
});

const values = <T extends z.ZodType>(value: T) => z.union([z.literal('all'), z.array(value)]).default('all');
const id = z.int().min(0).max(0xffff_ffff);
const path = text.refine((one) => one.startsWith('/'), { error: 'an absolute path is needed' });

/** A directory, or the URL of a relay. */
const place = text.superRefine((one, { addIssue }) => {
  if (one.startsWith('/')) return;
  const parsed = isNetworkUrl(one)
    ? parseDestination(one)
    : { ok: false, cause: 'an absolute path or the URL of a relay is needed' };
  if (!parsed.ok && 'cause' in parsed) addIssue({ code: 'custom', message: parsed.cause });
});

const session = z
  .strictObject({
    name: text,
    started: z.boolean().default(false),
    'buffer-ownership': z.enum(['user', 'process']).default('user'),
    output: place.optional(),
    live: micros.optional(),
    compress: z.literal(true).optional(),
    'spool-size': bytes.optional(),
    'shm-path': path.optional(),
    'no-output': z.literal(true).optional(),
    snapshot: z
      .strictObject({
        outputs: z.array(z.strictObject({ name: text, path: place, 'max-size': bytes.default(0) })).default([]),
      })
      .optional(),
    rotation: z.strictObject({ timer: micros.optional(), size: bytes.optional() }).default({}),
    track: z
      .strictObject({ vpid: values(id), vuid: values(z.union([id, text])), vgid: values(z.union([id, text])) })
      .default(ALL_PROCESSES as never),
    channels: z.array(channel).default([]),
    'map-channels': z.array(mapSchema).default([]),
  })
  .refine((one) => ['output', 'no-output', 'snapshot'].filter((key) => one[key as 'output'] !== undefined).length <= 1, {
    error: '`output`, `no-output` and `snapshot` exclude each other',
  })
  .refine((one) => isNetworkUrl(one.output ?? '') || !(['live', 'compress', 'spool-size'] as const).some((key) => key in one), {
    error: '`live`, `compress` and `spool-size` need the URL of a relay as `output`',
  });

const document = z.strictObject({
  weft: z.literal(FORMAT, { error: `\`weft: ${FORMAT}\` is needed: it says which format this is` }),
  sessions: z.array(session).default([]),
  triggers: z.array(triggerSchema).default([]),
});

// ---- keys of channels on both sides

const KEYS = {
  mode: 'mode',
  subbufSize: 'subbuf-size',
  subbufCount: 'num-subbuf',
  switchTimerUs: 'switch-timer',
  readTimerUs: 'read-timer',
  monitorTimerUs: 'monitor-timer',
  watchdogTimerUs: 'watchdog-timer',
  blockingTimeoutUs: 'blocking-timeout',
  allocation: 'buffer-allocation',
  preallocation: 'buffer-preallocation',
  reclaim: 'auto-reclaim-memory',
  tracefileSize: 'tracefile-size',
  tracefileCount: 'tracefile-count',
} as const satisfies Record<keyof SavedAttributes, keyof z.output<typeof channel>>;

const shown = (key: keyof SavedAttributes, value: unknown): unknown => {
  if (key === 'reclaim') {
    const { policy, ageUs } = value as NonNullable<SavedAttributes['reclaim']>;
    return policy === 'older-than' ? `older-than:${timeText(ageUs)}` : policy;
  }
  if (typeof value !== 'number') return value;
  if (key === 'blockingTimeoutUs' && value === -1) return 'inf';
  if (key.endsWith('Us')) return timeText(value);
  return key.endsWith('Size') ? sizeText(value) : value;
};

// ---- writing

/** A name where the number has one that comes back as the same number. */
export const levelText = (value: number): string | number => {
  const name = logLevelName(value);
  return parseLogLevel(name) === value ? name.replace('TRACE_', '') : value;
};

const levelOut = (rule: LogLevelRule | null): object => {
  if (!rule) return {};
  return { [rule.kind === 'range' ? 'loglevel' : 'loglevel-only']: levelText(rule.level) };
};

const eventOut = ({ pattern, enabled, logLevel, exclusions, filter }: EventRule): object => ({
  name: pattern,
  ...(enabled ? {} : { enabled }),
  ...levelOut(logLevel),
  ...(exclusions.length === 0 ? {} : { exclude: exclusions }),
  ...(filter === null ? {} : { filter }),
});

const channelOut = ({ name, enabled, attributes, contexts, rules }: SavedChannel): object => {
  const told = Object.entries(KEYS).flatMap(([attribute, key]) => {
    const value = attributes[attribute as keyof SavedAttributes];
    return value === undefined ? [] : [[key, shown(attribute as keyof SavedAttributes, value)] as const];
  });
  return {
    name,
    ...(enabled ? {} : { enabled }),
    ...Object.fromEntries(told),
    ...(contexts.length === 0 ? {} : { contexts }),
    events: rules.map(eventOut),
  };
};

const outputOut = (output: SavedDestination): object => {
  if (output.kind === 'default') return {};
  if (output.kind === 'none') return { 'no-output': true };
  if (output.kind === 'local') return { output: output.path };
  if (output.kind === 'network')
    return {
      output: output.url,
      ...(output.liveTimerUs === null ? {} : { live: timeText(output.liveTimerUs) }),
      ...(output.compress ? { compress: true } : {}),
      ...(output.spoolLimit === null ? {} : { 'spool-size': sizeText(output.spoolLimit) }),
    };
  const outputs = output.outputs.map(({ name, path, maxSize }) => ({
    name,
    path,
    ...(maxSize === 0 ? {} : { 'max-size': sizeText(maxSize) }),
  }));
  return { snapshot: { outputs } };
};

const sessionOut = (session: SavedSession): object => {
  const { timerUs, sizeBytes } = session.schedules;
  const rotation = {
    ...(timerUs === null ? {} : { timer: timeText(timerUs) }),
    ...(sizeBytes === null ? {} : { size: sizeText(sizeBytes) }),
  };
  const track = Object.fromEntries(
    TRACKED.flatMap((one) => (session.trackers[one] === 'all' ? [] : [[one, session.trackers[one]]])),
  );
  return {
    name: session.name,
    started: session.started,
    ...outputOut(session.output),
    ...(session.shmPath === null ? {} : { 'shm-path': session.shmPath }),
    ...(session.ownership === 'user' ? {} : { 'buffer-ownership': session.ownership }),
    ...(Object.keys(rotation).length === 0 ? {} : { rotation }),
    ...(Object.keys(track).length === 0 ? {} : { track }),
    channels: session.channels.map(channelOut),
    ...(session.maps.length === 0 ? {} : { 'map-channels': session.maps.map(mapOut) }),
  };
};

export const writeYaml = ({ sessions, triggers }: SavedFile): string =>
  stringify(
    {
      weft: FORMAT,
      sessions: sessions.map(sessionOut),
      ...(triggers.length === 0 ? {} : { triggers: triggers.map(triggerOut) }),
    },
    // A block loses what a text of blanks and line ends is made of.
    { aliasDuplicateObjects: false, lineWidth: 0, blockQuote: false },
  );

// ---- reading

const levelIn = (one: z.output<typeof event>): LogLevelRule | null => {
  if (one.loglevel !== undefined) return { kind: 'range', level: one.loglevel };
  return one['loglevel-only'] === undefined ? null : { kind: 'single', level: one['loglevel-only'] };
};

const eventIn = (one: z.output<typeof event>): EventRule => ({
  pattern: one.name,
  logLevel: levelIn(one),
  exclusions: one.exclude,
  filter: one.filter ?? null,
  enabled: one.enabled,
});

/** What it makes of each part stands where that part stands. */
type Placed = <T extends object>(part: T, ...path: readonly (string | number)[]) => T;

const channelIn = (one: z.output<typeof channel>, at: readonly (string | number)[], placed: Placed): SavedChannel => {
  const told = Object.entries(KEYS).flatMap(([attribute, key]) => (one[key] === undefined ? [] : [[attribute, one[key]]]));
  const rules = one.events.map((rule, index) => placed(eventIn(rule), ...at, 'events', index));
  const attributes = Object.fromEntries(told) as SavedAttributes;
  return placed({ name: one.name, enabled: one.enabled, attributes, contexts: one.contexts, rules }, ...at);
};

const outputIn = (one: z.output<typeof session>, at: readonly (string | number)[], placed: Placed): SavedDestination => {
  if (one['no-output']) return { kind: 'none' };
  if (one.output !== undefined && isNetworkUrl(one.output)) {
    const { live = null, compress = false, 'spool-size': spoolLimit = null } = one;
    return { kind: 'network', url: one.output, liveTimerUs: live, compress, spoolLimit };
  }
  if (one.output !== undefined) return { kind: 'local', path: one.output };
  if (!one.snapshot) return { kind: 'default' };
  const outputs = one.snapshot.outputs.map(({ name, path, 'max-size': maxSize }, index) =>
    placed({ name, path, maxSize }, ...at, 'snapshot', 'outputs', index),
  );
  return { kind: 'snapshot', outputs };
};

const sessionIn = (one: z.output<typeof session>, index: number, placed: Placed): SavedSession => {
  const at = ['sessions', index];
  const read = {
    name: one.name,
    started: one.started,
    ownership: one['buffer-ownership'],
    channels: one.channels.map((part, number) => channelIn(part, [...at, 'channels', number], placed)),
    maps: one['map-channels'].map((part, number) => placed(mapIn(part), ...at, 'map-channels', number)),
    trackers: one.track as Record<(typeof TRACKED)[number], SavedTracker>,
    schedules: { timerUs: one.rotation.timer ?? null, sizeBytes: one.rotation.size ?? null },
    output: outputIn(one, at, placed),
    shmPath: one['shm-path'] ?? null,
  };
  return placed(read, ...at);
};

/** The line of a path, or of the nearest part above it that is there. */
const placeIn = (parsed: Document, lines: LineCounter, path: readonly (string | number)[]): Place => {
  for (let length = path.length; length > 0; length--) {
    const node = parsed.getIn(path.slice(0, length), true) as Node | undefined;
    if (node?.range) return { line: lines.linePos(node.range[0]).line, path: path.join('/') };
  }
  return { line: 1, path: path.join('/') };
};

/** The complaint that says most: of the branches of a union the one that came furthest. */
const issueOf = (error: z.ZodError): { path: (string | number)[]; message: string } => {
  let [issue] = error.issues;
  const path = [...(issue?.path ?? [])] as (string | number)[];
  while (issue?.code === 'invalid_union' && issue.errors.length > 0) {
    const branches = issue.errors.map(([first]) => first).filter((first) => first !== undefined);
    issue = branches.sort(
      (a, b) => b.path.length - a.path.length || Number(b.code === 'custom') - Number(a.code === 'custom'),
    )[0];
    path.push(...((issue?.path ?? []) as (string | number)[]));
  }
  if (issue?.code === 'unrecognized_keys') path.push(issue.keys[0] ?? '');
  const message = issue?.code === 'unrecognized_keys' ? `key \`${issue.keys[0]}\` is unknown here` : (issue?.message ?? '');
  return { path, message };
};

const parse = (source: string, lines: LineCounter): Document => {
  const parsed = parseDocument(source, { lineCounter: lines, uniqueKeys: true, version: '1.2', schema: 'core' });
  const [error] = parsed.errors;
  if (error)
    throw new FileFault(
      { line: error.linePos?.[0].line ?? 1, path: '' },
      error.message.split('\n')[0]!.replace(/ at line .*$/, ''),
    );
  visit(parsed, (_key, node) => {
    const place = (of: Node): Place => ({ line: lines.linePos(of.range?.[0] ?? 0).line, path: '' });
    if (isAlias(node)) throw new FileFault(place(node), 'an alias is not accepted: write what it stands for');
  });
  return parsed;
};

export const readYaml = (source: string): ReadFile => {
  const tooBig = sizeFault(source);
  if (tooBig) throw tooBig;
  const lines = new LineCounter();
  const parsed = parse(source, lines);
  const checked = document.safeParse(parsed.toJS({ maxAliasCount: 0 }));
  if (!checked.success) {
    const { path, message } = issueOf(checked.error);
    throw new FileFault(placeIn(parsed, lines, path), message);
  }
  const places = new WeakMap<object, Place>();
  const placed: Placed = (part, ...path) => {
    places.set(part, placeIn(parsed, lines, path));
    return part;
  };
  const sessions = checked.data.sessions.map((one, index) => sessionIn(one, index, placed));
  const triggers = checked.data.triggers.map((one, index) => placed(triggerIn(one), 'triggers', index));
  return { file: { sessions, triggers }, placeOf: (part) => places.get(part) ?? null };
};
