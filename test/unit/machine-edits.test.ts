/** What channel, rule and context commands do to a session document, as LTTng's users know it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Edited, withAllAttributes } from '../../machines/channel-edits.ts';
import { type ChannelAttributes, type SessionDocument, withoutRotation } from '../../machines/document.ts';
import { editSession, type SessionEdit } from '../../machines/session-edits.ts';

const EMPTY: SessionDocument = {
  version: 1,
  id: '0'.repeat(32),
  name: 's',
  owner: { uid: 1, gid: 1 },
  createdAt: '2026-01-01T00:00:00+00:00',
  bootId: 'b',
  hostname: 'h',
  output: { kind: 'local', path: '/out' },
  snapshot: null,
  shmPath: null,
  network: null,
  clock: { uuid: 'b', offsetNs: '0' },
  channels: [],
  registries: [],
  active: false,
  everStarted: false,
  ...withoutRotation('2026-01-01T00:00:00+00:00'),
  operation: null,
  answers: [],
};
const STARTED = { ...EMPTY, everStarted: true };

const code = (edited: Edited<unknown>): string | null => (edited.ok ? null : edited.refusal.code);
const channel = (name: string, attributes = {}): SessionEdit => ({ kind: 'channel.enable', name, attributes });
const rule = (pattern: string, more: Partial<{ channel: string | null; exclusions: string[]; filter: string | null }> = {}) => {
  const { channel: where = null, exclusions = [], filter = null } = more;
  return { kind: 'event.enable', channel: where, rule: { pattern, logLevel: null, exclusions, filter } } as const;
};

/** Carries out all; the last one's answer. */
const after = (document: SessionDocument, ...edits: readonly SessionEdit[]) => {
  let last: Edited<unknown> = { ok: true, document, answer: {} };
  for (const edit of edits) {
    assert.ok(last.ok, `${JSON.stringify(last)}`);
    last = editSession(last.document, edit);
  }
  return last;
};
const done = (...edits: readonly SessionEdit[]): SessionDocument => {
  const edited = after(EMPTY, ...edits);
  assert.ok(edited.ok, JSON.stringify(edited));
  return edited.document;
};

test('a channel has the defaults of its ownership', () => {
  const [user] = done(channel('c')).channels;
  assert.deepEqual(
    [user!.attributes.subbufSize, user!.attributes.subbufCount, user!.attributes.mode, user!.id],
    [524288, 4, 'discard', 0],
  );
  assert.equal(done(channel('c', { ownership: 'process' })).channels[0]!.attributes.subbufSize, 16384);
});

test('odd sizes are rounded up to powers of two, and said', () => {
  const edited = editSession(EMPTY, channel('c', { subbufSize: 5000, subbufCount: 3 }));
  assert.ok(edited.ok);
  assert.deepEqual(edited.answer, { channel: 'c', adjusted: ['subbufSize', 'subbufCount'] });
  const { subbufSize, subbufCount } = edited.document.channels[0]!.attributes;
  assert.deepEqual([subbufSize, subbufCount], [8192, 4]);
});

test('a trace file holds at least one sub-buffer: a smaller size is raised, and said', () => {
  const edited = editSession(EMPTY, channel('c', { subbufSize: 5000, tracefileSize: 6000, tracefileCount: 3 }));
  assert.ok(edited.ok);
  assert.deepEqual(edited.answer, { channel: 'c', adjusted: ['subbufSize', 'tracefileSize'] });
  const { tracefileSize, tracefileCount } = edited.document.channels[0]!.attributes;
  assert.deepEqual([tracefileSize, tracefileCount], [8192, 3]);
});

test('a document of an older version has the attributes that it does not name as they were then', () => {
  const { subbufSize, subbufCount, ...rest } = done(channel('c')).channels[0]!.attributes;
  const old = { mode: rest.mode, ownership: rest.ownership, subbufSize, subbufCount } as ChannelAttributes;
  const document = done(channel('c'));
  const read = withAllAttributes({ ...document, channels: [{ ...document.channels[0]!, attributes: old }] });
  assert.deepEqual(read, document);
});

