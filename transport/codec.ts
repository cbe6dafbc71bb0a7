/**
 * Bodies as bytes: one map, in msgpack or JSON, told apart by the first byte. What comes from the bus is checked before it is
 * decoded; what goes out is checked too, so that a body which the other side would refuse never leaves.
 *
 * 64-bit values are `bigint` on the way out (and any integer beyond 32 bits leaves as a msgpack integer, never as a float). On the
 * way in msgpack gives a number where that is exact, else a bigint, and JSON gives a decimal string: read such a field through
 * `count64` of schema.ts. Bytes (packets of data links) are a `Uint8Array`: binary in msgpack, on the way in a view of the message;
 * base64 in JSON.
 */
import { isUtf8 } from 'node:buffer';
import { type Options, Packr, Unpackr } from 'msgpackr';
import type { Body, Fault, Fragment } from './bus.ts';
import { fault } from './errors.ts';
import { scanMsgpack } from './msgpack-scan.ts';

/** `v` of every message. What an old reader would misunderstand becomes weft.v2. */
export const MESSAGE_VERSION = 1;
export const MAX_BODY_BYTES = 1 << 20;
export const MAX_BODY_DEPTH = 32;

export type Encoding = 'msgpack' | 'json';
export type Encoded = { readonly ok: true; readonly bytes: Uint8Array } | { readonly ok: false; readonly fault: Fault };
export type Decoded =
  | { readonly ok: true; readonly body: Body; readonly encoding: Encoding }
  | { readonly ok: false; readonly fault: Fault };

// msgpackr knows 'auto' (a number where exact, else a bigint); its types do not.
const int64AsType = 'auto' as unknown as 'bigint';
const plain: Options = { useRecords: false, mapsAsObjects: true, variableMapSize: true, int64AsType };
const packer = new Packr(plain);
const unpacker = new Unpackr(plain);

const bad = (cause: string): { readonly ok: false; readonly fault: Fault } => ({
  ok: false,
  fault: fault('bad-encoding', { cause }),
});

/** Null: no body of ours begins so. */
export const encodingOf = (bytes: Uint8Array): Encoding | null => {
  const first = bytes[0];
  if (first === undefined) return null;
  if (first === 0x7b) return 'json';
  return (first >= 0x80 && first <= 0x8f) || first === 0xde || first === 0xdf ? 'msgpack' : null;
};

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Levels of a JSON text, without parsing it. */
const jsonDepth = (bytes: Uint8Array): number => {
  let depth = 0;
  let deepest = 0;
  let inText = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (inText) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) inText = false;
    } else if (byte === QUOTE) inText = true;
    else if (byte === 0x7b || byte === 0x5b) deepest = Math.max(deepest, ++depth);
    else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  return deepest;
};

const decodeJson = (bytes: Uint8Array): Decoded => {
  if (jsonDepth(bytes) > MAX_BODY_DEPTH) return bad(`it has more than ${MAX_BODY_DEPTH} levels`);
  if (!isUtf8(bytes)) return bad('it is no UTF-8');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  let polluting = false;
  const watch = (key: string, value: unknown): unknown => {
    if (key === '__proto__') polluting = true;
    return value;
  };
  // The key may be spelt with escapes; only a text that could hold it pays for the reviver.
  const suspicious = text.includes('__proto__') || text.includes('\\u');
  try {
    const body = JSON.parse(text, suspicious ? watch : undefined) as Body;
    return polluting ? bad('the key `__proto__` is not allowed') : { ok: true, body, encoding: 'json' };
  } catch {
    return bad('it is no JSON');
  }
};

const decodeMsgpack = (bytes: Uint8Array): Decoded => {
  const cause = scanMsgpack(bytes, MAX_BODY_DEPTH);
  if (cause) return bad(cause);
  try {
    return { ok: true, body: unpacker.unpack(bytes) as Body, encoding: 'msgpack' };
  } catch {
    return bad('it is no msgpack');
  }
};

export const decodeBody = (bytes: Uint8Array): Decoded => {
  if (bytes.length > MAX_BODY_BYTES) return bad(`it has ${bytes.length} bytes, ${MAX_BODY_BYTES} are allowed`);
  const encoding = encodingOf(bytes);
  if (encoding === 'json') return decodeJson(bytes);
  if (encoding === 'msgpack') return decodeMsgpack(bytes);
  return bad(bytes.length ? `its first byte 0x${bytes[0]!.toString(16).padStart(2, '0')} begins no map` : 'it is empty');
};

