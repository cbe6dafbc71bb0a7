/** Triggers as YAML: the names of conditions and actions as add-trigger has them. */
import { z } from 'zod';
import type { RatePolicy, TriggerAction, TriggerCondition } from '../../machines/trigger-document.ts';
import type { SavedTrigger } from './model.ts';
import { bytes, sizeText, text } from './yaml-values.ts';

const count = z.int().min(1).max(Number.MAX_SAFE_INTEGER);

const condition = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('event-rule-matches'),
    name: text.default('*'),
    loglevel: z.int().min(-1).max(0x7fff_ffff).optional(),
    'loglevel-only': z.int().min(-1).max(0x7fff_ffff).optional(),
    exclude: z.array(text).default([]),
    filter: text.optional(),
    capture: z.array(text).default([]),
  }),
  z.strictObject({
    type: z.enum(['channel-buffer-usage-ge', 'channel-buffer-usage-le']),
    session: text,
    channel: text,
    'threshold-size': bytes.optional(),
    'threshold-ratio': z.number().min(0).max(1).optional(),
  }),
  z.strictObject({ type: z.literal('session-consumed-size-ge'), session: text, 'threshold-size': bytes }),
  z.strictObject({ type: z.enum(['session-rotation-starts', 'session-rotation-finishes']), session: text }),
]);

const action = z.strictObject({
  type: z.enum(['notify', 'start-session', 'stop-session', 'rotate-session', 'snapshot-session', 'incr-map-value']),
  session: text.optional(),
  channel: text.optional(),
  key: text.optional(),
  output: z.strictObject({ name: text.optional(), path: text, 'max-size': bytes.default(0) }).optional(),
  fleet: z.boolean().default(false),
  'post-ms': z.int().min(0).max(60_000).optional(),
  every: count.optional(),
  'once-after': count.optional(),
});

/** What zod's shapes do not say by themselves. */
const wrongCondition = (one: z.output<typeof condition>): string | null => {
  if ('channel' in one && (one['threshold-size'] === undefined) === (one['threshold-ratio'] === undefined))
    return 'either `threshold-size` or `threshold-ratio` is needed';
  const levels = one.type === 'event-rule-matches' && one.loglevel !== undefined && one['loglevel-only'] !== undefined;
  return levels ? '`loglevel` and `loglevel-only` exclude each other' : null;
};

const wrongAction = (one: z.output<typeof action>): string | null => {
  if (one.type === 'notify' && one.session !== undefined) return '`notify` takes no session';
  if (one.type !== 'notify' && one.session === undefined) return `\`${one.type}\` needs a session`;
  const counts = one.type === 'incr-map-value';
  if (counts !== (one.channel !== undefined) || counts !== (one.key !== undefined))
    return '`channel` and `key` belong to `incr-map-value`, which needs both';
  if (one.fleet && one.type !== 'snapshot-session') return `\`${one.type}\` has no \`fleet\``;
  if (one.fleet && one.output) return 'with `fleet` each host’s own output is used';
  if (one['post-ms'] !== undefined && !one.fleet) return '`post-ms` needs `fleet: true`';
  if (one.output && one.type !== 'snapshot-session') return `\`${one.type}\` has no output`;
  return one.every !== undefined && one['once-after'] !== undefined ? '`every` and `once-after` exclude each other' : null;
};

const checked = <T extends z.ZodType>(schema: T, wrong: (value: z.output<T>) => string | null): T =>
  schema.superRefine((value, context) => {
    const cause = wrong(value as z.output<T>);
    if (cause !== null) context.addIssue(cause);
  }) as T;

export const triggerSchema = z.strictObject({
  name: text,
  condition: checked(condition, wrongCondition),
  actions: z.array(checked(action, wrongAction)).min(1).max(64),
});

