/** What the bench says of its figures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Recording } from '../../bench/measure.ts';
import { accountingErrors, median, type Results, rowsOf } from '../../bench/rows.ts';

const recording = (change: Partial<Recording> = {}): Recording => ({
  nsPerEvent: 20,
  recorded: 1000,
  emitted: 1000,
  lost: 0,
  perSecond: 30e6,
  bytesPerEvent: 16.1,
  ...change,
});

const results = (change: Partial<Results> = {}): Results => ({
  one: [recording()],
  contexts: [recording({ nsPerEvent: 30 })],
  two: [recording()],
  rejected: [10],
  disabled: [0.1],
  commands: [{ listSeconds: 0.1, destroySeconds: 0.2, idleBytes: 100e6 }],
  ...change,
});

const LTTNG = results({
  one: [recording({ nsPerEvent: 80, bytesPerEvent: 18 })],
  contexts: [recording({ nsPerEvent: 100 })],
  two: [recording({ perSecond: 20e6 })],
  rejected: [30],
});

test('bench: the median is the middle value, or the mean of the two in the middle', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(median([10, 9, 100]), 10);
});

test('bench: a target at its limit holds, and is missed just beyond it', () => {
  const at = rowsOf(results(), LTTNG).find(({ what }) => what.startsWith('event of two integers'));
  assert.deepEqual([at?.weft, at?.lttng, at?.holds], [20, 80, true]);
  const beyond = rowsOf(results({ one: [recording({ nsPerEvent: 20.1 })] }), LTTNG);
  assert.deepEqual(
    beyond.filter(({ holds }) => holds === false).map(({ what }) => what),
    ['event of two integers, recorded to disk, one thread'],
  );
});

test('bench: without LTTng a target that compares with it is not checked, the others are', () => {
  const rows = rowsOf(results({ disabled: [1.5] }), null);
  for (const { target, holds } of rows.filter((row) => row.target.includes('LTTng'))) assert.equal(holds, null, target);
  assert.equal(rows.find(({ what }) => what === 'disabled instrumentation point')?.holds, false);
  assert.equal(rows.find(({ unit }) => unit === 'MB')?.holds, true);
});

test('bench: an event that is neither in the trace nor counted as lost is an error, one that is counted is not', () => {
  assert.deepEqual(accountingErrors(results({ two: [recording({ recorded: 900, lost: 100 })] })), []);
  assert.deepEqual(accountingErrors(results({ two: [recording({ recorded: 900, lost: 99 })] })), [
    '900 recorded + 99 lost, but 1000 emitted',
  ]);
  assert.deepEqual(accountingErrors(results({ two: [recording({ recorded: 900, lost: null })] })), []);
});
