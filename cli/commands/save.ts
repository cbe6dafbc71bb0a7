/** save: sessions as files that `weft load` makes them from again. */
import { join, resolve } from 'node:path';
import type { Fault } from '../../transport/bus.ts';
import { exitStatusOf, FaultError } from '../../transport/errors.ts';
import type { TriggerView } from '../../transport/trigger-messages.ts';
import { type Command, type Environment, partial } from '../command.ts';
import { UsageError } from '../options.ts';
import { type Format, faultIn, writeSaved } from '../session-file/files.ts';
import { FileFault, type SavedFile, type SavedTrigger, withoutDefaults } from '../session-file/model.ts';
import { userDirectory } from '../session-file/places.ts';
import { belongsTo, savedSession, savedTrigger } from '../session-file/steps.ts';
import { writeXml } from '../session-file/xml.ts';
import { writeYaml } from '../session-file/yaml.ts';
import { HELP, noMoreWords } from './shared.ts';

const formatOf = ({ options }: Environment): Format => {
  const format = options.get('format') ?? 'xml';
  if (format !== 'xml' && format !== 'yaml') throw new UsageError(`Format ${format} is unknown: xml and yaml are there`);
  return format;
};

/** Null: all. */
const sessionNamed = ({ options }: Environment): string | null => {
  const [name] = options.words;
  if (options.has('all') && name !== undefined) throw new UsageError('A session name and --all exclude each other');
  return name ?? null;
};

/** People want to see how large buffers are; all else that is as usual goes without saying. */
const SHOWN = ['mode', 'subbufSize', 'subbufCount'];
/** Programs that do not know it refuse the whole file. */
const NEW_IN_XML = 'watchdogTimerUs';

const textOf = ({ sessions, triggers }: SavedFile, format: Format, file: string): string => {
  const leaves = (name: string): boolean => (format === 'yaml' ? !SHOWN.includes(name) : name === NEW_IN_XML);
  const lean = { sessions: sessions.map((session) => withoutDefaults(session, leaves)), triggers };
  if (format === 'yaml') return writeYaml(lean);
  try {
    return writeXml(lean);
  } catch (error) {
    if (error instanceof FileFault) throw faultIn(file, error);
    throw error;
  }
};

const ofFleet = ({ actions }: SavedTrigger): boolean =>
  actions.some((action) => action.kind === 'snapshot-session' && action.fleet !== undefined);

const lostIn = (format: Format, name: string, triggers: readonly SavedTrigger[]): string[] =>
  format === 'yaml'
    ? []
    : triggers
        .filter(ofFleet)
        .flatMap((trigger) => [
          `Warning: trigger ${trigger.name} of session ${name} is saved without --fleet: once loaded, it freezes this host alone`,
          '  The XML format has no word for it; save with --format=yaml',
        ]);

const saveOne = async (
  environment: Environment,
  name: string,
  to: { readonly directory: string; readonly format: Format },
  triggers: readonly TriggerView[],
): Promise<{ readonly file: string; readonly notes: readonly string[] }> => {
  const { session } = await environment.request('session.show', { session: name });
  const own = triggers.filter((trigger) => trigger.owner.uid === session.owner.uid).map(savedTrigger);
  const saved = { sessions: [savedSession(session)], triggers: own.filter((trigger) => belongsTo(name, trigger)) };
  const file = join(to.directory, `${name}.${to.format === 'xml' ? 'lttng' : 'yaml'}`);
  writeSaved(file, textOf(saved, to.format, file), environment.options.has('force'));
  return { file, notes: lostIn(to.format, name, saved.triggers) };
};

export const save: Command = {
  name: 'save',
  summary: 'Save sessions with their channels, rules and triggers as files',
  usage: 'save [SESSION | --all] [--output-path=DIR] [--force] [--format=xml|yaml] [--no-triggers]',
  options: [
    ...HELP,
    { long: 'all', short: 'a', help: 'All sessions (default)' },
    { long: 'force', short: 'f', help: 'Replace files that exist' },
    { long: 'output-path', short: 'o', value: 'DIR', help: 'Write to DIR (default: ~/.weft/sessions)' },
    { long: 'no-triggers', help: 'Leave out triggers: LTTng before 2.16 refuses files that hold some' },
    { long: 'format', value: 'FORMAT', help: 'xml (default; LTTng reads it too) or yaml (for people)' },
  ],
  async run(environment) {
    const { options, env } = environment;
    noMoreWords(environment, 1);
    const given = options.get('output-path');
    const to = { directory: given === undefined ? userDirectory(env) : resolve(given), format: formatOf(environment) };
    const named = sessionNamed(environment);
    const all = named === null ? (await environment.request('session.list', {})).sessions.map(({ name }) => name) : [named];
    if (all.length === 0) return { lines: ['No session found, nothing to do.'], json: { sessions: [] } };
    const triggers = options.has('no-triggers') ? [] : (await environment.request('trigger.list', {})).triggers;
    const [sessions, faults, warnings]: [{ name: string; file: string }[], Fault[], string[]] = [[], [], []];
    for (const name of all) {
      try {
        const { file, notes } = await saveOne(environment, name, to, triggers);
        sessions.push({ name, file });
        warnings.push(...notes);
      } catch (error) {
        if (!(error instanceof FaultError)) throw error;
        faults.push(error.fault);
      }
    }
    const each = sessions.map(({ name }) => `Session ${name} saved successfully in ${to.directory}.`);
    const lines = named === null && faults.length === 0 ? ['All sessions have been saved successfully.'] : each;
    const outcome = partial(lines, { sessions }, faults, Math.max(0, ...faults.map(({ code }) => exitStatusOf(code))));
    const notes = [...warnings, ...(outcome.notes ?? [])];
    return { ...outcome, notes, mi: async () => (await import('../mi/saved.ts')).savedSessions(sessions) };
  },
};
