/** `mkdir -p` that ends: Node's recursive mkdir never returns where the system answers ENOENT for a parent that exists, as /proc does. */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

const isDirectory = (path: string): boolean => {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
};

/** Throws what the system says, EEXIST too when something else lies at `path`. */
export const makeDirectories = (path: string, mode: number): void => {
  if (isDirectory(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectories(parent, mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (!isDirectory(path)) throw error; // else somebody made it meanwhile
  }
};
