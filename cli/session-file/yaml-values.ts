/** Sizes and times as the command line takes them; plain numbers are bytes and microseconds. */
import { z } from 'zod';
import { parseSize, parseTime } from '../numbers.ts';

export const text = z.string({ error: 'a text is needed (put it in quotes)' });

const amount = (parse: (text: string) => number | null, what: string) =>
  z.union([z.int(), z.string()]).transform((value, context): number => {
    const read = parse(String(value));
    if (read === null) context.addIssue(`\`${value}\` is no ${what}`);
    return read ?? 0;
  });

export const bytes = amount(parseSize, 'size (512, 64k, 2M, 1G)');
export const micros = amount(parseTime, 'time (500us, 200ms, 5s, 1m, 1h)');

const SIZES = [
  ['G', 2 ** 30],
  ['M', 2 ** 20],
  ['k', 2 ** 10],
] as const;
const TIMES = [
  ['h', 3_600_000_000],
  ['m', 60_000_000],
  ['s', 1_000_000],
  ['ms', 1000],
  ['us', 1],
] as const;

const inUnits = (units: readonly (readonly [string, number])[], value: number): string | number => {
  const unit = units.find(([, factor]) => value !== 0 && value % factor === 0);
  return unit ? `${value / unit[1]}${unit[0]}` : value;
};

/** In the largest unit that divides it. */
export const sizeText = (value: number): string | number => inUnits(SIZES, value);
export const timeText = (value: number): string | number => inUnits(TIMES, value);
