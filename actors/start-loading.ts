/**
 * A daemon that starts afresh has a command load saved sessions. One that follows a daemon that died goes on with that one's sessions:
 * what was destroyed since must not come back. A file in the runtime directory tells which of the two it is.
 */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Log } from './ports.ts';

const markerIn = (runtime: string): string => join(runtime, 'loaded');

const isMarked = (marker: string, bootId: string): boolean => {
  try {
    return readFileSync(marker, 'utf8').trim() === bootId;
  } catch {
    return false;
  }
};

/** The next daemon starts afresh. */
export const startAfresh = (runtime: string): void => rmSync(markerIn(runtime), { force: true });

/** `command`: a program and its words; null: nothing is to be loaded. */
export const startLoading = (runtime: string, bootId: string, command: readonly string[] | null, log: Log): void => {
  const marker = markerIn(runtime);
  if (isMarked(marker, bootId)) return;
  // Before: a daemon that dies of what it loads must not die of it again.
  writeFileSync(marker, `${bootId}\n`, { mode: 0o600 });
  if (!command) return;
  const [program, ...words] = command as [string, ...string[]];
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const said of [child.stdout, child.stderr])
    createInterface(said).on('line', (line) => log.info('loading saved sessions', { said: line }));
  child.on('error', (error) => log.error('saved sessions cannot be loaded', { cause: error.message }));
  child.on('exit', (status) => {
    if (status !== 0) log.warn('not all saved sessions were loaded', { status: status ?? -1 });
  });
};
