/** Map channels as the answers of commands show them. */
import type { MapChannelDocument, MapGroupDocument } from '../machines/document.ts';
import type { MapChannelView, MapView } from '../transport/map-messages.ts';
import type { DaemonParts } from './daemon-parts.ts';

type Group = MapView['groups'][number];

export const mapChannelViewOf = ({
  name,
  bits,
  maxKeys,
  updatePolicy,
  perProcess,
  keys,
}: MapChannelDocument): MapChannelView => ({
  name,
  bits,
  maxKeys,
  updatePolicy,
  ownership: perProcess ? 'process' : 'user',
  deadProcesses: perProcess?.dead ?? null,
  keyCount: keys.length,
});

const groupOf = (parts: DaemonParts, map: MapChannelDocument, group: MapGroupDocument): Group => {
  const read = parts.maps.read(map, group);
  const entries = [...(read?.cpus ?? [])].map((cpu, at): Group['entries'][number] => [
    cpu,
    read!.slots[at]!,
    String(read!.values[at]!),
    read!.overflows[at] === 1,
  ]);
  const { uid, cpuCount, process } = group;
  return { uid, process: process ? { pid: process.pid, procname: process.procname } : null, cpuCount, entries };
};

const sharedOf = ({ keys, shared }: MapChannelDocument): Group => {
  const entries = Object.entries(shared).map(([key, { value, overflow }]): Group['entries'][number] => [
    null,
    keys.indexOf(key),
    value,
    overflow,
  ]);
  return { uid: null, process: null, cpuCount: 0, entries };
};

export const mapViewOf = (parts: DaemonParts, map: MapChannelDocument): MapView => ({
  ...mapChannelViewOf(map),
  keys: [...map.keys],
  groups: [...map.groups.map((group) => groupOf(parts, map, group)), sharedOf(map)],
});
