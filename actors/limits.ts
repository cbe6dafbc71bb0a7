/** How much one user may have at one daemon: a loop in somebody's script must not take root's daemon from everybody else. */
import type { SessionDocument } from '../machines/document.ts';
import { refusal } from '../machines/refusal.ts';
import type { Reply } from '../transport/bus.ts';
import { failed } from '../transport/errors.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { Refused } from './refused.ts';

export interface Limits {
  readonly sessions: number;
  readonly triggers: number;
  /** Recording event rules of all sessions together. */
  readonly rules: number;
}

export const LIMITS: Limits = { sessions: 1_024, triggers: 4_096, rules: 16_384 };

const ofOwner = (parts: DaemonParts, uid: number): readonly SessionDocument[] =>
  parts.documents.all().filter(({ owner }) => owner.uid === uid);

export const sessionsFull = (parts: DaemonParts, uid: number): Reply | null => {
  const limit = parts.ports.limits.sessions;
  if (ofOwner(parts, uid).length < limit) return null;
  return failed('too-many', { uid, limit, what: 'recording sessions', option: '--max-sessions' });
};

export const triggersFull = (parts: DaemonParts, uid: number, count: number): Reply | null => {
  const limit = parts.ports.limits.triggers;
  return count < limit ? null : failed('too-many', { uid, limit, what: 'triggers', option: '--max-triggers' });
};

const rulesIn = ({ channels }: SessionDocument): number => channels.reduce((sum, { rules }) => sum + rules.length, 0);

/** Throws when `after` has more than `before`, and more than its owner may have. */
export const admitRules = (parts: DaemonParts, before: SessionDocument, after: SessionDocument): void => {
  const { uid } = before.owner;
  const limit = parts.ports.limits.rules;
  if (rulesIn(after) <= rulesIn(before)) return;
  const others = ofOwner(parts, uid).filter(({ id }) => id !== before.id);
  if (others.reduce((sum, one) => sum + rulesIn(one), rulesIn(after)) <= limit) return;
  throw new Refused(refusal('too-many', { uid, limit, what: 'recording event rules', option: '--max-rules' }));
};
