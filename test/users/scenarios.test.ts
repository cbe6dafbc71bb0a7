/**
 * Who may trace what, on a host with several users: one user whose program comes later, or runs already; two users of group tracing who
 * trace one program through root's daemon; and a user outside that group. With real uids, so it needs root.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { COMMAND_MS, PATIENCE_MS } from '../support/patience.ts';
import { build, CLI, checkTrace, dataFiles, ROOT } from '../support/weft.ts';

const root = process.getuid?.() === 0;
const skip = root ? false : 'needs root to run as other users';
const [ANN, BOB, EVE, APP] = [4211, 4212, 4213, 4214] as const;
/** A group that every system has stands for `tracing`, which not every one has. */
const GROUP = 'daemon';
const groupId = (): number => Number(execFileSync('getent', ['group', GROUP], { encoding: 'utf8' }).split(':')[2]);

const base = root ? mkdtempSync(join(tmpdir(), 'weft-scenarios-')) : '';
const rootHome = join(base, 'root');
const homeOf = (uid: number): string => join(base, String(uid));
const counter = join(base, 'counter');
const programs: ChildProcess[] = [];

interface Person {
  readonly uid: number;
  readonly gid: number;
}

const environment = (home: string, weftHome: string): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  HOME: home,
  WEFT_HOME: weftHome,
  LD_LIBRARY_PATH: join(ROOT, 'native/build'),
});

const run = ({ uid, gid }: Person, weftHome: string, ...args: string[]) =>
  spawnSync(CLI, args, { uid, gid, env: environment(homeOf(uid), weftHome), encoding: 'utf8', timeout: COMMAND_MS });

