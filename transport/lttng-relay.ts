/**
 * The sending side of LTTng's relay protocol (2.11 to 2.14 of it): one control connection, whose commands are answered in order, and
 * one data connection, which is never answered. Integers are big-endian. Knows nothing of links and spools.
 */
import { connect, type Socket } from 'node:net';

const COMMAND = {
  addStream: 1,
  createSession: 2,
  version: 5,
  sendMetadata: 6,
  closeStream: 7,
  dataPending: 8,
  sendIndex: 13,
  streamsSent: 16,
  resetMetadata: 17,
  rotateStreams: 18,
  createChunk: 19,
  closeChunk: 20,
  chunkExists: 21,
  getConfiguration: 22,
} as const;

const OK = 10;
const MAJOR = 2;
const MINOR = 13;
/** Chunks and rotation came with it. */
const MINOR_LEAST = 11;
const MINOR_CONFIGURATION = 12;
const MINOR_FORMATS = 15;
const CONTROL_HEADER = 24;
const DATA_HEADER = 32;
/** An answer is a few bytes and a path. */
const PATH_MAX = 4096;
const LINGER_MS = 2_000;
export const NO_NUMBER = 0xffff_ffff_ffff_ffffn;
export const CLOSE_ARCHIVES = 0;
export const CLOSE_DELETES = 2;

export interface RelayAddress {
  readonly host: string;
  readonly ctrlPort: number;
  readonly dataPort: number;
}

export interface RelaySession {
  readonly name: string;
  readonly hostname: string;
  /** Directory below the relay's base for this host; empty: NAME and the time. */
  readonly basePath: string;
  readonly liveTimerUs: number;
  readonly snapshot: boolean;
  /** The daemon's, 16 bytes. */
  readonly daemon: Buffer;
  readonly sessionId: bigint;
  /** Seconds since 1970. */
  readonly createdAt: bigint;
}

/** What an index file says of a packet, as it lies there: 72 bytes from the offset on. */
export interface RelayIndex {
  readonly stream: bigint;
  readonly sequence: bigint;
  readonly entry: Buffer;
}

/** The relay said no, or something that is not of the protocol. `code` is the relay's. */
export class RelayError extends Error {
  readonly code: number | null;
  constructor(message: string, code: number | null = null) {
    super(message);
    this.code = code;
  }
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const u64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value));
  return bytes;
};
const u8 = (value: number): Buffer => Buffer.from([value]);
const text = (value: string): Buffer => Buffer.from(`${value}\0`, 'utf8');

export const controlMessage = (command: number, payload: Buffer): Buffer =>
  Buffer.concat([u64(0n), u64(BigInt(payload.length)), u32(command), u32(0), payload]);

export const createSessionPayload = (session: RelaySession, minor: number): Buffer => {
  const [name, hostname, base] = [text(session.name), text(session.hostname), text(session.basePath)];
  return Buffer.concat([
    u32(name.length),
    u32(hostname.length),
    u32(base.length),
    u32(session.liveTimerUs),
    u8(session.snapshot ? 1 : 0),
    u8(0),
    session.daemon,
    u64(session.sessionId),
    u64(session.createdAt),
    u8(0),
    u64(0n),
    ...(minor >= MINOR_FORMATS ? [u32(1)] : []),
    name,
    hostname,
    base,
  ]);
};

export const indexPayload = ({ stream, sequence, entry }: RelayIndex): Buffer => {
  // Offset in the file is the relay's business; the rest goes as it is.
  const [packetBits, contentBits, begin, end] = [
    entry.subarray(8, 16),
    entry.subarray(16, 24),
    entry.subarray(24, 32),
    entry.subarray(32, 40),
  ];
  return Buffer.concat([
    u64(stream),
    u64(sequence),
    packetBits!,
    contentBits!,
    begin!,
    end!,
    entry.subarray(40, 48),
    entry.subarray(48, 56),
    entry.subarray(56, 64),
    entry.subarray(64, 72),
  ]);
};

interface Awaited {
  /** Bytes of the answer; more are wanted when `more` says so of the first ones. */
  readonly least: number;
  readonly more: (head: Buffer) => number;
  resolve(answer: Buffer): void;
  reject(error: Error): void;
}

const nothingMore = (): number => 0;

const open = (host: string, port: number, signal: AbortSignal): Promise<Socket> =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = connect({ host, port, noDelay: true });
    const fail = (error: Error): void => {
      socket.destroy();
      signal.removeEventListener('abort', abort);
      reject(error);
    };
    const abort = (): void => fail(signal.reason as Error);
    signal.addEventListener('abort', abort);
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.off('error', fail);
      signal.removeEventListener('abort', abort);
      resolve(socket);
    });
  });

