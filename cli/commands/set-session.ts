import { failure } from '../../transport/errors.ts';
import type { Command } from '../command.ts';
import { UsageError } from '../options.ts';
import { HELP, noMoreWords } from './shared.ts';

export const setSession: Command = {
  name: 'set-session',
  summary: 'Set the current session',
  usage: 'set-session SESSION',
  options: [...HELP],
  async run(environment) {
    noMoreWords(environment, 1);
    const [name] = environment.options.words;
    if (name === undefined) throw new UsageError('Missing session name');
    const { sessions } = await environment.request('session.list', {});
    if (!sessions.some((session) => session.name === name)) throw failure('session-not-found', { session: name });
    const forgotten = environment.setCurrentSession(name);
    if (forgotten !== null) throw new UsageError(forgotten);
    return {
      lines: [`Session set to ${name}`],
      json: { session: { name } },
      mi: async () => (await import('../mi/sessions.ts')).sessionSet(name),
    };
  },
};
