/**
 * Where a link's packets lie at its other ends: a relay that takes over has what comes from then on, the one before keeps what it has.
 * It is noted in the spool, so that the next process goes on with the relay that has the link, and knows the others.
 */
import { z } from 'zod';
import type { LinkPosition } from './link-peer.ts';
import type { Spool } from './ports.ts';

export type LinkPlaceOf = Pick<LinkPosition, 'relay' | 'directory'>;

/** A link that goes back and forth for long is told by its last places. */
const PLACES_MAX = 16;
const NOTE = '.link-places';

const place = z.object({ relay: z.string(), directory: z.string().nullable() });
const noted = z.object({ link: z.string(), current: place, holds: z.boolean(), elsewhere: z.array(place).max(PLACES_MAX) });

const isSame = (one: LinkPlaceOf, other: LinkPlaceOf): boolean =>
  one.relay === other.relay && one.directory === other.directory;

/** Null: none of this link. What a session that was redirected wrote is another one's. */
const readNote = (spool: Pick<Spool, 'file'>, link: string): z.output<typeof noted> | null => {
  try {
    const note = noted.parse(JSON.parse(spool.file(NOTE) ?? 'null'));
    return note.link === link ? note : null;
  } catch {
    return null;
  }
};

export class LinkPlaces {
  /** Of earlier openings that took something, the last one last. */
  elsewhere: readonly LinkPlaceOf[];
  readonly #spool: Pick<Spool, 'file' | 'writeFile'>;
  readonly #link: string;
  #current: LinkPlaceOf | null;
  /** The current one has taken something. */
  #holds: boolean;
  #isNoted = true;

  /** `link`: what the other ends call it. */
  constructor(spool: Pick<Spool, 'file' | 'writeFile'>, link: string) {
    this.#spool = spool;
    this.#link = link;
    const note = readNote(spool, link);
    this.elsewhere = note?.elsewhere ?? [];
    this.#current = note?.current ?? null;
    this.#holds = note?.holds ?? false;
  }

  /** The relay that has the link, or had it when the process before ended. */
  get relay(): string | null {
    return this.#current?.relay ?? null;
  }

  /** Another opening has a place. The one that it left with something in it; null: none. */
  opened({ relay, directory }: LinkPlaceOf): LinkPlaceOf | null {
    const now = { relay, directory };
    const before = this.#current;
    const isStaying = before !== null && isSame(before, now);
    const left = before && !isStaying && this.#holds ? before : null;
    const places = left ? [...this.elsewhere.filter((one) => !isSame(one, left)), left] : this.elsewhere;
    const isBack = places.some((one) => isSame(one, now));
    this.elsewhere = places.filter((one) => !isSame(one, now)).slice(-PLACES_MAX);
    this.#current = now;
    this.#holds = isBack || (isStaying && this.#holds);
    if (!isStaying || !this.#isNoted) this.#write();
    return left;
  }

  /** The current one has something durably. */
  took(): void {
    if (this.#holds && this.#isNoted) return;
    this.#holds = true;
    this.#write();
  }

  /** What the disk does not take is written with the next change. */
  #write(): void {
    const note = { link: this.#link, current: this.#current, holds: this.#holds, elsewhere: this.elsewhere };
    try {
      this.#spool.writeFile(NOTE, `${JSON.stringify(note)}\n`);
      this.#isNoted = true;
    } catch {
      this.#isNoted = false;
    }
  }
}
