/**
 * What applications count by themselves: for each trigger with `incr-map-value`, each point that meets its condition counts into the
 * slot of its key. Slots and memory are in the document before an application hears of them.
 */
import type { ApplicationIdentity } from '../machines/application.ts';
import type { MapChannelDocument, MapGroupDocument, SessionDocument } from '../machines/document.ts';
import { clearedMaps, incremented, mapNamed, mapsOf, withGroup, withKeys } from '../machines/map-edits.ts';
import type { TriggerAction } from '../machines/trigger-document.ts';
import { resolveKey } from '../rules/key-template.ts';
import type { Application, WantedCount } from './application-table.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { GROUPS, mapGeometry } from './maps.ts';
import { type TriggerEntry, watchedPoint } from './trigger-table.ts';
import { inTurn } from './turns.ts';

type Increment = Extract<TriggerAction, { kind: 'incr-map-value' }>;

/** One point that counts under one key. */
interface Match {
  readonly document: SessionDocument;
  readonly map: MapChannelDocument;
  readonly key: string;
  readonly point: number;
  readonly watch: number;
  readonly filter: Buffer;
}

const isIncrement = (action: TriggerAction): action is Increment => action.kind === 'incr-map-value';

/** A session that the trigger's owner may command. */
const sessionFor = (parts: DaemonParts, owner: number, name: string): SessionDocument | undefined =>
  parts.documents
    .all()
    .find((one) => one.name === name && (owner === 0 || owner === parts.place.uid || one.owner.uid === owner));

/** The same for every daemon, so that after a restart the application's count is replaced and not made twice. */
const watchOf = ({ document }: TriggerEntry): number => Number.parseInt(document.id.slice(0, 8), 16);

const matchesOf = (parts: DaemonParts, entry: TriggerEntry, application: Application): readonly Match[] =>
  entry.document.actions.filter(isIncrement).flatMap((action) => {
    const document = sessionFor(parts, entry.document.owner.uid, action.session);
    const map = document?.active ? mapNamed(document, action.channel) : undefined;
    if (!document || !map) return [];
    return [...application.points].flatMap(([point, described]) => {
      const watched = watchedPoint(entry.document, described);
      const key = watched && resolveKey(action.key, described.description.name);
      return watched && key !== null ? [{ document, map, key, point, watch: watchOf(entry), filter: watched.filter }] : [];
    });
  });

const allMatches = (parts: DaemonParts, application: Application): readonly Match[] =>
  parts.triggers
    .all()
    .filter((entry) => !entry.withdrawn)
    .flatMap((entry) => matchesOf(parts, entry, application));

const groupFor = (map: MapChannelDocument, { uid, pid, startedAt }: ApplicationIdentity): MapGroupDocument | undefined =>
  map.groups.find(({ uid: owner, process }) =>
    map.perProcess ? process?.pid === pid && process.startedAt === startedAt : owner === uid,
  );

const wantedOf = (parts: DaemonParts, application: Application): readonly WantedCount[] =>
  allMatches(parts, application).flatMap(({ map, key, point, watch, filter }) => {
    const group = application.identity ? groupFor(map, application.identity) : undefined;
    const fd = group && parts.maps.fd(group.mapId);
    const slot = map.keys.indexOf(key);
    if (!group || fd === undefined || slot < 0) return [];
    const once = map.updatePolicy === 'per-event';
    return [{ mapId: group.mapId, geometry: mapGeometry(map, group), fd, watch, point, slot, once, filter }];
  });

const createGroup = async (
  parts: DaemonParts,
  sessionId: string,
  name: string,
  identity: ApplicationIdentity,
): Promise<void> => {
  const map = mapNamed(parts.documents.current(sessionId), name);
  if (!map || groupFor(map, identity)) return;
  const group = await parts.maps.create(map, identity, parts.keeper);
  const noted = parts.documents.edit(sessionId, (document) => ({
    document: withGroup(document, name, group),
    value: undefined,
  }));
  // Memory that no document knows would be held for ever.
  await noted.catch(async (thrown: unknown) => {
    await parts.releaseMap(group.mapId);
    throw thrown;
  });
  parts.holdMap(parts.documents.current(sessionId), group.mapId);
};

/** Keys and memory that the application's matches lack. */
const provision = async (parts: DaemonParts, application: Application): Promise<void> => {
  const { identity } = application;
  // Of one that is gone meanwhile the counters were taken away, and would never be again.
  if (!identity || parts.applications.find(application.id) !== application) return;
  const wanted = new Map<string, { sessionId: string; name: string; keys: Set<string> }>();
  for (const { document, map, key } of allMatches(parts, application)) {
    const id = `${document.id}/${map.name}`;
    const one = wanted.get(id) ?? { sessionId: document.id, name: map.name, keys: new Set<string>() };
    one.keys.add(key);
    wanted.set(id, one);
  }
  for (const { sessionId, name, keys } of wanted.values()) {
    await parts.documents.edit(sessionId, (document) => ({
      document: withKeys(document, name, [...keys]),
      value: undefined,
    }));
    await createGroup(parts, sessionId, name, identity);
  }
};

/** The application counts what it should, and nothing else; resolves with the errors it answered. */
export const armCounts = async (parts: DaemonParts, application: Application): Promise<readonly string[]> => {
  try {
    await inTurn(parts, GROUPS, () => provision(parts, application));
  } catch (thrown) {
    // A session that is destroyed meanwhile, or memory that is short: the rest counts.
    parts.ports.log.warn('a map has no counters for an application', {
      pid: application.identity?.pid ?? null,
      cause: String(thrown),
    });
  }
  return application.count(wantedOf(parts, application));
};

export const armAllCounts = async (parts: DaemonParts): Promise<readonly string[]> =>
  (await Promise.all(parts.applications.registered().map((application) => armCounts(parts, application)))).flat();

/** Of a condition that no application meets: false when there is no such session or channel. */
export const countShared = async (parts: DaemonParts, owner: number, action: Increment): Promise<boolean> => {
  const found = sessionFor(parts, owner, action.session);
  const key = resolveKey(action.key, null);
  if (!found || key === null || !mapNamed(found, action.channel)) return false;
  if (!found.active) return true;
  await parts.documents.edit(found.id, (document) => ({
    document: incremented(document, action.channel, key),
    value: undefined,
  }));
  return true;
};

/** All counters of a session are 0 again; keys keep their slots. */
export const clearMaps = async (parts: DaemonParts, document: SessionDocument): Promise<void> => {
  for (const map of mapsOf(document)) for (const group of map.groups) parts.maps.clear(map, group);
  await parts.documents.edit(document.id, (current) => ({ document: clearedMaps(current), value: undefined }));
};
