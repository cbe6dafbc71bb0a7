import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TraceFilter } from '../../ctf/filter-table.ts';
import { metadataText, parseTsdl } from '../../ctf/tsdl.ts';
import { MetadataError, type TraceMetadata } from '../../ctf/tsdl-types.ts';
import { unknownNames } from '../../ctf/unknown-names.ts';
import { findTraces, type TraceFiles, type ViewOptions, viewPlan } from '../../ctf/view-plan.ts';
import { loadNative } from '../../native/addon/index.ts';
import { checkFilter } from '../../rules/filter/check.ts';
import { recordedFilter } from '../../rules/filter/recorded.ts';
import type { Command, Environment, Outcome } from '../command.ts';
import { type OptionSpec, UsageError } from '../options.ts';
import { viewLive } from '../view/live.ts';
import { firstMoment, parseMoment } from '../view/moments.ts';
import { reportLines } from '../view/report.ts';
import { unknownFields } from '../view/unknown-fields.ts';
import { wrongFilter } from '../wrong-filter.ts';
import { HELP, listOf, noMoreWords } from './shared.ts';

const onPath = (name: string): boolean => spawnSync('sh', ['-c', 'command -v "$0"', name], { stdio: 'ignore' }).status === 0;

/** A program that shows traces, and its first arguments. */
export const viewer = (given: string | undefined): string[] => {
  if (given !== undefined) return given.split(/\s+/).filter((word) => word !== '');
  const found = ['babeltrace2', 'babeltrace'].find(onPath);
  if (found === undefined) throw new UsageError('No viewer found: install babeltrace2, or name one with --viewer');
  return [found];
};

interface Seen {
  readonly path: string;
  /** Its session is being recorded. */
  readonly active: boolean;
}

const ofSession = async (environment: Environment, session: string): Promise<Seen> => {
  const answer = await environment.request('session.show', { session });
  if (answer.session.output === '') {
    throw new UsageError(`Session ${session} writes no trace: view one of its snapshots with --trace-path`);
  }
  return { path: answer.session.output, active: answer.session.active };
};

/** A word with a slash is a path, any other one a session. */
const chosen = async (environment: Environment): Promise<Seen[]> => {
  const { words } = environment.options;
  const paths = environment.options.all('trace-path').map((path) => ({ path, active: false }));
  const named = words.length > 0 || paths.length > 0 ? words : [environment.currentSession()];
  const seen: Seen[] = [...paths];
  for (const word of named) seen.push(word.includes('/') ? { path: word, active: false } : await ofSession(environment, word));
  return seen;
};

const tracesOf = (seen: readonly Seen[]): TraceFiles[] => {
  const found = seen.flatMap(({ path }) => {
    if (!existsSync(path)) throw new UsageError(`There is no ${path}`);
    const traces = findTraces(path);
    if (traces.length === 0) throw new UsageError(`There is no trace in ${path}: no file named metadata is there or below`);
    return traces;
  });
  return [...new Map(found.map((trace) => [trace.directory, trace])).values()];
};

const metadataOf = ({ directory }: TraceFiles): TraceMetadata =>
  parseTsdl(metadataText(readFileSync(join(directory, 'metadata'))));

const clockBase = (trace: TraceFiles): bigint => {
  const [clock] = metadataOf(trace).clocks;
  return clock ? clock.offsetSeconds * 1_000_000_000n + (clock.offset * 1_000_000_000n) / clock.frequency : 0n;
};

/** Checked before. */
const filterOf = (text: string | undefined): TraceFilter | null => {
  const checked = text === undefined ? null : checkFilter(text, 'trace');
  return checked?.ok ? recordedFilter(checked.root) : null;
};

const optionsOf = ({ options, json, colour }: Environment, traces: readonly TraceFiles[]): ViewOptions => {
  const gmt = options.has('clock-gmt');
  const day = (): Date => {
    const first = firstMoment(traces, clockBase);
    if (first === null) throw new UsageError('The traces have no index that tells their day: write the date too');
    return new Date(Number(first / 1_000_000n));
  };
  const moment = (name: string): bigint | null => {
    const text = options.get(name);
    return text === undefined ? null : parseMoment(name, text, gmt, day);
  };
  const limit = options.get('limit');
  if (limit !== undefined && !/^[1-9]\d{0,17}$/.test(limit))
    throw new UsageError(`Option '--limit': ${limit} is no number of events`);
  const [begin, end] = [moment('begin'), moment('end')];
  return {
    fd: 1,
    json,
    clock: options.has('clock-cycles') ? 'cycles' : options.has('clock-seconds') ? 'seconds' : 'time',
    date: options.has('clock-date'),
    gmt,
    delta: !options.has('no-delta'),
    colour: colour && !json,
    filter: filterOf(options.get('filter')),
    fields: options.all('fields').flatMap(listOf),
    ...(begin === null ? {} : { begin }),
    ...(end === null ? {} : { end }),
    ...(limit === undefined ? {} : { limit: BigInt(limit) }),
  };
};

const note = (text: string): void => void process.stderr.write(`${text}\n`);

