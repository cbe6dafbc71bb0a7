import { resolve } from 'node:path';
import type { Command } from '../command.ts';
import { UsageError } from '../options.ts';
import { HELP, later, noMoreWords } from './shared.ts';

const localPath = (url: string): string => {
  if (url.startsWith('/')) return url;
  if (url.startsWith('file://')) return url.slice('file://'.length);
  throw new UsageError(`Destination ${url} is not supported by this version: only file:// URLs are`, 5);
};

export const create: Command = {
  name: 'create',
  summary: 'Create a recording session',
  usage: 'create [SESSION] [--output=DIR | --set-url=file://DIR]',
  options: [
    ...HELP,
    { long: 'output', short: 'o', value: 'DIR', help: 'Write the trace to DIR' },
    { long: 'set-url', short: 'U', value: 'URL', help: 'The same as file://DIR' },
    later('ctrl-url', 'Control URL of a relay', { short: 'C', value: 'URL' }),
    later('data-url', 'Data URL of a relay', { short: 'D', value: 'URL' }),
    later('no-output', 'Record to no output'),
    later('no-consumer', 'Obsolete'),
    later('snapshot', 'Snapshot mode'),
    later('live', 'Live mode', { value: 'TIME', optional: true }),
    later('shm-path', 'Ring buffers in files below DIR', { value: 'DIR' }),
    { long: 'trace-format', short: 'F', value: 'FORMAT', help: 'Trace format: default or ctf-1.8' },
  ],
  async run(environment) {
    const { options } = environment;
    noMoreWords(environment, 1);
    const format = options.get('trace-format') ?? 'default';
    if (format !== 'default' && format !== 'ctf-1.8')
      throw new UsageError(`Trace format ${format} is not supported by this version: ctf-1.8 is`, 5);
    if (options.has('output') && options.has('set-url')) throw new UsageError('--output and --set-url exclude each other');
    const given = options.get('output') ?? (options.has('set-url') ? localPath(options.get('set-url')!) : undefined);
    const [name] = options.words;
    const { session } = await environment.request('session.create', {
      ...(name === undefined ? {} : { name }),
      ...(given === undefined ? {} : { output: resolve(given) }),
    });
    environment.setCurrentSession(session.name);
    return { lines: [`Session ${session.name} created.`, `Traces will be output to ${session.output}`], json: { session } };
  },
};
