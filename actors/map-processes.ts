/** Counters of processes that are gone: dropped, or added to the shared ones, as the map channel says. */
import type { MapChannelDocument, MapGroupDocument, RegistryScope } from '../machines/document.ts';
import { type Inherited, mapsOf, withoutGroup } from '../machines/map-edits.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { GROUPS } from './maps.ts';
import { inTurn } from './turns.ts';

interface Owned {
  readonly sessionId: string;
  readonly map: MapChannelDocument;
  readonly group: MapGroupDocument;
  readonly scope: RegistryScope;
}

/** All groups that belong to one process each. */
const ownedGroups = (parts: DaemonParts): readonly Owned[] =>
  parts.documents.all().flatMap((document) =>
    mapsOf(document).flatMap((map) =>
      map.groups.flatMap((group): Owned[] => {
        const { uid, process } = group;
        return process ? [{ sessionId: document.id, map, group, scope: { kind: 'process', uid, ...process } }] : [];
      }),
    ),
  );

const inheritedOf = (parts: DaemonParts, map: MapChannelDocument, group: MapGroupDocument): readonly Inherited[] => {
  const read = map.perProcess?.dead === 'drop' ? null : parts.maps.read(map, group);
  return [...(read?.slots ?? [])].flatMap((slot, at) => {
    const key = map.keys[slot];
    return key === undefined ? [] : [{ key, value: read!.values[at]!, overflow: read!.overflows[at] === 1 }];
  });
};

const endGroup = async (parts: DaemonParts, { sessionId, map: { name }, group: { mapId } }: Owned): Promise<void> => {
  await parts.documents.edit(sessionId, (document) => {
    const map = mapsOf(document).find((one) => one.name === name);
    const group = map?.groups.find((one) => one.mapId === mapId);
    if (!map || !group) return { document, value: undefined };
    return { document: withoutGroup(document, name, mapId, inheritedOf(parts, map, group)), value: undefined };
  });
  await parts.releaseMap(mapId);
};

/**
 * The groups of processes that are gone, those of `pid` alone unless it is null. One that registered again meanwhile goes on with
 * what it has.
 */
export const endDeadGroups = (parts: DaemonParts, pid: number | null, isGone: (pid: number) => boolean): Promise<void> =>
  inTurn(parts, GROUPS, async () => {
    for (const owned of ownedGroups(parts)) {
      if (pid !== null && owned.group.process?.pid !== pid) continue;
      if (parts.applications.in(owned.scope).length > 0 || !isGone(owned.group.process!.pid)) continue;
      await endGroup(parts, owned).catch((thrown: unknown) =>
        // A session that is destroyed meanwhile; else the counters stay as they are until somebody looks again.
        parts.ports.log.warn('the counters of a dead process stay', { map: owned.map.name, cause: String(thrown) }),
      );
    }
  });

/** Which start the process had, as a former daemon noted it. */
export const countedSince = (parts: DaemonParts, uid: number, pid: number, procname: string): string | null => {
  const found = ownedGroups(parts).find(
    ({ group }) => group.uid === uid && group.process?.pid === pid && group.process.procname === procname,
  );
  return found?.group.process?.startedAt ?? null;
};
