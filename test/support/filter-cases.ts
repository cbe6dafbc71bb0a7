/** Random filter expressions and the events that they are held against: one field of each kind, contexts, values of the program's own. */
import fc from 'fast-check';
import type { Field, FieldType, PointDescription } from '../../machines/document.ts';
import type { FieldValue } from './filter-machine.ts';
import type { Named } from './filter-meaning.ts';

const int = { bits: 64, signed: true, reverse: false, base: 10 } as const;
const TYPES: Readonly<Record<string, FieldType>> = {
  i: { kind: 'integer', integer: int },
  e: { kind: 'enum', container: int, name: 'colour', entries: [] },
  f: { kind: 'float', bits: 64, reverse: false },
  s: { kind: 'string', encoding: 'utf8' },
  t: { kind: 'array', length: 8, text: true, element: { ...int, bits: 8 } },
  a: { kind: 'array', length: 3, text: false, element: int },
  q: { kind: 'sequence', lengthName: '', lengthType: int, text: false, element: int },
};
export const NAMES = Object.keys(TYPES);
const FIELDS: readonly Field[] = NAMES.map((name) => ({ name, nowrite: name === 'e', type: TYPES[name]! }));
export const POINT: PointDescription = { name: 'p:n', logLevel: null, modelEmfUri: '', fields: FIELDS };

export interface Values {
  readonly fields: Readonly<Record<string, FieldValue>>;
  readonly contexts: Readonly<Record<string, bigint | string>>;
  readonly apps: Readonly<Record<string, bigint | number | string>>;
}

export const CONTEXT_IDS: Readonly<Record<string, number>> = { vpid: 1, procname: 3 };

const number = fc.oneof(
  fc.constantFrom('0', '1', '2', '63', '64', '0x7fffffffffffffff', '0x8000000000000000', '-1', '07'),
  fc.integer({ min: -9, max: 9 }).map(String),
  fc.constantFrom('i', 'e', 'a[0]', 'a[2]', 'q[0]', 'q[2]', '$ctx.vpid'),
);
const double = fc.constantFrom('f', '0.0', '.5', '-2.5', '1e3', '-f', '0x1p60');
const literal = fc.constantFrom('""', '"a"', '"ab"', '"*"', '"a*"', '"*b"', '"a*b"', '"\\**"', '"é*"');
const words = fc.oneof(fc.constantFrom('s', 't', '$ctx.procname'), literal);
const missing = fc.constantFrom('gone', 'i[0]', 'i.x', 'a[3]', 's', 'a', '$ctx.uid', '$app.p:gone');
const comparisons = fc.constantFrom('==', '!=', '<', '>', '<=', '>=');
const joined = (left: fc.Arbitrary<string>, operators: fc.Arbitrary<string>, right: fc.Arbitrary<string>) =>
  fc.tuple(left, operators, right).map((parts) => parts.join(' '));
const app = fc.constantFrom('$app.p:int', '$app.p:num', '-$app.p:num');
const small = fc.oneof(fc.integer({ min: -9, max: 9 }).map(String), double);

export const { expression } = fc.letrec<{ expression: string; whole: string }>((tie) => {
  const whole = tie('whole');
  const within = tie('expression').map((text) => `(${text})`);
  return {
    whole: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      number,
      within,
      joined(whole, fc.constantFrom('&', '|', '^', '<<', '>>'), whole),
      fc.tuple(fc.constantFrom('-', '~', '+', '!'), whole).map(([sign, text]) => `${sign}${text}`),
    ),
    expression: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      whole,
      joined(whole, comparisons, whole),
      joined(fc.oneof(double, whole), comparisons, fc.oneof(double, whole)),
      joined(words, comparisons, words),
      joined(fc.constant('$app.p:text'), comparisons, words),
      joined(app, comparisons, small),
      joined(within, fc.constantFrom('&&', '||'), within),
      fc.oneof({ weight: 9, arbitrary: within }, { weight: 1, arbitrary: missing }),
      within.map((text) => `!${text}`),
    ),
  };
});

const word = fc.constantFrom('', 'a', 'ab', 'aab', 'b', '*', 'éa', 'z');
const long = fc.oneof(fc.bigInt({ min: -10n, max: 10n }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));
const float = fc.oneof(fc.constantFrom(0, -0, 0.5, -2.5, 1e3, 2 ** 60), fc.double());
export const events: fc.Arbitrary<Values> = fc.record({
  fields: fc.record({
    i: long,
    e: long,
    f: float,
    s: word,
    t: word,
    a: fc.tuple(long, long, long),
    q: fc.array(long, { maxLength: 3 }),
  }),
  contexts: fc.record({ vpid: long, procname: word }),
  apps: fc.record({ 'p:int': long, 'p:num': float, 'p:text': word }, { requiredKeys: [] }),
});

/** By name, for whoever evaluates the expression itself. */
export const namedOf = ({ fields, contexts, apps }: Values): Named => ({
  fields: new Map(Object.entries(fields)),
  lengths: new Map([['a', 3]]),
  contexts: new Map(Object.entries(contexts)),
  apps: new Map(Object.entries(apps)),
});
