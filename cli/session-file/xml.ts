/**
 * The XML format of saved sessions: LTTng's element names, with its defaults where elements are missing. What Weft does not have is
 * refused by its place in the file.
 */

import { dirname } from 'node:path';
import type { EventRule, LogLevelRule, Schedules } from '../../machines/document.ts';
import { destinationUrl, isNetworkUrl, pairOf, parseDestination, parsePair } from '../../transport/destination.ts';
import { type Element, parseElements, type Tree, writeElements } from './element.ts';
import {
  ALL_PROCESSES,
  FileFault,
  type Place,
  type ReadFile,
  type SavedAttributes,
  type SavedChannel,
  type SavedDestination,
  type SavedFile,
  type SavedOutput,
  type SavedSession,
  type SavedTracker,
  TRACKED,
} from './model.ts';
import { readContext, writeContext } from './xml-contexts.ts';
import { readMap, writeMap } from './xml-maps.ts';
import { pathOfUrl, readTrigger, writeTrigger } from './xml-triggers.ts';

const MICROS = 0xffff_ffff;

const OWNERSHIP = { PER_UID: 'user', PER_PID: 'process' } as const;
const MODES = { DISCARD: 'discard', OVERWRITE: 'overwrite' } as const;
const ALLOCATION = { PER_CPU: 'per-cpu', PER_CHANNEL: 'per-channel' } as const;
const PREALLOCATION = { PREALLOCATE: 'preallocate', ON_DEMAND: 'on-demand' } as const;

const nameFor = <T extends string>(names: Readonly<Record<string, T>>, value: T): string =>
  Object.entries(names).find(([, one]) => one === value)![0];

// ---- writing

const optional = (name: string, value: string | number | undefined): Tree | null =>
  value === undefined ? null : [name, value];

const writeReclaim = (reclaim: SavedAttributes['reclaim']): Tree | null => {
  if (!reclaim || reclaim.policy === 'off') return null;
  const policy: Tree = reclaim.policy === 'consumed' ? ['consumed', []] : ['periodic', [['age_threshold', reclaim.ageUs]]];
  return ['reclaim_policy', [policy]];
};

const writeEvent = (rule: EventRule): Tree => {
  const { logLevel } = rule;
  const kind = logLevel === null ? 'ALL' : logLevel.kind === 'range' ? 'RANGE' : 'SINGLE';
  const exclusions: Tree = ['exclusions', rule.exclusions.map((one): Tree => ['exclusion', one])];
  const parts: (Tree | null)[] = [
    ['name', rule.pattern],
    ['enabled', rule.enabled],
    ['type', 'TRACEPOINT'],
    ['loglevel_type', kind],
    logLevel && ['loglevel', logLevel.level],
    rule.filter === null ? null : ['filter', rule.filter],
    rule.exclusions.length === 0 ? null : exclusions,
  ];
  return ['event', parts];
};

const writeChannel = ({ name, enabled, attributes: told, contexts, rules }: SavedChannel): Tree => {
  const parts: (Tree | null)[] = [
    ['name', name],
    ['enabled', enabled],
    told.mode === undefined ? null : ['overwrite_mode', nameFor(MODES, told.mode)],
    optional('subbuffer_size', told.subbufSize),
    optional('subbuffer_count', told.subbufCount),
    optional('switch_timer_interval', told.switchTimerUs),
    optional('read_timer_interval', told.readTimerUs),
    ['output_type', 'MMAP'],
    optional('blocking_timeout', told.blockingTimeoutUs),
    optional('monitor_timer_interval', told.monitorTimerUs),
    optional('watchdog_timer_interval', told.watchdogTimerUs),
    // Older programs do not know these: files that need none of them load there too.
    told.allocation === 'per-channel' ? ['allocation_policy', 'PER_CHANNEL'] : null,
    told.preallocation === 'on-demand' ? ['preallocation_policy', 'ON_DEMAND'] : null,
    writeReclaim(told.reclaim),
    optional('tracefile_size', told.tracefileSize),
    optional('tracefile_count', told.tracefileCount),
    ['live_timer_interval', 0],
    ['events', rules.map(writeEvent)],
    ['contexts', contexts.map(writeContext)],
  ];
  return ['channel', parts];
};

