/** Where snapshots go, and what `snapshot record` may ask for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeDocument, type RingSetDocument, type SessionDocument, withoutRotation } from '../../machines/document.ts';
import { editSession, type SessionEdit } from '../../machines/session-edits.ts';
import { newSnapshot } from '../../machines/snapshot-edits.ts';

const PLAIN: SessionDocument = {
  version: 1,
  id: '0'.repeat(32),
  name: 's',
  owner: { uid: 1, gid: 1 },
  createdAt: '2026-01-01T00:00:00+00:00',
  bootId: 'b',
  hostname: 'h',
  output: { kind: 'none' },
  shmPath: null,
  network: null,
  snapshot: null,
  clock: { uuid: 'b', offsetNs: '0' },
  channels: [],
  registries: [],
  active: false,
  everStarted: true,
  operation: null,
  answers: [],
  ...withoutRotation('2026-01-01T00:00:00+00:00'),
};
const SNAPSHOT: SessionDocument = { ...PLAIN, snapshot: newSnapshot('/out') };
const SET: RingSetDocument = {
  ringId: '0'.repeat(32),
  channel: 0,
  sync: 'rseq',
  cpuCount: 64,
  subbufSize: 4096,
  subbufCount: 4,
  mode: 'overwrite',
  allocation: 'per-cpu',
};
const REGISTRY = {
  key: 'uid-1',
  scope: { kind: 'user', uid: 1 },
  directory: 'ust/uid/1/64-bit',
  uuid: '0'.repeat(32),
  eventClasses: [],
  ringSets: [SET, SET],
} as const;

const done = (document: SessionDocument, edit: SessionEdit) => {
  const edited = editSession(document, edit);
  assert.ok(edited.ok, JSON.stringify(edited));
  return edited;
};
const refusedWith = (document: SessionDocument, edit: SessionEdit) => {
  const edited = editSession(document, edit);
  assert.ok(!edited.ok);
  return edited.refusal;
};
const add = (path: string, name: string | null = null): SessionEdit => ({ kind: 'snapshot.add', path, name, maxSize: 0 });
const take = (wanted: Partial<{ name: string; path: string; maxSize: number }> = {}): SessionEdit => ({
  kind: 'snapshot.take',
  wanted: { name: null, path: null, maxSize: null, ...wanted },
  stamp: '20260102-030405',
  cpus: 2,
  clock: { uuid: '0'.repeat(32), offsetNs: '0' },
});
const placeOf = (document: SessionDocument, edit: SessionEdit) => {
  const { answer } = done(document, edit);
  assert.ok('promise' in answer);
  const { base, directory, ...rest } = answer.promise;
  return { path: `${base}|${directory}`, ...rest };
};

test('ids of outputs grow and are never given twice; there is one output at a time', () => {
  assert.equal(refusedWith(SNAPSHOT, add('/b')).code, 'snapshot-output-exists');
  const emptied = done(SNAPSHOT, { kind: 'snapshot.delete', output: 'snapshot-1' }).document;
  assert.deepEqual(done(emptied, add('/b')).answer, { output: { id: 2, name: 'snapshot-2', path: '/b', maxSize: 0 } });
  assert.equal(refusedWith(emptied, { kind: 'snapshot.delete', output: '1' }).code, 'snapshot-output-not-found');
  const bare = { ...PLAIN, snapshot: newSnapshot(null) };
  assert.deepEqual(done(bare, add('/b', 'mine')).answer, { output: { id: 1, name: 'mine', path: '/b', maxSize: 0 } });
});

test('names that would leave the directory, or hide in it, are refused', () => {
  const bare = { ...PLAIN, snapshot: newSnapshot(null) };
  for (const name of ['', '../x', 'a/b', '.hidden', 'a\tb', 'x'.repeat(201)]) {
    assert.equal(refusedWith(bare, add('/b', name)).code, 'snapshot-name-invalid', name);
    assert.equal(refusedWith(SNAPSHOT, take({ name })).code, 'snapshot-name-invalid', name);
  }
});

test('each snapshot has a number of its own in the name of its directory', () => {
  const first = done(SNAPSHOT, take());
  assert.equal(placeOf(SNAPSHOT, take()).path, '/out|snapshot-1-20260102-030405-0');
  assert.equal(placeOf(first.document, take()).path, '/out|snapshot-1-20260102-030405-1');
  assert.equal(placeOf(SNAPSHOT, take({ name: 'crash' })).path, '/out|crash-20260102-030405-0');
  assert.equal(placeOf(SNAPSHOT, take({ path: '/tmp/' })).path, '/tmp/|snapshot-0-20260102-030405-0');
});

test('the largest size is shared by the streams, each of which gets at least a packet', () => {
  const recording = { ...SNAPSHOT, registries: [REGISTRY] };
  assert.equal(placeOf(SNAPSHOT, take({ maxSize: 10 })).maxStreamBytes, 0, 'there is nothing to write');
  assert.equal(placeOf(recording, take({ maxSize: 1 << 20 })).maxStreamBytes, (1 << 20) / 4);
  const { code, params } = refusedWith(recording, take({ maxSize: 4 * 4096 }));
  assert.equal(code, 'snapshot-size-too-small');
  assert.ok(placeOf(recording, take({ maxSize: Number(params.needed) })).maxStreamBytes > 4096);
});

test('what is no snapshot session, or was never started, has no snapshots', () => {
  for (const edit of [take(), add('/b'), { kind: 'snapshot.delete', output: '1' } as const]) {
    assert.equal(refusedWith(PLAIN, edit).code, 'not-a-snapshot-session');
  }
  assert.equal(refusedWith({ ...SNAPSHOT, everStarted: false }, take()).code, 'session-never-started');
  assert.equal(refusedWith({ ...PLAIN, snapshot: newSnapshot(null) }, take()).code, 'snapshot-no-output');
  const { snapshot: _, ...older } = PLAIN;
  assert.equal(completeDocument(older as SessionDocument).snapshot, null);
});

test('channels of a snapshot session overwrite unless told otherwise', () => {
  const fresh = { ...SNAPSHOT, everStarted: false };
  const mode = (attributes = {}) =>
    done(fresh, { kind: 'channel.enable', name: 'c', attributes }).document.channels[0]?.attributes.mode;
  assert.deepEqual([mode(), mode({ mode: 'discard' })], ['overwrite', 'discard']);
});
