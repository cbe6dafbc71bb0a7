/** kill -9 of two processes at once, and of all that hold the memory of rings. */
import { test } from 'node:test';
import type { Role } from '../support/weft.ts';
import { assertAllCounted, assertNothingLost } from './killing.ts';

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

const PERIOD_NS = 200_000;

test('kill -9 of keeper, session daemon and consumer leaves nothing uncounted: the memory is in the vault', () =>
  assertAllCounted(['keeper', 'sessiond', 'consumer'], PERIOD_NS));

const notRoot = "only root's daemon may take memory out of what programs have mapped (docs/adr/0014-memory-from-survivors.md)";
test(
  'kill -9 of all of Weft that holds rings leaves nothing uncounted: the memory is with the program',
  {
    skip: process.getuid!() === 0 ? false : notRoot,
  },
  () => assertAllCounted(['keeper', 'vault', 'sessiond', 'consumer'], PERIOD_NS),
);
