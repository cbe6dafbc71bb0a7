/** The project keeps its own style: see test/tidy/rules.ts for the rules and what to do instead. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectFiles, ROOT } from '../tidy/files.ts';
import { functionLengths } from '../tidy/function-lengths.ts';
import { importsOf, RULES } from '../tidy/rules.ts';

const files = projectFiles();
const FUNCTION_LINES_MAX = 60;
const LENGTHS = 'test/unit/function-lengths.json';

for (const rule of RULES) {
  test(`tidy: ${rule.name}`, () => {
    const complaints = files.filter((file) => rule.applies(file.path)).flatMap(rule.check);
    assert.deepEqual(complaints, [], `instead: ${rule.instead}`);
  });

  test(`tidy: the rule "${rule.name}" still finds its red sample`, () => {
    assert.ok(rule.applies(rule.red.path), 'the rule does not apply to its own sample');
    assert.notEqual(rule.check(rule.red).length, 0);
  });
}

test('tidy: imports are found in every form they have', () => {
  const text = `import a from './a.ts';\nimport {\n b,\n} from "./b.ts";\nimport './c.ts';\nexport * from './d.ts';
export type { E } from './e.ts';\nconst f = await import('./f.ts');\n// import g from './g.ts';\n`;
  assert.deepEqual(importsOf(text).sort(), ['./a.ts', './b.ts', './c.ts', './d.ts', './e.ts', './f.ts']);
});

const lengthsIn = (path: string, text: string) =>
  Object.fromEntries(functionLengths({ path, text }).map(({ key, lines }) => [key.replace(`${path}#`, ''), lines]));

test('tidy: function lengths are measured in TypeScript', () => {
  const text = 'const a = () => {\n  return 1;\n};\nclass B {\n  c() {\n  }\n}\ntest("it works", () => {\n});\n';
  assert.deepEqual(lengthsIn('x.ts', text), { a: 3, c: 2, 'test("it works")': 2 });
});

test('tidy: function lengths are measured in C and C++', () => {
  const text = `#define M(x) do { \\
  x; \\
} while (0)
static const char *text = "{"; /* { */
struct s { int a; };
static int *add(int a,
                int b)
{
    if (a) {
        return '{';
    }
    return 0;
}
int list[] = { 1, 2 };
namespace n {
class C : public D {
    C(int x) : x_(x) {
    }
    void m() const override {
        for (;;) { }
    }
};
}
int add(void) { return 1; }
`;
  assert.deepEqual(lengthsIn('x.cc', text), { add: 8, C: 2, m: 3, 'add~2': 1 });
});

/**
 * A ratchet: the few functions over the limit are listed with their lengths, and these may only fall. A function that came under
 * the limit or shrank must be taken off or lowered in the list, so that it cannot grow back.
 */
test(`tidy: no function is over ${FUNCTION_LINES_MAX} lines, except the listed ones, which only shrink`, () => {
  const listed = JSON.parse(readFileSync(join(ROOT, LENGTHS), 'utf8')) as Record<string, number>;
  const long = files
    .filter((file) => /\.(ts|c|h|cc)$/.test(file.path))
    .flatMap(functionLengths)
    .filter(({ lines }) => lines > FUNCTION_LINES_MAX);
  assert.deepEqual(
    Object.fromEntries(long.map(({ key, lines }) => [key, lines])),
    listed,
    `split it; or lower it in ${LENGTHS}`,
  );
});

test('tidy: every decision in docs/adr is in its index, under its title, numbered without a gap', () => {
  const folder = join(ROOT, 'docs/adr');
  const names = readdirSync(folder).filter((name) => name !== 'README.md');
  const index = readFileSync(join(folder, 'README.md'), 'utf8');
  const expected = names.sort().map((name, i) => {
    const number = String(i + 1).padStart(4, '0');
    const title = /^# (\d{4}) (.+)$/m.exec(readFileSync(join(folder, name), 'utf8'));
    assert.ok(name.startsWith(`${number}-`), `${name}: number ${number} is next`);
    assert.equal(title?.[1], number, `${name}: begins with "# ${number} TITLE"`);
    return `- [${number}](${name}) ${title?.[2]}`;
  });
  assert.deepEqual(
    index.split('\n').filter((line) => line.startsWith('- [')),
    expected,
  );
});

interface Lock {
  readonly packages: Record<string, { readonly version?: string; readonly optionalDependencies?: Record<string, string> }>;
}

/** `npm ci` refuses a lock file that npm wrote where the packages of other platforms were not to be had: they must be in it. */
test('tidy: the lock file names every optional package with its version, so that npm ci installs from it', () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lock;
  const wanted = Object.values(packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
  assert.ok(wanted.length > 0);
  assert.deepEqual(
    wanted.filter((name) => !packages[`node_modules/${name}`]?.version),
    [],
  );
});
