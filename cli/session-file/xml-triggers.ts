/** Triggers in the words of the XML format. */
import type { RatePolicy, TriggerAction, TriggerCondition, TriggerRule } from '../../machines/trigger-document.ts';
import { actionElement, conditionElement } from '../mi/triggers.ts';
import type { Element as Written } from '../mi/xml.ts';
import type { Element, Tree } from './element.ts';
import type { SavedTrigger } from './model.ts';

const SESSION_CONDITIONS = {
  condition_session_rotation_ongoing: 'session-rotation-starts',
  condition_session_rotation_completed: 'session-rotation-finishes',
} as const;
const USAGE_CONDITIONS = {
  condition_buffer_usage_high: 'channel-buffer-usage-ge',
  condition_buffer_usage_low: 'channel-buffer-usage-le',
} as const;
const SESSION_ACTIONS = {
  action_start_session: 'start-session',
  action_stop_session: 'stop-session',
  action_rotate_session: 'rotate-session',
} as const;
const LEVELS = { log_level_rule_exactly: 'single', log_level_rule_at_least_as_severe_as: 'range' } as const;

const EXPRESSIONS = [
  'event_expr_payload_field',
  'event_expr_channel_context_field',
  'event_expr_app_specific_context_field',
  'event_expr_array_field_element',
];

/** Some have each expression in an element of its own. */
const readCapture = (expression: Element): string => {
  if (expression.name === 'event_expr') return readCapture(expression.choice(...EXPRESSIONS));
  if (expression.name === 'event_expr_app_specific_context_field') {
    const fields = expression.fields('provider_name', 'type_name');
    return `$app.${expression.need(fields, 'provider_name').string()}:${expression.need(fields, 'type_name').string()}`;
  }
  if (expression.name === 'event_expr_array_field_element') {
    const fields = expression.fields('index', 'event_expr', ...EXPRESSIONS);
    const inner = ['event_expr', ...EXPRESSIONS].map((name) => fields[name]).find((one) => one !== undefined);
    if (!inner) throw expression.fault('the array is missing');
    return `${readCapture(inner)}[${expression.need(fields, 'index').integer()}]`;
  }
  const name = expression.need(expression.fields('name'), 'name').string();
  return expression.name === 'event_expr_channel_context_field' ? `$ctx.${name}` : name;
};

const readLevel = (rule: Element): TriggerRule['logLevel'] => {
  const choice = rule.choice(...Object.keys(LEVELS));
  const level = choice.need(choice.fields('level'), 'level').integer(-1, 0x7fff_ffff);
  return { kind: LEVELS[choice.name as keyof typeof LEVELS], level };
};

const OTHER_RULES = [
  ...['jul', 'log4j', 'log4j2', 'python'].map((agent) => `event_rule_${agent}_logging`),
  ...['tracepoint', 'syscall', 'kprobe', 'uprobe'].map((kind) => `event_rule_kernel_${kind}`),
];

const readRule = (matches: Element): TriggerCondition => {
  const fields = matches.fields('event_rule', 'capture_descriptors');
  const rule = matches.need(fields, 'event_rule').choice('event_rule_user_tracepoint', ...OTHER_RULES);
  if (rule.name !== 'event_rule_user_tracepoint')
    throw rule.unsupported(`\`${rule.name}\`: there are rules of user space only`);
  const parts = rule.fields('name_pattern', 'filter_expression', 'log_level_rule', 'name_pattern_exclusions');
  return {
    kind: 'event-rule-matches',
    rule: {
      pattern: parts.name_pattern?.string() ?? '*',
      logLevel: parts.log_level_rule ? readLevel(parts.log_level_rule) : null,
      exclusions: (parts.name_pattern_exclusions?.list('name_pattern_exclusion') ?? []).map((one) => one.string()),
      filter: parts.filter_expression?.string() ?? null,
    },
    captures: (fields.capture_descriptors?.list('event_expr', ...EXPRESSIONS) ?? []).map(readCapture),
  };
};

const readUsage = (usage: Element): TriggerCondition => {
  const fields = usage.fields('session_name', 'channel_name', 'domain', 'threshold_bytes', 'threshold_ratio');
  const domain = usage.need(fields, 'domain');
  if (domain.word() !== 'UST') throw domain.unsupported(`domain ${domain.word()}: there is user space only`);
  const ratio = fields.threshold_ratio && Number(fields.threshold_ratio.word() || Number.NaN);
  if (ratio !== undefined && !(ratio >= 0 && ratio <= 1)) throw fields.threshold_ratio!.fault('a ratio is between 0 and 1');
  return {
    kind: USAGE_CONDITIONS[usage.name as keyof typeof USAGE_CONDITIONS],
    session: usage.need(fields, 'session_name').string(),
    channel: usage.need(fields, 'channel_name').string(),
    threshold: ratio === undefined ? { bytes: usage.need(fields, 'threshold_bytes').integer() } : { ratio },
  };
};

