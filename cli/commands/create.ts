import { resolve } from 'node:path';
import type { SessionSummary } from '../../transport/messages.ts';
import type { Command } from '../command.ts';
import { UsageError } from '../options.ts';
import { HELP, localPath, NETWORK_URLS, noMoreWords, refused } from './shared.ts';

/** `Traces will be output to ...`, as far as there is something to say. */
const outputLines = ({ output, snapshot }: SessionSummary): string[] => {
  if (!snapshot) return output === '' ? [] : [`Traces will be output to ${output}`];
  return [
    ...snapshot.outputs.map(({ path }) => `Default snapshot output set to ${path}`),
    'Every channel enabled for this session will be set to mmap output and default to overwrite mode.',
  ];
};

export const create: Command = {
  name: 'create',
  summary: 'Create a recording session',
  usage: 'create [SESSION] [--output=DIR | --set-url=file://DIR | --no-output] [--snapshot]',
  options: [
    ...HELP,
    { long: 'output', short: 'o', value: 'DIR', help: 'Write the trace to DIR' },
    { long: 'set-url', short: 'U', value: 'URL', help: 'The same as file://DIR' },
    ...NETWORK_URLS,
    { long: 'no-output', help: 'Write no trace; with --snapshot: set no snapshot output' },
    refused('no-consumer', 'Obsolete', 'a consumer is started when it is needed; use --no-output to write no trace'),
    { long: 'snapshot', help: 'Keep events in the buffers until `weft snapshot record` writes them' },
    refused(
      'live',
      'Live mode',
      'there is no relay daemon that could serve viewers; `weft rotate` makes what was recorded readable',
      {
        value: 'TIME',
        optional: true,
      },
    ),
    { long: 'shm-path', value: 'DIR', help: 'Ring buffers in files below DIR, for `weft crash`' },
    { long: 'trace-format', short: 'F', value: 'FORMAT', help: 'Trace format: default or ctf-1.8' },
  ],
  async run(environment) {
    const { options } = environment;
    noMoreWords(environment, 1);
    const format = options.get('trace-format') ?? 'default';
    if (format !== 'default' && format !== 'ctf-1.8')
      throw new UsageError(`Trace format ${format} is not supported by this version: traces are CTF 1.8 (ctf-1.8, default)`, 5);
    const destinations = ['output', 'set-url', 'no-output'].filter((long) => options.has(long));
    if (destinations.length > 1) {
      throw new UsageError(`${destinations.map((long) => `--${long}`).join(' and ')} exclude each other`);
    }
    const given = options.get('output') ?? (options.has('set-url') ? localPath(options.get('set-url')!) : undefined);
    const shmPath = options.get('shm-path');
    const [name] = options.words;
    const { session } = await environment.request('session.create', {
      ...(name === undefined ? {} : { name }),
      ...(given === undefined ? {} : { output: resolve(given) }),
      ...(options.has('snapshot') ? { snapshot: true } : {}),
      ...(options.has('no-output') ? { noOutput: true } : {}),
      ...(shmPath === undefined ? {} : { shmPath: resolve(shmPath) }),
    });
    const forgotten = environment.setCurrentSession(session.name);
    const kind = session.snapshot ? 'Snapshot session' : 'Session';
    const shared = session.shmPath === null ? [] : [`Shared memory path set to ${session.shmPath}`];
    return {
      lines: [`${kind} ${session.name} created.`, ...outputLines(session), ...shared],
      json: { session },
      notes: forgotten === null ? [] : [`Warning: ${forgotten}`],
      mi: async () => (await import('../mi/sessions.ts')).created(session),
    };
  },
};