const INT64 = { min: -(2n ** 63n), max: 2n ** 64n - 1n } as const;

class NotEncodable extends Error {}

const plainNumber = (value: number, encoding: Encoding): number | bigint => {
  if (!Number.isFinite(value)) throw new NotEncodable(`${value} is no number of a message`);
  const wide = Number.isSafeInteger(value) && (value > 0xffff_ffff || value < -0x8000_0000);
  return wide && encoding === 'msgpack' ? BigInt(value) : value;
};

const plainBigint = (value: bigint, encoding: Encoding): bigint | string => {
  if (value < INT64.min || value > INT64.max) throw new NotEncodable(`${value} does not fit 64 bits`);
  return encoding === 'msgpack' ? value : value.toString();
};

/** A copy that both encoders can take: only maps, arrays, texts, bytes, numbers, booleans, null; `undefined` fields are left out. */
const plainValue = (value: unknown, encoding: Encoding, depth: number): unknown => {
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value === 'number') return plainNumber(value, encoding);
  if (typeof value === 'bigint') return plainBigint(value, encoding);
  if (typeof value !== 'object') throw new NotEncodable(`a ${typeof value} has no place in a message`);
  if (value instanceof Uint8Array) return encoding === 'msgpack' ? value : Buffer.from(value).toString('base64');
  if (depth > MAX_BODY_DEPTH) throw new NotEncodable(`it has more than ${MAX_BODY_DEPTH} levels`);
  if (Array.isArray(value)) return value.map((entry) => plainValue(entry ?? null, encoding, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new NotEncodable('only plain maps have a place in a message');
  return plainMap(value as Body, encoding, depth);
};

const plainMap = (map: Body, encoding: Encoding, depth: number): Record<string, unknown> => {
  const copy: Record<string, unknown> = {};
  for (const [key, entry] of Object.entries(map)) {
    if (key === '__proto__') throw new NotEncodable('the key `__proto__` is not allowed');
    if (entry !== undefined) copy[key.toWellFormed()] = plainValue(entry, encoding, depth + 1);
  }
  return copy;
};

const EMPTY_MAP = 0x80;
const SMALL_MAP_MAX = 0x8f;
const BINARY32 = 0xc6;

/** `room`: what is left of it. */
export type EncodedAround =
  | { readonly ok: true; readonly bytes: Uint8Array; readonly room: number }
  | { readonly ok: false; readonly fault: Fault };

/**
 * In msgpack, with one field of bytes more, which are not copied: all else is written into the room in front of them. Without that
 * room it is a copy as any other body.
 */
export const encodeAround = (body: Body, field: string, { bytes, room }: Fragment): EncodedAround => {
  const encoded = encodeBody(body, 'msgpack');
  if (!encoded.ok) return encoded;
  const name = packer.pack(field);
  const before = encoded.bytes.length + name.length + 5;
  const first = encoded.bytes[0]!;
  if (before > room || first < EMPTY_MAP || first >= SMALL_MAP_MAX) {
    const copied = encodeBody({ ...body, [field]: bytes }, 'msgpack');
    return copied.ok ? { ...copied, room: 0 } : copied;
  }
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset - before, before + bytes.length);
  if (whole.length > MAX_BODY_BYTES) return bad(`it has ${whole.length} bytes, ${MAX_BODY_BYTES} are allowed`);
  whole.set(encoded.bytes);
  whole[0] = first + 1;
  whole.set(name, encoded.bytes.length);
  whole[before - 5] = BINARY32;
  whole.writeUInt32BE(bytes.length, before - 4);
  return { ok: true, bytes: whole, room: room - before };
};

export const encodeBody = (body: Body, encoding: Encoding): Encoded => {
  try {
    const copy = plainMap(body, encoding, 1);
    const bytes = encoding === 'msgpack' ? packer.pack(copy) : Buffer.from(JSON.stringify(copy), 'utf8');
    if (bytes.length > MAX_BODY_BYTES) return bad(`it has ${bytes.length} bytes, ${MAX_BODY_BYTES} are allowed`);
    return { ok: true, bytes };
  } catch (thrown) {
    if (thrown instanceof NotEncodable) return bad(thrown.message);
    throw thrown;
  }
};
