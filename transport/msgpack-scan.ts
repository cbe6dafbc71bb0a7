/**
 * A walk over the bytes of a msgpack value that builds nothing: says what a stranger's message would cost or smuggle in before any
 * decoder sees it. Refused are extensions, keys that are no text, `__proto__`, bad UTF-8, declared lengths beyond the end,
 * too many levels, and anything behind the value.
 */
import { isUtf8 } from 'node:buffer';

interface Scan {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly maxDepth: number;
  at: number;
}

class Refused extends Error {}

const refuse = (cause: string): never => {
  throw new Refused(cause);
};

const need = (scan: Scan, count: number): void => {
  if (count > scan.bytes.length - scan.at) refuse('it ends too early');
};

const skip = (scan: Scan, count: number): void => {
  need(scan, count);
  scan.at += count;
};

/** A length of 1, 2 or 4 bytes. */
const readLength = (scan: Scan, width: 1 | 2 | 4): number => {
  need(scan, width);
  const at = scan.at;
  scan.at += width;
  if (width === 1) return scan.view.getUint8(at);
  return width === 2 ? scan.view.getUint16(at) : scan.view.getUint32(at);
};

const scanText = (scan: Scan, length: number): void => {
  const from = scan.at;
  skip(scan, length);
  if (!isUtf8(scan.bytes.subarray(from, scan.at))) refuse('a text is no UTF-8');
};

/** Null: the byte begins no text. */
const textLength = (scan: Scan, first: number): number | null => {
  if (first >= 0xa0 && first <= 0xbf) return first & 0x1f;
  if (first >= 0xd9 && first <= 0xdb) return readLength(scan, (1 << (first - 0xd9)) as 1 | 2 | 4);
  return null;
};

const PROTO = Buffer.from('__proto__');

const scanKey = (scan: Scan): void => {
  const length = textLength(scan, readLength(scan, 1)) ?? refuse('a key is no text');
  const from = scan.at;
  scanText(scan, length);
  if (PROTO.equals(scan.bytes.subarray(from, scan.at))) refuse('the key `__proto__` is not allowed');
};

const scanMap = (scan: Scan, count: number, depth: number): void => {
  if (depth > scan.maxDepth) refuse(`it has more than ${scan.maxDepth} levels`);
  for (let index = 0; index < count; index++) {
    scanKey(scan);
    scanValue(scan, depth);
  }
};

const scanArray = (scan: Scan, count: number, depth: number): void => {
  if (depth > scan.maxDepth) refuse(`it has more than ${scan.maxDepth} levels`);
  for (let index = 0; index < count; index++) scanValue(scan, depth);
};

/** Null: the byte begins no binary value. */
const binaryLength = (scan: Scan, first: number): number | null =>
  first >= 0xc4 && first <= 0xc6 ? readLength(scan, (1 << (first - 0xc4)) as 1 | 2 | 4) : null;

/** Bytes behind the first one of nil, booleans, floats and integers. */
const SCALARS: Readonly<Record<number, number>> = {
  192: 0, // nil
  194: 0, // false
  195: 0, // true
  202: 4, // float
  203: 8,
  204: 1, // unsigned
  205: 2,
  206: 4,
  207: 8,
  208: 1, // signed
  209: 2,
  210: 4,
  211: 8,
};

const scanScalar = (scan: Scan, first: number): void => {
  const length = textLength(scan, first);
  if (length !== null) scanText(scan, length);
  else skip(scan, binaryLength(scan, first) ?? SCALARS[first] ?? refuse(`byte 0x${first.toString(16)} begins an extension`));
};

function scanValue(scan: Scan, depth: number): void {
  const first = readLength(scan, 1);
  if (first <= 0x7f || first >= 0xe0) return; // small integers
  if (first <= 0x8f) scanMap(scan, first & 0x0f, depth + 1);
  else if (first <= 0x9f) scanArray(scan, first & 0x0f, depth + 1);
  else if (first === 0xde || first === 0xdf) scanMap(scan, readLength(scan, first === 0xde ? 2 : 4), depth + 1);
  else if (first === 0xdc || first === 0xdd) scanArray(scan, readLength(scan, first === 0xdc ? 2 : 4), depth + 1);
  else scanScalar(scan, first);
}

/** Null: one value, nothing else, all as it must be; otherwise the cause. */
export const scanMsgpack = (bytes: Uint8Array, maxDepth: number): string | null => {
  const scan = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), maxDepth, at: 0 };
  try {
    scanValue(scan, 0);
    return scan.at === bytes.length ? null : 'something follows the map';
  } catch (thrown) {
    if (thrown instanceof Refused) return thrown.message;
    throw thrown;
  }
};
