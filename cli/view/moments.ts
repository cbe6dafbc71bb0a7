/** Moments on the command line of `weft view`, as ns since 1970. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { readIndex } from '../../ctf/index-file.ts';
import type { TraceFiles } from '../../ctf/view-plan.ts';
import { UsageError } from '../options.ts';

const SECOND = 1_000_000_000n;
const CLOCK = /^(?:(\d{4})-(\d\d)-(\d\d)[ T])?(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z?)$/;
const SECONDS = /^(\d{1,10})(?:\.(\d{1,9}))?$/;

const fraction = (digits: string | undefined): bigint => BigInt((digits ?? '').padEnd(9, '0'));

const clockMoment = (found: RegExpExecArray, day: () => Date, gmt: boolean): bigint => {
  const [, year, month, date, hour, minute, second, digits, zulu] = found;
  const words = [hour, minute, second ?? '0'].map(Number) as [number, number, number];
  const utc = gmt || zulu === 'Z';
  const today = year === undefined ? day() : null;
  const [y, m, d] = today
    ? utc
      ? [today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate()]
      : [today.getFullYear(), today.getMonth(), today.getDate()]
    : [Number(year), Number(month) - 1, Number(date)];
  const ms = utc ? Date.UTC(y, m, d, ...words) : new Date(y, m, d, ...words).getTime();
  return (BigInt(ms) / 1000n) * SECOND + fraction(digits);
};

/** `day`: which one a time without a date is of. */
export const parseMoment = (option: string, text: string, gmt: boolean, day: () => Date): bigint => {
  const seconds = SECONDS.exec(text);
  if (seconds) return BigInt(seconds[1]!) * SECOND + fraction(seconds[2]);
  const clock = CLOCK.exec(text);
  const [hour, minute, second] = [clock?.[4], clock?.[5], clock?.[6]].map((word) => Number(word ?? 0)) as [
    number,
    number,
    number,
  ];
  if (!clock || hour > 23 || minute > 59 || second > 60)
    throw new UsageError(
      `Option '--${option}': ${text} is no moment: write [YYYY-MM-DD ]HH:MM[:SS[.NNN]] or seconds since 1970`,
    );
  return clockMoment(clock, day, gmt);
};

/** ns since 1970 of the first packet of the traces, as their indexes have it; `base`: of a trace's clock. */
export const firstMoment = (traces: readonly TraceFiles[], base: (trace: TraceFiles) => bigint): bigint | null => {
  const begins = traces.flatMap((trace) =>
    trace.streams.flatMap((stream) => {
      const path = join(dirname(stream), 'index', `${basename(stream)}.idx`);
      const first = existsSync(path) ? readIndex(path).items[0] : undefined;
      return first ? [first.begin + base(trace)] : [];
    }),
  );
  return begins.sort((a, b) => (a < b ? -1 : 1))[0] ?? null;
};

/** `2026-11-21 13:23:49.931065291`, as events have it with --clock-date. */
export const momentText = (ns: bigint, gmt: boolean): string => {
  const seconds = ns / SECOND;
  const at = new Date(Number(seconds) * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const [date, time] = gmt
    ? [
        [at.getUTCFullYear(), at.getUTCMonth() + 1, at.getUTCDate()],
        [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()],
      ]
    : [
        [at.getFullYear(), at.getMonth() + 1, at.getDate()],
        [at.getHours(), at.getMinutes(), at.getSeconds()],
      ];
  return `${date.map(two).join('-')} ${time.map(two).join(':')}.${String(ns % SECOND).padStart(9, '0')}`;
};
