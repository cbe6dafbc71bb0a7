/** reclaim-memory: sub-buffers that nobody needs give their memory back, until programs record into them again. */
import type { CommandAnswer } from '../../transport/messages.ts';
import type { Command, Environment } from '../command.ts';
import { parseTime } from '../numbers.ts';
import { UsageError } from '../options.ts';
import { HELP, needUserspace, SESSION, sessionOf } from './shared.ts';

type Reclaimed = CommandAnswer<'channel.reclaim'>['channels'][number];

const ageOf = ({ options }: Environment): number => {
  const text = options.get('older-than');
  if (text === undefined) return 0;
  const us = parseTime(text);
  if (us === null) throw new UsageError(`Wrong value in --older-than parameter: ${text}`);
  return us;
};

/** Null: all. */
const channelsOf = ({ options }: Environment): readonly string[] | null => {
  if (options.has('all') && options.words.length > 0) throw new UsageError('--all and channel names exclude each other');
  if (!options.has('all') && options.words.length === 0) throw new UsageError('Missing channel name(s), or --all');
  return options.has('all') ? null : [...new Set(options.words)];
};

const counts = (reclaimed: number, pending: number): string =>
  `${reclaimed} sub-buffers reclaimed${pending > 0 ? `, ${pending} pending` : ''}`;

const linesOf = (channels: readonly Reclaimed[]): string[] => {
  if (channels.length === 0) return ['No event record channels to reclaim.'];
  const lines = channels.map(
    ({ name, reclaimed, pending }) => `Event record channel \`${name}\`: ${counts(reclaimed, pending)}`,
  );
  const total = (field: 'reclaimed' | 'pending'): number => channels.reduce((sum, channel) => sum + channel[field], 0);
  return channels.length === 1 ? lines : [...lines, `Total: ${counts(total('reclaimed'), total('pending'))}`];
};

export const reclaimMemory: Command = {
  name: 'reclaim-memory',
  summary: 'Give back the memory of sub-buffers that nobody needs',
  usage: 'reclaim-memory --userspace [--session=SESSION] [--older-than=TIME] [--no-wait] (--all | CHANNEL...)',
  options: [
    ...HELP,
    { long: 'userspace', short: 'u', help: 'User-space domain' },
    SESSION,
    { long: 'all', short: 'a', help: 'All channels of the session' },
    { long: 'older-than', value: 'TIME', help: 'Only sub-buffers whose last event is older' },
    { long: 'no-wait', help: 'Do not wait for what is still to be written: it follows by itself' },
  ],
  async run(environment) {
    needUserspace(environment);
    const named = channelsOf(environment);
    const ageUs = ageOf(environment);
    const session = sessionOf(environment);
    const wait = !environment.options.has('no-wait');
    const { channels } = await environment.request('channel.reclaim', {
      session,
      ...(named === null ? {} : { channels: [...named] }),
      ageUs,
      wait,
    });
    const mi = async () => (await import('../mi/channels.ts')).memoryReclaimed(channels);
    return { lines: linesOf(channels), json: { session, channels }, mi };
  },
};
