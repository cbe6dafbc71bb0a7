/**
 * Runs the bytecode of native/ust/bytecode.h, and holds it against what the verifier demands: known instructions, forward jumps,
 * the same kinds on every way, the depth, one integer at the end.
 */
import assert from 'node:assert/strict';

export type FieldValue = bigint | number | string | readonly bigint[];

export interface Event {
  readonly fields: readonly FieldValue[];
  readonly contexts: ReadonlyMap<number, bigint | string>;
  readonly apps: ReadonlyMap<string, bigint | number | string>;
}

type Slot = bigint | number | string;
const DEPTH = 16;

class Missing extends Error {}

const need = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Missing();
  return value;
};

const compare = (operator: number, order: number | null): bigint => {
  const held = [order === 0, order !== 0, order !== null && order < 0, order !== null && order > 0][operator];
  const result = held ?? (order !== null && (operator === 4 ? order <= 0 : order >= 0));
  return result ? 1n : 0n;
};

const orderOf = (a: Slot | Buffer, b: Slot | Buffer): number | null => (a < b ? -1 : a > b ? 1 : a === b ? 0 : null);
const orderOfTexts = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** As native/ust/filter.c is to do it, but by a regular expression. */
const globMatches = (pattern: string, text: string): boolean => {
  const source = pattern.replace(/\\[*\\]|[\s\S]/g, (part) => {
    if (part === '*') return '[\\s\\S]*';
    return (part.length === 2 ? part[1]! : part).replace(/[\\^$.*+?()[\]{}|/-]/, '\\$&');
  });
  return new RegExp(`^${source}$`).test(text);
};

/** One expression. */
class Run {
  readonly #code: Buffer;
  readonly #event: Event;
  readonly #stack: Slot[] = [];
  /** Kinds of the stack wherever a jump leads. */
  readonly #landings = new Map<number, string>();
  #at = 0;

  constructor(code: Buffer, event: Event) {
    this.#code = code;
    this.#event = event;
  }

  result(): boolean {
    try {
      return this.#steps();
    } catch (error) {
      if (error instanceof Missing) return false;
      throw error;
    }
  }

  #steps(): boolean {
    for (;;) {
      const expected = this.#landings.get(this.#at);
      if (expected !== undefined) assert.equal(this.#kinds(), expected, 'kinds at a place that a jump leads to');
      const op = this.#u8();
      if (op === 0) {
        assert.equal(this.#at, this.#code.length, 'RETURN is the last instruction');
        assert.equal(this.#kinds(), 'bigint');
        return this.#stack[0] !== 0n;
      }
      this.#step(op);
      assert.ok(this.#stack.length <= DEPTH, 'depth');
    }
  }

  #kinds(): string {
    return this.#stack.map((slot) => typeof slot).join();
  }

  /** Where the operand begins that is passed over. */
  #skip(length: number): number {
    this.#at += length;
    return this.#at - length;
  }

  #u8(): number {
    return this.#code.readUInt8(this.#skip(1));
  }

