/** The plain layout of list and status. */
import type { EventRule } from '../machines/document.ts';
import { logLevelName } from '../rules/loglevel.ts';
import type { ApplicationView, ChannelView, SessionSummary, SessionView } from '../transport/messages.ts';
import { type MemoryForm, memoryLines } from './list-memory.ts';
import { mapText } from './map-table.ts';
import { linkLines } from './network.ts';
import { paint } from './style.ts';

type Colours = { readonly colour: boolean };

const activity = (colours: Colours, { active, snapshot }: SessionSummary): string => {
  const mode = snapshot ? ' snapshot' : '';
  return active ? paint(colours, 'green', `[active${mode}]`) : `[inactive${mode}]`;
};

const outputLines = ({ output, snapshot, destination, liveTimerUs }: SessionSummary): string[] => [
  ...(destination === null ? [] : [`    Trace output: ${destination}`]),
  ...(liveTimerUs === null ? [] : [`    Live timer interval (us): ${liveTimerUs}`]),
  ...(output === '' ? [] : [`    Trace output: ${output}`]),
  ...(snapshot?.outputs ?? []).map(({ name, path }) => `    Snapshot output: ${name}: ${path}`),
];

export const sessionsText = (colours: Colours, sessions: readonly SessionSummary[]): string[] => {
  const rows = sessions.flatMap((session, at) => [
    `  ${at + 1}) ${session.name} ${activity(colours, session)}`,
    ...outputLines(session),
    '',
  ]);
  return ['Available recording sessions:', ...rows, 'Use weft list <session_name> for more details'];
};

const ruleLine = (rule: EventRule): string => {
  const level = rule.logLevel
    ? ` (loglevel ${rule.logLevel.kind === 'single' ? '==' : '<='} ${logLevelName(rule.logLevel.level)} (${rule.logLevel.level}))`
    : '';
  const exclusions = rule.exclusions.length > 0 ? ` [exclusions: ${rule.exclusions.join(', ')}]` : '';
  const filter = rule.filter === null ? '' : ` [filter: '${rule.filter}']`;
  return `      ${rule.pattern}${level} (type: tracepoint) [${rule.enabled ? 'enabled' : 'disabled'}]${exclusions}${filter}`;
};

const LOSSES = [
  ['full', 'buffer full'],
  ['tooBig', 'larger than a sub-buffer'],
  ['restarts', 'restarted too often'],
  ['nested', 'nested in a signal handler'],
  ['contended', 'lock contended'],
  ['noMemory', 'no memory'],
  ['frozen', 'frozen for a snapshot'],
] as const;

const lossLines = (colours: Colours, { lost, overwritten }: ChannelView['stats']): string[] => {
  const counts = LOSSES.map(([key, text]) => [text, BigInt(lost[key])] as const);
  const total = counts.reduce((sum, [, count]) => sum + count, BigInt(overwritten));
  const why = [...counts, ['overwritten', BigInt(overwritten)] as const].filter(([, count]) => count > 0n);
  const line = `      Discarded events: ${total}`;
  return [total > 0n ? paint(colours, 'red', line) : line, ...why.map(([text, count]) => `        ${text}: ${count}`)];
};

const timer = (us: number): string => (us === 0 ? 'inactive' : `${us} us`);

const reclaim = ({ reclaim: { policy, ageUs } }: ChannelView['attributes']): string =>
  policy === 'older-than' ? `older than ${ageUs} us` : policy;

const traceFiles = ({ tracefileSize, tracefileCount }: ChannelView['attributes']): string =>
  tracefileCount > 0 ? String(tracefileCount) : tracefileSize > 0 ? 'unlimited' : '1';

