import type { Command } from '../command.ts';
import { UsageError } from '../options.ts';
import { triggerLines } from '../trigger-text.ts';
import { parseTriggerWords, TRIGGER_OPTIONS } from '../trigger-words.ts';
import { HELP, noMoreWords } from './shared.ts';

export const addTrigger: Command = {
  name: 'add-trigger',
  summary: 'Add a trigger: what to do when something happens',
  usage: 'add-trigger [--name=NAME] [--owner-uid=UID] --condition=TYPE ARGUMENTS (--action=TYPE ARGUMENTS)...',
  options: [...HELP, ...TRIGGER_OPTIONS],
  raw: true,
  async run(environment) {
    const { name, ownerUid, condition, actions } = parseTriggerWords(environment.words);
    const { trigger } = await environment.request('trigger.add', {
      ...(name === undefined ? {} : { name }),
      ...(ownerUid === undefined ? {} : { ownerUid }),
      condition: condition as never,
      actions: actions as never,
    });
    const mi = async () => (await import('../mi/triggers.ts')).oneTrigger(trigger);
    return { lines: [`Added trigger \`${trigger.name}\`.`], json: { trigger }, mi };
  },
};

export const listTriggers: Command = {
  name: 'list-triggers',
  summary: 'List triggers',
  usage: 'list-triggers',
  options: HELP,
  async run(environment) {
    noMoreWords(environment, 0);
    const { triggers } = await environment.request('trigger.list', {});
    const mi = async () => (await import('../mi/triggers.ts')).triggersListed(triggers);
    return { lines: triggers.flatMap(triggerLines), json: { triggers }, mi };
  },
};

export const removeTrigger: Command = {
  name: 'remove-trigger',
  summary: 'Remove a trigger',
  usage: 'remove-trigger [--owner-uid=UID] NAME',
  options: [...HELP, { long: 'owner-uid', value: 'UID', help: 'Whose trigger it is (root only)' }],
  async run(environment) {
    const { options } = environment;
    noMoreWords(environment, 1);
    const [name] = options.words;
    if (name === undefined) throw new UsageError('Missing trigger name');
    const owner = options.get('owner-uid');
    if (owner !== undefined && !/^\d{1,10}$/.test(owner)) throw new UsageError(`Owner uid ${owner} is no user id`);
    const { trigger } = await environment.request('trigger.remove', {
      name,
      ...(owner === undefined ? {} : { ownerUid: Number(owner) }),
    });
    const mi = async () => (await import('../mi/triggers.ts')).oneTrigger(trigger);
    return { lines: [`Removed trigger \`${trigger.name}\`.`], json: { trigger }, mi };
  },
};
