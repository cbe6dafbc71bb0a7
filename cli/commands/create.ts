import { resolve } from 'node:path';
import type { SessionSummary } from '../../transport/messages.ts';
import type { Command } from '../command.ts';
import { networkFields, wantedDestination } from '../network.ts';
import { type Parsed, UsageError } from '../options.ts';
import { HELP, localPath, NETWORK_URLS, noMoreWords, refused } from './shared.ts';

/** `Traces will be output to ...`, as far as there is something to say. */
const outputLines = ({ output, snapshot, destination, liveTimerUs }: SessionSummary): string[] => {
  const live = liveTimerUs === null ? [] : [`Live timer interval set to ${liveTimerUs} us`];
  if (destination !== null) return [`Traces will be output to ${destination}`, ...live];
  if (!snapshot) return output === '' ? [] : [`Traces will be output to ${output}`];
  return [
    ...snapshot.outputs.map(({ path }) => `Default snapshot output set to ${path}`),
    'Every channel enabled for this session will be set to mmap output and default to overwrite mode.',
  ];
};

const needOneDestination = (options: Parsed): void => {
  const given = ['output', 'set-url', 'no-output'].filter((long) => options.has(long)).map((long) => `--${long}`);
  const pair = ['ctrl-url', 'data-url'].some((long) => options.has(long)) ? ['--ctrl-url with --data-url'] : [];
  const all = [...given, ...pair];
  if (all.length > 1) throw new UsageError(`${all.join(' and ')} exclude each other`);
};

export const create: Command = {
  name: 'create',
  summary: 'Create a recording session',
  usage: 'create [SESSION] [--output=DIR | --set-url=URL | --no-output] [--snapshot | --live[=US]]',
  options: [
    ...HELP,
    { long: 'output', short: 'o', value: 'DIR', help: 'Write the trace to DIR' },
    {
      long: 'set-url',
      short: 'U',
      value: 'URL',
      help: 'file://DIR, or a relay: relay:[///SUBDIR], nats://HOST[:PORT][/SUBDIR], net://HOST[:CTRL[:DATA]][/SUBDIR]',
    },
    ...NETWORK_URLS,
    { long: 'no-output', help: 'Write no trace; with --snapshot: set no snapshot output' },
    refused('no-consumer', 'Obsolete', 'a consumer is started when it is needed; use --no-output to write no trace'),
    { long: 'snapshot', help: 'Keep events in the buffers until `weft snapshot record` writes them' },
    { long: 'live', value: 'TIME', optional: true, help: 'For viewers at the relay; TIME in us (default: 1000000)' },
    { long: 'compress', help: 'Compress packets on their way to the relay' },
    { long: 'spool-size', value: 'SIZE', help: 'Bytes that may wait for the relay (default: 4G)' },
    { long: 'shm-path', value: 'DIR', help: 'Ring buffers in files below DIR, for `weft crash`' },
    { long: 'trace-format', short: 'F', value: 'FORMAT', help: 'Trace format: default or ctf-1.8' },
  ],
  async run(environment) {
    const { options } = environment;
    noMoreWords(environment, 1);
    const format = options.get('trace-format') ?? 'default';
    if (format !== 'default' && format !== 'ctf-1.8')
      throw new UsageError(`Trace format ${format} is not supported by this version: traces are CTF 1.8 (ctf-1.8, default)`, 5);
    needOneDestination(options);
    const url = options.get('set-url') ?? (options.has('live') && !options.has('ctrl-url') ? 'relay:' : undefined);
    const destination = wantedDestination(options, url);
    const given = options.get('output') ?? (url !== undefined && !destination ? localPath(url) : undefined);
    const network = networkFields(options, destination);
    const shmPath = options.get('shm-path');
    const [name] = options.words;
    const { session } = await environment.request('session.create', {
      ...(name === undefined ? {} : { name }),
      ...(given === undefined ? {} : { output: resolve(given) }),
      ...(options.has('snapshot') ? { snapshot: true } : {}),
      ...(options.has('no-output') ? { noOutput: true } : {}),
      ...(shmPath === undefined ? {} : { shmPath: resolve(shmPath) }),
      ...network,
    });
    const forgotten = environment.setCurrentSession(session.name);
    const kind = session.snapshot ? 'Snapshot session' : session.liveTimerUs === null ? 'Session' : 'Live session';
    const shared = session.shmPath === null ? [] : [`Shared memory path set to ${session.shmPath}`];
    return {
      lines: [`${kind} ${session.name} created.`, ...outputLines(session), ...shared],
      json: { session },
      notes: forgotten === null ? [] : [`Warning: ${forgotten}`],
      mi: async () => (await import('../mi/sessions.ts')).created(session),
    };
  },
};