for (const [attributes, what] of [
  [{ subbufSize: 4095 }, 'a sub-buffer below a page'],
  [{ subbufSize: 2 ** 31 }, 'a sub-buffer beyond 1 GiB'],
  [{ subbufCount: 0 }, 'no sub-buffer'],
  [{ subbufCount: 5000 }, 'more sub-buffers than a ring can have'],
  [{ blockingTimeoutUs: -1, mode: 'overwrite' }, 'waiting in a channel that overwrites'],
  [{ blockingTimeoutUs: 2 ** 42 }, 'a blocking timeout beyond 31 bits of milliseconds'],
  [{ tracefileCount: 2 }, 'a count of trace files without their size'],
  [{ watchdogTimerUs: 5, ownership: 'process' }, 'a watchdog of buffers per process'],
  [{ reclaim: { policy: 'older-than', ageUs: 5 }, mode: 'overwrite' }, 'memory given back by a channel that overwrites'],
] as const) {
  test(`${what} is refused by name`, () => {
    const edited = editSession(EMPTY, channel('c', attributes));
    assert.equal(code(edited), 'channel-attributes-invalid');
    assert.equal(!edited.ok && edited.refusal.params.attribute, Object.keys(attributes)[0]);
  });
}

test('memory is given back by policy, but not what is consumed where nothing is ever consumed', () => {
  const consumed = channel('c', { reclaim: { policy: 'consumed', ageUs: 0 } });
  const old = channel('c', { reclaim: { policy: 'older-than', ageUs: 5 } });
  assert.deepEqual(done(consumed).channels[0]!.attributes.reclaim, { policy: 'consumed', ageUs: 0 });
  const silent = { ...EMPTY, output: { kind: 'none' } } as const;
  assert.equal(code(editSession(silent, consumed)), 'channel-attributes-invalid');
  assert.ok(editSession(silent, old).ok);
});

for (const name of ['', '.hidden', 'a/b', 'metadata', 'x'.repeat(256), 'a\0b', 'a\tb']) {
  test(`${JSON.stringify(name.slice(0, 10))} cannot name a channel`, () => {
    assert.equal(code(editSession(EMPTY, channel(name))), 'channel-name-invalid');
  });
}

test('an enabled channel exists already; a disabled one is enabled, also after the first start', () => {
  const one = done(channel('c'));
  assert.equal(code(editSession(one, channel('c'))), 'channel-exists');
  const disabled = after({ ...one, everStarted: true }, { kind: 'channel.disable', name: 'c' }, channel('c'));
  assert.ok(disabled.ok && disabled.document.channels[0]!.enabled);
  assert.equal(code(editSession(EMPTY, { kind: 'channel.disable', name: 'c' })), 'channel-not-found');
});

test('after the first start there is no new channel and no new context', () => {
  assert.equal(code(editSession(STARTED, channel('c'))), 'channel-frozen');
  const one = { ...done(channel('c')), everStarted: true };
  assert.equal(code(editSession(one, { kind: 'context.add', channel: 'c', types: ['vpid'] })), 'channel-frozen');
});

test('one session has buffers per user or per process, not both', () => {
  const edited = after(EMPTY, channel('a', { ownership: 'process' }), channel('b', { ownership: 'user' }));
  assert.equal(code(edited), 'ownership-mixed');
  assert.equal(done(channel('a', { ownership: 'process' }), channel('b')).channels[1]!.attributes.ownership, 'process');
});

test('a rule without channel makes the default one, unless there are others', () => {
  const made = done(rule('a:*'));
  assert.equal(made.channels[0]!.name, 'channel0');
  assert.equal(code(after(EMPTY, channel('other'), rule('a:*'))), 'channel-name-needed');
  assert.equal(done(channel('channel0'), channel('other'), rule('a:*')).channels[0]!.rules.length, 1);
  assert.equal(done(rule('a:*', { channel: 'new' })).channels[0]!.name, 'new');
});

test('the same rule again re-enables a disabled one, else it exists', () => {
  assert.equal(code(after(EMPTY, rule('a:*'), rule('a:*'))), 'rule-exists');
  const again = after(EMPTY, rule('a:*'), { kind: 'event.disable', channel: null, pattern: 'a:*' }, rule('a:*'));
  assert.ok(again.ok);
  assert.deepEqual((again.answer as { created: boolean }).created, false);
  assert.deepEqual(
    again.document.channels[0]!.rules.map(({ enabled }) => enabled),
    [true],
  );
  assert.equal(done(rule('a:*'), rule('a:*', { exclusions: ['a:x'] })).channels[0]!.rules.length, 2);
});

