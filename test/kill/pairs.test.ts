/** kill -9 of two processes at once, and of all three that hold the memory of rings. */
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

test(
  'kill -9 of keeper, session daemon and consumer loses nothing: the memory is with the program',
  {
    skip:
      process.getuid!() === 0 ? false : "only root's daemon may take memory out of what programs have mapped (docs/adr/0014)",
  },
  () => assertNothingLost(['keeper', 'sessiond', 'consumer']),
);
