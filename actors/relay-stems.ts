/**
 * How the files of a link's streams are called: like the stream, unless one of another stream has such a name already (that of CPU 0
 * of a channel `a` with trace files of a size, and that of a channel `a_0`). Hosts refuse such channels; of a host that did not, each
 * stream has files of its own all the same.
 */
import { sharedName } from '../machines/stream-names.ts';
import type { Limits, RelayStream } from './relay-stream.ts';

/** By the path of the stream: what the names of its files begin with. Only of those that are called otherwise. */
export type Stems = Readonly<Record<string, string>>;

/** Paths come from hosts, and may be called like what objects of the language have. */
export const own = <T>(of: Readonly<Record<string, T>>, path: string): T | undefined =>
  Object.hasOwn(of, path) ? of[path] : undefined;

const shapeOf = (base: string, { size, count }: Limits) => ({
  base,
  bounds: size === 0 ? [] : [count || Number.POSITIVE_INFINITY],
});

const isIn = (directory: string, { trace }: RelayStream): boolean => trace === directory;

/** Those with which a stream of that name could share a file. */
const candidates = (streams: ReadonlyMap<string, RelayStream>, stems: Stems, path: string, limits: Limits): RelayStream[] => {
  if (limits.size > 0) return [...streams.values()];
  return [path, path.replace(/_\d+$/, ''), ...Object.keys(stems)].flatMap((one) => streams.get(one) ?? []);
};

/** Null: that of its name. */
export const freeStem = (
  streams: ReadonlyMap<string, RelayStream>,
  stems: Stems,
  path: string,
  limits: Limits,
): string | null => {
  const at = path.lastIndexOf('/');
  const [directory, name] = [path.slice(0, at), path.slice(at + 1)];
  const isFree = (stem: string): boolean =>
    candidates(streams, stems, `${directory}/${stem}`, limits).every(
      (other) => !isIn(directory, other) || sharedName(shapeOf(stem, limits), shapeOf(other.stem, other.limits)) === null,
    );
  if (isFree(name)) return null;
  for (let more = 2; ; more++) if (isFree(`${name}-${more}`)) return `${name}-${more}`;
};

/** Whose a data file is: `chan_0_3` is the fourth file of the stream `chan_0`, if that is split and has its own name. */
export const ownersOf = (limits: Readonly<Record<string, Limits>>, stems: Stems) => {
  const others = new Map(Object.entries(stems).map(([path, stem]) => [path.replace(/[^/]*$/, stem), path]));
  const owner = (place: string): string | null => others.get(place) ?? (own(stems, place) === undefined ? place : null);
  return (data: string): { readonly path: string; readonly file: number } => {
    const split = /^(.*)_(\d+)$/.exec(data);
    const path = split ? owner(split[1]!) : null;
    if (path !== null && own(limits, path)) return { path, file: Number(split![2]) };
    return { path: owner(data) ?? data, file: 0 };
  };
};
