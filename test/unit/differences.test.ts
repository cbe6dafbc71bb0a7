/** docs/differences.md is current, and no option of a command that exists is unknown: it works, or is refused with a sentence. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { differences, differencesText } from '../support/differences.ts';
import { ENVIRONMENT } from '../support/differences-chosen.ts';
import { REFERENCE_ENVIRONMENT } from '../support/reference-options.ts';

const path = join(import.meta.dirname, '../../docs/differences.md');

test('docs/differences.md shows the commands as they are', async () => {
  const text = await differencesText();
  if (process.env.WEFT_WRITE) writeFileSync(path, text);
  assert.equal(readFileSync(path, 'utf8'), text, 'run this test with WEFT_WRITE=1 and look at the difference');
});

test('every option of a command that exists works, or is refused with a sentence', async () => {
  const missing = (await differences()).flatMap(({ title, rows }) =>
    (rows ?? []).filter(({ standing }) => standing === 'missing').map(({ option }) => `${title}: ${option}`),
  );
  assert.deepEqual(missing, []);
});

test('a refusal says more than that it is one', async () => {
  const refused = (await differences()).flatMap(({ rows }) => (rows ?? []).filter(({ standing }) => standing === 'refused'));
  assert.ok(refused.length > 10);
  for (const { option, note } of refused) assert.ok(note.split(' ').length >= 5, `${option}: ${note}`);
});

test('every environment variable has a counterpart, or a word why not', () => {
  assert.deepEqual(
    REFERENCE_ENVIRONMENT.filter((name) => !ENVIRONMENT[name]),
    [],
  );
});