const channelLines = (colours: Colours, channel: ChannelView, memory: MemoryForm | undefined): string[] => {
  const { attributes, stats } = channel;
  return [
    `- ${channel.name}: [${channel.enabled ? paint(colours, 'green', 'enabled') : 'disabled'}]`,
    '',
    '    Attributes:',
    `      Event-loss mode:  ${attributes.mode}`,
    `      Sub-buffer size:  ${attributes.subbufSize} bytes`,
    `      Sub-buffer count: ${attributes.subbufCount}`,
    `      Switch timer:     ${timer(attributes.switchTimerUs)}`,
    `      Read timer:       ${timer(attributes.readTimerUs)}`,
    `      Monitor timer:    ${timer(attributes.monitorTimerUs)}`,
    `      Watchdog timer:   ${timer(attributes.watchdogTimerUs)}`,
    `      Blocking timeout: ${attributes.blockingTimeoutUs < 0 ? 'infinite' : `${attributes.blockingTimeoutUs} us`}`,
    `      Allocation:       ${attributes.allocation}`,
    `      Preallocation:    ${attributes.preallocation}`,
    `      Memory reclaim:   ${reclaim(attributes)}`,
    `      Trace file count: ${traceFiles(attributes)} per stream`,
    `      Trace file size:  ${attributes.tracefileSize === 0 ? 'unlimited' : `${attributes.tracefileSize} bytes`}`,
    `      Output mode:      ${attributes.output}`,
    '',
    '    Statistics:',
    `      Recorded events:  ${stats.events}`,
    ...lossLines(colours, stats),
    ...(memory === undefined ? [] : memoryLines(channel, memory).map((line) => `      ${line}`)),
    '',
    ...(channel.contexts.length > 0 ? [`    Context fields: ${channel.contexts.join(', ')}`, ''] : []),
    '    Recording event rules:',
    ...(channel.rules.length > 0 ? channel.rules.map(ruleLine) : ['      None']),
    '',
  ];
};

const scheduleLines = ({ schedules: { timerUs, sizeBytes }, rotation }: SessionView): string[] => [
  ...(timerUs === null && sizeBytes === null ? [] : ['    Automatic rotation schedules:']),
  ...(timerUs === null ? [] : [`        timer period: ${timerUs} us`]),
  ...(sizeBytes === null ? [] : [`        size threshold: ${sizeBytes} bytes`]),
  ...(rotation.ongoing ? ['    Rotation: ongoing'] : []),
  ...(rotation.lastArchive === null ? [] : [`    Last archive: ${rotation.lastArchive}`]),
];

const trackerText = (tracker: SessionView['trackers']['vpid']): string => {
  if (tracker === 'all') return 'all';
  return tracker.length === 0 ? 'none' : tracker.map(({ id, name }) => name ?? String(id)).join(', ');
};

const trackerLines = ({ trackers }: SessionView): string[] => [
  'Tracked process attributes',
  `  Virtual process IDs:  ${trackerText(trackers.vpid)}`,
  `  Virtual user IDs:     ${trackerText(trackers.vuid)}`,
  `  Virtual group IDs:    ${trackerText(trackers.vgid)}`,
  '',
];

/** Nothing below it: nothing of it. */
const headed = (title: string, lines: readonly string[]): readonly string[] =>
  lines.length === 0 ? [] : [title, '-------------', ...lines];

export const sessionText = (colours: Colours, session: SessionView, memory: MemoryForm | undefined): string[] => {
  const ownership = session.channels[0]?.attributes.ownership === 'process' ? 'per-process' : 'per-user';
  const domain =
    session.channels.length === 0 && session.mapChannels.length === 0
      ? []
      : [
          '=== Domain: User space ===',
          '',
          `Buffering scheme: ${ownership}`,
          '',
          ...trackerLines(session),
          ...headed(
            'Channels:',
            session.channels.flatMap((channel) => channelLines(colours, channel, memory)),
          ),
          ...headed('Map channels:', session.mapChannels.flatMap(mapText)),
        ];
  const head = [
    `Recording session ${session.name}: ${activity(colours, session)}`,
    ...outputLines(session),
    ...linkLines(session.link, session.active).map((line) => `    ${line}`),
    ...(session.shmPath === null ? [] : [`    Shared memory path: ${session.shmPath}`]),
    ...session.alarms.map(({ path, cause, lost }) =>
      paint(colours, 'red', `    Alarm: writing to ${path} failed: ${cause}; recording pauses, ${lost} events lost so far`),
    ),
    ...scheduleLines(session),
    ...(session.state === 'active' || session.state === 'inactive' ? [] : [`    State: ${session.state}`]),
    '',
  ];
  return [...head, ...domain];
};

export const pointsText = (applications: readonly ApplicationView[], fields: boolean): string[] => {
  const rows = applications.flatMap((application) => [
    `PID: ${application.pid} - Name: ${application.procname}`,
    ...application.points.flatMap((point) => [
      `      ${point.name} (loglevel: ${logLevelName(point.logLevel ?? 13)} (${point.logLevel ?? 13})) (type: tracepoint)`,
      ...(fields
        ? (point.fields ?? []).map(
            (field) => `        field: ${field.name} (${fieldKind(field.type.kind)})${field.nowrite ? ' [no write]' : ''}`,
          )
        : []),
    ]),
    '',
  ]);
  return ['UST events:', '-------------', '', ...(rows.length > 0 ? rows : ['None'])];
};

const fieldKind = (kind: string): string => (kind === 'array' || kind === 'sequence' ? 'unknown' : kind);
