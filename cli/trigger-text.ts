/** Triggers as `weft list-triggers` shows them. */
import type { RatePolicy, TriggerAction, TriggerCondition, TriggerRule } from '../machines/trigger-document.ts';
import { logLevelName } from '../rules/loglevel.ts';
import type { TriggerView } from '../transport/trigger-messages.ts';

const rateText = ({ kind, count }: RatePolicy): string => {
  if (kind === 'once-after') return `, rate policy: after every ${count} occurrence${count === 1 ? '' : 's'}, once`;
  return count === 1 ? '' : `, rate policy: every ${count} occurrences`;
};

const actionText = (action: TriggerAction): string => {
  if (action.kind === 'incr-map-value') {
    const { session, channel, key } = action;
    return `increment map value, session: \`${session}\`, channel: \`${channel}\` (type: user), key: \`${key}\``;
  }
  const rate = rateText(action.rate);
  switch (action.kind) {
    case 'notify':
      return `notify${rate}`;
    case 'snapshot-session': {
      const { output } = action;
      const place = output ? `, path: ${output.path}${output.name ? `, name: ${output.name}` : ''}` : '';
      const size = output && output.maxSize > 0 ? `, max size: ${output.maxSize}` : '';
      const fleet = action.fleet ? ` on all hosts, ${action.fleet.postMs} ms after the event` : '';
      return `snapshot session \`${action.session}\`${fleet}${place}${size}${rate}`;
    }
    default:
      return `${action.kind.replace('-', ' ')} \`${action.session}\`${rate}`;
  }
};

const ruleText = ({ pattern, logLevel, exclusions, filter }: TriggerRule): string => {
  const parts = [
    'type: user tracepoint',
    ...(filter === null ? [] : [`filter: ${filter}`]),
    ...(logLevel
      ? [`log level ${logLevel.kind === 'range' ? 'at least' : 'is'} ${logLevelName(logLevel.level).replace('TRACE_', '')}`]
      : []),
    ...(exclusions.length === 0 ? [] : [`exclusions: ${exclusions.join(',')}`]),
  ];
  return `${pattern} (${parts.join(', ')})`;
};

const thresholdText = (condition: TriggerCondition): string[] => {
  if (condition.kind === 'session-consumed-size-ge') return [`threshold (bytes): ${condition.bytes}`];
  if (!('threshold' in condition)) return [];
  const { threshold } = condition;
  return 'bytes' in threshold
    ? [`threshold (bytes): ${threshold.bytes}`]
    : [`threshold (ratio): ${threshold.ratio.toFixed(2)}`];
};

const WORDS: Readonly<Record<TriggerCondition['kind'], string>> = {
  'event-rule-matches': 'event rule matches',
  'channel-buffer-usage-ge': 'channel buffer usage greater or equal',
  'channel-buffer-usage-le': 'channel buffer usage less or equal',
  'session-consumed-size-ge': 'session consumed size greater or equal',
  'session-rotation-starts': 'session rotation starts',
  'session-rotation-finishes': 'session rotation finishes',
};

const conditionLines = (condition: TriggerCondition): string[] => {
  if (condition.kind === 'event-rule-matches') {
    const captures = condition.captures.length === 0 ? [] : ['captures:', ...condition.captures.map((text) => `  - ${text}`)];
    return [`rule: ${ruleText(condition.rule)}`, ...captures];
  }
  const channel = 'channel' in condition ? [`channel name: ${condition.channel}`, 'domain: user space'] : [];
  return [`session name: ${condition.session}`, ...channel, ...thresholdText(condition)];
};

const errorLines = (name: string, count: number): string[] =>
  count === 0 ? ['errors: none'] : ['errors:', `  ${name}: ${count}`];
const indent = (by: number, lines: readonly string[]): string[] => lines.map((line) => `${' '.repeat(by)}${line}`);

export const triggerLines = ({ name, owner, condition, actions, errors }: TriggerView): string[] => [
  `- name: ${name}`,
  `  owner uid: ${owner.uid}`,
  `  condition: ${WORDS[condition.kind]}`,
  ...indent(4, conditionLines(condition)),
  ...indent(4, errorLines('discarded tracer messages', errors.condition)),
  actions.length === 1 ? '  action:' : '  actions:',
  ...actions.flatMap((action, at) => [
    `    ${actionText(action)}`,
    ...indent(6, errorLines('total execution failures', errors.actions[at] ?? 0)),
  ]),
  '  errors: none',
];
