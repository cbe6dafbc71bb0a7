/** Chunks of traces on the disk of the consumer: moved when they have ended, removed when they are cleared. */
import { closeSync, existsSync, fsyncSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeDirectories } from './make-directories.ts';

const MODE = 0o750;
/** The traces of a chunk that lies in the output itself. */
const TRACES = 'ust';

const sync = (directory: string): void => {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
};

/** A chunk that nobody recorded into has no directory: its archive is empty. */
const move = (from: string, to: string): void => {
  makeDirectories(dirname(to), MODE);
  if (existsSync(from) && !existsSync(to)) renameSync(from, to);
  sync(dirname(to));
  sync(dirname(from));
};

const archive = (output: string, from: string, to: string): void => {
  if (from === '') move(join(output, TRACES), join(output, to, TRACES));
  else move(join(output, from), join(output, to));
  makeDirectories(join(output, to), MODE);
};

const removeTraces = (directory: string, kept: readonly string[]): void => {
  const root = join(directory, TRACES);
  if (!existsSync(root)) return;
  const traces = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('/metadata'))
    .map((name) => dirname(join(root, name)));
  for (const trace of traces) if (!kept.includes(trace)) rmSync(trace, { recursive: true, force: true });
};

export const chunkFiles = { archive, removeTraces };