const writeTrackers = (trackers: SavedSession['trackers']): Tree => {
  const told = TRACKED.flatMap((attribute): Tree[] => {
    const tracker = trackers[attribute];
    if (tracker === 'all') return [];
    const values = tracker.map((one): Tree => [attribute, [typeof one === 'number' ? ['id', one] : ['name', one]]]);
    return [[`${attribute}_process_attr_tracker`, [['process_attr_values', values]]]];
  });
  return ['process_attr_trackers', told];
};

/** Both URLs are the same, but for those of a relay that is known by two ports. */
const writeUrls = (url: string): Tree => {
  const parsed = parseDestination(url);
  const pair = parsed.ok && parsed.destination.kind === 'lttng' ? pairOf(parsed.destination) : [url, url];
  return [
    'net_output',
    [
      ['control_uri', pair[0]!],
      ['data_uri', pair[1]!],
    ],
  ];
};

const writeDestination = (place: string | null): Tree => {
  const where: Tree = place !== null && isNetworkUrl(place) ? writeUrls(place) : ['path', place ?? ''];
  return [
    'consumer_output',
    [
      ['enabled', place !== null],
      ['destination', [where]],
    ],
  ];
};

/** Null: it has none. */
const placeOf = (output: Exclude<SavedDestination, { kind: 'snapshot' | 'default' }>): string | null => {
  if (output.kind === 'none') return null;
  return output.kind === 'network' ? output.url : output.path;
};

const writeOutput = (output: SavedDestination): Tree | null => {
  if (output.kind === 'default') return null;
  if (output.kind !== 'snapshot') return ['output', [writeDestination(placeOf(output))]];
  const outputs = output.outputs.map(({ name, path, maxSize }): Tree => {
    const parts: Tree[] = [['name', name], ['max_size', maxSize], writeDestination(path)];
    return ['output', parts];
  });
  return ['output', [['snapshot_outputs', outputs]]];
};

const writeSchedules = ({ timerUs, sizeBytes }: Schedules): Tree | null => {
  if (timerUs === null && sizeBytes === null) return null;
  return [
    'rotation_schedules',
    [
      timerUs === null ? null : ['periodic', [['time_us', timerUs]]],
      sizeBytes === null ? null : ['size_threshold', [['bytes', sizeBytes]]],
    ],
  ];
};

const writeSession = (session: SavedSession): Tree => {
  const domain: (Tree | null)[] = [
    ['type', 'UST'],
    ['buffer_type', nameFor(OWNERSHIP, session.ownership)],
    ['channels', session.channels.map(writeChannel)],
    // Programs of before 2.16 do not know it.
    session.maps.length === 0 ? null : ['map_channels', session.maps.map(writeMap)],
    writeTrackers(session.trackers),
  ];
  const snapshot: Tree | null = session.output.kind === 'snapshot' ? ['snapshot_mode', true] : null;
  const { output } = session;
  const live: Tree | null =
    output.kind === 'network' && output.liveTimerUs !== null ? ['live_timer_interval', output.liveTimerUs] : null;
  const attributes: (Tree | null)[] = [snapshot, live, writeSchedules(session.schedules)];
  const parts: (Tree | null)[] = [
    ['name', session.name],
    session.shmPath === null ? null : ['shared_memory_path', session.shmPath],
    ['domains', [['domain', domain]]],
    ['started', session.started],
    attributes.some((one) => one !== null) ? ['attributes', attributes] : null,
    writeOutput(session.output),
  ];
  return ['session', parts];
};

export const writeXml = ({ sessions, triggers }: SavedFile): string => {
  const written: Tree | null = triggers.length === 0 ? null : ['triggers', triggers.map(writeTrigger)];
  return writeElements(['sessions', [...sessions.map(writeSession), written]]);
};

// ---- reading

type Places = WeakMap<object, Place>;

const readReclaim = (policy: Element): NonNullable<SavedAttributes['reclaim']> => {
  const choice = policy.choice('periodic', 'consumed');
  if (choice.name === 'consumed') return { policy: 'consumed', ageUs: 0 };
  const age = choice.need(choice.fields('age_threshold'), 'age_threshold');
  return { policy: 'older-than', ageUs: age.integer() };
};

