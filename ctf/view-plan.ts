/** What the native decoder is asked for (native/ctf/view.cc reads these bytes). */
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type TraceFilter, writeFilter } from './filter-table.ts';
import { TableWriter, writeTrace } from './layout-table.ts';
import { metadataText, parseTsdl } from './tsdl.ts';
import { MetadataError } from './tsdl-types.ts';

export interface ViewOptions {
  readonly fd: number;
  readonly json?: boolean;
  readonly clock?: 'time' | 'seconds' | 'cycles';
  readonly date?: boolean;
  readonly gmt?: boolean;
  readonly delta?: boolean; // default: true
  readonly colour?: boolean;
  /** ns since 1970, both included. */
  readonly begin?: bigint;
  readonly end?: bigint;
  readonly limit?: bigint;
  /** Only events that it holds for. */
  readonly filter?: TraceFilter | null;
  /** Only these fields are shown; none: all. */
  readonly fields?: readonly string[];
}

/** A directory with a metadata file, and the stream files beside it. */
export interface TraceFiles {
  readonly directory: string;
  readonly streams: readonly string[];
}

const VERSION = 1;
const FOREVER = (1n << 63n) - 1n;

/** All traces at and below a path; each once. */
export const findTraces = (path: string): TraceFiles[] => {
  const root = realpathSync(path);
  const files = statSync(root).isFile()
    ? [root]
    : readdirSync(root, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name));
  const metadata = files.filter((file) => basename(file) === 'metadata').sort();
  const byDirectory = Map.groupBy(files, (file) => dirname(file));
  return metadata.map((file) => {
    const directory = dirname(file);
    const beside = (byDirectory.get(directory) ?? []).filter((one) => one !== file && !basename(one).startsWith('.'));
    return { directory, streams: beside.sort() };
  });
};

const flagsOf = ({ json, clock, date, gmt, delta, colour }: ViewOptions): number =>
  [json, clock === 'seconds', date, gmt, clock === 'cycles', delta === false, colour].reduce(
    (flags, on, bit) => flags | (on === true ? 1 << bit : 0),
    0,
  );

/** Throws MetadataError with the file in it. `grows`: the traces are being written, their ends may be cut. */
export const viewPlan = (traces: readonly TraceFiles[], options: ViewOptions, grows: boolean): Uint8Array => {
  const out = new TableWriter();
  out.u32(VERSION);
  out.u32(options.fd);
  out.u32(flagsOf(options));
  out.u64(options.begin ?? -FOREVER);
  out.u64(options.end ?? FOREVER);
  out.u64(options.limit ?? FOREVER);
  const fields = options.fields ?? [];
  out.u32(fields.length);
  for (const name of fields) out.text(name);
  out.u32(traces.length);
  for (const { directory, streams } of traces) {
    const file = join(directory, 'metadata');
    try {
      const metadata = parseTsdl(metadataText(readFileSync(file)));
      writeTrace(out, metadata);
      writeFilter(out, metadata, options.filter ?? null);
    } catch (error) {
      if (!(error instanceof MetadataError)) throw error;
      throw new MetadataError(`${file}${error.line > 0 ? `:${error.line}` : ''}: ${error.message}`, error.line);
    }
    out.u32(grows ? 1 : 0);
    out.u32(streams.length);
    for (const stream of streams) out.text(stream);
  }
  return out.bytes();
};