const readCondition = (condition: Element): TriggerCondition => {
  const choice = condition.choice(
    'condition_event_rule_matches',
    'condition_session_consumed_size',
    ...Object.keys(USAGE_CONDITIONS),
    ...Object.keys(SESSION_CONDITIONS),
  );
  if (choice.name === 'condition_event_rule_matches') return readRule(choice);
  if (Object.hasOwn(USAGE_CONDITIONS, choice.name)) return readUsage(choice);
  const consumed = choice.name === 'condition_session_consumed_size';
  const fields = choice.fields('session_name', ...(consumed ? ['threshold_bytes'] : []));
  const session = choice.need(fields, 'session_name').string();
  if (!consumed) return { kind: SESSION_CONDITIONS[choice.name as keyof typeof SESSION_CONDITIONS], session };
  return { kind: 'session-consumed-size-ge', session, bytes: choice.need(fields, 'threshold_bytes').integer() };
};

const readRate = (policy: Element | undefined): RatePolicy => {
  if (!policy) return { kind: 'every', count: 1 };
  const choice = policy.choice('rate_policy_every_n', 'rate_policy_once_after_n');
  const every = choice.name === 'rate_policy_every_n';
  const name = every ? 'interval' : 'threshold';
  return { kind: every ? 'every' : 'once-after', count: choice.need(choice.fields(name), name).integer(1) };
};

/** A local place is a URL here. */
export const pathOfUrl = (element: Element): string => {
  const url = element.string();
  if (url.startsWith('/')) return url;
  if (!url.startsWith('file://')) throw element.unsupported(`destination ${url}: only directories of this host are supported`);
  try {
    return decodeURIComponent(url.slice('file://'.length));
  } catch {
    throw element.fault(`\`${url}\` is no URL`);
  }
};

const readSnapshotOutput = (output: Element) => {
  const fields = output.fields('name', 'max_size', 'ctrl_url', 'data_url');
  if (fields.data_url && fields.data_url.string() !== '') throw fields.data_url.unsupported('there is no relay daemon');
  return {
    name: fields.name?.string() ?? null,
    path: pathOfUrl(output.need(fields, 'ctrl_url')),
    maxSize: fields.max_size?.integer() ?? 0,
  };
};

const readAction = (action: Element): TriggerAction => {
  if (action.name === 'action_increment_map_value') throw action.unsupported('there are no map channels in files');
  const snapshot = action.name === 'action_snapshot_session';
  const notify = action.name === 'action_notify';
  const fields = action.fields('rate_policy', ...(notify ? [] : ['session_name']), ...(snapshot ? ['output'] : []));
  const rate = readRate(fields.rate_policy);
  if (notify) return { kind: 'notify', rate };
  const session = action.need(fields, 'session_name').string();
  if (!snapshot) return { kind: SESSION_ACTIONS[action.name as keyof typeof SESSION_ACTIONS], session, rate };
  return { kind: 'snapshot-session', session, output: fields.output ? readSnapshotOutput(fields.output) : null, rate };
};

const ACTIONS = ['action_notify', 'action_snapshot_session', 'action_increment_map_value', ...Object.keys(SESSION_ACTIONS)];

/** One action, or a list of them: each element of a list is wrapped once more by some versions. */
const readActions = (action: Element): TriggerAction[] => {
  const choice = action.choice('action_list', ...ACTIONS);
  if (choice.name !== 'action_list') return [readAction(choice)];
  return choice.list('action', ...ACTIONS).map((one) => readAction(one.name === 'action' ? one.choice(...ACTIONS) : one));
};

const treeOf = ({ name, content }: Written): Tree => [name, typeof content === 'string' ? content : content.map(treeOf)];

/** As the machine interface shows them, without what is of the running one only. */
export const writeTrigger = ({ name, condition, actions }: SavedTrigger): Tree => {
  const listed = actions.map((action): Tree => ['action', [treeOf(actionElement(action))]]);
  return [
    'trigger',
    [
      ['name', name],
      ['condition', [treeOf(conditionElement(condition))]],
      ['action', [['action_list', listed]]],
    ],
  ];
};

export const readTrigger = (trigger: Element): SavedTrigger => {
  // Whoever loads a file owns what it makes.
  const fields = trigger.fields('name', 'owner_uid', 'condition', 'action');
  return {
    name: trigger.need(fields, 'name').string(),
    condition: readCondition(trigger.need(fields, 'condition')),
    actions: readActions(trigger.need(fields, 'action')),
  };
};
