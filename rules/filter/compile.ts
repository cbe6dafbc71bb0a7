/** Filter expressions as programs for native/ust/bytecode.h, compiled for one point: its fields' places and types are part of them. */
import type { Field, PointDescription } from '../../machines/document.ts';
import { Assembler, comparing, OP, u16 } from './assembler.ts';
import {
  type Bitwise,
  type Comparison,
  isBitwise,
  isComparison,
  isLogical,
  type Logical,
  type Node,
  type Step,
} from './ast.ts';
import { contextNamed } from './contexts.ts';
import type { Text } from './literal.ts';

const VERSION = 1;

/** What stands on the stack. */
export type Kind = 'integer' | 'double' | 'string';

/**
 * A typed value, or how it is brought. The type of an application's value is known when the program runs: it is asked for as what
 * it is compared with (`as`), hence `open`; `number`: it can no longer be a text.
 */
export interface Value {
  readonly kind: Kind | 'open' | 'number';
  /** Of a constant. */
  readonly constant?: bigint | number;
  readonly text?: Text;
  emit(out: Assembler, as: Kind): void;
}

/** null: false for every event of this point (a field is missing or of another kind). */
export type Lowered = Value | null;

export type PathNode = Node & { readonly kind: 'path' };
/** What a path stands for. */
export type ValueOf = (path: PathNode) => Lowered;

const EXACT_MAX = 1n << 53n;

const integer = (value: bigint): Value => ({
  kind: 'integer',
  constant: value,
  emit: (out, as) => (as === 'double' ? out.double(Number(value)) : out.int(value)),
});

const double = (value: number): Value => ({ kind: 'double', constant: value, emit: (out) => out.double(value) });

const string = (text: Text): Value => ({
  kind: 'string',
  text,
  emit: (out) => text.kind === 'plain' && out.text(OP.pushString, text.text),
});

export const made = (kind: Kind, emit: (out: Assembler) => void): Value => ({
  kind,
  emit: (out, as) => {
    emit(out);
    if (kind === 'integer' && as === 'double') out.plain(OP.intToDouble);
  },
});

const fieldValue = ({ type }: Field, at: number): Lowered => {
  switch (type.kind) {
    case 'integer':
    case 'enum':
      return made('integer', (out) => out.of(OP.fieldInt, at));
    case 'float':
      return made('double', (out) => out.of(OP.fieldDouble, at));
    case 'string':
      return made('string', (out) => out.of(OP.fieldString, at));
    default:
      return type.text ? made('string', (out) => out.of(OP.fieldString, at)) : null;
  }
};

/** One element of a row of numbers; whether a sequence has it shows at run time. */
const elementValue = ({ type }: Field, at: number, { what }: Step): Lowered => {
  if (what.kind !== 'element' || (type.kind !== 'array' && type.kind !== 'sequence') || type.text) return null;
  const length = type.kind === 'array' ? BigInt(type.length) : 1n << 32n;
  if (what.index < 0n || what.index >= length) return null;
  return made('integer', (out) => out.element(at, Number(what.index)));
};

const contextValue = (name: string): Lowered => {
  const context = contextNamed(name);
  if (!context) return null;
  if (context.kind === 'integer') return made('integer', (out) => out.of(OP.contextInt, context.id));
  return made('string', (out) => out.of(OP.contextString, context.id));
};

const APP = { integer: OP.appInt, double: OP.appDouble, string: OP.appString } as const;

const appValue = (name: string): Value => ({ kind: 'open', emit: (out, as) => out.app(APP[as], name) });

const valueAt = (node: PathNode, { fields }: PointDescription): Lowered => {
  const [step, ...more] = node.steps;
  if (node.global) {
    const name = step?.what.kind === 'member' ? step.what.name : '';
    return node.name === 'ctx' ? contextValue(name) : appValue(name);
  }
  const at = fields.findIndex(({ name }) => name === node.name);
  const field = fields[at];
  if (!field || more.length > 0) return null;
  return step ? elementValue(field, at, step) : fieldValue(field, at);
};

/** As a condition. */
const emitTruth = (value: Value, out: Assembler): void => {
  const as = value.kind === 'integer' ? 'integer' : 'double';
  value.emit(out, as);
  if (as === 'double') out.plain(OP.boolDouble);
};

const isOpen = ({ kind }: Value): boolean => kind === 'open' || kind === 'number';

const negated = (value: Value): Value => {
  if (typeof value.constant === 'bigint') return integer(BigInt.asIntN(64, -value.constant));
  if (typeof value.constant === 'number') return double(-value.constant);
  const emit = (out: Assembler, as: Kind): void => {
    value.emit(out, as);
    out.plain(as === 'integer' ? OP.negateInt : OP.negateDouble);
  };
  if (isOpen(value)) return { kind: 'number', emit };
  const { kind } = value;
  return made(kind as Kind, (out) => emit(out, kind as Kind));
};

