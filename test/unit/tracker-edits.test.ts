/** Which processes a session records, as track and untrack change it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trackedValues } from '../../actors/tracked-values.ts';
import type { SessionDocument, TrackedValue, Trackers } from '../../machines/document.ts';
import { editSession, type SessionEdit } from '../../machines/session-edits.ts';
import { trackersOf } from '../../machines/tracker-edits.ts';
import { isTracked } from '../../rules/track.ts';

const NEW = { channels: [], registries: [] } as unknown as SessionDocument;
const values = (...ids: number[]): TrackedValue[] => ids.map((id) => ({ id, name: null }));
const track = (attribute: keyof Trackers, of: TrackedValue[] | null): SessionEdit => ({
  kind: 'tracker.track',
  attribute,
  values: of,
});
const untrack = (attribute: keyof Trackers, of: TrackedValue[] | null): SessionEdit => ({
  kind: 'tracker.untrack',
  attribute,
  values: of,
});

const after = (...edits: readonly SessionEdit[]) => {
  let document = NEW;
  let answer: unknown = null;
  for (const edit of edits) {
    const edited = editSession(document, edit);
    assert.ok(edited.ok);
    ({ document, answer } = edited);
  }
  return { document, answer, trackers: trackersOf(document) };
};
const ids = (of: Trackers[keyof Trackers]) => (of === 'all' ? of : of.map(({ id }) => id));

test('a session begins with every process; the first values are all that is included then', () => {
  assert.deepEqual(after().trackers, { vpid: 'all', vuid: 'all', vgid: 'all' });
  const { trackers, answer } = after(track('vpid', values(12, 13)), track('vpid', values(13, 14, 14)));
  assert.deepEqual(ids(trackers.vpid), [12, 13, 14]);
  assert.equal(trackers.vuid, 'all');
  assert.deepEqual(answer, { attribute: 'vpid', policy: 'include-set', changed: ['14'], unchanged: ['13', '14'] });
});

test('values are taken out again; the last one leaves none; all of none is none', () => {
  const one = after(track('vuid', values(5, 6)), untrack('vuid', values(6, 7)));
  assert.deepEqual(
    [ids(one.trackers.vuid), one.answer],
    [[5], { attribute: 'vuid', policy: 'include-set', changed: ['6'], unchanged: ['7'] }],
  );
  assert.equal(
    (after(track('vuid', values(5)), untrack('vuid', values(5))).answer as { policy: string }).policy,
    'exclude-all',
  );
  assert.deepEqual(after(untrack('vgid', null)).trackers.vgid, []);
  assert.equal(after(untrack('vgid', null), track('vgid', null)).trackers.vgid, 'all');
});

test('nothing can be taken out of all', () => {
  const { trackers, answer } = after(untrack('vpid', values(5)));
  assert.deepEqual(
    [trackers.vpid, answer],
    ['all', { attribute: 'vpid', policy: 'include-all', changed: [], unchanged: ['5'] }],
  );
});

test('every tracker has to include a process', () => {
  const { document } = after(track('vpid', values(12)), track('vuid', values(1000)));
  assert.equal(isTracked(document, { vpid: 12, uid: 1000, gid: 9 }), true);
  assert.equal(isTracked(document, { vpid: 13, uid: 1000, gid: 9 }), false);
  assert.equal(isTracked(document, { vpid: 12, uid: 1001, gid: 9 }), false);
  assert.equal(isTracked(NEW, { vpid: 1, uid: 2, gid: 3 }), true);
  assert.equal(isTracked(after(untrack('vgid', null)).document, { vpid: 1, uid: 2, gid: 3 }), false);
});

test('names of users and groups become numbers; who is unknown is said', () => {
  const host = { idOf: (database: string, name: string) => (name === 'adm' ? (database === 'group' ? 4 : 3) : null) } as never;
  assert.deepEqual(trackedValues(host, 'vgid', ['adm', '12']), [
    { id: 4, name: 'adm' },
    { id: 12, name: null },
  ]);
  for (const [attribute, word] of [
    ['vuid', 'nobody-here'],
    ['vpid', 'adm'],
    ['vuid', '99999999999'],
    ['vuid', '4294967296'],
  ] as const) {
    assert.throws(() => trackedValues(host, attribute, [word]), /tracker-value-unknown/, word);
  }
});
