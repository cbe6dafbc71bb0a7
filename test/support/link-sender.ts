/** A sender of the tests' own: it mirrors a finished trace to a relay as docs/contracts-network.md says, and resumes whatever happens. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Body, Bus } from '../../transport/bus.ts';
import { linkSubject, RELAY_OPEN } from '../../transport/subjects.ts';

const ENTRY = 72;
const PART = 64 << 10;
/** Without a word from the relay the link is opened anew. */
const SILENCE_MS = 1_500;

export interface SenderOptions {
  readonly host: string;
  readonly uid: number;
  readonly owner: string;
  readonly link: string;
  readonly session: string;
  readonly createdAt?: string;
  readonly live?: number;
  readonly tracefiles?: { readonly size: number; readonly count: number };
  readonly compress?: (bytes: Uint8Array) => Uint8Array;
}

interface Packet {
  readonly path: string;
  readonly number: number;
  readonly index: Buffer;
  readonly bytes: Buffer;
}

export interface Spool {
  readonly metadata: readonly { readonly path: string; readonly text: string }[];
  readonly packets: readonly Packet[];
}

/** The packets of a local trace, one of each stream in turn. */
export const readSpool = (directory: string): Spool => {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const metadata = names
    .filter((name) => name.endsWith('/metadata'))
    .map((name) => ({ path: name.replace('/metadata', ''), text: readFileSync(join(directory, name), 'utf8') }));
  const streams = names.filter((name) => name.endsWith('.idx')).map((name) => packetsOf(directory, name));
  const most = Math.max(0, ...streams.map(({ length }) => length));
  const packets = Array.from({ length: most }, (_, at) => streams.flatMap((stream) => stream[at] ?? [])).flat();
  return { metadata, packets };
};

const packetsOf = (directory: string, indexName: string): Packet[] => {
  const path = indexName.replace(/index\/(.*)\.idx$/, '$1');
  const index = readFileSync(join(directory, indexName));
  const data = readFileSync(join(directory, path));
  const packets: Packet[] = [];
  for (let at = 16; at + ENTRY <= index.length; at += ENTRY) {
    const entry = index.subarray(at, at + ENTRY);
    const offset = Number(entry.readBigUInt64BE(0));
    const bytes = data.subarray(offset, offset + Number(entry.readBigUInt64BE(8) / 8n));
    packets.push({ path, number: Number(entry.readBigUInt64BE(64)), index: entry, bytes });
  }
  return packets;
};

type Message = Readonly<Record<string, unknown>>;

export class LinkSender {
  readonly #bus: Bus;
  readonly #options: SenderOptions;
  readonly #spool: Spool;
  readonly durable = new Map<string, number>();
  epoch = 0;
  relay = '';
  directory = '';
  opens = 0;
  readonly acks: Body[] = [];
  #ops = 0;
  #queue: Message[] = [];
  #upTo = 0;
  #next = 0;
  #reopen = false;
  #wake: () => void = () => {};
  #subscription: { stop(): void } | null = null;

  constructor(bus: Bus, options: SenderOptions, spool: Spool) {
    this.#bus = bus;
    this.#options = options;
    this.#spool = spool;
  }

  get place() {
    const { host, uid, owner, link } = this.#options;
    return { relay: this.relay, host, uid, owner, link };
  }

