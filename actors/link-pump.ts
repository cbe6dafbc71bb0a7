/**
 * Carries a spool to the other end of a link: takes what the queue wants sent, in fragments and as far as the window allows, keeps
 * what is on the way until it has arrived, and gives back to the spool what is durable there. When it runs is the machine's business.
 */
import type { LinkAck, LinkContent, LinkMessage, LinkPeer, LinkPosition, Packet } from './link-peer.ts';
import type { LinkQueue, News } from './link-queue.ts';
import type { Clock, Spool } from './ports.ts';

export const PART_BYTES = 256 << 10;
const METADATA_PART = 256 << 10; // UTF-16 units: below 1 MiB in any encoding
/** Of paths in one beat: a relay takes no more of them, and a bus no larger message. */
const BEAT_PATHS = 4096;
const BEAT_UNITS = 128 << 10;
/** Of a packet that is compressed: a relay takes no larger frame. */
const FRAME_BYTES = 64 << 20;
/** Then others have their turn. */
const AT_ONCE_BYTES = 1 << 20;
const OVERHEAD_BYTES = 200;
/** What the peer says of a fragment stands before its bytes, and a little behind them. */
const ROOM_BYTES = 2 << 10;
const BEHIND_BYTES = 64;
/** Memory of fragments that is kept while nothing is on the way. */
const SPARE_FRAGMENTS = 4;
/** The other end says what it misses with every word, and what was sent again needs its time. */
const RESEND_PAUSE_MS = 500;

export interface Tracefiles {
  readonly size: number;
  readonly count: number;
}

export interface PumpOptions {
  readonly spool: Spool;
  readonly queue: LinkQueue;
  readonly peer: LinkPeer;
  readonly clock: Clock;
  /** Of a whole packet; null: as it is. */
  readonly compress: ((packet: Buffer) => Promise<Buffer>) | null;
  tracefiles(path: string): Tracefiles;
  /** Something is on the way now. */
  onSent(): void;
  /** The other end has all that the spool holds. */
  onDrained(): void;
  /** What is wanted again is not here any more. */
  onLost(): void;
}

interface Current extends Packet {
  readonly parts: number;
  part: number;
  /** The packet, compressed; null: it is read part by part. */
  readonly frame: Buffer | null;
}

interface Sent {
  readonly message: LinkMessage;
  readonly bytes: number;
  /** Where the bytes of the fragment are; free when it has arrived. */
  memory: Buffer | null;
}

const sizeOf = (content: LinkContent): number => {
  if (content.kind === 'packet') return OVERHEAD_BYTES + content.bytes.length;
  if (content.kind === 'metadata') return OVERHEAD_BYTES + content.text.length;
  return OVERHEAD_BYTES + (content.kind === 'beat' ? content.paths.reduce((sum, path) => sum + path.length, 0) : 0);
};

/** As many paths at once as one message carries. */
const beatsOf = (paths: readonly string[]): (readonly string[])[] => {
  const beats: string[][] = [];
  let units = BEAT_UNITS;
  for (const path of paths) {
    units += path.length;
    if (units > BEAT_UNITS || beats.at(-1)!.length === BEAT_PATHS) {
      beats.push([]);
      units = path.length;
    }
    beats.at(-1)!.push(path);
  }
  return beats;
};

const currentOf = ({ path, entry }: Packet, frame: Buffer | null): Current => {
  const parts = Math.max(1, Math.ceil((frame ? frame.length : entry.bytes) / PART_BYTES));
  return { path, entry, parts, part: 0, frame };
};

const partsOf = (path: string, text: string): LinkContent[] => {
  const parts: LinkContent[] = [];
  for (let at = 0; at === 0 || at < text.length; at += METADATA_PART) {
    const more = at + METADATA_PART < text.length;
    parts.push({ kind: 'metadata', path, text: text.slice(at, at + METADATA_PART), first: at === 0, more });
  }
  return parts;
};

