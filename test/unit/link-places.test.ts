/** What is told of a link that went from one relay to another: only places that hold something of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LinkPlaces } from '../../actors/link-places.ts';

const [first, second] = [
  { relay: 'r1', directory: '/a' },
  { relay: 'r2', directory: '/b' },
];

test('a place that took something is elsewhere once the link has left it, and no longer when it comes back', () => {
  const places = new LinkPlaces();
  assert.equal(places.opened(first, 0), null);
  assert.equal(places.opened(first, 50), null, 'the same one again');
  assert.deepEqual(places.opened(second, 100), first);
  assert.deepEqual(places.elsewhere, [first]);
  assert.equal(places.opened(first, 100), null, 'the second one took nothing');
  assert.deepEqual(places.elsewhere, []);
});

test('another directory at the same relay is another place; of many the last ones are told', () => {
  const places = new LinkPlaces();
  for (let n = 0; n < 40; n++) places.opened({ relay: 'r', directory: `/${n}` }, n);
  assert.deepEqual(places.elsewhere.at(-1), { relay: 'r', directory: '/38' });
  assert.equal(places.elsewhere.length, 16);
});