export class LttngRelay {
  readonly #control: Socket;
  readonly #data: Socket;
  readonly #awaited: Awaited[] = [];
  #received = Buffer.alloc(0);
  #closed: Error | null = null;
  #minor = MINOR;
  /** Called once, when one of the connections is gone and nobody closed it here. */
  onCut: (cause: Error) => void = () => {};

  private constructor(control: Socket, data: Socket) {
    this.#control = control;
    this.#data = data;
    control.on('data', (bytes) => this.#receive(bytes));
    // Nothing ever comes on the data connection; reading it tells of its end.
    data.resume();
    for (const socket of [control, data]) {
      socket.on('error', (error) => this.#cut(error));
      socket.on('close', () => this.#cut(new Error('the relay closed the connection')));
    }
  }

  /** Throws what the system or the relay says. `signal` ends the opening, and what follows it, with its reason. */
  static async connect({ host, ctrlPort, dataPort }: RelayAddress, signal: AbortSignal): Promise<LttngRelay> {
    const control = await open(host, ctrlPort, signal);
    const data = await open(host, dataPort, signal).catch((thrown: unknown) => {
      control.destroy();
      throw thrown;
    });
    const relay = new LttngRelay(control, data);
    signal.addEventListener('abort', () => relay.#cut(signal.reason as Error), { once: true });
    try {
      await relay.#greet();
      return relay;
    } catch (thrown) {
      relay.#cut(thrown as Error);
      throw thrown;
    }
  }

  /** The relay's path of it, relative to its base. */
  async createSession(session: RelaySession): Promise<{ readonly id: bigint; readonly path: string }> {
    const answer = await this.#ask(COMMAND.createSession, createSessionPayload(session, this.#minor), 16, (head) =>
      this.#pathLength(head.readUInt32BE(12)),
    );
    this.#check(answer.readUInt32BE(8), 'the session');
    return { id: answer.readBigUInt64BE(0), path: answer.subarray(16).toString('utf8').replace(/\0.*$/s, '') };
  }

  /** The relay's handle. Limits as of a channel: 0 is none. */
  async addStream(
    channel: string,
    directory: string,
    chunk: bigint,
    { tracefileSize, tracefileCount }: { readonly tracefileSize: number; readonly tracefileCount: number },
  ): Promise<bigint> {
    const [name, path] = [text(channel), text(directory)];
    const head = [u32(name.length), u32(path.length), u64(BigInt(tracefileSize)), u64(BigInt(tracefileCount)), u64(chunk)];
    const answer = await this.#ask(COMMAND.addStream, Buffer.concat([...head, name, path]), 12);
    this.#check(answer.readUInt32BE(8), `stream ${directory}/${channel}`);
    return answer.readBigUInt64BE(0);
  }

  /** Viewers and chunks see the streams from now on. */
  streamsSent(): Promise<void> {
    return this.#order(COMMAND.streamsSent, Buffer.alloc(0), 'streams');
  }

  createChunk(id: bigint, createdAt: bigint): Promise<void> {
    return this.#order(COMMAND.createChunk, Buffer.concat([u64(id), u64(createdAt), u32(0)]), `chunk ${id}`);
  }

  /** The relay really closes it when its last stream has left it. */
  async closeChunk(id: bigint, closedAt: bigint, how: number): Promise<string> {
    const payload = Buffer.concat([u64(id), u64(closedAt), u8(1), u32(how)]);
    const answer = await this.#ask(COMMAND.closeChunk, payload, 8, (head) => this.#pathLength(head.readUInt32BE(4)));
    this.#check(answer.readUInt32BE(0), `the end of chunk ${id}`);
    return answer.subarray(8).toString('utf8').replace(/\0.*$/s, '');
  }

  async chunkExists(id: bigint): Promise<boolean> {
    const answer = await this.#ask(COMMAND.chunkExists, u64(id), 5);
    this.#check(answer.readUInt32BE(0), `chunk ${id}`);
    return answer.readUInt8(4) !== 0;
  }

  /** From the given packet of each stream on it is in the next chunk; null: there is none. */
  rotateStreams(chunk: bigint | null, positions: readonly (readonly [stream: bigint, sequence: bigint])[]): Promise<void> {
    const places = positions.flatMap(([stream, sequence]) => [u64(stream), u64(sequence)]);
    const head = [u32(positions.length), u8(chunk === null ? 0 : 1), u64(chunk ?? 0n)];
    return this.#order(COMMAND.rotateStreams, Buffer.concat([...head, ...places]), 'the rotation');
  }

  /** Not answered. */
  sendMetadata(stream: bigint, bytes: Buffer): void {
    this.#control.write(controlMessage(COMMAND.sendMetadata, Buffer.concat([u64(stream), u32(0), bytes])));
  }

  resetMetadata(stream: bigint, version: bigint): Promise<void> {
    return this.#order(COMMAND.resetMetadata, Buffer.concat([u64(stream), u64(version)]), 'metadata');
  }

  /** The packet's place in its stream counts from 0 and has no gap, whatever chunk it is in. */
  sendData(stream: bigint, sequence: bigint, bytes: Buffer): void {
    const header = Buffer.concat([u64(0n), u64(stream), u64(sequence), u32(bytes.length), u32(0)]);
    if (header.length !== DATA_HEADER) throw new RelayError('a data header has 32 bytes');
    this.#data.cork();
    this.#data.write(header);
    this.#data.write(bytes);
    this.#data.uncork();
  }

  /** Resolves when the data connection takes more, or is gone. */
  async roomy(): Promise<void> {
    if (!this.#data.writableNeedDrain || this.#data.destroyed) return;
    await new Promise<void>((resolve) => {
      for (const event of ['drain', 'close']) this.#data.once(event, resolve);
    });
  }

  sendIndex(index: RelayIndex): Promise<void> {
    return this.#order(COMMAND.sendIndex, indexPayload(index), 'an index');
  }

  /** Everything up to this packet, data and index, is there. */
  async hasArrived(stream: bigint, sequence: bigint): Promise<boolean> {
    const answer = await this.#ask(COMMAND.dataPending, Buffer.concat([u64(stream), u64(sequence)]), 4);
    return answer.readUInt32BE(0) === 0;
  }

  closeStream(stream: bigint, last: bigint): Promise<void> {
    return this.#order(COMMAND.closeStream, Buffer.concat([u64(stream), u64(last)]), 'the end of a stream');
  }

  /** What was sent still leaves; a relay that does not take it, or never closes its side, is not waited for. */
  close(): void {
    this.#closed ??= new Error('closed');
    for (const socket of [this.#control, this.#data]) {
      socket.end();
      socket.setTimeout(LINGER_MS, () => socket.destroy());
    }
    this.#rejectAll(this.#closed);
  }

  async #greet(): Promise<void> {
    const answer = await this.#ask(COMMAND.version, Buffer.concat([u32(MAJOR), u32(MINOR)]), 8);
    const [major, minor] = [answer.readUInt32BE(0), answer.readUInt32BE(4)];
    if (major !== MAJOR || minor < MINOR_LEAST)
      throw new RelayError(`it speaks version ${major}.${minor}; ${MAJOR}.${MINOR_LEAST} or a later ${MAJOR} is needed`);
    this.#minor = Math.min(minor, MINOR);
    if (this.#minor >= MINOR_CONFIGURATION)
      this.#check((await this.#ask(COMMAND.getConfiguration, u64(0n), 12)).readUInt32BE(0), 'its configuration');
  }

  #pathLength(length: number): number {
    if (length > PATH_MAX) throw new RelayError(`a path of ${length} bytes is none`);
    return length;
  }

  #check(code: number, what: string): void {
    if (code !== OK) throw new RelayError(`the relay refused ${what} (code ${code})`, code);
  }

  async #order(command: number, payload: Buffer, what: string): Promise<void> {
    this.#check((await this.#ask(command, payload, 4)).readUInt32BE(0), what);
  }

  #ask(command: number, payload: Buffer, least: number, more: (head: Buffer) => number = nothingMore): Promise<Buffer> {
    if (this.#closed) return Promise.reject(this.#closed);
    const message = controlMessage(command, payload);
    if (message.length !== CONTROL_HEADER + payload.length) throw new RelayError('a control header has 24 bytes');
    return new Promise((resolve, reject) => {
      this.#awaited.push({ least, more, resolve, reject });
      this.#control.write(message);
    });
  }

  #receive(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    try {
      while (this.#takeAnswer());
    } catch (thrown) {
      this.#cut(thrown as Error);
    }
  }

  #takeAnswer(): boolean {
    const [first] = this.#awaited;
    if (!first) {
      if (this.#received.length > 0) throw new RelayError('the relay answered what was not asked');
      return false;
    }
    if (this.#received.length < first.least) return false;
    const length = first.least + first.more(this.#received);
    if (this.#received.length < length) return false;
    const answer = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    this.#awaited.shift();
    first.resolve(answer);
    return true;
  }

  #cut(cause: Error): void {
    if (this.#closed) return;
    this.#closed = cause;
    this.#control.destroy();
    this.#data.destroy();
    this.#rejectAll(cause);
    this.onCut(cause);
  }

  #rejectAll(cause: Error): void {
    for (const { reject } of this.#awaited.splice(0)) reject(cause);
  }
}
