/** Which sessions of which files are to be loaded, and under which names and outputs. */

import { statSync } from 'node:fs';
import { isNetworkUrl } from '../../transport/destination.ts';
import { FaultError, failure } from '../../transport/errors.ts';
import { filesNamed, isDirectory, readSaved, savedFiles } from './files.ts';
import { type Place, renamed, type SavedDestination, type SavedFile, type SavedSession } from './model.ts';
import { autoDirectories, SYSTEM_DIRECTORY, userDirectory } from './places.ts';
import { belongsTo } from './steps.ts';

/** What is loaded from one file: all of it or nothing. */
export interface Unit extends SavedFile {
  readonly path: string;
  placeOf(part: object): Place;
}

/** Null: all. */
type Wanted = string | null;

const unitOf = (path: string, wanted: Wanted): Unit => {
  const { file, placeOf } = readSaved(path);
  const sessions = file.sessions.filter(({ name }) => wanted === null || name === wanted);
  const triggers = wanted === null ? file.triggers : file.triggers.filter((trigger) => belongsTo(wanted, trigger));
  return { path, sessions, triggers, placeOf: (part) => placeOf(part) ?? { line: 1, path: '' } };
};

const only = (units: readonly Unit[], session: string): Unit[] => {
  if (units.length > 1) throw failure('saved-session-ambiguous', { session, files: units.map(({ path }) => path).join(', ') });
  return [...units];
};

/** A file that is called after the session, else any that holds it; one that cannot be read might have been it. */
const findIn = (directory: string, session: string): Unit[] => {
  const holds = (unit: Unit): boolean => unit.sessions.length > 0;
  const named = filesNamed(directory, session)
    .map((path) => unitOf(path, session))
    .filter(holds);
  if (named.length > 0) return only(named, session);
  const [found, faults]: [Unit[], FaultError[]] = [[], []];
  for (const path of savedFiles(directory)) {
    try {
      found.push(unitOf(path, session));
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      faults.push(error);
    }
  }
  const holding = found.filter(holds);
  if (holding.length === 0 && faults[0]) throw faults[0];
  return only(holding, session);
};

const inDirectory = (directory: string, wanted: Wanted): Unit[] =>
  wanted === null ? savedFiles(directory).map((path) => unitOf(path, null)) : findIn(directory, wanted);

/** The user's own come before those of the system. */
const inUsualPlaces = (env: NodeJS.ProcessEnv, wanted: Wanted): Unit[] => {
  const own = inDirectory(userDirectory(env), wanted);
  if (wanted !== null && own.length > 0) return own;
  const taken = new Set(own.flatMap(({ sessions }) => sessions.map(({ name }) => name)));
  const others = inDirectory(SYSTEM_DIRECTORY, wanted).map((unit) => ({
    ...unit,
    sessions: unit.sessions.filter(({ name }) => !taken.has(name)),
  }));
  return [...own, ...others];
};

export const findUnits = (env: NodeJS.ProcessEnv, given: string | null, wanted: Wanted): Unit[] => {
  const found =
    given === null ? inUsualPlaces(env, wanted) : isDirectory(given) ? inDirectory(given, wanted) : [unitOf(given, wanted)];
  const units = found.filter(({ sessions }) => sessions.length > 0);
  if (units.length > 0) return units;
  const places = given ?? `${userDirectory(env)} and ${SYSTEM_DIRECTORY}`;
  throw failure('saved-session-not-found', { session: wanted ?? '', places });
};

/** Files that a daemon loads when it starts: of a file or directory, or those of its own user in the usual ones. */
export const filesAtStart = (env: NodeJS.ProcessEnv, given: string | null): readonly string[] => {
  if (given !== null) return isDirectory(given) ? savedFiles(given) : [given];
  return autoDirectories(env)
    .flatMap(savedFiles)
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.uid === process.getuid?.());
};

/** All of a file, but for sessions that are there already; null: nothing is left. */
export const unitAtStart = (path: string, present: ReadonlySet<string>): Unit | null => {
  const unit = unitOf(path, null);
  const sessions = unit.sessions.filter(({ name }) => !present.has(name));
  return sessions.length === 0 ? null : { ...unit, sessions };
};

const elsewhere = (output: SavedDestination, path: string): SavedDestination => {
  if (output.kind !== 'snapshot' && isNetworkUrl(path)) {
    const before = output.kind === 'network' ? output : { liveTimerUs: null, compress: false, spoolLimit: null };
    return { ...before, kind: 'network', url: path };
  }
  if (output.kind !== 'snapshot') return { kind: 'local', path };
  const outputs = output.outputs.length > 0 ? output.outputs : [{ name: 'snapshot-1', path, maxSize: 0 }];
  return { kind: 'snapshot', outputs: outputs.map((one) => ({ ...one, path })) };
};

/** The same with another output or another name; the places of what is new are those of what it replaces. */
export const overridden = (unit: Unit, wanted: Wanted, output: string | null, name: string | null): Unit => {
  const { sessions, triggers } = wanted !== null && name !== null ? renamed(unit, wanted, name) : unit;
  const moved = sessions.map(
    (session): SavedSession => (output === null ? session : { ...session, output: elsewhere(session.output, output) }),
  );
  const before = new Map<object, object>([
    ...moved.map((session, at) => [session, unit.sessions[at]!] as const),
    ...triggers.map((trigger, at) => [trigger, unit.triggers[at]!] as const),
  ]);
  return { path: unit.path, sessions: moved, triggers, placeOf: (part) => unit.placeOf(before.get(part) ?? part) };
};
