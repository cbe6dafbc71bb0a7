/** The effects of a trigger: applications that watch for it, samples of what nobody reports, and its actions. */
import { fromPromise } from 'xstate';
import { type Occurrence, triggerMachine } from '../machines/trigger.ts';
import {
  isDue,
  type Threshold,
  type TriggerAction,
  type TriggerCondition,
  type TriggerDocument,
} from '../machines/trigger-document.ts';
import type { Body, Reply } from '../transport/bus.ts';
import { refused, succeeded } from '../transport/errors.ts';
import { commandAs } from './commands.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { isFleetSnapshot, publishFreeze } from './fleet-freeze.ts';
import { actForFleet } from './fleet-scatter.ts';
import { armAllCounts, countShared } from './map-counts.ts';
import { faultOfRefusal, refuse } from './refused.ts';
import type { TriggerEntry } from './trigger-table.ts';
import { triggerViewOf } from './trigger-views.ts';

const occurrenceOf = (parts: DaemonParts, cause: Readonly<Record<string, unknown>>): Occurrence => ({
  atMs: parts.ports.clock.now(),
  cause,
  captures: [],
});

const sessionOf = (parts: DaemonParts, name: string) => parts.documents.all().find((document) => document.name === name);

const greater = (a: bigint, b: bigint): bigint => (b > a ? b : a);

/** Bytes that lie in the fullest ring of a channel, and what a ring holds. Null: it has no rings. */
const usageOf = (parts: DaemonParts, session: string, channel: string): { used: bigint; size: bigint } | null => {
  const document = sessionOf(parts, session);
  const id = document?.channels.find(({ name }) => name === channel)?.id;
  const sets = document?.registries.flatMap(({ ringSets }) => ringSets).filter((set) => set.channel === id) ?? [];
  const [first] = sets;
  if (!first) return null;
  const used = sets.map(({ ringId }) => parts.rings.usage(ringId)).reduce(greater, 0n);
  return { used, size: BigInt(first.subbufSize) * BigInt(first.subbufCount) };
};

const thresholdBytes = (threshold: Threshold, size: bigint): number =>
  'bytes' in threshold ? threshold.bytes : threshold.ratio * Number(size);

const consumedBytes = (parts: DaemonParts, session: string): bigint => {
  const document = sessionOf(parts, session);
  return document ? parts.totals.consumedBytes(document) : 0n;
};

const sample = (parts: DaemonParts, condition: TriggerCondition): { met: boolean; occurrence: Occurrence } => {
  if (condition.kind === 'session-consumed-size-ge') {
    const consumed = consumedBytes(parts, condition.session);
    const cause = { session: condition.session, consumedBytes: consumed };
    return { met: consumed >= BigInt(condition.bytes), occurrence: occurrenceOf(parts, cause) };
  }
  if (condition.kind !== 'channel-buffer-usage-ge' && condition.kind !== 'channel-buffer-usage-le') {
    throw refuse('internal', { cause: `condition ${condition.kind} is not sampled` });
  }
  const { session, channel, threshold } = condition;
  const usage = usageOf(parts, session, channel);
  if (!usage) return { met: false, occurrence: occurrenceOf(parts, {}) };
  const limit = thresholdBytes(threshold, usage.size);
  const met = condition.kind === 'channel-buffer-usage-ge' ? Number(usage.used) >= limit : Number(usage.used) <= limit;
  return { met, occurrence: occurrenceOf(parts, { session, channel, usedBytes: usage.used, ringBytes: usage.size }) };
};

/** The session's commands, as the trigger's owner would give them. */
const commandOf = (action: Exclude<TriggerAction, { kind: 'notify' | 'incr-map-value' }>): { name: string; fields: Body } => {
  const { session } = action;
  switch (action.kind) {
    case 'start-session':
      return { name: 'session.start', fields: { session } };
    case 'stop-session':
      return { name: 'session.stop', fields: { session } };
    case 'rotate-session':
      return { name: 'session.rotate', fields: { session } };
    case 'snapshot-session': {
      const { output } = action;
      const named = output?.name ? { name: output.name } : {};
      const place = output ? { path: output.path, ...named, ...(output.maxSize > 0 && { maxSize: output.maxSize }) } : {};
      return { name: 'snapshot.record', fields: { session, ...place } };
    }
  }
};

/** With the rights of whoever added the trigger, and no more. */
const commandFor = (
  parts: DaemonParts,
  { id, owner, fleet }: TriggerDocument,
  { name, fields }: { name: string; fields: Body },
): Promise<Reply> =>
  fleet
    ? actForFleet(parts, `trigger.${id}`, name, { v: 1, id: parts.ports.ids.hex(16), ...fields }, false)
    : commandAs(parts, owner.uid, name, fields);

/** What a start or stop asks for may be so already: that is what its owner wanted. */
const HARMLESS = ['already-started', 'already-stopped'];

/** Events are counted by the applications themselves. */
const increment = async (
  parts: DaemonParts,
  { document }: TriggerEntry,
  action: Extract<TriggerAction, { kind: 'incr-map-value' }>,
): Promise<boolean> => document.condition.kind === 'event-rule-matches' || countShared(parts, document.owner.uid, action);

