/**
 * Goes through all that lies below a directory a few files at a time, so that a process with other things to do has its turn between
 * them, however many there are. What goes meanwhile was not there.
 */
import { lstat, opendir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** Names that are read, and files that are asked for, before others have their turn. */
const AT_ONCE = 32;

export const isGone = (thrown: unknown): boolean => (thrown as NodeJS.ErrnoException).code === 'ENOENT';

const unlessGone = (thrown: unknown): null => {
  if (isGone(thrown)) return null;
  throw thrown;
};

interface Slice {
  readonly directories: string[];
  readonly others: string[];
}

/** The names in one directory, a few at a time. */
async function* slicesOf(directory: string): AsyncGenerator<Slice> {
  const opened = await opendir(directory, { bufferSize: AT_ONCE }).catch(unlessGone);
  if (!opened) return;
  let slice: Slice = { directories: [], others: [] };
  for await (const entry of opened) {
    (entry.isDirectory() ? slice.directories : slice.others).push(join(directory, entry.name));
    if (slice.directories.length + slice.others.length < AT_ONCE) continue;
    yield slice;
    slice = { directories: [], others: [] };
  }
  yield slice;
}

/** Those that are directories, and not hidden; or those whose names begin so. */
export async function* directoriesIn(directory: string, prefix = ''): AsyncGenerator<string> {
  const isMeant = (name: string): boolean => (prefix === '' ? !name.startsWith('.') : name.startsWith(prefix));
  for await (const { directories } of slicesOf(directory))
    for (const one of directories) if (isMeant(one.slice(directory.length + 1))) yield one;
}

export interface Measured {
  readonly bytes: number;
  /** When one of the files changed last; 0: there is none. */
  readonly changedMs: number;
}

export const measureBelow = async (directory: string): Promise<Measured> => {
  let [bytes, changedMs] = [0, 0];
  const waiting = [directory];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop())
    for await (const { directories, others } of slicesOf(next)) {
      waiting.push(...directories);
      for (const status of await Promise.all(others.map((path) => lstat(path).catch(unlessGone)))) {
        if (!status?.isFile()) continue;
        bytes += status.size;
        changedMs = Math.max(changedMs, status.mtimeMs);
      }
    }
  return { bytes, changedMs };
};

/** The directory too. Nobody adds to it meanwhile. */
export const removeBelow = async (directory: string): Promise<void> => {
  for (;;) {
    for await (const { directories, others } of slicesOf(directory)) {
      await Promise.all(others.map((path) => unlink(path).catch(unlessGone)));
      for (const one of directories) await removeBelow(one);
    }
    try {
      await rmdir(directory);
      return;
    } catch (thrown) {
      if (isGone(thrown)) return;
      // A directory that is read while it gets shorter may not have named all that was in it.
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw thrown;
    }
  }
};