  #u16(): number {
    return this.#code.readUInt16LE(this.#skip(2));
  }

  #text(length: number): string {
    const from = this.#skip(length);
    return this.#code.toString('utf8', from, this.#at);
  }

  #push(value: unknown, type: 'bigint' | 'number' | 'string'): void {
    if (value === undefined) throw new Missing();
    assert.equal(typeof value, type);
    this.#stack.push(value as Slot);
  }

  #int(): bigint {
    const value = this.#stack.pop();
    assert.equal(typeof value, 'bigint');
    return value as bigint;
  }

  #double(): number {
    const value = this.#stack.pop();
    assert.equal(typeof value, 'number');
    return value as number;
  }

  #string(): string {
    const value = this.#stack.pop();
    assert.equal(typeof value, 'string');
    return value as string;
  }

  #step(op: number): void {
    if (op >= 32 && op < 80) this.#compare(op);
    else if (op >= 80) this.#jump(op);
    else if (op <= 12) this.#load(op);
    else this.#operate(op);
  }

  #load(op: number): void {
    const { fields, contexts, apps } = this.#event;
    if (op === 1) this.#push(this.#code.readBigInt64LE(this.#skip(8)), 'bigint');
    else if (op === 2) this.#push(this.#code.readDoubleLE(this.#skip(8)), 'number');
    else if (op === 3) this.#push(this.#text(this.#u16()), 'string');
    else if (op <= 6) this.#push(fields[this.#u16()], op === 4 ? 'bigint' : op === 5 ? 'number' : 'string');
    else if (op === 7) {
      const row = fields[this.#u16()] as readonly bigint[];
      this.#push(row[this.#code.readUInt32LE(this.#skip(4))], 'bigint');
    } else if (op <= 9) this.#push(contexts.get(this.#u16()), op === 8 ? 'bigint' : 'string');
    else this.#app(op, need(apps.get(this.#text(this.#u8()))));
  }

  #app(op: number, value: bigint | number | string): void {
    const wanted = op === 10 ? 'bigint' : op === 11 ? 'number' : 'string';
    const found = op === 11 && typeof value === 'bigint' ? Number(value) : value;
    this.#push(typeof found === wanted ? found : undefined, wanted);
  }

  #operate(op: number): void {
    if (op === 13) this.#stack.push(Number(this.#int()));
    else if (op === 15) this.#stack.push(BigInt.asIntN(64, -this.#int()));
    else if (op === 16) this.#stack.push(-this.#double());
    else if (op === 17) this.#stack.push(this.#int() === 0n ? 1n : 0n);
    else if (op === 18) this.#stack.push(this.#int() === 0n ? 0n : 1n);
    else if (op === 19) this.#stack.push(this.#double() === 0 ? 0n : 1n);
    else if (op === 20) this.#stack.push(~this.#int());
    else this.#bitwise(op);
  }

  #bitwise(op: number): void {
    const [right, left] = [this.#int(), this.#int()];
    if (op === 21) this.#stack.push(left & right);
    else if (op === 22) this.#stack.push(left | right);
    else if (op === 23) this.#stack.push(left ^ right);
    else {
      assert.ok(op === 24 || op === 25, `instruction ${op}`);
      if (right < 0n || right > 63n) throw new Missing();
      const bits = BigInt.asUintN(64, left);
      this.#stack.push(BigInt.asIntN(64, op === 24 ? bits << right : bits >> right));
    }
  }

  #compare(op: number): void {
    if (op >= 64) {
      assert.ok(op <= 65, `instruction ${op}`);
      const pattern = this.#text(this.#u16());
      this.#stack.push(compare(op - 64, globMatches(pattern, this.#string()) ? 0 : 1));
    } else if (op >= 56) {
      const prefix = Buffer.from(this.#text(this.#u16()));
      this.#stack.push(compare(op - 56, Buffer.compare(Buffer.from(this.#string()).subarray(0, prefix.length), prefix)));
    } else if (op >= 48) {
      const [right, left] = [this.#string(), this.#string()];
      this.#stack.push(compare(op - 48, orderOfTexts(left, right)));
    } else {
      const [right, left] = op >= 40 ? [this.#double(), this.#double()] : [this.#int(), this.#int()];
      this.#stack.push(compare(op % 8, orderOf(left, right)));
    }
  }

  #jump(op: number): void {
    const target = this.#u16();
    assert.ok(target >= this.#at && target < this.#code.length, 'jumps go forward');
    const top = this.#int();
    this.#landings.set(target, [this.#kinds(), 'bigint'].filter((kind) => kind !== '').join());
    if ((top === 0n) !== (op === 80)) return;
    this.#stack.push(top);
    this.#at = target;
  }
}

/** Whether a program keeps an event. */
export const runProgram = (program: Buffer, event: Event): boolean => {
  assert.equal(program[0], 1, 'version');
  let at = 2;
  let kept = false;
  for (let count = program[1]!; count > 0; count--) {
    const length = program.readUInt16LE(at);
    kept = new Run(program.subarray(at + 2, at + 2 + length), event).result() || kept;
    at += 2 + length;
  }
  assert.equal(at, program.length, 'nothing follows the expressions');
  return kept;
};
