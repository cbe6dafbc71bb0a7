/** Reading and writing of little-endian structures by table. A reader that runs past the end, or is told nonsense, throws. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

export class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number): Buffer {
    if (length > this.left) throw new WireError(`${length} bytes are needed, ${this.left} are left`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

export class Writer {
  readonly #parts: Buffer[] = [];

  put(bytes: Buffer): void {
    this.#parts.push(bytes);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

export interface Codec<T> {
  read(cursor: Cursor): T;
  write(writer: Writer, value: T): void;
}

type NumberName = 'UInt8' | 'UInt16LE' | 'UInt32LE' | 'Int32LE';

const number = (name: NumberName, size: number): Codec<number> => ({
  read: (cursor) => cursor.take(size)[`read${name}`](0),
  write: (writer, value) => {
    const bytes = Buffer.alloc(size);
    bytes[`write${name}`](value, 0);
    writer.put(bytes);
  },
});

export const u8 = number('UInt8', 1);
export const u16 = number('UInt16LE', 2);
export const u32 = number('UInt32LE', 4);
export const i32 = number('Int32LE', 4);

export const u64: Codec<bigint> = {
  read: (cursor) => cursor.take(8).readBigUInt64LE(0),
  write: (writer, value) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value, 0);
    writer.put(bytes);
  },
};

export const i64: Codec<bigint> = {
  read: (cursor) => cursor.take(8).readBigInt64LE(0),
  write: (writer, value) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value, 0);
    writer.put(bytes);
  },
};

const utf8 = new TextDecoder('utf-8', { fatal: true });

const counted = (limit: number, read: (bytes: Buffer) => string): Codec<string> => ({
  read: (cursor) => {
    const length = u16.read(cursor);
    if (length > limit) throw new WireError(`a text has ${length} bytes, at most ${limit} are allowed`);
    return read(cursor.take(length));
  },
  write: (writer, value) => {
    const bytes = Buffer.from(value, 'utf8');
    u16.write(writer, bytes.length);
    writer.put(bytes);
  },
});

/** u16 length, then so many bytes. */
export const countedBytes = (limit: number): Codec<Buffer> => ({
  read: (cursor) => {
    const length = u16.read(cursor);
    if (length > limit) throw new WireError(`${length} bytes are given where at most ${limit} are allowed`);
    return cursor.take(length);
  },
  write: (writer, value) => {
    u16.write(writer, value.length);
    writer.put(value);
  },
});

const decodeText = (bytes: Buffer): string => {
  if (bytes.includes(0)) throw new WireError('a text holds a NUL');
  try {
    return utf8.decode(bytes);
  } catch {
    throw new WireError('a text is no UTF-8');
  }
};

/** u16 length + UTF-8, at most `limit` bytes. */
export const string = (limit: number): Codec<string> => counted(limit, decodeText);

/** What a program called itself or was called by: any bytes; what is no printable text becomes `?`. */
export const anyText = (limit: number): Codec<string> =>
  counted(limit, (bytes) => bytes.toString('utf8').replace(/[\p{Cc}\ufffd]/gu, '?'));

/** u32 length + bytes. */
export const blob = (limit: number): Codec<Buffer> => ({
  read: (cursor) => {
    const length = u32.read(cursor);
    if (length > limit) throw new WireError(`${length} bytes come in one piece, at most ${limit} are allowed`);
    return cursor.take(length);
  },
  write: (writer, value) => {
    u32.write(writer, value.length);
    writer.put(value);
  },
});

/** Fixed bytes as hex digits. */
export const hex = (size: number): Codec<string> => ({
  read: (cursor) => cursor.take(size).toString('hex'),
  write: (writer, value) => writer.put(Buffer.from(value, 'hex')),
});

export const zeros = (size: number): Codec<null> => ({
  read: (cursor) => {
    if (cursor.take(size).some((byte) => byte !== 0)) throw new WireError('reserved bytes are not zero');
    return null;
  },
  write: (writer) => writer.put(Buffer.alloc(size)),
});

/** A count, then so many. */
export const list = <T>(count: Codec<number>, element: Codec<T>, limit: number): Codec<readonly T[]> => ({
  read: (cursor) => {
    const length = count.read(cursor);
    if (length > limit) throw new WireError(`a list has ${length} elements, at most ${limit} are allowed`);
    return Array.from({ length }, () => element.read(cursor));
  },
  write: (writer, values) => {
    count.write(writer, values.length);
    for (const value of values) element.write(writer, value);
  },
});

export const oneOf = <T extends string>(names: Readonly<Record<T, number>>, carrier: Codec<number>): Codec<T> => ({
  read: (cursor) => {
    const value = carrier.read(cursor);
    const found = (Object.keys(names) as T[]).find((name) => names[name] === value);
    if (found === undefined) throw new WireError(`${value} is none of ${Object.keys(names).join(', ')}`);
    return found;
  },
  write: (writer, value) => carrier.write(writer, names[value]),
});

export const struct = <T extends object>(fields: { readonly [K in keyof T]: Codec<T[K]> }): Codec<T> => ({
  read: (cursor) =>
    Object.fromEntries((Object.keys(fields) as (keyof T)[]).map((name) => [name, fields[name].read(cursor)])) as T,
  write: (writer, value) => {
    for (const name of Object.keys(fields) as (keyof T)[]) fields[name].write(writer, value[name]);
  },
});

/** Another view of the same bytes. */
export const mapped = <A, B>(codec: Codec<A>, to: (raw: A) => B, from: (value: B) => A): Codec<B> => ({
  read: (cursor) => to(codec.read(cursor)),
  write: (writer, value) => codec.write(writer, from(value)),
});

/** One byte, 0 or 1. */
export const flag: Codec<boolean> = mapped(
  oneOf({ no: 0, yes: 1 }, u8),
  (word) => word === 'yes',
  (value) => (value ? 'yes' : 'no'),
);
