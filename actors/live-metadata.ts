/**
 * Metadata as one viewer is told it: block by block, each once. A trace whose session is rotated goes on in the next chunk's: what that
 * one says of itself (who recorded, which clock) was said before; its new streams and events are news.
 */
import { metadataPackets } from '../transport/lttng-live.ts';
import type { LinkStore, Trace } from './relay-store.ts';

/** Said once of a trace, whatever chunk it is in. */
const OF_THE_WHOLE = /^(?:trace|env|clock) \{/;
const ANY_CPU = 'packet_context_any_cpu;';

/** One of the blocks that metadata is made of, each complete. */
const blocksOf = (text: string): string[] => text.split(/\n\n(?=\S)/).map((block) => `${block.trimEnd()}\n\n`);

const uuidOf = (text: string): Buffer => {
  const dashed = /\buuid = "([0-9a-f-]{36})"/.exec(text)?.[1] ?? '';
  const uuid = Buffer.from(dashed.replaceAll('-', ''), 'hex');
  return uuid.length === 16 ? uuid : Buffer.alloc(16);
};

/** Whether the packets of a stream class say of which CPU they are. */
export const namesCpu = (text: string, streamClass: bigint): boolean =>
  !blocksOf(text).some((block) => block.startsWith(`stream {\n\tid = ${streamClass};`) && block.includes(ANY_CPU));

/** Blocks by number, one table for all who watch a link: a viewer keeps a bit of each. */
class Blocks {
  readonly #numbers = new Map<string, number>();

  numberOf(block: string): number {
    const known = this.#numbers.get(block);
    if (known !== undefined) return known;
    this.#numbers.set(block, this.#numbers.size);
    return this.#numbers.size - 1;
  }
}

const tables = new WeakMap<LinkStore, Blocks>();
const tableOf = (store: LinkStore): Blocks => {
  const table = tables.get(store) ?? new Blocks();
  tables.set(store, table);
  return table;
};

class Bits {
  #bytes = new Uint8Array(64);

  /** Whether it was not there. */
  add(at: number): boolean {
    const [byte, mask] = [at >> 3, 1 << (at & 7)];
    if (byte >= this.#bytes.length) {
      const larger = new Uint8Array(2 * byte);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    const isNew = (this.#bytes[byte]! & mask) === 0;
    this.#bytes[byte]! |= mask;
    return isNew;
  }
}

export class LiveMetadata {
  readonly id: bigint;
  readonly #blocks: Blocks;
  readonly #told = new Bits();
  /** The trace in each of its chunks that may have news, and how much of its text was seen: it only grows. */
  readonly #chunks: { readonly trace: Trace; seen: number }[];
  #isBegun = false;

  constructor(store: LinkStore, trace: Trace, id: bigint) {
    this.#blocks = tableOf(store);
    this.#chunks = [{ trace, seen: 0 }];
    this.id = id;
  }

  get news(): boolean {
    return this.#chunks.some(({ trace, seen }) => trace.text.length !== seen);
  }

  /** It goes on in this one. */
  follow(trace: Trace): void {
    if (!this.#chunks.some((chunk) => chunk.trace === trace)) this.#chunks.push({ trace, seen: 0 });
  }

  /** The text grows by whole blocks: readers join what they get. */
  take(): Buffer {
    const news = this.#chunks.flatMap((chunk) => this.#newsOf(chunk));
    const uuid = uuidOf(this.#chunks[0]!.trace.text);
    this.#chunks.splice(0, this.#chunks.length - 1);
    return metadataPackets(uuid, news.join(''));
  }

  #newsOf(chunk: { readonly trace: Trace; seen: number }): string[] {
    const { text } = chunk.trace;
    chunk.seen = text.length;
    const blocks = blocksOf(text).filter((block) => this.#told.add(this.#blocks.numberOf(block)));
    const isFirst = !this.#isBegun;
    this.#isBegun = true;
    return isFirst ? blocks : blocks.filter((block) => !OF_THE_WHOLE.test(block));
  }
}
