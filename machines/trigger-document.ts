/** What a trigger is, as its owner gave it. One document per trigger, written before the answer; a new daemon arms it again. */
import type { LogLevelRule } from './document.ts';

export const TRIGGER_VERSION = 1;

/** When an action runs: at each Nth occurrence, or once, at the Nth. */
export interface RatePolicy {
  readonly kind: 'every' | 'once-after';
  readonly count: number;
}

export interface TriggerRule {
  readonly pattern: string;
  readonly logLevel: LogLevelRule | null;
  readonly exclusions: readonly string[];
  readonly filter: string | null;
}

/** Sizes in bytes; a ratio is between 0 and 1. */
export type Threshold = { readonly bytes: number } | { readonly ratio: number };

export type TriggerCondition =
  | { readonly kind: 'event-rule-matches'; readonly rule: TriggerRule; readonly captures: readonly string[] }
  | {
      readonly kind: 'channel-buffer-usage-ge' | 'channel-buffer-usage-le';
      readonly session: string;
      readonly channel: string;
      readonly threshold: Threshold;
    }
  | { readonly kind: 'session-consumed-size-ge'; readonly session: string; readonly bytes: number }
  | { readonly kind: 'session-rotation-starts' | 'session-rotation-finishes'; readonly session: string };

export type ConditionKind = TriggerCondition['kind'];

/** Where a snapshot goes instead of the session's own output. */
export interface SnapshotPlace {
  readonly name: string | null;
  readonly path: string;
  readonly maxSize: number;
}

export type TriggerAction =
  | { readonly kind: 'notify'; readonly rate: RatePolicy }
  | {
      readonly kind: 'start-session' | 'stop-session' | 'rotate-session';
      readonly session: string;
      readonly rate: RatePolicy;
    }
  | {
      readonly kind: 'snapshot-session';
      readonly session: string;
      readonly output: SnapshotPlace | null;
      /** On every host that has a session of that name, so long after it is heard of. */
      readonly fleet?: { readonly postMs: number };
      readonly rate: RatePolicy;
    }
  /** Each time: it has no rate. */
  | { readonly kind: 'incr-map-value'; readonly session: string; readonly channel: string; readonly key: string };

export interface TriggerDocument {
  readonly version: typeof TRIGGER_VERSION;
  readonly id: string; // 32 hex digits
  readonly name: string; // unique for its owner
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Added by whoever commands the fleet: its actions are held to what the fleet may. */
  readonly fleet?: boolean;
  readonly condition: TriggerCondition;
  readonly actions: readonly TriggerAction[];
}

/** Whether an action runs at this occurrence; they count from 1. */
export const isDue = ({ kind, count }: RatePolicy, occurrence: number): boolean =>
  kind === 'every' ? occurrence % count === 0 : occurrence === count;

/** Conditions that nobody reports: they are looked at, again and again. */
export const isSampled = ({ kind }: TriggerCondition): boolean =>
  kind === 'channel-buffer-usage-ge' || kind === 'channel-buffer-usage-le' || kind === 'session-consumed-size-ge';

/** `trigger0`, `trigger1`, ...: the first that its owner does not use. */
export const freeTriggerName = (taken: readonly string[]): string => {
  for (let at = 0; ; at++) if (!taken.includes(`trigger${at}`)) return `trigger${at}`;
};
