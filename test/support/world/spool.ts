/** A spool upon the trace files of the world: each event is a packet of its own, numbered as the events are. */
import { dirname } from 'node:path';
import type { Spool, SpoolEntry } from '../../../actors/ports.ts';
import { ENTRY_BYTES } from '../../../ctf/index-file.ts';
import type { TraceFiles } from './rings.ts';

const PACKET_BYTES = 16;

export class WorldSpool implements Spool {
  readonly #output: string;
  readonly #files: TraceFiles;
  readonly #given: Map<string, number>;
  readonly #noted: { text: string };

  constructor(output: string, files: TraceFiles) {
    this.#output = output;
    this.#files = files;
    const known = files.spools.get(output) ?? { given: new Map(), noted: { text: '' } };
    files.spools.set(output, known);
    this.#given = known.given;
    this.#noted = known.noted;
  }

  streams(): readonly string[] {
    return [...this.#files.streams.keys()].flatMap((path) => this.#relative(path));
  }

  traces(): readonly string[] {
    return [...this.#files.metadata.keys()].flatMap((path) => this.#relative(path));
  }

  count(path: string): number {
    return this.#events(path).length;
  }

  entries(path: string, from: number, most: number): readonly SpoolEntry[] {
    return this.#events(path)
      .slice(from, from + most)
      .map(({ number }, at) => {
        const offset = (from + at) * PACKET_BYTES;
        return { number, offset, bytes: PACKET_BYTES, index: Buffer.alloc(ENTRY_BYTES) };
      });
  }

  read(path: string, offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    bytes.writeUInt32LE(this.#events(path)[offset / PACKET_BYTES]!.number);
    return bytes;
  }

  holds(path: string, { number }: SpoolEntry): boolean {
    return number > this.released(path);
  }

  released(path: string): number {
    return this.#given.get(path) ?? -1;
  }

  release(path: string, _: number, __: number, number: number): void {
    this.#given.set(path, number);
  }

  describe(trace: string): string | null {
    return this.#files.metadata.get(`${this.#output}/${trace}`) ?? null;
  }

  metadata(trace: string): string {
    return this.#files.metadata.get(`${this.#output}/${trace}`)!;
  }

  file(name: string): string | null {
    return this.#files.notes.get(`${this.#output}/${name}`) ?? null;
  }

  writeFile(name: string, text: string): void {
    this.#files.notes.set(`${this.#output}/${name}`, text);
  }

  log(): string {
    return this.#noted.text;
  }

  writeLog(text: string, at: number): void {
    const before = this.#noted.text;
    this.#noted.text = before.slice(0, at) + text + before.slice(at + text.length);
  }

  replaceLog(text: string): void {
    this.#noted.text = text;
  }

  remove(directory: string): void {
    for (const files of [this.#files.streams, this.#files.metadata] as Map<string, unknown>[])
      for (const path of [...files.keys()]) if (path.startsWith(`${this.#output}/${directory}/`)) files.delete(path);
  }

  tidy(): void {}

  end(): void {
    for (const name of new Set(this.traces().map((trace) => trace.split('/')[0]!))) this.remove(name);
    this.#files.spools.delete(this.#output);
  }

  #events(path: string) {
    return this.#files.streams.get(`${this.#output}/${path}`) ?? [];
  }

  #relative(path: string): string[] {
    return dirname(path).startsWith(this.#output) ? [path.slice(this.#output.length + 1)] : [];
  }
}
