/** regenerate: the metadata with a new sample of the clocks, or the applications' state dump. */
import type { Command, Environment, Outcome } from '../command.ts';
import { UsageError } from '../options.ts';
import { HELP, noMoreWords, SESSION, sessionOf } from './shared.ts';

const OBJECTS = ['metadata', 'statedump'] as const;
type Regenerated = (typeof OBJECTS)[number];

const DONE: Readonly<Record<Regenerated, string>> = {
  metadata: 'Metadata successfully regenerated',
  statedump: 'State dump successfully regenerated',
};

const request = async (environment: Environment, object: Regenerated, mi: NonNullable<Outcome['mi']>): Promise<Outcome> => {
  const session = sessionOf(environment);
  await environment.request('session.regenerate', { session, object });
  return { lines: [`${DONE[object]} for session ${session}`], json: { regenerated: { session, object } }, mi };
};

const objectOf = (word: string | undefined): Regenerated => {
  if (word === undefined) throw new UsageError(`Missing object: ${OBJECTS.join(' or ')}`);
  const object = OBJECTS.find((one) => one === word);
  if (!object) throw new UsageError(`Unknown object to regenerate: ${word} (known: ${OBJECTS.join(', ')})`, 2);
  return object;
};

export const regenerate: Command = {
  name: 'regenerate',
  summary: 'Write the metadata of a session anew, or have programs dump their state again',
  usage: 'regenerate metadata|statedump [--session=SESSION]',
  options: [...HELP, SESSION, { long: 'list-commands', help: 'List what can be regenerated, one per line' }],
  async run(environment) {
    if (environment.options.has('list-commands')) return { lines: OBJECTS, json: { commands: OBJECTS }, mi: null };
    noMoreWords(environment, 1);
    const object = objectOf(environment.options.words[0]);
    return request(environment, object, async () => (await import('../mi/sessions.ts')).regenerated(object));
  },
};

/** The older name: `metadata regenerate`. */
export const metadata: Command = {
  name: 'metadata',
  summary: 'Write the metadata of a session anew (see regenerate)',
  usage: 'metadata regenerate [--session=SESSION]',
  hidden: true,
  options: [...HELP, SESSION, { long: 'list-commands', help: 'List what can be done, one per line' }],
  async run(environment) {
    if (environment.options.has('list-commands'))
      return { lines: ['regenerate'], json: { commands: ['regenerate'] }, mi: null };
    noMoreWords(environment, 1);
    const [verb] = environment.options.words;
    if (verb !== 'regenerate')
      throw new UsageError(`Unknown metadata command: ${verb ?? '(none)'} (known: regenerate)`, verb === undefined ? 1 : 2);
    return request(environment, 'metadata', async () => (await import('../mi/sessions.ts')).metadataDone(verb));
  },
};
