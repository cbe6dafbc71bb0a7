/** snapshot: where the snapshots of a session go, and taking one. */
import { resolve } from 'node:path';
import type { SnapshotOutput } from '../../machines/document.ts';
import type { CommandAnswer } from '../../transport/messages.ts';
import type { Command, Environment, Outcome } from '../command.ts';
import type { FrozenSnapshot } from '../freeze-collect.ts';
import { placeOfSnapshots } from '../network.ts';
import { parseSize } from '../numbers.ts';
import { UsageError } from '../options.ts';
import { HELP, NETWORK_URLS, SESSION, sessionOf } from './shared.ts';

const sizeNote = (maxSize: number): string => (maxSize === 0 ? '' : ` (max size: ${maxSize} bytes)`);
const outputLine = ({ id, name, path, maxSize }: SnapshotOutput): string => `[${id}] ${name}: ${path}${sizeNote(maxSize)}`;

const maxSizeOf = ({ options }: Environment): { maxSize?: number } => {
  const given = options.get('max-size');
  if (given === undefined) return {};
  const maxSize = parseSize(given);
  if (maxSize === null) throw new UsageError(`Invalid snapshot size: ${given}`);
  return { maxSize };
};

const nameOf = ({ options }: Environment): { name?: string } => {
  const name = options.get('name');
  return name === undefined ? {} : { name };
};

/** The word behind the action, and no other. */
const wordOf = ({ options }: Environment): string | undefined => {
  const [, word, extra] = options.words;
  if (extra !== undefined) throw new UsageError(`Unknown argument: ${extra}`);
  return word;
};

const addOutput = async (environment: Environment): Promise<Outcome> => {
  const path = placeOfSnapshots(environment.options, wordOf(environment));
  if (path === undefined) throw new UsageError('A destination is needed: weft snapshot add-output (DIR | URL)');
  const session = sessionOf(environment);
  const fields = { session, path, ...nameOf(environment), ...maxSizeOf(environment) };
  const { output } = await environment.request('snapshot.add-output', fields);
  const lines = [`Snapshot output successfully added for session ${session}`, `  ${outputLine(output)}`];
  return { lines, json: { session, output }, mi: async () => (await import('../mi/sessions.ts')).outputAdded(session, output) };
};

const deleteOutput = async (environment: Environment): Promise<Outcome> => {
  const output = wordOf(environment);
  if (output === undefined) throw new UsageError('The id or the name of an output is needed: weft snapshot del-output ID');
  const session = sessionOf(environment);
  const deleted = await environment.request('snapshot.del-output', { session, output });
  const shown = /^\d+$/.test(output) ? `id ${output}` : output;
  const lines = [`Snapshot output ${shown} successfully deleted for session ${session}`];
  const mi = async () => (await import('../mi/sessions.ts')).outputDeleted(session, deleted.output);
  return { lines, json: { session, output: deleted.output }, mi };
};

const listOutputs = async (environment: Environment): Promise<Outcome> => {
  const extra = wordOf(environment);
  if (extra !== undefined) throw new UsageError(`Unknown argument: ${extra}`);
  const session = sessionOf(environment);
  const { outputs } = await environment.request('snapshot.list-output', { session });
  const rows = outputs.length === 0 ? ['None'] : outputs.map(outputLine);
  const lines = [`Snapshot output list for session ${session}`, ...rows.map((row) => `    ${row}`)];
  return {
    lines,
    json: { session, outputs },
    mi: async () => (await import('../mi/sessions.ts')).outputsListed(session, outputs),
  };
};

/** `asked`: the command said where to. */
const whereLines = ({ path, delivered, relay }: CommandAnswer<'snapshot.record'>, asked: boolean): string[] => {
  if (delivered === undefined) return asked ? [`Snapshot written at: ${path}`] : [];
  if (!delivered) return [`Warning: it has not reached ${path} yet; it follows from the spool`];
  return [`Snapshot sent to ${relay?.name || 'the relay'}: ${path}`];
};

const record = async (environment: Environment): Promise<Outcome> => {
  const path = placeOfSnapshots(environment.options, wordOf(environment));
  const destination = path === undefined ? {} : { path };
  const session = sessionOf(environment);
  const fields = { session, ...destination, ...nameOf(environment), ...maxSizeOf(environment) };
  const snapshot = await environment.request('snapshot.record', fields);
  return {
    lines: [`Snapshot recorded successfully for session ${session}`, ...whereLines(snapshot, path !== undefined)],
    json: { session, snapshot },
    mi: async () =>
      (await import('../mi/sessions.ts')).recorded(
        fields.name ?? null,
        path === undefined ? null : snapshot.path,
        fields.maxSize ?? null,
      ),
  };
};