test('disabling takes the stored pattern, not what it matches, and covers all rules that have it', () => {
  const two = done(rule('a:*'), rule('a:*', { exclusions: ['a:x'] }));
  assert.equal(code(editSession(two, { kind: 'event.disable', channel: null, pattern: 'a:b' })), 'rule-not-found');
  const off = editSession(two, { kind: 'event.disable', channel: null, pattern: 'a:*' });
  assert.ok(off.ok);
  assert.equal((off.answer as { rules: unknown[] }).rules.length, 2);
  assert.equal(code(editSession(off.document, { kind: 'event.disable', channel: null, pattern: 'a:*' })), 'rule-not-found');
});

test('all rules of a channel are disabled at once', () => {
  const off = editSession(done(rule('a:*'), rule('b:*')), { kind: 'event.disable', channel: null, pattern: null });
  assert.ok(off.ok);
  assert.deepEqual(
    off.document.channels[0]!.rules.map(({ enabled }) => enabled),
    [false, false],
  );
});

test('disabling names its channel when the default one is not there', () => {
  const edit: SessionEdit = { kind: 'event.disable', channel: null, pattern: '*' };
  assert.equal(code(editSession(EMPTY, edit)), 'channel-not-found');
  assert.equal(code(editSession(done(channel('other')), edit)), 'channel-name-needed');
});

test('rules that differ in their filter are different rules; the same filter again enables the disabled one', () => {
  const plain = rule('a:*');
  const filtered = rule('a:*', { filter: 'x > 1' });
  const both = done(plain, filtered);
  assert.deepEqual(
    both.channels[0]!.rules.map(({ filter }) => filter),
    [null, 'x > 1'],
  );
  assert.equal(code(editSession(both, filtered)), 'rule-exists');
  assert.ok(editSession(both, rule('a:*', { filter: 'x>1' })).ok, 'written differently');
  const again = after(both, { kind: 'event.disable', channel: null, pattern: 'a:*' }, filtered);
  assert.ok(again.ok);
  assert.deepEqual(
    again.document.channels[0]!.rules.map(({ enabled }) => enabled),
    [false, true],
  );
});

test('contexts go to one channel or to all, once each', () => {
  const two = done(channel('a'), channel('b'));
  const added = editSession(two, { kind: 'context.add', channel: null, types: ['vpid', 'ip', 'vpid'] });
  assert.ok(added.ok);
  assert.deepEqual(
    added.document.channels.map(({ contexts }) => contexts),
    [
      ['vpid', 'ip'],
      ['vpid', 'ip'],
    ],
  );
  const again = editSession(added.document, { kind: 'context.add', channel: 'a', types: ['ip'] });
  assert.equal(code(again), 'context-exists');
  const more = editSession(added.document, { kind: 'context.add', channel: 'a', types: ['ip', 'vtid'] });
  assert.deepEqual(more.ok && more.answer, { added: [{ channel: 'a', type: 'vtid' }] });
  assert.equal(code(editSession(two, { kind: 'context.add', channel: 'x', types: ['ip'] })), 'channel-not-found');
  assert.equal(code(editSession(two, { kind: 'context.add', channel: 'a', types: ['colour'] })), 'context-unknown');
  assert.equal(done({ kind: 'context.add', channel: null, types: ['vpid'] }).channels[0]!.name, 'channel0');
});

test('spellings of one counter are one context; the kernel’s are refused as such; more than a record holds, too', () => {
  const one = done(channel('a'));
  const add = (...types: string[]) => editSession(one, { kind: 'context.add', channel: 'a', types });
  const added = add('perf:thread:cycles', 'perf:cpu-cycles', '$app.shop:user', 'vuid');
  assert.deepEqual(added.ok && added.document.channels[0]!.contexts, ['perf:thread:cycles', '$app.shop:user', 'vuid']);
  for (const kernel of ['tid', 'uid', 'perf:cpu:cycles', 'callstack-user'])
    assert.equal(code(add(kernel)), 'context-of-kernel');
  for (const unknown of ['perf:thread:nothing', '$app.shop', 'perf:thread:raw:rXYZ:a', '$app.:x']) {
    assert.equal(code(add(unknown)), 'context-unknown');
  }
  const names = (many: number, name: (at: number) => string) => Array.from({ length: many }, (_, at) => name(at));
  assert.equal(add(...names(64, (at) => `$app.p:n${at}`)).ok, true);
  assert.equal(code(add(...names(65, (at) => `$app.p:n${at}`))), 'contexts-too-many');
  assert.equal(code(add(...names(33, (at) => `perf:thread:raw:r${at}:x`))), 'contexts-too-many');
});

