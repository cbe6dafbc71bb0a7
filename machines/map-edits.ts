/** Map channels in a session document: their keys, groups and shared counters. Pure: the caller writes the result. */
import type { Edited } from './channel-edits.ts';
import type { MapChannelDocument, MapGroupDocument, SessionDocument, SharedCounter } from './document.ts';
import { refusal } from './refusal.ts';

/** WEFT_MAP_SLOTS_MAX. */
export const MAP_KEYS_MAX = 2 ** 20;
const NAME_BYTES_MAX = 255;

export type MapWanted = Pick<MapChannelDocument, 'bits' | 'maxKeys' | 'updatePolicy' | 'perProcess'> & {
  readonly name: string | null;
};

export interface MapAnswer {
  readonly name: string;
}

export const mapsOf = (document: SessionDocument): readonly MapChannelDocument[] => document.mapChannels ?? [];

export const mapNamed = (document: SessionDocument, name: string): MapChannelDocument | undefined =>
  mapsOf(document).find((map) => map.name === name);

export const mapGroupsOf = (document: SessionDocument): readonly MapGroupDocument[] =>
  mapsOf(document).flatMap(({ groups }) => groups);

const ZERO: SharedCounter = { value: '0', overflow: false };
const ONE = { value: 1n, overflow: false };

/** As the memory of applications counts: the largest number is followed by the smallest. */
const sum = (before: SharedCounter, { value, overflow }: Omit<Inherited, 'key'>, bits: 32 | 64): SharedCounter => {
  const exact = BigInt(before.value) + value;
  const wrapped = BigInt.asIntN(bits, exact);
  return { value: String(wrapped), overflow: before.overflow || overflow || wrapped !== exact };
};

/** `change` gets every map channel; the document stays the same one when none changed. */
const changed = (document: SessionDocument, change: (map: MapChannelDocument) => MapChannelDocument): SessionDocument => {
  const maps = mapsOf(document).map(change);
  return maps.every((map, at) => map === mapsOf(document)[at]) ? document : { ...document, mapChannels: maps };
};

const changedOne = (
  document: SessionDocument,
  name: string,
  change: (map: MapChannelDocument) => MapChannelDocument,
): SessionDocument => changed(document, (map) => (map.name === name ? change(map) : map));

const freeName = (document: SessionDocument): string => {
  for (let at = 0; ; at++) if (!mapNamed(document, `map${at}`)) return `map${at}`;
};

const nameCause = (name: string): string | null => {
  if (name === '') return 'it is empty';
  if (new TextEncoder().encode(name).length > NAME_BYTES_MAX) return `it has more than ${NAME_BYTES_MAX} bytes`;
  return name.includes('/') || name.includes('\0') ? 'it holds a `/` or a NUL' : null;
};

export const addMap = (document: SessionDocument, wanted: MapWanted): Edited<MapAnswer> => {
  const session = document.name;
  const name = wanted.name ?? freeName(document);
  const cause = nameCause(name);
  if (cause) return { ok: false, refusal: refusal('map-invalid', { channel: name, cause: `of its name: ${cause}` }) };
  if (mapNamed(document, name)) return { ok: false, refusal: refusal('map-exists', { session, channel: name }) };
  const { name: _, ...attributes } = wanted;
  const { maxKeys } = attributes;
  if (maxKeys < 1 || maxKeys > MAP_KEYS_MAX) {
    const range = `it has room for ${maxKeys} keys, 1 to ${MAP_KEYS_MAX} are possible`;
    return { ok: false, refusal: refusal('map-invalid', { channel: name, cause: range }) };
  }
  const map: MapChannelDocument = { name, ...attributes, keys: [], groups: [], shared: {} };
  return { ok: true, document: { ...document, mapChannels: [...mapsOf(document), map] }, answer: { name } };
};

/** Slots for keys that have none; those for which there is no room get none. */
export const withKeys = (document: SessionDocument, name: string, keys: readonly string[]): SessionDocument =>
  changedOne(document, name, (map) => {
    const known = new Set(map.keys);
    const added = [...new Set(keys)].filter((key) => !known.has(key)).slice(0, map.maxKeys - map.keys.length);
    return added.length === 0 ? map : { ...map, keys: [...map.keys, ...added] };
  });

export const withGroup = (document: SessionDocument, name: string, group: MapGroupDocument): SessionDocument =>
  changedOne(document, name, (map) => ({ ...map, groups: [...map.groups, group] }));

/** What a dead process counted: `values` by key. */
export interface Inherited {
  readonly key: string;
  readonly value: bigint;
  readonly overflow: boolean;
}

/** A group is gone, and what is inherited of it is in the shared counters: both at once, so that nothing counts twice. */
export const withoutGroup = (
  document: SessionDocument,
  name: string,
  mapId: string,
  inherited: readonly Inherited[],
): SessionDocument =>
  changedOne(document, name, (map) => {
    if (!map.groups.some((group) => group.mapId === mapId)) return map;
    const groups = map.groups.filter((group) => group.mapId !== mapId);
    const counters = new Map(Object.entries(map.shared));
    for (const one of inherited) counters.set(one.key, sum(counters.get(one.key) ?? ZERO, one, map.bits));
    const shared = Object.fromEntries(counters);
    return { ...map, groups, shared };
  });

/** Without the groups whose memory is gone. */
export const withoutGroups = (document: SessionDocument, gone: ReadonlySet<string>): SessionDocument =>
  changed(document, (map) =>
    map.groups.some(({ mapId }) => gone.has(mapId))
      ? { ...map, groups: map.groups.filter(({ mapId }) => !gone.has(mapId)) }
      : map,
  );

export const incremented = (document: SessionDocument, name: string, key: string): SessionDocument =>
  changedOne(withKeys(document, name, [key]), name, (map) => {
    if (!map.keys.includes(key)) return map;
    const before = Object.hasOwn(map.shared, key) ? map.shared[key]! : ZERO;
    return { ...map, shared: { ...map.shared, [key]: sum(before, ONE, map.bits) } };
  });

export const clearedMaps = (document: SessionDocument): SessionDocument =>
  changed(document, (map) => (Object.keys(map.shared).length === 0 ? map : { ...map, shared: {} }));