const ok = (person: Person, weftHome: string, ...args: string[]): string => {
  const ran = run(person, weftHome, ...args);
  assert.equal(ran.status, 0, `weft ${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
  return ran.stdout;
};

/** `counter` as some user; resolves when it is about to make its first event. */
const program = async (uid: number, weftHome: string, events: number, periodNs = 0): Promise<ChildProcess> => {
  const child = spawn(counter, [join(homeOf(uid), `confirm-${programs.length}`), '1', String(events), String(periodNs)], {
    ...{ uid, gid: uid, env: environment(homeOf(uid), weftHome), stdio: ['ignore', 'pipe', 'inherit'] as const },
  });
  programs.push(child);
  await new Promise((done, fail) => {
    child.stdout!.once('data', done);
    child.once('exit', (code, signal) => fail(new Error(`counter ended before its first event: ${code ?? signal}`)));
  });
  return child;
};

const finished = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode === null && child.signalCode === null) await new Promise((done) => child.once('exit', done));
  assert.equal(child.signalCode ?? child.exitCode, 0);
};

const end = (child: ChildProcess): Promise<void> => {
  child.kill('SIGTERM');
  return finished(child);
};

const record = (person: Person, weftHome: string, name: string): string => {
  const trace = join(homeOf(person.uid), name);
  ok(person, weftHome, 'create', name, '-o', trace);
  ok(person, weftHome, 'enable-channel', '-u', '-s', name, 'ch');
  ok(person, weftHome, 'enable-event', '-u', '-s', name, '-c', 'ch', 'weft_test:*');
  ok(person, weftHome, 'start', name);
  return trace;
};

const bytesIn = (trace: string): number => dataFiles(trace).reduce((sum, path) => sum + statSync(path).size, 0);

const until = async (what: string, holds: () => boolean): Promise<void> => {
  for (const deadline = Date.now() + PATIENCE_MS; !holds(); await new Promise((done) => setTimeout(done, 20))) {
    assert.ok(Date.now() < deadline, `waited too long: ${what}`);
  }
};

before(() => {
  if (!root) return;
  chmodSync(base, 0o755);
  mkdirSync(rootHome, { mode: 0o755 });
  for (const uid of [ANN, BOB, EVE, APP]) {
    mkdirSync(homeOf(uid), { mode: 0o755 });
    chownSync(homeOf(uid), uid, uid);
  }
  copyFileSync(build('counter'), counter);
  chmodSync(counter, 0o755);
});

after(() => {
  if (!root) return;
  for (const child of programs) child.kill('SIGKILL');
  run({ uid: 0, gid: 0 }, rootHome, '-n', 'sessiond', '--stop');
  for (const uid of [ANN, EVE]) run({ uid, gid: uid }, homeOf(uid), '-n', 'sessiond', '--stop');
  rmSync(base, { recursive: true, force: true });
});

test('one user traces a program that comes later, and one that runs already', { skip }, async () => {
  const ann = { uid: ANN, gid: ANN };
  const home = homeOf(ANN);
  const trace = record(ann, home, 'later');
  const later = await program(ANN, home, 100);
  await finished(later);
  ok(ann, home, 'destroy', 'later');
  const first = checkTrace(trace);
  assert.deepEqual(first.errors, []);
  assert.equal(first.recorded, 100);

  const running = await program(ANN, home, 0, 100_000);
  const second = record(ann, home, 'running');
  ok(ann, home, 'stop', 'running');
  const between = checkTrace(second).recorded;
  ok(ann, home, 'start', 'running');
  await until('events of the program that runs', () => bytesIn(second) > 0);
  await end(running);
  ok(ann, home, 'destroy', 'running');
  const all = checkTrace(second);
  assert.deepEqual(all.errors, []);
  assert.ok(all.recorded > between);
  assert.equal(statSync(second).uid, ANN);
});

const members = (): readonly [Person, Person] => [
  { uid: ANN, gid: groupId() },
  { uid: BOB, gid: groupId() },
];

const readableBy = ({ uid, gid }: Person, path: string): boolean =>
  spawnSync('cat', [path], { uid, gid, stdio: 'ignore' }).status === 0;

const startRoot = (t: TestContext): void => {
  const started = spawnSync(CLI, ['--group', GROUP, 'sessiond', '--background'], {
    env: environment('/root', rootHome),
    encoding: 'utf8',
  });
  assert.equal(started.status, 0, started.stderr);
  t.after(() => run({ uid: 0, gid: 0 }, rootHome, '-n', 'sessiond', '--stop'));
};

test("two members of the group trace one program through root's daemon; each trace is its owner's alone", {
  skip,
}, async (t) => {
  startRoot(t);
  const [ann, bob] = members();
  // With WEFT_HOME root's, a member has no state directory to write; that costs the current session and nothing else.
  const said = run(ann, rootHome, 'create', 'first', '--no-output');
  assert.equal(said.status, 0, said.stderr);
  assert.match(said.stderr, /^Warning: The current session cannot be stored \(EACCES.*name it in each command$/m);
  const set = run(ann, rootHome, 'set-session', 'first');
  assert.equal(set.status, 1);
  assert.match(set.stderr, /cannot be stored/);
  ok(ann, rootHome, 'destroy', 'first');
  const traces = [record(ann, rootHome, 'of-ann'), record(bob, rootHome, 'of-bob')] as const;
  const child = await program(APP, rootHome, 500);
  await finished(child);
  assert.match(ok(ann, rootHome, 'list'), /of-ann/);
  assert.doesNotMatch(ok(ann, rootHome, 'list'), /of-bob/);
  for (const words of [
    ['stop', 'of-bob'],
    ['destroy', 'of-bob'],
    ['list', 'of-bob'],
  ]) {
    assert.notEqual(run(ann, rootHome, ...words).status, 0, words.join(' '));
  }
  ok(ann, rootHome, 'destroy', 'of-ann');
  ok(bob, rootHome, 'destroy', 'of-bob');
  for (const [trace, owner, other] of [
    [traces[0], ann, bob],
    [traces[1], bob, ann],
  ] as const) {
    const checked = checkTrace(trace);
    assert.deepEqual(checked.errors, []);
    assert.equal(checked.recorded, 500);
    for (const path of dataFiles(trace)) {
      assert.equal(statSync(path).uid, owner.uid);
      assert.ok(readableBy(owner, path), `its owner cannot read ${path}`);
      assert.ok(!readableBy(other, path), `${path} can be read by another user`);
    }
    assert.equal(statSync(join(trace, 'ust')).mode & 0o007, 0);
    const metadata = join(trace, `ust/uid/${APP}/64-bit/metadata`);
    assert.ok(readableBy(owner, metadata) && !readableBy(other, metadata) && !readableBy({ uid: EVE, gid: EVE }, metadata));
  }
});

test("a user outside the group is refused by root's daemon, and traces own programs through an own one", {
  skip,
}, async (t) => {
  startRoot(t);
  const eve = { uid: EVE, gid: EVE };
  for (const words of [
    ['-n', 'list'],
    ['-n', 'create', 'x'],
    ['-n', 'list', '-u'],
  ]) {
    const ran = run(eve, rootHome, ...words);
    assert.notEqual(ran.status, 0);
    assert.match(ran.stderr, /permission|not allowed|belongs to/i);
  }
  const home = homeOf(EVE);
  const trace = record(eve, home, 'own');
  const strange = await program(APP, home, 0, 1_000_000);
  const own = await program(EVE, home, 100);
  await finished(own);
  assert.doesNotMatch(ok(eve, home, 'list', '-u'), new RegExp(`PID: ${strange.pid} `));
  await end(strange);
  ok(eve, home, 'destroy', 'own');
  assert.deepEqual(readdirSync(join(trace, 'ust/uid')), [String(EVE)]);
  assert.equal(checkTrace(trace).recorded, 100);
});
