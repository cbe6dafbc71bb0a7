/** Triggers as elements. */
import type {
  RatePolicy,
  SnapshotPlace,
  TriggerAction,
  TriggerCondition,
  TriggerRule,
} from '../../machines/trigger-document.ts';
import type { TriggerView } from '../../transport/trigger-messages.ts';
import { type Element, element } from './xml.ts';

const sessionName = (session: string): Element => element('session_name', session);

const rateElement = ({ kind, count }: RatePolicy): Element =>
  element('rate_policy', [
    kind === 'every'
      ? element('rate_policy_every_n', [element('interval', count)])
      : element('rate_policy_once_after_n', [element('threshold', count)]),
  ]);

const placeElement = ({ name, path, maxSize }: SnapshotPlace): Element =>
  element('output', [
    ...(name === null ? [] : [element('name', name)]),
    ...(maxSize === 0 ? [] : [element('max_size', maxSize)]),
    element('ctrl_url', path),
  ]);

/** Of no use to other readers of a file, which take nothing that they do not know. */
const fleetElements = (action: TriggerAction): Element[] =>
  action.kind === 'snapshot-session' && action.fleet ? [element('fleet', [element('post_ms', action.fleet.postMs)])] : [];

/** `withFleet`: with what LTTng has no word for. */
export const actionElement = (action: TriggerAction, withFleet = false): Element => {
  const rate = 'rate' in action ? [rateElement(action.rate)] : [];
  if (action.kind === 'notify') return element('action_notify', rate);
  if (action.kind === 'incr-map-value')
    return element('action_increment_map_value', [
      sessionName(action.session),
      element('channel_type', 'USER'),
      element('channel_name', action.channel),
      element('key_template', action.key),
    ]);
  const place = action.kind === 'snapshot-session' && action.output !== null ? [placeElement(action.output)] : [];
  return element(`action_${action.kind.replaceAll('-', '_')}`, [
    sessionName(action.session),
    ...place,
    ...(withFleet ? fleetElements(action) : []),
    ...rate,
  ]);
};

/** `$ctx.NAME`, `$app.PROVIDER:NAME`, `EXPR[INDEX]`, or a field of the payload. */
export const expressionElement = (text: string): Element => {
  const indexed = /^(.*)\[(\d+)\]$/.exec(text);
  const app = /^\$app\.([^:]+):(.+)$/.exec(text);
  const named = (what: string, name: string) => element(what, [element('name', name)]);
  if (indexed) {
    const [, inside, index] = indexed as unknown as [string, string, string];
    return element('event_expr', [
      element('event_expr_array_field_element', [element('index', index), expressionElement(inside)]),
    ]);
  }
  if (app) {
    const words = [element('provider_name', app[1] ?? ''), element('type_name', app[2] ?? '')];
    return element('event_expr', [element('event_expr_app_specific_context_field', words)]);
  }
  const context = text.startsWith('$ctx.');
  const field = context
    ? named('event_expr_channel_context_field', text.slice('$ctx.'.length))
    : named('event_expr_payload_field', text);
  return element('event_expr', [field]);
};

const levelElement = ({ kind, level }: NonNullable<TriggerRule['logLevel']>): Element =>
  element('log_level_rule', [
    element(kind === 'single' ? 'log_level_rule_exactly' : 'log_level_rule_at_least_as_severe_as', [element('level', level)]),
  ]);

const ruleElement = ({ pattern, filter, logLevel, exclusions }: TriggerRule): Element =>
  element('event_rule', [
    element('event_rule_user_tracepoint', [
      element('name_pattern', pattern),
      ...(filter === null ? [] : [element('filter_expression', filter)]),
      ...(logLevel === null ? [] : [levelElement(logLevel)]),
      ...(exclusions.length === 0
        ? []
        : [
            element(
              'name_pattern_exclusions',
              exclusions.map((one) => element('name_pattern_exclusion', one)),
            ),
          ]),
    ]),
  ]);

const CONDITIONS: Readonly<Record<TriggerCondition['kind'], string>> = {
  'event-rule-matches': 'condition_event_rule_matches',
  'channel-buffer-usage-ge': 'condition_buffer_usage_high',
  'channel-buffer-usage-le': 'condition_buffer_usage_low',
  'session-consumed-size-ge': 'condition_session_consumed_size',
  'session-rotation-starts': 'condition_session_rotation_ongoing',
  'session-rotation-finishes': 'condition_session_rotation_completed',
};

const conditionContent = (condition: TriggerCondition): Element[] => {
  if (condition.kind === 'event-rule-matches') {
    const captures = condition.captures.map(expressionElement);
    return [ruleElement(condition.rule), element('capture_descriptors', captures)];
  }
  const session = sessionName(condition.session);
  if (condition.kind === 'session-consumed-size-ge') return [session, element('threshold_bytes', condition.bytes)];
  if (!('threshold' in condition)) return [session];
  const { threshold } = condition;
  return [
    session,
    element('channel_name', condition.channel),
    element('domain', 'UST'),
    'bytes' in threshold ? element('threshold_bytes', threshold.bytes) : element('threshold_ratio', threshold.ratio),
  ];
};

export const conditionElement = (condition: TriggerCondition): Element =>
  element(CONDITIONS[condition.kind], conditionContent(condition));

const errorResult = (name: string, description: string, count: number): Element =>
  element('error_query_results', [
    element('error_query_result', [
      element('name', name),
      element('description', description),
      element('error_query_result_counter', [element('value', count)]),
    ]),
  ]);

/** `errors`: only lists tell them. */
const triggerElement = ({ name, owner, condition, actions, errors }: TriggerView, withErrors: boolean): Element => {
  const discarded = errorResult('discarded tracer messages', 'Messages of programs that were discarded', errors.condition);
  const failures = (at: number) =>
    errorResult('total execution failures', 'How often the action failed', errors.actions[at] ?? 0);
  return element('trigger', [
    element('name', name),
    element('owner_uid', owner.uid),
    element('condition', [conditionElement(condition), ...(withErrors ? [discarded] : [])]),
    element('action', [
      element(
        'action_list',
        actions.map((action, at) => element('action', [actionElement(action, true), ...(withErrors ? [failures(at)] : [])])),
      ),
    ]),
    ...(withErrors ? [element('error_query_results')] : []),
  ]);
};

export const oneTrigger = (trigger: TriggerView): Element[] => [triggerElement(trigger, false)];
export const triggersListed = (triggers: readonly TriggerView[]): Element[] => [
  element(
    'triggers',
    triggers.map((trigger) => triggerElement(trigger, true)),
  ),
];
