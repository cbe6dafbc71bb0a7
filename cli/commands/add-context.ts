import { CONTEXT_SPELLINGS, isContextType, isKernelContext } from '../../machines/contexts.ts';
import type { Fault } from '../../transport/bus.ts';
import { exitStatusOf, FaultError, failure } from '../../transport/errors.ts';
import { type Command, partial } from '../command.ts';
import { UsageError } from '../options.ts';
import { CHANNEL, DOMAINS, HELP, needUserspace, noMoreWords, SESSION, sessionOf } from './shared.ts';

/** One that nobody knows is a slip of the fingers: then nothing is added. */
const checkTypes = (types: readonly string[]): void => {
  const unknown = types.find((type) => !isContextType(type) && !isKernelContext(type));
  if (unknown !== undefined) throw failure('context-unknown', { context: unknown });
};

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
    if (options.has('list')) return { lines: CONTEXT_SPELLINGS, json: { types: CONTEXT_SPELLINGS }, mi: null };
    needUserspace(environment);
    noMoreWords(environment, 0);
    if (!options.has('type')) throw new UsageError('Missing mandatory -t TYPE');
    checkTypes(options.all('type'));
    const session = sessionOf(environment);
    const channel = options.get('channel');
    const lines: string[] = [];
    const faults: Fault[] = [];
    const contexts: unknown[] = [];
    const done: { symbol: string; success: boolean }[] = [];
    for (const type of options.all('type')) {
      try {
        const { added } = await environment.request('context.add', {
          session,
          types: [type],
          ...(channel === undefined ? {} : { channel }),
        });
        contexts.push(...added);
        done.push({ symbol: type, success: true });
        lines.push(`ust context ${type} added to ${channel === undefined ? 'all channels' : `channel ${channel}`}`);
      } catch (error) {
        if (!(error instanceof FaultError)) throw error;
        faults.push(error.fault);
        done.push({ symbol: type, success: false });
      }
    }
    const status = Math.max(0, ...faults.map((fault) => exitStatusOf(fault.code)));
    const outcome = partial(lines, { session, contexts }, faults, status);
    return { ...outcome, mi: async () => (await import('../mi/channels.ts')).contextsAdded(done) };
  },
};
