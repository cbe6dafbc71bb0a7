/** One trace directory, decoded as it grows: the consumer's own files, read back for whoever watches. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TraceFilter, writeFilter } from '../ctf/filter-table.ts';
import { TableWriter, writeTrace } from '../ctf/layout-table.ts';
import { parseTsdl } from '../ctf/tsdl.ts';
import type { TraceMetadata } from '../ctf/tsdl-types.ts';
import type { Native, Tail } from '../native/addon/index.ts';

export type TailNews = Awaited<ReturnType<Tail['read']>>;

export interface FollowedTrace {
  /** What came since the last question. `begins`: what is there already is passed over. */
  read(limit: number, begins: boolean): Promise<TailNews>;
  /** What its events look like, as the last question found it. */
  layouts(): TraceMetadata | null;
}

const NOTHING: TailNews = { records: [], leftOut: 0, packetsLeftOut: 0, faults: [] };

class Followed implements FollowedTrace {
  readonly #native: Pick<Native, 'openTail'>;
  readonly #directory: string;
  readonly #filter: TraceFilter | null;
  #tail: Tail | null = null;
  #version = '';
  #metadata: TraceMetadata | null = null;

  constructor(native: Pick<Native, 'openTail'>, directory: string, filter: TraceFilter | null) {
    this.#filter = filter;
    this.#native = native;
    this.#directory = directory;
  }

  /** Metadata is written before the first event that it describes; it is replaced, never changed. */
  #layOut(): void {
    const path = join(this.#directory, 'metadata');
    const { ino, size, mtimeMs } = statSync(path);
    const version = `${ino} ${size} ${mtimeMs}`;
    if (version === this.#version) return;
    const out = new TableWriter();
    const metadata = parseTsdl(readFileSync(path, 'utf8'));
    writeTrace(out, metadata);
    writeFilter(out, metadata, this.#filter);
    if (this.#tail) this.#tail.layOut(out.bytes());
    else this.#tail = this.#native.openTail(out.bytes());
    this.#version = version;
    this.#metadata = metadata;
  }

  layouts(): TraceMetadata | null {
    return this.#metadata;
  }

  async read(limit: number, begins: boolean): Promise<TailNews> {
    let files: string[];
    try {
      files = readdirSync(this.#directory, { withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.name.startsWith('metadata'))
        .map((entry) => join(this.#directory, entry.name));
      this.#layOut();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT')
        files = []; // moved to the archives, or not made yet
      else throw error;
    }
    return this.#tail ? this.#tail.read(limit, begins ? files : [], begins ? [] : files) : NOTHING;
  }
}

export const followedTraces =
  (native: Pick<Native, 'openTail'>) =>
  (directory: string, filter: TraceFilter | null): FollowedTrace =>
    new Followed(native, directory, filter);
