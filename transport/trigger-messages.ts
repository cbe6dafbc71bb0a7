/** The commands about triggers (docs/contracts.md). */
import { z } from 'zod';
import type { RatePolicy, TriggerAction, TriggerCondition, TriggerRule } from '../machines/trigger-document.ts';
import { command } from './command-shape.ts';
import { text, uid } from './schema.ts';

const bytes = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const rate = z.object({
  kind: z.enum(['every', 'once-after']),
  count: z.int().min(1).max(Number.MAX_SAFE_INTEGER),
}) satisfies z.ZodType<RatePolicy>;

const rule = z.object({
  pattern: text.min(1),
  logLevel: z.object({ kind: z.enum(['range', 'single']), level: z.int().min(-1).max(0x7fff_ffff) }).nullable(),
  exclusions: z.array(text).max(1024),
  filter: text.nullable(),
}) satisfies z.ZodType<TriggerRule>;

const condition = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('event-rule-matches'), rule, captures: z.array(text).max(64) }),
  z.object({
    kind: z.enum(['channel-buffer-usage-ge', 'channel-buffer-usage-le']),
    session: text,
    channel: text,
    threshold: z.object({ bytes }).or(z.object({ ratio: z.number().min(0).max(1) })),
  }),
  z.object({ kind: z.literal('session-consumed-size-ge'), session: text, bytes }),
  z.object({ kind: z.enum(['session-rotation-starts', 'session-rotation-finishes']), session: text }),
]) satisfies z.ZodType<TriggerCondition>;

const action = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('notify'), rate }),
  z.object({ kind: z.enum(['start-session', 'stop-session', 'rotate-session']), session: text, rate }),
  z.object({
    kind: z.literal('snapshot-session'),
    session: text,
    output: z.object({ name: text.nullable(), path: text, maxSize: bytes }).nullable(),
    fleet: z.object({ postMs: z.int().min(0).max(60_000) }).exactOptional(),
    rate,
  }),
  z.object({ kind: z.literal('incr-map-value'), session: text, channel: text, key: text.min(1) }),
]) satisfies z.ZodType<TriggerAction>;

const view = z.object({
  name: text,
  owner: z.object({ uid }),
  condition,
  actions: z.array(action),
  /** Messages of applications that were discarded; failures of each action, in their order; occurrences so far. */
  errors: z.object({ condition: z.int(), actions: z.array(z.int()) }),
  occurrences: z.int(),
});

export type TriggerView = z.output<typeof view>;

export const TRIGGER_COMMANDS = {
  'trigger.add': command(
    'Add a trigger: a condition, and what is done each time it is met.',
    { name: text.exactOptional(), ownerUid: uid.exactOptional(), condition, actions: z.array(action).min(1).max(64) },
    { trigger: view },
  ),
  'trigger.list': command("The caller's triggers; root's: all.", {}, { triggers: z.array(view) }),
  'trigger.remove': command('Remove a trigger.', { name: text, ownerUid: uid.exactOptional() }, { trigger: view }),
} as const;
