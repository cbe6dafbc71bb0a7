/** What a trace that begins states of its clock when the fleet's is not measured any more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClockDescription } from '../../machines/document.ts';
import { freshClock, nextClock } from '../../machines/session-clock.ts';

const DAY_NS = 86_400_000_000_000n;
const fleet = { reference: 'web-1', offsetNs: '1000', uncertaintyNs: '50000' };
const BEFORE: ClockDescription = { uuid: 'b', offsetNs: '1000000000000000000', fleet, atNs: '5000' };
const later = (ageNs: bigint, changes: Partial<ClockDescription> = {}): ClockDescription => {
  const { fleet: _, ...own } = BEFORE;
  return { ...own, atNs: String(5_000n + ageNs), ...changes };
};
const BOTH = [freshClock, nextClock] as const;

test('a measurement of three days ago is as much less sure', () => {
  for (const clock of BOTH) {
    const stated = clock(BEFORE, later(3n * DAY_NS));
    assert.equal(stated.offsetNs, BEFORE.offsetNs);
    assert.deepEqual(stated.fleet, { ...fleet, uncertaintyNs: String(50_000n + (3n * DAY_NS) / 5_000n) });
    const inSteps = [1n, 2n, 3n].reduce((before, days) => clock(before, later(days * DAY_NS)), BEFORE);
    assert.deepEqual(inSteps, stated, 'however often it was stated meanwhile');
  }
});

test('one whose host was started anew, set or asleep since says nothing: the trace has its own clock', () => {
  const set = String(BigInt(BEFORE.offsetNs) - 3_600_000_000_000n);
  for (const now of [later(DAY_NS, { offsetNs: set }), later(DAY_NS, { uuid: 'c' }), later(-1n)])
    for (const clock of BOTH) assert.deepEqual(clock(BEFORE, now), now);
  const slewed = later(DAY_NS, { offsetNs: String(BigInt(BEFORE.offsetNs) + DAY_NS / 10_000n) });
  for (const clock of BOTH) assert.equal(clock(BEFORE, slewed).fleet?.reference, 'web-1', 'as a time service does');
});

test('one of unknown age is not stated by a trace that stands alone', () => {
  const { atNs: _, ...old } = BEFORE;
  assert.deepEqual(freshClock(old, later(DAY_NS)), later(DAY_NS));
});
