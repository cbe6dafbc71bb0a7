/**
 * A trace's metadata as the native decoder takes it (native/ctf/table.h reads the same bytes): little-endian words, texts with their
 * length before them, layouts in the order in which they lie. What a length or a tag is read from becomes a numbered slot that the
 * decoder fills when it passes the field.
 */
import { alignmentOf } from './tsdl-layouts.ts';
import {
  type Clock,
  type IntegerLayout,
  type Layout,
  type Mapping,
  type Member,
  MetadataError,
  type Reference,
  type StreamDescription,
  type StructLayout,
  type TraceMetadata,
} from './tsdl-types.ts';

export class TableWriter {
  #bytes = Buffer.alloc(4096);
  #length = 0;

  #room(more: number): number {
    const at = this.#length;
    if (at + more > this.#bytes.length)
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(Math.max(more, this.#bytes.length))]);
    this.#length += more;
    return at;
  }

  u32(value: number): void {
    const at = this.#room(4);
    this.#bytes.writeUInt32LE(value, at);
  }

  u64(value: bigint): void {
    const at = this.#room(8);
    this.#bytes.writeBigUInt64LE(BigInt.asUintN(64, value), at);
  }

  text(value: string): void {
    this.blob(Buffer.from(value));
  }

  blob(bytes: Buffer): void {
    this.u32(bytes.length);
    const at = this.#room(bytes.length);
    bytes.copy(this.#bytes, at);
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

const KIND = { absent: 0, integer: 1, float: 2, string: 3, enum: 4, struct: 5, variant: 6, array: 7, sequence: 8 } as const;
const NO_SLOT = 0xffffffff;
/** enum class Role of native/ctf/table.h. */
const ROLES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  header: { magic: 1, uuid: 2, stream_id: 3, stream_instance_id: 4 },
  packet: {
    ...{ timestamp_begin: 5, timestamp_end: 6, content_size: 7, packet_size: 8, packet_seq_num: 9, events_discarded: 10 },
    cpu_id: 11,
  },
  event: { id: 12, timestamp: 13 },
};
const TIMESTAMP = 13;
/** Those of the packet that tell of its bytes are not shown. */
const HIDDEN = new Set(Object.keys(ROLES.packet!).filter((name) => name !== 'cpu_id'));
/** Layouts that all structures come to when each is written where it is used. */
const NODES_MAX = 1 << 18;

/** Layouts within each other at most, as native/ctf/table.h has it; in the text a name may stand for another. */
const DEPTH_MAX = 64;

/** A layout at the place where it is used. */
interface Place {
  readonly name: string;
  readonly layout: Layout;
  readonly parent: Place | null;
  readonly depth: number;
  readonly children: Place[];
  slot: number;
  /** What a length or a tag is read from. */
  from: Place | null;
}

type Root =
  | 'trace.packet.header'
  | 'stream.packet.context'
  | 'stream.event.header'
  | 'stream.event.context'
  | 'event.context'
  | 'event.fields';
type Roots = Partial<Record<Root, Place | null>>;
const ROOTS: readonly Root[] = [
  'trace.packet.header',
  'stream.packet.context',
  'stream.event.header',
  'stream.event.context',
  'event.context',
  'event.fields',
];

const within = (place: Place | undefined, names: Reference): Place | undefined =>
  names.reduce<Place | undefined>((at, name) => at?.children.find((child) => child.name === name), place);

class Encoder {
  readonly #out: TableWriter;
  #nodes = 0;
  #slots = 0;
  /** Slots stand before the layouts in the table: they are written once all are known. */
  readonly #later: (() => void)[] = [];

  constructor(out: TableWriter) {
    this.#out = out;
  }

  #fault(message: string): MetadataError {
    return new MetadataError(message, 0);
  }

  #place(name: string, layout: Layout, parent: Place | null, roots: Roots): Place {
    if (++this.#nodes > NODES_MAX) throw this.#fault(`more than ${NODES_MAX} fields`);
    const depth = parent === null ? 0 : parent.depth + 1;
    if (depth > DEPTH_MAX) throw this.#fault(`more than ${DEPTH_MAX} layouts within each other`);
    const place: Place = { name, layout, parent, depth, children: [], slot: NO_SLOT, from: null };
    parent?.children.push(place);
    if (layout.kind === 'struct') for (const one of layout.members) this.#place(one.name, one.layout, place, roots);
    else if (layout.kind === 'variant') {
      place.from = this.#find(layout.tag, place, roots);
      for (const one of layout.options) this.#place(one.name, one.layout, place, roots);
    } else if (layout.kind === 'array') this.#place('', layout.element, place, roots);
    else if (layout.kind === 'sequence') {
      place.from = this.#find(layout.length, place, roots);
      this.#place('', layout.element, place, roots);
    }
    return place;
  }

  /** A field that lies before `user`: named from a structure around it, or from the outside with its whole path. */
  #find(names: Reference, user: Place, roots: Roots): Place {
    let found: Place | undefined;
    for (let around = user.parent; around && !found; around = around.parent)
      if (around.layout.kind === 'struct') found = within(around, names);
    const root = ROOTS.find((path) => names.join('.').startsWith(`${path}.`));
    if (!found && root) found = within(roots[root] ?? undefined, names.slice(root.split('.').length));
    const { kind } = found?.layout ?? {};
    if (!found || found === user || (kind !== 'integer' && kind !== 'enum'))
      throw this.#fault(`\`${names.join('.')}\` of \`${user.name}\` is no integer that lies before it`);
    if (found.slot === NO_SLOT) found.slot = this.#slots++;
    return found;
  }

  #integer(place: Place, layout: IntegerLayout): void {
    const flags = Number(layout.signed) | (Number(layout.big) << 1) | (Number(layout.text) << 2);
    for (const word of [layout.bits, layout.align, flags, layout.base, place.slot]) this.#out.u32(word);
  }

  #mapping({ first, last }: Mapping): void {
    this.#out.u64(first);
    this.#out.u64(last);
  }

