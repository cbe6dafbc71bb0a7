/** One run of each measurement with one tracer. The steps are the same for both, so only the tracer differs. */
import { spawnSync } from 'node:child_process';
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { babeltrace, dataFiles } from '../test/support/weft.ts';
import type { Tracer } from './tracers.ts';

export interface Recording {
  readonly nsPerEvent: number;
  readonly recorded: number;
  readonly emitted: number;
  /** What the tracer says it did not record; null: it does not say. */
  readonly lost: number | null;
  readonly perSecond: number;
  readonly bytesPerEvent: number;
}

export interface RecordingPlan extends SessionPlan {
  readonly events: number;
  readonly threads: number;
}

export const runProgram = (tracer: Tracer, path: string, ...words: string[]): Record<string, number> => {
  const ran = spawnSync(path, words, { env: tracer.env, encoding: 'utf8' });
  if (ran.status !== 0) throw new Error(`${path}: ${ran.error ?? `status ${ran.status}`}\n${ran.stderr}`);
  return JSON.parse(ran.stdout) as Record<string, number>;
};

let sessions = 0;

export interface SessionPlan {
  readonly contexts?: readonly string[];
  readonly filter?: readonly string[];
  /** More words of `enable-channel`. */
  readonly channel?: readonly string[];
  readonly subbufSize?: string;
  readonly snapshot?: boolean;
}

/** A started session that records weft_bench:pair with 8 x 1 MiB per CPU, unless told otherwise. */
export const startSession = (tracer: Tracer, plan: SessionPlan = {}): { session: string; trace: string } => {
  const { contexts = [], filter = [], channel: words = [], subbufSize = '1M', snapshot = false } = plan;
  const session = `bench-${process.pid}-${++sessions}`;
  const trace = join(tracer.directory, session);
  const channel = ['-u', '-s', session];
  tracer.command('create', session, ...(snapshot ? ['--snapshot'] : []), '-o', trace);
  tracer.command('enable-channel', ...channel, 'ch', `--subbuf-size=${subbufSize}`, '--num-subbuf=8', ...words);
  tracer.command('enable-event', ...channel, '-c', 'ch', 'weft_bench:*', ...(filter.length > 0 ? ['--filter', ...filter] : []));
  for (const context of contexts) tracer.command('add-context', ...channel, '-c', 'ch', '-t', context);
  tracer.command('start', session);
  return { session, trace };
};

/** A program's whole run and the stop that completes the trace, then what is in the trace. */
export const measureRecording = (tracer: Tracer, program: string, plan: RecordingPlan): Recording => {
  const { session, trace } = startSession(tracer, plan);
  const begin = process.hrtime.bigint();
  const { nsPerEvent } = runProgram(tracer, program, String(plan.events), String(plan.threads));
  const lost = tracer.stop(session);
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  tracer.command('destroy', session);
  const { events } = babeltrace(trace);
  const bytes = dataFiles(trace).reduce((sum, path) => sum + statSync(path).size, 0);
  const emitted = plan.events * plan.threads;
  if (events === 0)
    throw new Error(`${tracer.name} recorded nothing of ${emitted} events: no figure of this run means anything`);
  rmSync(trace, { recursive: true, force: true });
  return {
    nsPerEvent: nsPerEvent ?? Number.NaN,
    recorded: events,
    emitted,
    lost,
    perSecond: events / seconds,
    bytesPerEvent: bytes / events,
  };
};

/** Both operands are looked at: the first is always true, the second for so many events only. */
const REJECTING = 'thread < 100 && number < 5';
const NOT_REJECTED = 5;

/** What an event costs that a filter rejects, in ns. */
export const measureRejected = (tracer: Tracer, program: string, events: number): number => {
  const { session, trace } = startSession(tracer, { filter: [REJECTING] });
  const { nsPerEvent } = runProgram(tracer, program, String(events), '1');
  tracer.stop(session);
  tracer.command('destroy', session);
  const recorded = babeltrace(trace).events;
  rmSync(trace, { recursive: true, force: true });
  if (recorded !== Math.min(events, NOT_REJECTED))
    throw new Error(`${tracer.name} recorded ${recorded} events past the filter ${REJECTING}: it does not filter`);
  return nsPerEvent ?? Number.NaN;
};

export const measureDisabled = (tracer: Tracer, program: string, rounds: number): number =>
  runProgram(tracer, program, String(rounds)).nsPerPoint ?? Number.NaN;
