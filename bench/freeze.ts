/**
 * How soon the rings of a fleet stand still: `node bench/freeze.ts [--hosts N] [--rounds N] [--processes N] [--json]`. A program on one
 * emulated host records an event that a trigger of the fleet waits for; measured is the time from that event until the last of all
 * hosts lets nothing more be recorded. Status 1: the target was missed.
 *
 * Emulated is what a host has besides its daemon and consumer: programs, rings, files, its own bus (bench/fleet.ts).
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type Cpu, EmulatedFleet } from '../test/support/emulated/fleet.ts';
import { type Freeze, freezeOnce, startRecorder } from '../test/support/emulated/freezes.ts';
import { ROOT } from '../test/support/weft.ts';
import { describeMachine } from './machine.ts';
import { median } from './rows.ts';

const TARGET_MS = 100;
/** As many rounds follow each other; then all sessions have rested long enough (machines/freeze.ts). */
const SESSIONS = 5;
const REST_MS = 11_000;
const LIMIT_MS = 30_000;

/** The smallest value that so much of all does not exceed. */
const quantile = (values: readonly number[], part: number): number =>
  [...values].sort((a, b) => a - b)[Math.max(0, Math.ceil(values.length * part) - 1)] ?? 0;

interface Result {
  readonly rounds: number;
  /** Until the last host of a round stood still. */
  readonly last: { readonly p50: number; readonly p99: number };
  /** Of all hosts in all rounds. */
  readonly each: { readonly p50: number; readonly p99: number };
  readonly holds: boolean;
  /** Of a round, with the copies. */
  readonly cpu: Cpu;
}

const resultOf = (freezes: readonly Freeze[]): Result => {
  const lasts = freezes.map(({ rings }) => Math.max(...rings.map(({ afterMs }) => afterMs)));
  const all = freezes.flatMap(({ rings }) => rings.map(({ afterMs }) => afterMs));
  const p99 = quantile(lasts, 0.99);
  const of = (part: keyof Cpu): number => median(freezes.map(({ cpu }) => cpu[part]));
  return {
    rounds: freezes.length,
    last: { p50: median(lasts), p99 },
    each: { p50: median(all), p99: quantile(all, 0.99) },
    holds: p99 <= TARGET_MS,
    cpu: { caller: of('caller'), hosts: of('hosts'), server: of('server') },
  };
};

const measure = async (fleet: EmulatedFleet, rounds: number): Promise<Result> => {
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

const ms = (value: number): string => `${value.toFixed(1)} ms`;

const textOf = ({ rounds, last, each, holds, cpu }: Result): string =>
  [
    `event to last host frozen, of ${rounds} rounds: p50 ${ms(last.p50)}, p99 ${ms(last.p99)}, target p99 <= ${TARGET_MS} ms: ${holds ? 'holds' : 'MISSED'}`,
    `  each host: p50 ${ms(each.p50)}, p99 ${ms(each.p99)}`,
    `  CPU of a round with its copies: host that saw the event ${ms(cpu.caller)}, all other hosts ${ms(cpu.hosts)}, server ${ms(cpu.server)}`,
  ].join('\n');

const main = async (): Promise<number> => {
  const { values } = parseArgs({
    options: {
      hosts: { type: 'string', default: '100' },
      rounds: { type: 'string', default: '20' },
      processes: { type: 'string', default: String(2 * availableParallelism()) },
      json: { type: 'boolean', default: false },
    },
  });
  const machine = describeMachine(ROOT);
  const fleet = await EmulatedFleet.start(Number(values.hosts), Number(values.processes));
  try {
    const result = await measure(fleet, Number(values.rounds));
    if (values.json) process.stdout.write(`${JSON.stringify({ machine, ...values, result }, null, 2)}\n`);
    else {
      const { cpu, cpus, load, commit } = machine;
      process.stdout.write(`${cpu}, ${cpus} CPUs (load ${load.toFixed(1)} before), Weft commit ${commit}\n`);
      process.stdout.write(`${values.hosts} emulated hosts in ${values.processes} processes beside the first's\n\n`);
      process.stdout.write(`${textOf(result)}\n`);
    }
    return result.holds ? 0 : 1;
  } finally {
    await fleet.dispose();
  }
};

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  return 2;
});
