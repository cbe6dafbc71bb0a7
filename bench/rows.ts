/** The rows of the table: what was measured, what it shall be, and whether it is. */
import type { Commands } from './control.ts';
import type { Recording } from './measure.ts';

export interface Results {
  readonly one: readonly Recording[];
  readonly contexts: readonly Recording[];
  readonly two: readonly Recording[];
  /** Two threads that wait for room. */
  readonly blocking: readonly Recording[];
  readonly rejected: readonly number[];
  readonly disabled: readonly number[];
  readonly commands: readonly Commands[];
}

export interface Row {
  readonly what: string;
  readonly unit: string;
  readonly weft: number;
  readonly lttng: number | null;
  readonly target: string;
  /** null: the target compares with LTTng, which is not here; or there is no target. */
  readonly holds: boolean | null;
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

interface Figure {
  readonly what: string;
  readonly unit: string;
  /** null: not to be had of this tracer. */
  readonly of: (results: Results) => number | null;
  readonly target: string;
  readonly check: (weft: number, lttng: number | null) => boolean | null;
}

const atMost = (limit: number) => (weft: number) => weft <= limit;
const atMostTimes = (factor: number) => (weft: number, lttng: number | null) =>
  lttng === null ? null : weft <= factor * lttng;
const atLeastTimes = (factor: number) => (weft: number, lttng: number | null) =>
  lttng === null ? null : weft >= factor * lttng;
const medianOf = (values: readonly (number | null)[]): number | null => {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : median(known);
};
const missing = (runs: readonly Recording[]): number => median(runs.map(({ emitted, recorded }) => emitted - recorded));

const FIGURES: readonly Figure[] = [
  {
    what: 'event of two integers, recorded to disk, one thread',
    unit: 'ns',
    of: ({ one }) => median(one.map((run) => run.nsPerEvent)),
    target: '<= 0.25 x LTTng',
    check: atMostTimes(0.25),
  },
  {
    what: 'the same with vpid, vtid, procname contexts',
    unit: 'ns',
    of: ({ contexts }) => median(contexts.map((run) => run.nsPerEvent)),
    target: '<= 0.35 x LTTng',
    check: atMostTimes(0.35),
  },
  {
    what: 'event rejected by a filter of two comparisons joined by &&',
    unit: 'ns',
    of: ({ rejected }) => median(rejected),
    target: '<= 0.5 x LTTng',
    check: atMostTimes(0.5),
  },
  {
    what: 'disabled instrumentation point',
    unit: 'ns',
    of: ({ disabled }) => median(disabled),
    target: '<= 1',
    check: atMost(1),
  },
  {
    what: 'bytes per event of two integers, packet headers included',
    unit: 'bytes',
    of: ({ one }) => median(one.map((run) => run.bytesPerEvent)),
    target: '<= 16.5',
    check: atMost(16.5),
  },
  {
    what: 'one thread, 8 x 1 MiB: events not in the trace',
    unit: 'events',
    of: ({ one }) => missing(one),
    target: 'none',
    check: atMost(0),
  },
  {
    what: 'two threads, 8 x 1 MiB: recorded events per second',
    unit: 'M/s',
    of: ({ two }) => median(two.map((run) => run.perSecond)) / 1e6,
    target: '>= 1.5 x LTTng',
    check: atLeastTimes(1.5),
  },
  {
    what: 'two threads, 8 x 1 MiB: events not in the trace',
    unit: 'events',
    of: ({ two }) => missing(two),
    target: '(all counted as lost)',
    check: () => null,
  },
  {
    what: 'two threads that wait for room (--blocking-timeout=inf): recorded events per second',
    unit: 'M/s',
    of: ({ blocking }) => median(blocking.map((run) => run.perSecond)) / 1e6,
    target: '>= 1.5 x LTTng',
    check: atLeastTimes(1.5),
  },
  {
    what: 'the same: events not in the trace',
    unit: 'events',
    of: ({ blocking }) => missing(blocking),
    target: 'none',
    check: atMost(0),
  },
  {
    what: 'one command of the command line (list)',
    unit: 's',
    of: ({ commands }) => median(commands.flatMap((run) => run.listSeconds)),
    target: '<= 0.15',
    check: atMost(0.15),
  },
  {
    what: 'rotation under load, whole command',
    unit: 's',
    of: ({ commands }) => median(commands.map((run) => run.rotateSeconds)),
    target: '<= 0.25',
    check: atMost(0.25),
  },
  {
    what: 'rotation under load, from the receipt',
    unit: 's',
    of: ({ commands }) => medianOf(commands.map((run) => run.rotateReceived)),
    target: '<= 0.1',
    check: atMost(0.1),
  },
  {
    what: 'destroy of an active session under load, whole command',
    unit: 's',
    of: ({ commands }) => median(commands.map((run) => run.destroySeconds)),
    target: '<= 0.25',
    check: atMost(0.25),
  },
  {
    what: 'destroy of an active session under load, from the receipt',
    unit: 's',
    of: ({ commands }) => medianOf(commands.map((run) => run.destroyReceived)),
    target: '<= 0.1',
    check: atMost(0.1),
  },
  {
    what: 'snapshot of 64 MiB, whole command',
    unit: 's',
    of: ({ commands }) => median(commands.map((run) => run.snapshotSeconds)),
    target: '',
    check: () => null,
  },
  {
    what: 'snapshot of 64 MiB, from the receipt',
    unit: 's',
    of: ({ commands }) => medianOf(commands.map((run) => run.snapshotReceived)),
    target: '<= 0.05',
    check: atMost(0.05),
  },
  {
    what: 'memory (PSS), idle: all daemons together',
    unit: 'MB',
    of: ({ commands }) => median(commands.map((run) => run.idleBytes)) / 1e6,
    target: '<= 150',
    check: atMost(150),
  },
];

export const rowsOf = (weft: Results, lttng: Results | null): Row[] =>
  FIGURES.map(({ what, unit, of, target, check }) => {
    const ours = of(weft) ?? Number.NaN;
    const theirs = lttng === null ? null : of(lttng);
    return { what, unit, weft: ours, lttng: theirs, target, holds: check(ours, theirs) };
  });

/** A run whose recorded and reported lost events are not what the program made: no figure of it may be believed. */
export const accountingErrors = (results: Results): string[] =>
  [...results.one, ...results.contexts, ...results.two, ...results.blocking].flatMap(({ recorded, emitted, lost }) =>
    lost === null || recorded + lost === emitted ? [] : [`${recorded} recorded + ${lost} lost, but ${emitted} emitted`],
  );
