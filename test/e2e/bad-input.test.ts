/** Wrong input gets a clear sentence, a stable code and a stable exit status, and nothing already recorded is lost. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { COMMAND_MS } from '../support/patience.ts';
import { CLI, Weft } from '../support/weft.ts';

const weft = new Weft();
before(() => {
  weft.session('good', [], false);
});
after(() => weft.dispose());

interface Failure {
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
}

/** The command fails with this code and status, says so on stderr, and with --json on stdout. */
const refuses = (code: string, status: number, says: RegExp, ...args: string[]): void => {
  const plain = weft.run(...args);
  assert.equal(plain.status, status, `${args.join(' ')}: ${plain.stdout}${plain.stderr}`);
  assert.match(plain.stderr, says);
  const { error, errors } = JSON.parse(weft.run('--json', ...args).stdout) as Partial<Failure> & {
    errors?: Failure['error'][];
  };
  assert.equal((error ?? errors?.[0])?.code, code);
};

test('an unknown session is named', () => {
  for (const command of ['start', 'stop', 'destroy', 'list']) refuses('session-not-found', 1, /nosuch/, command, 'nosuch');
  refuses('session-not-found', 1, /nosuch/, 'set-session', 'nosuch');
  refuses('session-not-found', 1, /nosuch/, 'enable-event', '-u', '-s', 'nosuch', 'a:b');
});

test('an unknown channel and an unknown rule are named', () => {
  refuses('channel-not-found', 4, /nochannel/, 'disable-channel', '-u', '-s', 'good', 'nochannel');
  refuses('channel-not-found', 4, /nochannel/, 'disable-event', '-u', '-s', 'good', '-c', 'nochannel', 'a:b');
  refuses('rule-not-found', 4, /a:nosuch/, 'disable-event', '-u', '-s', 'good', '-c', 'ch', 'a:nosuch');
});

test('names have rules, and the rule is said', () => {
  refuses('session-name-invalid', 1, /\//, 'create', 'a/b');
  refuses('session-name-invalid', 1, /reserved/, 'create', 'auto-mine');
  refuses('session-name-invalid', 1, /255/, 'create', 'x'.repeat(256));
  refuses('session-exists', 1, /good/, 'create', 'good');
  refuses('channel-name-invalid', 1, /\./, 'enable-channel', '-u', '-s', 'good', '.hidden');
  refuses('channel-name-invalid', 1, /metadata/, 'enable-channel', '-u', '-s', 'good', 'metadata');
});

test('what no relay takes is refused before anything is recorded for it', () => {
  const relay = '--set-url=nats://127.0.0.1:1';
  refuses('session-name-invalid', 1, /hidden directory/, 'create', '.quiet', relay);
  refuses('session-name-invalid', 1, /more than 228 bytes/, 'create', 'x'.repeat(240), relay);
  refuses('session-name-invalid', 1, /hidden directory/, 'create', '.quiet', '--snapshot', relay);
  assert.match(weft.run('create', 'tabbed', `${relay}/a\tb`).stderr, /"a\\tb" is no directory below the relay/);
  weft.ok('create', '.quiet', '-o', weft.trace('quiet'));
  refuses('destination-wrong', 1, /no relay takes session `.quiet`/, 'enable-consumer', '-s', '.quiet', 'nats://127.0.0.1:1');
  weft.ok('destroy', '.quiet');
  weft.ok('create', '.still', '--snapshot', '-o', weft.trace('still'));
  weft.ok('snapshot', 'del-output', '-s', '.still', '1');
  refuses(
    'destination-wrong',
    1,
    /no relay takes session `.still`/,
    'snapshot',
    'add-output',
    '-s',
    '.still',
    'nats://127.0.0.1:1',
  );
  weft.ok('destroy', '.still');
  const file = join(weft.home, 'quiet.yaml');
  writeFileSync(file, 'weft: 1\nsessions:\n  - {name: .quiet, output: "nats://127.0.0.1:1", channels: []}\n');
  assert.match(weft.run('load', '-i', file).stderr, /hidden directory/);
});

test('channels whose files would have one name are not of one session, however it is made', () => {
  weft.ok('create', 'meeting', '-o', weft.trace('meeting'));
  weft.ok('enable-channel', '-u', '-s', 'meeting', 'a', '--tracefile-size=128k', '--subbuf-size=64k');
  const says = /`a_0` and `a` of recording session `meeting` would both write a file `a_0_0`/;
  refuses('channel-files-meet', 1, says, 'enable-channel', '-u', '-s', 'meeting', 'a_0');
  refuses('channel-files-meet', 1, /`a_l_0_0`/, 'enable-channel', '-u', '-s', 'meeting', 'a_l', '--tracefile-size=128k');
  weft.ok('destroy', 'meeting');
  const file = join(weft.home, 'meeting.yaml');
  const channels = '[{name: b, events: []}, {name: b_l, events: []}]';
  writeFileSync(file, `weft: 1\nsessions:\n  - {name: meeting, channels: ${channels}}\n`);
  const loaded = weft.run('load', '-i', file);
  assert.equal(loaded.status, 1);
  assert.match(loaded.stderr, /`b_l` and `b` of recording session `meeting` would both write a file `b_l_0`/);
});

test('an output directory that cannot be written is refused with its path before anything is recorded', () => {
  const blocked = join(weft.home, 'a-file');
  writeFileSync(blocked, '');
  weft.ok('create', 'blocked', '-o', join(blocked, 'trace'));
  weft.ok('enable-event', '-u', '-s', 'blocked', 'weft_test:*');
  refuses('output-not-writable', 1, /a-file/, 'start', 'blocked');
  assert.match(weft.ok('list', 'blocked'), /\[inactive\]/);
  weft.ok('destroy', 'blocked');
});

test('buffers that the memory cannot hold are refused before start, with the number', () => {
  weft.ok('create', 'huge', '-o', weft.trace('huge'));
  weft.ok('enable-channel', '-u', '-s', 'huge', 'ch', '--subbuf-size=1G', '--num-subbuf=64');
  weft.ok('enable-event', '-u', '-s', 'huge', '-c', 'ch', 'weft_test:*');
  refuses('not-enough-memory', 1, /\d{11,}/, 'start', 'huge');
  weft.ok('destroy', 'huge');
});

test('sizes and timers that mean nothing are refused; odd sizes are rounded up and said', () => {
  const wrong = weft.run('enable-channel', '-u', '-s', 'good', 'x', '--subbuf-size=12q');
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /subbuf-size.*12q/);
  refuses('channel-attributes-invalid', 1, /subbuf/i, 'enable-channel', '-u', '-s', 'good', 'x', '--subbuf-size=16');
  const rounded = weft.run('enable-channel', '-u', '-s', 'good', 'odd', '--subbuf-size=5000', '--num-subbuf=3');
  assert.equal(rounded.status, 0, rounded.stderr);
  assert.match(rounded.stdout + rounded.stderr, /8192/);
});

