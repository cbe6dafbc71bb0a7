/** The filter language: what expressions mean, and what is said of wrong ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Node } from '../../rules/filter/ast.ts';
import { checkFilter } from '../../rules/filter/check.ts';
import { pointAt } from '../../rules/filter/fault.ts';
import { parseFilter } from '../../rules/filter/parser.ts';

/** Without places: two texts that mean the same look the same. */
const shape = (text: string): string =>
  JSON.stringify(parseFilter(text), (key, value: unknown) =>
    key === 'at' ? undefined : typeof value === 'bigint' ? `${value}n` : value,
  );
const faultOf = (text: string) => {
  const checked = checkFilter(text);
  assert.ok(!checked.ok, `\`${text}\` is accepted`);
  return checked.fault;
};
const literal = (text: string): unknown => {
  const node = parseFilter(text) as Node & { value: unknown };
  return node.value;
};

test('every operator binds tighter than the one before it, bitwise ones tighter than comparisons', () => {
  assert.equal(
    shape('a || b && c == d < e | f ^ g & h << -i'),
    shape('a || (b && (c == (d < (e | (f ^ (g & (h << (-i))))))))'),
  );
  assert.equal(
    shape('-a << b & c ^ d | e < f == g && h || i'),
    shape('((((((((-a) << b) & c) ^ d) | e) < f) == g) && h) || i'),
  );
  assert.equal(shape('2 & 2 == 2'), shape('(2 & 2) == 2'));
});

test('operators of one level join from the left, unary ones from the right', () => {
  assert.equal(shape('a == b != c == d'), shape('((a == b) != c) == d'));
  assert.equal(shape('a << b >> c'), shape('(a << b) >> c'));
  assert.equal(shape('a < b >= c'), shape('(a < b) >= c'));
  assert.equal(shape('!~-+a'), shape('!(~(-(+a)))'));
});

test('space and comments may stand anywhere', () => {
  assert.equal(shape('a/* one */==\n// two\n\t3 // end'), shape('a==3'));
});

test('numbers are those of C', () => {
  const numbers: readonly [string, unknown][] = [
    ['0', 0n],
    ['42', 42n],
    ['017', 15n],
    ['0x1F', 31n],
    ['0xffffffffffffffff', -1n],
    ['18446744073709551615', -1n],
    ['99999999999999999999999', -1n],
    ['42ul', 42n],
    ['42LLU', 42n],
    ['1.5', 1.5],
    ['.5', 0.5],
    ['1.', 1],
    ['1e3', 1000],
    ['1.5e-3f', 0.0015],
    ['0x1.8p3', 12],
    ['0x.8p1', 1],
    ['0x1p-2', 0.25],
  ];
  for (const [text, value] of numbers) assert.equal(literal(text), value, text);
});

test('strings: a star at the end makes a prefix, elsewhere a pattern, escaped it is itself', () => {
  assert.deepEqual(literal('"abc"'), { kind: 'plain', text: 'abc' });
  assert.deepEqual(literal('L"abc"'), { kind: 'plain', text: 'abc' });
  assert.deepEqual(literal("'a'"), { kind: 'plain', text: 'a' });
  assert.deepEqual(literal('"abc*"'), { kind: 'prefix', text: 'abc' });
  assert.deepEqual(literal('"abc\\*"'), { kind: 'plain', text: 'abc*' });
  assert.deepEqual(literal('"a\\\\*"'), { kind: 'prefix', text: 'a\\' });
  assert.deepEqual(literal('"a*c"'), { kind: 'glob', pattern: 'a*c' });
  assert.deepEqual(literal('"a\\**c"'), { kind: 'glob', pattern: 'a\\**c' });
  assert.deepEqual(literal('"**"'), { kind: 'glob', pattern: '**' });
  assert.deepEqual(literal('"ESCSEQ"'), { kind: 'plain', text: 'ESCSEQ' });
});

test('fields, members, elements, contexts', () => {
  for (const text of [
    'a',
    'a_1:b',
    '\\u0061b == 1',
    'a.b.c == 1',
    'a->b == 1',
    'a[3] == 1',
    '(a)[0x3]',
    'a[1].b',
    '$ctx.vpid == 1',
    '$ctx.procname == "x*"',
    '$ctx.vuid == 0',
    '$app.prov:name == "x"',
    '1',
    '0.5',
    '"a" == "a"',
    '"abc*" == "abcd"',
    '"a*" < name',
    '!(a == 1) && b',
    'a == 1.5 && 2 < b',
    'a << 99',
  ]) {
    assert.ok(checkFilter(text).ok, text);
  }
});

