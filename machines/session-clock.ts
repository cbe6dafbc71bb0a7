/**
 * Which clock the metadata of a session states. A trace that was begun keeps its own, for who reads it while it grows would be told two;
 * what begins later takes the one that is measured then, if it says anything else.
 */
import type { ClockDescription, SessionDocument } from './document.ts';

/** What is added to monotonic time. */
const totalNs = ({ offsetNs, fleet }: ClockDescription): bigint => BigInt(offsetNs) + BigInt(fleet?.offsetNs ?? 0);

/** Both may be true: what they state is no further apart than they are sure. */
const agree = (one: ClockDescription, other: ClockDescription): boolean => {
  if (one.fleet?.reference !== other.fleet?.reference) return false;
  const apart = totalNs(one) - totalNs(other);
  const sure = BigInt(one.fleet?.uncertaintyNs ?? 0) + BigInt(other.fleet?.uncertaintyNs ?? 0);
  return (apart < 0n ? -apart : apart) <= sure;
};

/** How far two clocks drift apart that nobody compares, as clock-filter.ts takes it; and what a host's own is set by without a step. */
const DRIFT_PPM = 200n;
const SLEW_PPM = 500n;
const STEP_NS = 1_000_000n;
const MILLION = 1_000_000n;

/**
 * What was measured at `before`, as sure as it still is. Null: it says nothing of now. The host was started anew since, or its real
 * time left its monotonic one, as it does when somebody sets it and when the host sleeps.
 */
const aged = (before: ClockDescription, now: ClockDescription): ClockDescription | null => {
  const { fleet, atNs } = before;
  if (!fleet || atNs === undefined || now.atNs === undefined || before.uuid !== now.uuid) return null;
  const ageNs = BigInt(now.atNs) - BigInt(atNs);
  const moved = BigInt(now.offsetNs) - BigInt(before.offsetNs);
  if (ageNs < 0n || (moved < 0n ? -moved : moved) > STEP_NS + (ageNs * SLEW_PPM) / MILLION) return null;
  const uncertaintyNs = String(BigInt(fleet.uncertaintyNs) + (ageNs * DRIFT_PPM) / MILLION);
  return { ...before, fleet: { ...fleet, uncertaintyNs }, atNs: now.atNs };
};

/** Nothing is measured now: what was, when that is known to hold, else the host's own clock. */
const unmeasured = (before: ClockDescription, now: ClockDescription): ClockDescription =>
  before.fleet === undefined ? before : (aged(before, now) ?? now);

/** For a trace that begins where another one of the session ended: events go on in order while the former clock may be right. */
export const nextClock = (before: ClockDescription, now: ClockDescription): ClockDescription => {
  if (now.fleet === undefined) return before.atNs === undefined ? before : unmeasured(before, now);
  return agree(before, now) ? before : now;
};

/** For a trace that stands alone: as true as it can be. */
export const freshClock = (before: ClockDescription, now: ClockDescription): ClockDescription =>
  now.fleet === undefined ? unmeasured(before, now) : now;

/** A viewer of a live session that was told of its clock cannot be told of another one. */
const isTold = ({ network, registries }: SessionDocument): boolean => network?.liveTimerUs != null && registries.length > 0;

/** With its first start the session's trace begins; until then nothing was recorded. */
export const clockAtStart = (document: SessionDocument, now: ClockDescription): ClockDescription =>
  document.everStarted || isTold(document) ? document.clock : nextClock(document.clock, now);

export const clockOfNextChunk = (document: SessionDocument, now: ClockDescription): ClockDescription =>
  isTold(document) ? document.clock : nextClock(document.clock, now);

/**
 * Whether the metadata of what is recorded now is written anew by itself, as `regenerate metadata` does it: when there is a reference that
 * it does not name. Nobody but readers of the files themselves, which take the text as a whole, was told of it.
 */
export const lacksReference = (
  { active, network, output, channels, clock }: SessionDocument,
  now: ClockDescription,
): boolean => {
  const rewritable = active && network === null && output.kind === 'local' && channels[0]?.attributes.ownership === 'user';
  return rewritable && now.fleet !== undefined && now.fleet.reference !== clock.fleet?.reference;
};
