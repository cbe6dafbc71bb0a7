/**
 * What the files of a session's channels may be called, and whether two of them may be called the same. All channels of a session
 * write into one directory: CHANNEL_CPU, or CHANNEL where one ring is for all CPUs; CHANNEL_l_CPU of programs without restartable
 * sequences; with trace files of a size a number comes behind it.
 */
import type { ChannelDocument } from './document.ts';

/** CPUs of one ring set at most (native/ring/layout.h): keeps the stream numbers of a trace apart, too. */
export const CPU_MAX = 4096;
const NAME_BYTES_MAX = 255;
const NUMBER_DIGITS = 10;
const RING = '.reader';
const INDEX = '.idx';
/** Beside the streams there are these (the second while the first is written). */
const TAKEN = new Map([
  ['index', 'the directory of the indexes has that name'],
  ['metadata.tmp', 'the metadata has that name while it is written'],
]);

type Named = Pick<ChannelDocument, 'name'> & {
  readonly attributes: Pick<ChannelDocument['attributes'], 'allocation' | 'tracefileSize' | 'tracefileCount'>;
};

/** BASE and then `_NUMBER` for each bound, NUMBER below it. */
interface Shape {
  readonly base: string;
  readonly bounds: readonly number[];
}

const basesOf = ({ name, attributes }: Named): readonly string[] =>
  attributes.allocation === 'per-channel' ? [name] : [name, lockPrefix(name)];

/** Of the rings of programs without restartable sequences. */
export const lockPrefix = (name: string): string => `${name}_l`;

const shapesOf = (channel: Named, split: boolean): readonly Shape[] => {
  const { allocation, tracefileSize, tracefileCount } = channel.attributes;
  const cpu = allocation === 'per-channel' ? [] : [CPU_MAX];
  const number = split && tracefileSize > 0 ? [tracefileCount || Number.POSITIVE_INFINITY] : [];
  return basesOf(channel).map((base) => ({ base, bounds: [...cpu, ...number] }));
};

/** A name that both may have; null: none. */
export const sharedName = (one: Shape, other: Shape): string | null => {
  const [short, long] = one.base.length <= other.base.length ? [one, other] : [other, one];
  const rest = long.base.startsWith(short.base) ? long.base.slice(short.base.length) : null;
  if (rest === null || !/^(?:_(?:0|[1-9]\d*))*$/.test(rest)) return null;
  const numbers = rest.split('_').slice(1).map(Number);
  if (short.bounds.length !== numbers.length + long.bounds.length) return null;
  return numbers.every((number, at) => number < short.bounds[at]!) ? `${long.base}${'_0'.repeat(long.bounds.length)}` : null;
};

const sharedOf = (ones: readonly Shape[], others: readonly Shape[]): string | null => {
  for (const one of ones)
    for (const other of others) {
      const shared = sharedName(one, other);
      if (shared !== null) return shared;
    }
  return null;
};

/** Rings that lie in files are called like the streams without their numbers. */
const rings = (channel: Named): readonly Shape[] => basesOf(channel).map((base) => ({ base: `${base}${RING}`, bounds: [] }));

/** A file that both channels could write: where they record, in a spool or a snapshot (never split), or `memory` that lies in files. */
export const sharedFile = (one: Named, other: Named, memory: boolean): string | null =>
  sharedOf(shapesOf(one, true), shapesOf(other, true)) ??
  sharedOf(shapesOf(one, false), shapesOf(other, false)) ??
  (memory ? sharedOf(rings(one), rings(other)) : null);

/** Why no file system or trace takes the files of such a channel; null: they can be. */
export const fileCause = (channel: Named): string | null => {
  const { name, attributes } = channel;
  const whole = attributes.allocation === 'per-channel';
  if (whole && TAKEN.has(name)) return `with one ring for all CPUs its file would be \`${name}\`, and ${TAKEN.get(name)}`;
  const suffix = (whole ? 0 : lockPrefix(`_${CPU_MAX - 1}`).length) + (attributes.tracefileSize > 0 ? 1 + NUMBER_DIGITS : 0);
  const most = NAME_BYTES_MAX - suffix - Math.max(INDEX.length, RING.length);
  const bytes = new TextEncoder().encode(name).length;
  return bytes > most ? `it has ${bytes} bytes, and with more than ${most} its files could not be named` : null;
};
