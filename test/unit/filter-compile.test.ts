/** Compiled filters give the truth that their expressions have, for any event. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EventRule, Field, FieldType, PointDescription } from '../../machines/document.ts';
import type { Node } from '../../rules/filter/ast.ts';
import { FILTERS_MAX, filtersFit, pointFilter } from '../../rules/filter/channel.ts';
import { checkFilter } from '../../rules/filter/check.ts';
import { compileFilter, filterProgram } from '../../rules/filter/compile.ts';
import { type Event, type FieldValue, runProgram } from '../support/filter-machine.ts';
import { holds } from '../support/filter-meaning.ts';

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
const NAMES = Object.keys(TYPES);
const FIELDS: readonly Field[] = NAMES.map((name) => ({ name, nowrite: name === 'e', type: TYPES[name]! }));
const POINT: PointDescription = { name: 'p:n', logLevel: null, modelEmfUri: '', fields: FIELDS };

const rootOf = (text: string): Node => {
  const checked = checkFilter(text);
  assert.ok(checked.ok, `${text}: ${checked.ok || checked.fault.message}`);
  return checked.root;
};

interface Values {
  readonly fields: Readonly<Record<string, FieldValue>>;
  readonly contexts: Readonly<Record<string, bigint | string>>;
  readonly apps: Readonly<Record<string, bigint | number | string>>;
}

const CONTEXT_IDS: Readonly<Record<string, number>> = { vpid: 1, procname: 3 };

const asEvent = ({ fields, contexts, apps }: Values): Event => ({
  fields: NAMES.map((name) => fields[name]!),
  contexts: new Map(Object.entries(contexts).map(([name, value]) => [CONTEXT_IDS[name]!, value])),
  apps: new Map(Object.entries(apps)),
});

const BASE: Values = {
  fields: { i: 5n, e: -1n, f: 2.5, s: 'hello', t: 'text', a: [7n, 8n, 9n], q: [1n, 2n] },
  contexts: { vpid: 4711n, procname: 'worker' },
  apps: { 'p:int': 3n, 'p:num': 0.5, 'p:text': 'on' },
};

const kept = (text: string, values: Values = BASE): boolean => {
  const code = compileFilter(rootOf(text), POINT);
  return code !== null && runProgram(filterProgram([code]), asEvent(values));
};

const TRUE = [
  ...['1', '-1', '0.5', '!0', '2 & 2 == 2', '(2 & 1) == 0', 'i', 'i == 5', 'i > 4 && i < 6', '-i == -5', '+i == 5', '~i == -6'],
  ...['e == -1', 'e == 0xffffffffffffffff', 'e >> 63 == 1', '1 << 63 < 0', 'i << 1 == 10', 'i ^ 1 == 4', 'i | 2 == 7'],
  ...['f == 2.5', 'f > 2', '2 < f', 'i > f', 'f', '-f < 0', '!(f == 3)', 'i == 5.0', '9007199254740993 != 9007199254740992'],
  ...['s == "hello"', 's != "hell"', 's == "hel*"', '"hel*" == s', 's < "i"', '"i" > s', 's > "ha*"', 's <= "hel*"'],
  ...['s == "*o"', 's == "h*l*o"', '"*x*" != s', 's != "\\*"', '"*" == s', 't == "text"', '"a*b" == "axxb"'],
  ...['a[0] == 7', 'a[2] == 9', 'q[1] == 2', 'i == 5 || q[9] == 1', '(i || 0) == 1', '(i && 7) == 1'],
  ...[
    '$ctx.vpid == 4711',
    '$ctx.procname == "work*"',
    '$app.p:int == 3',
    '$app.p:num < 1',
    '$app.p:num == 0.5',
    '$app.p:text == "on"',
  ],
  ...['$app.p:int', '-$app.p:int < 0', '$app.p:int & 1', '$app.p:int < i', '$app.p:num', '!$app.p:num == 0'],
];
const FALSE = [
  ...[
    '0',
    '0.0',
    '!1',
    'i == 6',
    's == "hell"',
    's < "hel*"',
    's == "h*x"',
    '1 << 64 == 0',
    '1 << -1',
    '1 >> 64 || 1',
    'i && 0',
  ],
  ...[
    'nothing',
    '!nothing',
    'nothing == 1 || 1',
    '1 || nothing',
    'i.x == 1',
    'i[0] == 1',
    'a',
    'a[3] || 1',
    'q[9] == 1',
    '!q[9]',
  ],
  ...['s', '!s', 's == 1', 'i == "5"', 's && 1', 'f & 1', '~f', 't[0] == 1', 'a[0].x == 1', 'a == "x"'],
  ...[
    '$ctx.vtid == 1',
    '$ctx.vuid == 0 || 1',
    '$app.p:gone == 1',
    '!$app.p:gone',
    '$app.p:text == 1',
    '$app.p:text',
    '$app.p:int == "3"',
  ],
  ...['$app.p:num & 1', '-$app.p:text == "on"'],
];

test('what holds for an event keeps it', () => {
  for (const text of TRUE) assert.equal(kept(text), true, text);
});

test('what does not hold, or names what is not there, does not', () => {
  for (const text of FALSE) assert.equal(kept(text), false, text);
});

test('a field that the point lacks, or that is of another kind, makes no code', () => {
  for (const text of ['nothing == 1', 'i.x == 1', 's == 1', 'f & 1', 'a[3] == 1', '$ctx.vuid == 1', '1 || nothing']) {
    assert.equal(compileFilter(rootOf(text), POINT), null, text);
  }
});

test('the bytes are those of bytecode.h', () => {
  const code = compileFilter(rootOf('i == 5 && "x*" > s'), POINT)!;
  const bytes = '040000' + '010500000000000000' + '20' + '501700' + '060300' + '3a010078' + '12' + '00';
  assert.equal(code.toString('hex'), bytes);
  assert.equal(filterProgram([code]).subarray(0, 4).toString('hex'), `0101${code.length.toString(16)}00`);
});

const rule = (pattern: string, filter: string | null, enabled = true): EventRule => ({
  pattern,
  logLevel: null,
  exclusions: [],
  filter,
  enabled,
});

test('a rule without filter lets everything through, whatever the others want', () => {
  assert.equal(pointFilter([rule('p:*', 'i == 1'), rule('*', null)])(POINT)?.length, 0);
  assert.ok(pointFilter([rule('p:*', 'i == 1'), rule('*', null, false)])(POINT)!.length > 0);
  assert.ok(pointFilter([rule('p:*', 'i == 1'), rule('q:*', null)])(POINT)!.length > 0);
});

test('each different filter is one expression of the program; one that is never true is none', () => {
  const program = pointFilter([rule('p:*', 'i == 1'), rule('*', 's == "x"'), rule('p:n', 'i == 1'), rule('p:n', 'gone')])(
    POINT,
  )!;
  assert.equal(program[1], 2);
  const seen = (fields: Partial<Values['fields']>) =>
    runProgram(program, asEvent({ ...BASE, fields: { ...BASE.fields, ...(fields as Values['fields']) } }));
  assert.deepEqual([seen({ i: 1n }), seen({ s: 'x' }), seen({})], [true, true, false]);
  assert.equal(pointFilter([rule('p:n', 'gone'), rule('p:n', 's == 1')])(POINT), null);
});

test('filters of one channel are bounded so that one program holds them all', () => {
  const some = (count: number, long = '') => Array.from({ length: count }, (_, at) => `i == ${at}${long}`);
  assert.ok(filtersFit(some(FILTERS_MAX)) && !filtersFit(some(FILTERS_MAX + 1)));
  assert.ok(!filtersFit(some(10, ' || 1'.repeat(800))));
});

const number = fc.oneof(
  fc.constantFrom('0', '1', '2', '63', '64', '0x7fffffffffffffff', '0x8000000000000000', '-1', '07'),
  fc.integer({ min: -9, max: 9 }).map(String),
  fc.constantFrom('i', 'e', 'a[0]', 'a[2]', 'q[0]', 'q[2]', '$ctx.vpid'),
);
const double = fc.constantFrom('f', '0.0', '.5', '-2.5', '1e3', '-f', '0x1p60');
const literal = fc.constantFrom('""', '"a"', '"ab"', '"*"', '"a*"', '"*b"', '"a*b"', '"\\**"', '"é*"');
const words = fc.oneof(fc.constantFrom('s', 't', '$ctx.procname'), literal);
const missing = fc.constantFrom('gone', 'i[0]', 'i.x', 'a[3]', 's', 'a', '$ctx.vuid', '$app.p:gone');
const comparisons = fc.constantFrom('==', '!=', '<', '>', '<=', '>=');
const joined = (left: fc.Arbitrary<string>, operators: fc.Arbitrary<string>, right: fc.Arbitrary<string>) =>
  fc.tuple(left, operators, right).map((parts) => parts.join(' '));
const app = fc.constantFrom('$app.p:int', '$app.p:num', '-$app.p:num');
const small = fc.oneof(fc.integer({ min: -9, max: 9 }).map(String), double);

const { expression } = fc.letrec<{ expression: string; whole: string }>((tie) => {
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
const events: fc.Arbitrary<Values> = fc.record({
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

test('for random expressions and events, the compiled program says what the expression means', () => {
  const seen = { valid: 0, kept: 0 };
  fc.assert(
    fc.property(expression, events, (text, values) => {
      const checked = checkFilter(text);
      if (!checked.ok) return;
      const named = {
        fields: new Map(Object.entries(values.fields)),
        lengths: new Map([['a', 3]]),
        contexts: new Map(Object.entries(values.contexts)),
        apps: new Map(Object.entries(values.apps)),
      };
      const wanted = holds(checked.root, named);
      assert.equal(kept(text, values), wanted, text);
      seen.valid++;
      if (wanted) seen.kept++;
    }),
    { numRuns: 4000 },
  );
  assert.ok(seen.valid > 2500 && seen.kept > 500, JSON.stringify(seen));
});
