/** What is told of a link that went from one relay to another: only places that hold something of it, by whatever process. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LinkPlaces } from '../../actors/link-places.ts';

const LINK = 'ab'.repeat(16);
const [first, second] = [
  { relay: 'r1', directory: '/a' },
  { relay: 'r2', directory: '/b' },
];

/** What a spool keeps of it, and how often it was written. */
class Notes {
  text: string | null = null;
  written = 0;
  full = false;

  file(): string | null {
    return this.text;
  }

  writeFile(_name: string, text: string): void {
    if (this.full) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    this.text = text;
    this.written++;
  }
}

test('a place that took something is elsewhere once the link has left it, and no longer when it comes back', () => {
  const places = new LinkPlaces(new Notes(), LINK);
  assert.equal(places.opened(first), null);
  places.took();
  assert.equal(places.opened(first), null, 'the same one again');
  assert.deepEqual(places.opened(second), first);
  assert.deepEqual(places.elsewhere, [first]);
  assert.equal(places.opened(first), null, 'the second one took nothing');
  assert.deepEqual(places.elsewhere, []);
  assert.deepEqual(places.opened(second), first, 'it still has what it took the first time');
});

test('another directory at the same relay is another place; of many the last ones are told', () => {
  const places = new LinkPlaces(new Notes(), LINK);
  for (let n = 0; n < 40; n++) {
    places.opened({ relay: 'r', directory: `/${n}` });
    places.took();
  }
  assert.deepEqual(places.elsewhere.at(-1), { relay: 'r', directory: '/38' });
  assert.equal(places.elsewhere.length, 16);
});

test('the next process knows who has the link, and where the rest lies; of another link, or of a broken note, nothing', () => {
  const notes = new Notes();
  const places = new LinkPlaces(notes, LINK);
  assert.equal(places.relay, null);
  places.opened(first);
  for (let packet = 0; packet < 10; packet++) places.took();
  places.opened(second);
  places.took();
  assert.equal(notes.written, 4, 'once for an opening, and once for what is the first to arrive');
  const next = new LinkPlaces(notes, LINK);
  assert.deepEqual([next.relay, next.elsewhere], ['r2', [first]]);
  assert.deepEqual(next.opened(first), second);
  assert.equal(new LinkPlaces(notes, 'cd'.repeat(16)).relay, null);
  for (const text of ['', '{', '{"link":1}']) {
    notes.text = text;
    assert.deepEqual([new LinkPlaces(notes, LINK).relay, new LinkPlaces(notes, LINK).elsewhere], [null, []]);
  }
});

test('what a full disk did not take is written when it takes something again', () => {
  const notes = new Notes();
  const places = new LinkPlaces(notes, LINK);
  notes.full = true;
  places.opened(first);
  places.took();
  assert.equal(notes.text, null);
  notes.full = false;
  places.took();
  assert.equal(new LinkPlaces(notes, LINK).relay, 'r1');
});
