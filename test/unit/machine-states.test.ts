import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { statesTable } from '../support/machine-table.ts';

const path = join(import.meta.dirname, '../../docs/states.md');

test('docs/states.md shows the machines as they are', () => {
  if (process.env.WEFT_WRITE) writeFileSync(path, statesTable());
  assert.equal(readFileSync(path, 'utf8'), statesTable(), 'run this test with WEFT_WRITE=1 and look at the difference');
});