const runActions = async (
  parts: DaemonParts,
  triggerId: string,
  { number, dropped, occurrence }: { number: number; dropped: number; occurrence: Occurrence },
): Promise<void> => {
  const entry = parts.triggers.at(triggerId);
  const { name, owner, actions } = entry.document;
  const { atMs, cause, captures } = occurrence;
  for (const [at, action] of actions.entries()) {
    if (action.kind === 'incr-map-value') {
      if (!(await increment(parts, entry, action))) entry.failures[at] = (entry.failures[at] ?? 0) + 1;
      continue;
    }
    if (!isDue(action.rate, number)) continue;
    if (action.kind === 'notify') {
      const body = {
        trigger: name,
        condition: entry.document.condition.kind,
        occurrence: number,
        dropped,
        occurredAt: atMs,
        cause,
        captures,
      };
      parts.events.publish(owner.uid, 'trigger', name, 'fired', body);
      continue;
    }
    if (isFleetSnapshot(action)) {
      if (!publishFreeze(parts, entry, action, occurrence)) entry.failures[at] = (entry.failures[at] ?? 0) + 1;
      continue;
    }
    const command = commandOf(action);
    const reply: Reply = await commandFor(parts, entry.document, command);
    if (reply.ok || HARMLESS.includes(reply.fault.code)) continue;
    entry.failures[at] = (entry.failures[at] ?? 0) + 1;
    parts.ports.log.warn('an action of a trigger failed', { trigger: name, action: action.kind, cause: reply.fault.message });
  }
};

const arm = async (parts: DaemonParts, triggerId: string): Promise<void> => {
  const { document } = parts.triggers.at(triggerId);
  const requestId = parts.trigger(triggerId)?.getSnapshot().context.requestId ?? null;
  parts.replies.prepare(requestId, succeeded({ trigger: triggerViewOf(parts, document.id) }));
  if (document.condition.kind !== 'event-rule-matches') return;
  const answers = parts.applications.registered().map((application) => parts.triggers.arm(triggerId, application));
  const [first] = (await Promise.all([...answers, armAllCounts(parts)])).flat();
  if (first !== undefined) throw refuse('internal', { cause: first });
};

const disarm = async (parts: DaemonParts, triggerId: string): Promise<void> => {
  const entry = parts.triggers.at(triggerId);
  const requestId = parts.trigger(triggerId)?.getSnapshot().context.requestId ?? null;
  parts.replies.prepare(requestId, succeeded({ trigger: triggerViewOf(parts, triggerId) }));
  await parts.triggers.remove(triggerId);
  entry.withdrawn = true;
  const unwatched = parts.applications.registered().map((application) => application.watch(entry.watch, new Map()));
  await Promise.all([...unwatched, armAllCounts(parts)]);
};

const ROTATIONS: Readonly<Record<string, TriggerCondition['kind']>> = {
  rotating: 'session-rotation-starts',
  rotated: 'session-rotation-finishes',
};

/** What sessions do meets conditions, too. */
export const watchSessions = (parts: DaemonParts): void =>
  parts.events.observe(({ noun, name, what }) => {
    const kind = noun === 'session' ? ROTATIONS[what] : undefined;
    if (kind === undefined) return;
    for (const { document } of parts.triggers.all()) {
      const { condition, id } = document;
      if (condition.kind !== kind || !('session' in condition) || condition.session !== name) continue;
      parts.trigger(id)?.send({ type: 'ConditionFulfilled', occurrence: occurrenceOf(parts, { session: name }) });
    }
  });

export const provideTrigger = (parts: DaemonParts) =>
  triggerMachine.provide({
    actors: {
      writeTrigger: fromPromise(({ input }) => parts.triggers.write(input.triggerId)),
      armTrigger: fromPromise(({ input }) => arm(parts, input.triggerId)),
      runActions: fromPromise(({ input }) => runActions(parts, input.triggerId, input)),
      disarmTrigger: fromPromise(({ input }) => disarm(parts, input.triggerId)),
    },
    actions: {
      answer: (_, { requestId }) => parts.replies.answer(requestId, parts.replies.prepared(requestId)),
      refuse: (_, { requestId, refusal }) => parts.replies.answer(requestId, refused(faultOfRefusal(refusal))),
      logTrigger: (_, { triggerId, what }) => parts.ports.log.warn(`trigger: ${what}`, { triggerId }),
      sampleCondition: (_, { triggerId }) => {
        try {
          const seen = sample(parts, parts.triggers.at(triggerId).document.condition);
          parts.trigger(triggerId)?.send({ type: 'Sampled', ...seen });
        } catch (thrown) {
          parts.ports.log.warn('the condition of a trigger cannot be looked at', { triggerId, cause: String(thrown) });
        }
      },
      reportRemoved: (_, { triggerId }) => {
        parts.triggers.forget(triggerId);
        parts.root.send({ type: 'TriggerRemoved', triggerId });
      },
    },
  });
