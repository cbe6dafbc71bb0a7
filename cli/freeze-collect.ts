/** Gathering what the hosts of a fleet recorded of one event: directories that a freeze left, below any of the given roots. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { failure } from '../transport/errors.ts';
import { FREEZE_NOTE } from '../transport/freeze-message.ts';
import { encodeToken } from '../transport/subjects.ts';

export interface FrozenSnapshot {
  readonly id: string;
  readonly aliases: readonly string[];
  readonly host: string;
  /** The host that saw the event; absent: it does not say. */
  readonly seenBy?: string;
  readonly session: string;
  readonly path: string;
  /** False: its host still writes it, or ended while it did. */
  readonly complete: boolean;
}

/** What a copy is called until it is whole, and what it replaces until it is gone. */
const PARTIAL = '.collecting';
const FORMER = '.former';

/** In the directory of a trace; below it there are only its files. */
const METADATA = 'metadata';

const isOurs = (name: string): boolean => name.startsWith('.') && (name.endsWith(PARTIAL) || name.endsWith(FORMER));

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

const noteIn = (path: string): FrozenSnapshot | null => {
  try {
    const note = JSON.parse(readFileSync(join(path, FREEZE_NOTE), 'utf8')) as FrozenSnapshot;
    const { id, aliases, host, session, complete, seenBy } = note;
    if (![id, host, session].every(isText) || !Array.isArray(aliases)) return null;
    return { id, aliases, host, session, path, complete: complete !== false, ...(isText(seenBy) && { seenBy }) };
  } catch {
    return null;
  }
};

/** However deep: a relay's sessions may have directories of their own choice. Links are not followed, and nothing is looked for inside of a snapshot or a trace. */
const frozenBelow = (path: string): readonly FrozenSnapshot[] => {
  const note = noteIn(path);
  if (note) return [note];
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    if (entries.some((entry) => entry.name === METADATA && entry.isFile())) return [];
    const below = entries.filter((entry) => entry.isDirectory() && !isOurs(entry.name));
    return below.flatMap(({ name }) => frozenBelow(join(path, name)));
  } catch {
    return [];
  }
};

/** Of each host and session the one of that id; else the one that this id is another name for. */
export const findFrozen = (roots: readonly string[], id: string): readonly FrozenSnapshot[] => {
  const found = new Map<string, FrozenSnapshot>();
  for (const one of [...new Set(roots)].flatMap(frozenBelow)) {
    const key = `${one.host} ${one.session}`;
    const before = found.get(key);
    const names = one.id === id || (one.aliases.includes(id) && !before);
    if (names && !(before?.id === id && before.complete && !one.complete)) found.set(key, one);
  }
  return [...found.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
};

/** Hosts that saw the event and of which there is nothing. What other hosts there are nobody here knows. */
export const absentFrom = (found: readonly FrozenSnapshot[], id: string): readonly string[] => {
  const here = new Set(found.map(({ host }) => host));
  const seers = found.flatMap((one) => (one.id === id && one.seenBy !== undefined ? [one.seenBy] : []));
  return [...new Set(seers)].filter((host) => !here.has(host));
};

/** A directory of that name that is no copy of this snapshot is somebody's. */
const checkReplaced = (path: string, { id }: FrozenSnapshot): void => {
  if (existsSync(path) && noteIn(path)?.id !== id)
    throw failure('snapshot-not-collected', { path, cause: `it exists, and is no copy of snapshot ${id}` });
};

/** Whoever finds it at `path` finds all of it; one that is there already stays until then. */
const copyWhole = (one: FrozenSnapshot, path: string): void => {
  const [partial, former] = [PARTIAL, FORMER].map((ending) => join(dirname(path), `.${basename(path)}${ending}`)) as [
    string,
    string,
  ];
  try {
    mkdirSync(dirname(path), { recursive: true });
    rmSync(partial, { recursive: true, force: true });
    cpSync(one.path, partial, { recursive: true });
    rmSync(former, { recursive: true, force: true });
    if (existsSync(path)) renameSync(path, former);
    renameSync(partial, path);
    rmSync(former, { recursive: true, force: true });
  } catch (thrown) {
    rmSync(partial, { recursive: true, force: true });
    throw failure('snapshot-not-collected', {
      path: one.path,
      cause: thrown instanceof Error ? thrown.message : String(thrown),
    });
  }
};

/** `OUTPUT/HOST/NAME` each, anew: what was collected too early by an older version is made whole. Throws FaultError. */
export const copyFrozen = (found: readonly FrozenSnapshot[], output: string): readonly FrozenSnapshot[] =>
  found.map((one) => {
    const path = join(output, encodeToken(one.host), basename(one.path));
    checkReplaced(path, one);
    copyWhole(one, path);
    return { ...one, path };
  });
