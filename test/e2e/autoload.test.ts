/** Saved sessions that are there from the daemon's start: from the directories for that, or from a path; never twice. */
import assert from 'node:assert/strict';
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkTrace, Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());
const auto = join(weft.home, '.weft/sessions/auto');

const yaml = (name: string): string =>
  `weft: 1\nsessions:\n  - {name: ${name}, started: true, output: ${weft.trace(name)}, channels: [{name: ch, events: [{name: "weft_test:*"}]}]}\n`;

const names = (): string[] =>
  weft
    .json<{ sessions: { name: string }[] }>('list')
    .sessions.map(({ name }) => name)
    .sort();

/** Each look is a command, which takes its time. */
const until = (what: string, holds: () => boolean): void => {
  for (let looks = 0; !holds(); looks++) assert.ok(looks < 50, `${what}: ${readFileSync(log, 'utf8')}`);
};
const log = join(weft.home, 'state/log/sessiond.log');

test('what lies in the directory for that is loaded with the first command, and records; a bad file harms no other', async () => {
  mkdirSync(auto, { recursive: true });
  writeFileSync(join(auto, 'one.yaml'), yaml('one'));
  writeFileSync(join(auto, 'bad.yaml'), 'weft: 7');
  if (process.getuid!() === 0) {
    writeFileSync(join(auto, 'other.yaml'), yaml('other'));
    chownSync(join(auto, 'other.yaml'), 12_345, 12_345);
  }
  until('it is loaded', () => names().includes('one'));
  until(
    'the bad one is told',
    () => names().length > 0 && readFileSync(log, 'utf8').includes('not all saved sessions were loaded'),
  );
  assert.match(readFileSync(log, 'utf8'), /bad\.yaml/);
  const program = await weft.counter({ events: 100 });
  await program.ended;
  weft.ok('stop', 'one');
  assert.equal(checkTrace(weft.trace('one')).recorded, 100);
  assert.deepEqual(names(), ['one'], 'a file of another user is none of this daemon');
});

test('a daemon that follows one that died loads nothing: what was destroyed stays away', () => {
  weft.ok('destroy', 'one');
  const before = weft.readPid('sessiond');
  process.kill(before, 'SIGKILL');
  until('the next one serves', () => weft.run('list').status === 0 && weft.readPid('sessiond') !== before);
  weft.ok('create', 'mine', '--no-output');
  assert.deepEqual(names(), ['mine']);
});

test('--load: that path instead of the directories; a session that is there already stays as it is', () => {
  const path = join(weft.home, 'two.yaml');
  writeFileSync(path, `${yaml('two')}  - {name: mine, no-output: true, channels: [{name: another}]}\n`);
  weft.ok('sessiond', '--stop');
  assert.match(weft.run('sessiond', '--daemonize', '--load', join(weft.home, 'none')).stderr, /it is not there/);
  weft.ok('sessiond', '--daemonize', '--load', path);
  until('it is loaded', () => names().includes('two'));
  assert.deepEqual(names(), ['mine', 'two']);
  assert.deepEqual(weft.json<{ session: { channels: unknown[] } }>('list', 'mine').session.channels, []);
});
