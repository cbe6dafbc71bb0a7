/** The words of a filter expression. */
import { FilterError } from './fault.ts';
import { readNumber, readText, type Text } from './literal.ts';

export type Token = { readonly at: number; readonly shown: string } & (
  | { readonly kind: 'integer'; readonly value: bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'text'; readonly value: Text }
  /** `$` names are globals: `global` is true. */
  | { readonly kind: 'name'; readonly name: string; readonly global: boolean }
  | { readonly kind: 'sign'; readonly sign: string }
  | { readonly kind: 'end' }
);

/** Longer ones first. */
const SIGNS = /\|\||&&|==|!=|<=|>=|<<|>>|->|[|^&<>+\-*/%!~()[\].]/y;
const SPACE = /(?:\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)+/y;
const NAME = /(?:[A-Za-z_:]|\\u[0-9a-fA-F]{4})(?:[A-Za-z0-9_:]|\\u[0-9a-fA-F]{4})*/y;

const matched = (pattern: RegExp, text: string, at: number): string | null => {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? null;
};

const unescaped = (name: string): string =>
  name.replace(/\\u(....)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));

const unexpected = (text: string, at: number): FilterError => {
  if (text.startsWith('/*', at)) return new FilterError(at, 'the comment has no closing `*/`');
  if (text[at] === '=') return new FilterError(at, '`=` is no operator: write `==` to compare');
  if (text[at] === '$') return new FilterError(at, 'a name follows `$`: write `$ctx.NAME` or `$app.PROVIDER:NAME`');
  const character = String.fromCodePoint(text.codePointAt(at)!);
  const shown = /\p{Cc}/u.test(character) ? 'a control character' : `\`${character}\``;
  return new FilterError(at, `${shown} means nothing here; texts stand in double quotes`);
};

/** Where the quote of a string begins at `at`, a wide one's `L` included; -1: nowhere. */
const quoteAt = (text: string, at: number): number => {
  const quote = text[at] === 'L' ? at + 1 : at;
  return text[quote] === '"' || text[quote] === "'" ? quote : -1;
};

const tokenAt = (text: string, at: number): { readonly token: Token; readonly end: number } => {
  const made = <T extends object>(rest: T, end: number) => ({ token: { at, shown: text.slice(at, end), ...rest }, end });
  const quote = quoteAt(text, at);
  if (quote >= 0) {
    const { value, end } = readText(text, quote);
    return made({ kind: 'text', value } as const, end);
  }
  const global = text[at] === '$';
  const name = matched(NAME, text, global ? at + 1 : at);
  if (name !== null) return made({ kind: 'name', name: unescaped(name), global } as const, at + (global ? 1 : 0) + name.length);
  if (/\d|\.\d/y.test(text.slice(at, at + 2))) {
    const { end, ...number } = readNumber(text, at);
    return made(number, end);
  }
  const sign = text.startsWith('/*', at) ? null : matched(SIGNS, text, at);
  if (sign === null) throw unexpected(text, at);
  return made({ kind: 'sign', sign } as const, at + sign.length);
};

/** Throws FilterError. The last token is the end. */
export const tokens = (text: string): readonly Token[] => {
  const found: Token[] = [];
  let at = 0;
  for (;;) {
    at += matched(SPACE, text, at)?.length ?? 0;
    if (at >= text.length) break;
    const { token, end } = tokenAt(text, at);
    found.push(token);
    at = end;
  }
  return [...found, { kind: 'end', at: text.length, shown: '' }];
};
