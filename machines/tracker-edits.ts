/** What track and untrack do to a session document: which processes record. Pure: the caller writes the result. */
import type { Edited } from './channel-edits.ts';
import type { SessionDocument, TrackedAttribute, TrackedValue, Tracker, Trackers } from './document.ts';

const ALL: Trackers = { vpid: 'all', vuid: 'all', vgid: 'all' };

/** A session starts with every process. */
export const trackersOf = (document: SessionDocument): Trackers => document.trackers ?? ALL;

export interface TrackerAnswer {
  readonly attribute: TrackedAttribute;
  readonly policy: 'include-all' | 'include-set' | 'exclude-all';
  /** As the caller named them: what was added or removed, and what was so before. */
  readonly changed: readonly string[];
  readonly unchanged: readonly string[];
}

const nameOf = ({ id, name }: TrackedValue): string => name ?? String(id);

const policyOf = (tracker: Tracker): TrackerAnswer['policy'] => {
  if (tracker === 'all') return 'include-all';
  return tracker.length === 0 ? 'exclude-all' : 'include-set';
};

const edited = (
  document: SessionDocument,
  attribute: TrackedAttribute,
  tracker: Tracker,
  changed: readonly TrackedValue[],
  unchanged: readonly TrackedValue[],
): Edited<TrackerAnswer> => ({
  ok: true,
  document: { ...document, trackers: { ...trackersOf(document), [attribute]: tracker } },
  answer: { attribute, policy: policyOf(tracker), changed: changed.map(nameOf), unchanged: unchanged.map(nameOf) },
});

/** `values` null: every process again. The first values of a tracker that includes all are all that it includes. */
export const track = (
  document: SessionDocument,
  attribute: TrackedAttribute,
  values: readonly TrackedValue[] | null,
): Edited<TrackerAnswer> => {
  if (values === null) return edited(document, attribute, 'all', [], []);
  const present = trackersOf(document)[attribute];
  const known = present === 'all' ? [] : present;
  const taken = new Set(known.map(({ id }) => id));
  const added = values.filter(({ id }) => !taken.has(id) && taken.add(id));
  const rest = values.filter((value) => !added.includes(value));
  return edited(document, attribute, [...known, ...added], added, rest);
};

/** `values` null: no process. What is in no set cannot be taken out of it: a tracker that includes all stays so. */
export const untrack = (
  document: SessionDocument,
  attribute: TrackedAttribute,
  values: readonly TrackedValue[] | null,
): Edited<TrackerAnswer> => {
  if (values === null) return edited(document, attribute, [], [], []);
  const present = trackersOf(document)[attribute];
  if (present === 'all') return edited(document, attribute, 'all', [], values);
  const gone = new Set(values.map(({ id }) => id));
  const left = present.filter(({ id }) => !gone.has(id));
  const removed = values.filter(({ id }) => present.some((one) => one.id === id));
  return edited(
    document,
    attribute,
    left,
    removed,
    values.filter((value) => !removed.includes(value)),
  );
};