  #optionRanges(tag: Layout, { name }: Member): readonly Mapping[] {
    if (tag.kind !== 'enum') return [];
    return tag.mappings.filter(({ label }) => label === name);
  }

  #write(place: Place, roles: Readonly<Record<string, number>>): void {
    const { layout } = place;
    this.#out.u32(KIND[layout.kind]);
    switch (layout.kind) {
      case 'integer':
        this.#integer(place, layout);
        return;
      case 'float':
        for (const word of [layout.bits, layout.align, Number(layout.big) << 1]) this.#out.u32(word);
        return;
      case 'enum':
        this.#integer(place, layout.container);
        this.#out.u32(layout.mappings.length);
        for (const one of layout.mappings) {
          this.#out.text(one.label);
          this.#mapping(one);
        }
        return;
      case 'struct':
        this.#out.u32(layout.align);
        this.#children(place, roles);
        return;
      case 'variant': {
        const tag = place.from!.layout;
        this.#out.u32(place.from!.slot);
        this.#out.u32(tag.kind === 'enum' && tag.container.signed ? 1 : 0);
        this.#out.u32(layout.options.length);
        layout.options.forEach((option, i) => {
          const ranges = this.#optionRanges(tag, option);
          this.#out.u32(ranges.length);
          for (const one of ranges) this.#mapping(one);
          this.#member(place.children[i]!, roles);
        });
        return;
      }
      case 'array':
      case 'sequence':
        this.#out.u32(alignmentOf(layout));
        this.#out.u32(layout.kind === 'array' ? layout.length : place.from!.slot);
        this.#write(place.children[0]!, {});
    }
  }

  #children(place: Place, roles: Readonly<Record<string, number>>): void {
    this.#out.u32(place.children.length);
    for (const child of place.children) this.#member(child, roles);
  }

  #member(place: Place, roles: Readonly<Record<string, number>>): void {
    const { name, layout } = place;
    this.#out.text(name.startsWith('_') ? name.slice(1) : name);
    const timestamp = roles === ROLES.event && layout.kind === 'integer' && layout.clock !== null;
    this.#out.u32(timestamp ? TIMESTAMP : Object.hasOwn(roles, name) ? roles[name]! : 0);
    this.#out.u32(roles === ROLES.packet && HIDDEN.has(name) ? 1 : 0);
    this.#write(place, roles);
  }

  #root(layout: StructLayout | null, root: Root, roots: Roots, roles: Readonly<Record<string, number>> = {}): void {
    const place = layout === null ? null : this.#place(root, layout, null, roots);
    roots[root] = place;
    this.#later.push(() => (place === null ? this.#out.u32(KIND.absent) : this.#write(place, roles)));
  }

  trace({ packetHeader, streams, events, clocks, uuid }: TraceMetadata, who: string): void {
    const roots: Roots = {};
    this.#root(packetHeader, 'trace.packet.header', roots, ROLES.header);
    this.#later.push(() => this.#out.u32(streams.length));
    const ofStream = Map.groupBy(events, ({ stream }) => stream);
    for (const stream of streams) {
      const clock = clockOf(stream, clocks);
      this.#later.push(() => {
        this.#out.u64(stream.id);
        this.#out.u64(clock.frequency);
        this.#out.u64(clock.offsetSeconds * 1_000_000_000n + (clock.offset * 1_000_000_000n) / clock.frequency);
      });
      this.#root(stream.packetContext, 'stream.packet.context', roots, ROLES.packet);
      this.#root(stream.eventHeader, 'stream.event.header', roots, ROLES.event);
      this.#root(stream.eventContext, 'stream.event.context', roots);
      const own = ofStream.get(stream.id) ?? [];
      this.#later.push(() => this.#out.u32(own.length));
      for (const { id, name, logLevel, context, fields } of own) {
        this.#later.push(() => {
          this.#out.u64(id);
          this.#out.text(name);
          this.#out.u32(logLevel ?? NO_SLOT);
        });
        this.#root(context, 'event.context', roots);
        this.#root(fields, 'event.fields', roots);
      }
    }
    this.#out.text(who);
    this.#out.text(uuid ?? '');
    this.#out.u32(this.#slots);
    for (const write of this.#later) write();
  }
}

