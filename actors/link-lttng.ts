/**
 * A relay of LTTng at the other end of a link (docs/contracts-network.md): what the spool holds becomes its streams and chunks. It
 * resumes nothing: after a cut a session of its own begins there, in another directory, with what had not arrived.
 */
import { metadataPackets } from '../ctf/metadata-packets.ts';
import { CLOSE_ARCHIVES, CLOSE_DELETES, LttngRelay, NO_NUMBER, type RelayAddress } from '../transport/lttng-relay.ts';
import type { Durable, LinkContent, LinkMessage, LinkPeer, LinkPosition, PeerListener } from './link-peer.ts';
import type { Clock } from './ports.ts';
import { refuse } from './refused.ts';

/** Before the machine gives up waiting, so that the cause is known. */
const OPEN_MS = 7_000;
/** What was begun may end; a relay that is silent is not waited for. */
const CLOSE_MS = 2_000;
const RETRY_MS = 1_000;
const ASK_MS = 20;
const WINDOW_BYTES = 8 << 20;
const TRACES = 'ust/';

export interface LttngLink extends RelayAddress {
  readonly session: string;
  readonly hostname: string;
  readonly subdir: string;
  readonly liveTimerUs: number;
  /** 32 hex digits. */
  readonly link: string;
  readonly createdAt: string; // ISO 8601
}

interface DataStream {
  readonly handle: bigint;
  /** Packets that were sent in this session there. */
  sent: bigint;
  /** How many of them are known to be there. */
  arrived: bigint;
  /** The last ones of ours that are not known to be there, by path: a chunk may have ended in between. */
  readonly unconfirmed: Map<string, number>;
}

/** An operation is done when all that was sent before it is there: data comes on a connection of its own. */
interface Pending {
  readonly number: number;
  readonly before: readonly (readonly [stream: DataStream, sent: bigint])[];
}

interface MetadataStream {
  readonly handle: bigint;
  /** What is in the file there. */
  text: string;
  version: bigint;
}

type Packet = Extract<LinkContent, { kind: 'packet' }>;
type Metadata = Extract<LinkContent, { kind: 'metadata' }>;
type Limits = Pick<Packet, 'tracefileSize' | 'tracefileCount'>;
const UNLIMITED: Limits = { tracefileSize: 0, tracefileCount: 0 };
type Operation = Extract<LinkContent, { kind: 'op' }>;

const UUID = /uuid = "([0-9a-f-]{36})"/;

/** Of a path of ours: chunks are named otherwise there. */
const inChunk = (path: string): string => path.slice(Math.max(path.indexOf(TRACES), 0));

