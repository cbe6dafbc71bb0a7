/**
 * Runs a program for at most so long. Its output goes to a file, not to a pipe: a grandchild that keeps the pipe open would make
 * the runner wait for it. At the end of its time the whole process group is killed.
 */
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Limits {
  readonly directory: string;
  readonly limitMs: number;
  readonly env: NodeJS.ProcessEnv;
}

export interface Ended {
  /** null: killed by a signal, or not started. */
  readonly status: number | null;
  readonly output: string;
  /** Empty when it ended with status 0; else how it ended, in words. */
  readonly complaint: string;
}

const OUTPUT_SHOWN = 6000;

export const tail = (text: string): string =>
  text.length > OUTPUT_SHOWN ? `[...]\n${text.slice(text.length - OUTPUT_SHOWN)}` : text;

const complaintOf = (status: number | null, signal: string | null, timedOut: boolean, limitMs: number): string => {
  if (timedOut) return `killed: it did not end within ${Math.round(limitMs / 1000)} s`;
  if (signal) return `ended by ${signal}`;
  return status === 0 ? '' : `ended with status ${status}`;
};

export const runLimited = async (command: string, args: readonly string[], limits: Limits): Promise<Ended> => {
  const scratch = mkdtempSync(join(tmpdir(), 'weft-run-'));
  const file = join(scratch, 'output');
  const fd = openSync(file, 'w');
  const child = spawn(command, args, { cwd: limits.directory, env: limits.env, detached: true, stdio: ['ignore', fd, fd] });
  closeSync(fd);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, limits.limitMs);
  const [status, signal, error] = await new Promise<[number | null, string | null, string]>((done) => {
    child.once('exit', (code, name) => done([code, name, '']));
    child.once('error', (cause) => done([null, null, cause.message]));
  });
  clearTimeout(timer);
  const output = readFileSync(file, 'utf8');
  rmSync(scratch, { recursive: true, force: true });
  return { status, output, complaint: error || complaintOf(status, signal, timedOut, limits.limitMs) };
};
