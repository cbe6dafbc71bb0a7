/** Of a fleet that is commanded: how long start, status and apply take, and what they cost. */
import { type Applied, applyOnce } from '../test/support/emulated/applies.ts';
import { type Commanded, type Course, type Cpu, type Operated, operateOver } from '../test/support/emulated/commanded.ts';
import { median } from './rows.ts';

export interface Figure {
  readonly what: string;
  readonly hosts: number;
  readonly seconds: number;
  readonly target: number;
  readonly holds: boolean;
  /** Where the time went. */
  readonly course: readonly string[];
}

export const TARGETS = { start: 0.5, status: 1, apply: 2 } as const;
/** As long as a host may take that has never had a session. */
const LIMIT_MS = 60_000;

const must = ({ report, course }: Operated): Course => {
  const [wrong] = report.hosts.filter(({ ok }) => !ok);
  if (wrong) throw new Error(`${wrong.host}: ${wrong.error?.message ?? 'no answer'}`);
  return course;
};

const ms = (value: number): string => `${Math.round(value)} ms`;

export const cpuText = (cpu: Cpu | null): string[] =>
  cpu ? [`CPU: caller and its host ${ms(cpu.caller)}, all other hosts ${ms(cpu.hosts)}, server ${ms(cpu.server)}`] : [];

const courseText = ({ meantMs, phases, cpu }: Course): string[] => [
  `at ${ms(meantMs)} known who is meant`,
  ...phases.map(({ sentMs, firstMs, lastMs }) => `sent at ${ms(sentMs)}, answers from ${ms(firstMs)} to ${ms(lastMs)}`),
  ...cpuText(cpu),
];

/** The round in the middle is the one whose course is shown. */
const figureOf = <T extends { readonly wallMs: number }>(
  fleet: Commanded,
  what: string,
  target: number,
  rounds: readonly T[],
  text: (round: T) => string[],
): Figure => {
  const seconds = median(rounds.map(({ wallMs }) => wallMs)) / 1000;
  const middle = [...rounds].sort((a, b) => a.wallMs - b.wallMs)[rounds.length >> 1];
  if (!middle) throw new Error('nothing was measured');
  return { what, hosts: fleet.known, seconds, target, holds: seconds <= target, course: text(middle) };
};

const measureStartAndStatus = async (fleet: Commanded, rounds: number): Promise<Figure[]> => {
  const session = 's';
  must(await operateOver(fleet, 'session.create', { name: session }));
  must(await operateOver(fleet, 'event.enable', { session, pattern: 'weft_test:*' }));
  const starts: Course[] = [];
  for (let round = 0; round < rounds; round++) {
    if (round > 0) must(await operateOver(fleet, 'session.stop', { session }));
    starts.push(must(await operateOver(fleet, 'session.start', { session }, { all: true })));
  }
  const statuses: Course[] = [];
  for (let round = 0; round < rounds; round++) statuses.push(must(await operateOver(fleet, 'session.show', { session })));
  must(await operateOver(fleet, 'session.destroy', { session }));
  return [
    figureOf(fleet, 'first start, acknowledged by all', TARGETS.start, starts.slice(0, 1), courseText),
    figureOf(fleet, `start, acknowledged by all (p50 of ${rounds})`, TARGETS.start, starts, courseText),
    figureOf(fleet, `status of all (p50 of ${rounds})`, TARGETS.status, statuses, courseText),
  ];
};

const applyText = ({ askedMs, looks, cpu }: Applied): string[] => [
  `before the write ${ms(askedMs)}: what the hosts have seen`,
  ...looks.map(({ atMs, following }) => `asked all until ${ms(atMs)}: ${following} follow`),
  ...cpuText(cpu),
];

/** From the write into the bucket until the last host says that it follows; a new generation replaces the session of the last one. */
const measureApply = async (fleet: Commanded, rounds: number): Promise<Figure> => {
  const applies: Applied[] = [];
  for (let round = 0; round < rounds; round++) applies.push(await applyOnce(fleet, 'a', `weft_test:*${round}`, LIMIT_MS));
  return figureOf(fleet, `apply, followed by all (p50 of ${rounds})`, TARGETS.apply, applies, applyText);
};

/** On hosts that never had a session: everything is started and compiled for this one. */
export const measureFirstApply = async (fleet: Commanded): Promise<Figure> => {
  const applied = await applyOnce(fleet, 'first', 'weft_test:*', LIMIT_MS);
  return figureOf(fleet, 'first session of all, by apply', TARGETS.apply, [applied], applyText);
};

export const measureCommands = async (fleet: Commanded, rounds: number): Promise<Figure[]> => [
  ...(await measureStartAndStatus(fleet, rounds)),
  await measureApply(fleet, rounds),
];
