import type { Fault } from '../../transport/bus.ts';
import { exitStatusOf, FaultError } from '../../transport/errors.ts';
import { type Command, partial } from '../command.ts';
import { UsageError } from '../options.ts';
import { CHANNEL, DOMAINS, HELP, needUserspace, noMoreWords, SESSION, sessionOf } from './shared.ts';

const TYPES = ['vpid', 'vtid', 'procname', 'pthread_id', 'ip', 'cpu_id'];

export const addContext: Command = {
  name: 'add-context',
  summary: 'Add context fields to channels',
  usage: 'add-context --userspace [--session=SESSION] [--channel=CHANNEL] --type=TYPE [--type=TYPE]... | add-context --list',
  options: [
    ...HELP,
    ...DOMAINS,
    SESSION,
    CHANNEL,
    { long: 'type', short: 't', value: 'TYPE', repeat: true, help: 'Context type' },
    { long: 'list', help: 'List the context types' },
  ],
  async run(environment) {
    const { options } = environment;
    if (options.has('list')) return { lines: TYPES, json: { types: TYPES } };
    needUserspace(environment);
    noMoreWords(environment, 0);
    if (!options.has('type')) throw new UsageError('Missing mandatory -t TYPE');
    const session = sessionOf(environment);
    const channel = options.get('channel');
    const lines: string[] = [];
    const faults: Fault[] = [];
    const contexts: unknown[] = [];
    for (const type of options.all('type')) {
      try {
        const { added } = await environment.request('context.add', {
          session,
          types: [type],
          ...(channel === undefined ? {} : { channel }),
        });
        contexts.push(...added);
        lines.push(`ust context ${type} added to ${channel === undefined ? 'all channels' : `channel ${channel}`}`);
      } catch (error) {
        if (!(error instanceof FaultError)) throw error;
        faults.push(error.fault);
      }
    }
    return partial(lines, { session, contexts }, faults, Math.max(0, ...faults.map((fault) => exitStatusOf(fault.code))));
  },
};