const conditionOut = (one: TriggerCondition): object => {
  if (one.kind === 'event-rule-matches') {
    const { pattern, logLevel, exclusions, filter } = one.rule;
    return {
      type: one.kind,
      name: pattern,
      ...(logLevel ? { [logLevel.kind === 'range' ? 'loglevel' : 'loglevel-only']: logLevel.level } : {}),
      ...(exclusions.length === 0 ? {} : { exclude: exclusions }),
      ...(filter === null ? {} : { filter }),
      ...(one.captures.length === 0 ? {} : { capture: one.captures }),
    };
  }
  const { kind: type, session } = one;
  if ('bytes' in one) return { type, session, 'threshold-size': sizeText(one.bytes) };
  if (!('threshold' in one)) return { type, session };
  const { channel, threshold } = one;
  if ('bytes' in threshold) return { type, session, channel, 'threshold-size': sizeText(threshold.bytes) };
  return { type, session, channel, 'threshold-ratio': threshold.ratio };
};

const conditionIn = (one: z.output<typeof condition>): TriggerCondition => {
  if (one.type === 'event-rule-matches') {
    const [range, single] = [one.loglevel, one['loglevel-only']];
    const logLevel = range !== undefined ? ({ kind: 'range', level: range } as const) : null;
    const exactly = single !== undefined ? ({ kind: 'single', level: single } as const) : null;
    const rule = { pattern: one.name, logLevel: logLevel ?? exactly, exclusions: one.exclude, filter: one.filter ?? null };
    return { kind: one.type, rule, captures: one.capture };
  }
  if ('channel' in one) {
    const [size, ratio] = [one['threshold-size'], one['threshold-ratio']];
    const threshold = size === undefined ? { ratio: ratio ?? 0 } : { bytes: size };
    return { kind: one.type, session: one.session, channel: one.channel, threshold };
  }
  if ('threshold-size' in one) return { kind: one.type, session: one.session, bytes: one['threshold-size'] };
  return { kind: one.type, session: one.session };
};

const rateOut = ({ kind, count }: RatePolicy): object => (kind === 'every' && count === 1 ? {} : { [kind]: count });

const rateIn = (one: z.output<typeof action>): RatePolicy => {
  const once = one['once-after'];
  return once === undefined ? { kind: 'every', count: one.every ?? 1 } : { kind: 'once-after', count: once };
};

const actionOut = (one: TriggerAction): object => {
  const session = 'session' in one ? { session: one.session } : {};
  if (one.kind === 'incr-map-value') return { type: one.kind, ...session, channel: one.channel, key: one.key };
  if (one.kind === 'snapshot-session' && one.fleet) {
    const { postMs } = one.fleet;
    return { type: one.kind, ...session, fleet: true, ...(postMs === 0 ? {} : { 'post-ms': postMs }), ...rateOut(one.rate) };
  }
  if (one.kind !== 'snapshot-session' || !one.output) return { type: one.kind, ...session, ...rateOut(one.rate) };
  const { name, path, maxSize } = one.output;
  const output = {
    ...(name === null ? {} : { name }),
    path,
    ...(maxSize === 0 ? {} : { 'max-size': sizeText(maxSize) }),
  };
  return { type: one.kind, ...session, output, ...rateOut(one.rate) };
};

const actionIn = (one: z.output<typeof action>): TriggerAction => {
  const rate = rateIn(one);
  if (one.type === 'notify' || one.session === undefined) return { kind: 'notify', rate };
  const { session, output } = one;
  if (one.type === 'incr-map-value') return { kind: one.type, session, channel: one.channel ?? '', key: one.key ?? '' };
  if (one.type !== 'snapshot-session') return { kind: one.type, session, rate };
  const place = output ? { name: output.name ?? null, path: output.path, maxSize: output['max-size'] } : null;
  const fleet = one.fleet ? { fleet: { postMs: one['post-ms'] ?? 0 } } : {};
  return { kind: one.type, session, output: place, ...fleet, rate };
};

export const triggerOut = ({ name, condition: when, actions }: SavedTrigger): object => ({
  name,
  condition: conditionOut(when),
  actions: actions.map(actionOut),
});

export const triggerIn = (one: z.output<typeof triggerSchema>): SavedTrigger => ({
  name: one.name,
  condition: conditionIn(one.condition),
  actions: one.actions.map(actionIn),
});