const ATTRIBUTE_NAMES = [
  ...['overwrite_mode', 'subbuffer_size', 'subbuffer_count', 'switch_timer_interval', 'read_timer_interval'],
  ...['blocking_timeout', 'output_type', 'tracefile_size', 'tracefile_count', 'live_timer_interval'],
  ...['monitor_timer_interval', 'watchdog_timer_interval', 'allocation_policy', 'preallocation_policy', 'reclaim_policy'],
];

const readAttributes = (fields: Readonly<Record<string, Element | undefined>>): SavedAttributes => {
  // What the session says counts.
  fields.live_timer_interval?.integer(0, MICROS);
  // Splicing is the kernel's; user space has one output type.
  fields.output_type?.oneOf({ MMAP: 'mmap' });
  const read: Record<string, unknown> = {
    mode: fields.overwrite_mode?.oneOf(MODES) ?? 'discard',
    subbufSize: fields.subbuffer_size?.integer(),
    subbufCount: fields.subbuffer_count?.integer(0, 0x7fff_ffff),
    switchTimerUs: fields.switch_timer_interval?.integer(0, MICROS),
    readTimerUs: fields.read_timer_interval?.integer(0, MICROS),
    monitorTimerUs: fields.monitor_timer_interval?.integer(0, MICROS),
    watchdogTimerUs: fields.watchdog_timer_interval?.integer(0, MICROS),
    blockingTimeoutUs: fields.blocking_timeout?.integer(-1),
    allocation: fields.allocation_policy?.oneOf(ALLOCATION) ?? 'per-cpu',
    preallocation: fields.preallocation_policy?.oneOf(PREALLOCATION) ?? 'preallocate',
    reclaim: fields.reclaim_policy ? readReclaim(fields.reclaim_policy) : { policy: 'off', ageUs: 0 },
    tracefileSize: fields.tracefile_size?.integer(),
    tracefileCount: fields.tracefile_count?.integer(0, 0xffff_ffff),
  };
  return Object.fromEntries(Object.entries(read).filter(([, value]) => value !== undefined)) as SavedAttributes;
};

const readLevel = (kind: Element | undefined, level: Element | undefined): LogLevelRule | null => {
  const type = kind?.oneOf({ ALL: null, RANGE: 'range', SINGLE: 'single' } as const) ?? null;
  return type === null ? null : { kind: type, level: level?.integer(-1, 0x7fff_ffff) ?? -1 };
};

const readEvent = (event: Element, places: Places): EventRule => {
  const fields = event.fields(
    ...['name', 'enabled', 'type', 'loglevel_type', 'loglevel', 'filter', 'exclusions', 'attributes'],
  );
  const type = fields.type?.word() ?? 'TRACEPOINT';
  if (type !== 'TRACEPOINT' && type !== 'ALL') throw fields.type!.unsupported(`event rules of type ${type} are the kernel's`);
  if (fields.attributes) throw fields.attributes.unsupported('probes are not there');
  const rule = {
    pattern: fields.name?.string() ?? '*',
    logLevel: readLevel(fields.loglevel_type, fields.loglevel),
    exclusions: (fields.exclusions?.list('exclusion') ?? []).map((one) => one.string()),
    filter: fields.filter?.string() ?? null,
    enabled: fields.enabled?.boolean() ?? true,
  };
  places.set(rule, event.place);
  return rule;
};

const readChannel = (channel: Element, places: Places): SavedChannel => {
  const fields = channel.fields('name', 'enabled', 'events', 'contexts', ...ATTRIBUTE_NAMES);
  const read = {
    name: channel.need(fields, 'name').string(),
    enabled: fields.enabled?.boolean() ?? true,
    attributes: readAttributes(fields),
    contexts: (fields.contexts?.list('context') ?? []).map(readContext),
    rules: (fields.events?.list('event') ?? []).map((event) => readEvent(event, places)),
  };
  places.set(read, channel.place);
  return read;
};

/** Programs have no ids but those that they see themselves; the format also has names for the kernel's. */
const TRACKER_NAMES = { pid: 'vpid', vpid: 'vpid', uid: 'vuid', vuid: 'vuid', gid: 'vgid', vgid: 'vgid' } as const;
const trackerElement = (name: string): string => `${name}_process_attr_tracker`;

