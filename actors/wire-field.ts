/** The description of an event field as it travels (wire.h, `field`), held against what the trace format can express. */
import type { EnumEntry, Field, FieldType, IntegerType } from '../machines/document.ts';
import { type Codec, flag, list, mapped, oneOf, string, struct, u8, u16, u32, u64, WireError } from './wire-codec.ts';

const NAME_MAX = 4096;
const ENTRIES_MAX = 8192;
const ARRAY_MAX = 1 << 20;

const SIGNED = 1;
const REVERSE = 2;
const NOWRITE = 1;
const START_SIGNED = 1;
const END_SIGNED = 2;
const AUTOMATIC = 4;

const among = <T extends number>(what: string, value: number, allowed: readonly T[]): T => {
  if (!(allowed as readonly number[]).includes(value)) throw new WireError(`${what} ${value} is not allowed`);
  return value as T;
};

const integer: Codec<IntegerType> = mapped(
  struct<{ bits: number; flags: number; base: number }>({ bits: u8, flags: u8, base: u8 }),
  ({ bits, flags, base }) => ({
    bits: among('integer size', bits, [8, 16, 32, 64]),
    signed: (flags & SIGNED) !== 0,
    reverse: (flags & REVERSE) !== 0,
    base: among('integer base', base, [2, 8, 10, 16]),
  }),
  ({ bits, signed, reverse, base }) => ({ bits, flags: (signed ? SIGNED : 0) | (reverse ? REVERSE : 0), base }),
);

/** Names become identifiers of the metadata. */
const identifier = (mayBeEmpty: boolean): Codec<string> =>
  mapped(
    string(NAME_MAX),
    (name) => {
      if (!/^[A-Za-z_]\w*$/.test(name) && !(mayBeEmpty && name === '')) throw new WireError(`\`${name}\` cannot name a field`);
      return name;
    },
    (name) => name,
  );

/** Unsigned unless the flags say otherwise; automatic values are counted by the library, as signed numbers. */
const bound = (raw: bigint, flags: number, signed: number): string =>
  ((flags & (signed | AUTOMATIC)) !== 0 ? BigInt.asIntN(64, raw) : raw).toString();

const entry: Codec<EnumEntry> = mapped(
  struct<{ start: bigint; end: bigint; flags: number; label: string }>({
    start: u64,
    end: u64,
    flags: u8,
    label: string(NAME_MAX),
  }),
  ({ start, end, flags, label }) => ({
    start: bound(start, flags, START_SIGNED),
    end: bound(end, flags, END_SIGNED),
    label,
  }),
  ({ start, end, label }) => ({
    start: BigInt.asUintN(64, BigInt(start)),
    end: BigInt.asUintN(64, BigInt(end)),
    flags: (start.startsWith('-') ? START_SIGNED : 0) | (end.startsWith('-') ? END_SIGNED : 0),
    label,
  }),
);

type Kind = FieldType['kind'];
type TypeOf<K extends Kind> = Omit<Extract<FieldType, { readonly kind: K }>, 'kind'>;

const float: Codec<TypeOf<'float'>> = mapped(
  struct<{ bits: number; flags: number }>({ bits: u8, flags: u8 }),
  ({ bits, flags }) => ({ bits: among('float size', bits, [32, 64]), reverse: (flags & REVERSE) !== 0 }),
  ({ bits, reverse }) => ({ bits, flags: reverse ? REVERSE : 0 }),
);

const length: Codec<number> = mapped(
  u32,
  (value) => {
    if (value > ARRAY_MAX) throw new WireError(`an array has ${value} elements, at most ${ARRAY_MAX} are allowed`);
    return value;
  },
  (value) => value,
);

const TYPES: { readonly [K in Kind]: { readonly number: number; readonly body: Codec<TypeOf<K>> } } = {
  integer: { number: 0, body: struct<TypeOf<'integer'>>({ integer }) },
  string: { number: 1, body: struct<TypeOf<'string'>>({ encoding: oneOf({ none: 0, utf8: 1 }, u8) }) },
  float: { number: 2, body: float },
  enum: {
    number: 4,
    body: struct<TypeOf<'enum'>>({ container: integer, name: string(NAME_MAX), entries: list(u16, entry, ENTRIES_MAX) }),
  },
  array: { number: 5, body: struct<TypeOf<'array'>>({ length, text: flag, element: integer }) },
  sequence: {
    number: 6,
    body: struct<TypeOf<'sequence'>>({
      lengthName: identifier(true),
      lengthType: integer,
      text: flag,
      element: integer,
    }),
  },
};

const kindNumbers = Object.fromEntries(Object.entries(TYPES).map(([kind, { number }]) => [kind, number])) as Record<
  Kind,
  number
>;
const kind = oneOf<Kind>(kindNumbers, u8);

/** string name, u8 flags, u8 kind, then by kind. */
export const field: Codec<Field> = {
  read: (cursor) => {
    const name = identifier(false).read(cursor);
    const nowrite = (u8.read(cursor) & NOWRITE) !== 0;
    const of = kind.read(cursor);
    return { name, nowrite, type: { kind: of, ...TYPES[of].body.read(cursor) } as FieldType };
  },
  write: (writer, { name, nowrite, type }) => {
    identifier(false).write(writer, name);
    u8.write(writer, nowrite ? NOWRITE : 0);
    kind.write(writer, type.kind);
    (TYPES[type.kind].body as Codec<object>).write(writer, type);
  },
};
