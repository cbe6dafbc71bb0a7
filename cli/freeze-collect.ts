/** Gathering what the hosts of a fleet recorded of one event: directories that a freeze left, below any of the given roots. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { FREEZE_NOTE } from '../transport/freeze-message.ts';
import { encodeToken } from '../transport/subjects.ts';

export interface FrozenSnapshot {
  readonly id: string;
  readonly aliases: readonly string[];
  readonly host: string;
  readonly session: string;
  readonly path: string;
}

/** A relay's BASE/HOST/SESSION/snapshot lies deepest. */
const DEPTH = 6;

const noteIn = (path: string): FrozenSnapshot | null => {
  try {
    const { id, aliases, host, session } = JSON.parse(readFileSync(join(path, FREEZE_NOTE), 'utf8')) as FrozenSnapshot;
    const texts = [id, host, session].every((text) => typeof text === 'string' && text !== '');
    return texts && Array.isArray(aliases) ? { id, aliases, host, session, path } : null;
  } catch {
    return null;
  }
};

/** Links are not followed, and nothing is looked for inside of a snapshot. */
const frozenBelow = (path: string, depth: number): readonly FrozenSnapshot[] => {
  const note = existsSync(join(path, FREEZE_NOTE)) ? noteIn(path) : null;
  if (note || depth === 0) return note ? [note] : [];
  try {
    const below = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return below.flatMap(({ name }) => frozenBelow(join(path, name), depth - 1));
  } catch {
    return [];
  }
};

/** Of each host and session the one of that id; else the one that this id is another name for. */
export const findFrozen = (roots: readonly string[], id: string): readonly FrozenSnapshot[] => {
  const found = new Map<string, FrozenSnapshot>();
  for (const one of [...new Set(roots)].flatMap((root) => frozenBelow(root, DEPTH))) {
    const key = `${one.host} ${one.session}`;
    if (one.id === id || (one.aliases.includes(id) && !found.has(key))) found.set(key, one);
  }
  return [...found.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
};

/** `OUTPUT/HOST/NAME` each. What is there already stays as it is. */
export const copyFrozen = (found: readonly FrozenSnapshot[], output: string): readonly FrozenSnapshot[] =>
  found.map((one) => {
    const path = join(output, encodeToken(one.host), basename(one.path));
    mkdirSync(dirname(path), { recursive: true });
    cpSync(one.path, path, { recursive: true, errorOnExist: false, force: false });
    return { ...one, path };
  });