const readValues = (tracker: Element, value: string): SavedTracker => {
  const fields = tracker.fields('process_attr_values');
  const values = tracker.need(fields, 'process_attr_values').list(value);
  return values.map((one) => {
    const choice = one.choice('id', ...(value.endsWith('pid') ? [] : ['name']));
    return choice.name === 'id' ? choice.integer(0, 0xffff_ffff) : choice.string();
  });
};

const readTrackers = (list: Element): Partial<Record<keyof SavedSession['trackers'], SavedTracker>> => {
  const read: Partial<Record<keyof SavedSession['trackers'], SavedTracker>> = {};
  for (const tracker of list.list(...Object.keys(TRACKER_NAMES).map(trackerElement))) {
    const name = tracker.name.slice(0, -trackerElement('').length) as keyof typeof TRACKER_NAMES;
    const attribute = TRACKER_NAMES[name];
    if (read[attribute]) throw tracker.fault(`there are two trackers of ${attribute}`);
    read[attribute] = readValues(tracker, name);
  }
  return read;
};

/** As files of before 2.12 have it. */
const readOldTracker = (trackers: Element): SavedTracker => {
  const [tracker, second] = trackers.list('pid_tracker');
  if (!tracker) return 'all';
  if (second) throw second.fault('there are two trackers');
  const targets = tracker.need(tracker.fields('targets'), 'targets').list('pid_target');
  return targets.map((target) => target.need(target.fields('pid'), 'pid').integer(0, 0xffff_ffff));
};

const readDomain = (fields: ReturnType<Element['fields']>, domain: Element, places: Places) => {
  const ownership = domain.need(fields, 'buffer_type').oneOf(OWNERSHIP);
  const channels = (fields.channels?.list('channel') ?? []).map((channel) => readChannel(channel, places));
  const maps = (fields.map_channels?.list('map_channel') ?? []).map((element) => {
    const map = readMap(element);
    places.set(map, element.place);
    return map;
  });
  const old = fields.trackers ? { vpid: readOldTracker(fields.trackers) } : {};
  const trackers = fields.process_attr_trackers ? readTrackers(fields.process_attr_trackers) : {};
  return { ownership, channels, maps, trackers: { ...ALL_PROCESSES, ...old, ...trackers } };
};

const NO_DOMAIN = { ownership: 'user', channels: [], maps: [], trackers: ALL_PROCESSES } as const;

/** Other domains may be named, as long as nothing is in them. */
const readDomains = (domains: Element | undefined, places: Places): Pick<SavedSession, keyof typeof NO_DOMAIN> => {
  const used = (domains?.list('domain') ?? []).flatMap((domain) => {
    const fields = domain.fields('type', 'buffer_type', 'channels', 'map_channels', 'process_attr_trackers', 'trackers');
    const type = domain.need(fields, 'type').word();
    if (type === 'UST') return [{ fields, domain }];
    const [inside] = ['channels', 'map_channels', 'process_attr_trackers', 'trackers'].flatMap(
      (name) => fields[name]?.children ?? [],
    );
    if (inside) throw inside.unsupported(`there is no ${type} domain`);
    return [];
  });
  const [first, second] = used;
  if (second) throw second.domain.fault('there are two UST domains');
  return first ? readDomain(first.fields, first.domain, places) : NO_DOMAIN;
};

const readSchedules = (list: Element | undefined): Schedules => {
  const read: { -readonly [K in keyof Schedules]: Schedules[K] } = { timerUs: null, sizeBytes: null };
  for (const schedule of list?.list('periodic', 'size_threshold') ?? []) {
    const [key, name] = schedule.name === 'periodic' ? (['timerUs', 'time_us'] as const) : (['sizeBytes', 'bytes'] as const);
    if (read[key] !== null) throw schedule.fault('a session has one schedule of each kind');
    read[key] = schedule.need(schedule.fields(name), name).integer(1);
  }
  return read;
};

const readUrls = (output: Element): string => {
  const fields = output.fields('control_uri', 'data_uri');
  const [control, data] = [output.need(fields, 'control_uri').string(), output.need(fields, 'data_uri').string()];
  const parsed = control === data ? parseDestination(control) : parsePair(control, data);
  if (!parsed.ok) throw output.fault(parsed.cause);
  return destinationUrl(parsed.destination);
};

