/** Numbers and strings of filter expressions, as C writes them. */
import { FilterError } from './fault.ts';

/** What a text is compared with. Stars make it a pattern: `prefix` has one at its end and nowhere else, `glob` anywhere. */
export type Text =
  | { readonly kind: 'plain' | 'prefix'; readonly text: string }
  /** Escapes (backslash before a star or a backslash) stand as they were written. */
  | { readonly kind: 'glob'; readonly pattern: string };

const UINT64_MAX = (1n << 64n) - 1n;
const SUFFIX = '(?:[uU](?:ll|LL|[lL])?|(?:ll|LL|[lL])[uU]?)?';
const FLOAT =
  /(?:0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?\d+|(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)[fFlL]?/y;
const INTEGER = new RegExp(`(?:0[xX][0-9a-fA-F]+|\\d+)${SUFFIX}`, 'y');

/** Too large a number is the largest one; values are 64 bits in two's complement. */
const integerOf = (digits: string): bigint => {
  const octal = /^0\d/.test(digits);
  const value = BigInt(octal ? `0o${digits.slice(1)}` : digits);
  return BigInt.asIntN(64, value > UINT64_MAX ? UINT64_MAX : value);
};

const hexFloat = (text: string): number => {
  const [digits, exponent] = text.slice(2).toLowerCase().split('p') as [string, string];
  const [whole, fraction = ''] = digits.split('.') as [string, string?];
  const scaled = BigInt(`0x${whole}${fraction}`);
  return Number(scaled) * 2 ** (Number(exponent) - 4 * fraction.length);
};

export type NumberToken =
  | { readonly kind: 'integer'; readonly value: bigint; readonly end: number }
  | { readonly kind: 'float'; readonly value: number; readonly end: number };

const matched = (pattern: RegExp, text: string, at: number): string | null => {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? null;
};

/** The number that begins at `at`. */
export const readNumber = (text: string, at: number): NumberToken => {
  const float = matched(FLOAT, text, at);
  const word = float ?? matched(INTEGER, text, at);
  if (word === null) throw new FilterError(at, 'a `.` stands between names, or in a number like `0.5`');
  const end = at + word.length;
  if (/[\w:.]/.test(text[end] ?? '')) throw new FilterError(end, `\`${text[end]}\` cannot follow the number \`${word}\``);
  if (float !== null) {
    const digits = float.replace(/[fFlL]$/, '');
    return { kind: 'float', value: /^0[xX]/.test(digits) ? hexFloat(digits) : Number(digits), end };
  }
  const digits = word.replace(/[uUlL]+$/, '');
  if (/^0\d*[89]/.test(digits))
    throw new FilterError(at, `\`${digits}\` begins with 0, so it is octal, where digits go up to 7`);
  return { kind: 'integer', value: integerOf(digits), end };
};

/** `raw`: what stands between the quotes, checked. */
const textOf = (raw: string): Text => {
  const stars = [...raw.matchAll(/\\.|\*/gs)].filter(([found]) => found === '*').map(({ index }) => index);
  const literal = (part: string): string => part.replace(/\\(.)/gs, '$1');
  if (stars.length === 0) return { kind: 'plain', text: literal(raw) };
  const [first] = stars;
  return first === raw.length - 1 ? { kind: 'prefix', text: literal(raw.slice(0, -1)) } : { kind: 'glob', pattern: raw };
};

/** The string or character whose opening quote stands at `at`. */
export const readText = (text: string, at: number): { readonly value: Text; readonly end: number } => {
  const quote = text[at]!;
  let end = at + 1;
  while (text[end] !== quote) {
    const character = text[end];
    if (character === undefined || character === '\n') throw new FilterError(at, `the string has no closing \`${quote}\``);
    if (character === '\0') throw new FilterError(end, 'a string cannot hold a NUL');
    if (character === '\\') {
      if (text[end + 1] !== '*' && text[end + 1] !== '\\') {
        throw new FilterError(end, 'unsupported escape character: there are only `\\*` (a star) and `\\\\` (a backslash)');
      }
      end++;
    }
    end++;
  }
  const raw = text.slice(at + 1, end);
  if (quote === "'" && [...raw.replace(/\\(.)/gs, '$1')].length !== 1) {
    throw new FilterError(at, 'single quotes hold one character: write "..." for a string');
  }
  return { value: textOf(raw), end: end + 1 };
};
