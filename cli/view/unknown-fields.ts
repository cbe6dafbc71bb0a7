/** A filter on what no event of a trace has keeps nothing, or everything: a word about it, and what was meant perhaps. */
import { layoutOf, type Mention, namesOf } from '../../ctf/filter-table.ts';
import type { TraceMetadata } from '../../ctf/tsdl-types.ts';

const SHOWN_MAX = 8;

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

const shownName = ({ kind, name }: Mention): string => (kind === 'context' ? `context ${name}` : `field ${name}`);

const isThere = (mention: Mention, { streams, events }: TraceMetadata): boolean =>
  events.some((event) => {
    const stream = streams.find(({ id }) => id === event.stream);
    return stream !== undefined && layoutOf(mention, stream, event) !== undefined;
  });

/** Nothing is said of traces without events: theirs may come yet. */
export const unknownFields = (mentions: readonly Mention[], traces: readonly TraceMetadata[]): readonly string[] => {
  if (!traces.some(({ events }) => events.length > 0)) return [];
  return mentions
    .filter((mention) => !traces.some((trace) => isThere(mention, trace)))
    .map((mention) => {
      const names = [...new Set(traces.flatMap((trace) => namesOf(mention.kind, trace)))];
      const near = names.map((name) => [distance(mention.name, name), name] as const).sort(([a], [b]) => a - b);
      const kinds = mention.kind === 'context' ? 'contexts' : 'fields';
      const known = near.slice(0, SHOWN_MAX).map(([, name]) => name);
      const more = near.length > known.length ? `, and ${near.length - known.length} more` : '';
      const there = known.length === 0 ? `there are no ${kinds}` : `nearest of its ${kinds}: ${known.join(', ')}${more}`;
      return `Warning: no event of the trace has ${shownName(mention)}; ${there}`;
    });
};