export class LinkPump {
  readonly #options: PumpOptions;
  #running = false;
  #full = false;
  #window = 0;
  #n = 0;
  #inFlight: Sent[] = [];
  #inFlightBytes = 0;
  #pending: LinkContent[] = [];
  #current: Current | null = null;
  #memory: Buffer | null = null;
  /** New memory for each fragment costs more than all that is done with it. */
  readonly #spare: Buffer[] = [];
  /** What comes next. */
  #compressing: Packet | null = null;
  #again: unknown = null;
  #resent = { missing: 0, at: Number.NEGATIVE_INFINITY };
  sentBytes = 0;
  ackedBytes = 0;

  constructor(options: PumpOptions) {
    this.#options = options;
  }

  /** The other end stands there; everything behind that is sent anew. */
  begin(position: LinkPosition): void {
    this.#n = 0;
    this.#window = position.window;
    this.#inFlight = [];
    this.#inFlightBytes = 0;
    this.#pending = [];
    this.#current = null;
    this.#compressing = null;
    this.#full = false;
    this.#resent = { missing: 0, at: Number.NEGATIVE_INFINITY };
    this.#options.queue.refresh();
    this.#options.queue.begin(position.durable, position.ops);
  }

  run(): void {
    this.#running = true;
    this.wake();
  }

  pause(): void {
    this.#running = false;
  }

  /** Something was written, or may be sent again; `news`: what, if somebody knows. */
  wake(news: News | null = null): void {
    this.#options.queue.refresh(news);
    this.#send();
    this.#tellDrained();
  }

