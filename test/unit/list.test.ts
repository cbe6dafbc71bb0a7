/** What `weft list` and `weft status` print: people and scripts read it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryForm, memoryLines } from '../../cli/list-memory.ts';
import { pointsText, sessionsText, sessionText } from '../../cli/list-text.ts';
import { sessionsTree, sessionTree } from '../../cli/list-tree.ts';
import { cutTo, wantsColour } from '../../cli/style.ts';
import { channel, output, summary, view } from '../support/sample-views.ts';

const plain = { colour: false };
const look = { colour: false, utf8: true, width: null, form: 'compact', memory: 'total', current: null } as const;
const snapshot = { ...summary, name: 'sn', active: false, output: '', snapshot: { outputs: [output], taken: 0 } };

test('list: sessions, numbered, with their mode and output', () => {
  assert.deepEqual(sessionsText(plain, [summary, snapshot]), [
    'Available recording sessions:',
    '  1) s1 [active]',
    '    Trace output: /t/s1',
    '',
    '  2) sn [inactive snapshot]',
    '    Snapshot output: snapshot-1: /t/snap',
    '',
    'Use weft list <session_name> for more details',
  ]);
});

test('list: one session in the plain layout', () => {
  const lines = sessionText(plain, view, undefined);
  assert.equal(lines[0], 'Recording session s1: [active]');
  for (const line of [
    '    Automatic rotation schedules:',
    '        timer period: 10 us',
    '        size threshold: 20 bytes',
    '=== Domain: User space ===',
    'Buffering scheme: per-process',
    '  Virtual process IDs:  12',
    '  Virtual user IDs:     all',
    '  Virtual group IDs:    none',
    '- ch: [enabled]',
    'Map channels:',
    '- m',
    '    Buffer ownership: process',
    '    Dead processes:   drop',
    '      Event-loss mode:  discard',
    '      Blocking timeout: infinite',
    '      Discarded events: 5',
    "      a* (loglevel <= TRACE_INFO (6)) (type: tracepoint) [enabled] [exclusions: ab] [filter: 'x > 3']",
  ])
    assert.ok(lines.includes(line), `${line}\nis not in\n${lines.join('\n')}`);
  assert.ok(!lines.some((line) => line.includes('Memory usage')), 'memory only when it is asked for');
});

test('list: memory in total, by owner, by CPU', () => {
  const two = { ...channel, attributes: { ...channel.attributes, allocation: 'per-cpu' as const } };
  const memory = [{ scope: { kind: 'user' as const, uid: 7 }, rings: [4096, 0] }];
  const of = (form: 'total' | 'compact' | 'full') => memoryLines({ ...two, memory }, form);
  const total = 'Memory usage:     4096 bytes';
  assert.deepEqual(of('total'), [total]);
  assert.deepEqual(of('compact'), [total, '  user 7: 4096 bytes']);
  assert.deepEqual(of('full'), [total, '  user 7: 4096 bytes', '    CPU 0: 4096 bytes', '    CPU 1: 0 bytes']);
  assert.deepEqual(memoryLines(channel, 'full').at(-1), '    All CPUs: 16384 bytes');
  assert.deepEqual([memoryForm(undefined), memoryForm(''), memoryForm('full')], [undefined, 'total', 'full']);
  assert.throws(() => memoryForm('much'), /none of: total, compact, full/);
  assert.ok(sessionText(plain, view, 'total').includes('      Memory usage:     16384 bytes'));
});

test('list: the tree, compact and with air', () => {
  const lines = sessionTree(look, view);
  assert.deepEqual(lines.slice(0, 5), [
    '● Recording session `s1`',
    '  🞂 Trace format: CTF 1.8',
    '  🞂 Output: /t/s1',
    '  🞂 Auto. rotation schedule: every 10 us',
    '  🞂 Auto. rotation schedule: every 20 bytes',
  ]);
  for (const line of [
    '  Domain User space',
    '    🞂 Virtual process IDs: Allow only 12',
    '    🞂 Virtual group IDs: Allow none',
    '    ✔ Event record channel `ch`',
    '      🞂 Ring buffer configuration: 4 sub-buffers of 4 KiB per process',
    '      🞂 Auto. memory reclaim policy: older than 5 us',
    '      🞂 Discarded event records: 5',
    '      🞂 Memory usage: 16384 bytes',
    '      ✔ Event rule `a*`',
    '        🞂 Log level: at least TRACE_INFO',
    '    ✔ Map channel `m`',
    '      🞂 Buffer configuration: per CPU, per process',
    '      🞂 Dead process policy: drop',
  ])
    assert.ok(lines.includes(line), `${line}\nis not in\n${lines.join('\n')}`);
  assert.ok(!lines.includes(''));
  assert.deepEqual(
    sessionTree({ ...look, form: 'breathe' }, view).filter((line) => line !== ''),
    lines,
  );
  assert.equal(sessionsTree({ ...look, form: 'breathe' }, [summary, snapshot]).filter((line) => line === '').length, 1);
});

test('list: without UTF-8 every sign is ASCII; lines end at the width of the terminal', () => {
  const ascii = sessionTree({ ...look, utf8: false }, view);
  assert.match(ascii.join('\n'), /^[\n -~]*$/);
  assert.equal(cutTo({ colour: false, utf8: false, width: 10 }, 'abcdefghijklmnop'), 'abcdefg...');
  assert.ok(sessionTree({ ...look, width: 20 }, view).every((line) => Array.from(line).length <= 20));
});

test('list: colours for terminals, unless the environment says otherwise', () => {
  assert.deepEqual(
    [
      wantsColour({}, true),
      wantsColour({}, false),
      wantsColour({ NO_COLOR: '1' }, true),
      wantsColour({ WEFT_TERM_COLOR: 'always', NO_COLOR: '1' }, false),
      wantsColour({ WEFT_TERM_COLOR: 'never' }, true),
      wantsColour({ WEFT_TERM_COLOR: 'auto' }, true),
    ],
    [true, false, false, true, false, true],
  );
  const [first] = sessionTree({ ...look, colour: true, current: 's1' }, view);
  assert.equal(first, '\u001b[32m●\u001b[0m Recording session `\u001b[4ms1\u001b[0m`');
});

test('list: instrumentation points by program, fields with their kind', () => {
  const fields = [{ name: 'f', nowrite: true, type: { kind: 'string', encoding: 'utf8' } as const }];
  const applications = [{ pid: 5, uid: 1, procname: 'app', points: [{ name: 'p:e', logLevel: 6, modelEmfUri: '', fields }] }];
  assert.deepEqual(pointsText(applications, true), [
    'UST events:',
    '-------------',
    '',
    'PID: 5 - Name: app',
    '      p:e (loglevel: TRACE_INFO (6)) (type: tracepoint)',
    '        field: f (string) [no write]',
    '',
  ]);
  assert.equal(pointsText([], false).at(-1), 'None');
});
