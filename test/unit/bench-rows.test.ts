/** What the bench says of its figures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Commands } from '../../bench/control.ts';
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

const commands = (change: Partial<Commands> = {}): Commands => ({
  listSeconds: [0.1],
  rotateSeconds: 0.2,
  destroySeconds: 0.2,
  snapshotSeconds: 0.2,
  rotateReceived: 0.08,
  destroyReceived: 0.05,
  snapshotReceived: 0.04,
  idleBytes: 100e6,
  ...change,
});

const results = (change: Partial<Results> = {}): Results => ({
  one: [recording()],
  contexts: [recording({ nsPerEvent: 30 })],
  two: [recording()],
  blocking: [recording()],
  rejected: [10],
  disabled: [0.1],
  commands: [commands()],
  ...change,
});

const LTTNG = results({
  one: [recording({ nsPerEvent: 80, bytesPerEvent: 18 })],
  contexts: [recording({ nsPerEvent: 100 })],
  two: [recording({ perSecond: 20e6 })],
  blocking: [recording({ perSecond: 20e6 })],
  commands: [commands({ rotateReceived: null, destroyReceived: null, snapshotReceived: null })],
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

test('bench: what only whole commands show of the other tracer is a figure of Weft alone, and its target is checked', () => {
  const rows = rowsOf(results({ commands: [commands({ rotateReceived: 0.11 })] }), LTTNG);
  const received = rows.filter(({ what }) => what.endsWith('from the receipt'));
  assert.deepEqual(
    received.map(({ weft, lttng, holds }) => [weft, lttng, holds]),
    [
      [0.11, null, false],
      [0.05, null, true],
      [0.04, null, true],
    ],
  );
});

test('bench: an event that a waiting thread made and that is in no trace misses the target', () => {
  const rows = rowsOf(results({ blocking: [recording({ recorded: 999, lost: 1 })] }), LTTNG);
  assert.deepEqual(
    rows.filter(({ holds }) => holds === false).map(({ what }) => what),
    ['the same: events not in the trace'],
  );
});