  acked(ack: LinkAck): void {
    while (this.#inFlight[0] && this.#inFlight[0].message.n <= ack.upTo) this.#arrived(this.#inFlight.shift()!);
    if (this.#inFlight.length === 0) this.#spare.length = Math.min(this.#spare.length, SPARE_FRAGMENTS);
    for (const one of ack.durable) this.ackedBytes += this.#options.queue.confirm(one);
    this.ackedBytes += this.#options.queue.confirmOps(ack.ops);
    this.#full = ack.full;
    if (ack.missing !== null) this.#resend(ack.missing);
    this.#send();
    this.#tellDrained();
  }

  /** Nothing that is not acknowledged. */
  get quiet(): boolean {
    return this.#inFlight.length === 0 && !this.#options.queue.outstanding;
  }

  get drained(): boolean {
    return this.#inFlight.length === 0 && this.#pending.length === 0 && !this.#current && this.#options.queue.empty;
  }

  /** For viewers at the other end: all that happened before has been sent, of these streams; without any, of all. */
  beat(clock: bigint): void {
    const paths = this.#options.queue.idlePaths;
    const idle = this.#running && !this.#full && !this.#current && this.#pending.length === 0;
    if (!idle) return;
    const some = beatsOf(paths);
    for (const paths of this.#options.queue.idle ? [...some, []] : some)
      if (!this.#post({ kind: 'beat', clock, paths })) return;
  }

  /** The files of a chunk are being emptied: what was begun of them is not finished. */
  forget(isGone: (path: string) => boolean): void {
    if (this.#current && isGone(this.#current.path)) this.#current = null;
    if (this.#compressing && isGone(this.#compressing.path)) this.#compressing = null;
  }

  #arrived({ bytes, memory }: Sent): void {
    this.#inFlightBytes -= bytes;
    if (memory) this.#spare.push(memory);
  }

  #tellDrained(): void {
    if (this.drained) this.#options.onDrained();
  }

  #send(): void {
    let budget = AT_ONCE_BYTES;
    while (this.#running && !this.#full && !this.#compressing && this.#inFlightBytes < this.#window) {
      if (budget <= 0) {
        this.#later();
        return;
      }
      const content = this.#nextContent();
      if (!content) return;
      budget -= sizeOf(content);
      if (!this.#post(content)) return;
    }
  }

  #later(): void {
    this.#again ??= this.#options.clock.setTimeout(() => {
      this.#again = null;
      this.#send();
    }, 0);
  }

  #post(content: LinkContent): boolean {
    const message: LinkMessage = { n: this.#n + 1, ...content };
    // What a cut connection does not take is sent by the next opening.
    if (!this.#options.peer.send(message)) {
      this.#running = false;
      return false;
    }
    this.#n++;
    const bytes = sizeOf(content);
    const first = this.#inFlight.length === 0;
    this.#inFlight.push({ message, bytes, memory: content.kind === 'packet' ? this.#memory : null });
    this.#memory = null;
    this.#inFlightBytes += bytes;
    this.sentBytes += bytes;
    if (first) this.#options.onSent();
    return true;
  }

  #resend(missing: number): void {
    if (missing <= this.#n && (this.#inFlight[0]?.message.n ?? this.#n + 1) > missing) {
      this.#options.onLost();
      return;
    }
    const now = this.#options.clock.now();
    if (this.#resent.missing === missing && now - this.#resent.at < RESEND_PAUSE_MS) return;
    this.#resent = { missing, at: now };
    for (const sent of this.#inFlight) {
      if (sent.message.n < missing) continue;
      sent.memory = null; // the second copy may leave later than the first arrives
      if (!this.#options.peer.send(sent.message)) return;
    }
  }

  #nextContent(): LinkContent | null {
    const { queue, compress } = this.#options;
    // Not by recursion: the bytes of very many packets may be gone at once.
    do {
      const content = this.#pending.shift() ?? (this.#current && this.#fragment(this.#current));
      if (content) return content;
      const wanted = queue.next();
      if (!wanted) return null;
      if (wanted.kind === 'op') {
        queue.sentOp(wanted.number);
        return { kind: 'op', number: wanted.number, ...wanted.operation };
      }
      if (wanted.kind === 'metadata') this.#pending = partsOf(wanted.trace, queue.takeMetadata(wanted.trace));
      else if (compress && wanted.entry.bytes <= FRAME_BYTES) void this.#compress(wanted, compress);
      else this.#current = currentOf(wanted, null);
    } while (!this.#compressing);
    return null;
  }

  /** Null: the bytes are gone, and with them the packet. */
  #fragment(current: Current): LinkContent | null {
    const { path, entry, part, parts, frame } = current;
    const offset = part * PART_BYTES;
    const length = Math.min(PART_BYTES, (frame ? frame.length : entry.bytes) - offset);
    const memory = frame ? null : (this.#spare.pop() ?? Buffer.allocUnsafeSlow(ROOM_BYTES + PART_BYTES + BEHIND_BYTES));
    const target = memory?.subarray(ROOM_BYTES, ROOM_BYTES + length);
    const bytes = frame ? frame.subarray(offset, offset + length) : this.#read(current, offset, length, target);
    this.#memory = memory;
    current.part++;
    if (!bytes || current.part === parts) this.#current = null;
    if (!bytes) return null;
    const { size, count } = this.#options.tracefiles(path);
    const room = memory && bytes.buffer === memory.buffer ? ROOM_BYTES : 0;
    const place = { path, number: entry.number, index: entry.index, part, parts, offset, bytes, room };
    return { kind: 'packet', ...place, ...(frame && { zstd: true }), tracefileSize: size, tracefileCount: count };
  }

  #read(packet: Packet, offset: number, length: number, memory?: Buffer): Buffer | null {
    const { spool, queue } = this.#options;
    try {
      const bytes = spool.read(packet.path, packet.entry.offset + offset, length, memory);
      if (bytes.length === length) return bytes;
    } catch {
      // The file was removed under us.
    }
    queue.drop(packet);
    return null;
  }

  async #compress(packet: Packet, compress: (bytes: Buffer) => Promise<Buffer>): Promise<void> {
    const whole = this.#read(packet, 0, packet.entry.bytes);
    if (!whole) return;
    this.#compressing = packet;
    const frame = await compress(whole).catch(() => null); // no memory for it: as it is
    if (this.#compressing !== packet) return;
    this.#compressing = null;
    this.#current = currentOf(packet, frame && frame.length < whole.length ? frame : null);
    this.#send();
  }
}
