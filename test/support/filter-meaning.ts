/** What a filter expression means, told from its tree alone: the measure for compiler and interpreter. */
import { isBitwise, isComparison, isLogical, type Node } from '../../rules/filter/ast.ts';
import type { FieldValue } from './filter-machine.ts';

export interface Named {
  readonly fields: ReadonlyMap<string, FieldValue>;
  /** Of rows that always have as many elements. */
  readonly lengths: ReadonlyMap<string, number>;
  readonly contexts: ReadonlyMap<string, bigint | string>;
  readonly apps: ReadonlyMap<string, bigint | number | string>;
}

/** A value is missing, or of a kind that the operator does not take: the whole expression is false. */
class Missing extends Error {}

type Value = bigint | number | string | readonly bigint[];

const missing = (): never => {
  throw new Missing();
};

const path = (node: Node & { kind: 'path' }, event: Named): Value => {
  const [step, ...more] = node.steps;
  const name = step?.what.kind === 'member' ? step.what.name : '';
  if (node.global) return (node.name === 'ctx' ? event.contexts : event.apps).get(name) ?? missing();
  const value = event.fields.get(node.name) ?? missing();
  if (!step) return value;
  if (step.what.kind === 'member' || more.length > 0 || typeof value !== 'object') return missing();
  return value[Number(step.what.index)] ?? missing();
};

const number = (value: Value): bigint | number => (typeof value === 'bigint' || typeof value === 'number' ? value : missing());
const integer = (value: Value): bigint => (typeof value === 'bigint' ? value : missing());
const truth = (value: Value): boolean => Number(number(value)) !== 0;
const bool = (value: boolean): bigint => (value ? 1n : 0n);
const wrap = (value: bigint): bigint => BigInt.asIntN(64, value);

const unary = (operator: string, value: Value): Value => {
  if (operator === '!') return bool(!truth(value));
  if (operator === '~') return ~integer(value);
  const plain = number(value);
  if (operator === '+') return plain;
  return typeof plain === 'bigint' ? wrap(-plain) : -plain;
};

const bitwise = (operator: string, left: bigint, right: bigint): bigint => {
  if (operator === '&') return left & right;
  if (operator === '|') return left | right;
  if (operator === '^') return left ^ right;
  if (right < 0n || right > 63n) return missing();
  const bits = BigInt.asUintN(64, left);
  return wrap(operator === '<<' ? bits << right : bits >> right);
};

const ordered = <T extends bigint | number>(operator: string, left: T, right: T): boolean => {
  if (operator === '==') return left === right;
  if (operator === '!=') return left !== right;
  if (operator === '<') return left < right;
  if (operator === '>') return left > right;
  return operator === '<=' ? left <= right : left >= right;
};

/** Whether a text lies below (-1), in (0) or above (1) what a literal stands for. */
const against = (text: string, other: Node): number | null => {
  if (other.kind !== 'text' || other.value.kind === 'plain') return null;
  const { value } = other;
  if (value.kind !== 'glob') {
    const wanted = Buffer.from(value.text);
    return Buffer.compare(Buffer.from(text).subarray(0, wanted.length), wanted);
  }
  const literal = (part: string): string | null => (part === '*' ? null : part.replace('\\', ''));
  const parts = (value.pattern.match(/\\.|\*|[^\\*]+/gs) ?? []).map((part) => (part === '\\\\' ? '\\' : literal(part)));
  const fits = (at: number, part: number): boolean => {
    const wanted = parts[part];
    if (wanted === undefined) return at === text.length;
    if (wanted !== null) return text.startsWith(wanted, at) && fits(at + wanted.length, part + 1);
    return fits(at, part + 1) || (at < text.length && fits(at + 1, part));
  };
  return fits(0, 0) ? 0 : 1;
};

const texts = (node: Node & { kind: 'binary' }, left: string, right: string): boolean => {
  const mine = against(left, node.right);
  const theirs = against(right, node.left);
  const order = mine ?? (theirs === null ? Buffer.compare(Buffer.from(left), Buffer.from(right)) : -theirs);
  return ordered(node.operator, order + 0, 0);
};

const value = (node: Node, event: Named): Value => {
  if (node.kind === 'integer' || node.kind === 'float') return node.value;
  if (node.kind === 'text') return node.value.kind === 'glob' ? node.value.pattern : node.value.text;
  if (node.kind === 'path') return path(node, event);
  if (node.kind === 'unary') return unary(node.operator, value(node.operand, event));
  const { operator } = node;
  const left = value(node.left, event);
  if (isLogical(operator)) {
    if (truth(left) === (operator === '||')) return bool(truth(left));
    return bool(truth(value(node.right, event)));
  }
  const right = value(node.right, event);
  if (isBitwise(operator)) return bitwise(operator, integer(left), integer(right));
  if (typeof left === 'string' && typeof right === 'string') return bool(texts(node, left, right));
  const [a, b] = [number(left), number(right)];
  const whole = typeof a === 'bigint' && typeof b === 'bigint';
  return bool(whole ? ordered(operator, a, b) : ordered(operator, Number(a), Number(b)));
};

/** Fields that are not there, or are used as what they are not, count even where nobody looks at them. */
const kindOf = (node: Node, event: Named): 'number' | 'float' | 'text' | 'open' => {
  if (node.kind === 'integer') return 'number';
  if (node.kind === 'float') return 'float';
  if (node.kind === 'text') return 'text';
  if (node.kind === 'path') {
    if (node.global && node.name === 'app') return 'open';
    const what = node.steps[0]?.what;
    if (what?.kind === 'element' && node.steps.length === 1 && Array.isArray(event.fields.get(node.name))) {
      return what.index < (event.lengths.get(node.name) ?? Number.POSITIVE_INFINITY) ? 'number' : missing();
    }
    const found = path(node, event);
    if (typeof found === 'object') return missing();
    return typeof found === 'string' ? 'text' : typeof found === 'number' ? 'float' : 'number';
  }
  const kinds = (node.kind === 'unary' ? [node.operand] : [node.left, node.right]).map((one) => kindOf(one, event));
  if (node.kind === 'binary' && isComparison(node.operator)) {
    if (kinds.includes('text') && kinds.some((kind) => kind !== 'text' && kind !== 'open')) return missing();
    return 'number';
  }
  if (kinds.includes('text')) return missing();
  if ((node.operator === '~' || isBitwise(node.operator)) && kinds.includes('float')) return missing();
  return node.kind === 'unary' && (node.operator === '-' || node.operator === '+') ? kinds[0]! : 'number';
};

export const holds = (root: Node, event: Named): boolean => {
  try {
    return kindOf(root, event) !== 'text' && truth(value(root, event));
  } catch (error) {
    if (error instanceof Missing) return false;
    throw error;
  }
};
