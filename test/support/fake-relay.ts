/**
 * A relay that holds everything in memory and believes nothing: each message must have the number that comes next, each packet must
 * be whole and the next of its stream, each operation the next one. What it has taken can be made durable, or be lost with it.
 */
import assert from 'node:assert/strict';
import type { Body, Bus, Served, Subscription } from '../../transport/bus.ts';
import { linkSubject, RELAY_OPEN, relayOpenSubject } from '../../transport/subjects.ts';

interface Held {
  readonly number: number;
  readonly bytes: Buffer;
}

interface Link {
  epoch: number;
  next: number;
  ops: number;
  durableOps: number;
  partial: { path: string; number: number; parts: Buffer[] } | null;
  metadata: { path: string; text: string } | null;
  missing: number | null;
  subject: string;
}

export class FakeRelay {
  readonly name: string;
  readonly streams = new Map<string, Held[]>();
  readonly metadata = new Map<string, string>();
  readonly operations: Body[] = [];
  readonly opens: Body[] = [];
  readonly beats: Body[] = [];
  readonly complaints: string[] = [];
  /** Says that its disk is full. */
  full = false;
  /** Takes, and says nothing. */
  silent = false;
  /** Refuses to open. */
  refusing = false;
  /** Answers those who ask for any relay. */
  isAnyone = true;
  /** Loses so many of the next data messages. */
  lose = 0;
  window = 8 << 20;
  /** After each message; otherwise somebody calls `acknowledge`. */
  prompt = true;
  decompress: (frame: Buffer) => Buffer = (frame) => frame;
  onPacket: (path: string, number: number) => void = () => {};
  readonly #durable = new Map<string, number>();
  #id: string | null = null;
  #link: Link | null = null;
  #bus: Bus | null = null;
  #served: Served | null = null;
  #data: Subscription | null = null;

  constructor(name = 'relay1') {
    this.name = name;
  }

  async start(bus: Bus): Promise<void> {
    this.#bus = bus;
    this.#data = bus.subscribe(`weft.v1.relay.${this.name}.data.>`, ({ subject, body }) => this.#take(subject, body));
    this.#served = await bus.serve({ name: 'fake-relay', version: '1.0.0', description: 'relay' }, [
      { name: 'open', subject: RELAY_OPEN, schema: {}, handle: async ({ body }) => (this.isAnyone ? this.#open(body) : null) },
      { name: 'open-here', subject: relayOpenSubject(this.name), schema: {}, handle: async ({ body }) => this.#open(body) },
    ]);
  }

  /** kill -9: what is not durable is gone. */
  async kill(): Promise<void> {
    this.#data?.stop();
    await this.#served?.stop();
    for (const [path, held] of this.streams) {
      const durable = this.#durable.get(path) ?? -1;
      this.streams.set(
        path,
        held.filter(({ number }) => number <= durable),
      );
    }
    this.operations.length = this.#link?.durableOps ?? 0;
    if (this.#link) this.#link.ops = this.#link.durableOps;
  }

  /** Restarted from its disk: what is there it knows, but of no link. */
  forget(): void {
    this.#settle();
    this.#link = null;
  }

  /** Another link has a directory of its own; what lay in the last one is shown no longer. */
  #begin(link: string): void {
    this.#id = link;
    this.#link = null;
    this.#durable.clear();
    this.streams.clear();
    this.operations.length = 0;
  }

  /** All bytes of a stream, in order. */
  bytes(path: string): Buffer {
    return Buffer.concat((this.streams.get(path) ?? []).map(({ bytes }) => bytes));
  }

  numbers(path: string): number[] {
    return (this.streams.get(path) ?? []).map(({ number }) => number);
  }

  /** What was taken is durable now, and the link hears it. */
  acknowledge(): void {
    const link = this.#link;
    if (!link || this.silent) return;
    this.#settle();
    this.#bus?.publish(link.subject, {
      v: 1,
      epoch: link.epoch,
      upTo: link.next - 1,
      durable: [...this.#durable].map(([path, number]) => ({ path, number })),
      ops: link.durableOps,
      ...(link.missing !== null && { missing: link.missing }),
      ...(this.full && { full: true }),
    });
  }

  /** As a relay does with what it can never take. */
  refuse(message: string): void {
    const { subject, epoch, next } = this.#link!;
    const refused = { code: 'bad-message', message, hint: '' };
    this.#bus?.publish(subject, { v: 1, epoch, upTo: next - 1, durable: [], ops: 0, refused });
  }

  #settle(): void {
    for (const [path, held] of this.streams) {
      const last = held.at(-1);
      if (last) this.#durable.set(path, last.number);
    }
    if (this.#link) this.#link.durableOps = this.#link.ops;
  }

