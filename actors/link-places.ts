/** Where a link's packets lie at its other ends: a relay that takes over has what comes from then on, the one before keeps what it has. */
import type { LinkPosition } from './link-peer.ts';

export type LinkPlaceOf = Pick<LinkPosition, 'relay' | 'directory'>;

/** A link that goes back and forth for long is told by its last places. */
const PLACES_MAX = 16;

const isSame = (one: LinkPlaceOf, other: LinkPlaceOf): boolean =>
  one.relay === other.relay && one.directory === other.directory;

export class LinkPlaces {
  /** Of earlier openings that took something, the last one last. */
  elsewhere: readonly LinkPlaceOf[] = [];
  #current: LinkPlaceOf | null = null;
  #ackedBytes = 0;

  /** Another opening has a place; `ackedBytes`: of all before. The place that it left with something in it; null: none. */
  opened({ relay, directory }: LinkPlaceOf, ackedBytes: number): LinkPlaceOf | null {
    const place = { relay, directory };
    const before = this.#current;
    const left = before && !isSame(before, place) && ackedBytes > this.#ackedBytes ? before : null;
    if (!before || !isSame(before, place)) this.#ackedBytes = ackedBytes;
    this.#current = place;
    const places = left ? [...this.elsewhere.filter((one) => !isSame(one, left)), left] : this.elsewhere;
    this.elsewhere = places.filter((one) => !isSame(one, place)).slice(-PLACES_MAX);
    return left;
  }
}
