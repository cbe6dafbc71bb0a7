/** Map channels in a session document, templates of keys, and the tables of the command line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mapScript } from '../../cli/map-sql.ts';
import { type MapChoice, mapRows } from '../../cli/map-table.ts';
import type { SessionDocument } from '../../machines/document.ts';
import { addMap, clearedMaps, incremented, mapNamed, withGroup, withKeys, withoutGroup } from '../../machines/map-edits.ts';
import { parseKeyTemplate, resolveKey } from '../../rules/key-template.ts';
import type { MapView } from '../../transport/map-messages.ts';

const EMPTY = { name: 's' } as unknown as SessionDocument;
const WANTED = { name: 'm', bits: 32, maxKeys: 2, updatePolicy: 'per-event' } as const;

const added = (document: SessionDocument = EMPTY, wanted: Parameters<typeof addMap>[1] = WANTED): SessionDocument => {
  const edited = addMap(document, wanted);
  assert.ok(edited.ok);
  return edited.document;
};

test('a name is given once, generated when none is wanted; sizes have bounds', () => {
  assert.ok(mapNamed(added(added(), { ...WANTED, name: null }), 'map0'));
  const codes = [WANTED, { ...WANTED, name: 'a/b' }, { ...WANTED, name: 'n', maxKeys: 0 }].map((wanted) => {
    const edited = addMap(added(), wanted);
    return edited.ok ? null : edited.refusal.code;
  });
  assert.deepEqual(codes, ['map-exists', 'map-invalid', 'map-invalid']);
});

test('a key keeps its slot; beyond the limit new keys are dropped and known ones go on', () => {
  const document = withKeys(withKeys(added(), 'm', ['b', 'a', 'b']), 'm', ['c', 'a']);
  assert.deepEqual(mapNamed(document, 'm')?.keys, ['b', 'a']);
  assert.equal(withKeys(document, 'm', ['c']), document);
  assert.equal(incremented(document, 'm', 'c'), document);
});

test('shared counters wrap and say so; clearing keeps the keys', () => {
  const [once] = [incremented(added(), 'm', 'a')];
  const full = { ...mapNamed(once!, 'm')!, shared: { a: { value: String(2 ** 31 - 1), overflow: false } } };
  const wrapped = incremented({ ...once!, mapChannels: [full] }, 'm', 'a');
  assert.deepEqual(mapNamed(wrapped, 'm')?.shared, { a: { value: String(-(2 ** 31)), overflow: true } });
  const cleared = mapNamed(clearedMaps(wrapped), 'm');
  assert.deepEqual([cleared?.shared, cleared?.keys], [{}, ['a']]);
});

test('what a dead process counted is inherited once, wraps, and overflow stays known', () => {
  const group = { mapId: 'g', uid: 1, cpuCount: 1, process: { pid: 5, procname: 'p', startedAt: 's' } };
  const document = withGroup(incremented(added(), 'm', 'a'), 'm', group);
  const inherited = [
    { key: 'a', value: 2n ** 31n - 1n, overflow: false },
    { key: 'a', value: 3n, overflow: false },
    { key: 'b', value: -1n, overflow: true },
  ];
  const after = withoutGroup(document, 'm', 'g', inherited);
  assert.deepEqual(mapNamed(after, 'm')?.groups, []);
  assert.deepEqual(mapNamed(after, 'm')?.shared, {
    a: { value: String(-(2 ** 31) + 3), overflow: true },
    b: { value: '-1', overflow: true },
  });
  assert.equal(withoutGroup(after, 'm', 'g', inherited), after);
});

test('templates: placeholders, braces, and what is none', () => {
  assert.equal(resolveKey('{provider_name}:{event_name}', 'p:e:f'), 'p:e:f');
  assert.equal(resolveKey('a{{b}}c', null), 'a{b}c');
  assert.equal(resolveKey('{event_name}', null), null);
  for (const text of ['', '{', '}', '{other}', '{event_name', 'x{event_name}'.repeat(129)])
    assert.equal(parseKeyTemplate(text).ok, false, text);
  assert.ok(parseKeyTemplate('x{event_name}'.repeat(128)).ok);
});

const MAP: MapView = {
  ...{ name: 'm', bits: 64, maxKeys: 8, updatePolicy: 'per-event', keyCount: 3, keys: ["a'b", 'b', 'c'] },
  ...{ ownership: 'user', deadProcesses: null },
  groups: [
    {
      uid: 7,
      process: null,
      cpuCount: 2,
      entries: [
        [0, 0, '5', false],
        [1, 0, '6', true],
        [1, 1, '-9', false],
      ],
    },
    { uid: null, process: null, cpuCount: 0, entries: [[null, 1, '2', false]] },
    { uid: 7, process: { pid: 70, procname: 'p' }, cpuCount: 1, entries: [[0, 2, '4', false]] },
  ],
};
const ALL: MapChoice = {
  ...{ per: 'channel', uids: [], pids: [], shared: false, cpus: null, keys: [], globs: [] },
  ...{ counted: false, sortBy: 'key', descending: false, limit: null },
};
const values = (choice: Partial<MapChoice>) =>
  mapRows(MAP, { ...ALL, ...choice }).map(({ key, value, overflow }) => [key, Number(value), overflow]);

test('rows: sums, axes, order', () => {
  assert.deepEqual(values({}), [
    ["a'b", 11, true],
    ['b', -7, false],
    ['c', 4, false],
  ]);
  assert.deepEqual(values({ pids: [70], shared: true, counted: true }), [
    ['b', 2, false],
    ['c', 4, false],
  ]);
  assert.deepEqual(values({ shared: true, counted: true }), [['b', 2, false]]);
  assert.deepEqual(values({ cpus: [0], counted: true }), [
    ["a'b", 5, false],
    ['c', 4, false],
  ]);
  assert.deepEqual(values({ sortBy: 'value', descending: true, limit: 1 }), [["a'b", 11, true]]);
  assert.deepEqual(values({ uids: [7], globs: ['b*'] }), [['b', -9, false]]);
  assert.equal(mapRows(MAP, { ...ALL, per: 'cpu' }).length, 12);
});

test('the SQL script quotes keys and tells who owns a counter', () => {
  const script = mapScript([MAP], (uid) => `user${uid}`).join('\n');
  assert.match(script, /INSERT INTO keys VALUES \(1, 'a''b'\);/);
  assert.match(script, /INSERT INTO groups VALUES \(3, 1, 'user-per-process', 70, 'p', 'signed-int-64'\);/);
  assert.match(script, /INSERT INTO groups VALUES \(1, 1, 'user-per-user', 7, 'user7', 'signed-int-64'\);/);
  assert.match(script, /INSERT INTO entries VALUES \(2, NULL, 2, 2, 0\);/);
});
