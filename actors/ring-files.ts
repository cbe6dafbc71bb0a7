/** Ring sets in files, on a real host: directories that nobody else can enter or replace, and what is written beside the rings. */
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  rmSync,
  type Stats,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { writeWhole } from '../transport/private-file.ts';
import type { RingFiles } from './ports.ts';

const STICKY = 0o1000;
const OTHERS_WRITE = 0o022;
const METADATA = 'metadata';
/** A session's own directory holds only this one. */
const TOP = 'ust';

const statusOf = (path: string): Stats | null => {
  try {
    return lstatSync(path);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw thrown;
  }
};

/** Why somebody else could put another directory in its place; null: nobody could. */
const weakness = (path: string, uid: number): string | null => {
  const status = lstatSync(path);
  if (!status.isDirectory()) return `${path} is no directory`;
  if (status.uid !== uid && status.uid !== 0) return `${path} belongs to user ${status.uid}`;
  const open = (status.mode & OTHERS_WRITE) !== 0 && (status.mode & STICKY) === 0;
  return open ? `others may write ${path}` : null;
};

const ancestors = (path: string): string[] => (dirname(path) === path ? [path] : [...ancestors(dirname(path)), path]);

/** Links are followed once, here; from then on only what cannot be replaced is walked through. */
const settled = (path: string): string => (statusOf(path) ? realpathSync(path) : join(settled(dirname(path)), basename(path)));

const makeDirectory = (path: string, uid: number): void => {
  for (const one of ancestors(settled(path))) {
    if (!statusOf(one)) mkdirSync(one, { mode: 0o700 });
    const weak = weakness(one, uid);
    if (weak !== null) throw new Error(weak);
  }
  const status = lstatSync(settled(path));
  if (status.uid !== uid || (status.mode & 0o077) !== 0)
    throw new Error(`${path} is there already, and not for this user alone`);
};

const openBoth = (file: string): readonly [number, number] | null => {
  const fds: number[] = [];
  try {
    for (const kind of ['ring', 'reader']) {
      fds.push(openSync(`${file}.${kind}`, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK));
    }
    return fds as [number, number];
  } catch {
    for (const fd of fds) closeSync(fd);
    return null;
  }
};

/** Up to the session's own. */
const removeEmpty = (directory: string): void => {
  try {
    rmdirSync(directory);
    if (basename(directory) === TOP) rmdirSync(dirname(directory));
    else removeEmpty(dirname(directory));
  } catch {
    // There is more in it, or it is gone.
  }
};

export const realRingFiles = (uid: number): RingFiles => {
  const written = new Map<string, string>();
  const write = (path: string, text: string): void => {
    if (written.get(path) === text) return;
    writeWhole(path, text, 0o600);
    written.set(path, text);
  };
  const remove = (path: string): void => {
    rmSync(path, { force: true });
    written.delete(path);
  };
  return {
    makeDirectory: (path) => makeDirectory(path, uid),
    describe: (file, description, metadata) => {
      write(join(dirname(file), METADATA), metadata);
      write(`${file}.json`, description);
    },
    open: openBoth,
    remove: (file) => {
      for (const kind of ['ring', 'reader', 'json']) remove(`${file}.${kind}`);
      const directory = dirname(file);
      if (!statusOf(directory)) return;
      if (!readdirSync(directory).some((name) => name.endsWith('.ring'))) remove(join(directory, METADATA));
      removeEmpty(directory);
    },
  };
};
