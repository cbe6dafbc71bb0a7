/**
 * The metadata of a trace: CTF 1.8 TSDL text, as native/ring/layout.h and native/ring/packet.h lay the bytes down. Names and env
 * fields are those that LTTng writes, so that analyses made for it recognise the trace.
 */

import { contextField, contextLayout, recordOrder } from '../machines/contexts.ts';
import type {
  ClockDescription,
  ContextType,
  EventClass,
  Field,
  FieldType,
  IntegerType,
  RegistryScope,
} from '../machines/document.ts';
import { encodeLayout } from './record-layout.ts';

export interface TraceDescription {
  readonly uuid: string; // 32 hex digits
  readonly sessionName: string;
  readonly hostname: string;
  readonly createdAt: string; // ISO 8601
  readonly scope: RegistryScope;
  readonly clock: ClockDescription;
  readonly channels: readonly {
    readonly id: number;
    readonly contexts: readonly ContextType[];
    /** Packets of one ring for all CPUs name none. */
    readonly allocation?: 'per-cpu' | 'per-channel';
  }[];
  readonly eventClasses: readonly EventClass[];
}

/** A NUL would end the text in the reader's lexer, and the trace with it: what stands behind one is left out. */
const quote = (text: string): string => `"${text.replace(/\0.*$/s, '').replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`;

/** 32 hex digits with the dashes of a UUID. */
export const dashed = (hex: string): string =>
  [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');

/** `20261121T080407+0000` of an ISO 8601 time. */
export const compactTime = (iso: string): string => {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|[+-]\d\d:?\d\d)$/.exec(iso);
  if (!match) return iso;
  const [, year, month, day, hour, minute, second, zone] = match;
  return `${year}${month}${day}T${hour}${minute}${second}${zone === 'Z' ? '+0000' : zone!.replace(':', '')}`;
};

const integer = (type: IntegerType, encoding: 'none' | 'UTF8' = 'none'): string => {
  const order = type.reverse ? ' byte_order = be;' : '';
  return `integer { size = ${type.bits}; align = 8; signed = ${type.signed ? 1 : 0}; encoding = ${encoding}; base = ${type.base};${order} }`;
};

/** Without a range that holds anything it is its container: TSDL has no empty enumeration, and readers abort at a backward range. */
const enumeration = (type: Extract<FieldType, { kind: 'enum' }>): string => {
  const entries = type.entries
    .filter(({ start, end }) => BigInt(start) <= BigInt(end))
    .map(({ start, end, label }) => `${quote(label)} = ${start === end ? start : `${start} ... ${end}`}`);
  const container = integer(type.container);
  return entries.length === 0 ? container : `enum : ${container} { ${entries.join(', ')} }`;
};

const float = (type: Extract<FieldType, { kind: 'float' }>): string => {
  const [exponent, mantissa] = type.bits === 32 ? [8, 24] : [11, 53];
  return `floating_point { exp_dig = ${exponent}; mant_dig = ${mantissa}; align = 8;${type.reverse ? ' byte_order = be;' : ''} }`;
};

/** Gives each declaration of one struct a name of its own: at two equal names babeltrace2 aborts, whatever else the trace holds. */
const uniqueNames = () => {
  const taken = new Set<string>();
  return (wanted: string): string => {
    let name = wanted;
    while (taken.has(name)) name += '_';
    taken.add(name);
    return name;
  };
};

/** The declarations of one field; a leading underscore keeps every name apart from TSDL's keywords. */
const field = ({ name, type }: Field, unique: (wanted: string) => string): string[] => {
  switch (type.kind) {
    case 'integer':
      return [`${integer(type.integer)} ${unique(`_${name}`)};`];
    case 'float':
      return [`${float(type)} ${unique(`_${name}`)};`];
    case 'string':
      return [`${type.encoding === 'utf8' ? 'string' : 'string { encoding = none; }'} ${unique(`_${name}`)};`];
    case 'enum':
      return [`${enumeration(type)} ${unique(`_${name}`)};`];
    case 'array':
      return [`${integer(type.element, type.text ? 'UTF8' : 'none')} ${unique(`_${name}`)}[${type.length}];`];
    case 'sequence': {
      const length = unique(type.lengthName === '' ? `__${name}_length` : `_${type.lengthName}`);
      return [
        `${integer({ ...type.lengthType, signed: false })} ${length};`, // readers take no signed length
        `${integer(type.element, type.text ? 'UTF8' : 'none')} ${unique(`_${name}`)}[ ${length} ];`,
      ];
    }
  }
};

