import type { ChannelAttributes } from '../../machines/document.ts';
import type { Fault } from '../../transport/bus.ts';
import { exitStatusOf, FaultError } from '../../transport/errors.ts';
import type { ChannelView } from '../../transport/messages.ts';
import { type Command, type Environment, type Outcome, partial } from '../command.ts';
import type { ChannelDone } from '../mi/channels.ts';
import { parseSize, parseTime } from '../numbers.ts';
import { type Parsed, UsageError } from '../options.ts';
import { DOMAINS, HELP, listOf, needUserspace, noMoreWords, SESSION, sessionOf } from './shared.ts';

const ADJUSTED: Readonly<Record<string, string>> = {
  subbufSize: 'Sub-buffer size rounded up to the next power of two',
  subbufCount: 'Sub-buffer count rounded up to the next power of two',
  tracefileSize: 'Trace file size raised to the size of a sub-buffer',
};

type Wanted = { -readonly [K in keyof ChannelAttributes]?: ChannelAttributes[K] };

const number = <T>(options: Parsed, name: string, parse: (text: string) => T | null): T | undefined => {
  const text = options.get(name);
  if (text === undefined) return undefined;
  const value = parse(text);
  if (value === null) throw new UsageError(`Wrong value in --${name} parameter: ${text}`);
  return value;
};

const count = (text: string): number | null => (/^\d+$/.test(text) && Number(text) <= 0x7fff_ffff ? Number(text) : null);

const ownership = (options: Parsed): ChannelAttributes['ownership'] | undefined => {
  const value = options.get('buffer-ownership');
  const asked = [
    ...(options.has('buffers-uid') || value === 'user' ? (['user'] as const) : []),
    ...(options.has('buffers-pid') || value === 'process' ? (['process'] as const) : []),
  ];
  if (value === 'system' || options.has('buffers-global')) {
    throw new UsageError('Buffer ownership `system` belongs to the kernel domain; of the user-space domain are: user, process');
  }
  if (value !== undefined && value !== 'user' && value !== 'process') {
    throw new UsageError(`Buffer ownership \`${value}\` is not one of the user-space domain: user, process`);
  }
  if (new Set(asked).size > 1) throw new UsageError('Buffers belong to a user or to a process, not to both');
  return asked[0];
};

const choice = <T extends string>(options: Parsed, name: string, what: string, known: readonly T[]): T | undefined => {
  const value = options.get(name);
  if (value === undefined) return undefined;
  const found = known.find((one) => one === value);
  if (found === undefined) throw new UsageError(`${what} \`${value}\` is none of: ${known.join(', ')}`);
  return found;
};

const blockingTimeout = (text: string): number | null => (text === 'inf' ? -1 : parseTime(text));

const timer = (text: string): number | null => {
  const us = parseTime(text);
  return us !== null && us <= 0xffff_ffff ? us : null;
};

const files = (text: string): number | null => (/^\d+$/.test(text) && Number(text) <= 0xffff_ffff ? Number(text) : null);

const reclaimPolicy = (text: string): ChannelAttributes['reclaim'] | null => {
  if (text === 'off' || text === 'consumed') return { policy: text, ageUs: 0 };
  const ageUs = text.startsWith('older-than:') ? parseTime(text.slice('older-than:'.length)) : null;
  return ageUs === null ? null : { policy: 'older-than', ageUs };
};

const attributes = (options: Parsed): Wanted => {
  if (options.has('discard') && options.has('overwrite')) throw new UsageError('--discard and --overwrite exclude each other');
  const output = options.get('output');
  if (output !== undefined && output !== 'mmap')
    throw new UsageError(`Output type ${output} is not one of the user-space domain: mmap`);
  const wanted: Wanted = {
    ...(options.has('overwrite') ? { mode: 'overwrite' } : {}),
    ...(options.has('discard') ? { mode: 'discard' } : {}),
  };
  const set = <K extends keyof ChannelAttributes>(key: K, value: ChannelAttributes[K] | undefined) => {
    if (value !== undefined) wanted[key] = value;
  };
  set('subbufSize', number(options, 'subbuf-size', parseSize));
  set('subbufCount', number(options, 'num-subbuf', count));
  set('switchTimerUs', number(options, 'switch-timer', timer));
  set('readTimerUs', number(options, 'read-timer', timer));
  set('monitorTimerUs', number(options, 'monitor-timer', timer));
  set('watchdogTimerUs', number(options, 'watchdog-timer', timer));
  set('blockingTimeoutUs', number(options, 'blocking-timeout', blockingTimeout));
  set('tracefileSize', number(options, 'tracefile-size', parseSize));
  set('tracefileCount', number(options, 'tracefile-count', files));
  set('ownership', ownership(options));
  set('allocation', choice(options, 'buffer-allocation', 'Buffer allocation', ['per-cpu', 'per-channel']));
  set('preallocation', choice(options, 'buffer-preallocation', 'Buffer preallocation', ['preallocate', 'on-demand']));
  set('reclaim', number(options, 'auto-reclaim-memory', reclaimPolicy));
  return wanted;
};

