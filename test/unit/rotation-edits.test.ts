/** What rotations and schedules do to a session document. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClockDescription, completeDocument, type SessionDocument, withoutRotation } from '../../machines/document.ts';
import {
  archiveOf,
  beginRotation,
  chunkStamp,
  disableRotation,
  enableRotation,
  finishRotation,
  markCleared,
  openChunk,
  retractRotation,
  TIMER_MAX_US,
} from '../../machines/rotation-edits.ts';

const BEGAN = '2026-11-21T10:38:05-05:00';
const clock: ClockDescription = { uuid: '0'.repeat(32), offsetNs: '0' };
const moment = { localTime: '2026-11-21T11:00:00-05:00', bytes: '77', clock };
const wanted = { requestId: 'r', at: '1', moment };

const STARTED: SessionDocument = {
  version: 1,
  id: '0'.repeat(32),
  name: 's',
  owner: { uid: 1, gid: 1 },
  createdAt: BEGAN,
  bootId: '0'.repeat(32),
  hostname: 'h',
  snapshot: null,
  output: { kind: 'local', path: '/out' },
  shmPath: null,
  network: null,
  clock,
  channels: [],
  registries: [],
  active: true,
  everStarted: true,
  operation: null,
  answers: [],
  ...withoutRotation(BEGAN),
};

const begun = (document: SessionDocument): SessionDocument => {
  const edited = beginRotation(document, wanted);
  assert.ok(edited.ok, JSON.stringify(edited));
  return edited.document;
};

const codeOf = (edited: { ok: true } | { ok: false; refusal: { code: string } }): string =>
  edited.ok ? 'accepted' : edited.refusal.code;

test('directories of chunks say when they began and ended, with the offset from UTC', () => {
  assert.equal(chunkStamp(BEGAN), '20261121T103805-0500');
  assert.equal(archiveOf(STARTED.chunk!, moment.localTime), 'archives/20261121T103805-0500-20261121T110000-0500-0');
});

test('a rotation names the next chunk at once; when it is done the archive is noted', () => {
  const during = begun(STARTED);
  assert.deepEqual([during.chunk?.id, during.chunk?.directory, during.nextChunk], [1, '20261121T110000-0500-1', 2]);
  assert.equal(during.chunk?.bytesBefore, '77');
  assert.equal(codeOf(beginRotation(during, wanted)), 'rotation-pending');
  const done = finishRotation(during);
  assert.deepEqual([done.rotation, done.archives, done.lastArchive], [null, 1, during.rotation!.archive]);
  assert.deepEqual(finishRotation(done), done);
  assert.deepEqual(retractRotation(during), STARTED);
});

test('a stopped session has no chunk once it was rotated, until it is started', () => {
  const stopped = finishRotation(begun({ ...STARTED, active: false }));
  assert.equal(stopped.chunk, null);
  assert.equal(codeOf(beginRotation(stopped, wanted)), 'rotation-after-stop');
  assert.equal(openChunk(stopped, moment).chunk?.id, 1);
});

test('what cannot be rotated is refused with its reason', () => {
  const refused = (document: Partial<SessionDocument>, requestId: string | null = 'r') =>
    codeOf(beginRotation({ ...STARTED, ...document }, { ...wanted, requestId }));
  assert.equal(refused({ everStarted: false }), 'session-never-started');
  assert.equal(refused({ active: false }, null), 'session-not-started');
  assert.equal(refused({ operation: { kind: 'stopping', requestId: 'x', deadlineMs: 1 } }), 'session-busy');
  assert.equal(refused({ output: { kind: 'none', path: '' } as unknown as SessionDocument['output'] }), 'rotation-unavailable');
  const cleared = markCleared({ ...STARTED, active: false });
  assert.equal(codeOf(beginRotation(cleared, wanted)), 'rotation-after-clear');
  assert.equal(codeOf(beginRotation(openChunk(cleared, moment), wanted)), 'accepted');
  assert.equal(markCleared(STARTED), STARTED, 'an active session goes on filling its chunk');
});

test('schedules: above zero, each once, removed only when they are there', () => {
  const enabled = enableRotation(STARTED, { timerUs: 5, sizeBytes: 6 });
  assert.ok(enabled.ok);
  assert.deepEqual(enabled.document.schedules, { timerUs: 5, sizeBytes: 6 });
  assert.equal(codeOf(enableRotation(enabled.document, { sizeBytes: 9 })), 'schedule-exists');
  assert.equal(codeOf(enableRotation(STARTED, { sizeBytes: 0 })), 'schedule-invalid');
  assert.equal(codeOf(enableRotation(STARTED, { timerUs: TIMER_MAX_US + 1 })), 'schedule-invalid');
  assert.equal(codeOf(enableRotation(STARTED, {})), 'schedule-needed');
  assert.equal(codeOf(disableRotation(STARTED, ['timerUs'])), 'schedule-not-found');
  assert.equal(codeOf(disableRotation(STARTED, [])), 'schedule-needed');
  const disabled = disableRotation(enabled.document, ['timerUs']);
  assert.ok(disabled.ok);
  assert.deepEqual(disabled.document.schedules, { timerUs: null, sizeBytes: 6 });
});

test('a document of before there were rotations is one whose trace is the first chunk', () => {
  const { chunk: _, nextChunk: __, rotation: ___, archives: ____, lastArchive: _____, schedules: ______, ...old } = STARTED;
  assert.deepEqual(completeDocument(old as SessionDocument), STARTED);
});

const lined = (reference: string, offsetNs: number): ClockDescription => ({
  ...clock,
  fleet: { reference, offsetNs: String(offsetNs), uncertaintyNs: '100' },
});

test('a chunk that begins takes the fleet’s clock when that says anything else; the one that ends keeps its own', () => {
  const began = (before: ClockDescription, now: ClockDescription) => {
    const edited = beginRotation({ ...STARTED, clock: before }, { ...wanted, moment: { ...moment, clock: now } });
    assert.ok(edited.ok);
    return edited.document;
  };
  const measured = lined('a', 3_000);
  const during = began(clock, measured);
  assert.deepEqual([during.clock, during.rotation?.clock], [measured, clock]);
  assert.deepEqual(retractRotation(during).clock, clock);
  assert.equal(began(measured, clock).clock, measured, 'what is not measured now was');
  assert.equal(began(measured, lined('a', 3_200)).clock, measured, 'both may be true: its events stay in order');
  assert.deepEqual(began(measured, lined('a', 3_201)).clock, lined('a', 3_201));
  assert.deepEqual(began(measured, lined('b', 3_000)).clock, lined('b', 3_000));
  const set = { ...lined('a', 2_000), offsetNs: '1000' };
  assert.equal(began(measured, set).clock, measured, 'this host’s own clock was set: the sum is the same');
});

test('a first start takes the fleet’s clock, a later one in the same chunk does not', () => {
  const now = { ...moment, clock: lined('a', 3_000) };
  const fresh = { ...STARTED, active: false, everStarted: false };
  assert.deepEqual(openChunk(fresh, now).clock, now.clock);
  assert.equal(openChunk({ ...STARTED, active: false }, now).clock, clock);
  assert.equal(openChunk(fresh, moment), fresh, 'nothing is measured: nothing changes');
});

test('what a viewer of a live session was told of its clock stays', () => {
  const now = { ...moment, clock: lined('a', 3_000) };
  const registry = { key: 'k' } as unknown as SessionDocument['registries'][number];
  const network = { liveTimerUs: 1_000_000 } as unknown as SessionDocument['network'];
  const live = { ...STARTED, network };
  const told = { ...live, registries: [{ ...registry, ringSets: [] }] };
  assert.equal(openChunk({ ...told, everStarted: false }, now).clock, clock);
  assert.equal(openChunk({ ...told, chunk: null }, now).clock, clock);
  assert.deepEqual(openChunk({ ...live, everStarted: false }, now).clock, now.clock, 'there was nothing to tell yet');
});