const declarations = (fields: readonly Field[]): string[] => {
  const unique = uniqueNames();
  return fields.filter((one) => !one.nowrite).flatMap((one) => field(one, unique));
};

/** Labels are prefixed, or `float` and its like would be keywords. */
const VALUES: readonly (readonly [label: string, type: string])[] = [
  ['none', 'struct {}'],
  ...([8, 16, 32, 64] as const).map((bits): [string, string] => [
    `int${bits}`,
    integer({ bits, signed: true, reverse: false, base: 10 }),
  ]),
  ['float', float({ kind: 'float', bits: 32, reverse: false })],
  ['double', float({ kind: 'float', bits: 64, reverse: false })],
  ['string', 'string'],
  ...([8, 16, 32, 64] as const).map((bits): [string, string] => [
    `uint${bits}`,
    integer({ bits, signed: false, reverse: false, base: 10 }),
  ]),
];

/** A value of the program's own: what it is stands before it (enum weft_app_tag of native/ust/app_values.h). */
const applicationValue = (name: string, unique: (wanted: string) => string): string[] => {
  const tag = unique(`_${name}_tag`);
  const labels = VALUES.map(([label], at) => `_${label} = ${at}`).join(', ');
  return [
    `enum : ${integer({ bits: 8, signed: false, reverse: false, base: 10 })} { ${labels} } ${tag};`,
    block(
      `variant <${tag}> {`,
      VALUES.map(([label, type]) => `${type} _${label};`),
      `} ${unique(`_${name}`)};`,
    ),
  ];
};

const contextDeclarations = (contexts: readonly ContextType[]): string[] => {
  const unique = uniqueNames();
  return recordOrder(contexts).flatMap((context) => {
    const [name, type] = [contextField(context), contextLayout(context)];
    return type.kind === 'application' ? applicationValue(name, unique) : field({ name, nowrite: false, type }, unique);
  });
};

/** How the records of a channel lie, for the reader that has to step over them. */
export const channelLayout = (contexts: readonly ContextType[], classes: readonly EventClass[]): Uint8Array =>
  encodeLayout(
    recordOrder(contexts).map((context) => ({ type: contextLayout(context) })),
    classes,
  );

const block = (opening: string, lines: readonly string[], closing = '};'): string =>
  [opening, ...lines.map((line) => `\t${line.replaceAll('\n', '\n\t')}`), closing].join('\n');

const TYPES = `typealias integer { size = 8; align = 8; signed = false; } := uint8_t;
typealias integer { size = 16; align = 8; signed = false; } := uint16_t;
typealias integer { size = 32; align = 8; signed = false; } := uint32_t;
typealias integer { size = 64; align = 8; signed = false; } := uint64_t;
typealias integer { size = 5; align = 1; signed = false; } := uint5_t;
typealias integer { size = 16; align = 1; signed = false; } := uint16_bits_t;`;

const CLOCK_TYPES = `typealias integer { size = 27; align = 1; signed = false; map = clock.monotonic.value; } := uint27_clock_monotonic_t;
typealias integer { size = 64; align = 8; signed = false; map = clock.monotonic.value; } := uint64_clock_monotonic_t;`;

/** Of a point that declares none; `DEBUG` is the last that there is. */
const DEFAULT_LOG_LEVEL = 13;
const DEBUG = 14;

const packetContext = (name: string, lines: readonly string[]): string => `struct ${name} {
	uint64_clock_monotonic_t timestamp_begin;
	uint64_clock_monotonic_t timestamp_end;
	uint64_t content_size;
	uint64_t packet_size;
	uint64_t packet_seq_num;
	uint64_t events_discarded;${lines.map((line) => `\n\t${line}`).join('')}
};`;
const PACKET_CONTEXT = packetContext('packet_context', ['uint32_t cpu_id;']);
const PACKET_CONTEXT_ANY_CPU = packetContext('packet_context_any_cpu', []);

/** `medium` must not be aligned to bytes, or its timestamp would begin behind the tag's byte: a struct is as aligned as its fields. */
const EVENT_HEADER = `struct event_header {
	enum : uint5_t { compact = 0 ... 29, medium = 30, extended = 31 } id;
	variant <id> {
		struct {
			uint27_clock_monotonic_t timestamp;
		} compact;
		struct {
			uint27_clock_monotonic_t timestamp;
			uint16_bits_t id;
		} medium;
		struct {
			uint32_t id;
			uint64_clock_monotonic_t timestamp;
		} extended;
	} v;
} align(8);`;

