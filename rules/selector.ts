/**
 * Which hosts are meant: terms separated by commas, of which all must hold. `key=pattern`, `key!=pattern`, `key` (it has the label),
 * `!key` (it has not). In a pattern `*` stands for any text; alternatives are separated by `|`. `host` is the name of the host; the
 * empty selector and `*` mean all.
 */
import { matchesPattern } from './pattern.ts';

export interface Labelled {
  readonly host: string;
  readonly labels: Readonly<Record<string, string>>;
}

export type SelectorResult =
  | { readonly ok: true; readonly matches: (host: Labelled) => boolean }
  | { readonly ok: false; readonly column: number; readonly cause: string };

const MAX_LENGTH = 4096;
const KEY = /^[A-Za-z0-9_][A-Za-z0-9_./-]{0,62}$/;
export const isLabelKey = (key: string): boolean => KEY.test(key);

type Test = (host: Labelled) => boolean;

const labelOf = ({ host, labels }: Labelled, key: string): string | undefined =>
  key === 'host' ? host : Object.hasOwn(labels, key) ? labels[key] : undefined;

const compare = (key: string, pattern: string, equal: boolean): Test => {
  const alternatives = pattern.split('|');
  return (host) => {
    const value = labelOf(host, key);
    return equal === (value !== undefined && alternatives.some((one) => matchesPattern(one, value)));
  };
};

const parseTerm = (term: string): Test | string => {
  const [, key, operator, pattern] = /^([^=!]+)(!?=)(.*)$/.exec(term) ?? [];
  if (key !== undefined) {
    return isLabelKey(key) ? compare(key, pattern!, operator === '=') : `\`${key}\` is no label`;
  }
  const absent = term.startsWith('!');
  const name = absent ? term.slice(1) : term;
  if (!isLabelKey(name)) return `\`${term}\` is neither KEY=VALUE nor a label`;
  return (host) => (labelOf(host, name) === undefined) === absent;
};

/** Columns count from 1. */
export const parseSelector = (text: string): SelectorResult => {
  if (text.length > MAX_LENGTH) return { ok: false, column: MAX_LENGTH, cause: `it has more than ${MAX_LENGTH} characters` };
  if (text.trim() === '' || text.trim() === '*') return { ok: true, matches: () => true };
  const tests: Test[] = [];
  let column = 1;
  for (const part of text.split(',')) {
    const test = part.trim() === '' ? 'a term is missing' : parseTerm(part.trim());
    if (typeof test === 'string') return { ok: false, column, cause: test };
    tests.push(test);
    column += part.length + 1;
  }
  return { ok: true, matches: (host) => tests.every((test) => test(host)) };
};
