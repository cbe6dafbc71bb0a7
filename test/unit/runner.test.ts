/** The test runner itself: what it counts, what it says, that it never hangs. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runTiers } from '../runner/runner.ts';
import { commandStep, nativeStep, nodeTestStep, readTestLines, type Step } from '../runner/steps.ts';
import { tiersOf } from '../runner/tiers.ts';

const scratch = mkdtempSync(join(tmpdir(), 'weft-runner-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

const write = (name: string, text: string): string => {
  const path = join(scratch, name);
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
};

const run = async (steps: readonly Step[], budgetS = 120) => {
  const lines: string[] = [];
  const tier = { name: 'tier', budgetS, parallel: 1, steps: () => [...steps] };
  const options = { root: scratch, env: process.env, unboundedFileMs: null, print: (line: string) => void lines.push(line) };
  return { totals: await runTiers([tier], options), lines };
};

const nodeTest = (name: string, body: string): Step =>
  nodeTestStep(write(name, `import { test, describe } from 'node:test';\n${body}`), scratch);

test('a node test file: passed, failed and skipped are counted once each, the skip with its reason', async () => {
  const step = nodeTest(
    'mixed.test.mjs',
    `test('good', () => {});
     test('bad', () => { throw new Error('because of this'); });
     test('left out', { skip: 'no second uid' }, () => {});
     describe('group', () => { test('inner bad', () => { throw new Error('x'); }); });`,
  );
  const { totals, lines } = await run([step]);
  assert.deepEqual(totals, { passed: 1, failed: 2, skipped: 1 });
  const text = lines.join('\n');
  assert.match(text, /FAILED: bad \[mixed.test.mjs\]\n {4}Error: because of this/);
  assert.match(text, /skipped: left out \(no second uid\)/);
  assert.equal(lines.at(-1), '1 passed, 2 failed, 1 skipped');
});

test('a skip without a reason is a failure', async () => {
  const { totals } = await run([nodeTest('silent.test.mjs', `test('left out', { skip: true }, () => {});`)]);
  assert.deepEqual(totals, { passed: 0, failed: 1, skipped: 0 });
});

test('a file that dies, hangs, holds no test or does not parse is a failure', async () => {
  const dies = nodeTest('dies.test.mjs', `test('good', () => {}); test('end', () => process.kill(process.pid, 'SIGKILL'));`);
  const empty = nodeTest('empty.test.mjs', '');
  const broken = nodeTest('broken.test.mjs', 'test(');
  const { totals, lines } = await run([dies, empty, broken]);
  assert.equal(totals.failed, 3);
  assert.match(lines.join('\n'), /ended by SIGKILL[\s\S]*ran no test[\s\S]*SyntaxError/);
  const hangs = nodeTest('hangs.test.mjs', `test('never', () => new Promise(() => setInterval(() => {}, 1000)));`);
  const hung = await run([hangs], 4);
  assert.match(hung.lines.join('\n'), /did not end within \d s/);
});

test('a grandchild that keeps the output open does not make the runner wait', async () => {
  const program = write('leaves', '#!/bin/sh\necho "ok - leaves a child"\nsetsid sleep 300 &\necho $! > "$0.pid"\n');
  const { totals } = await run([nativeStep(program)], 120);
  // It still lives: nobody waited for it. Throws where it does not.
  process.kill(Number(readFileSync(`${program}.pid`, 'utf8')));
  assert.deepEqual(totals, { passed: 1, failed: 0, skipped: 0 });
});

test('what a tier has no time for is reported as not run', async () => {
  const slow = commandStep('slow', 'sleep', ['5']);
  const { totals, lines } = await run([slow, commandStep('next', 'true', [])], 1);
  assert.deepEqual(totals, { passed: 0, failed: 2, skipped: 0 });
  assert.match(lines.join('\n'), /next[\s\S]*not run: the tier has used up its 1 s/);
});

test('what a tier leaves of its time the next one has', async () => {
  const lines: string[] = [];
  const tierOf = (name: string, budgetS: number, step: Step) => ({ name, budgetS, parallel: 1, steps: () => [step] });
  const tiers = [tierOf('fast', 120, commandStep('fast', 'true', [])), tierOf('slow', 1, commandStep('slow', 'sleep', ['2']))];
  const options = { root: scratch, env: process.env, unboundedFileMs: null, print: (line: string) => void lines.push(line) };
  assert.deepEqual(await runTiers(tiers, options), { passed: 2, failed: 0, skipped: 0 }, lines.join('\n'));
});

test('native test lines are read with their notes, and a status that does not fit them is a failure', async () => {
  assert.deepEqual(readTestLines('# a.c:1: wanted 1\nnot ok - adds\nok - subtracts\nok 3 - divides # SKIP no zero\nokay\n'), [
    { name: 'adds', status: 'failed', text: '# a.c:1: wanted 1' },
    { name: 'subtracts', status: 'passed', text: '' },
    { name: 'divides', status: 'skipped', text: 'no zero' },
  ]);
  const crashes = nativeStep(write('crashes', '#!/bin/sh\necho "ok - one"\nkill -SEGV $$\n'));
  const silent = nativeStep(write('silent', '#!/bin/sh\n'));
  const missing = nativeStep(join(scratch, 'missing'));
  const { totals } = await run([crashes, silent, missing]);
  assert.deepEqual(totals, { passed: 1, failed: 3, skipped: 0 });
});

test('the tiers fit the 25 minutes of CI beside the set-up, which takes one on a machine that has the packages', () => {
  const total = tiersOf(scratch).reduce((sum, tier) => sum + tier.budgetS, 0);
  assert.ok(total <= 24 * 60, `${total} s`);
});
