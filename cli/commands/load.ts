/** load: sessions from files, made by the ordinary commands. Of each file all is made or nothing. */
import { resolve } from 'node:path';
import type { Fault } from '../../transport/bus.ts';
import { exitStatusOf, FaultError, failure } from '../../transport/errors.ts';
import { type Command, type Environment, type Outcome, partial } from '../command.ts';
import { UsageError } from '../options.ts';
import { findUnits, overridden, type Unit } from '../session-file/load-plan.ts';
import { loadUnit } from '../session-file/load-unit.ts';
import { HELP, localPath, noMoreWords } from './shared.ts';

interface Wanted {
  /** Null: all. */
  readonly session: string | null;
  readonly input: string | null;
  readonly output: string | null;
  readonly name: string | null;
}

const wantedOf = ({ options }: Environment): Wanted => {
  const session = options.words[0] ?? null;
  const [input, url, name] = ['input-path', 'override-url', 'override-name'].map((long) => options.get(long) ?? null);
  if (options.has('all') && session !== null) throw new UsageError('A session name and --all exclude each other');
  if (session === null && name != null) throw new UsageError('--override-name needs the name of the session to load');
  return {
    session,
    input: input == null ? null : resolve(input),
    output: url == null ? null : localPath(url),
    name: name ?? null,
  };
};

/** Two files of one session, or a session that is there and is not to be replaced. */
const checkNames = (units: readonly Unit[], present: ReadonlySet<string>, force: boolean): void => {
  const files = new Map<string, string>();
  for (const { path, sessions } of units) {
    for (const { name } of sessions) {
      const other = files.get(name);
      if (other !== undefined) throw failure('saved-session-ambiguous', { session: name, files: `${other}, ${path}` });
      files.set(name, path);
    }
  }
  const taken = force ? undefined : [...files.keys()].find((name) => present.has(name));
  if (taken !== undefined)
    throw failure('session-exists', { session: taken }, 'Give --force to destroy it first, or --override-name=NAME.');
};

const linesOf = (wanted: Wanted, names: readonly string[]): string[] => [
  ...(wanted.output === null ? [] : [`Session output url overridden with ${wanted.output}`]),
  ...(wanted.name === null ? [] : [`Session name overridden with ${wanted.name}`]),
  ...(wanted.session === null
    ? ['All sessions have been loaded successfully']
    : names.map((name) => `Session ${name} has been loaded successfully`)),
];

/** A file that fails keeps no other from being loaded. */
const loadAll = async (
  environment: Environment,
  wanted: Wanted,
  units: readonly Unit[],
  present: ReadonlySet<string>,
): Promise<Outcome> => {
  const [sessions, faults]: [{ name: string; file: string }[], Fault[]] = [[], []];
  for (const unit of units) {
    try {
      await loadUnit(environment, unit, present);
      sessions.push(...unit.sessions.map(({ name }) => ({ name, file: unit.path })));
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      faults.push(error.fault);
    }
  }
  const names = sessions.map(({ name }) => name);
  const forgotten = names.length === 1 ? environment.setCurrentSession(names[0]!) : null;
  const lines =
    faults.length === 0 ? linesOf(wanted, names) : names.map((name) => `Session ${name} has been loaded successfully`);
  const outcome = partial(lines, { sessions }, faults, Math.max(0, ...faults.map(({ code }) => exitStatusOf(code))));
  const notes = [...(outcome.notes ?? []), ...(forgotten === null ? [] : [`Warning: ${forgotten}`])];
  return {
    ...outcome,
    notes,
    mi: async () => (await import('../mi/saved.ts')).loadedSessions(sessions, wanted.name, wanted.output),
  };
};

export const load: Command = {
  name: 'load',
  summary: 'Make sessions from files that `weft save` or LTTng wrote',
  usage: 'load [SESSION | --all] [--input-path=PATH] [--force] [--override-url=URL] [--override-name=NAME] [--no-triggers]',
  options: [
    ...HELP,
    { long: 'all', short: 'a', help: 'All sessions (default)' },
    { long: 'force', short: 'f', help: 'Destroy sessions of the same name first' },
    {
      long: 'input-path',
      short: 'i',
      value: 'PATH',
      help: 'A file or directory (default: ~/.weft/sessions, /etc/weft/sessions)',
    },
    { long: 'override-url', value: 'URL', help: 'Write traces to this directory instead' },
    { long: 'override-name', value: 'NAME', help: 'Call SESSION so' },
    { long: 'no-triggers', help: 'Leave out triggers' },
  ],
  async run(environment) {
    noMoreWords(environment, 1);
    const wanted = wantedOf(environment);
    const bare = environment.options.has('no-triggers');
    const found = findUnits(environment.env, wanted.input, wanted.session).map((unit) => {
      const other = overridden(unit, wanted.session, wanted.output, wanted.name);
      return bare ? { ...other, triggers: [] } : other;
    });
    const present = new Set((await environment.request('session.list', {})).sessions.map(({ name }) => name));
    checkNames(found, present, environment.options.has('force'));
    return loadAll(environment, wanted, found, present);
  },
};
