/** kill -9 of two processes at once. */
import { test } from 'node:test';
import { assertNothingLost, type Role } from './killing.ts';

const pairs: readonly (readonly [Role, Role])[] = [
  ['sessiond', 'consumer'],
  ['sessiond', 'bus'],
  ['keeper', 'sessiond'],
  ['keeper', 'consumer'],
  ['consumer', 'bus'],
];
for (const pair of pairs) {
  test(`kill -9 of ${pair.join(' and ')} while a program records loses nothing, repeats nothing`, () =>
    assertNothingLost(pair));
}
