/**
 * Reads the metadata of a trace: the part of CTF 1.8's TSDL that tracers write. Whatever else the text holds is refused with the line
 * where it stands; nothing in it makes the reader loop, or take more memory than the text is long.
 */
import { LayoutReader, Scope } from './tsdl-layouts.ts';
import { Lexer } from './tsdl-lexer.ts';
import {
  type Clock,
  type EventDescription,
  type Layout,
  MetadataError,
  type StreamDescription,
  type StructLayout,
  type TraceMetadata,
} from './tsdl-types.ts';

type Value = bigint | string;

/** What a block says: `name = value;` and `name := layout;` */
interface Block {
  readonly values: ReadonlyMap<string, Value>;
  readonly layouts: ReadonlyMap<string, Layout>;
}

const ID_MAX = (1n << 64n) - 1n;

class Reader {
  readonly #words: Lexer;
  readonly #layouts: LayoutReader;
  readonly #global = new Scope(null);
  #trace: Block | null = null;
  readonly #environment = new Map<string, Value>();
  readonly #clocks: Clock[] = [];
  readonly #streams = new Map<bigint, StreamDescription>();
  readonly #events = new Map<string, EventDescription>();

  constructor(text: string) {
    this.#words = new Lexer(text);
    this.#layouts = new LayoutReader(this.#words);
  }

  #block(): Block {
    const scope = new Scope(this.#global);
    const [values, layouts] = [new Map<string, Value>(), new Map<string, Layout>()];
    this.#words.expect('{');
    while (!this.#words.accept('}')) {
      if (this.#layouts.declaration(scope)) continue;
      const name = this.#words.path().join('.');
      if (this.#words.accept(':=')) layouts.set(name, this.#layouts.layout(scope, false));
      else {
        this.#words.expect('=');
        const value = this.#layouts.value();
        values.set(name, value);
        if (name === 'byte_order') this.#layouts.big = value === 'be';
      }
      this.#words.expect(';');
    }
    this.#words.expect(';');
    return { values, layouts };
  }

  #number(values: ReadonlyMap<string, Value>, name: string, otherwise: bigint): bigint {
    const value = values.get(name) ?? otherwise;
    if (typeof value !== 'bigint') throw this.#words.fault(`\`${name}\` must be a number`);
    return value;
  }

  #id(values: ReadonlyMap<string, Value>, name: string): bigint {
    const id = this.#number(values, name, 0n);
    if (id < 0n || id > ID_MAX) throw this.#words.fault(`${id} is no \`${name}\``);
    return id;
  }

  #structure({ layouts }: Block, name: string): StructLayout | null {
    const layout = layouts.get(name) ?? null;
    if (layout !== null && layout.kind !== 'struct') throw this.#words.fault(`\`${name}\` must be a structure`);
    return layout;
  }

  #clock({ values }: Block): void {
    const frequency = this.#number(values, 'freq', 1_000_000_000n);
    if (frequency < 1n || frequency > ID_MAX) throw this.#words.fault(`${frequency} is no frequency of a clock`);
    this.#clocks.push({
      name: String(values.get('name') ?? ''),
      frequency,
      offsetSeconds: this.#number(values, 'offset_s', 0n),
      offset: this.#number(values, 'offset', 0n),
    });
  }

  #stream(block: Block): void {
    const id = this.#id(block.values, 'id');
    if (this.#streams.has(id)) throw this.#words.fault(`stream ${id} is there twice`);
    this.#streams.set(id, {
      id,
      packetContext: this.#structure(block, 'packet.context'),
      eventHeader: this.#structure(block, 'event.header'),
      eventContext: this.#structure(block, 'event.context'),
    });
  }

  #event(block: Block): void {
    const [id, stream] = [this.#id(block.values, 'id'), this.#id(block.values, 'stream_id')];
    const key = `${stream} ${id}`;
    if (this.#events.has(key)) throw this.#words.fault(`event ${id} of stream ${stream} is there twice`);
    const level = block.values.get('loglevel');
    this.#events.set(key, {
      id,
      stream,
      name: String(block.values.get('name') ?? id),
      logLevel: typeof level === 'bigint' ? Number(level) : null,
      context: this.#structure(block, 'context'),
      fields: this.#structure(block, 'fields'),
    });
  }

  #next(): void {
    if (this.#layouts.declaration(this.#global)) return;
    const word = this.#words.take();
    if (word.kind !== 'name') throw this.#words.fault(`\`${word.text}\` begins nothing`, word);
    switch (word.text) {
      case 'trace':
        if (this.#trace) throw this.#words.fault('there are two traces', word);
        this.#trace = this.#block();
        return;
      case 'env':
        for (const [name, value] of this.#block().values) this.#environment.set(name, value);
        return;
      case 'clock':
        this.#clock(this.#block());
        return;
      case 'stream':
        this.#stream(this.#block());
        return;
      case 'event':
        this.#event(this.#block());
        return;
      case 'callsite':
        this.#block();
        return;
      default:
        throw this.#words.fault(`\`${word.text}\` begins nothing`, word);
    }
  }

  read(): TraceMetadata {
    while (this.#words.next.kind !== 'end') if (!this.#words.accept(';')) this.#next();
    if (!this.#trace) throw this.#words.fault('there is no `trace` block');
    const uuid = this.#trace.values.get('uuid');
    const hex = String(uuid ?? '')
      .replaceAll('-', '')
      .toLowerCase();
    if (uuid !== undefined && !/^[0-9a-f]{32}$/.test(hex)) throw this.#words.fault(`${uuid} is no uuid`);
    return {
      uuid: uuid === undefined ? null : hex,
      big: this.#trace.values.get('byte_order') === 'be',
      packetHeader: this.#structure(this.#trace, 'packet.header'),
      environment: this.#environment,
      clocks: this.#clocks,
      // One stream class needs no block of its own.
      streams:
        this.#streams.size > 0
          ? [...this.#streams.values()]
          : [{ id: 0n, packetContext: null, eventHeader: null, eventContext: null }],
      events: [...this.#events.values()],
    };
  }
}

export const parseTsdl = (text: string): TraceMetadata => new Reader(text).read();

const PACKET_MAGIC = 0x75d11d57;
/** Magic, uuid, checksum, content and packet size in bits, three schemes, version. */
const PACKET_HEADER = 37;

/** The text in a metadata file: as it is, or in packets. */
export const metadataText = (bytes: Buffer): string => {
  const little = bytes.length >= 4 && bytes.readUInt32LE(0) === PACKET_MAGIC;
  const big = bytes.length >= 4 && bytes.readUInt32BE(0) === PACKET_MAGIC;
  if (!little && !big) return bytes.toString('utf8');
  const word = (at: number): number => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const fault = (what: string): MetadataError => new MetadataError(`${what} at byte ${at}`, 0);
    if (bytes.length - at < PACKET_HEADER) throw fault('a cut packet');
    if (word(at) !== PACKET_MAGIC) throw fault('no packet');
    const [content, packet] = [word(at + 24) / 8, word(at + 28) / 8];
    if (content < PACKET_HEADER || packet < content || at + packet > bytes.length) throw fault('a packet of wrong sizes');
    if (bytes.subarray(at + 32, at + 35).some((scheme) => scheme !== 0)) throw fault('a compressed or encrypted packet');
    parts.push(bytes.subarray(at + PACKET_HEADER, at + content));
    at += packet;
  }
  return Buffer.concat(parts).toString('utf8');
};
