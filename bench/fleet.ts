/**
 * A fleet of emulated hosts on this machine, around a real nats-server: `node bench/fleet.ts [--hosts N] [--processes N] [--json]`. Prints
 * how long `start` and `status` take until the last host has answered, and where the time goes. Status 1: a target was missed.
 *
 * Emulated is what a host has besides its daemon: programs, rings, files, its own bus. Only the caller's host hears the beats of the
 * others, for hearing is a cost of each host alone: on this machine all would pay it at once.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type Course, EmulatedFleet, type Operated } from '../test/support/emulated/fleet.ts';
import { ROOT } from '../test/support/weft.ts';
import { describeMachine } from './machine.ts';
import { median } from './rows.ts';

const ROUNDS = 5;

interface Figure {
  readonly what: string;
  readonly seconds: number;
  readonly target: number;
  readonly holds: boolean;
  readonly course: Course;
}

const must = ({ report, course }: Operated): Course => {
  const [wrong] = report.hosts.filter(({ ok }) => !ok);
  if (wrong) throw new Error(`${wrong.host}: ${wrong.error?.message ?? 'no answer'}`);
  return course;
};

/** The round in the middle is the one that is shown. */
const figureOf = (what: string, target: number, courses: readonly Course[]): Figure => {
  const p50 = median(courses.map(({ wallMs }) => wallMs));
  const course = [...courses].sort((a, b) => a.wallMs - b.wallMs)[courses.length >> 1];
  if (!course) throw new Error('nothing was measured');
  return { what, seconds: p50 / 1000, target, holds: p50 / 1000 <= target, course };
};

const measure = async (fleet: EmulatedFleet): Promise<Figure[]> => {
  const session = 's';
  must(await fleet.operate('session.create', { name: session }));
  must(await fleet.operate('event.enable', { session, pattern: 'weft_test:*' }));
  const starts: Course[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    if (round > 0) must(await fleet.operate('session.stop', { session }));
    starts.push(must(await fleet.operate('session.start', { session }, { all: true })));
  }
  const statuses: Course[] = [];
  for (let round = 0; round < ROUNDS; round++) statuses.push(must(await fleet.operate('session.show', { session })));
  const first = starts.slice(0, 1);
  return [
    figureOf('first start, acknowledged by all', 0.5, first),
    figureOf(`start, acknowledged by all (p50 of ${ROUNDS})`, 0.5, starts),
    figureOf(`status of all (p50 of ${ROUNDS})`, 1, statuses),
  ];
};

const ms = (value: number): string => `${Math.round(value)} ms`;

const textOf = ({ what, seconds, target, holds, course }: Figure): string => {
  const { meantMs, phases, cpu } = course;
  return [
    `${what}: ${seconds.toFixed(3)} s, target <= ${target} s: ${holds ? 'holds' : 'MISSED'}`,
    `  at ${ms(meantMs)} known who is meant`,
    ...phases.map(({ sentMs, firstMs, lastMs }) => `  sent at ${ms(sentMs)}, answers from ${ms(firstMs)} to ${ms(lastMs)}`),
    `  CPU: caller and its host ${ms(cpu.caller)}, all other hosts ${ms(cpu.hosts)}, server ${ms(cpu.server)}`,
  ].join('\n');
};

const main = async (): Promise<number> => {
  const { values } = parseArgs({
    options: {
      hosts: { type: 'string', default: '1000' },
      processes: { type: 'string', default: String(2 * availableParallelism()) },
      json: { type: 'boolean', default: false },
    },
  });
  const machine = describeMachine(ROOT);
  const fleet = await EmulatedFleet.start(Number(values.hosts), Number(values.processes));
  try {
    const figures = await measure(fleet);
    if (values.json) process.stdout.write(`${JSON.stringify({ machine, ...values, figures }, null, 2)}\n`);
    else {
      const { cpu, cpus, load, commit } = machine;
      process.stdout.write(`${cpu}, ${cpus} CPUs (load ${load.toFixed(1)} before), Weft commit ${commit}\n`);
      process.stdout.write(`${values.hosts} emulated hosts in ${values.processes} processes beside the caller's\n\n`);
      process.stdout.write(`${figures.map(textOf).join('\n')}\n`);
    }
    return figures.every(({ holds }) => holds) ? 0 : 1;
  } finally {
    await fleet.dispose();
  }
};

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  return 2;
});
