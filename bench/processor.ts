/** Processor time of processes, as the kernel counts it: what remains of a figure when a machine is shared. */
import { readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;
/** Fields of /proc/PID/stat behind the name: own time, and that of children that were waited for. */
const OWN = [11, 12] as const;
const CHILDREN = [13, 14] as const;

export type Times = ReadonlyMap<string, number>;

const timeIn = (
  pid: number | 'self',
  fields: readonly number[],
): { readonly name: string; readonly seconds: number } | null => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const end = stat.lastIndexOf(')');
    const values = stat.slice(end + 2).split(' ');
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const role = words.find((word) => /^(?:consumerd|sessiond|relayd)(?:-run)?$/.test(word));
    const seconds = fields.reduce((sum, field) => sum + Number(values[field]), 0) / TICKS_PER_SECOND;
    return { name: role ?? stat.slice(stat.indexOf('(') + 1, end), seconds };
  } catch {
    return null; // it ended meanwhile
  }
};

/** Seconds by name; `commands`: all that this process ran and waited for. */
export const processorTimes = (pids: readonly number[]): Times => {
  const times = new Map([['commands', timeIn('self', CHILDREN)?.seconds ?? 0]]);
  for (const pid of pids) {
    const time = timeIn(pid, OWN);
    if (time) times.set(time.name, (times.get(time.name) ?? 0) + time.seconds);
  }
  return times;
};

export const timesBetween = (before: Times, after: Times): Times =>
  new Map([...after].map(([name, seconds]) => [name, Math.max(0, seconds - (before.get(name) ?? 0))]));
