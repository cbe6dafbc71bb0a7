/** What others say is shown on a terminal, and not obeyed by it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLabel, saidLabels } from '../../actors/labels.ts';
import { paint } from '../../cli/style.ts';
import { table } from '../../cli/table.ts';
import { visibleLines } from '../../cli/visible.ts';

const TITLE = '\u001b]0;owned\u0007';

test('control characters of a cell are shown, and forge neither a row nor a direction', () => {
  const lines = table([
    ['HOST', 'LABELS'],
    ['a', `note=${TITLE}`],
    ['b\nc', 'x\u009b2J\u202egpj\u007f'],
  ]);
  assert.deepEqual(lines, [
    'HOST      LABELS',
    'a         note=\\u001b]0;owned\\u0007',
    'b\\u000ac  x\\u009b2J\\u202egpj\\u007f',
  ]);
});

test('lines keep their ends and the colours of our own, and nothing else that a terminal obeys', () => {
  const own = paint({ colour: true }, 'green', 'enabled');
  assert.equal(visibleLines(`\t${own}: é ±\n${TITLE}\r\u001b[8m`), `\t${own}: é ±\n\\u001b]0;owned\\u0007\\u000d\\u001b[8m`);
});

test('a label with control characters is refused where it is set, and where a host says it', () => {
  assert.throws(() => parseLabel(`note=${TITLE}`), /no control characters/);
  assert.throws(
    () => parseLabel(`note=${TITLE}`),
    (thrown) => thrown instanceof Error && !thrown.message.includes('\u001b'),
  );
  assert.equal(saidLabels.safeParse({ note: TITLE }).success, false);
  assert.equal(saidLabels.safeParse({ [TITLE]: 'x' }).success, false);
  assert.equal(saidLabels.safeParse({ note: 'größer/1.2' }).success, true);
});
