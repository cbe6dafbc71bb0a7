/**
 * How far this host's clock is from the fleet's reference, from questions and answers over the bus (docs/contracts-network.md, clocks).
 * Local times are CLOCK_MONOTONIC, which nobody sets; the reference's are its real time. One exchange bounds the offset: the answer was
 * written between our question and its receipt. So the truth lies within half the round trip around the middle, however unequal the
 * two ways are, and that bound widens with age as far as two clocks may drift apart. The narrowest bound wins.
 *
 * Somebody who sets a clock by less than the bounds are wide contradicts none of them. So both hosts also read how far their real time
 * is from their monotonic time, which no slewing changes: what moved there may be missing in the bounds of before.
 */
export interface ClockExchange {
  readonly askedNs: bigint; // here
  readonly heardNs: bigint; // there
  readonly answeredNs: bigint; // there
  readonly receivedNs: bigint; // here
  /** Real minus monotonic time here, when it was asked. */
  readonly ownNs: bigint;
  /** Real minus monotonic time there; null: an older host, which does not say it. */
  readonly referenceNs: bigint | null;
}

interface Bound extends Pick<ClockExchange, 'ownNs' | 'referenceNs'> {
  /** The reference's real time minus our monotonic time. */
  readonly offsetNs: bigint;
  readonly halfNs: number;
  /** Since when clocks drift away from it: when we asked, for the answer may have been written just after. */
  readonly atNs: bigint; // here
}

export interface ClockFilter {
  /** The newest is the last. */
  readonly bounds: readonly Bound[];
  /** How often the reference's clock was set, or one of the two ran away faster than clocks drift. */
  readonly steps: number;
}

export interface ClockEstimate {
  /** The reference's real time minus our monotonic time. */
  readonly offsetNs: bigint;
  readonly uncertaintyNs: number;
}

export const EMPTY_FILTER: ClockFilter = { bounds: [], steps: 0 };

/** Two undisciplined crystals, and a little slewing. A clock that is slewed faster than this counts as one that is set. */
export const DRIFT_PER_NS = 200e-6;
const BOUNDS_MAX = 64;

/** Both clocks are read one after the other: less than this is no sign that somebody set one. */
const READING_NS = 1_000_000;

const boundOf = ({ askedNs, heardNs, answeredNs, receivedNs, ownNs, referenceNs }: ClockExchange): Bound => ({
  ownNs,
  referenceNs,
  offsetNs: (heardNs - askedNs + (answeredNs - receivedNs)) / 2n,
  // One more for what the division cut off.
  halfNs: Math.ceil(Number(receivedNs - askedNs - (answeredNs - heardNs)) / 2) + 1,
  atNs: askedNs,
});

/** Null: times that no two clocks can show, from a peer that is mistaken or lies. */
const checkedBound = (exchange: ClockExchange): Bound | null => {
  const { askedNs, heardNs, answeredNs, receivedNs } = exchange;
  if (receivedNs < askedNs || answeredNs < heardNs || receivedNs - askedNs < answeredNs - heardNs) return null;
  return boundOf(exchange);
};

const widthAt = ({ halfNs, atNs }: Bound, nowNs: bigint): number => halfNs + Math.ceil(Number(nowNs - atNs) * DRIFT_PER_NS);

const distance = (a: bigint, b: bigint): number => Math.abs(Number(a - b));

const moved = (before: bigint | null, now: bigint | null): number =>
  before === null || now === null ? 0 : distance(before, now);

/** A real time that was read as `before` and then as `now` was set in between, or its monotonic clock stood still in a sleep. */
export const wasSet = (before: bigint | null, now: bigint | null): boolean => moved(before, now) > READING_NS;

/** A bound of before, as sure as it still is after clocks were set by so little that it may as well be an error of reading. */
const since = (one: Bound, { ownNs, referenceNs }: Bound): Bound => ({
  ...one,
  ownNs,
  referenceNs,
  halfNs: one.halfNs + moved(one.ownNs, ownNs) + moved(one.referenceNs, referenceNs),
});

const contradict = (one: Bound, other: Bound, nowNs: bigint): boolean =>
  distance(one.offsetNs, other.offsetNs) > widthAt(one, nowNs) + widthAt(other, nowNs);

const narrowest = (bounds: readonly Bound[], nowNs: bigint): Bound | null =>
  bounds.reduce<Bound | null>((best, one) => (best && widthAt(best, nowNs) <= widthAt(one, nowNs) ? best : one), null);

/** What is wider than the newest already will never be the narrowest again: all of them widen alike. */
const worthKeeping = (bounds: readonly Bound[], newest: Bound): readonly Bound[] =>
  bounds.filter((one) => widthAt(one, newest.atNs) < newest.halfNs).slice(1 - BOUNDS_MAX);

export const addExchange = (filter: ClockFilter, exchange: ClockExchange): ClockFilter => {
  const newest = checkedBound(exchange);
  if (!newest) return filter;
  const { steps } = filter;
  const last = filter.bounds.at(-1) ?? newest;
  if (wasSet(last.referenceNs, newest.referenceNs)) return { bounds: [newest], steps: steps + 1 };
  // A host that slept lost as much of its monotonic time; one that was set only begins anew.
  if (wasSet(last.ownNs, newest.ownNs)) return { bounds: [newest], steps };
  const bounds = filter.bounds.map((one) => since(one, newest));
  if (bounds.some((one) => contradict(one, newest, newest.atNs))) return { bounds: [newest], steps: steps + 1 };
  return { bounds: [...worthKeeping(bounds, newest), newest], steps };
};

/** Null: nothing was measured yet. */
export const estimateAt = ({ bounds }: ClockFilter, nowNs: bigint): ClockEstimate | null => {
  const best = narrowest(bounds, nowNs);
  return best && { offsetNs: best.offsetNs, uncertaintyNs: widthAt(best, nowNs) };
};
