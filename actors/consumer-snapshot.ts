/** The consumer's share of a snapshot: what its rings hold, written beside whatever their readers do. */
import type { SnapshotTotals } from '../native/addon/index.ts';
import type { Body } from '../transport/bus.ts';
import type { ConsumerRequest } from './consumer-messages.ts';
import type { ConsumerProcessParts } from './consumer-process.ts';
import { refuse } from './refused.ts';

type Wanted = ConsumerRequest<'snapshot'>;

const causeOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

/** All streams begin at once: their ends are taken at the call. A failure is told when nothing is being written any more. */
const copy = async (parts: ConsumerProcessParts, { rings, maxStreamBytes }: Wanted): Promise<readonly SnapshotTotals[]> => {
  const copies = rings.flatMap(({ ringId, directory }) => {
    const reader = parts.streams.find(ringId)?.reader;
    return reader ? [{ directory, copied: reader.snapshot({ directory, maxStreamBytes }) }] : [];
  });
  const directories = copies.map(({ directory }) => directory);
  parts.copies = [...parts.copies, ...directories];
  const ended = await Promise.allSettled(copies.map(({ copied }) => copied));
  parts.copies = parts.copies.filter((directory) => !directories.includes(directory));
  return ended.map((one, at) => {
    if (one.status === 'fulfilled') return one.value;
    throw refuse('snapshot-failed', { path: copies[at]!.directory, cause: causeOf(one.reason) });
  });
};

/** The rings that a freeze holds go on when they are copied, or cannot be. */
const copyFrozen = async (parts: ConsumerProcessParts, wanted: Wanted): Promise<readonly SnapshotTotals[]> => {
  const { session, freeze } = wanted;
  if (!freeze) return copy(parts, wanted);
  parts.freeze(session)?.send({ type: 'CopyStarted', id: freeze.id });
  parts.freezes.begin(session, freeze.path);
  try {
    return await copy(parts, wanted);
  } finally {
    parts.freeze(session)?.send({ type: 'CopyEnded', id: freeze.id });
  }
};

export const snapshot = async (parts: ConsumerProcessParts, wanted: Wanted): Promise<Body> => {
  const totals = await copyFrozen(parts, wanted);
  const sum = (field: 'packets' | 'bytes' | 'events' | 'refused') => totals.reduce((all, one) => all + one[field], 0n);
  const refused = sum('refused');
  if (refused > 0n)
    parts.ports.log.warn('rings of a snapshot hold nonsense', { session: wanted.session, rings: Number(refused) });
  return { packets: sum('packets'), bytes: sum('bytes'), events: sum('events') };
};
