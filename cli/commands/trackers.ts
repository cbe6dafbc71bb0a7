/** track and untrack: which processes a session records. */
import type { TrackedAttribute } from '../../machines/document.ts';
import type { Fault } from '../../transport/bus.ts';
import { exitStatusOf, FaultError } from '../../transport/errors.ts';
import type { CommandAnswer } from '../../transport/messages.ts';
import { type Command, type Environment, partial } from '../command.ts';
import type { TrackerDone } from '../mi/trackers.ts';
import { type OptionSpec, type Parsed, UsageError } from '../options.ts';
import { DOMAINS, HELP, listOf, needUserspace, noMoreWords, SESSION, sessionOf } from './shared.ts';

type Verb = 'track' | 'untrack';
type Answer = CommandAnswer<'tracker.track'>;

const NAMES: Readonly<Record<TrackedAttribute, string>> = {
  vpid: 'virtual process ID',
  vuid: 'virtual user ID',
  vgid: 'virtual group ID',
};

/** By the options' names; programs have no other process id than their virtual one. */
const ATTRIBUTES: readonly (readonly [option: string, attribute: TrackedAttribute])[] = [
  ['vpid', 'vpid'],
  ['pid', 'vpid'],
  ['vuid', 'vuid'],
  ['vgid', 'vgid'],
];

const kernelOnly = (long: string, help: string, instead: string): OptionSpec => ({
  long,
  value: 'LIST',
  optional: true,
  help,
  unsupported: `the kernel's ids are tracked in the kernel domain only; user space has --${instead}`,
});

const OPTIONS: readonly OptionSpec[] = [
  ...HELP,
  ...DOMAINS.filter(({ long }) => long === 'userspace' || long === 'kernel'),
  SESSION,
  { long: 'pid', short: 'p', value: 'LIST', optional: true, help: 'The same as --vpid' },
  { long: 'vpid', value: 'LIST', optional: true, help: 'Process ids, as the processes see them' },
  { long: 'vuid', value: 'LIST', optional: true, help: 'User ids or names' },
  { long: 'vgid', value: 'LIST', optional: true, help: 'Group ids or names' },
  kernelOnly('uid', 'User ids in the kernel', 'vuid'),
  kernelOnly('gid', 'Group ids in the kernel', 'vgid'),
  { long: 'all', short: 'a', help: 'All values of the attributes, which then take no list' },
];

interface Wanted {
  readonly attribute: TrackedAttribute;
  /** Null: all. */
  readonly values: string[] | null;
}

const wantedOf = (options: Parsed): Wanted[] => {
  const wanted = ATTRIBUTES.flatMap(([option, attribute]) =>
    options.all(option).map((text): Wanted => ({ attribute, values: text === '' ? null : listOf(text) })),
  );
  if (wanted.length === 0) throw new UsageError('At least one process attribute is needed: --vpid, --vuid or --vgid');
  const valued = wanted.some(({ values }) => values !== null);
  if (options.has('all') && valued) throw new UsageError('--all and values exclude each other');
  if (!options.has('all') && wanted.some(({ values }) => values === null))
    throw new UsageError('An attribute without values needs --all');
  return wanted;
};

const capital = (text: string): string => `${text[0]!.toUpperCase()}${text.slice(1)}`;

const said = (verb: Verb, { attribute, changed }: Answer, all: boolean): string[] => {
  const name = NAMES[attribute];
  if (all) return [`${capital(name)} tracking policy set to \`${verb === 'track' ? 'include all' : 'exclude all'}\``];
  return changed.map((value) =>
    verb === 'track'
      ? `Added ${value} to the ${name} tracker inclusion set`
      : `Removed ${value} from the ${name} tracker inclusion set`,
  );
};

const warned = (verb: Verb, { attribute, unchanged, policy }: Answer): string[] => {
  const name = NAMES[attribute];
  return unchanged.map((value) => {
    if (verb === 'track') return `Warning: ${value} is already in the ${name} inclusion set`;
    const why = policy === 'include-all' ? `: the ${name} tracker includes all` : '';
    return `Warning: ${value} is not in the ${name} the inclusion set${why}`;
  });
};

const run = async (verb: Verb, environment: Environment) => {
  needUserspace(environment);
  noMoreWords(environment, 0);
  const wanted = wantedOf(environment.options);
  const session = sessionOf(environment);
  const [lines, notes, trackers, faults]: [string[], string[], Answer[], Fault[]] = [[], [], [], []];
  const done: TrackerDone[] = [];
  for (const { attribute, values } of wanted) {
    try {
      const request = { session, attribute, ...(values === null ? {} : { values }) };
      const answer = await environment.request(`tracker.${verb}`, request);
      trackers.push(answer);
      done.push({ attribute, values, success: true });
      lines.push(...said(verb, answer, values === null));
      notes.push(...warned(verb, answer));
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      faults.push(error.fault);
      done.push({ attribute, values, success: false });
    }
  }
  const outcome = partial(lines, { session, trackers }, faults, Math.max(0, ...faults.map(({ code }) => exitStatusOf(code))));
  const mi = async () => (await import('../mi/trackers.ts')).trackersChanged(done);
  return { ...outcome, notes: [...notes, ...(outcome.notes ?? [])], mi };
};

const command = (verb: Verb, summary: string): Command => ({
  name: verb,
  summary,
  usage: `${verb} --userspace [--session=SESSION] (--vpid[=LIST] | --vuid[=LIST] | --vgid[=LIST])... [--all]`,
  options: OPTIONS,
  run: (environment) => run(verb, environment),
});

export const track = command('track', 'Record only the processes with these attributes, or all again');
export const untrack = command('untrack', 'Stop recording the processes with these attributes, or all');
