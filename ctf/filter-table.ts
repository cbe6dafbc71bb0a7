/**
 * A filter for the events of a trace, as the native decoder takes it behind the trace's table (native/ctf/filter.cc reads the same
 * bytes): what the expression mentions, and its program for each event class; an empty one where no event can be kept.
 */
import type { TableWriter } from './layout-table.ts';
import type { EventDescription, Layout, StreamDescription, StructLayout, TraceMetadata } from './tsdl-types.ts';

export interface Mention {
  readonly kind: 'field' | 'context';
  /** Without the `_` that the metadata begins it with. */
  readonly name: string;
}

/** What the records of a class bring it as. `any`: each record says what it is. */
export type RecordedType = 'integer' | 'double' | 'string' | 'integers' | 'any';

/** rules/filter/recorded.ts makes it. */
export interface TraceFilter {
  readonly mentions: readonly Mention[];
  /** null: no event of the class can be kept. */
  compile(typeOf: (mention: Mention) => RecordedType | null): Buffer | null;
}

const KIND: Readonly<Record<Mention['kind'], number>> = { field: 0, context: 1 };

const elementsType = (element: Layout): RecordedType | null => {
  if (element.kind !== 'integer') return element.kind === 'enum' ? 'integers' : null;
  return element.text && element.bits === 8 && element.align === 8 ? 'string' : 'integers';
};

const typeOf = (layout: Layout): RecordedType | null => {
  switch (layout.kind) {
    case 'integer':
    case 'enum':
      return 'integer';
    case 'float':
      return 'double';
    case 'string':
      return 'string';
    case 'array':
    case 'sequence':
      return elementsType(layout.element);
    case 'variant':
      return 'any';
    case 'struct':
      return null;
  }
};

const memberOf = (struct: StructLayout | null, name: string): Layout | undefined =>
  struct?.members.find((member) => member.name.replace(/^_/, '') === name)?.layout;

export const layoutOf = ({ kind, name }: Mention, stream: StreamDescription, event: EventDescription): Layout | undefined => {
  if (kind === 'field') return memberOf(event.fields, name);
  const recorded = memberOf(event.context, name) ?? memberOf(stream.eventContext, name);
  return recorded ?? (name === 'cpu_id' ? memberOf(stream.packetContext, name) : undefined);
};

/** Of all classes, as people write them. */
export const namesOf = (kind: Mention['kind'], { streams, events }: TraceMetadata): readonly string[] => {
  const contexts = [...events.map(({ context }) => context), ...streams.map(({ eventContext }) => eventContext)];
  const structs = kind === 'field' ? events.map(({ fields }) => fields) : contexts;
  return [...new Set(structs.flatMap((one) => one?.members.map(({ name }) => name.replace(/^_/, '')) ?? []))];
};

/** null: all events. */
export const writeFilter = (out: TableWriter, { streams, events }: TraceMetadata, filter: TraceFilter | null): void => {
  out.u32(filter ? 1 : 0);
  if (!filter) return;
  out.u32(filter.mentions.length);
  for (const { kind, name } of filter.mentions) {
    out.u32(KIND[kind]);
    out.text(name);
  }
  const ofStream = Map.groupBy(events, ({ stream }) => stream);
  for (const stream of streams) {
    for (const event of ofStream.get(stream.id) ?? []) {
      const program = filter.compile((mention) => {
        const layout = layoutOf(mention, stream, event);
        return layout ? typeOf(layout) : null;
      });
      out.blob(program ?? Buffer.alloc(0));
    }
  }
};
