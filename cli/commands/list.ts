/** list and status: sessions, one session whole, or the instrumentation points of running applications. */
import type { EventRule } from '../../machines/document.ts';
import { logLevelName } from '../../rules/loglevel.ts';
import type { ApplicationView, ChannelView, SessionSummary, SessionView } from '../../transport/messages.ts';
import type { Command, Environment, Outcome } from '../command.ts';
import { type OptionSpec, UsageError } from '../options.ts';
import { CHANNEL, DOMAINS, HELP, NO_KERNEL, noMoreWords, refused } from './shared.ts';

const paint = (environment: Environment, colour: number, text: string): string =>
  environment.colour ? `\u001b[${colour}m${text}\u001b[0m` : text;
const GREEN = 32;
const RED = 31;

const activity = (environment: Environment, { active, snapshot }: SessionSummary): string => {
  const mode = snapshot ? ' snapshot' : '';
  return active ? paint(environment, GREEN, `[active${mode}]`) : `[inactive${mode}]`;
};

const outputLines = ({ output, snapshot }: SessionSummary): string[] => [
  ...(output === '' ? [] : [`    Trace output: ${output}`]),
  ...(snapshot?.outputs ?? []).map(({ name, path }) => `    Snapshot output: ${name}: ${path}`),
];

const listSessions = (environment: Environment, sessions: readonly SessionSummary[]): Outcome => {
  const mi = async () => (await import('../mi/sessions.ts')).sessionList(sessions);
  if (sessions.length === 0) return { lines: ['Currently no available recording session'], json: { sessions }, mi };
  const rows = sessions.flatMap((session, at) => [
    `  ${at + 1}) ${session.name} ${activity(environment, session)}`,
    ...outputLines(session),
    '',
  ]);
  return {
    lines: ['Available recording sessions:', ...rows, 'Use weft list <session_name> for more details'],
    json: { sessions },
    mi,
  };
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
] as const;

const lossLines = (environment: Environment, { lost, overwritten }: ChannelView['stats']): string[] => {
  const counts = LOSSES.map(([key, text]) => [text, BigInt(lost[key])] as const);
  const total = counts.reduce((sum, [, count]) => sum + count, BigInt(overwritten));
  const why = [...counts, ['overwritten', BigInt(overwritten)] as const].filter(([, count]) => count > 0n);
  const line = `      Discarded events: ${total}`;
  return [total > 0n ? paint(environment, RED, line) : line, ...why.map(([text, count]) => `        ${text}: ${count}`)];
};

const timer = (us: number): string => (us === 0 ? 'inactive' : `${us} us`);

const reclaim = ({ reclaim: { policy, ageUs } }: ChannelView['attributes']): string =>
  policy === 'older-than' ? `older than ${ageUs} us` : policy;

const traceFiles = ({ tracefileSize, tracefileCount }: ChannelView['attributes']): string =>
  tracefileCount > 0 ? String(tracefileCount) : tracefileSize > 0 ? 'unlimited' : '1';

const channelLines = (environment: Environment, channel: ChannelView): string[] => {
  const { attributes, stats } = channel;
  return [
    `- ${channel.name}: [${channel.enabled ? paint(environment, GREEN, 'enabled') : 'disabled'}]`,
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
    ...lossLines(environment, stats),
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

const showSession = (environment: Environment, session: SessionView): Outcome => {
  const ownership = session.channels[0]?.attributes.ownership === 'process' ? 'per-process' : 'per-user';
  const domain =
    session.channels.length === 0
      ? []
      : [
          '=== Domain: User space ===',
          '',
          `Buffering scheme: ${ownership}`,
          '',
          ...trackerLines(session),
          'Channels:',
          '-------------',
          ...session.channels.flatMap((channel) => channelLines(environment, channel)),
        ];
  const head = [
    `Recording session ${session.name}: ${activity(environment, session)}`,
    ...outputLines(session),
    ...session.alarms.map(({ path, cause, lost }) =>
      paint(environment, RED, `    Alarm: writing to ${path} failed: ${cause}; recording pauses, ${lost} events lost so far`),
    ),
    ...scheduleLines(session),
    ...(session.state === 'active' || session.state === 'inactive' ? [] : [`    State: ${session.state}`]),
    '',
  ];
  return {
    lines: [...head, ...domain],
    json: { session },
    mi: async () => (await import('../mi/sessions.ts')).sessionShown(session, false),
  };
};

const listPoints = (applications: readonly ApplicationView[], fields: boolean): Outcome => {
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
  const lines = ['UST events:', '-------------', '', ...(rows.length > 0 ? rows : ['None'])];
  return {
    lines,
    json: { applications },
    mi: async () => (await import('../mi/channels.ts')).pointsListed(applications, fields),
  };
};

const fieldKind = (kind: string): string => (kind === 'array' || kind === 'sequence' ? 'unknown' : kind);

const show = async (environment: Environment, session: string): Promise<Outcome> => {
  const channel = environment.options.get('channel');
  const answer = await environment.request('session.show', { session, ...(channel === undefined ? {} : { channel }) });
  if (environment.options.has('domain')) {
    const domains = answer.session.channels.length > 0 ? ['ust'] : [];
    return {
      lines: ['Domains:', '-------------', ...(domains.length > 0 ? [' - UST global'] : [' None'])],
      json: { domains },
      mi: async () => (await import('../mi/sessions.ts')).sessionShown(answer.session, true),
    };
  }
  return showSession(environment, answer.session);
};

const STYLE: readonly OptionSpec[] = [
  refused('mem-usage', 'Memory usage', 'the answer of the daemon does not hold it yet', { value: 'FORM', optional: true }),
  refused('style', 'Output style', 'there is one style of output only', { value: 'STYLE' }),
  { long: 'no-truncate', help: 'Do not cut lines at the width of the terminal: they never are' },
];

export const list: Command = {
  name: 'list',
  summary: 'List sessions, what a session holds, or instrumentation points',
  usage: 'list [SESSION [--channel=CHANNEL] [--domain]] | list --userspace [--fields]',
  options: [
    ...HELP,
    ...DOMAINS,
    CHANNEL,
    { long: 'fields', short: 'f', help: 'With --userspace: the fields of each point' },
    { long: 'domain', short: 'd', help: 'The domains of SESSION' },
    refused('syscall', 'System calls', NO_KERNEL, { short: 'S' }),
    ...STYLE,
    refused('map-channel', 'One map channel', 'there are no maps; --channel selects a channel', { value: 'CHANNEL' }),
  ],
  async run(environment) {
    noMoreWords(environment, 1);
    const [session] = environment.options.words;
    if (session !== undefined) return show(environment, session);
    if (environment.options.has('userspace')) {
      const fields = environment.options.has('fields');
      const { applications } = await environment.request('point.list', { fields });
      return listPoints(applications, fields);
    }
    const { sessions } = await environment.request('session.list', {});
    return listSessions(environment, sessions);
  },
};

export const status: Command = {
  name: 'status',
  summary: 'Show the current session',
  usage: 'status',
  options: [...HELP, ...STYLE],
  run(environment) {
    if (environment.options.words.length > 0) throw new UsageError('This command does not accept positional arguments.');
    return show(environment, environment.currentSession());
  },
};