/** Seconds since 1970 of each time in a name of a chunk: `20261121T151816+0000-20261121T151818+0000-0`. */
const timesIn = (name: string): readonly bigint[] =>
  [...name.matchAll(/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)([+-]\d\d)(\d\d)/g)].map(
    ([, year, month, day, hour, minute, second, zone, rest]) =>
      BigInt(Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone}:${rest}`) / 1000),
  );

const splitPath = (path: string): readonly [directory: string, name: string] => {
  const at = path.lastIndexOf('/');
  return [path.slice(0, at), path.slice(at + 1)];
};

export class LttngPeer implements LinkPeer {
  readonly #link: LttngLink;
  readonly #listener: PeerListener;
  readonly #clock: Clock;
  #relay: LttngRelay | null = null;
  #work: Promise<void> = Promise.resolve();
  #data = new Map<string, DataStream>();
  #metadata = new Map<string, MetadataStream>();
  /** Of messages that come in parts. */
  #text = '';
  #parts: Buffer[] = [];
  /** Null: what comes next begins one. */
  #chunk: bigint | null = null;
  #nextChunk = 0n;
  #upTo = 0;
  #ops = 0;
  #pending: Pending[] = [];
  #opening: AbortController | null = null;
  #asking: unknown = null;
  #closed = false;

  constructor(link: LttngLink, listener: PeerListener, clock: Clock) {
    this.#link = link;
    this.#listener = listener;
    this.#clock = clock;
  }

  async open(epoch: number): Promise<LinkPosition> {
    this.#end();
    const { host, ctrlPort } = this.#link;
    const opening = new AbortController();
    this.#opening = opening;
    const late = (): void => opening.abort(new Error(`it does not answer within ${OPEN_MS} ms`));
    const timer = this.#clock.setTimeout(late, OPEN_MS);
    try {
      const { relay, path } = await this.#openSession(epoch, opening.signal);
      this.#begin(relay);
      return { relay: `${host}:${ctrlPort}`, window: WINDOW_BYTES, directory: path, durable: [], ops: 0 };
    } catch (thrown) {
      throw refuse('relay-unreachable', { relay: `${host}:${ctrlPort}`, cause: (thrown as Error).message });
    } finally {
      this.#clock.clearTimeout(timer);
      if (this.#opening === opening) this.#opening = null;
    }
  }

  async #openSession(epoch: number, signal: AbortSignal): Promise<{ relay: LttngRelay; path: string }> {
    const { session, hostname, subdir, liveTimerUs, link, createdAt } = this.#link;
    const relay = await LttngRelay.connect(this.#link, signal);
    const beganAt = epoch === 1 ? Date.parse(createdAt) : this.#clock.now();
    try {
      const { path } = await relay.createSession({
        name: session,
        hostname,
        basePath: epoch === 1 ? subdir : subdir && `${subdir}-${epoch}`,
        liveTimerUs,
        snapshot: false,
        // Of the two it wants to tell sessions apart, one is enough.
        daemon: Buffer.from(link, 'hex'),
        sessionId: 1n,
        createdAt: BigInt(Math.floor(beganAt / 1000)),
      });
      signal.throwIfAborted();
      return { relay, path };
    } catch (thrown) {
      relay.close();
      throw thrown;
    }
  }

  send(message: LinkMessage): boolean {
    const relay = this.#relay;
    if (!relay) return false;
    this.#work = this.#work.then(async () => {
      if (relay !== this.#relay) return;
      try {
        await this.#take(relay, message);
        this.#upTo = message.n;
        this.#askSoon();
      } catch {
        this.#lose(relay);
      }
    });
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#opening?.abort(new Error('the link is closed'));
    let timer: unknown;
    const late = new Promise<void>((resolve) => {
      timer = this.#clock.setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([this.#work, late]);
    this.#clock.clearTimeout(timer);
    this.#end();
  }

  #begin(relay: LttngRelay): void {
    this.#relay = relay;
    this.#data = new Map();
    this.#metadata = new Map();
    this.#chunk = null;
    this.#nextChunk = 0n;
    [this.#upTo, this.#ops] = [0, 0];
    this.#pending = [];
    [this.#text, this.#parts] = ['', []];
    relay.onCut = () => this.#lose(relay);
  }

  #end(): void {
    if (this.#asking !== null) this.#clock.clearTimeout(this.#asking);
    this.#asking = null;
    this.#opening?.abort(new Error('it is opened anew'));
    this.#opening = null;
    this.#relay?.close();
    this.#relay = null;
  }

  #lose(relay: LttngRelay): void {
    if (relay !== this.#relay || this.#closed) return;
    this.#end();
    this.#listener.cut();
    this.#clock.setTimeout(() => this.#closed || this.#listener.connected(), RETRY_MS);
  }

  async #take(relay: LttngRelay, message: LinkMessage): Promise<void> {
    if (message.kind === 'packet') await this.#takePacket(relay, message);
    else if (message.kind === 'metadata') await this.#takeMetadata(relay, message);
    else if (message.kind === 'op') await this.#takeOperation(relay, message);
    else await this.#takeBeat(relay, message.clock, message.paths);
  }

  async #takePacket(relay: LttngRelay, { path, number, index, part, parts, bytes, ...limits }: Packet): Promise<void> {
    if (part === 0) this.#parts = [];
    this.#parts.push(bytes);
    if (part + 1 < parts) return;
    const stream = await this.#dataStream(relay, path, limits);
    const sequence = stream.sent++;
    relay.sendData(stream.handle, sequence, Buffer.concat(this.#parts.splice(0)));
    stream.unconfirmed.set(path, number);
    await relay.sendIndex({ stream: stream.handle, sequence, entry: index });
    await relay.roomy();
  }

  async #takeMetadata(relay: LttngRelay, { path, text, first, more }: Metadata): Promise<void> {
    this.#text = first ? text : this.#text + text;
    if (more) return;
    const stream = await this.#metadataStream(relay, path);
    await this.#writeMetadata(relay, stream, this.#text);
  }

  /** What is new of it; the whole of it, where what is there is not its beginning. */
  async #writeMetadata(relay: LttngRelay, stream: MetadataStream, text: string): Promise<void> {
    if (!text.startsWith(stream.text)) {
      await relay.resetMetadata(stream.handle, ++stream.version);
      stream.text = '';
    }
    const uuid = UUID.exec(text)?.[1]?.replaceAll('-', '') ?? '';
    const bytes = metadataPackets(text.slice(stream.text.length), uuid);
    if (bytes.length > 0) relay.sendMetadata(stream.handle, bytes);
    stream.text = text;
  }

  async #takeOperation(relay: LttngRelay, operation: Operation): Promise<void> {
    if (operation.op === 'archive') await this.#endChunk(relay, CLOSE_ARCHIVES, timesIn(operation.to)[1]);
    else if (operation.op === 'clear') await this.#clear(relay);
    else if (operation.op === 'close') await this.#closeSession(relay);
    const before = [...this.#data.values()].map((stream) => [stream, stream.sent] as const);
    this.#pending.push({ number: operation.number, before });
  }

  /** Its files are the current chunk's: another takes its place. */
  async #clear(relay: LttngRelay): Promise<void> {
    const texts = [...this.#metadata].map(([trace, { text }]) => [trace, text] as const);
    await this.#endChunk(relay, CLOSE_DELETES);
    for (const [trace, text] of texts) await this.#writeMetadata(relay, await this.#metadataStream(relay, trace), text);
  }

  /** A stream that was closed can be asked for nothing. */
  async #closeSession(relay: LttngRelay): Promise<void> {
    for (let left = await this.#confirm(relay); left; left = await this.#confirm(relay))
      await new Promise<void>((resolve) => void this.#clock.setTimeout(() => resolve(), ASK_MS));
    for (const { handle, sent } of this.#data.values()) await relay.closeStream(handle, sent === 0n ? NO_NUMBER : sent - 1n);
    for (const { handle } of this.#metadata.values()) await relay.closeStream(handle, NO_NUMBER);
  }

  /** Streams that send nothing: nothing older will come of them. */
  async #takeBeat(relay: LttngRelay, clock: bigint, paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      const stream = this.#data.get(inChunk(path));
      if (!stream || stream.sent === 0n) continue;
      const entry = Buffer.alloc(72);
      entry.writeBigUInt64BE(clock, 32);
      await relay.sendIndex({ stream: stream.handle, sequence: stream.sent - 1n, entry });
    }
  }

  async #dataStream(relay: LttngRelay, full: string, limits: Limits): Promise<DataStream> {
    await this.#enterChunk(relay, full);
    const path = inChunk(full);
    const found = this.#data.get(path);
    if (found) return found;
    const [directory, name] = splitPath(path);
    const stream: DataStream = {
      handle: await this.#addStream(relay, name, directory, limits),
      sent: 0n,
      arrived: 0n,
      unconfirmed: new Map(),
    };
    this.#data.set(path, stream);
    return stream;
  }

  async #metadataStream(relay: LttngRelay, full: string): Promise<MetadataStream> {
    await this.#enterChunk(relay, full);
    const trace = inChunk(full);
    const found = this.#metadata.get(trace);
    if (found) return found;
    const stream: MetadataStream = {
      handle: await this.#addStream(relay, 'metadata', trace, UNLIMITED),
      text: '',
      version: 0n,
    };
    this.#metadata.set(trace, stream);
    return stream;
  }

  async #addStream(relay: LttngRelay, name: string, directory: string, limits: Limits): Promise<bigint> {
    const handle = await relay.addStream(name, directory, this.#chunk ?? 0n, limits);
    await relay.streamsSent();
    return handle;
  }

  /** Named there as here: after the time at which it began. */
  async #enterChunk(relay: LttngRelay, path: string): Promise<void> {
    if (this.#chunk !== null) return;
    const chunk = this.#nextChunk++;
    const [beganAt = BigInt(Math.floor(Date.parse(this.#link.createdAt) / 1000))] = timesIn(path);
    await relay.createChunk(chunk, beganAt);
    if (this.#handles().length > 0) await relay.rotateStreams(chunk, this.#handles());
    this.#chunk = chunk;
  }

  async #endChunk(relay: LttngRelay, how: number, endedAt = this.#seconds()): Promise<void> {
    if (this.#chunk === null) return;
    await relay.rotateStreams(null, this.#handles());
    await relay.closeChunk(this.#chunk, endedAt, how);
    this.#chunk = null;
    // Each chunk has metadata of its own.
    for (const stream of this.#metadata.values()) stream.text = '';
  }

  #handles(): (readonly [bigint, bigint])[] {
    const data = [...this.#data.values()].map(({ handle, sent }) => [handle, sent] as const);
    return [...data, ...[...this.#metadata.values()].map(({ handle }) => [handle, 0n] as const)];
  }

  #seconds(): bigint {
    return BigInt(Math.floor(this.#clock.now() / 1000));
  }

  #askSoon(): void {
    this.#asking ??= this.#clock.setTimeout(() => {
      this.#asking = null;
      const relay = this.#relay;
      if (relay) this.#work = this.#work.then(() => this.#acknowledge(relay)).catch(() => this.#lose(relay));
    }, ASK_MS);
  }

  async #acknowledge(relay: LttngRelay): Promise<void> {
    if (relay === this.#relay && (await this.#confirm(relay))) this.#askSoon();
  }

  /** Data and index travel beside each other: what has arrived has to be asked for. Whether something has not. */
  async #confirm(relay: LttngRelay): Promise<boolean> {
    const durable: Durable[] = [];
    for (const stream of this.#data.values()) {
      if (stream.unconfirmed.size === 0 || !(await this.#hasArrived(relay, stream, stream.sent))) continue;
      for (const [path, number] of stream.unconfirmed) durable.push({ path, number });
      stream.unconfirmed.clear();
    }
    while (this.#pending[0] && (await this.#isDone(relay, this.#pending[0]))) this.#ops = this.#pending.shift()!.number;
    if (relay !== this.#relay) return false;
    this.#listener.acked({ upTo: this.#upTo, durable, ops: this.#ops, missing: null, full: false });
    return this.#pending.length > 0 || [...this.#data.values()].some(({ unconfirmed }) => unconfirmed.size > 0);
  }

  async #isDone(relay: LttngRelay, { before }: Pending): Promise<boolean> {
    for (const [stream, sent] of before) if (!(await this.#hasArrived(relay, stream, sent))) return false;
    return true;
  }

  async #hasArrived(relay: LttngRelay, stream: DataStream, sent: bigint): Promise<boolean> {
    if (stream.arrived < sent && (await relay.hasArrived(stream.handle, sent - 1n))) stream.arrived = sent;
    return stream.arrived >= sent;
  }
}
