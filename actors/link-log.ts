/**
 * What a link must know after the death of its process, beside the spool's files: `.link` in the spool. A first line of fixed length
 * has epoch and acknowledged operation and is written in place; a line of each operation, with its number, follows. The file has room
 * for some more ahead, so that a disk without room keeps no link from going on.
 */
import { randomInt } from 'node:crypto';
import type { Operation } from './link-peer.ts';
import type { Spool } from './ports.ts';

const HEAD_BYTES = 64;
/** The file is as large as a multiple of this. */
const ROOM_BYTES = 8 << 10;
/** So many operations that are durable are kept: the daemon may ask again for a late one. */
const KEPT = 64;
/** Beyond all epochs that a process before this one may have used without noting them. */
const LEAP = 1 << 20;

interface Noted {
  readonly number: number;
  readonly operation: Operation;
}

/** Also as older processes wrote it: a line for each change, operations counted by their lines. */
interface Line {
  readonly epoch?: number;
  readonly acked?: number;
  readonly number?: number;
  readonly operation?: Operation;
}

const lineOf = (text: string): Line | null => {
  try {
    const line: unknown = JSON.parse(text);
    return typeof line === 'object' ? (line as Line | null) : null;
  } catch {
    return null;
  }
};

const headOf = (epoch: number, acked: number): string => `${JSON.stringify({ epoch, acked }).padEnd(HEAD_BYTES - 1)}\n`;
const textOf = (one: Noted): string => `${JSON.stringify(one)}\n`;

export class LinkLog {
  readonly #spool: Spool;
  #epoch = 0;
  #acked = 0;
  #last = 0;
  /** In order, without gaps. */
  #operations: Noted[] = [];
  /** Null: there is no such file yet, or an older one. */
  #end: number | null = null;
  #room = 0;

  constructor(spool: Spool) {
    this.#spool = spool;
    this.#load(spool.log());
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

  /** On the disk before anybody else hears of it; where the disk takes nothing, one that nobody can have used. */
  nextEpoch(): number {
    try {
      this.#noteHead(this.#epoch + 1, this.#acked);
      this.#epoch++;
    } catch {
      this.#epoch += randomInt(1, LEAP);
    }
    return this.#epoch;
  }

  /** The other end knows a later epoch: that of a process before this one, whose disk took nothing. */
  leap(): void {
    this.#epoch += LEAP;
  }

  /** One that the daemon asks for again is noted once; a clearing means the moment, so each counts. */
  add(operation: Operation): void {
    const text = JSON.stringify(operation);
    if (operation.op !== 'clear' && this.#operations.some((one) => JSON.stringify(one.operation) === text)) return;
    const noted = { number: this.#last + 1, operation };
    this.#append(textOf(noted));
    this.#operations.push(noted);
    this.#last++;
  }

  /** The other end knows that nothing more comes. */
  get closed(): boolean {
    return this.#acked === this.#last && this.#operations.at(-1)?.operation.op === 'close';
  }

  /** It knows all else: archives, clearings, notes. */
  get onlyCloseIsLeft(): boolean {
    return this.after(this.#acked).every(({ operation }) => operation.op === 'close');
  }

  at(number: number): Noted | undefined {
    return this.#operations[number - this.#first];
  }

  after(number: number): readonly Noted[] {
    return this.#operations.slice(Math.max(0, number + 1 - this.#first));
  }

  /** As far as they are known still. */
  upTo(number: number): readonly Noted[] {
    return this.#operations.slice(0, Math.max(0, number + 1 - this.#first));
  }

  /** Those that are durable since. What the disk does not take the other end says again at the next opening. */
  confirm(ops: number): readonly Noted[] {
    const upTo = Math.min(ops, this.#last);
    if (upTo <= this.#acked) return [];
    const confirmed = this.after(this.#acked).filter(({ number }) => number <= upTo);
    this.#acked = upTo;
    try {
      this.#noteHead(this.#epoch, upTo);
    } catch {
      // It is noted with the next epoch.
    }
    return confirmed;
  }

  get #first(): number {
    return this.#last - this.#operations.length + 1;
  }

  #noteHead(epoch: number, acked: number): void {
    if (this.#end === null) this.#rewrite(epoch, acked);
    else this.#spool.writeLog(headOf(epoch, acked), 0);
  }

  /** Over whatever a write that failed, or a death, left behind the last whole line. */
  #append(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#end === null) this.#rewrite(this.#epoch, this.#acked);
    if (this.#end! + bytes > this.#room) this.#compact();
    this.#spool.writeLog(line, this.#end!);
    this.#end! += bytes;
    this.#room = Math.max(this.#room, this.#end!);
  }

  #compact(): void {
    this.#operations = this.#operations.filter(({ number }) => number > this.#acked - KEPT);
    try {
      this.#rewrite(this.#epoch, this.#acked);
    } catch {
      // What was there stays, and grows.
    }
  }

  #rewrite(epoch: number, acked: number): void {
    const text = headOf(epoch, acked) + this.#operations.map(textOf).join('');
    const end = Buffer.byteLength(text);
    const room = Math.ceil((end + ROOM_BYTES / 2) / ROOM_BYTES) * ROOM_BYTES;
    this.#spool.replaceLog(text + '\n'.repeat(room - end));
    this.#end = end;
    this.#room = room;
  }

  #load(text: string): void {
    const [head = ''] = text.split('\n', 1);
    const isOlder = head.length !== HEAD_BYTES - 1 || lineOf(head)?.epoch === undefined;
    let at = 0;
    for (const one of text.split('\n').slice(0, -1)) {
      at += Buffer.byteLength(one) + 1;
      const line = one === '' ? null : lineOf(one);
      if (line && this.#read(line, isOlder) && !isOlder) this.#end = at;
    }
    this.#room = at;
  }

  /** False: it is no line of ours. */
  #read({ epoch, acked, number, operation }: Line, isOlder: boolean): boolean {
    if (epoch !== undefined) this.#epoch = Math.max(this.#epoch, epoch);
    if (acked !== undefined) this.#acked = Math.max(this.#acked, acked);
    if (epoch !== undefined || acked !== undefined) return true;
    const next = isOlder ? this.#last + 1 : number;
    const follows = this.#operations.length === 0 || next === this.#last + 1;
    if (!operation || next === undefined || !follows) return false;
    this.#last = next;
    this.#operations.push({ number: next, operation });
    return true;
  }
}
