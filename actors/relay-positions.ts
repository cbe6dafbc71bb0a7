/**
 * Where the streams of a link end for certain: noted beside them after each commit, before anybody hears of it. After a power cut files
 * have any part of what was written behind that. Lines are appended, and now and then the file is written anew.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { RelayDisk } from './relay-disk.ts';
import type { Tail } from './relay-stream.ts';

const FIRST_LINE = '{"v":1}';
/** Written anew when it is so much longer than it was then. */
const GROWTH_BYTES = 1 << 20;

export interface Position extends Tail {
  readonly path: string;
}

/** Whether a path lies below a directory; empty: any does. */
export const inside = (directory: string, path: string): boolean => directory === '' || path.startsWith(`${directory}/`);

const lineOf = ({ path, file, entries, dataAt, number }: Position): string =>
  `${JSON.stringify([path, file, entries, dataAt, number])}\n`;

const parse = (line: string): Position | null => {
  try {
    const [path, file, entries, dataAt, number] = JSON.parse(line) as [string, number, number, number, number];
    return { path, file, entries, dataAt, number };
  } catch {
    return null;
  }
};

export class Positions {
  readonly #disk: RelayDisk;
  readonly #file: string;
  readonly #known = new Map<string, Position>();
  /** Where the next line goes; null: the file is to be written anew. */
  #end: number | null = null;
  #growsTo = 0;
  /** Whether there is anything of it. A relay of before had none. */
  readonly present: boolean;

  constructor(disk: RelayDisk, file: string) {
    this.#disk = disk;
    this.#file = file;
    const [first, ...lines] = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
    this.present = first === FIRST_LINE;
    if (!this.present) return;
    for (const line of lines) {
      const position = parse(line);
      // The end of the file, or what a power cut left of it.
      if (!position) break;
      this.#known.set(position.path, position);
    }
  }

  of(path: string): Position | null {
    return this.#known.get(path) ?? null;
  }

  /** Of a link that nothing was received of. */
  begin(): void {
    this.#writeAnew();
  }

  /** Resolves when the disk has it. `gone`: directories of which nothing has to be known any more. */
  async note(positions: readonly Position[], gone: readonly string[]): Promise<void> {
    for (const path of [...this.#known.keys()]) if (gone.some((one) => inside(one, path))) this.#known.delete(path);
    for (const position of positions) this.#known.set(position.path, position);
    if (this.#end === null || this.#end > this.#growsTo) this.#writeAnew();
    else this.#append(this.#end, Buffer.from(positions.map(lineOf).join('')));
    try {
      await this.#disk.sync([this.#file]);
    } catch (thrown) {
      this.#end = null;
      throw thrown;
    }
  }

  #append(at: number, bytes: Buffer): void {
    this.#end = null;
    this.#disk.write(this.#file, at, bytes);
    this.#end = at + bytes.length;
  }

  #writeAnew(): void {
    const bytes = Buffer.from(`${FIRST_LINE}\n${[...this.#known.values()].map(lineOf).join('')}`);
    this.#disk.replace(this.#file, bytes);
    this.#end = bytes.length;
    this.#growsTo = bytes.length + GROWTH_BYTES;
  }
}
