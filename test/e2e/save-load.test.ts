/** A session that was saved, destroyed and loaded is the same session; a file that LTTng wrote loads; what fails leaves nothing behind. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { COMMAND_MS } from '../support/patience.ts';
import { Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());
const saved = join(weft.home, '.weft/sessions');

interface Shown {
  readonly session: Record<string, unknown> & { readonly active: boolean; readonly output: string; readonly name: string };
}

/** What a user made of a session, without what differs from one to the next: its id, its birth, its counts. */
const shown = (name: string) => {
  const { session } = weft.json<Shown>('list', name);
  const { id: _, createdAt: __, registries: ___, ...rest } = session;
  return rest;
};

const names = (): string[] => weft.json<{ sessions: { name: string }[] }>('list').sessions.map(({ name }) => name);
const current = (): string => readFileSync(join(weft.home, 'state/current-session'), 'utf8').trim();

const FULL = `weft: 1
sessions:
  - name: full
    output: OUTPUT
    rotation: {timer: 5m, size: 8M}
    track: {vpid: [55, 66], vuid: [root, 7], vgid: []}
    map-channels:
      - {name: few, value-type: signed-int-32, max-key-count: 7, update-policy: per-rule-match}
      - {name: own, buffer-ownership: process, dead-process-policy: drop}
    channels:
      - {name: big, mode: overwrite, subbuf-size: 64k, num-subbuf: 8, switch-timer: 200ms,
         contexts: [vpid, procname, net_ns, $app.web:user], events: [
           {name: "weft_test:*", filter: number > 5 && $ctx.procname == "<counter>", exclude: ["weft_test:other"]},
           {name: "app:*", loglevel: INFO, enabled: false},
           {name: "app:*", loglevel-only: ERR},
           {name: "one:two", enabled: false}]}
      - {name: small, enabled: false, buffer-allocation: per-channel, blocking-timeout: 5ms, tracefile-size: 1M, tracefile-count: 3, events: [{name: "*"}]}
`;

test('a session that was saved, destroyed and loaded is the same one, in either format', () => {
  const written = join(weft.home, 'full.yaml');
  writeFileSync(written, FULL.replace('OUTPUT', weft.trace('full')));
  weft.ok('load', '-i', written);
  const before = shown('full') as unknown as {
    channels: { enabled: boolean; rules: { pattern: string; enabled: boolean }[] }[];
  };
  assert.deepEqual(
    before.channels.map(({ enabled, rules }) => [enabled, ...rules.map((rule) => `${rule.pattern} ${rule.enabled}`)]),
    [
      [true, 'weft_test:* true', 'app:* false', 'app:* true', 'one:two false'],
      [false, '* true'],
    ],
  );
  assert.equal(weft.ok('save', 'full'), `Session full saved successfully in ${saved}.\n`);
  weft.ok('destroy', 'full');
  assert.equal(weft.ok('load', 'full'), 'Session full has been loaded successfully\n');
  assert.deepEqual(shown('full'), before);
  assert.equal(current(), 'full');
  weft.ok('save', 'full', '-o', weft.home, '--format=yaml', '-f');
  weft.ok('load', 'full', '-i', written, '-f');
  assert.deepEqual(shown('full'), before);
  weft.ok('destroy', 'full');
});

const SEVERAL = `weft: 1
sessions:
  - {name: running, started: true, output: OUTPUT, channels: [{name: ch, events: [{name: "weft_test:*"}]}]}
  - {name: snap, snapshot: {outputs: [{name: mine, path: OUTPUT/snap, max-size: 2M}]}, channels: [{name: c, mode: overwrite}]}
  - {name: nowhere, no-output: true, buffer-ownership: process, shm-path: OUTPUT/shm}
triggers:
  - {name: cut, condition: {type: session-rotation-finishes, session: running}, actions: [{type: stop-session, session: running}]}
  - {name: seen, condition: {type: event-rule-matches, name: "app:*", capture: [a]}, actions: [{type: notify, every: 3}]}
`;