  async open(): Promise<void> {
    const { host, uid, owner, link, session, createdAt = '2026-02-03T04:05:06+00:00', live = 0 } = this.#options;
    for (;;) {
      this.epoch++;
      const body = { v: 1, id: `open-${this.epoch}`, host, uid, owner, link, epoch: this.epoch, session, createdAt, live };
      const reply = await this.#bus.request(RELAY_OPEN, { ...body, subdir: '' }, 2_000);
      if (reply.ok) return this.#opened(reply.body);
      if (!['no-responder', 'timeout', 'bus-cut', 'stale-epoch'].includes(reply.fault.code))
        throw new Error(reply.fault.message);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #opened(body: Body): void {
    this.opens++;
    this.relay = String(body.relay);
    this.directory = String(body.directory);
    this.#ops = Number(body.ops);
    this.durable.clear();
    for (const { path, number } of body.streams as { path: string; number: number }[]) this.durable.set(path, number);
    this.#subscription?.stop();
    this.#subscription = this.#bus.subscribe(linkSubject('ack', this.place), (message) => this.#hear(message.body));
    this.#queue = [];
    this.#upTo = 0;
    this.#next = 0;
    this.#reopen = false;
  }

  #hear(ack: Body): void {
    this.acks.push(ack);
    if (ack.reopen === true) this.#reopen = true;
    if (ack.epoch === this.epoch) this.#learn(ack);
    this.#wake();
  }

  #learn(ack: Body): void {
    if (typeof ack.upTo === 'number') this.#upTo = Math.max(this.#upTo, ack.upTo);
    for (const { path, number } of (ack.durable ?? []) as { path: string; number: number }[]) this.durable.set(path, number);
    if (typeof ack.ops === 'number') this.#ops = ack.ops;
    if (typeof ack.missing === 'number') this.#next = Math.min(this.#next, ack.missing - 1);
  }

  metadata(): void {
    for (const one of this.#spool.metadata) this.#queue.push({ kind: 'metadata', ...one });
  }

  /** What is not durable; `from`, `to`: only a part of all packets. */
  packets(from = 0, to = this.#spool.packets.length): void {
    for (const packet of this.#spool.packets.slice(from, to)) {
      if (packet.number > (this.durable.get(packet.path) ?? -1)) this.#queue.push(...this.#partsOf(packet));
    }
  }

  #partsOf({ path, number, index, bytes }: Packet): Message[] {
    const { compress, tracefiles } = this.#options;
    const sent = compress ? compress(bytes) : bytes;
    const parts = Math.ceil(sent.length / PART);
    const limits = tracefiles && { tracefileSize: tracefiles.size, tracefileCount: tracefiles.count };
    return Array.from({ length: parts }, (_, part) => {
      const chunk = sent.subarray(part * PART, (part + 1) * PART);
      const head = { kind: 'packet', path, number, index, part, parts, offset: part * PART, bytes: chunk };
      return { ...head, ...limits, ...(compress && { zstd: true }) };
    });
  }

  op(number: number, fields: Message): void {
    if (number > this.#ops) this.#queue.push({ kind: 'op', number, ...fields });
  }

  beat(clock: bigint, paths: readonly string[]): void {
    this.#queue.push({ kind: 'beat', clock, paths });
  }

  /** As it is, whatever it is. */
  push(message: Message): void {
    this.#queue.push(message);
  }

  /** Until all that is in the queue was received; false: the relay is silent, or wants the link opened anew. */
  async pump(until: () => boolean = () => this.#upTo >= this.#queue.length): Promise<boolean> {
    for (;;) {
      while (this.#next < this.#queue.length && this.#next - this.#upTo < 16) {
        const n = ++this.#next;
        this.#bus.publish(linkSubject('data', this.place), { v: 1, epoch: this.epoch, n, ...this.#queue[n - 1] });
      }
      if (until()) return true;
      const heard = this.acks.length;
      await Promise.race([
        new Promise<void>((resolve) => {
          this.#wake = resolve;
        }),
        new Promise<void>((resolve) => {
          setTimeout(resolve, SILENCE_MS).unref();
        }),
      ]);
      if (this.#reopen || this.acks.length === heard) return false;
    }
  }

  get allDurable(): boolean {
    return this.#spool.packets.every(({ path, number }) => number <= (this.durable.get(path) ?? -1));
  }

  /** Everything, through any number of deaths of the relay. */
  async mirror(close = true): Promise<void> {
    for (;;) {
      await this.open();
      this.metadata();
      this.packets();
      if (close) this.op(1, { op: 'close' });
      if (await this.pump(() => this.allDurable && (!close || this.#ops >= 1))) return;
    }
  }
}
