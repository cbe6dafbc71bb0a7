/**
 * A fleet of emulated hosts on this machine, around a real nats-server: `node bench/fleet.ts [--hosts N] [--freezing N] [--processes N]
 * [--json]`. Prints how long `start`, `status` and `fleet apply` take until the last host is done, and, of a smaller fleet, how long
 * after an event the last host's rings stand still; beside it three real hosts whose buses are leaf nodes. Status 1: a target was missed.
 *
 * Emulated is what a host has besides its daemon and consumer: programs, rings, files, its own bus. Only the caller's host hears the
 * beats of the others, for hearing is a cost of each host alone: on this machine all would pay it at once.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { table } from '../cli/table.ts';
import { EmulatedFleet } from '../test/support/emulated/fleet.ts';
import { ROOT } from '../test/support/weft.ts';
import { cpuText, type Figure, measureCommands, measureFirstApply } from './fleet-figures.ts';
import { FREEZE_TARGET_MS, measureFreezes } from './freezes.ts';
import { measureLeaves } from './leaves.ts';
import { describeMachine } from './machine.ts';

const ROUNDS = 5;
const FREEZES = 20;

const withFleet = async <T>(hosts: number, processes: number, measure: (fleet: EmulatedFleet) => Promise<T>): Promise<T> => {
  const fleet = await EmulatedFleet.start(hosts, processes);
  try {
    return await measure(fleet);
  } finally {
    await fleet.dispose();
  }
};

const measureFreeze = async (fleet: EmulatedFleet): Promise<Figure> => {
  const { last, each, holds, rounds, cpu } = await measureFreezes(fleet, FREEZES);
  return {
    what: `event to last host frozen (p99 of ${rounds})`,
    hosts: fleet.known,
    seconds: last.p99 / 1000,
    target: FREEZE_TARGET_MS / 1000,
    holds,
    course: [
      `last host p50 ${last.p50.toFixed(1)} ms; each host p50 ${each.p50.toFixed(1)} ms, p99 ${each.p99.toFixed(1)} ms`,
      ...cpuText(cpu).map((text) => `of a round with its copies, ${text}`),
    ],
  };
};

const courseOf = ({ what, hosts, course }: Figure): string =>
  [`${what}, ${hosts} hosts`, ...course.map((line) => `  ${line}`)].join('\n');

const tableOf = (figures: readonly Figure[], kind: string): string[][] =>
  figures.map(({ what, hosts, seconds, target, holds }) => [
    what,
    `${hosts} ${kind}`,
    `${seconds.toFixed(3)} s`,
    `<= ${target} s`,
    holds ? 'holds' : 'MISSED',
  ]);

const main = async (): Promise<number> => {
  const { values } = parseArgs({
    options: {
      hosts: { type: 'string', default: '1000' },
      freezing: { type: 'string', default: '100' },
      processes: { type: 'string', default: String(availableParallelism()) },
      json: { type: 'boolean', default: false },
    },
  });
  const machine = describeMachine(ROOT);
  const processes = Number(values.processes);
  const first = await withFleet(Number(values.hosts), processes, measureFirstApply);
  const commands = await withFleet(Number(values.hosts), processes, (fleet) => measureCommands(fleet, ROUNDS));
  const freeze = await withFleet(Number(values.freezing), processes, measureFreeze);
  const leaves = await measureLeaves(ROUNDS);
  const emulated = [...commands, first, freeze];
  if (values.json) process.stdout.write(`${JSON.stringify({ machine, ...values, emulated, leaves }, null, 2)}\n`);
  else {
    const { cpu, cpus, load, commit } = machine;
    const rows = [['FIGURE', 'HOSTS', 'MEASURED', 'TARGET', ''], ...tableOf(emulated, 'emulated'), ...tableOf(leaves, 'real')];
    const lines = [
      `${cpu}, ${cpus} CPUs (load ${load.toFixed(1)} before), Weft commit ${commit}`,
      `Emulated hosts run in ${values.processes} processes beside the caller's, real ones as leaf nodes`,
      '',
      ...[...emulated, ...leaves].map(courseOf),
      '',
      ...table(rows),
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  }
  return [...emulated, ...leaves].every(({ holds }) => holds) ? 0 : 1;
};

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  return 2;
});