test('sessions saved while they record do so again; triggers and snapshot outputs come along; all at once', () => {
  const directory = join(weft.home, 'all');
  const written = join(weft.home, 'several.yaml');
  writeFileSync(written, SEVERAL.replaceAll('OUTPUT', weft.trace('running')));
  weft.ok('load', '-i', written);
  const before = ['running', 'snap'].map(shown);
  assert.equal(before[0]!.active, true);
  const triggers = weft.ok('list-triggers');
  assert.equal(weft.ok('save', '-o', directory), 'All sessions have been saved successfully.\n');
  assert.match(weft.run('save', '-a', '-o', directory).stderr, /running\.lttng exists already/);
  assert.match(weft.run('load', 'running', '-i', directory).stderr, /exists already/);
  weft.ok('destroy', '-a');
  // The other one is there, and the same.
  weft.ok('remove-trigger', 'cut');
  assert.equal(weft.ok('load', '-a', '-i', directory), 'All sessions have been loaded successfully\n');
  assert.deepEqual(['running', 'snap'].map(shown), before);
  const ringFiles = String(weft.json<Shown>('list', 'nowhere').session.shmPath);
  assert.match(ringFiles.slice(weft.trace('running').length), /^\/shm\/nowhere-\d{8}-\d{6}$/);
  assert.equal(weft.ok('list-triggers'), triggers);
  const other = ['--override-name', 'again', '--override-url', `file://${weft.trace('again')}`, '--no-triggers'];
  const lines = weft.ok('load', 'running', '-i', directory, ...other).split('\n');
  assert.deepEqual(lines.slice(0, 2), [
    `Session output url overridden with ${weft.trace('again')}`,
    'Session name overridden with again',
  ]);
  assert.deepEqual([shown('again').active, shown('again').output], [true, weft.trace('again')]);
  weft.ok('destroy', '-a');
});

test('a trigger of the fleet is saved and loaded as YAML; of the other format it is said what it leaves out', () => {
  const directory = join(weft.home, 'of-fleet');
  weft.ok('create', 'box', '--snapshot', '-o', weft.trace('box'));
  const words = ['--name=wide', '--condition=event-rule-matches', '--type=user', '--name=app:*'];
  weft.ok('add-trigger', ...words, '--action=snapshot-session', 'box', '--fleet', '--post-ms=250');
  const triggers = weft.ok('list-triggers');
  assert.match(triggers, /snapshot session `box` on all hosts, 250 ms after the event/);
  assert.match(weft.ok('--mi=xml', 'list-triggers'), /<fleet>\s*<post_ms>250<\/post_ms>\s*<\/fleet>/);
  const xml = weft.run('save', 'box', '-o', directory);
  assert.equal(xml.status, 0);
  assert.match(xml.stderr, /Warning: trigger wide of session box is saved without --fleet: .*\n {2}.*save with --format=yaml/);
  const yaml = weft.run('save', 'box', '-o', directory, '--format=yaml');
  assert.deepEqual([yaml.status, yaml.stderr], [0, '']);
  weft.ok('destroy', 'box');
  weft.ok('remove-trigger', 'wide');
  weft.ok('load', '-i', join(directory, 'box.yaml'));
  assert.equal(weft.ok('list-triggers'), triggers);
  weft.ok('destroy', 'box');
  weft.ok('remove-trigger', 'wide');
});

const minimal = (name: string, inside: string): string =>
  `<sessions>\n<session><name>${name}</name>\n<domains><domain><type>UST</type><buffer_type>PER_UID</buffer_type><channels>\n` +
  `<channel><name>c</name>${inside}</channel>\n</channels></domain></domains></session></sessions>`;

test('what cannot be loaded is refused with its place, and leaves nothing behind', () => {
  const file = join(weft.home, 'wrong.lttng');
  const tried = (text: string, ...options: string[]) => {
    writeFileSync(file, text);
    return weft.run('load', '-i', file, ...options);
  };
  const filter = tried(minimal('wrong', '\n<events>\n<event><name>a</name><filter>((</filter></event></events>'));
  assert.equal(filter.status, 1);
  assert.match(
    filter.stderr,
    /File .*wrong\.lttng, line 6 \(sessions\/session\/domains\/domain\/channels\/channel\/events\/event\): Filter '\(\('/,
  );
  const unknown = tried(minimal('wrong', '\n<surprise/>'));
  assert.equal(unknown.status, 1);
  assert.match(unknown.stderr, /line 5 .*surprise/);
  const timer = '<attributes><live_timer_interval>1000000</live_timer_interval></attributes>';
  const live = tried(minimal('wrong', '').replace('</session>', `${timer}</session>`));
  assert.equal(live.status, 5);
  assert.match(live.stderr, /live_timer_interval.*not supported/);
  assert.deepEqual(names(), []);
  const nothing = weft.run('load', 'nothing');
  assert.equal(nothing.status, 1);
  assert.match(nothing.stderr, /No saved session `nothing` was found in .*\.weft\/sessions/);
});

