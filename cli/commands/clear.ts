/** clear: what was recorded and is not archived is forgotten; recording goes on. */
import type { Command } from '../command.ts';
import { onEach } from './lifecycle.ts';
import { HELP } from './shared.ts';

export const clear: Command = {
  name: 'clear',
  summary: 'Empty the buffers and the current chunk of the trace',
  usage: 'clear [SESSION | --all]',
  options: [...HELP, { long: 'all', short: 'a', help: 'All sessions' }],
  run: (environment) =>
    onEach(environment, null, async (session) => {
      await environment.request('session.clear', { session });
      return { name: session, lines: [`Session "${session}" cleared`] };
    }),
};
