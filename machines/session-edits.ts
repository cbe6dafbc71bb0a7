/**
 * Every change of a session document that a command or an operation makes, as data and as one pure function. A refused edit
 * changes nothing; an accepted one is written before anybody hears of it.
 */
import type { ChannelAnswer, ContextAnswer, Edited } from './channel-edits.ts';
import { addContexts, disableChannel, enableChannel } from './channel-edits.ts';
import type {
  ChannelAttributes,
  ClockDescription,
  Schedules,
  SessionDocument,
  TrackedAttribute,
  TrackedValue,
} from './document.ts';
import type { MapAnswer, MapWanted } from './map-edits.ts';
import { addMap, mapsOf } from './map-edits.ts';
import type { OutputWanted, RedirectAnswer } from './output-edits.ts';
import { redirectOutput } from './output-edits.ts';
import { refusal } from './refusal.ts';
import type { Moment, SchedulesAnswer } from './rotation-edits.ts';
import { disableRotation, dumpAgain, enableRotation, resampleClock } from './rotation-edits.ts';
import type { RuleAnswer, RulesAnswer, RuleWanted } from './rule-edits.ts';
import { disableRules, enableRule } from './rule-edits.ts';
import type { OutputAnswer, PromiseAnswer, SnapshotWanted } from './snapshot-edits.ts';
import { addOutput, deleteOutput, takeSnapshot } from './snapshot-edits.ts';
import type { TrackerAnswer } from './tracker-edits.ts';
import { track, untrack } from './tracker-edits.ts';

export type SessionEdit =
  | { readonly kind: 'channel.enable'; readonly name: string; readonly attributes: Partial<ChannelAttributes> }
  | { readonly kind: 'channel.disable'; readonly name: string }
  | { readonly kind: 'event.enable'; readonly channel: string | null; readonly rule: RuleWanted }
  | { readonly kind: 'event.disable'; readonly channel: string | null; readonly pattern: string | null }
  | { readonly kind: 'context.add'; readonly channel: string | null; readonly types: readonly string[] }
  | { readonly kind: 'rotation.enable'; readonly schedules: Partial<Schedules> }
  | { readonly kind: 'rotation.disable'; readonly schedules: readonly (keyof Schedules)[] }
  /** The metadata is written anew, with a new sample of the clocks. */
  | { readonly kind: 'metadata.regenerate'; readonly clock: ClockDescription }
  /** Changes nothing here: running applications dump their state once more. */
  | { readonly kind: 'statedump.regenerate' }
  | { readonly kind: 'snapshot.add'; readonly name: string | null; readonly path: string; readonly maxSize: number }
  | { readonly kind: 'snapshot.delete'; readonly output: string }
  | {
      readonly kind: 'snapshot.take';
      readonly wanted: SnapshotWanted;
      readonly stamp: string;
      readonly cpus: number;
      readonly clock: ClockDescription;
    }
  /** `values` null: all. */
  | { readonly kind: 'tracker.track'; readonly attribute: TrackedAttribute; readonly values: readonly TrackedValue[] | null }
  | { readonly kind: 'tracker.untrack'; readonly attribute: TrackedAttribute; readonly values: readonly TrackedValue[] | null }
  | { readonly kind: 'map.add'; readonly wanted: MapWanted }
  | { readonly kind: 'output.redirect'; readonly wanted: OutputWanted; readonly moment: Moment }
  /** What start, stop and destroy promise before anything else happens. */
  | {
      readonly kind: 'promise';
      readonly operation: 'starting' | 'stopping' | 'destroying';
      readonly requestId: string;
      readonly deadlineMs: number;
    }
  /** A promise whose acknowledgement could not be given is taken back, and with it the answer that it came with. */
  | { readonly kind: 'retract'; readonly requestId: string; readonly active: boolean; readonly everStarted: boolean }
  /** The operation is done; its answer is kept for whoever asks again. */
  | { readonly kind: 'settle'; readonly requestId: string; readonly atMs: number; readonly reply: unknown };

export type EditAnswer =
  | ChannelAnswer
  | RuleAnswer
  | RulesAnswer
  | ContextAnswer
  | SchedulesAnswer
  | OutputAnswer
  | PromiseAnswer
  | TrackerAnswer
  | MapAnswer
  | RedirectAnswer
  | Record<never, never>;

const ANSWERS_KEPT_MS = 10 * 60_000;
const ANSWERS_KEPT_MAX = 256;

const promise = (document: SessionDocument, edit: SessionEdit & { kind: 'promise' }): Edited<EditAnswer> => {
  if (edit.operation === 'starting' && document.channels.length === 0 && mapsOf(document).length === 0) {
    return { ok: false, refusal: refusal('no-channel', { session: document.name }) };
  }
  const { requestId, deadlineMs, operation } = edit;
  const active = operation === 'starting';
  const everStarted = document.everStarted || active;
  return {
    ok: true,
    document: { ...document, active, everStarted, operation: { kind: operation, requestId, deadlineMs } },
    answer: {},
  };
};

const settle = (document: SessionDocument, edit: SessionEdit & { kind: 'settle' }): Edited<EditAnswer> => {
  const { requestId, atMs, reply } = edit;
  const kept = document.answers.filter((answer) => answer.requestId !== requestId && answer.atMs > atMs - ANSWERS_KEPT_MS);
  const answers = [...kept, { requestId, atMs, reply }].slice(-ANSWERS_KEPT_MAX);
  return { ok: true, document: { ...document, operation: null, answers }, answer: {} };
};

const retract = (document: SessionDocument, edit: SessionEdit & { kind: 'retract' }): Edited<EditAnswer> => ({
  ok: true,
  document: {
    ...document,
    active: edit.active,
    everStarted: edit.everStarted,
    operation: null,
    answers: document.answers.filter(({ requestId }) => requestId !== edit.requestId),
  },
  answer: {},
});

export const editSession = (document: SessionDocument, edit: SessionEdit): Edited<EditAnswer> => {
  switch (edit.kind) {
    case 'channel.enable':
      return enableChannel(document, edit.name, edit.attributes);
    case 'channel.disable':
      return disableChannel(document, edit.name);
    case 'event.enable':
      return enableRule(document, edit.channel, edit.rule);
    case 'event.disable':
      return disableRules(document, edit.channel, edit.pattern);
    case 'context.add':
      return addContexts(document, edit.channel, edit.types);
    case 'rotation.enable':
      return enableRotation(document, edit.schedules);
    case 'rotation.disable':
      return disableRotation(document, edit.schedules);
    case 'metadata.regenerate':
      return resampleClock(document, edit.clock);
    case 'statedump.regenerate':
      return dumpAgain(document);
    case 'snapshot.add':
      return addOutput(document, edit);
    case 'snapshot.delete':
      return deleteOutput(document, edit.output);
    case 'snapshot.take':
      return takeSnapshot(document, edit.wanted, edit);
    case 'tracker.track':
      return track(document, edit.attribute, edit.values);
    case 'tracker.untrack':
      return untrack(document, edit.attribute, edit.values);
    case 'map.add':
      return addMap(document, edit.wanted);
    case 'output.redirect':
      return redirectOutput(document, edit.wanted, edit.moment);
    case 'promise':
      return promise(document, edit);
    case 'retract':
      return retract(document, edit);
    case 'settle':
      return settle(document, edit);
  }
};
