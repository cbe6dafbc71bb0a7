/** Subjects: what each looks like, and that no name can reach beyond its own token. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ANY,
  beatSubject,
  commandPattern,
  commandSubject,
  consumerSubject,
  decodeToken,
  encodeToken,
  eventSubject,
  inspectSubject,
  liveSubject,
  parseCommandSubject,
  parseConsumerSubject,
  parseEventSubject,
  subjectMatches,
  subtree,
} from '../../transport/subjects.ts';

const place = { host: 'db-1', uid: 1000 };

test('tokens: plain text stays, any other byte of the UTF-8 becomes = and two hex digits', () => {
  const table: [string, string][] = [
    ['', '='],
    ['abc_XYZ-09', 'abc_XYZ-09'],
    ['a.b', 'a=2Eb'],
    ['*', '=2A'],
    ['>', '=3E'],
    ['=', '=3D'],
    ['a b', 'a=20b'],
    ['é', '=C3=A9'],
    ['\u0000', '=00'],
    ['provider:event', 'provider=3Aevent'],
  ];
  for (const [text, token] of table) {
    assert.equal(encodeToken(text), token);
    assert.equal(decodeToken(token), text);
  }
});

test('every text has exactly one token, which gives it back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
      const token = encodeToken(text);
      assert.match(token, /^(=|([A-Za-z0-9_-]|=[0-9A-F]{2})+)$/);
      assert.equal(decodeToken(token), text);
    }),
  );
});

test('other spellings of a name are no tokens', () => {
  for (const token of ['a.b', '*', '=2e', '=41', '=4', '==', 'a=', '=FF', '=C3', ' ', 'é', '']) {
    assert.equal(decodeToken(token), null, token);
  }
});

test('each kind of subject looks as the design says', () => {
  const table: [string, string][] = [
    [
      commandSubject({ ...place, realm: 'local', who: 1000, noun: 'session', verb: 'create' }),
      'weft.v1.db-1.1000.cmd.local.1000.session.create',
    ],
    [commandPattern(place, 'session', 'create'), 'weft.v1.db-1.1000.cmd.local.*.session.create'],
    [consumerSubject({ ...place, owner: '0', verb: 'flush' }), 'weft.v1.db-1.1000.consumer.0.flush'],
    [consumerSubject({ ...place, owner: '0', verb: ANY }), 'weft.v1.db-1.1000.consumer.0.*'],
    [
      eventSubject({ ...place, owner: 1000, noun: 'session', name: 'my.s', what: 'started' }),
      'weft.v1.db-1.1000.evt.1000.session.my=2Es.started',
    ],
    [liveSubject({ ...place, owner: 1000, session: 's', event: 'p:e' }), 'weft.v1.db-1.1000.live.1000.s.p=3Ae'],
    [inspectSubject({ ...place, process: 'sessiond' }), 'weft.v1.db-1.1000.inspect.sessiond'],
    [beatSubject(place), 'weft.v1.db-1.1000.beat'],
    [subtree(place, 'cmd', 'local', '*'), 'weft.v1.db-1.1000.cmd.local.=2A.>'],
    [subtree({ host: 'a.b', uid: 0 }, 'evt', ANY), 'weft.v1.a=2Eb.0.evt.*.>'],
  ];
  for (const [built, expected] of table) assert.equal(built, expected);
});

test('who commands what is read from the subject, and only from a subject of that form', () => {
  const subject = commandSubject({ host: 'a.b', uid: 0, realm: 'local', who: '1000', noun: 'session', verb: 'start' });
  assert.deepEqual(parseCommandSubject(subject), {
    host: 'a.b',
    uid: '0',
    realm: 'local',
    who: '1000',
    noun: 'session',
    verb: 'start',
  });
  const wrong = [
    'weft.v1.h.0.cmd.local.1000.session',
    'weft.v1.h.0.cmd.local.1000.session.start.more',
    'weft.v2.h.0.cmd.local.1000.session.start',
    'weft.v1.h.0.evt.local.1000.session.start',
    'weft.v1.h.0.cmd.local.=31000.session.start',
    'weft.v1.h.0.cmd.*.1000.session.start',
    '',
  ];
  for (const one of wrong) assert.equal(parseCommandSubject(one), null, one);
});

test('subjects of consumers and events are read back', () => {
  const consumer = { host: 'h', uid: '0', owner: '1000', verb: 'attach' };
  assert.deepEqual(parseConsumerSubject(consumerSubject(consumer)), consumer);
  const event = { host: 'h', uid: '0', owner: '1000', noun: 'session', name: 'ä b', what: 'stopped' };
  assert.deepEqual(parseEventSubject(eventSubject(event)), event);
});

test('wildcards match as in NATS', () => {
  const table: [string, string, boolean][] = [
    ['a.b', 'a.b', true],
    ['a.b', 'a.c', false],
    ['a.b', 'a.b.c', false],
    ['a.b.c', 'a.b', false],
    ['a.*', 'a.b', true],
    ['a.*', 'a', false],
    ['a.*', 'a.b.c', false],
    ['*.b', 'a.b', true],
    ['a.>', 'a.b.c', true],
    ['a.>', 'a', false],
    ['>', 'a', true],
    ['a.>.c', 'a.b.c', false],
    ['a.>', 'a.*', true],
    ['a.*', 'a.>', false],
    ['a.b', 'a.*', false],
  ];
  for (const [pattern, subject, expected] of table)
    assert.equal(subjectMatches(pattern, subject), expected, `${pattern} ${subject}`);
});