test('a start without channels, a second start, a second stop', () => {
  weft.ok('create', 'twice', '-o', weft.trace('twice'));
  refuses('no-channel', 1, /channel/, 'start', 'twice');
  weft.ok('enable-event', '-u', '-s', 'twice', 'weft_test:*');
  weft.ok('start', 'twice');
  refuses('already-started', 4, /already/, 'start', 'twice');
  refuses('channel-frozen', 1, /started before/, 'enable-channel', '-u', '-s', 'twice', 'late');
  refuses('channel-frozen', 1, /started before/, 'add-context', '-u', '-s', 'twice', '-t', 'vpid');
  weft.ok('stop', 'twice');
  refuses('already-stopped', 4, /already/, 'stop', 'twice');
  weft.ok('destroy', 'twice');
});

test('rules: exclusions, levels, duplicates, the default channel', () => {
  const total = weft.run('enable-event', '-u', '-s', 'good', '-c', 'ch', 'p:*', '-x', 'p:*');
  assert.equal(total.status, 1);
  assert.match(total.stderr, /excludes all events/);
  const plain = weft.run('enable-event', '-u', '-s', 'good', '-c', 'ch', 'a:b', '-x', 'a:c');
  assert.match(plain.stderr, /globbing pattern/);
  const second = weft.run('enable-event', '-u', '-s', 'good', '-c', 'ch', 'half*,a:b', '-x', 'half:c');
  assert.equal(second.status, 1);
  assert.doesNotMatch(weft.run('list', 'good').stdout, /half/, 'a slip in the second name makes no rule of the first');
  const level = weft.run('enable-event', '-u', '-s', 'good', '-c', 'ch', 'a:b', '--loglevel', 'LOUD');
  assert.equal(level.status, 1);
  assert.match(level.stderr, /LOUD/);
  const typed = weft.run('disable-event', '-u', '-s', 'good', '-c', 'ch', '--tracepoint', 'weft_test:*');
  assert.deepEqual([typed.status, /instrumentation type is not supported/.test(typed.stderr)], [5, true]);
  refuses('name-reserved', 1, /reserved/, 'enable-event', '-u', '-s', 'good', '-c', 'ch', 'lttng_jul:event');
  refuses('rule-exists', 4, /weft_test/, 'enable-event', '-u', '-s', 'good', '-c', 'ch', 'weft_test:*');
  refuses('channel-name-needed', 1, /--channel/, 'enable-event', '-u', '-s', 'good', 'a:b');
  refuses('context-unknown', 3, /nosuch/, 'add-context', '-u', '-s', 'good', '-t', 'nosuch');
});

