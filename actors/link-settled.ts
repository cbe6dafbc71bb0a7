/** Which packets of a spool no reader will write again: a reader that was killed may have left one that its successor cuts off. */
import { STATS_FIELDS } from '../native/addon/index.ts';
import type { ConsumerStreams, StreamEntry } from './consumer-streams.ts';
import type { Settled } from './link-queue.ts';

const TRACES = '/ust/';

/** The trace within whatever chunk. */
const traceIn = (directory: string): string => {
  const at = `/${directory}`.indexOf(TRACES);
  return at < 0 ? directory : `/${directory}`.slice(at + TRACES.length);
};

/** Null: the file is not of this ring set. */
const cpuOf = ({ attach }: StreamEntry, name: string): number | null => {
  if (attach.geometry.allocation === 'per-channel') return name === attach.filePrefix ? 0 : null;
  const cpu = name.startsWith(`${attach.filePrefix}_`) ? name.slice(attach.filePrefix.length + 1) : '';
  return /^\d+$/.test(cpu) ? Number(cpu) : null;
};

/** `rings`: those that will be attached; what they wrote before counts when they are. */
export const settledIn = (streams: ConsumerStreams, session: string, rings: readonly string[]): Settled => {
  const awaited = new Set(rings);
  const packetsOf = (entry: StreamEntry, cpu: number): number | null => {
    if (entry.corrupt.has(cpu)) return null;
    return Number(entry.reader?.stats.values[cpu * STATS_FIELDS.length + STATS_FIELDS.indexOf('packets')] ?? 0n);
  };
  return (path) => {
    const at = path.lastIndexOf('/');
    const [trace, name] = [traceIn(path.slice(0, at)), path.slice(at + 1)];
    for (const entry of streams.of(session)) {
      if (traceIn(entry.directory) !== trace) continue;
      const cpu = cpuOf(entry, name);
      if (cpu !== null) return packetsOf(entry, cpu);
    }
    for (const { attach } of streams.of(session)) awaited.delete(attach.ringId);
    return awaited.size > 0 ? 0 : null;
  };
};
