/** `list --style`: sessions, domains, channels and rules as a tree. */
import type { EventRule } from '../machines/document.ts';
import { logLevelName } from '../rules/loglevel.ts';
import type { MapChannelView } from '../transport/map-messages.ts';
import type { ChannelView, SessionSummary, SessionView } from '../transport/messages.ts';
import { type MemoryForm, memoryLines } from './list-memory.ts';
import { linkLines } from './network.ts';
import { cutTo, paint, type Style, signsOf } from './style.ts';

export type TreeForm = 'breathe' | 'compact';

interface Node {
  readonly sign: string;
  readonly text: string;
  readonly properties: readonly string[];
  readonly children: readonly Node[];
}

interface Look extends Style {
  readonly form: TreeForm;
  readonly memory: MemoryForm;
  readonly current: string | null;
}

const nodeLines = (look: Look, { sign, text, properties, children }: Node, depth: number): string[] => {
  const margin = '  '.repeat(depth);
  const { property } = signsOf(look);
  // What belongs to the property above stands further in.
  const told = properties.map((one) => (one.startsWith(' ') ? `${margin}    ${one}` : `${margin}  ${property} ${one}`));
  const between = look.form === 'breathe' ? [''] : [];
  return [
    `${margin}${sign === '' ? '' : `${sign} `}${text}`,
    ...told,
    ...children.flatMap((child) => [...between, ...nodeLines(look, child, depth + 1)]),
  ];
};

const state = (look: Look, on: boolean, kind: 'active' | 'enabled'): string => {
  const signs = signsOf(look);
  const sign = kind === 'active' ? (on ? signs.active : signs.inactive) : on ? signs.enabled : signs.disabled;
  return paint(look, on ? 'green' : 'red', sign);
};

const size = (bytes: number): string => {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let [value, at] = [bytes, 0];
  for (; value >= 1024 && value % 1024 === 0 && at < units.length - 1; at++) value /= 1024;
  return `${value} ${units[at]}`;
};

const time = (us: number): string => (us === 0 ? 'inactive' : `${us} us`);

const ruleNode = (look: Look, rule: EventRule): Node => {
  const { logLevel } = rule;
  const level = logLevel ? `${logLevel.kind === 'single' ? 'exactly' : 'at least'} ${logLevelName(logLevel.level)}` : null;
  return {
    sign: state(look, rule.enabled, 'enabled'),
    text: `Event rule \`${paint(look, 'cyan', rule.pattern)}\``,
    properties: [
      'Type: user tracepoint',
      ...(level === null ? [] : [`Log level: ${level}`]),
      ...(rule.exclusions.length === 0 ? [] : [`Excluded: ${rule.exclusions.join(', ')}`]),
      ...(rule.filter === null ? [] : [`Filter: ${rule.filter}`]),
    ],
    children: [],
  };
};

const reclaim = ({ reclaim: { policy, ageUs } }: ChannelView['attributes']): string =>
  policy === 'older-than' ? `older than ${ageUs} us` : policy;

const lossOf = ({ lost, overwritten }: ChannelView['stats']): bigint =>
  Object.values(lost).reduce((sum, one) => sum + BigInt(one), BigInt(overwritten));

const channelProperties = (look: Look, channel: ChannelView): string[] => {
  const { attributes, stats } = channel;
  const per = attributes.allocation === 'per-cpu' ? 'per CPU, ' : '';
  const owner = attributes.ownership === 'user' ? 'per Unix user' : 'per process';
  const { tracefileSize, tracefileCount, blockingTimeoutUs } = attributes;
  return [
    `Loss mode: ${attributes.mode === 'discard' ? 'Discard newest event record' : 'Overwrite oldest sub-buffer'}`,
    `Ring buffer configuration: ${attributes.subbufCount} sub-buffers of ${size(attributes.subbufSize)} ${per}${owner}`,
    `Max. trace file size: ${tracefileSize === 0 ? 'unlimited' : size(tracefileSize)}`,
    `Max. trace file count: ${tracefileCount === 0 ? 'unlimited' : tracefileCount}`,
    `Preallocation policy: ${attributes.preallocation}`,
    `Output type: ${attributes.output}`,
    `Blocking timeout: ${blockingTimeoutUs < 0 ? 'infinite' : `${blockingTimeoutUs} us`}`,
    `Auto. memory reclaim policy: ${reclaim(attributes)}`,
    `Switch timer period: ${time(attributes.switchTimerUs)}`,
    `Read timer period: ${time(attributes.readTimerUs)}`,
    `Monitor timer period: ${time(attributes.monitorTimerUs)}`,
    `Watchdog timer period: ${time(attributes.watchdogTimerUs)}`,
    ...(channel.contexts.length === 0 ? [] : [`Context fields: ${channel.contexts.join(', ')}`]),
    `Recorded event records: ${stats.events}`,
    `Discarded event records: ${lossOf(stats)}`,
    ...memoryLines(channel, look.memory).map((line) => line.replace(/: +/, ': ')),
  ];
};