test('a filter that is wrong is shown with a caret below the place, and the daemon need not run', () => {
  const ran = weft.run('-n', 'enable-event', '-u', '-s', 'good', 'a:*', '--filter', 'x == 1 + 1');
  assert.equal(ran.status, 1);
  const [text, caret, cause, error] = ran.stderr.split('\n');
  assert.deepEqual([text, caret], ['x == 1 + 1', '       ^']);
  assert.match(cause!, /no arithmetic/);
  assert.match(error!, /^Error: Event a:\*: Filter 'x == 1 \+ 1' is wrong at column 8: /);
  const json = weft.run('--json', 'enable-event', '-u', '-s', 'good', 'a:*', '-f', '"x');
  assert.equal(JSON.parse(json.stdout).error.code, 'filter-invalid');
});

test('options that are unknown or not done yet are refused by name', () => {
  for (const args of [
    ['create', '--no-consumer'],
    ['enable-event', '-k', 'x'],
  ]) {
    const ran = weft.run(...args);
    assert.equal(ran.status, 5, args.join(' '));
    assert.match(ran.stderr, /not supported by this version/);
  }
  const unknown = weft.run('create', '--nonsense');
  assert.equal(unknown.status, 1);
  assert.match(unknown.stderr, /--nonsense.*unknown option/);
  assert.equal(weft.run('nonsense').status, 2);
});

test('a second session daemon of the same user is refused; the first goes on', () => {
  weft.ok('sessiond', '--background');
  const second = weft.run('sessiond', '--background');
  assert.equal(second.status, 1);
  assert.match(second.stderr, /runs already \(pid \d+\): it was started by `weft sessiond`\./);
  assert.match(weft.ok('-n', 'list'), /good/);
});

test('without a daemon, --no-sessiond says how to get one', () => {
  const nobody = new Weft();
  try {
    const ran = nobody.run('-n', 'list');
    assert.equal(ran.status, 1);
    assert.match(ran.stderr, /No session daemon is available/);
  } finally {
    nobody.dispose();
  }
});

test('a home that cannot be made, or is somebody else’s, is named at once', () => {
  const nowhere = spawnSync(CLI, ['list'], {
    env: { ...weft.env, WEFT_HOME: '/proc/nowhere' },
    encoding: 'utf8',
    timeout: COMMAND_MS,
  });
  assert.equal(nowhere.status, 1, nowhere.stderr);
  assert.match(nowhere.stderr, /cannot be made \(ENOENT\)/);
  const open = join(weft.home, 'open');
  mkdirSync(join(open, 'run'), { recursive: true });
  chmodSync(join(open, 'run'), 0o777);
  const shared = spawnSync(CLI, ['list'], { env: { ...weft.env, WEFT_HOME: open }, encoding: 'utf8', timeout: COMMAND_MS });
  assert.equal(shared.status, 1);
  assert.match(shared.stderr, /only you can write/);
});

test('an output below a file system that makes no directories is refused, not waited for', () => {
  weft.ok('create', 'proc', '-o', '/proc/nowhere/trace');
  weft.ok('enable-event', '-u', '-s', 'proc', 'weft_test:*');
  refuses('output-not-writable', 1, /ENOENT/, 'start', 'proc');
  weft.ok('destroy', 'proc');
});

test('a bus that is not there is named', () => {
  const lonely = new Weft();
  try {
    const ran = lonely.run('sessiond', '--background', '--bus-url', 'nats://127.0.0.1:1');
    assert.notEqual(ran.status, 0);
    assert.match(ran.stderr, /bus cannot be reached: connection refused/);
    assert.match(ran.stderr, /nats:\/\/127\.0\.0\.1:1/);
    // Its keeper does not go on trying behind the back of whoever was told so.
    const again = lonely.run('--no-sessiond', 'list');
    assert.notEqual(again.status, 0);
  } finally {
    lonely.dispose();
  }
});
