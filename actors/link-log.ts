/** What a link must know after the death of its process, beside the spool's files: epochs and operations, as lines in the spool. */
import type { Operation } from './link-peer.ts';
import type { Spool } from './ports.ts';

interface Noted {
  readonly number: number;
  readonly operation: Operation;
}

interface Line {
  readonly epoch?: number;
  readonly acked?: number;
  readonly operation?: Operation;
}

export class LinkLog {
  readonly #spool: Spool;
  #epoch = 0;
  #acked = 0;
  #last = 0;
  #operations: Noted[] = [];

  constructor(spool: Spool) {
    this.#spool = spool;
    for (const line of spool.log() as readonly Line[]) this.#read(line);
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Highest operation that is durable at the other end. */
  get acked(): number {
    return this.#acked;
  }

  /** Highest operation that there is. */
  get last(): number {
    return this.#last;
  }

  /** On the disk before anybody else hears of it. */
  nextEpoch(): number {
    this.#note({ epoch: this.#epoch + 1 });
    return this.#epoch;
  }

  /** One that the daemon asks for again is noted once; a clearing means the moment, so each counts. */
  add(operation: Operation): void {
    const text = JSON.stringify(operation);
    if (operation.op !== 'clear' && this.#operations.some((one) => JSON.stringify(one.operation) === text)) return;
    this.#note({ operation });
  }

  /** The other end knows that nothing more comes. */
  get closed(): boolean {
    return this.#acked === this.#last && this.#operations.at(-1)?.operation.op === 'close';
  }

  /** Those that were sent neither. */
  after(number: number): readonly Noted[] {
    return this.#operations.filter((one) => one.number > number);
  }

  upTo(number: number): readonly Noted[] {
    return this.#operations.filter((one) => one.number <= number);
  }

  /** Those that are durable since. */
  confirm(ops: number): readonly Noted[] {
    const upTo = Math.min(ops, this.#last);
    if (upTo <= this.#acked) return [];
    const confirmed = this.after(this.#acked).filter(({ number }) => number <= upTo);
    this.#note({ acked: upTo });
    return confirmed;
  }

  #note(line: Line): void {
    this.#spool.note(line);
    this.#read(line);
  }

  #read({ epoch, acked, operation }: Line): void {
    if (epoch !== undefined) this.#epoch = Math.max(this.#epoch, epoch);
    if (acked !== undefined) this.#acked = Math.max(this.#acked, acked);
    if (operation) this.#operations.push({ number: ++this.#last, operation });
  }
}
