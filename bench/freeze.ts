/**
 * How soon the rings of a fleet stand still: `node bench/freeze.ts [--hosts N] [--rounds N] [--processes N] [--json]`. A program on one
 * emulated host records an event that a trigger of the fleet waits for; measured is the time from that event until the last of all
 * hosts lets nothing more be recorded. Status 1: the target was missed.
 *
 * Emulated is what a host has besides its daemon and consumer: programs, rings, files, its own bus (bench/fleet.ts).
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { EmulatedFleet } from '../test/support/emulated/fleet.ts';
import { ROOT } from '../test/support/weft.ts';
import { cpuText } from './fleet-figures.ts';
import { FREEZE_TARGET_MS, type Froze, measureFreezes } from './freezes.ts';
import { describeMachine } from './machine.ts';

const ms = (value: number): string => `${value.toFixed(1)} ms`;

const textOf = ({ rounds, last, each, holds, cpu }: Froze): string =>
  [
    `event to last host frozen, of ${rounds} rounds: p50 ${ms(last.p50)}, p99 ${ms(last.p99)}, target p99 <= ${FREEZE_TARGET_MS} ms: ${holds ? 'holds' : 'MISSED'}`,
    `  each host: p50 ${ms(each.p50)}, p99 ${ms(each.p99)}`,
    ...cpuText(cpu).map((text) => `  of a round with its copies, ${text}`),
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
    const result = await measureFreezes(fleet, Number(values.rounds));
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
