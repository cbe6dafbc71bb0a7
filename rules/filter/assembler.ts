/** The instructions of native/ust/bytecode.h as bytes. */
import type { Comparison } from './ast.ts';

export const OP = {
  return: 0,
  pushInt: 1,
  pushDouble: 2,
  pushString: 3,
  fieldInt: 4,
  fieldDouble: 5,
  fieldString: 6,
  elementInt: 7,
  contextInt: 8,
  contextString: 9,
  appInt: 10,
  appDouble: 11,
  appString: 12,
  intToDouble: 13,
  negateInt: 15,
  negateDouble: 16,
  not: 17,
  bool: 18,
  boolDouble: 19,
  complement: 20,
  and: 21,
  or: 22,
  xor: 23,
  shiftLeft: 24,
  shiftRight: 25,
  compareInt: 32,
  compareDouble: 40,
  compareString: 48,
  prefix: 56,
  glob: 64,
  jumpIfFalse: 80,
  jumpIfTrue: 81,
} as const;

const COMPARISONS: readonly Comparison[] = ['==', '!=', '<', '>', '<=', '>='];

/** Comparisons are numbered from the first of their kind. */
export const comparing = (first: number, operator: Comparison): number => first + COMPARISONS.indexOf(operator);

const number = (size: number, write: (bytes: Buffer) => void): Buffer => {
  const bytes = Buffer.alloc(size);
  write(bytes);
  return bytes;
};

export const u16 = (value: number): Buffer => number(2, (bytes) => bytes.writeUInt16LE(value));
const u32 = (value: number): Buffer => number(4, (bytes) => bytes.writeUInt32LE(value));

/** Writes one expression. */
export class Assembler {
  readonly #parts: Buffer[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  #put(op: number, ...operands: readonly Buffer[]): void {
    for (const part of [Buffer.of(op), ...operands]) {
      this.#parts.push(part);
      this.#length += part.length;
    }
  }

  plain(op: number): void {
    this.#put(op);
  }

  int(value: bigint): void {
    this.#put(
      OP.pushInt,
      number(8, (bytes) => bytes.writeBigInt64LE(value)),
    );
  }

  double(value: number): void {
    this.#put(
      OP.pushDouble,
      number(8, (bytes) => bytes.writeDoubleLE(value)),
    );
  }

  /** An instruction with a field or a context as operand. */
  of(op: number, what: number): void {
    this.#put(op, u16(what));
  }

  element(field: number, index: number): void {
    this.#put(OP.elementInt, u16(field), u32(index));
  }

  app(op: number, name: string): void {
    const bytes = Buffer.from(name);
    this.#put(op, Buffer.of(bytes.length), bytes);
  }

  /** PUSH_STRING, and comparisons with a pattern. */
  text(op: number, text: string): void {
    const bytes = Buffer.from(text);
    this.#put(op, u16(bytes.length), bytes);
  }

  /** The returned function says that the place to jump to is here. */
  jump(op: number): () => void {
    const target = u16(0);
    this.#put(op, target);
    return () => target.writeUInt16LE(this.#length);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
