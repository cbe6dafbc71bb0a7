/** The files below a directory that is looked at again and again: only directories that changed since are read anew. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** What changed so shortly before it was read may have changed again without another time. */
const COARSE_MS = 100;

interface Known {
  readonly changedNs: bigint;
  readonly settled: boolean;
  readonly files: readonly string[];
  readonly directories: readonly string[];
}

export class DirectoryTree {
  readonly #root: string;
  #known = new Map<string, Known>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Paths relative to the directory; none when it is not there. */
  files(): readonly string[] {
    const known = new Map<string, Known>();
    const found: string[] = [];
    this.#walk('', known, found);
    this.#known = known;
    return found;
  }

  #walk(directory: string, known: Map<string, Known>, found: string[]): void {
    const now = this.#look(directory);
    if (!now) return;
    known.set(directory, now);
    found.push(...now.files);
    for (const one of now.directories) this.#walk(one, known, found);
  }

  #look(directory: string): Known | null {
    const path = join(this.#root, directory);
    const status = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (!status) return null;
    const before = this.#known.get(directory);
    if (before?.settled && before.changedNs === status.mtimeNs) return before;
    const settled = Number(status.mtimeMs) < Date.now() - COARSE_MS;
    const entries = entriesOf(path);
    const named = entries.map((entry) => ({ entry, name: directory === '' ? entry.name : `${directory}/${entry.name}` }));
    return {
      changedNs: status.mtimeNs,
      settled,
      files: named.filter(({ entry }) => !entry.isDirectory()).map(({ name }) => name),
      directories: named.filter(({ entry }) => entry.isDirectory()).map(({ name }) => name),
    };
  }
}

const entriesOf = (path: string) => {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch {
    return []; // removed meanwhile
  }
};
