/** Counters of map channels as rows: which are chosen, what is summed, in which order. Pure. */
import { matchesPattern } from '../rules/pattern.ts';
import type { MapChannelView, MapView } from '../transport/map-messages.ts';

export interface MapRow {
  readonly channel: string;
  /** Null: shared counters, or summed over owners (see `per`). */
  readonly uid: number | null;
  /** Null: the counters are a user's, or shared. */
  readonly process: { readonly pid: number; readonly procname: string } | null;
  readonly cpu: number | null;
  readonly key: string;
  readonly value: bigint;
  readonly overflow: boolean;
}

export interface MapChoice {
  readonly per: 'channel' | 'owner' | 'cpu';
  /** Whose counters, one of these; none of them: everybody's. */
  readonly uids: readonly number[] | 'all';
  readonly pids: readonly number[] | 'all';
  readonly shared: boolean;
  /** Null: every CPU. */
  readonly cpus: readonly number[] | null;
  /** Patterns and names; empty: every key. */
  readonly keys: readonly string[];
  readonly globs: readonly string[];
  /** Only values that are not 0. */
  readonly counted: boolean;
  readonly sortBy: 'key' | 'value';
  readonly descending: boolean;
  readonly limit: number | null;
}

/** What `list` says of a map channel. */
export const mapText = (map: MapChannelView): readonly string[] => [
  `- ${map.name}`,
  '',
  '    Key type:         string',
  `    Value type:       signed-int-${map.bits}`,
  `    Max. key count:   ${map.maxKeys}`,
  `    Update policy:    ${map.updatePolicy}`,
  `    Buffer ownership: ${map.ownership}`,
  ...(map.deadProcesses === null ? [] : [`    Dead processes:   ${map.deadProcesses}`]),
  `    Keys:             ${map.keyCount}`,
  '',
];

const chosen = (wanted: readonly number[] | 'all', id: number): boolean => wanted === 'all' || wanted.includes(id);

const ownerChosen = ({ uids, pids, shared }: MapChoice, { uid, process }: Pick<MapRow, 'uid' | 'process'>): boolean => {
  if (uids.length === 0 && pids.length === 0 && !shared) return true;
  if (process) return chosen(pids, process.pid);
  return uid === null ? shared : chosen(uids, uid);
};

const keyChosen = ({ keys, globs }: MapChoice, key: string): boolean =>
  (keys.length === 0 && globs.length === 0) || keys.includes(key) || globs.some((glob) => matchesPattern(glob, key));

/** Every counter of a channel, those that are 0 included. */
export const countersOf = (map: MapView): readonly MapRow[] =>
  map.groups.flatMap(({ uid, process, cpuCount, entries }) => {
    const found = new Map(entries.map(([cpu, key, value, overflow]) => [`${cpu} ${key}`, { value: BigInt(value), overflow }]));
    const cpus = uid === null ? [null] : Array.from({ length: cpuCount }, (_, cpu) => cpu);
    return cpus.flatMap((cpu) =>
      map.keys.map((key, at) => {
        const { value, overflow } = found.get(`${cpu} ${at}`) ?? { value: 0n, overflow: false };
        return { channel: map.name, uid, process, cpu, key, value, overflow };
      }),
    );
  });

const identity = ({ per }: MapChoice, { uid, process, cpu, key }: MapRow): string =>
  JSON.stringify([key, per === 'channel' ? null : [uid, process], per === 'cpu' ? cpu : null]);

const compared = (choice: MapChoice, a: MapRow, b: MapRow): number => {
  const [x, y] = choice.sortBy === 'key' ? [a.key, b.key] : [a.value, b.value];
  const order = x < y ? -1 : x > y ? 1 : 0;
  return choice.descending ? -order : order;
};

export const mapRows = (map: MapView, choice: MapChoice): readonly MapRow[] => {
  const sums = new Map<string, MapRow>();
  for (const row of countersOf(map)) {
    if (!ownerChosen(choice, row) || !keyChosen(choice, row.key)) continue;
    if (choice.cpus !== null && (row.cpu === null || !choice.cpus.includes(row.cpu))) continue;
    const id = identity(choice, row);
    const before = sums.get(id);
    const value = BigInt.asIntN(64, (before?.value ?? 0n) + row.value);
    sums.set(id, { ...(before ?? row), value, overflow: row.overflow || (before?.overflow ?? false) });
  }
  const rows = [...sums.values()].filter(({ value, overflow }) => !choice.counted || value !== 0n || overflow);
  const sorted = rows.sort((a, b) => compared(choice, a, b));
  return choice.limit === null ? sorted : sorted.slice(0, choice.limit);
};
