/**
 * The figures of this machine, side by side with LTTng where it is installed: `npm run bench -- [--runs N] [--events N] [--json]`.
 * The two take turns, each figure is the median of the runs. Status 1: a target was missed, or events are
 * unaccounted for; 2: it could not be measured.
 */
import { parseArgs } from 'node:util';
import { ROOT } from '../test/support/weft.ts';
import { type Commands, measureCommands } from './control.ts';
import { describeMachine, type Machine } from './machine.ts';
import { measureDisabled, measureRecording, measureRejected, type Recording } from './measure.ts';
import { accountingErrors, type Results, type Row, rowsOf } from './rows.ts';
import { openLttng, openWeft, type Program, type Tracer } from './tracers.ts';

const CONTEXTS = ['vpid', 'vtid', 'procname'];
const DISABLED_ROUNDS = 5_000_000;

interface Plan {
  readonly runs: number;
  readonly events: number;
  readonly json: boolean;
}

class Collected implements Results {
  readonly one: Recording[] = [];
  readonly contexts: Recording[] = [];
  readonly two: Recording[] = [];
  readonly blocking: Recording[] = [];
  readonly rejected: number[] = [];
  readonly disabled: number[] = [];
  readonly commands: Commands[] = [];
}

const positive = (name: string, text: string): number => {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} ${text}: a whole number above 0`);
  return Number(text);
};

const readPlan = (): Plan => {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '5' },
      events: { type: 'string', default: '10000000' },
      json: { type: 'boolean', default: false },
    },
  });
  return { runs: positive('runs', values.runs), events: positive('events', values.events), json: values.json };
};

const runOnce = async (tracer: Tracer, programs: Record<Program, string>, events: number, into: Collected): Promise<void> => {
  const { producer, disabled } = programs;
  into.disabled.push(measureDisabled(tracer, disabled, DISABLED_ROUNDS));
  into.one.push(measureRecording(tracer, producer, { events, threads: 1 }));
  into.contexts.push(measureRecording(tracer, producer, { events, threads: 1, contexts: CONTEXTS }));
  into.two.push(measureRecording(tracer, producer, { events, threads: 2 }));
  into.blocking.push(measureRecording(tracer, producer, { events, threads: 2, channel: ['--blocking-timeout=inf'] }));
  into.rejected.push(measureRejected(tracer, producer, events));
  into.commands.push(await measureCommands(tracer, programs));
};

const measureAll = async (tracers: readonly Tracer[], { runs, events }: Plan): Promise<Collected[]> => {
  const results = tracers.map(() => new Collected());
  const programs = tracers.map((tracer) => ({
    producer: tracer.compile('producer'),
    disabled: tracer.compile('disabled'),
    paced: tracer.compile('paced'),
  }));
  for (let run = 1; run <= runs; run++) {
    for (const [i, tracer] of tracers.entries()) {
      process.stderr.write(`run ${run} of ${runs}: ${tracer.name}\n`);
      await runOnce(tracer, programs[i]!, events, results[i]!);
    }
  }
  return results;
};

const number = (value: number | null): string => {
  if (value === null || Number.isNaN(value)) return '-';
  return Number.isInteger(value) ? String(value) : value.toFixed(value < 1 ? 3 : 2);
};

const verdict = (holds: boolean | null): string => (holds === null ? '' : holds ? 'holds' : 'MISSED');

const table = (rows: readonly Row[]): string => {
  const cells = [
    ['what', 'unit', 'LTTng', 'Weft', 'ratio', 'target', ''],
    ...rows.map(({ what, unit, weft, lttng, target, holds }) => [
      what,
      unit,
      number(lttng),
      number(weft),
      lttng ? (weft / lttng).toFixed(2) : '-',
      target,
      verdict(holds),
    ]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const numeric = (column: number) => column >= 2 && column <= 4;
  const line = (row: string[]) =>
    row.map((cell, i) => (numeric(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join('  ');
  return cells.map((row) => line(row).trimEnd()).join('\n');
};

const heading = (machine: Machine, tracers: readonly Tracer[], plan: Plan): string =>
  [
    `${machine.cpu}, ${machine.cpus} CPUs, governor ${machine.governor}, Linux ${machine.kernel}, Node ${machine.node}`,
    `Weft commit ${machine.commit}; ${tracers.map(({ version }) => version).join('; ')}`,
    tracers.length === 1 ? 'LTTng is not installed: Weft alone, targets that compare with it are not checked' : '',
    machine.load > 0.5 ? `others use this machine (load ${machine.load.toFixed(1)}): the figures suffer` : '',
    `medians of ${plan.runs} runs of ${plan.events} events per thread, in turn`,
  ]
    .filter((line) => line !== '')
    .join('\n');

const main = async (): Promise<number> => {
  const plan = readPlan();
  const machine = describeMachine(ROOT);
  // An interrupted step throws, and `finally` ends the daemons: this process must only outlive the signal.
  process.on('SIGINT', () => {});
  const tracers: Tracer[] = [];
  try {
    tracers.push(openWeft());
    const lttng = await openLttng();
    if (lttng) tracers.push(lttng);
    if (!plan.json) process.stdout.write(`${heading(machine, tracers, plan)}\n\n`);
    const [weft, other] = await measureAll(tracers, plan);
    const rows = rowsOf(weft!, other ?? null);
    const errors = accountingErrors(weft!);
    const versions = tracers.map(({ version }) => version);
    if (plan.json) process.stdout.write(`${JSON.stringify({ machine, versions, ...plan, rows, errors }, null, 2)}\n`);
    else process.stdout.write(`${[table(rows), ...errors].join('\n')}\n`);
    return errors.length > 0 || rows.some(({ holds }) => holds === false) ? 1 : 0;
  } finally {
    for (const tracer of tracers) tracer.end();
  }
};

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  return 2;
});
