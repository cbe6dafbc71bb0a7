/**
 * What is wrong with an expression whatever event it is held against. Types of fields are not known here: a field may be anything,
 * and one that turns out to be of the wrong kind makes the expression false for that point.
 */
import { isBitwise, isComparison, isLogical, type Node } from './ast.ts';
import { CONTEXT_NAMES, contextNamed, isContextElsewhere } from './contexts.ts';
import { FilterError, type FilterFault, faultIn } from './fault.ts';
import { parseFilter } from './parser.ts';

/** WEFT_BYTECODE_STACK. */
const STACK_MAX = 16;

type Kind = 'integer' | 'float' | 'text' | 'any';

/** Who judges: a program that records knows some contexts of its own; a trace has what its channels recorded. */
type Where = 'program' | 'trace';

/** `stack`: places that the value's computation takes. */
interface Seen {
  readonly kind: Kind;
  readonly stack: number;
}

const stars = (node: Node): 'none' | 'prefix' | 'glob' =>
  node.kind === 'text' && node.value.kind !== 'plain' ? node.value.kind : 'none';

const contextKind = (node: Node & { kind: 'path' }, where: Where): Kind => {
  const [first, second] = node.steps;
  const { at } = first ?? node;
  if (first?.what.kind !== 'member') throw new FilterError(at, 'a context follows: write `$ctx.NAME`');
  const { name } = first.what;
  if (second) throw new FilterError(second.at, 'a context has no members and no elements');
  if (where === 'trace') return 'any';
  if (/^perf/.test(name)) throw new FilterError(at + 1, 'performance counters cannot be used in filters');
  const context = contextNamed(name);
  if (!context && !isContextElsewhere(name)) {
    throw new FilterError(at + 1, `there is no context \`${name}\`; filters know ${CONTEXT_NAMES.join(', ')}`);
  }
  return context ? context.kind : 'any';
};

const pathKind = (node: Node & { kind: 'path' }, where: Where): Kind => {
  if (!node.global) return 'any';
  if (node.name === 'ctx') return contextKind(node, where);
  if (node.name !== 'app') {
    throw new FilterError(node.at, `unexpected identifier \`$${node.name}\`: there are $ctx.NAME and $app.PROVIDER:NAME`);
  }
  const [first, second] = node.steps;
  if (first?.what.kind !== 'member' || !/^[^:]+:[^:]/.test(first.what.name)) {
    throw new FilterError((first ?? node).at, 'an application context has the form `$app.PROVIDER:NAME`');
  }
  if (Buffer.byteLength(first.what.name) > 255) throw new FilterError(first.at, 'the name of a context has at most 255 bytes');
  if (second) throw new FilterError(second.at, 'a context has no members and no elements');
  return 'any';
};

const unary = (node: Node & { kind: 'unary' }, where: Where): Seen => {
  const { operator, operand, at } = node;
  const { kind, stack } = visit(operand, where);
  if (kind === 'text') throw new FilterError(at, `\`${operator}\` takes a number, not a text`);
  if (operator === '~' && kind === 'float') throw new FilterError(at, '`~` takes an integer, not a floating-point number');
  return { kind: operator === '!' || operator === '~' ? 'integer' : kind, stack };
};

const compared = (node: Node & { kind: 'binary' }, left: Kind, right: Kind): void => {
  const { operator, at } = node;
  const known = left !== 'any' && right !== 'any';
  if (known && (left === 'text') !== (right === 'text')) {
    throw new FilterError(
      at,
      `\`${operator}\` compares a text with a number: compare texts with texts, as in \`name == "abc"\``,
    );
  }
  const [a, b] = [stars(node.left), stars(node.right)];
  if (a !== 'none' && b !== 'none')
    throw new FilterError(at, 'two patterns cannot be compared: write `\\*` for a star that is meant');
  if ((a === 'glob' || b === 'glob') && operator !== '==' && operator !== '!=') {
    const advice = 'a pattern with a star before its end takes only `==` and `!=`';
    throw new FilterError(at, `${advice}; with one star at the end it takes \`${operator}\` too`);
  }
};

const binary = (node: Node & { kind: 'binary' }, where: Where): Seen => {
  const { operator, at } = node;
  const [left, right] = [visit(node.left, where), visit(node.right, where)];
  const either = (kind: Kind): boolean => left.kind === kind || right.kind === kind;
  const seen: Seen = { kind: 'integer', stack: Math.max(left.stack, right.stack + (isLogical(operator) ? 0 : 1)) };
  if (isComparison(operator)) compared(node, left.kind, right.kind);
  else if (isLogical(operator)) {
    if (either('text'))
      throw new FilterError(at, `\`${operator}\` joins conditions: compare the text, as in \`name == "abc"\``);
  } else if (!isBitwise(operator)) {
    throw new FilterError(
      at,
      `there is no arithmetic in filters: \`${operator}\` is not supported; compare with the result instead`,
    );
  } else if (either('text') || either('float')) {
    throw new FilterError(at, `\`${operator}\` takes integers, not ${either('text') ? 'texts' : 'floating-point numbers'}`);
  }
  if (seen.stack > STACK_MAX)
    throw new FilterError(at, `more than ${STACK_MAX} values wait for each other: take parentheses away`);
  return seen;
};

const visit = (node: Node, where: Where): Seen => {
  if (node.kind === 'unary') return unary(node, where);
  if (node.kind === 'binary') return binary(node, where);
  return { kind: node.kind === 'path' ? pathKind(node, where) : node.kind, stack: 1 };
};

export type CheckedFilter = { readonly ok: true; readonly root: Node } | { readonly ok: false; readonly fault: FilterFault };

/** Reads and checks an expression. */
export const checkFilter = (text: string, where: Where = 'program'): CheckedFilter => {
  try {
    const root = parseFilter(text);
    if (visit(root, where).kind === 'text')
      throw new FilterError(root.at, 'a text is no condition: compare it, as in `name == "abc"`');
    return { ok: true, root };
  } catch (error) {
    if (error instanceof FilterError) return { ok: false, fault: faultIn(text, error) };
    throw error;
  }
};
