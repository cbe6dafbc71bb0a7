/** enable-consumer and disable-consumer: where the traces of a stopped session go from its next start on. */
import { resolve } from 'node:path';
import type { SessionSummary } from '../../transport/messages.ts';
import type { Command, Environment, Outcome } from '../command.ts';
import { wantedDestination } from '../network.ts';
import { UsageError } from '../options.ts';
import { HELP, localPath, NETWORK_URLS, noMoreWords, SESSION, sessionOf } from './shared.ts';

const redirected = ({ name, output, destination, ...session }: SessionSummary): Outcome => ({
  lines: [`Traces of session ${name} will be output to ${destination ?? output} from its next start on`],
  json: { session: { name, output, destination, ...session } },
  mi: null,
});

const placeOf = ({ options }: Environment) => {
  const [word] = options.words;
  const pair = options.has('ctrl-url') || options.has('data-url');
  if (word !== undefined && pair) throw new UsageError('A URL and --ctrl-url with --data-url exclude each other');
  const destination = wantedDestination(options, word ?? (pair ? undefined : 'relay:'));
  return destination ? { destination } : { output: resolve(localPath(word!)) };
};

export const enableConsumer: Command = {
  name: 'enable-consumer',
  summary: 'Send the traces of a stopped session somewhere else from its next start on',
  usage: 'enable-consumer [URL] [--session=SESSION] [--ctrl-url=URL --data-url=URL]',
  options: [...HELP, SESSION, ...NETWORK_URLS],
  async run(environment) {
    noMoreWords(environment, 1);
    const place = placeOf(environment);
    return redirected((await environment.request('session.redirect', { session: sessionOf(environment), ...place })).session);
  },
};

export const disableConsumer: Command = {
  name: 'disable-consumer',
  summary: 'Keep the traces of a stopped session on this host from its next start on',
  usage: 'disable-consumer [--session=SESSION]',
  options: [...HELP, SESSION],
  async run(environment) {
    noMoreWords(environment, 0);
    return redirected((await environment.request('session.redirect', { session: sessionOf(environment) })).session);
  },
};
