/** How soon all hosts of an emulated fleet freeze for an event on one of them: rounds, and what comes of them. */
import type { Cpu } from '../test/support/emulated/commanded.ts';
import type { EmulatedFleet } from '../test/support/emulated/fleet.ts';
import { type Freeze, freezeOnce, startRecorder } from '../test/support/emulated/freezes.ts';
import { median } from './rows.ts';

export const FREEZE_TARGET_MS = 100;
/** As many rounds follow each other; then all sessions have rested long enough (machines/freeze.ts). */
const SESSIONS = 5;
const REST_MS = 11_000;
const LIMIT_MS = 30_000;

/** The smallest value that so much of all does not exceed. */
export const quantile = (values: readonly number[], part: number): number =>
  [...values].sort((a, b) => a - b)[Math.max(0, Math.ceil(values.length * part) - 1)] ?? 0;

export interface Froze {
  readonly rounds: number;
  /** Until the last host of a round stood still. */
  readonly last: { readonly p50: number; readonly p99: number };
  /** Of all hosts in all rounds. */
  readonly each: { readonly p50: number; readonly p99: number };
  readonly holds: boolean;
  /** Of a round, with the copies. */
  readonly cpu: Cpu | null;
}

const resultOf = (freezes: readonly Freeze[]): Froze => {
  const lasts = freezes.map(({ rings }) => Math.max(...rings.map(({ afterMs }) => afterMs)));
  const all = freezes.flatMap(({ rings }) => rings.map(({ afterMs }) => afterMs));
  const p99 = quantile(lasts, 0.99);
  const cpus = freezes.flatMap(({ cpu }) => cpu ?? []);
  const of = (part: keyof Cpu): number => median(cpus.map((cpu) => cpu[part]));
  return {
    rounds: freezes.length,
    last: { p50: median(lasts), p99 },
    each: { p50: median(all), p99: quantile(all, 0.99) },
    holds: p99 <= FREEZE_TARGET_MS,
    cpu: cpus.length === 0 ? null : { caller: of('caller'), hosts: of('hosts'), server: of('server') },
  };
};

export const measureFreezes = async (fleet: EmulatedFleet, rounds: number): Promise<Froze> => {
  const sessions = Array.from({ length: Math.min(SESSIONS, rounds) }, (_, at) => `flight-${at}`);
  for (const session of sessions) await startRecorder(fleet, session);
  const freezes: Freeze[] = [];
  for (let round = 0; round < rounds; round++) {
    const at = round % sessions.length;
    if (round > 0 && at === 0) await new Promise((resolve) => setTimeout(resolve, REST_MS));
    freezes.push(await freezeOnce(fleet, sessions[at]!, LIMIT_MS));
  }
  return resultOf(freezes);
};