  #open(body: Body) {
    this.opens.push(body);
    const { epoch } = body as { epoch: number };
    if (this.refusing) return { ok: false, fault: { code: 'relay-full', message: 'No room.', hint: '' } } as const;
    if (this.#link && epoch < this.#link.epoch)
      return { ok: false, fault: { code: 'stale-epoch', message: 'Too old.', hint: '' } } as const;
    const { host, uid, owner, link } = body as { host: string; uid: number; owner: string; link: string };
    if (link !== this.#id) this.#begin(link);
    const subject = linkSubject('ack', { relay: this.name, host, uid, owner, link });
    this.#settle();
    const ops = this.#link?.durableOps ?? 0;
    this.#link = { epoch, next: 1, ops, durableOps: ops, partial: null, metadata: null, missing: null, subject };
    const streams = [...this.streams].flatMap(([path, held]) => {
      const last = held.at(-1);
      return last ? [{ path, number: last.number }] : [];
    });
    return { ok: true, body: { relay: this.name, window: this.window, directory: '/relay', streams, ops } } as const;
  }

  #take(subject: string, body: Body): void {
    const link = this.#link;
    if (!link) this.#bus?.publish(subject.replace('.data.', '.ack.'), { v: 1, reopen: true });
    if (!link || body.epoch !== link.epoch) return;
    if (this.lose > 0) {
      this.lose--;
      return;
    }
    const n = body.n as number;
    if (n < link.next) return;
    if (n > link.next) {
      link.missing = link.next;
      if (this.prompt) this.acknowledge();
      return;
    }
    link.next++;
    link.missing = null;
    this.#keep(link, body);
    if (this.prompt) this.acknowledge();
  }

  #keep(link: Link, body: Body): void {
    try {
      if (body.kind === 'metadata') this.#keepMetadata(link, body);
      else if (body.kind === 'packet') this.#keepPart(link, body);
      else if (body.kind === 'op') this.#operate(link, body);
      else this.beats.push(body);
    } catch (thrown) {
      this.complaints.push(thrown instanceof Error ? thrown.message : String(thrown));
    }
  }

  #keepMetadata(link: Link, { path, text, first, more }: Body): void {
    const before = first ? '' : (link.metadata?.text ?? '');
    link.metadata = { path: String(path), text: before + String(text) };
    if (!more) this.metadata.set(String(path), link.metadata.text);
  }

  #keepPart(link: Link, body: Body): void {
    const { path, number, part, parts, bytes, zstd } = body as {
      path: string;
      number: number;
      part: number;
      parts: number;
      bytes: Uint8Array;
      zstd?: boolean;
    };
    assert.ok(bytes.length <= 256 << 10, `a fragment of ${bytes.length} bytes`);
    const trace = path.slice(0, path.lastIndexOf('/'));
    assert.ok(this.metadata.has(trace), `a packet of ${trace} before its metadata`);
    if (part === 0) link.partial = { path, number, parts: [] };
    assert.ok(
      link.partial?.path === path && link.partial.number === number,
      `part ${part} of ${path} ${number} follows nothing`,
    );
    assert.equal(link.partial.parts.length, part, 'parts in order');
    link.partial.parts.push(Buffer.from(bytes));
    if (part + 1 < parts) return;
    const held = this.streams.get(path) ?? [];
    const last = held.at(-1)?.number ?? -1;
    const whole = Buffer.concat(link.partial.parts);
    link.partial = null;
    assert.ok(number > last, `packet ${number} of ${path} came twice`);
    assert.ok(last < 0 || number === last + 1, `packet ${number} of ${path} follows ${last}`);
    this.streams.set(path, [...held, { number, bytes: zstd ? this.decompress(whole) : whole }]);
    this.onPacket(path, number);
  }

  #operate(link: Link, body: Body): void {
    assert.equal(body.number, link.ops + 1, 'operations in order');
    link.ops++;
    this.operations.push(body);
    const inside = (path: string, chunk: string): boolean => path.startsWith(chunk === '' ? 'ust/' : `${chunk}/`);
    for (const files of [this.streams, this.metadata, this.#durable] as Map<string, unknown>[]) {
      for (const [path, value] of [...files]) {
        if (body.op === 'clear' && files !== this.metadata && inside(path, String(body.directory))) files.delete(path);
        if (body.op === 'archive' && inside(path, String(body.from))) {
          files.delete(path);
          const rest = body.from === '' ? path : path.slice(String(body.from).length + 1);
          files.set(`${String(body.to)}/${rest}`, value);
        }
      }
    }
  }
}
