/** Compiled filters give the truth that their expressions have, for any event. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EventRule } from '../../machines/document.ts';
import type { Node } from '../../rules/filter/ast.ts';
import { FILTERS_MAX, filtersFit, pointFilter } from '../../rules/filter/channel.ts';
import { checkFilter } from '../../rules/filter/check.ts';
import { compileFilter, filterProgram } from '../../rules/filter/compile.ts';
import { CONTEXT_IDS, events, expression, NAMES, namedOf, POINT, type Values } from '../support/filter-cases.ts';
import { type Event, runProgram } from '../support/filter-machine.ts';
import { holds } from '../support/filter-meaning.ts';

const rootOf = (text: string): Node => {
  const checked = checkFilter(text);
  assert.ok(checked.ok, `${text}: ${checked.ok || checked.fault.message}`);
  return checked.root;
};

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
  for (const text of ['nothing == 1', 'i.x == 1', 's == 1', 'f & 1', 'a[3] == 1', '$ctx.uid == 1', '1 || nothing']) {
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

test('for random expressions and events, the compiled program says what the expression means', () => {
  const seen = { valid: 0, kept: 0 };
  fc.assert(
    fc.property(expression, events, (text, values) => {
      const checked = checkFilter(text);
      if (!checked.ok) return;
      const wanted = holds(checked.root, namedOf(values));
      assert.equal(kept(text, values), wanted, text);
      seen.valid++;
      if (wanted) seen.kept++;
    }),
    { numRuns: 4000 },
  );
  assert.ok(seen.valid > 2500 && seen.kept > 500, JSON.stringify(seen));
});