interface Acted {
  readonly lines: readonly string[];
  /** Null: its attributes are not told. */
  readonly channel: ChannelView | null;
}

/** One request per channel name; a failure of one does not keep the others back. */
const forEachName = async (
  environment: Environment,
  what: 'enabled' | 'disabled',
  act: (session: string, name: string) => Promise<Acted>,
): Promise<Outcome> => {
  needUserspace(environment);
  noMoreWords(environment, 1);
  const names = listOf(environment.options.words[0] ?? '');
  if (names.length === 0) throw new UsageError('Missing channel name(s).');
  const session = sessionOf(environment);
  const faults: Fault[] = [];
  const lines: string[] = [];
  const channels: string[] = [];
  const done: ChannelDone[] = [];
  const enabled = what === 'enabled';
  for (const name of names) {
    try {
      const acted = await act(session, name);
      lines.push(...acted.lines, `ust channel ${name} ${what} for session ${session}`);
      channels.push(name);
      done.push({ name, enabled, channel: acted.channel, success: true });
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      faults.push(error.fault);
      done.push({ name, enabled: !enabled, channel: null, success: false });
    }
  }
  const status = Math.max(0, ...faults.map((fault) => exitStatusOf(fault.code)));
  const outcome = partial(lines, { session, channels }, faults, status);
  return { ...outcome, mi: async () => (await import('../mi/channels.ts')).channelsDone(done) };
};

export const enableChannel: Command = {
  name: 'enable-channel',
  summary: 'Create or enable channels',
  usage: 'enable-channel --userspace [--session=SESSION] [OPTIONS] CHANNEL[,CHANNEL]...',
  options: [
    ...HELP,
    ...DOMAINS,
    SESSION,
    { long: 'discard', help: 'When full, discard the newest events (default)' },
    { long: 'overwrite', help: 'When full, overwrite the oldest sub-buffer' },
    { long: 'subbuf-size', value: 'SIZE', help: 'Sub-buffer size (default: 512k per user, 16k per process)' },
    { long: 'num-subbuf', value: 'COUNT', help: 'Sub-buffers per ring buffer (default: 4)' },
    { long: 'switch-timer', value: 'TIME', help: 'Write partly filled sub-buffers at this interval' },
    { long: 'read-timer', value: 'TIME', help: 'How long the reader sleeps at most' },
    { long: 'output', value: 'TYPE', help: 'Output type: mmap' },
    { long: 'buffers-uid', help: 'The same as --buffer-ownership=user' },
    { long: 'buffers-pid', help: 'The same as --buffer-ownership=process' },
    { long: 'buffer-ownership', value: 'OWNER', help: 'Ring buffers per user (default) or process' },
    { long: 'buffers-global', help: 'The same as --buffer-ownership=system: of the kernel domain' },
    { long: 'buffer-allocation', value: 'POLICY', help: 'One ring buffer per-cpu (default) or per-channel' },
    { long: 'buffer-preallocation', value: 'POLICY', help: 'Ring memory: preallocate (default) or on-demand' },
    {
      long: 'auto-reclaim-memory',
      value: 'POLICY',
      help: 'Give memory of consumed sub-buffers back: off (default), consumed or older-than:TIME',
    },
    { long: 'monitor-timer', value: 'TIME', help: 'Sampling interval of triggers and rotation schedules (default: 1s)' },
    { long: 'watchdog-timer', value: 'TIME', help: 'Accepted; no sub-buffer can stall here' },
    { long: 'tracefile-size', short: 'C', value: 'SIZE', help: 'Limit of a trace file (default: none)' },
    { long: 'tracefile-count', short: 'W', value: 'COUNT', help: 'Trace files per stream, then the oldest is overwritten' },
    { long: 'blocking-timeout', value: 'TIME', help: 'How long a program waits for space: TIME or inf (default: 0)' },
  ],
  run: (environment) => {
    const wanted = attributes(environment.options);
    return forEachName(environment, 'enabled', async (session, name) => {
      const { channel, adjusted } = await environment.request('channel.enable', { session, name, attributes: wanted });
      const lines = adjusted.map((attribute) => {
        const value = channel.attributes[attribute as keyof ChannelAttributes];
        return `Warning: ${ADJUSTED[attribute] ?? attribute}: ${value}`;
      });
      return { lines, channel };
    });
  },
};

export const disableChannel: Command = {
  name: 'disable-channel',
  summary: 'Disable channels',
  usage: 'disable-channel --userspace [--session=SESSION] CHANNEL[,CHANNEL]...',
  options: [...HELP, ...DOMAINS, SESSION],
  run: (environment) =>
    forEachName(environment, 'disabled', async (session, name) => {
      await environment.request('channel.disable', { session, name });
      return { lines: [], channel: null };
    }),
};
