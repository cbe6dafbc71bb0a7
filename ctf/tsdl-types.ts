/** What the metadata of a trace says, as ctf/tsdl.ts reads it. */

export interface IntegerLayout {
  readonly kind: 'integer';
  readonly bits: number; // 1 .. 64
  readonly align: number; // bits, a power of two
  readonly signed: boolean;
  readonly big: boolean;
  readonly base: 2 | 8 | 10 | 16;
  /** Rows of it are text. */
  readonly text: boolean;
  /** The clock whose time it is. */
  readonly clock: string | null;
}

export interface Mapping {
  readonly label: string;
  readonly first: bigint;
  readonly last: bigint;
}

/** A place that a length or a tag is read from: `len`, `a.b`, `stream.event.context.len`. */
export type Reference = readonly string[];

export type Layout =
  | IntegerLayout
  | { readonly kind: 'float'; readonly bits: 32 | 64; readonly align: number; readonly big: boolean }
  | { readonly kind: 'string' }
  | { readonly kind: 'enum'; readonly container: IntegerLayout; readonly mappings: readonly Mapping[] }
  | StructLayout
  | { readonly kind: 'variant'; readonly tag: Reference; readonly options: readonly Member[] }
  | { readonly kind: 'array'; readonly element: Layout; readonly length: number }
  | { readonly kind: 'sequence'; readonly element: Layout; readonly length: Reference };

export interface Member {
  readonly name: string;
  readonly layout: Layout;
}

export interface StructLayout {
  readonly kind: 'struct';
  readonly align: number;
  readonly members: readonly Member[];
}

export interface Clock {
  readonly name: string;
  readonly frequency: bigint;
  /** Of its zero from 1970, in whole seconds and in ticks beyond them. */
  readonly offsetSeconds: bigint;
  readonly offset: bigint;
}

export interface EventDescription {
  readonly id: bigint;
  readonly stream: bigint;
  readonly name: string;
  readonly logLevel: number | null;
  readonly context: StructLayout | null;
  readonly fields: StructLayout | null;
}

export interface StreamDescription {
  readonly id: bigint;
  readonly packetContext: StructLayout | null;
  readonly eventHeader: StructLayout | null;
  readonly eventContext: StructLayout | null;
}

export interface TraceMetadata {
  readonly uuid: string | null; // 32 hex digits
  readonly big: boolean;
  readonly packetHeader: StructLayout | null;
  readonly environment: ReadonlyMap<string, string | bigint>;
  readonly clocks: readonly Clock[];
  readonly streams: readonly StreamDescription[];
  readonly events: readonly EventDescription[];
}

/** The text is not what can be read; `line` from 1. */
export class MetadataError extends Error {
  readonly line: number;

  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}
