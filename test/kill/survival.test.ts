/** kill -9 of every process by itself. */
import { test } from 'node:test';
import { assertAllCounted, assertNothingLost } from './killing.ts';

for (const role of ['sessiond', 'consumer', 'bus', 'keeper'] as const) {
  test(`kill -9 of ${role} while a program records loses nothing, repeats nothing`, () => assertNothingLost([role]));
}

for (const role of ['sessiond', 'consumer'] as const) {
  test(`kill -9 of ${role} at full rate: what was lost is counted exactly`, () => assertAllCounted([role], 0));
}