/** Null: it is turned off. */
const readDestination = (output: Element): string | null => {
  const fields = output.fields('enabled', 'destination');
  const destination = output.need(fields, 'destination').choice('path', 'net_output');
  if (fields.enabled?.boolean() === false) return null;
  if (destination.name === 'net_output') return readUrls(destination);
  const path = pathOfUrl(destination);
  if (!path.startsWith('/')) throw destination.fault(`\`${path}\` is no absolute path`);
  return path;
};

const readSnapshotOutput = (output: Element, places: Places): SavedOutput => {
  const fields = output.fields('name', 'max_size', 'consumer_output');
  const path = readDestination(output.need(fields, 'consumer_output'));
  if (path === null) throw output.unsupported('a snapshot output that is turned off');
  const read = { name: output.need(fields, 'name').string(), maxSize: fields.max_size?.integer() ?? 0, path };
  places.set(read, output.place);
  return read;
};

const readOutput = (
  output: Element | undefined,
  { snapshot, liveTimerUs }: { readonly snapshot: boolean; readonly liveTimerUs: number | null },
  places: Places,
): SavedDestination => {
  if (!output) return snapshot ? { kind: 'snapshot', outputs: [] } : { kind: 'default' };
  const choice = output.choice('snapshot_outputs', 'consumer_output');
  if (choice.name === 'snapshot_outputs') {
    const outputs = choice.list('output').map((one) => readSnapshotOutput(one, places));
    if (snapshot) return { kind: 'snapshot', outputs };
    throw choice.fault('snapshot outputs need `attributes/snapshot_mode`');
  }
  const path = readDestination(choice);
  if (!snapshot && path !== null && isNetworkUrl(path))
    return { kind: 'network', url: path, liveTimerUs, compress: false, spoolLimit: null };
  if (!snapshot) return path === null ? { kind: 'none' } : { kind: 'local', path };
  throw choice.fault('a snapshot session has `snapshot_outputs`');
};

/** The directory that was asked for: a session gets one of its own in it, with its name and its birth. */
const readMemory = (element: Element | undefined, name: string): string | null => {
  const path = element?.string() ?? '';
  if (!element || path === '') return null;
  if (!path.startsWith('/')) throw element.fault(`\`${path}\` is no absolute path`);
  const own =
    path.startsWith(name, path.lastIndexOf('/') + 1) &&
    /^(-\d{8}-\d{6})$/.test(path.slice(path.lastIndexOf('/') + 1 + name.length));
  return own ? dirname(path) : path;
};

const readSession = (session: Element, places: Places): SavedSession => {
  const fields = session.fields(
    ...['name', 'shared_memory_path', 'trace_format', 'domains', 'started', 'attributes', 'output'],
  );
  const format = fields.trace_format;
  if (format && format.word() !== 'CTF_1_8') throw format.unsupported(`traces are CTF_1_8, not ${format.word()}`);
  const attributes = fields.attributes?.fields('snapshot_mode', 'live_timer_interval', 'rotation_schedules') ?? {};
  const live = attributes.live_timer_interval;
  const liveTimerUs = live?.integer(0, MICROS) || null;
  const snapshot = attributes.snapshot_mode?.boolean() ?? false;
  const output = readOutput(fields.output, { snapshot, liveTimerUs }, places);
  if (live && liveTimerUs !== null && output.kind !== 'network') throw live.unsupported('a live session needs a relay');
  const name = session.need(fields, 'name').string();
  const read = {
    name,
    started: fields.started?.boolean() ?? false,
    ...readDomains(fields.domains, places),
    schedules: readSchedules(attributes.rotation_schedules),
    output,
    shmPath: readMemory(fields.shared_memory_path, name),
  };
  places.set(read, session.place);
  return read;
};

export const readXml = (text: string): ReadFile => {
  const root = parseElements(text);
  if (root.name !== 'sessions') throw new FileFault(root.place, 'the outermost element must be `sessions`');
  const places: Places = new WeakMap();
  const parts = root.list('session', 'triggers');
  const triggers = parts
    .filter(({ name }) => name === 'triggers')
    .flatMap((list) => list.list('trigger'))
    .map((element) => {
      const trigger = readTrigger(element);
      places.set(trigger, element.place);
      return trigger;
    });
  const sessions = parts.filter(({ name }) => name === 'session').map((element) => readSession(element, places));
  return { file: { sessions, triggers }, placeOf: (part) => places.get(part) ?? null };
};
