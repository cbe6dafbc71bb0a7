/** Memory of sub-buffers that nobody needs, given back on request. The readers do it; here it is only asked for and added up. */
import type { ChannelDocument, SessionDocument } from '../machines/document.ts';
import type { Reply } from '../transport/bus.ts';
import { failed, refused, succeeded } from '../transport/errors.ts';
import type { CommandRequest } from '../transport/messages.ts';
import type { RingReclaimed } from './consumer-link.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { faultOfRefusal, refusedFrom } from './refused.ts';
import { holdAll } from './ring-registry.ts';

type Wanted = CommandRequest<'channel.reclaim'>;

const ringIdsOf = ({ registries }: SessionDocument, channels: readonly ChannelDocument[]): ReadonlyMap<string, number> =>
  new Map(
    registries
      .flatMap(({ ringSets }) => ringSets)
      .filter(({ channel }) => channels.some(({ id }) => id === channel))
      .map(({ ringId, channel }) => [ringId, channel]),
  );

/** A session that never had a program has no rings, and its consumer may not be there. */
const ask = async (
  parts: DaemonParts,
  { id }: SessionDocument,
  ringIds: readonly string[],
  { ageUs = 0, wait = true }: Wanted,
): Promise<readonly RingReclaimed[]> =>
  ringIds.length === 0 ? [] : (await holdAll(parts, id)).reclaim(id, ringIds, ageUs, wait);

export const reclaimChannels = async (parts: DaemonParts, document: SessionDocument, wanted: Wanted): Promise<Reply> => {
  const names = wanted.channels ?? document.channels.map(({ name }) => name);
  const unknown = names.find((name) => !document.channels.some((channel) => channel.name === name));
  if (unknown !== undefined) return failed('channel-not-found', { session: document.name, channel: unknown });
  const channels = document.channels.filter(({ name }) => names.includes(name));
  const ringIds = ringIdsOf(document, channels);
  try {
    const rings = await ask(parts, document, [...ringIds.keys()], wanted);
    const sum = (channel: number, field: 'reclaimed' | 'pending'): number =>
      rings.filter(({ ringId }) => ringIds.get(ringId) === channel).reduce((total, ring) => total + ring[field], 0);
    const counts = channels.map(({ id, name }) => ({ name, reclaimed: sum(id, 'reclaimed'), pending: sum(id, 'pending') }));
    return succeeded({ channels: counts });
  } catch (thrown) {
    return refused(faultOfRefusal(refusedFrom(thrown).refusal));
  }
};
