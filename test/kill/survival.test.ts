/** kill -9 of every process by itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertNothingLost, killWhileRecording } from './killing.ts';

for (const role of ['sessiond', 'consumer', 'bus', 'keeper'] as const) {
  test(`kill -9 of ${role} while a program records loses nothing, repeats nothing`, () => assertNothingLost([role]));
}

for (const role of ['sessiond', 'consumer'] as const) {
  test(`kill -9 of ${role} at full rate: what was lost is counted exactly`, async () => {
    const { emitted, checked, read, faults } = await killWhileRecording([role], 0);
    assert.deepEqual([...checked.errors, ...faults], []);
    assert.equal(checked.duplicates, 0);
    assert.equal(checked.disorder, 0);
    assert.equal(checked.recorded + checked.lost, emitted);
    assert.equal(read.status, 0, read.complaints);
  });
}
