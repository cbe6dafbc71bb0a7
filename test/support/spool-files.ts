/** A spool on disk as readers would write it: packets with a magic, filled with their number, and their index. */
import { appendFileSync, existsSync, mkdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const INDEX_MAGIC = 0xc1f1dcc1;
const PACKET_MAGIC = 0xc1fc1fc1;
/** A packet is no shorter than this and eight bytes. */
const SEQUENCE_AT = 64;

export class SpoolFiles {
  readonly output: string;
  /** Everything that was ever written, by path. */
  readonly written = new Map<string, Buffer[]>();
  readonly #next = new Map<string, number>();

  constructor(output: string) {
    this.output = output;
  }

  describe(trace: string, text: string): void {
    mkdirSync(join(this.output, trace), { recursive: true });
    writeFileSync(join(this.output, trace, 'metadata'), text);
  }

  /** `stream`: whose numbers go on from chunk to chunk. */
  packet(path: string, bytes: number, stream = path.slice(path.lastIndexOf('/') + 1)): number {
    const number = this.#next.get(stream) ?? 0;
    this.#next.set(stream, number + 1);
    const data = Buffer.alloc(bytes, number & 0xff);
    data.writeUInt32LE(PACKET_MAGIC, 0);
    data.writeBigUInt64LE(BigInt(number), SEQUENCE_AT);
    const file = join(this.output, path);
    const index = this.#index(path);
    const entry = Buffer.alloc(72);
    entry.writeBigUInt64BE(BigInt(existsSync(file) ? statSync(file).size : 0), 0);
    entry.writeBigUInt64BE(BigInt(bytes * 8), 8);
    entry.writeBigUInt64BE(BigInt(bytes * 8), 16);
    entry.writeBigUInt64BE(BigInt(number), 64);
    appendFileSync(file, data);
    appendFileSync(index, entry);
    this.written.set(path, [...(this.written.get(path) ?? []), data]);
    return number;
  }

  empty(path: string): void {
    truncateSync(join(this.output, path), 0);
    truncateSync(this.#index(path), 16);
    this.written.set(path, []);
  }

  #index(path: string): string {
    const index = join(this.output, dirname(path), 'index', `${path.slice(path.lastIndexOf('/') + 1)}.idx`);
    if (existsSync(index)) return index;
    mkdirSync(dirname(index), { recursive: true });
    const header = Buffer.alloc(16);
    for (const [at, value] of [INDEX_MAGIC, 1, 1, 72].entries()) header.writeUInt32BE(value, at * 4);
    writeFileSync(index, header);
    return index;
  }
}
