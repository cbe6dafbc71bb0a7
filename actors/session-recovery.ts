/** How a session of a former daemon finds its memory again, and what its document implies. */
import type { RegistryDocument, SessionDocument } from '../machines/document.ts';
import { mapGroupsOf, mapsOf, withoutGroups } from '../machines/map-edits.ts';
import type { Implied } from '../machines/session-setup.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { tellSchedules } from './rotation.ts';
import { nextGeneration } from './scopes.ts';
import { clockOf } from './session-clock.ts';

/** Null: at least one ring of it is gone. The rest is given back, for records of one event id must not lie in two traces. */
const adopted = async (parts: DaemonParts, registry: RegistryDocument): Promise<RegistryDocument | null> => {
  const found = await Promise.all(registry.ringSets.map((set) => parts.rings.adopt(set, parts.keeper)));
  if (!found.includes(false)) return registry;
  for (const { ringId } of registry.ringSets) await parts.rings.abandon(ringId, parts.keeper);
  return null;
};

const renewed = (parts: DaemonParts, document: SessionDocument, registry: RegistryDocument): RegistryDocument => {
  parts.ports.log.warn('the rings of a trace are gone; its events go on in a new one', {
    session: document.name,
    registry: registry.key,
  });
  parts.events.publish(document.owner.uid, 'session', document.name, 'memory-lost', { registry: registry.key });
  return nextGeneration(registry, parts.ports.ids.hex(16));
};

/** Ids of maps whose memory is gone, and with it what was counted. */
const lostMaps = async (parts: DaemonParts, document: SessionDocument): Promise<ReadonlySet<string>> => {
  const lost = new Set<string>();
  for (const map of mapsOf(document)) {
    for (const group of map.groups) {
      if (await parts.maps.adopt(map, group, parts.keeper)) continue;
      lost.add(group.mapId);
      parts.ports.log.warn('the counters of a map are gone', { session: document.name, map: map.name, uid: group.uid });
    }
  }
  return lost;
};

/** After a reboot the monotonic clock began anew, so nothing of the older traces is written on. */
const collect = async (parts: DaemonParts, sessionId: string): Promise<void> => {
  const document = parts.documents.current(sessionId);
  const sameBoot = document.bootId === parts.ports.host.bootId;
  const found = await Promise.all(
    document.registries.map((registry) => (sameBoot ? adopted(parts, registry) : Promise.resolve(null))),
  );
  const lost = await lostMaps(parts, document);
  await parts.documents.edit(sessionId, (whole) => {
    const current = withoutGroups(whole, lost);
    if (sameBoot && !found.includes(null)) return { document: current, value: undefined };
    const registries = current.registries.map((registry, at) => found[at] ?? renewed(parts, current, registry));
    const clock = sameBoot ? current.clock : clockOf(parts);
    return { document: { ...current, registries, clock, bootId: parts.ports.host.bootId }, value: undefined };
  });
};

const impliedBy = ({ active, operation }: SessionDocument): Implied => {
  if (operation?.kind === 'destroying' || operation?.kind === 'stopping') return operation.kind;
  return active ? 'active' : 'inactive';
};

export const recoverSession = async (
  parts: DaemonParts,
  sessionId: string,
): Promise<{ implied: Implied; requestId: string | null }> => {
  await collect(parts, sessionId);
  const document = parts.documents.current(sessionId);
  const session = parts.session(sessionId)!;
  const { uid, gid } = document.owner;
  // What a dead consumer left in the rings is written out, whether the session is active or not; counters have a second holder.
  const memory = mapGroupsOf(document).length + document.registries.flatMap(({ ringSets }) => ringSets).length;
  if (memory > 0) parts.root.send({ type: 'ConsumerNeeded', uid, gid });
  for (const { name, enabled } of document.channels) {
    session.send({ type: 'ChannelSeen', name, enabled, frozen: document.everStarted });
  }
  tellSchedules(parts, sessionId);
  const { rotation } = document;
  if (rotation) {
    session.getSnapshot().context.rotation.send({ type: 'RotationResumed', requestId: rotation.requestId });
  }
  const late = document.operation ? parts.ports.clock.now() - document.operation.deadlineMs : 0;
  if (late > 0) parts.ports.log.warn('an operation is finished late', { session: document.name, lateMs: late });
  return { implied: impliedBy(document), requestId: document.operation?.requestId ?? null };
};
