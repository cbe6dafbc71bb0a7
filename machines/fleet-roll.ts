/**
 * Who is meant by a command of the fleet, and what became of each: a map that never changes. A host's new result copies a few hundred
 * pointers whatever the fleet's size, and how many stand where is known without looking at all of them.
 */
import type { Refusal } from './refusal.ts';

export type ResultState = 'waiting' | 'prepared' | 'done' | 'refused' | 'silent';

export interface HostResult {
  readonly state: ResultState;
  readonly refusal: Refusal | null;
  readonly body: Readonly<Record<string, unknown>>;
}

type Entry = readonly [host: string, result: HostResult];

export interface Roll {
  readonly size: number;
  readonly counts: Readonly<Record<ResultState, number>>;
  readonly buckets: readonly (readonly Entry[])[];
}

/** The square root of some ten thousand hosts, in powers of two. */
const BUCKETS = 256;

const bucketOf = (host: string): number => {
  let hash = 0;
  for (let i = 0; i < host.length; i++) hash = (Math.imul(hash, 31) + host.charCodeAt(i)) | 0;
  return (hash ^ (hash >>> 15)) & (BUCKETS - 1);
};

const NOBODY: Roll['counts'] = { waiting: 0, prepared: 0, done: 0, refused: 0, silent: 0 };

const countsOf = (entries: readonly Entry[]): Roll['counts'] => {
  const counts = { ...NOBODY };
  for (const [, { state }] of entries) counts[state]++;
  return counts;
};

/** A host that is named twice stands for once. */
export const rollOf = (entries: readonly Entry[]): Roll => {
  const known = [...new Map(entries)];
  const buckets: Entry[][] = Array.from({ length: BUCKETS }, () => []);
  for (const entry of known) buckets[bucketOf(entry[0])]?.push(entry);
  return { size: known.length, counts: countsOf(known), buckets };
};

export const resultOf = ({ buckets }: Roll, host: string): HostResult | undefined =>
  buckets[bucketOf(host)]?.find(([one]) => one === host)?.[1];

/** Of a host that nobody expected too. */
export const withResult = (roll: Roll, host: string, result: HostResult): Roll => {
  const at = bucketOf(host);
  const bucket = roll.buckets[at] ?? [];
  const former = resultOf(roll, host);
  const entry = [host, result] as const;
  const next = former ? bucket.map((one) => (one[0] === host ? entry : one)) : [...bucket, entry];
  const counts = { ...roll.counts };
  if (former) counts[former.state]--;
  counts[result.state]++;
  return { size: roll.size + (former ? 0 : 1), counts, buckets: roll.buckets.with(at, next) };
};

/** In no order. */
export const entriesOf = ({ buckets }: Roll): readonly Entry[] => buckets.flat();

export const mapRoll = (roll: Roll, change: (host: string, result: HostResult) => HostResult): Roll =>
  rollOf(entriesOf(roll).map(([host, result]) => [host, change(host, result)]));