/** As root there is one daemon for the whole machine; anybody else has one per home. */
const options = (home: string) => ({
  env: { ...process.env, LTTNG_HOME: home, HOME: home },
  encoding: 'utf8' as const,
  timeout: COMMAND_MS,
  ...(process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}),
});

const lttng = (home: string, ...words: string[]): void => {
  const ran = spawnSync('lttng', words, options(home));
  assert.equal(ran.status, 0, `lttng ${words.join(' ')}: ${ran.stdout}${ran.stderr}`);
};

/** With a daemon of theirs in this home. */
const withTheirs = (home: string, act: () => void): void => {
  if (process.getuid?.() === 0) chownSync(home, 65_534, 65_534);
  const pid = join(home, 'pid');
  const daemon = spawnSync('lttng-sessiond', ['--daemonize', '--no-kernel', '--pidfile', pid], options(home));
  assert.equal(daemon.status, 0, daemon.stderr);
  try {
    act();
  } finally {
    process.kill(Number(readFileSync(pid, 'utf8')), 'SIGTERM');
  }
};

/** A file that the real program wrote. */
const theirs = (home: string): string => {
  const on = ['-u', '-s', 'theirs'];
  lttng(home, 'create', 'theirs', '-o', join(home, 'trace'));
  lttng(home, 'enable-channel', ...on, 'ch', '--subbuf-size', '64k', '--num-subbuf', '8', '--overwrite', '-C', '1M', '-W', '3');
  const filter = ['--filter', 'a > 1 && b == "x"', '--exclude', 'tp:q', '--loglevel', 'INFO'];
  lttng(home, 'enable-event', ...on, '-c', 'ch', 'tp:*', ...filter);
  lttng(home, 'add-context', ...on, '-c', 'ch', '-t', 'vpid', '-t', 'procname');
  lttng(home, 'track', ...on, '--vpid=55');
  lttng(home, 'enable-rotation', '-s', 'theirs', '--size', '8M');
  lttng(home, 'save', '-o', home, 'theirs');
  lttng(home, 'destroy', 'theirs');
  return join(home, 'theirs.lttng');
};

/** It checks the file against its schema, then makes the session. Listing what is in it is left out: its daemon may not survive that. */
const theyLoad = (home: string, session: string): string => {
  const file = join(home, 'back', `${session}.lttng`);
  chmodSync(join(home, 'back'), 0o755);
  chmodSync(file, 0o644);
  lttng(home, 'load', '-i', file);
  return spawnSync('lttng', ['list'], options(home)).stdout;
};

const installed = ['/usr/bin', '/usr/local/bin'].some((at) => existsSync(join(at, 'lttng-sessiond')));

const checkTheirs = (home: string): void => {
  const session = shown('theirs') as unknown as {
    channels: { attributes: Record<string, unknown>; contexts: string[]; rules: unknown[] }[];
    trackers: unknown;
    schedules: unknown;
    output: string;
  };
  const { attributes, contexts, rules } = session.channels[0]!;
  assert.equal(session.output, join(home, 'trace'));
  assert.deepEqual([attributes.mode, attributes.subbufSize, attributes.tracefileCount], ['overwrite', 65536, 3]);
  assert.deepEqual(contexts, ['vpid', 'procname']);
  assert.deepEqual(rules, [
    {
      pattern: 'tp:*',
      logLevel: { kind: 'range', level: 6 },
      exclusions: ['tp:q'],
      filter: 'a > 1 && b == "x"',
      enabled: true,
    },
  ]);
  assert.deepEqual(session.trackers, { vpid: [{ id: 55, name: null }], vuid: 'all', vgid: 'all' });
  assert.deepEqual(session.schedules, { timerUs: null, sizeBytes: 8 << 20 });
};

test('a file that LTTng saved loads, and LTTng loads what Weft saves', {
  skip: installed ? false : 'lttng is not installed',
}, () => {
  const home = mkdtempSync(join(tmpdir(), 'weft-theirs-'));
  try {
    withTheirs(home, () => {
      weft.ok('load', '-i', theirs(home));
      checkTheirs(home);
      weft.ok('save', 'theirs', '-o', join(home, 'back'), '--no-triggers');
      weft.ok('destroy', 'theirs');
      assert.match(theyLoad(home, 'theirs'), /theirs/);
    });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
