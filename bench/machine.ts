/** Where the figures come from: without it they mean nothing. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cpus: number;
  readonly governor: string;
  readonly kernel: string;
  readonly node: string;
  readonly commit: string;
  readonly load: number;
}

const GOVERNOR = '/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor';

const git = (root: string, ...args: string[]): string => {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
};

const commitOf = (root: string): string => {
  const commit = git(root, 'rev-parse', '--short', 'HEAD');
  if (commit === '') return 'unknown';
  return git(root, 'status', '--porcelain', '--untracked-files=no') === '' ? commit : `${commit} and changes`;
};

export const describeMachine = (root: string): Machine => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cpus: cpus().length,
  governor: existsSync(GOVERNOR) ? readFileSync(GOVERNOR, 'utf8').trim() : 'unknown',
  kernel: release(),
  node: process.version,
  commit: commitOf(root),
  load: loadavg()[0] ?? 0,
});

/** Proportional set size of a process in bytes; 0 when it is gone. */
export const pssOf = (pid: number): number => {
  try {
    const found = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
    return Number(found?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
};
