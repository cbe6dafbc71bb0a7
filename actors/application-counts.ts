/** What one application was told of maps, and the commands that bring it to what it should count. */
import type { MapGeometry } from '../native/addon/index.ts';
import type { WantedCount } from './application-table.ts';

export type CountChange =
  | { readonly kind: 'map'; readonly fields: { map: number; mapId: string; geometry: MapGeometry }; readonly fd: number }
  | {
      readonly kind: 'count';
      readonly fields: { watch: number; point: number; map: number; slot: number; once: boolean; filter: Buffer };
    }
  | { readonly kind: 'uncount'; readonly fields: { watch: number; point: number } }
  | { readonly kind: 'unmap'; readonly fields: { map: number } };

const placeOf = ({ watch, point }: WantedCount): string => `${watch} ${point}`;
const slotOf = ({ mapId, slot }: WantedCount): string => `${mapId} ${slot}`;
const howOf = ({ once, filter }: WantedCount): string => `${once} ${filter.toString('base64')}`;

export class ApplicationCounts {
  /** Handles by map id. */
  readonly #maps = new Map<string, number>();
  /** By trigger and point, by slot: what was said. */
  readonly #told = new Map<string, Map<string, string>>();
  #handles = 0;

  /** In the order in which they are to be sent; taken as told. */
  changes(wanted: readonly WantedCount[]): readonly CountChange[] {
    return [...this.#withdrawn(wanted), ...wanted.flatMap((one) => this.#added(one)), ...this.#unmapped(wanted)];
  }

  forgetPoint(point: number): void {
    for (const place of [...this.#told.keys()]) if (place.endsWith(` ${point}`)) this.#told.delete(place);
  }

  /** A point is withdrawn with all its slots; those that are still wanted are added again. */
  #withdrawn(wanted: readonly WantedCount[]): readonly CountChange[] {
    const kept = new Set(wanted.map((one) => `${placeOf(one)} ${slotOf(one)}`));
    return [...this.#told].flatMap(([place, slots]): CountChange[] => {
      if ([...slots.keys()].every((slot) => kept.has(`${place} ${slot}`))) return [];
      this.#told.delete(place);
      const [watch, point] = place.split(' ').map(Number) as [number, number];
      return [{ kind: 'uncount', fields: { watch, point } }];
    });
  }

  #added(one: WantedCount): readonly CountChange[] {
    const told = this.#told.get(placeOf(one)) ?? new Map<string, string>();
    if (told.get(slotOf(one)) === howOf(one)) return [];
    told.set(slotOf(one), howOf(one));
    this.#told.set(placeOf(one), told);
    const { mapId, geometry, fd, watch, point, slot, once, filter } = one;
    const known = this.#maps.get(mapId);
    const map = known ?? ++this.#handles;
    this.#maps.set(mapId, map);
    const count: CountChange = { kind: 'count', fields: { watch, point, map, slot, once, filter } };
    return known === undefined ? [{ kind: 'map', fields: { map, mapId, geometry }, fd }, count] : [count];
  }

  #unmapped(wanted: readonly WantedCount[]): readonly CountChange[] {
    const used = new Set(wanted.map(({ mapId }) => mapId));
    return [...this.#maps].flatMap(([mapId, map]): CountChange[] => {
      if (used.has(mapId)) return [];
      this.#maps.delete(mapId);
      return [{ kind: 'unmap', fields: { map } }];
    });
  }
}
