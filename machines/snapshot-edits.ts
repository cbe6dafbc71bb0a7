/**
 * Snapshots in a session document: where they go and how many there were. Pure: the caller writes the result, and only then takes
 * the snapshot, so that no two of a session ever get the same number.
 */
import type { ClockDescription, Destination, SessionDocument, SnapshotDocument, SnapshotOutput } from './document.ts';
import { controlCause } from './plain-names.ts';
import { type Refusal, refusal } from './refusal.ts';
import { freshClock } from './session-clock.ts';

/** What `record` asks for; null: as the session's output says. */
export interface SnapshotWanted {
  readonly name: string | null;
  /** A directory, or the URL of a relay. */
  readonly path: string | null;
  readonly maxSize: number | null;
  /** The freeze that holds the rings for it. */
  readonly freeze?: string;
}

/** What the document promises of one snapshot. */
export interface SnapshotPromise {
  /** A directory, or the URL of a relay. */
  readonly base: string;
  /** Below it. */
  readonly directory: string;
  readonly number: number;
  readonly maxStreamBytes: number; // 0: no limit
}

/** Of the directory of one: the longest name, time, number. */
export const SNAPSHOT_DIRECTORY_BYTES_MAX = 200 + '-20260101-000000-'.length + 10;

/** One snapshot, before it is taken. */
export interface SnapshotPlace {
  readonly path: string;
  /** It goes to a relay; `path` is where it waits. */
  readonly parcel?: { readonly id: string; readonly destination: Destination };
  readonly number: number;
  readonly maxStreamBytes: number; // 0: no limit
  readonly freeze?: string;
}

export interface OutputAnswer {
  readonly output: SnapshotOutput;
}

export interface PromiseAnswer {
  readonly promise: SnapshotPromise;
}

type Changed<A> =
  | { readonly ok: true; readonly document: SessionDocument; readonly answer: A }
  | { readonly ok: false; readonly refusal: Refusal };

/** A packet needs its header, and a stream begins with an empty packet. */
const HEADERS = 2 * 84;
const TEMPORARY_NAME = 'snapshot-0';

const refused = (code: string, params: Refusal['params']) => ({ ok: false, refusal: refusal(code, params) }) as const;

export const newSnapshot = (path: string | null): SnapshotDocument => ({
  outputs: path === null ? [] : [{ id: 1, name: 'snapshot-1', path, maxSize: 0 }],
  nextOutputId: path === null ? 1 : 2,
  taken: 0,
});

const nameCause = (name: string): string | null => {
  if (name === '') return 'it is empty';
  if (new TextEncoder().encode(name).length > 200) return 'it has more than 200 bytes';
  if (name.includes('/') || name.includes('\0')) return 'it holds a `/` or a NUL';
  return name.startsWith('.') ? 'it begins with `.`' : controlCause(name);
};

const withSnapshot = (document: SessionDocument, change: Partial<SnapshotDocument>): SessionDocument => ({
  ...document,
  snapshot: { ...document.snapshot!, ...change },
});

export const addOutput = (
  document: SessionDocument,
  wanted: { readonly name: string | null; readonly path: string; readonly maxSize: number },
): Changed<OutputAnswer> => {
  const session = document.name;
  const { snapshot } = document;
  if (!snapshot) return refused('not-a-snapshot-session', { session });
  const present = snapshot.outputs[0];
  if (present) return refused('snapshot-output-exists', { session, output: present.name });
  const id = snapshot.nextOutputId;
  const name = wanted.name ?? `snapshot-${id}`;
  const cause = nameCause(name);
  if (cause) return refused('snapshot-name-invalid', { name, cause });
  const output = { id, name, path: wanted.path, maxSize: wanted.maxSize };
  return {
    ok: true,
    document: withSnapshot(document, { outputs: [...snapshot.outputs, output], nextOutputId: id + 1 }),
    answer: { output },
  };
};

/** `which`: an id or a name. */
export const deleteOutput = (document: SessionDocument, which: string): Changed<OutputAnswer> => {
  const session = document.name;
  const { snapshot } = document;
  if (!snapshot) return refused('not-a-snapshot-session', { session });
  const output = snapshot.outputs.find(({ id, name }) => String(id) === which || name === which);
  if (!output) return refused('snapshot-output-not-found', { session, output: which });
  const outputs = snapshot.outputs.filter(({ id }) => id !== output.id);
  return { ok: true, document: withSnapshot(document, { outputs }), answer: { output } };
};

/** The share of each stream, or what the whole would need. */
const shareOf = (document: SessionDocument, maxSize: number, cpus: number): { share: number } | { needed: number } => {
  const sets = document.registries.flatMap(({ ringSets }) => ringSets);
  const streams = sets.length * cpus;
  if (maxSize === 0 || streams === 0) return { share: 0 };
  const packet = Math.max(...sets.map(({ subbufSize }) => subbufSize)) + HEADERS;
  const share = Math.floor(maxSize / streams);
  return share < packet ? { needed: packet * streams } : { share };
};

/** Counts one more snapshot and says where it goes. `stamp`: YYYYmmdd-HHMMSS; `cpus`: streams of one ring set. */
export const takeSnapshot = (
  document: SessionDocument,
  wanted: SnapshotWanted,
  { stamp, cpus, clock }: { readonly stamp: string; readonly cpus: number; readonly clock: ClockDescription },
): Changed<PromiseAnswer> => {
  const session = document.name;
  const { snapshot } = document;
  if (!snapshot) return refused('not-a-snapshot-session', { session });
  if (!document.everStarted) return refused('session-never-started', { session });
  const output = snapshot.outputs[0];
  const base = wanted.path ?? output?.path;
  if (base === undefined) return refused('snapshot-no-output', { session });
  const name = wanted.name ?? (wanted.path === null ? output!.name : TEMPORARY_NAME);
  const cause = nameCause(name);
  if (cause) return refused('snapshot-name-invalid', { name, cause });
  const maxSize = wanted.maxSize ?? (wanted.path === null ? output!.maxSize : 0);
  const size = shareOf(document, maxSize, cpus);
  if ('needed' in size) return refused('snapshot-size-too-small', { maxSize, needed: size.needed });
  const number = snapshot.taken;
  return {
    ok: true,
    // Each is a trace of its own.
    document: { ...withSnapshot(document, { taken: number + 1 }), clock: freshClock(document.clock, clock) },
    answer: { promise: { base, directory: `${name}-${stamp}-${number}`, number, maxStreamBytes: size.share } },
  };
};
