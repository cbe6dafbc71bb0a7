/** What ring buffers of a channel take, as `--mem-usage` tells it. */
import type { ChannelView } from '../transport/messages.ts';
import { UsageError } from './options.ts';

export const MEMORY_FORMS = ['total', 'compact', 'full'] as const;
export type MemoryForm = (typeof MEMORY_FORMS)[number];

/** Undefined: the option was not given. */
export const memoryForm = (text: string | undefined): MemoryForm | undefined => {
  if (text === undefined) return undefined;
  const form = MEMORY_FORMS.find((one) => one === (text === '' ? 'total' : text));
  if (!form) throw new UsageError(`Memory usage form \`${text}\` is none of: ${MEMORY_FORMS.join(', ')}`);
  return form;
};

type Set = ChannelView['memory'][number];

const sum = (bytes: readonly number[]): number => bytes.reduce((total, one) => total + one, 0);
const ownerOf = ({ scope }: Set): string =>
  scope.kind === 'user' ? `user ${scope.uid}` : `process ${scope.pid} (${scope.procname})`;

export const memoryOf = ({ memory }: ChannelView): number => sum(memory.flatMap(({ rings }) => rings));

export const memoryLines = (channel: ChannelView, form: MemoryForm): string[] => {
  const total = `Memory usage:     ${memoryOf(channel)} bytes`;
  if (form === 'total') return [total];
  const owners = channel.memory.flatMap((set) => {
    const line = `  ${ownerOf(set)}: ${sum(set.rings)} bytes`;
    if (form === 'compact') return [line];
    const one = channel.attributes.allocation === 'per-channel';
    return [line, ...set.rings.map((bytes, cpu) => `    ${one ? 'All CPUs' : `CPU ${cpu}`}: ${bytes} bytes`)];
  });
  return [total, ...owners];
};