const clockNamed = (layout: Layout | null): string | null => {
  if (layout === null) return null;
  if (layout.kind === 'integer') return layout.clock;
  const members = layout.kind === 'struct' ? layout.members : layout.kind === 'variant' ? layout.options : [];
  for (const { layout: one } of members) {
    const found = clockNamed(one);
    if (found !== null) return found;
  }
  return null;
};

const NO_CLOCK: Clock = { name: '', frequency: 1_000_000_000n, offsetSeconds: 0n, offset: 0n };

const clockOf = (stream: StreamDescription, clocks: readonly Clock[]): Clock => {
  const name = clockNamed(stream.eventHeader) ?? clockNamed(stream.packetContext);
  return clocks.find((one) => one.name === name) ?? clocks[0] ?? NO_CLOCK;
};

/** What stands between the time and the name of each event: the host, and of a trace of one process that process. */
const whoseTrace = ({ environment }: TraceMetadata): string => {
  const [host, procname, vpid] = ['hostname', 'procname', 'vpid'].map((name) => environment.get(name));
  return [host, procname, vpid === undefined ? undefined : `(${vpid})`].filter((part) => part !== undefined).join(':');
};

/** Throws MetadataError when a length or a tag lies nowhere, or the whole is too much. */
export const writeTrace = (out: TableWriter, metadata: TraceMetadata): void =>
  new Encoder(out).trace(metadata, whoseTrace(metadata));