const channelNode = (look: Look, channel: ChannelView): Node => ({
  sign: state(look, channel.enabled, 'enabled'),
  text: `Event record channel \`${paint(look, 'cyan', channel.name)}\``,
  properties: channelProperties(look, channel),
  children: channel.rules.map((rule) => ruleNode(look, rule)),
});

const mapNode = (look: Look, map: MapChannelView): Node => ({
  sign: state(look, true, 'enabled'),
  text: `Map channel \`${paint(look, 'cyan', map.name)}\``,
  properties: [
    'Key type: string',
    `Value type: signed-int-${map.bits}`,
    `Max. key count: ${map.maxKeys}`,
    `Update policy: ${map.updatePolicy}`,
    `Buffer configuration: per CPU, ${map.ownership === 'user' ? 'per Unix user' : 'per process'}`,
    ...(map.deadProcesses === null ? [] : [`Dead process policy: ${map.deadProcesses}`]),
    `Keys: ${map.keyCount}`,
  ],
  children: [],
});

const allowed = (what: string, tracker: SessionView['trackers']['vpid']): string => {
  if (tracker === 'all') return `${what}: Allow all`;
  if (tracker.length === 0) return `${what}: Allow none`;
  return `${what}: Allow only ${tracker.map(({ id, name }) => name ?? String(id)).join(', ')}`;
};

const domainNode = (look: Look, { trackers, channels, mapChannels }: SessionView): Node => ({
  sign: '',
  text: 'Domain User space',
  properties: [
    allowed('Virtual process IDs', trackers.vpid),
    allowed('Virtual user IDs', trackers.vuid),
    allowed('Virtual group IDs', trackers.vgid),
  ],
  children: [...channels.map((channel) => channelNode(look, channel)), ...mapChannels.map((map) => mapNode(look, map))],
});

const summaryNode = (look: Look, session: SessionSummary, more: readonly string[], children: readonly Node[]): Node => {
  const name = session.name === look.current ? paint(look, 'underlined', session.name) : session.name;
  return {
    sign: state(look, session.active, 'active'),
    text: `${session.snapshot ? 'Snapshot recording' : 'Recording'} session \`${name}\``,
    properties: [
      'Trace format: CTF 1.8',
      ...(session.output === '' ? [] : [`Output: ${session.output}`]),
      ...(session.destination === null ? [] : [`Output: ${session.destination}`]),
      ...(session.snapshot?.outputs ?? []).map(({ name: output, path }) => `Snapshot output ${output}: ${path}`),
      ...more,
    ],
    children,
  };
};

const sessionProperties = (look: Look, { schedules, alarms, rotation, state: life }: SessionView): string[] => [
  ...(schedules.timerUs === null ? [] : [`Auto. rotation schedule: every ${schedules.timerUs} us`]),
  ...(schedules.sizeBytes === null ? [] : [`Auto. rotation schedule: every ${schedules.sizeBytes} bytes`]),
  ...(rotation.lastArchive === null ? [] : [`Last archive: ${rotation.lastArchive}`]),
  ...alarms.map(({ path, cause }) => paint(look, 'red', `Alarm: writing to ${path} failed: ${cause}`)),
  ...(life === 'active' || life === 'inactive' ? [] : [`State: ${life}`]),
];

const finished = (look: Look, nodes: readonly Node[]): string[] =>
  nodes
    .flatMap((node, at) => [...(at > 0 && look.form === 'breathe' ? [''] : []), ...nodeLines(look, node, 0)])
    .map((line) => cutTo(look, line));

export const sessionsTree = (look: Look, sessions: readonly SessionSummary[]): string[] =>
  finished(
    look,
    sessions.map((session) => summaryNode(look, session, [], [])),
  );

export const sessionTree = (look: Look, session: SessionView): string[] => {
  const domains = session.channels.length === 0 && session.mapChannels.length === 0 ? [] : [domainNode(look, session)];
  return finished(look, [
    summaryNode(look, session, [...linkLines(session.link, session.active), ...sessionProperties(look, session)], domains),
  ]);
};
