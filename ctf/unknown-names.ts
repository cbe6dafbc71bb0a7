/** A filter on what no event of a trace has keeps nothing, or everything: which names that are, and what was meant perhaps. */
import { layoutOf, type Mention, namesOf } from './filter-table.ts';
import type { TraceMetadata } from './tsdl-types.ts';

const NEAR_MAX = 8;

export interface UnknownName extends Mention {
  /** Of the same kind, the nearest first. */
  readonly near: readonly string[];
  /** How many there are besides. */
  readonly more: number;
}

/** How many letters must be put in, taken out, or be others. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) next.push(Math.min(next[j]! + 1, row[j + 1]! + 1, row[j]! + (letter === b[j] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
};

const isThere = (mention: Mention, { streams, events }: TraceMetadata): boolean =>
  events.some((event) => {
    const stream = streams.find(({ id }) => id === event.stream);
    return stream !== undefined && layoutOf(mention, stream, event) !== undefined;
  });

/** Null: nothing can be said of traces without events, theirs may come yet. */
export const unknownNames = (mentions: readonly Mention[], traces: readonly TraceMetadata[]): readonly UnknownName[] | null => {
  if (!traces.some(({ events }) => events.length > 0)) return null;
  return mentions
    .filter((mention) => !traces.some((trace) => isThere(mention, trace)))
    .map(({ kind, name }) => {
      const names = [...new Set(traces.flatMap((trace) => namesOf(kind, trace)))];
      const sorted = names.map((one) => [distance(name, one), one] as const).sort(([a], [b]) => a - b);
      const near = sorted.slice(0, NEAR_MAX).map(([, one]) => one);
      return { kind, name, near, more: sorted.length - near.length };
    });
};
