/**
 * The connection below the NATS client, for messages of hundreds of KiB. The client would put each together from the pieces that TLS
 * yields in memory that grows with every piece; here a message is given to it whole, and large ones lie in memory that is used again
 * as soon as whoever listens has returned. Towards the server no buffers are joined before they are encrypted.
 */
import { NodeTransport } from '@nats-io/transport-node/lib/node_transport.js';

/** Smaller ones are in memory of their own. */
const REUSED_LEAST = 64 << 10;
const LARGEST = 1_200_000;
const SPARE_MAX = 2;
const [NEWLINE, CARRIAGE_RETURN, SPACE] = [0x0a, 0x0d, 0x20];
const LINE_END_BYTES = 2;
/** First letters of MSG and HMSG, the lines that have a payload behind them. */
const WITH_PAYLOAD = new Set([...'MmHh'].map((letter) => letter.charCodeAt(0)));

/** The last word of a line that ends before `end`, as a number. */
const lastNumber = (bytes: Uint8Array, end: number): number => {
  let at = end - 1;
  if (bytes[at] === CARRIAGE_RETURN) at--;
  let value = 0;
  for (let scale = 1; at >= 0 && bytes[at] !== SPACE; at--, scale *= 10) value += (bytes[at]! - 0x30) * scale;
  return value;
};

/** Pieces of a stream come in; what comes out ends where a message does. */
export class WholeMessages {
  readonly #out: (bytes: Uint8Array) => void;
  readonly #spare: Buffer[] = [];
  /** The beginning of a line. */
  #line: Buffer = Buffer.alloc(0);
  #filling: Buffer | null = null;
  #filled = 0;

  constructor(out: (bytes: Uint8Array) => void) {
    this.#out = out;
  }

  take(piece: Buffer): void {
    const rest = this.#filling ? this.#fill(this.#filling, piece) : piece;
    if (rest.length > 0) this.#split(this.#line.length > 0 ? Buffer.concat([this.#line, rest]) : rest);
  }

  /** What came out was read. */
  giveBack(bytes: Uint8Array): void {
    if (bytes.length < REUSED_LEAST || this.#spare.length >= SPARE_MAX || bytes.buffer.byteLength !== LARGEST) return;
    this.#spare.push(Buffer.from(bytes.buffer));
  }

  #fill(memory: Buffer, piece: Buffer): Buffer {
    const taken = Math.min(piece.length, memory.length - this.#filled);
    piece.copy(memory, this.#filled, 0, taken);
    this.#filled += taken;
    if (this.#filled < memory.length) return piece.subarray(piece.length);
    this.#filling = null;
    this.#out(memory);
    return piece.subarray(taken);
  }

  #split(bytes: Buffer): void {
    let at = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, at)) {
      let next = end + 1;
      if (WITH_PAYLOAD.has(bytes[at]!)) next += lastNumber(bytes, end) + LINE_END_BYTES;
      if (next > bytes.length) {
        this.#give(bytes.subarray(0, at));
        this.#begin(next - at, bytes.subarray(at));
        return;
      }
      at = next;
    }
    this.#give(bytes.subarray(0, at));
    this.#line = bytes.subarray(at);
  }

  #begin(length: number, first: Buffer): void {
    this.#line = Buffer.alloc(0);
    this.#filling = this.#memory(length);
    this.#filled = first.copy(this.#filling);
  }

  #memory(length: number): Buffer {
    if (length < REUSED_LEAST || length > LARGEST) return Buffer.allocUnsafeSlow(length);
    return (this.#spare.pop() ?? Buffer.allocUnsafeSlow(LARGEST)).subarray(0, length);
  }

  #give(bytes: Buffer): void {
    if (bytes.length > 0) this.#out(bytes);
  }
}

export class WholeMessageTransport extends NodeTransport {
  readonly #messages = new WholeMessages((bytes) => {
    this.yields.push(bytes);
    this.signal.resolve();
  });

  override setupHandlers(): void {
    super.setupHandlers();
    // Many buffers in one call are joined by TLS, in new memory.
    Object.assign(this.socket, { _writev: null });
    this.socket.removeAllListeners('data');
    for (const piece of this.yields.splice(0)) this.#messages.take(Buffer.from(piece));
    this.socket.on('data', (piece: Buffer) => this.#messages.take(piece));
  }

  override async *iterate(): AsyncIterableIterator<Uint8Array> {
    for await (const bytes of super.iterate()) {
      yield bytes;
      this.#messages.giveBack(bytes);
    }
  }
}
