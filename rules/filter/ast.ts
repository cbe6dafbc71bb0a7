/** What a filter expression means, before anybody knows the types of an event's fields. */
import type { Text } from './literal.ts';

export type Comparison = '==' | '!=' | '<' | '>' | '<=' | '>=';
export type Bitwise = '&' | '|' | '^' | '<<' | '>>';
export type Logical = '&&' | '||';
export type Arithmetic = '+' | '-' | '*' | '/' | '%';
export type BinaryOperator = Comparison | Bitwise | Logical | Arithmetic;
export type UnaryOperator = '+' | '-' | '!' | '~';

export interface Step {
  readonly at: number;
  readonly what: { readonly kind: 'member'; readonly name: string } | { readonly kind: 'element'; readonly index: bigint };
}

/** `at`: where the node's own word stands, in UTF-16 units from 0. `height`: 1 for a leaf. */
export type Node = { readonly at: number; readonly height: number } & (
  | { readonly kind: 'integer'; readonly value: bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'text'; readonly value: Text }
  /** A field, or what a `$` name stands for; with members and elements behind it. */
  | { readonly kind: 'path'; readonly global: boolean; readonly name: string; readonly steps: readonly Step[] }
  | { readonly kind: 'unary'; readonly operator: UnaryOperator; readonly operand: Node }
  | { readonly kind: 'binary'; readonly operator: BinaryOperator; readonly left: Node; readonly right: Node }
);

/** Parentheses, unary operators and operands within each other, at most. */
export const HEIGHT_MAX = 1024;

export const isComparison = (operator: string): operator is Comparison => ['==', '!=', '<', '>', '<=', '>='].includes(operator);
export const isBitwise = (operator: string): operator is Bitwise => ['&', '|', '^', '<<', '>>'].includes(operator);
export const isLogical = (operator: string): operator is Logical => operator === '&&' || operator === '||';
