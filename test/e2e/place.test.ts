/** A daemon that a command started leaves its place to one that was asked for by name; what was recorded stays where it is. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { CLI, Weft } from '../support/weft.ts';

const withWeft = (t: TestContext): Weft => {
  const weft = new Weft();
  t.after(() => weft.dispose());
  return weft;
};

/** As systemd starts it. */
const unit = (t: TestContext, weft: Weft): ChildProcess => {
  const main = spawn(CLI, ['sessiond'], { env: weft.env, stdio: 'ignore', detached: true });
  t.after(() => main.kill('SIGKILL'));
  return main;
};

const serves = async (weft: Weft, main: ChildProcess): Promise<void> => {
  for (const until = Date.now() + 20_000; ; await new Promise((done) => setTimeout(done, 20))) {
    assert.equal(main.exitCode, null, 'the unit goes on');
    assert.ok(Date.now() < until, 'the unit serves');
    if (weft.run('-n', 'list').status === 0 && weft.readPid('keeper') === main.pid) return;
  }
};

test('a unit takes the place of the daemon that a command started, with its sessions', async (t) => {
  const weft = withWeft(t);
  weft.ok('create', 'early', '-o', weft.trace('early'));
  const main = unit(t, weft);
  await serves(weft, main);
  assert.match(weft.ok('-n', 'list'), /early/);
});

test('commands that come just before a unit, and while it comes, are all carried out, and the unit serves', async (t) => {
  const weft = withWeft(t);
  const create = (name: string) => promisify(execFile)(CLI, ['create', name, '-o', weft.trace(name)], { env: weft.env });
  const first = create('a');
  const main = unit(t, weft);
  const others = ['b', 'c'].map(create);
  await Promise.all([first, ...others]);
  await serves(weft, main);
  const listed = weft.ok('-n', 'list');
  for (const name of ['a', 'b', 'c']) assert.match(listed, new RegExp(`\\) ${name} \\[inactive\\]`));
});

test('one that holds what was recorded stays, and says so; --replace takes its place, and the session is there', async (t) => {
  const weft = withWeft(t);
  weft.session('s');
  const counter = await weft.counter({ events: 1_000 });
  await counter.ended;
  const refused = weft.run('sessiond', '--background');
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /runs already \(pid \d+\): a command started it, and it holds what 1 session recorded\./);
  assert.match(refused.stderr, /weft sessiond --replace`; sessions are kept/);
  weft.ok('sessiond', '--background', '--replace');
  assert.match(weft.ok('list', 's'), /Recording session s: \[active\]/);
  const second = weft.run('sessiond', '--background');
  assert.match(second.stderr, /runs already \(pid \d+\): it was started by `weft sessiond`\./);
});