const trace = (uuid: string): string =>
  block('trace {', [
    'major = 1;',
    'minor = 8;',
    `uuid = "${dashed(uuid)}";`,
    'byte_order = le;',
    block('packet.header := struct {', [
      'uint32_t magic;',
      'uint8_t uuid[16];',
      'uint32_t stream_id;',
      'uint64_t stream_instance_id;',
    ]),
  ]);

/** What was added to the host's real time, so that it is the reference's, and how sure that is. */
const fleetClock = ({ fleet }: ClockDescription): string[] =>
  fleet
    ? [
        `weft_clock_reference = ${quote(fleet.reference)};`,
        `weft_clock_offset_ns = ${fleet.offsetNs};`,
        `weft_clock_uncertainty_ns = ${fleet.uncertaintyNs};`,
      ]
    : [];

const environment = (t: TraceDescription): string => {
  const scope =
    t.scope.kind === 'user'
      ? ['tracer_buffering_scheme = "uid";', `tracer_buffering_id = ${t.scope.uid};`]
      : [
          'tracer_buffering_scheme = "pid";',
          `tracer_buffering_id = ${t.scope.pid};`,
          `vpid = ${t.scope.pid};`,
          `procname = ${quote(t.scope.procname)};`,
          `vpid_datetime = ${quote(compactTime(t.scope.startedAt))};`,
        ];
  return block('env {', [
    'domain = "ust";',
    'tracer_name = "lttng-ust";',
    'tracer_major = 2;',
    'tracer_minor = 13;',
    ...scope,
    'architecture_bit_width = 64;',
    `trace_name = ${quote(t.sessionName)};`,
    `trace_creation_datetime = ${quote(compactTime(t.createdAt))};`,
    `hostname = ${quote(t.hostname)};`,
    'recorder = "weft";',
    ...fleetClock(t.clock),
  ]);
};

/** Traces of several hosts line up: their times are the reference's, where one is known. */
const clock = ({ uuid, offsetNs, fleet }: ClockDescription): string =>
  block('clock {', [
    'name = "monotonic";',
    `uuid = "${dashed(uuid.replaceAll('-', ''))}";`,
    'description = "Monotonic Clock";',
    'freq = 1000000000;',
    `offset = ${BigInt(offsetNs) + BigInt(fleet?.offsetNs ?? 0)};`,
  ]);

const stream = (channel: TraceDescription['channels'][number]): string => {
  const contexts = contextDeclarations(channel.contexts);
  return block('stream {', [
    `id = ${channel.id};`,
    'event.header := struct event_header;',
    `packet.context := struct packet_context${channel.allocation === 'per-channel' ? '_any_cpu' : ''};`,
    ...(contexts.length > 0 ? [block('event.context := struct {', contexts)] : []),
  ]);
};

/** A level that readers do not know is a complaint or an error to them, so it is left out. */
const logLevelLine = (level: number): string[] => (level >= 0 && level <= DEBUG ? [`loglevel = ${level};`] : []);

const event = ({ id, channel, description }: EventClass): string =>
  block('event {', [
    `name = ${quote(description.name)};`,
    `id = ${id};`,
    `stream_id = ${channel};`,
    ...logLevelLine(description.logLevel ?? DEFAULT_LOG_LEVEL),
    ...(description.modelEmfUri === '' ? [] : [`model.emf.uri = ${quote(description.modelEmfUri)};`]),
    block('fields := struct {', declarations(description.fields)),
  ]);

/** The whole text. It only grows at its end as event classes are added, so a reader that has an older one is not misled. */
export const traceMetadata = (t: TraceDescription): string =>
  `${[
    '/* CTF 1.8 */',
    TYPES,
    trace(t.uuid),
    environment(t),
    clock(t.clock),
    CLOCK_TYPES,
    PACKET_CONTEXT,
    ...(t.channels.some(({ allocation }) => allocation === 'per-channel') ? [PACKET_CONTEXT_ANY_CPU] : []),
    EVENT_HEADER,
    ...t.channels.map(stream),
    ...t.eventClasses.map(event),
  ].join('\n\n')}\n`;
