/** The commands about triggers. */
import {
  freeTriggerName,
  isSampled,
  TRIGGER_VERSION,
  type TriggerAction,
  type TriggerCondition,
  type TriggerDocument,
} from '../machines/trigger-document.ts';
import { parseCapture } from '../rules/capture.ts';
import { checkFilter } from '../rules/filter/check.ts';
import { parseKeyTemplate } from '../rules/key-template.ts';
import { exclusionFault } from '../rules/match.ts';
import type { Reply } from '../transport/bus.ts';
import { failed, succeeded } from '../transport/errors.ts';
import type { Caller, Handler } from './commands.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { triggersFull } from './limits.ts';
import { triggerViewOf } from './trigger-views.ts';
import { inTurn } from './turns.ts';

const PERIOD_MS = 1_000;
const NAME_BYTES_MAX = 255;

const wrong = (cause: string): Reply => failed('trigger-invalid', { cause });

const conditionFault = (condition: TriggerCondition): Reply | null => {
  if (condition.kind !== 'event-rule-matches') return null;
  const { pattern, exclusions, filter } = condition.rule;
  const bytes = Buffer.byteLength(pattern);
  if (bytes > NAME_BYTES_MAX) return wrong(`its pattern has ${bytes} bytes, at most ${NAME_BYTES_MAX} are allowed`);
  const error = exclusionFault(pattern, exclusions);
  if (error !== null) return wrong(error);
  const checked = filter === null ? null : checkFilter(filter);
  if (checked && !checked.ok) return wrong(`its filter, at column ${checked.fault.column}: ${checked.fault.message}`);
  for (const text of condition.captures) {
    const parsed = parseCapture(text);
    if (!parsed.ok) return wrong(`capture \`${text}\`: ${parsed.cause}`);
  }
  return null;
};

/** What a key is made of, and what of that there is when the condition is met. */
const actionFault = (condition: TriggerCondition, action: TriggerAction): Reply | null => {
  if (action.kind !== 'incr-map-value') return null;
  const template = parseKeyTemplate(action.key);
  if (!template.ok) return wrong(`key \`${action.key}\`: ${template.cause}`);
  const placeholders = template.segments.some((segment) => 'placeholder' in segment);
  if (!placeholders || condition.kind === 'event-rule-matches') return null;
  return wrong(`key \`${action.key}\` names an event, and condition ${condition.kind} has none`);
};

const nameFault = (name: string): Reply | null => {
  if (name === '' || Buffer.byteLength(name) > NAME_BYTES_MAX)
    return wrong(`its name has ${Buffer.byteLength(name)} bytes, 1 to ${NAME_BYTES_MAX} are allowed`);
  return null;
};

/** Only root acts for others. */
const ownerOf = (caller: Caller, wanted: number | undefined): number | null =>
  wanted === undefined || wanted === caller.uid ? caller.uid : caller.uid === 0 ? wanted : null;

/** As often as the monitor timer of the channel that is looked at says; 0: it is off, and the condition never looked at by it. */
const periodOf = (parts: DaemonParts, condition: TriggerCondition): number => {
  if (!('session' in condition)) return PERIOD_MS;
  const { session } = condition;
  const channels = parts.documents.all().find(({ name }) => name === session)?.channels ?? [];
  const meant = 'channel' in condition ? channels.filter(({ name }) => name === condition.channel) : channels;
  const timers = meant.map(({ attributes }) => attributes.monitorTimerUs).filter((us) => us > 0);
  return timers.length === 0 ? PERIOD_MS : Math.max(10, Math.min(...timers) / 1_000);
};

/** What its machine is started with. */
export const triggerInput = (parts: DaemonParts, { id, name, condition }: TriggerDocument, requestId: string | null) => ({
  triggerId: id,
  name,
  sampled: isSampled(condition),
  periodMs: periodOf(parts, condition),
  requestId,
});

const add: Handler<'trigger.add'> = async (parts, caller, { name, ownerUid, condition, actions }, key) => {
  const uid = ownerOf(caller, ownerUid);
  if (uid === null) return failed('permission-denied', { what: 'only root adds triggers for others' });
  const taken = parts.triggers.all().filter(({ document }) => document.owner.uid === uid);
  const named = name ?? freeTriggerName(taken.map(({ document }) => document.name));
  const fault =
    nameFault(named) ??
    conditionFault(condition) ??
    actions.map((action) => actionFault(condition, action)).find((one) => one !== null);
  const unfit = fault ?? triggersFull(parts, uid, taken.length);
  if (unfit) return unfit;
  if (parts.triggers.named(uid, named)) return failed('trigger-exists', { trigger: named });
  const gid = parts.ports.host.user(uid)?.gid ?? uid;
  const id = parts.ports.ids.hex(16);
  const document: TriggerDocument = {
    version: TRIGGER_VERSION,
    id,
    name: named,
    owner: { uid, gid },
    ...(caller.fleet && { fleet: true }),
    condition,
    actions,
  };
  parts.triggers.draft(document);
  return inTurn(parts, id, () =>
    parts.replies.expect(key, () => parts.root.send({ type: 'TriggerRequested', trigger: triggerInput(parts, document, key) })),
  );
};

const list: Handler<'trigger.list'> = async (parts, caller) => {
  const seen = parts.triggers.all().filter(({ document }) => caller.all || document.owner.uid === caller.uid);
  return succeeded({ triggers: seen.map(({ document }) => triggerViewOf(parts, document.id)) });
};

const remove: Handler<'trigger.remove'> = async (parts, caller, { name, ownerUid }, key) => {
  const uid = ownerOf(caller, ownerUid);
  if (uid === null) return failed('permission-denied', { what: 'only root removes triggers of others' });
  const absent = failed('trigger-not-found', { trigger: name });
  const entry = parts.triggers.named(uid, name);
  if (!entry) return absent;
  // One that is being added or removed hears of nothing else until that is done.
  return inTurn(parts, entry.document.id, async () => {
    const trigger = parts.trigger(entry.document.id);
    if (!trigger) return absent;
    return parts.replies.expect(key, () => trigger.send({ type: 'RemoveRequested', requestId: key }));
  });
};

export const TRIGGER_HANDLERS: { readonly [C in 'trigger.add' | 'trigger.list' | 'trigger.remove']: Handler<C> } = {
  'trigger.add': add,
  'trigger.list': list,
  'trigger.remove': remove,
};