/** Expression, column, what the message has to say. */
const WRONG: readonly [string, number, RegExp][] = [
  ['', 1, /ends where a field or a value/],
  ['a ==', 5, /ends where a field or a value is missing/],
  ['a = 1', 3, /write `==`/],
  ['a == 1 and b', 8, /write `&&`/],
  ['a OR b', 3, /write `\|\|`/],
  ['a b', 3, /`b` stands where an operator/],
  ['(a == 1', 8, /`\)` is missing/],
  ['a == 1)', 7, /operator/],
  ['a[1', 4, /`\]`/],
  ['a[b]', 3, /integer constant/],
  ['a[-1]', 3, /integer constant/],
  ['a.5', 2, /cannot follow|stands where/],
  ['a.', 3, /a name is missing/],
  ['1.x', 3, /cannot follow/],
  ['"a".b', 4, /only a field/],
  ['08', 1, /octal/],
  ['0x', 2, /cannot follow/],
  ['12ab', 3, /cannot follow/],
  ['a == "x', 6, /no closing/],
  ["a == 'xy'", 6, /one character/],
  ["a == ''", 6, /one character/],
  ['a == "x\\n"', 8, /escape/],
  ['a == "x\\"', 8, /escape/],
  ['a /* b', 3, /comment/],
  ['a # b', 3, /`#` means nothing/],
  ['a == 1 + 2', 8, /no arithmetic/],
  ['a - 1', 3, /no arithmetic/],
  ['a * 2 == 4', 3, /no arithmetic/],
  ['a / 2', 3, /no arithmetic/],
  ['a % 2', 3, /no arithmetic/],
  ['"a" == 1', 5, /text with a number/],
  ['1.5 < "a"', 5, /text with a number/],
  ['$ctx.procname == 1', 15, /text with a number/],
  ['(a == 1) == "x"', 10, /text with a number/],
  ['"a*" == "b*"', 6, /two patterns/],
  ['"*a" != "*b"', 6, /two patterns/],
  ['a < "x*y"', 3, /only `==` and `!=`/],
  ['"*x" >= a', 6, /only `==` and `!=`/],
  ['a & 1.5', 3, /integers/],
  ['1.5 << a', 5, /integers/],
  ['a | "x"', 3, /integers/],
  ['~1.5', 1, /integer/],
  ['~"a"', 1, /number/],
  ['-"a"', 1, /number/],
  ['!"a"', 1, /number/],
  ['"a"', 1, /no condition/],
  ['$ctx.procname', 1, /no condition/],
  ['a && "x"', 3, /joins conditions/],
  ['"x" || a', 5, /joins conditions/],
  ['$x == 1', 1, /unexpected identifier `\$x`/],
  ['$', 1, /follows `\$`/],
  ['$ctx', 1, /\$ctx\.NAME/],
  ['$ctx[1]', 5, /\$ctx\.NAME/],
  ['$ctx.nosuch == 1', 6, /no context `nosuch`.*vpid/],
  ['$ctx.perf_thread_cycles > 1', 6, /performance counters/],
  ['$ctx.vpid.x == 1', 10, /no members/],
  ['$app.nothing == 1', 5, /PROVIDER:NAME/],
  ['$app', 1, /PROVIDER:NAME/],
  ['é == 1', 1, /`é` means nothing/],
  ['"😀" && "é"', 5, /joins conditions/],
];

for (const [text, column, message] of WRONG) {
  test(`refused at column ${column}: ${text}`, () => {
    const fault = faultOf(text);
    assert.match(fault.message, message);
    assert.equal(fault.column, column, fault.message);
  });
}

test('a fault is shown below the expression, with a caret below its column', () => {
  const text = 'abc\t== "x" && 1 + 1';
  assert.deepEqual(pointAt(text, faultOf(text)), ['abc == "x" && 1 + 1', '                ^']);
});

test('values that wait for each other are bounded, chains are not', () => {
  const nested = (levels: number): string => `${'1 | ('.repeat(levels)}a${')'.repeat(levels)}`;
  assert.ok(checkFilter(nested(15)).ok);
  assert.match(faultOf(nested(16)).message, /values wait/);
  assert.ok(checkFilter(Array.from({ length: 1000 }, (_, at) => `a == ${at}`).join(' || ')).ok);
});

test('an expression of 1000 levels is read, one of more than 1024 refused', () => {
  for (const [open, close, levels] of [
    ['(', ')', 1000],
    ['!', '', 1000],
    ['a && (', ')', 500], // an operand and a parenthesis each
  ] as const) {
    assert.ok(checkFilter(`${open.repeat(levels)}a${close.repeat(levels)}`).ok, open);
    assert.match(faultOf(`${open.repeat(1500)}a${close.repeat(1500)}`).message, /1024 levels/);
    assert.match(faultOf(open.repeat(100_000)).message, /1024 levels/);
  }
  assert.match(faultOf(`a${' && a'.repeat(2000)}`).message, /1024 levels/);
  assert.match(faultOf('a||b&&c==d<e|f^g&h<<i+j*('.repeat(4000)).message, /1024 levels/);
});

test('any text is read or refused with a column inside it or just behind it, and at once', () => {
  const words = [
    'a',
    '1',
    '0x',
    '.5',
    '"',
    '"x*"',
    '\\',
    '*',
    '(',
    ')',
    '[',
    ']',
    '&&',
    '==',
    '<',
    '/*',
    '*/',
    '//',
    '\n',
    '$ctx.',
    ':',
    '-',
    '>',
    '!',
    "'",
  ];
  const hostile = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.array(fc.constantFrom(...words), { maxLength: 40 }).map((parts) => parts.join('')),
    fc.array(fc.constantFrom(...words), { maxLength: 40 }).map((parts) => parts.join(' ')),
  );
  const began = process.cpuUsage();
  fc.assert(
    fc.property(hostile, (text) => {
      const checked = checkFilter(text);
      if (checked.ok) return;
      assert.ok(checked.fault.column >= 1 && checked.fault.column <= [...text].length + 1);
      assert.ok(checked.fault.message.length > 0);
    }),
    { numRuns: 3000 },
  );
  for (const word of words) checkFilter(word.repeat(4000));
  assert.ok(process.cpuUsage(began).user / 1_000 < 10_000);
});