test('answers are kept ten minutes, and one per request', () => {
  const at = (requestId: string, atMs: number): SessionEdit => ({ kind: 'settle', requestId, atMs, reply: { n: atMs } });
  const kept = after(EMPTY, at('a', 0), at('b', 1000), at('b', 2000), at('c', 600_001));
  assert.ok(kept.ok);
  assert.deepEqual(
    kept.document.answers.map(({ requestId, atMs }) => [requestId, atMs]),
    [
      ['b', 2000],
      ['c', 600_001],
    ],
  );
});

test('a start without channel is not promised; a promise says what it will be', () => {
  const start = { kind: 'promise', operation: 'starting', requestId: 'r', deadlineMs: 5 } as const;
  assert.equal(code(editSession(EMPTY, start)), 'no-channel');
  const promised = after(done(channel('c')), start);
  assert.ok(promised.ok);
  const { active, everStarted, operation } = promised.document;
  assert.deepEqual(
    { active, everStarted, operation },
    {
      active: true,
      everStarted: true,
      operation: { kind: 'starting', requestId: 'r', deadlineMs: 5 },
    },
  );
});

const size = { tracefileSize: 65_536 };
const whole = { allocation: 'per-channel' };
for (const [first, second, file] of [
  [channel('a'), channel('a_l'), 'a_l_0'],
  [channel('a_l'), channel('a'), 'a_l_0'],
  [channel('a', size), channel('a_0'), 'a_0_0'],
  [channel('a', size), channel('a_l_7'), 'a_l_7_0'],
  [channel('a', { ...size, tracefileCount: 3 }), channel('a_4095_2', whole), 'a_4095_2'],
  [channel('a', { ...size, ...whole }), channel('a_12', whole), 'a_12'],
  [channel('a', size), channel('a_5', whole), 'a_5'],
] as const)
  test(`channels ${JSON.stringify(first)} and ${JSON.stringify(second)} would write one file, and are told so`, () => {
    const edited = after(EMPTY, first, second);
    assert.ok(!edited.ok);
    const { name } = second as { name: string };
    const params = { session: 's', channel: name, other: (first as { name: string }).name, file };
    assert.deepEqual([edited.refusal.code, edited.refusal.params], ['channel-files-meet', params]);
  });

for (const [first, second] of [
  [channel('a'), channel('a_0')],
  [channel('a'), channel('a_4096', whole)],
  [channel('a', { ...size, tracefileCount: 3 }), channel('a_4095_3', whole)],
  [channel('a'), channel('a_00', whole)],
  [channel('a', whole), channel('a_l', whole)],
  [channel('a'), channel('a_x')],
  [channel('a_1', size), channel('a_2', size)],
] as const)
  test(`channels ${JSON.stringify(first)} and ${JSON.stringify(second)} never write one file, and may be of one session`, () =>
    assert.equal(done(first, second).channels.length, 2));

test('rings that lie in files have one each, too', () => {
  const kept = { ...EMPTY, shmPath: '/kept' };
  assert.equal(code(after(kept, channel('a'), channel('a_l', whole))), 'channel-files-meet');
  assert.equal(after(EMPTY, channel('a'), channel('a_l', whole)).ok, true);
});

test('a channel is not called like what lies beside the streams, nor so long that no file can be', () => {
  for (const name of ['index', 'metadata.tmp']) {
    assert.equal(code(editSession(EMPTY, channel(name, whole))), 'channel-name-invalid');
    assert.equal(code(editSession(EMPTY, channel(name))), null);
  }
  assert.equal(code(editSession(EMPTY, channel('x'.repeat(242)))), 'channel-name-invalid');
  assert.equal(code(editSession(EMPTY, channel('x'.repeat(241)))), null);
  assert.equal(code(editSession(EMPTY, channel('x'.repeat(241), size))), 'channel-name-invalid');
});
