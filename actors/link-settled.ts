/** Which packets of a spool no reader will write again: a reader that was killed may have left one that its successor cuts off. */
import { STATS_FIELDS } from '../native/addon/index.ts';
import type { ConsumerStreams, StreamEntry, TracefileLimits } from './consumer-streams.ts';
import type { Settled } from './link-stream.ts';

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

/** Those of a session by their trace, looked for again when ring sets have come or gone. */
const tracesIn = (streams: ConsumerStreams, session: string) => {
  let version = -1;
  let byTrace = new Map<string, StreamEntry[]>();
  return (trace: string): readonly StreamEntry[] => {
    if (version !== streams.version) {
      version = streams.version;
      byTrace = Map.groupBy(streams.of(session), ({ directory }) => traceIn(directory));
    }
    return byTrace.get(trace) ?? [];
  };
};

/** `rings`: those that will be attached; what they wrote before counts when they are. */
export const settledIn = (streams: ConsumerStreams, session: string, rings: readonly string[]): Settled => {
  const awaited = new Set(rings);
  const entriesOf = tracesIn(streams, session);
  const packetsOf = (entry: StreamEntry, cpu: number): number | null => {
    if (entry.corrupt.has(cpu)) return null;
    return Number(entry.reader?.stats.values[cpu * STATS_FIELDS.length + STATS_FIELDS.indexOf('packets')] ?? 0n);
  };
  return (path) => {
    const at = path.lastIndexOf('/');
    const [trace, name] = [traceIn(path.slice(0, at)), path.slice(at + 1)];
    for (const entry of entriesOf(trace)) {
      const cpu = cpuOf(entry, name);
      if (cpu !== null) return packetsOf(entry, cpu);
    }
    for (const ringId of awaited)
      if (streams.isGone(session, ringId) || streams.find(ringId)?.attach.session === session) awaited.delete(ringId);
    return awaited.size > 0 ? 0 : null;
  };
};

type Limits = readonly TracefileLimits[];

const ANY_CPU = '_*';

/** A stream `a_0` may be that of CPU 0 of a channel `a`, or one for all CPUs of a channel `a_0`. */
const namesOf = ({ prefix, whole }: Limits[number]): readonly string[] =>
  [prefix, `${prefix}${ANY_CPU}`].filter((_, at) => whole === undefined || whole === (at === 0));

/** What a stream's trace files are limited to, by its name. */
export const limitsOf = (streams: ConsumerStreams, session: string, first: Limits) => {
  let version = -1;
  let byName = new Map<string, Limits[number]>();
  return (path: string): { readonly size: number; readonly count: number } => {
    if (version !== streams.version) {
      version = streams.version;
      // Of two that limit the same name the first one counts.
      byName = new Map(
        [...first, ...streams.tracefiles(session)].reverse().flatMap((one) => namesOf(one).map((name) => [name, one])),
      );
    }
    const name = path.slice(path.lastIndexOf('/') + 1);
    return byName.get(name) ?? byName.get(name.replace(/_\d+$/, ANY_CPU)) ?? { size: 0, count: 0 };
  };
};
