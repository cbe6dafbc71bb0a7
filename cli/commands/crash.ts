/** crash: what ring buffers hold that were kept in files (`create --shm-path`) and whose users are gone. Needs no daemon. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { type Extracted, extractRing } from '../../actors/crash-extract.ts';
import type { Command, Environment, Outcome } from '../command.ts';
import { UsageError } from '../options.ts';
import { HELP, noMoreWords } from './shared.ts';
import { version } from './version.ts';
import { viewer } from './view.ts';

/** Nothing could be recovered, as opposed to a part. */
const FATAL = 3;

const causeOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

/** Every ring set below a directory, as its files' name without the ending. */
const ringsBelow = (directory: string): string[] => {
  try {
    if (!statSync(directory).isDirectory()) throw new UsageError(`${directory} is no directory`, FATAL);
    const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
    const files = names.filter((name) => name.endsWith('.ring')).map((name) => join(directory, name.slice(0, -'.ring'.length)));
    return files.sort();
  } catch (thrown) {
    if (thrown instanceof UsageError) throw thrown;
    throw new UsageError(`${directory} cannot be read: ${causeOf(thrown)}`, FATAL);
  }
};

/** A directory that is there already may hold a trace, which is not overwritten. */
const makeTrace = (from: string, to: string): void => {
  mkdirSync(dirname(to), { recursive: true });
  mkdirSync(to, { mode: 0o770 });
  mkdirSync(join(to, 'index'), { mode: 0o770 });
  copyFileSync(join(from, 'metadata'), join(to, 'metadata'));
};

interface Recovered {
  readonly traces: readonly Extracted[];
  readonly faults: readonly string[];
}

const recover = (source: string, target: string, what: 'unread' | 'whole'): Recovered => {
  const traces: Extracted[] = [];
  const faults: string[] = [];
  const made = new Set<string>();
  for (const file of ringsBelow(source)) {
    const directory = join(target, relative(source, dirname(file)));
    try {
      if (!made.has(directory)) makeTrace(dirname(file), directory);
      made.add(directory);
      const extracted = extractRing(file, directory, what);
      traces.push(extracted);
      if (extracted.refused > 0)
        faults.push(`${file}: ${extracted.refused} of its rings hold what is no ring; the rest is extracted`);
    } catch (thrown) {
      faults.push(`${file}: ${causeOf(thrown)}`);
    }
  }
  return { traces, faults };
};

const statusOf = ({ traces, faults }: Recovered): number => {
  if (faults.length === 0) return 0;
  return traces.length === 0 ? FATAL : 1;
};

const notesOf = (environment: Environment, { traces, faults }: Recovered): string[] => [
  ...(environment.verbose || environment.options.has('verbose')
    ? traces.map(({ file, packets, events }) => `${file}: ${events} events in ${packets} packets`)
    : []),
  ...faults.map((fault) => `Error: ${fault}`),
];

const show = (environment: Environment, source: string, what: 'unread' | 'whole'): Outcome => {
  const [command, ...words] = viewer(environment.options.get('viewer'));
  const target = mkdtempSync(join(tmpdir(), 'weft-crash-'));
  try {
    const recovered = recover(source, target, what);
    const notes = notesOf(environment, recovered);
    if (recovered.traces.length === 0) return { lines: [], json: recovered, notes, status: statusOf(recovered) };
    const ran = spawnSync(command!, [...words, target], { stdio: 'inherit' });
    if (ran.error) throw new UsageError(`Viewer ${command} cannot be run: ${ran.error.message}`);
    return { lines: [], json: recovered, notes, status: ran.status === 0 ? statusOf(recovered) : 1 };
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
};

export const crash: Command = {
  name: 'crash',
  summary: 'Recover what ring buffers in files hold after a crash',
  usage: 'crash [--extract=DIR | --viewer=COMMAND] [--all] SHMDIR',
  options: [
    ...HELP,
    { long: 'extract', short: 'x', value: 'DIR', help: 'Write traces to DIR, and show nothing' },
    { long: 'viewer', short: 'e', value: 'COMMAND', help: 'The viewer and its arguments (default: babeltrace2)' },
    { long: 'all', help: 'Also what the written trace has already, as far as the buffers still hold it' },
    { long: 'version', short: 'V', help: 'Show the version' },
    { long: 'verbose', short: 'v', help: 'Tell of each ring buffer' },
  ],
  run(environment) {
    const { options } = environment;
    if (options.has('version')) return version.run(environment);
    noMoreWords(environment, 1);
    const [source] = options.words;
    if (source === undefined)
      throw new UsageError('Which directory? weft crash SHMDIR (`Shared memory path` of weft list SESSION)');
    if (options.has('extract') && options.has('viewer')) throw new UsageError('--extract and --viewer exclude each other');
    const what = options.has('all') ? 'whole' : 'unread';
    if (ringsBelow(resolve(source)).length === 0) throw new UsageError(`No ring buffers lie in files below ${source}`, FATAL);
    const target = options.get('extract');
    if (target === undefined && !environment.json) return Promise.resolve(show(environment, resolve(source), what));
    if (target === undefined) throw new UsageError('--json needs --extract');
    const recovered = recover(resolve(source), resolve(target), what);
    const lines = recovered.traces.length > 0 ? [`Traces extracted to ${resolve(target)}`] : [];
    return Promise.resolve({ lines, json: recovered, notes: notesOf(environment, recovered), status: statusOf(recovered) });
  },
};
