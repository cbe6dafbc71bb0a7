/**
 * Reads a filter expression. The operators bind as in C, except that `&`, `^` and `|` bind tighter than comparisons: `2 & 2 == 2`
 * is true. Arithmetic is read, so that whoever checks can say that there is none.
 */
import { type BinaryOperator, HEIGHT_MAX, type Node, type Step, type UnaryOperator } from './ast.ts';
import { FilterError } from './fault.ts';
import { type Token, tokens } from './lexer.ts';

const LEVELS: readonly (readonly BinaryOperator[])[] = [
  ['||'],
  ['&&'],
  ['==', '!='],
  ['<', '>', '<=', '>='],
  ['|'],
  ['^'],
  ['&'],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '%'],
];
const PRECEDENCE = new Map<string, number>(LEVELS.flatMap((signs, level) => signs.map((sign) => [sign, level] as const)));
const UNARY: ReadonlySet<string> = new Set(['+', '-', '!', '~'] satisfies UnaryOperator[]);
const WORDS = new Map([
  ['and', '&&'],
  ['or', '||'],
  ['not', '!'],
]);

const tooDeep = (at: number): FilterError =>
  new FilterError(at, `the expression is nested more than ${HEIGHT_MAX} levels deep: make several rules of it`);

class Parser {
  readonly #tokens: readonly Token[];
  #place = 0;
  #depth = 0;

  constructor(text: string) {
    this.#tokens = tokens(text);
  }

  whole(): Node {
    const root = this.#binary(0);
    const { kind, at } = this.#now;
    if (kind !== 'end') throw new FilterError(at, this.#unexpected('an operator such as `&&` or `==`'));
    return root;
  }

  get #now(): Token {
    return this.#tokens[this.#place]!;
  }

  #next(): Token {
    return this.#tokens[this.#place++]!;
  }

  #sign(): string | null {
    const now = this.#now;
    return now.kind === 'sign' ? now.sign : null;
  }

  #unexpected(wanted: string): string {
    const { kind, shown } = this.#now;
    const meant = kind === 'name' ? WORDS.get(shown.toLowerCase()) : undefined;
    if (meant !== undefined) return `\`${shown}\` is no operator: write \`${meant}\``;
    return kind === 'end' ? `the expression ends where ${wanted} is missing` : `\`${shown}\` stands where ${wanted} is missing`;
  }

  #expect(sign: string): void {
    if (this.#sign() !== sign) throw new FilterError(this.#now.at, this.#unexpected(`\`${sign}\``));
    this.#place++;
  }

  /** Runs one level deeper. */
  #within<T>(at: number, read: () => T): T {
    if (++this.#depth > HEIGHT_MAX) throw tooDeep(at);
    const result = read();
    this.#depth--;
    return result;
  }

  /** Operands joined by operators of at least this precedence; those of one precedence join from the left. */
  #binary(precedence: number): Node {
    let left = this.#unary();
    for (;;) {
      const sign = this.#sign();
      const level = sign === null ? undefined : PRECEDENCE.get(sign);
      if (level === undefined || level < precedence) return left;
      const { at } = this.#next();
      const right = this.#within(at, () => this.#binary(level + 1));
      const height = 1 + Math.max(left.height, right.height);
      if (height > HEIGHT_MAX) throw tooDeep(at);
      left = { kind: 'binary', operator: sign as BinaryOperator, left, right, at, height };
    }
  }

  #unary(): Node {
    const sign = this.#sign();
    if (sign === null || !UNARY.has(sign)) return this.#postfix();
    const { at } = this.#next();
    const operand = this.#within(at, () => this.#unary());
    if (operand.height >= HEIGHT_MAX) throw tooDeep(at);
    return { kind: 'unary', operator: sign as UnaryOperator, operand, at, height: operand.height + 1 };
  }

  #postfix(): Node {
    const node = this.#primary();
    const steps: Step[] = [];
    for (let sign = this.#sign(); sign === '[' || sign === '.' || sign === '->'; sign = this.#sign()) {
      const { at } = this.#next();
      if (node.kind !== 'path') throw new FilterError(at, `only a field can be followed by \`${sign}\``);
      steps.push({ at, what: sign === '[' ? this.#element() : this.#member() });
    }
    return node.kind === 'path' && steps.length > 0 ? { ...node, steps: [...node.steps, ...steps] } : node;
  }

  #member(): Step['what'] {
    const token = this.#now;
    if (token.kind !== 'name' || token.global) throw new FilterError(token.at, this.#unexpected('a name'));
    this.#place++;
    return { kind: 'member', name: token.name };
  }

  #element(): Step['what'] {
    const node = this.#within(this.#now.at, () => this.#unary());
    if (node.kind !== 'integer') throw new FilterError(node.at, 'an index is an integer constant such as `[3]`');
    this.#expect(']');
    return { kind: 'element', index: node.value };
  }

  #primary(): Node {
    const token = this.#now;
    const { at } = token;
    if (token.kind === 'sign' && token.sign === '(') {
      this.#place++;
      const inner = this.#within(at, () => this.#binary(0));
      this.#expect(')');
      return inner;
    }
    if (token.kind === 'sign' || token.kind === 'end') throw new FilterError(at, this.#unexpected('a field or a value'));
    this.#place++;
    if (token.kind === 'name') return { kind: 'path', global: token.global, name: token.name, steps: [], at, height: 1 };
    if (token.kind === 'integer') return { kind: 'integer', value: token.value, at, height: 1 };
    if (token.kind === 'float') return { kind: 'float', value: token.value, at, height: 1 };
    return { kind: 'text', value: token.value, at, height: 1 };
  }
}

/** Throws FilterError. */
export const parseFilter = (text: string): Node => new Parser(text).whole();
