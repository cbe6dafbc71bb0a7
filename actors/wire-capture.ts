/** Captures of triggers on the wire: where the values lie, and the values. */
import type { PlacedCapture } from '../rules/capture.ts';
import { anyText, type Codec, i64, list, u8, u16, u32, u64, WireError } from './wire-codec.ts';

export const CAPTURES_MAX = 64;
/** A notification fits in a page with room to spare, as elsewhere. */
const TEXT_MAX = 4096;
const ELEMENTS_MAX = 4096;

/** What an application found; null: it was not there. */
export type CapturedValue = bigint | number | string | readonly bigint[] | null;

const name: Codec<string> = {
  read: (cursor) => cursor.take(u8.read(cursor)).toString('utf8'),
  write: (writer, text) => {
    const bytes = Buffer.from(text);
    u8.write(writer, bytes.length);
    writer.put(bytes);
  },
};

const KINDS = { unavailable: 0, field: 1, element: 2, context: 3, application: 4 } as const;

const readPlace = (kind: number, cursor: Parameters<Codec<number>['read']>[0]): PlacedCapture => {
  switch (kind) {
    case KINDS.unavailable:
      return { kind: 'unavailable' };
    case KINDS.field:
      return { kind: 'field', field: u16.read(cursor) };
    case KINDS.element:
      return { kind: 'element', field: u16.read(cursor), index: u32.read(cursor) };
    case KINDS.context:
      return { kind: 'context', context: u16.read(cursor) };
    case KINDS.application:
      return { kind: 'application', name: name.read(cursor) };
    default:
      throw new WireError(`capture kind ${kind} is unknown`);
  }
};

export const placedCapture: Codec<PlacedCapture> = {
  read: (cursor) => readPlace(u8.read(cursor), cursor),
  write: (writer, capture) => {
    u8.write(writer, KINDS[capture.kind]);
    if (capture.kind === 'field' || capture.kind === 'element') u16.write(writer, capture.field);
    if (capture.kind === 'element') u32.write(writer, capture.index);
    if (capture.kind === 'context') u16.write(writer, capture.context);
    if (capture.kind === 'application') name.write(writer, capture.name);
  },
};

const double: Codec<number> = {
  read: (cursor) => cursor.take(8).readDoubleLE(0),
  write: (writer, value) => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    writer.put(bytes);
  },
};

const VALUES = { none: 0, signed: 1, unsigned: 2, double: 3, text: 4, signedArray: 5, unsignedArray: 6 } as const;
const texts = anyText(TEXT_MAX);
const signedArray = list(u16, i64, ELEMENTS_MAX);
const unsignedArray = list(u16, u64, ELEMENTS_MAX);

const readValue = (kind: number, cursor: Parameters<Codec<number>['read']>[0]): CapturedValue => {
  switch (kind) {
    case VALUES.none:
      return null;
    case VALUES.signed:
      return i64.read(cursor);
    case VALUES.unsigned:
      return u64.read(cursor);
    case VALUES.double:
      return double.read(cursor);
    case VALUES.text:
      return texts.read(cursor);
    case VALUES.signedArray:
      return signedArray.read(cursor);
    case VALUES.unsignedArray:
      return unsignedArray.read(cursor);
    default:
      throw new WireError(`value kind ${kind} is unknown`);
  }
};

const put = <T>(writer: Parameters<Codec<T>['write']>[0], kind: number, codec: Codec<T>, value: T): void => {
  u8.write(writer, kind);
  codec.write(writer, value);
};

export const capturedValue: Codec<CapturedValue> = {
  read: (cursor) => readValue(u8.read(cursor), cursor),
  write: (writer, value) => {
    if (value === null) u8.write(writer, VALUES.none);
    else if (typeof value === 'bigint' && value < 0n) put(writer, VALUES.signed, i64, value);
    else if (typeof value === 'bigint') put(writer, VALUES.unsigned, u64, value);
    else if (typeof value === 'number') put(writer, VALUES.double, double, value);
    else if (typeof value === 'string') put(writer, VALUES.text, texts, value);
    else put(writer, VALUES.signedArray, signedArray, value);
  },
};