const withOwn = async (environment: Environment, seen: readonly Seen[]): Promise<Outcome> => {
  const traces = tracesOf(seen);
  const active = seen.some((one) => one.active);
  if (active) note('The session is running: what its files hold by now is shown.');
  const options = optionsOf(environment, traces);
  try {
    const plan = viewPlan(traces, options, active);
    const mentions = options.filter?.mentions ?? [];
    const unknown = mentions.length === 0 ? null : unknownNames(mentions, traces.map(metadataOf));
    for (const line of unknownFields(unknown ?? [], 'the trace')) note(line);
    const result = await loadNative().viewTraces(plan);
    for (const line of reportLines(result, options.gmt === true)) note(line);
    const failed = result.faults.length > 0 || (result.output !== null && result.output.code !== 'EPIPE');
    return { lines: [], json: undefined, status: failed ? 1 : 0 };
  } catch (error) {
    if (error instanceof MetadataError) throw new UsageError(error.message);
    throw error;
  }
};

const OWN_ONLY = [
  'begin',
  'end',
  'limit',
  'filter',
  'fields',
  'clock-seconds',
  'clock-date',
  'clock-gmt',
  'clock-cycles',
  'no-delta',
];

const withViewer = (environment: Environment, seen: readonly Seen[], [command, ...words]: readonly string[]): Outcome => {
  const own = OWN_ONLY.find((name) => environment.options.has(name));
  if (own !== undefined)
    throw new UsageError(`Option '--${own}' is for the own viewer: leave --viewer away, or give it to the viewer`);
  const running = seen.find((one) => one.active);
  if (running) throw new UsageError(`The session of ${running.path} is running: stop it before another viewer reads its trace`);
  const paths = seen.map(({ path }) => path);
  if (environment.json) return { lines: [], json: { traces: paths, viewer: [command, ...words] } };
  for (const path of paths) note(`Trace directory: ${path}`);
  const ran = spawnSync(command!, [...words, ...paths], { stdio: 'inherit' });
  if (ran.error) throw new UsageError(`Viewer ${command} cannot be run: ${ran.error.message}`);
  return { lines: [], json: null, status: ran.status ?? 1 };
};

const live = (environment: Environment): Promise<Outcome> => {
  const { options, json, colour } = environment;
  const other = ['viewer', 'trace-path', 'begin', 'end', 'fields', 'clock-seconds', 'clock-cycles'].find((name) =>
    options.has(name),
  );
  if (other !== undefined) throw new UsageError(`Options '--live' and '--${other}' exclude each other`);
  noMoreWords(environment, 1);
  const [gmt, date, delta] = [options.has('clock-gmt'), options.has('clock-date'), !options.has('no-delta')];
  return viewLive(environment, options.words[0] ?? environment.currentSession(), { json, colour, gmt, date, delta });
};

const run = async (environment: Environment): Promise<Outcome> => {
  const filter = environment.options.get('filter');
  const wrong = filter === undefined ? null : wrongFilter(filter, 'trace');
  if (wrong) return wrong;
  if (environment.options.has('live')) return live(environment);
  if (environment.inFleet) throw new UsageError('--on is for view --live: traces lie on their hosts, or at a relay');
  if (environment.options.has('rate')) throw new UsageError("Option '--rate' needs --live");
  const given = environment.options.get('viewer');
  const command = given === undefined ? null : viewer(given);
  const seen = await chosen(environment);
  return command === null ? withOwn(environment, seen) : withViewer(environment, seen, command);
};

const OWN: readonly OptionSpec[] = [
  { long: 'begin', value: 'TIME', help: 'Events from this moment on: [YYYY-MM-DD ]HH:MM[:SS[.NNN]], seconds since 1970' },
  { long: 'end', value: 'TIME', help: 'Events up to this moment' },
  { long: 'limit', value: 'N', help: 'The first N events' },
  { long: 'filter', value: 'EXPR', help: 'Only events that it holds for: fields, $ctx.NAME, $app.PROVIDER:NAME' },
  { long: 'fields', value: 'NAMES', repeat: true, help: 'Only these fields and contexts, with commas between' },
  { long: 'clock-seconds', help: 'Times in seconds since 1970' },
  { long: 'clock-date', help: 'Times with their date' },
  { long: 'clock-gmt', help: 'Times in UTC' },
  { long: 'clock-cycles', help: 'Times in ticks of the trace’s clock' },
  { long: 'no-delta', help: 'No time since the event before' },
];

export const view: Command = {
  name: 'view',
  summary: 'Show the events of sessions and traces, by time',
  usage: 'view [SESSION | PATH]... [--trace-path=DIR] [--viewer=COMMAND] | view --live [SESSION]',
  textOnly: true,
  options: [
    ...HELP,
    { long: 'viewer', short: 'e', value: 'COMMAND', help: 'Another viewer, and its arguments' },
    { long: 'trace-path', short: 't', value: 'DIR', repeat: true, help: 'A trace of no session' },
    { long: 'live', help: 'The events of a running session as they happen' },
    { long: 'rate', value: 'N', help: 'With --live: at most N events a second (10000)' },
    ...OWN,
  ],
  run,
};
