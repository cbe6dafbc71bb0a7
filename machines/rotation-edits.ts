/** What rotations and their schedules do to a session document. Pure: the caller writes the result. */
import type { Edited } from './channel-edits.ts';
import type { Chunk, ClockDescription, Schedules, SessionDocument } from './document.ts';
import { type Refusal, refusal } from './refusal.ts';
import { clockAtStart, clockOfNextChunk } from './session-clock.ts';

/** The longest time that a timer of the host can wait. */
export const TIMER_MAX_US = 2_147_483_647_000;

/** When something happens: local time, how much the readers had taken by then, and what was known of the clocks. */
export interface Moment {
  readonly localTime: string;
  readonly bytes: string;
  readonly clock: ClockDescription;
}

const refused = (code: string, params: Refusal['params'] = {}) => ({ ok: false, refusal: refusal(code, params) }) as const;

/** `YYYYmmddTHHMMSS+HHMM` */
export const chunkStamp = (localTime: string): string =>
  localTime.slice(0, 19).replaceAll(/[-:]/g, '') + localTime.slice(19).replace(':', '');

const chunkAt = (id: number, { localTime, bytes }: Moment): Chunk => ({
  id,
  beganAt: localTime,
  directory: `${chunkStamp(localTime)}-${id}`,
  bytesBefore: bytes,
  cleared: false,
});

/** Before a start: there is a chunk to record into. */
export const openChunk = (document: SessionDocument, moment: Moment): SessionDocument => {
  const { chunk, nextChunk } = document;
  if (!chunk) {
    const clock = clockOfNextChunk(document, moment.clock);
    return { ...document, clock, chunk: chunkAt(nextChunk, moment), nextChunk: nextChunk + 1 };
  }
  const clock = clockAtStart(document, moment.clock);
  if (!chunk.cleared && clock === document.clock) return document;
  return { ...document, clock, chunk: { ...chunk, cleared: false } };
};

export const archiveOf = (chunk: Chunk, endedAt: string): string =>
  `archives/${chunkStamp(chunk.beganAt)}-${chunkStamp(endedAt)}-${chunk.id}`;

/** Null: it may rotate. Nobody asked (`scheduled`): then only what is being recorded is rotated. */
const rotationFault = (document: SessionDocument, scheduled: boolean): Refusal | null => {
  const { name: session, chunk, rotation, active, everStarted, operation, output } = document;
  if ((output.kind as string) !== 'local') return refusal('rotation-unavailable', { session });
  if (!everStarted) return refusal('session-never-started', { session });
  if (rotation) return refusal('rotation-pending', { session });
  if (operation) return refusal('session-busy', { session, doing: operation.kind });
  if (scheduled && !active) return refusal('session-not-started', { session });
  if (!chunk) return refusal('rotation-after-stop', { session });
  return chunk.cleared ? refusal('rotation-after-clear', { session }) : null;
};

export interface RotationWanted {
  readonly requestId: string | null;
  readonly at: string;
  readonly moment: Moment;
}

/** The promise: which chunk ends when, and where the next one lies. */
export const beginRotation = (document: SessionDocument, { requestId, at, moment }: RotationWanted): Edited<object> => {
  const fault = rotationFault(document, requestId === null);
  if (fault) return { ok: false, refusal: fault };
  return { ok: true, document: endChunk(document, document.chunk!, { requestId, at, moment }), answer: {} };
};

export const endChunk = (
  document: SessionDocument,
  ends: Chunk,
  { requestId, at, moment }: RotationWanted,
): SessionDocument => {
  const rings = document.registries.flatMap(({ ringSets }) => ringSets.map(({ ringId }) => ringId));
  const archive = archiveOf(ends, moment.localTime);
  const rotation = { ends, clock: document.clock, requestId, at, archive, rings, switched: false };
  const ended = { ...document, chunk: null, rotation };
  return document.active ? openChunk(ended, moment) : ended;
};

export const markSwitched = (document: SessionDocument): SessionDocument =>
  document.rotation ? { ...document, rotation: { ...document.rotation, switched: true } } : document;

export const finishRotation = (document: SessionDocument): SessionDocument =>
  document.rotation
    ? { ...document, rotation: null, archives: document.archives + 1, lastArchive: document.rotation.archive }
    : document;

/** Nothing has been done about it yet. */
export const retractRotation = (document: SessionDocument): SessionDocument =>
  document.rotation
    ? {
        ...document,
        clock: document.rotation.clock ?? document.clock,
        rotation: null,
        chunk: document.rotation.ends,
        nextChunk: document.rotation.ends.id + 1,
      }
    : document;

/** A stopped session that was emptied has nothing to archive. */
export const markCleared = (document: SessionDocument): SessionDocument =>
  document.chunk && !document.active ? { ...document, chunk: { ...document.chunk, cleared: true } } : document;

const KINDS = { timerUs: 'periodic', sizeBytes: 'size-based' } as const;
type Kind = keyof typeof KINDS;

const given = (wanted: Partial<Schedules>): readonly Kind[] =>
  (['timerUs', 'sizeBytes'] as const).filter((kind) => wanted[kind] !== undefined);

const valueCause = (kind: Kind, value: number): string | null => {
  if (value <= 0) return 'it is zero';
  return kind === 'timerUs' && value > TIMER_MAX_US ? `it is above ${TIMER_MAX_US} us` : null;
};

export interface SchedulesAnswer {
  readonly schedules: Schedules;
}

const unscheduled = (document: SessionDocument): Refusal | null =>
  (document.output.kind as string) === 'local' ? null : refusal('rotation-unavailable', { session: document.name });

export const enableRotation = (document: SessionDocument, wanted: Partial<Schedules>): Edited<SchedulesAnswer> => {
  const { name: session, schedules } = document;
  const fault = unscheduled(document);
  if (fault) return { ok: false, refusal: fault };
  if (given(wanted).length === 0) return refused('schedule-needed');
  for (const kind of given(wanted)) {
    const cause = valueCause(kind, wanted[kind]!);
    if (cause) return refused('schedule-invalid', { kind: KINDS[kind], cause });
    if (schedules[kind] !== null) return refused('schedule-exists', { session, kind: KINDS[kind] });
  }
  const next = { ...schedules, ...wanted };
  return { ok: true, document: { ...document, schedules: next }, answer: { schedules: next } };
};

export const disableRotation = (document: SessionDocument, kinds: readonly Kind[]): Edited<SchedulesAnswer> => {
  const { name: session, schedules } = document;
  if (kinds.length === 0) return refused('schedule-needed');
  const lacking = kinds.find((kind) => schedules[kind] === null);
  if (lacking) return refused('schedule-not-found', { session, kind: KINDS[lacking] });
  const next = { ...schedules, ...Object.fromEntries(kinds.map((kind) => [kind, null])) };
  return { ok: true, document: { ...document, schedules: next }, answer: { schedules: next } };
};

/** Real time is measured against the monotonic clock anew; the metadata follows. */
export const resampleClock = (document: SessionDocument, clock: ClockDescription): Edited<object> => {
  const { name: session, active, channels } = document;
  if (!active) return refused('session-not-started', { session });
  if (channels[0]?.attributes.ownership === 'process') return refused('regenerate-per-process', { session });
  return { ok: true, document: { ...document, clock }, answer: {} };
};

export const dumpAgain = (document: SessionDocument): Edited<object> =>
  document.active ? { ok: true, document, answer: {} } : refused('session-not-started', { session: document.name });