const unary = ({ operator, operand }: Node & { kind: 'unary' }, bring: ValueOf): Lowered => {
  const value = lower(operand, bring);
  if (!value || value.kind === 'string') return null;
  if (operator === '+') return isOpen(value) ? { ...value, kind: 'number' } : value;
  if (operator === '-') return negated(value);
  if (operator === '~') {
    if (value.kind === 'double') return null;
    return made('integer', (out) => {
      value.emit(out, 'integer');
      out.plain(OP.complement);
    });
  }
  return made('integer', (out) => {
    emitTruth(value, out);
    out.plain(OP.not);
  });
};

const logical = (operator: Logical, left: Value, right: Value): Lowered => {
  if (left.kind === 'string' || right.kind === 'string') return null;
  return made('integer', (out) => {
    emitTruth(left, out);
    const here = out.jump(operator === '&&' ? OP.jumpIfFalse : OP.jumpIfTrue);
    emitTruth(right, out);
    here();
    out.plain(OP.bool);
  });
};

const BITWISE: Readonly<Record<Bitwise, number>> = {
  '&': OP.and,
  '|': OP.or,
  '^': OP.xor,
  '<<': OP.shiftLeft,
  '>>': OP.shiftRight,
};

const bitwise = (operator: Bitwise, left: Value, right: Value): Lowered => {
  if ([left, right].some(({ kind }) => kind === 'string' || kind === 'double')) return null;
  return made('integer', (out) => {
    left.emit(out, 'integer');
    right.emit(out, 'integer');
    out.plain(BITWISE[operator]);
  });
};

const MIRRORED: Readonly<Record<Comparison, Comparison>> = {
  '==': '==',
  '!=': '!=',
  '<': '>',
  '>': '<',
  '<=': '>=',
  '>=': '<=',
};

/** The pattern stands on the right. */
const matching = (operator: Comparison, value: Value, pattern: Text): Value =>
  made('integer', (out) => {
    value.emit(out, 'string');
    if (pattern.kind === 'glob') out.text(comparing(OP.glob, operator), pattern.pattern);
    else out.text(comparing(OP.prefix, operator), pattern.text);
  });

/**
 * As what two numbers are compared. An application's value against an integer: as a double when that loses nothing, so that both
 * integers and doubles compare; else it has to be an integer.
 */
const commonKind = (left: Value, right: Value): Kind => {
  if (left.kind === 'double' || right.kind === 'double') return 'double';
  if (left.kind === 'integer' && right.kind === 'integer') return 'integer';
  const whole = left.kind === 'integer' ? left : right.kind === 'integer' ? right : null;
  if (!whole) return 'double';
  const { constant } = whole;
  return typeof constant === 'bigint' && constant < EXACT_MAX && constant > -EXACT_MAX ? 'double' : 'integer';
};

const FIRST: Readonly<Record<Kind, number>> = { integer: OP.compareInt, double: OP.compareDouble, string: OP.compareString };

const comparison = (operator: Comparison, left: Value, right: Value): Lowered => {
  const texts = left.kind === 'string' || right.kind === 'string';
  if (texts && [left, right].some(({ kind }) => kind !== 'string' && kind !== 'open')) return null;
  if (right.text && right.text.kind !== 'plain') return matching(operator, left, right.text);
  if (left.text && left.text.kind !== 'plain') return matching(MIRRORED[operator], right, left.text);
  const as = texts ? 'string' : commonKind(left, right);
  return made('integer', (out) => {
    left.emit(out, as);
    right.emit(out, as);
    out.plain(comparing(FIRST[as], operator));
  });
};

const binary = (node: Node & { kind: 'binary' }, bring: ValueOf): Lowered => {
  const { operator } = node;
  const [left, right] = [lower(node.left, bring), lower(node.right, bring)];
  if (!left || !right) return null;
  if (isLogical(operator)) return logical(operator, left, right);
  if (isBitwise(operator)) return bitwise(operator, left, right);
  return isComparison(operator) ? comparison(operator, left, right) : null;
};

const lower = (node: Node, bring: ValueOf): Lowered => {
  switch (node.kind) {
    case 'integer':
      return integer(node.value);
    case 'float':
      return double(node.value);
    case 'text':
      return string(node.value);
    case 'path':
      return bring(node);
    case 'unary':
      return unary(node, bring);
    case 'binary':
      return binary(node, bring);
  }
};

/** The code of a checked expression; null: it is false whatever the values are. */
export const compileExpression = (root: Node, bring: ValueOf): Buffer | null => {
  const value = lower(root, bring);
  if (!value || value.kind === 'string') return null;
  const out = new Assembler();
  emitTruth(value, out);
  out.plain(OP.return);
  return out.bytes();
};

/** The same for the events of one point. */
export const compileFilter = (root: Node, point: PointDescription): Buffer | null =>
  compileExpression(root, (path) => valueAt(path, point));

/** One program of several expressions: true when one of them is. */
export const filterProgram = (expressions: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.of(VERSION, expressions.length), ...expressions.flatMap((code) => [u16(code.length), code])]);
