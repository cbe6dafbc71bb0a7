/** One stream file of a spool on its way to the other end: which of its packets are acknowledged, on the way, and still to come. */
import type { Spool, SpoolEntry } from './ports.ts';

const ENTRIES_AT_ONCE = 64;

/** How many packets of a stream are in its files for good, by number; null: all that its index names. */
export type Settled = (path: string) => number | null;

interface Taken {
  readonly entry: SpoolEntry;
  /** Its place in the index. */
  readonly at: number;
}

/** Packets are acknowledged in order, so what was given back is the beginning. What is missing behind it is lost, and not given back. */
export const firstHeld = (spool: Spool, path: string, count: number): number => {
  const released = spool.released(path);
  let [low, high] = [0, released < 0 ? 0 : count];
  while (low < high) {
    const middle = (low + high) >> 1;
    const [entry] = spool.entries(path, middle, 1);
    if (entry && entry.bytes > 0 && entry.number <= released) low = middle + 1;
    else high = middle;
  }
  return low;
};

export class LinkStream {
  readonly path: string;
  readonly chunk: string;
  readonly #spool: Spool;
  /** Entries of the index that were taken to be sent. */
  #taken: number;
  /** Entries that may be taken. */
  #count: number;
  /** Taken, in order, and not acknowledged. */
  readonly #outstanding: Taken[] = [];
  /** Where the last one ends that was taken, and its number. */
  #takenTo = 0;
  #takenNumber = -1;
  /** Read ahead. */
  #ahead: readonly SpoolEntry[] = [];
  /** Where the bytes begin that the spool still holds, and where they end. */
  #heldFrom = 0;
  #end = 0;
  /** Up to this byte all was given back. */
  #releasedTo: number;
  /** Places in the index of packets whose bytes were not there. */
  readonly #lost = new Set<number>();

  constructor(spool: Spool, path: string, chunk: string) {
    [this.#spool, this.path, this.chunk] = [spool, path, chunk];
    this.#taken = this.#count = firstHeld(spool, path, spool.count(path));
    const [before] = this.#taken > 0 ? spool.entries(path, this.#taken - 1, 1) : [];
    if (before) {
      this.#takenTo = this.#heldFrom = this.#end = before.offset + before.bytes;
      this.#takenNumber = before.number;
    }
    this.#releasedTo = this.#heldFrom;
  }

  /** Packets that may be sent. */
  get waiting(): number {
    return this.#count - this.#taken;
  }

  get outstanding(): number {
    return this.#outstanding.length;
  }

  /** Packets that are in the index and not in the file. */
  get lost(): number {
    return this.#lost.size;
  }

  /** Bytes that wait, or are not acknowledged. */
  get bytes(): number {
    return this.#end - this.#heldFrom;
  }

  /** Of them, those that were sent. */
  get sentBytes(): number {
    return this.#takenTo - this.#heldFrom;
  }

  /** What was written since. */
  grow(settled: number | null): void {
    let usable = Math.max(this.#spool.count(this.path), this.#taken);
    let isWhole = false;
    for (let at = usable; at > this.#count && !isWhole; at--) {
      const [last] = this.#spool.entries(this.path, at - 1, 1);
      // One that never came to the disk counts, and does not say where the bytes end.
      isWhole = last !== undefined && last.bytes > 0 && (settled === null || last.number < settled);
      if (isWhole) this.#end = Math.max(this.#end, last!.offset + last!.bytes);
      else if (!last || last.bytes > 0) usable = at - 1;
    }
    this.#count = Math.max(usable, this.#count);
  }

  /** All that is not acknowledged is sent again. */
  begin(): void {
    const [first] = this.#outstanding;
    if (!first) return;
    this.#taken = first.at;
    this.#takenTo = first.entry.offset;
    this.#takenNumber = first.entry.number - 1;
    this.#outstanding.length = 0;
    this.#ahead = [];
  }

  take(): SpoolEntry | null {
    const entry = this.#peek();
    if (!entry) return null;
    this.#lost.delete(this.#taken); // it was given up before, and may be there this time
    this.#outstanding.push({ entry, at: this.#taken++ });
    this.#takenTo = entry.offset + entry.bytes;
    this.#takenNumber = entry.number;
    this.#ahead = this.#ahead.slice(1);
    return entry;
  }

  /** False: it is not on the way. */
  drop(entry: SpoolEntry): boolean {
    const at = this.#outstanding.findIndex((one) => one.entry === entry);
    if (at < 0) return false;
    const [{ at: place }] = this.#outstanding.splice(at, 1) as [Taken];
    this.#lost.add(place);
    this.#settle();
    return true;
  }

  /** Gives back what is durable elsewhere. Bytes of what was on the way. */
  confirm(number: number): number {
    if (this.#outstanding.length === 0) this.#skip(number);
    let bytes = 0;
    for (let [first] = this.#outstanding; first && first.entry.number <= number; [first] = this.#outstanding) {
      this.#outstanding.shift();
      bytes += first.entry.bytes;
    }
    this.#settle();
    this.#release();
    return bytes;
  }

  /** The other end has these already, though this process did not hear it. */
  #skip(number: number): void {
    for (let entry = this.#peek(); entry && entry.number <= number; entry = this.#peek()) {
      this.take();
      this.#outstanding.pop();
    }
  }

  /** What is held begins with the first packet that is not acknowledged. */
  #settle(): void {
    this.#heldFrom = this.#outstanding[0]?.entry.offset ?? this.#takenTo;
  }

  /** A disk that cannot even take this back is asked again with the next word. */
  #release(): void {
    if (this.#heldFrom <= this.#releasedTo) return;
    const [first] = this.#outstanding;
    try {
      this.#spool.release(this.path, this.#releasedTo, this.#heldFrom, first ? first.entry.number - 1 : this.#takenNumber);
      this.#releasedTo = this.#heldFrom;
    } catch {
      // It is acknowledged all the same.
    }
  }

  /** Entries that never came to the disk are passed over. */
  #peek(): SpoolEntry | null {
    while (this.#taken < this.#count) {
      if (this.#ahead.length === 0)
        this.#ahead = this.#spool.entries(this.path, this.#taken, Math.min(ENTRIES_AT_ONCE, this.#count - this.#taken));
      const [entry] = this.#ahead;
      if (entry && entry.bytes > 0 && entry.offset >= this.#takenTo) return entry;
      this.#ahead = this.#ahead.slice(1);
      if (entry) this.#lost.add(this.#taken++);
      else this.#count = this.#taken; // the index was cut
    }
    return null;
  }
}
