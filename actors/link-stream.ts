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

/** Packets are acknowledged in order, so what was given back is the beginning. */
export const firstHeld = (spool: Spool, path: string, count: number): number => {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    const [entry] = spool.entries(path, middle, 1);
    if (entry && spool.holds(path, entry)) high = middle;
    else low = middle + 1;
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
  /** Where the last one ends that was taken. */
  #takenTo = 0;
  /** Read ahead. */
  #ahead: readonly SpoolEntry[] = [];
  /** Where the bytes begin that the spool still holds, and where they end. */
  #heldFrom = 0;
  #end = 0;
  /** Acknowledged, and still to be given back: from this byte on, packets that begin there. */
  #releasedTo: number;
  readonly #unreleased: number[] = [];
  /** Numbers of packets whose bytes were not there. */
  readonly #dropped = new Set<number>();

  constructor(spool: Spool, path: string, chunk: string) {
    [this.#spool, this.path, this.chunk] = [spool, path, chunk];
    this.#taken = this.#count = firstHeld(spool, path, spool.count(path));
    const [before] = this.#taken > 0 ? spool.entries(path, this.#taken - 1, 1) : [];
    if (before) this.#takenTo = this.#heldFrom = this.#end = before.offset + before.bytes;
    this.#releasedTo = this.#heldFrom;
  }

  /** Packets that may be sent. */
  get waiting(): number {
    return this.#count - this.#taken;
  }

  get outstanding(): number {
    return this.#outstanding.length;
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
    while (usable > this.#count) {
      const [last] = this.#spool.entries(this.path, usable - 1, 1);
      if (last && (settled === null || last.number < settled)) {
        this.#end = last.offset + last.bytes;
        break;
      }
      usable--;
    }
    this.#count = Math.max(usable, this.#count);
  }

  /** All that is not acknowledged is sent again. */
  begin(): void {
    const [first] = this.#outstanding;
    if (!first) return;
    this.#taken = first.at;
    this.#takenTo = first.entry.offset;
    this.#outstanding.length = 0;
    this.#ahead = [];
  }

  /** True: it was given up before, and may be there this time. */
  revive({ number }: SpoolEntry): boolean {
    return this.#dropped.delete(number);
  }

  take(): SpoolEntry | null {
    const entry = this.#peek();
    if (!entry) return null;
    this.#outstanding.push({ entry, at: this.#taken++ });
    this.#takenTo = entry.offset + entry.bytes;
    this.#ahead = this.#ahead.slice(1);
    return entry;
  }

  /** False: it is not on the way. */
  drop(entry: SpoolEntry): boolean {
    const at = this.#outstanding.findIndex((one) => one.entry === entry);
    if (at < 0) return false;
    this.#outstanding.splice(at, 1);
    this.#dropped.add(entry.number);
    this.#settle();
    return true;
  }

  /** Gives back what is durable elsewhere. Bytes of what was on the way. */
  confirm(number: number): number {
    if (this.#outstanding.length === 0) this.#skip(number);
    let bytes = 0;
    for (let [first] = this.#outstanding; first && first.entry.number <= number; [first] = this.#outstanding) {
      this.#outstanding.shift();
      this.#unreleased.push(first.entry.offset);
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
      this.#unreleased.push(entry.offset);
    }
  }

  /** What is held begins with the first packet that is not acknowledged. */
  #settle(): void {
    this.#heldFrom = this.#outstanding[0]?.entry.offset ?? this.#takenTo;
  }

  /** A disk that cannot even take this back is asked again with the next word. */
  #release(): void {
    if (this.#heldFrom <= this.#releasedTo) return;
    try {
      this.#spool.release(this.path, this.#releasedTo, this.#heldFrom, this.#unreleased);
      this.#releasedTo = this.#heldFrom;
      this.#unreleased.length = 0;
    } catch {
      // It is acknowledged all the same.
    }
  }

  #peek(): SpoolEntry | null {
    if (this.#taken >= this.#count) return null;
    if (this.#ahead.length === 0)
      this.#ahead = this.#spool.entries(this.path, this.#taken, Math.min(ENTRIES_AT_ONCE, this.#count - this.#taken));
    return this.#ahead[0] ?? null;
  }
}