/** Where snapshots of this host's sessions go. */
const localOutputs = async (environment: Environment): Promise<readonly string[]> => {
  const { sessions } = await environment.request('session.list', {});
  return sessions.flatMap(({ snapshot: of }) => (of?.outputs ?? []).map(({ path }) => path));
};

/** Of a command that did a part of what was asked. */
const PARTLY = 4;

const unfinishedNotes = ({ host, session, path }: FrozenSnapshot): string[] => [
  `Warning: ${host}: session ${session}: ${path} is not whole: it is still being written, or its host ended while it was`,
  '  Give the command again in a moment; when it stays so, read that directory as it is.',
];

const absentNote = (host: string): string =>
  `Warning: nothing of ${host} lies there, which saw the event: --from names more directories`;

const collect = async (environment: Environment): Promise<Outcome> => {
  const id = wordOf(environment);
  if (id === undefined) throw new UsageError('The id of a fleet snapshot is needed: weft snapshot collect ID');
  const { options } = environment;
  const { absentFrom, copyFrozen, findFrozen } = await import('../freeze-collect.ts');
  const given = options.all('from').map((path) => resolve(path));
  const roots = given.length > 0 ? given : await localOutputs(environment);
  const found = findFrozen(roots, id);
  if (found.length === 0)
    throw new UsageError(
      `Nothing of snapshot ${id} lies below ${roots.join(', ') || 'any output'}; --from names a directory`,
      1,
    );
  const whole = found.filter(({ complete }) => complete);
  const unfinished = found.filter(({ complete }) => !complete);
  const absent = absentFrom(found, id);
  const notes = [...unfinished.flatMap(unfinishedNotes), ...absent.map(absentNote)];
  if (whole.length === 0) throw new UsageError(['Nothing is collected', ...notes].join('\n'), 1);
  const output = resolve(options.get('output') ?? `snapshot-${id}`);
  const collected = copyFrozen(whole, output);
  const lines = collected.map(({ host, session, path }) => `  ${host}: session ${session}: ${path}`);
  const hosts = new Set(collected.map(({ host }) => host)).size;
  return {
    lines: [`Snapshot ${id} of ${hosts} host${hosts === 1 ? '' : 's'} collected in ${output}`, ...lines],
    json: { id, output, snapshots: collected, unfinished, absent },
    mi: null,
    ...(notes.length > 0 && { notes, status: PARTLY }),
  };
};

const ACTIONS: Readonly<Record<string, (environment: Environment) => Promise<Outcome>>> = {
  'add-output': addOutput,
  'del-output': deleteOutput,
  'list-output': listOutputs,
  record,
  collect,
};

export const snapshot: Command = {
  name: 'snapshot',
  summary: 'Write what the buffers of a snapshot session hold, and say where to',
  usage:
    'snapshot (record [DIR | URL] | collect ID | add-output (DIR | URL) | del-output (ID | NAME) | list-output) [--session=SESSION]',
  options: [
    ...HELP,
    SESSION,
    { long: 'list-commands', help: 'List the actions, one per line' },
    { long: 'name', short: 'n', value: 'NAME', help: 'Name of the output; the directories of its snapshots begin with it' },
    { long: 'max-size', short: 'm', value: 'SIZE', help: 'Largest size of one snapshot; the newest packets that fit' },
    { long: 'output', short: 'o', value: 'DIR', help: 'collect: where to (default: ./snapshot-ID)' },
    { long: 'from', value: 'DIR', repeat: true, help: 'collect: where to look (default: the outputs of this host’s sessions)' },
    ...NETWORK_URLS,
  ],
  async run(environment) {
    const { options } = environment;
    const names = Object.keys(ACTIONS);
    if (options.has('list-commands')) return { lines: names, json: { commands: names }, mi: null };
    const [action] = options.words;
    if (action === undefined) throw new UsageError(`An action is needed: ${names.join(', ')}`);
    const act = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (!act) throw new UsageError(`Unknown action: ${action} (actions: ${names.join(', ')})`, 2);
    return act(environment);
  },
};
