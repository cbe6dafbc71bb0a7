/** The words of TSDL. */
import { MetadataError } from './tsdl-types.ts';

export interface Token {
  readonly kind: 'name' | 'number' | 'text' | 'sign' | 'end';
  /** Of a text: what it means. */
  readonly text: string;
  readonly at: number;
}

const TOKEN =
  /(?:\s+|\/\*[\s\S]*?\*\/|\/\/[^\n]*)|([A-Za-z_][A-Za-z0-9_]*)|(0[xX][0-9a-fA-F]+|\d+)[uUlL]*|"((?:[^"\\\n]|\\[\s\S])*)"|'((?:[^'\\\n]|\\[\s\S])*)'|(\.\.\.|:=|->|[{}[\]<>();:,.=+-])/y;
const ESCAPE = /\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|([\s\S]))/g;
const LETTERS: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' };

const unescaped = (text: string): string =>
  text.includes('\\')
    ? text.replace(ESCAPE, (_all, hex?: string, octal?: string, letter?: string) =>
        letter === undefined
          ? String.fromCharCode(Number.parseInt(hex ?? octal ?? '0', hex === undefined ? 8 : 16))
          : (LETTERS[letter] ?? letter),
      )
    : text;

export const numberOf = (word: string): bigint => BigInt(/^0\d/.test(word) ? `0o${word.slice(1)}` : word);

const lineAt = (text: string, at: number): number => text.slice(0, at).split('\n').length;

/** Hands out one word after the other: the text may be long, its words are not kept. */
export class Lexer {
  readonly #text: string;
  #at = 0;
  #next: Token;

  constructor(text: string) {
    this.#text = text;
    this.#next = this.#read();
  }

  get next(): Token {
    return this.#next;
  }

  fault(message: string, token: Token = this.#next): MetadataError {
    return new MetadataError(message, lineAt(this.#text, token.at));
  }

  #read(): Token {
    for (;;) {
      const at = this.#at;
      if (at >= this.#text.length) return { kind: 'end', text: '', at };
      TOKEN.lastIndex = at;
      const found = TOKEN.exec(this.#text);
      if (!found)
        throw new MetadataError(`${JSON.stringify(this.#text.slice(at, at + 8))} is no word of TSDL`, lineAt(this.#text, at));
      this.#at = TOKEN.lastIndex;
      const [, name, number, text, character, sign] = found;
      if (name !== undefined) return { kind: 'name', text: name, at };
      if (number !== undefined) return this.#number(number, at);
      if (text !== undefined || character !== undefined) return { kind: 'text', text: unescaped(text ?? character ?? ''), at };
      if (sign !== undefined) return { kind: 'sign', text: sign, at };
    }
  }

  #number(word: string, at: number): Token {
    if (/^0[0-7]*[89]/.test(word)) throw new MetadataError(`${word} is no number`, lineAt(this.#text, at));
    return { kind: 'number', text: word, at };
  }

  take(): Token {
    const token = this.#next;
    if (token.kind !== 'end') this.#next = this.#read();
    return token;
  }

  is(sign: string): boolean {
    return this.#next.kind === 'sign' && this.#next.text === sign;
  }

  isName(name: string): boolean {
    return this.#next.kind === 'name' && this.#next.text === name;
  }

  /** Takes the sign if it stands here. */
  accept(sign: string): boolean {
    if (!this.is(sign)) return false;
    this.take();
    return true;
  }

  expect(sign: string): void {
    if (!this.accept(sign)) throw this.fault(`\`${sign}\` is missing before \`${this.#next.text}\``);
  }

  name(): string {
    if (this.#next.kind !== 'name') throw this.fault(`a name is missing before \`${this.#next.text}\``);
    return this.take().text;
  }

  /** `a.b.c` */
  path(): string[] {
    const names = [this.name()];
    while (this.accept('.')) names.push(this.name());
    return names;
  }

  integer(): bigint {
    const negative = this.accept('-');
    if (!negative) this.accept('+');
    if (this.#next.kind !== 'number') throw this.fault(`a number is missing before \`${this.#next.text}\``);
    const value = numberOf(this.take().text);
    return negative ? -value : value;
  }
}
