/**
 * Ring buffers in files: everybody who had them is killed at once, while a program records at full speed, and `weft crash` finds
 * what was committed. Together with the written trace that is every number up to the end.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Extracted } from '../../actors/crash-extract.ts';
import { babeltrace, build, type Checked, CLI, dataFiles, Weft } from '../support/weft.ts';

interface Recovered {
  readonly traces: readonly Extracted[];
  readonly faults: readonly string[];
}

const setUp = (t: TestContext): { weft: Weft; shm: string; out: string } => {
  const weft = new Weft();
  t.after(() => weft.dispose());
  return { weft, shm: join(weft.home, 'shm'), out: join(weft.home, 'recovered') };
};

const create = (weft: Weft, shm: string, channel: readonly string[]): string => {
  weft.ok('create', 's', '-o', weft.trace('s'), '--shm-path', shm);
  weft.ok('enable-channel', '-u', '-s', 's', 'ch', ...channel);
  weft.ok('enable-event', '-u', '-s', 's', '-c', 'ch', 'weft_test:*');
  weft.ok('start', 's');
  return weft.trace('s');
};

const viewed = (weft: Weft, shm: string): { events: number; left: readonly string[] } => {
  const tmp = join(weft.home, 'tmp');
  mkdirSync(tmp);
  const ran = spawnSync(CLI, ['crash', shm], { env: { ...weft.env, TMPDIR: tmp }, encoding: 'utf8' });
  assert.equal(ran.status, 0, ran.stderr);
  const left = readdirSync(tmp).filter((name) => name.startsWith('weft-crash'));
  return { events: ran.stdout.match(/weft_test:count/g)?.length ?? 0, left };
};

/** Keeper, daemon, consumer and program in one breath: stopped first, so that none of them sees another die. */
const killAll = (weft: Weft, program?: { child: { pid?: number | undefined } }): void => {
  const pids = weft.processes().map(({ pid }) => pid);
  if (program) pids.push(program.child.pid!);
  for (const signal of ['SIGSTOP', 'SIGKILL'] as const) for (const pid of pids) process.kill(pid, signal);
};

/** A reader that was killed between writing and saying so leaves more than it answers for. */
const cutBack = (recovered: Recovered): void => {
  for (const { output, trace, written } of recovered.traces) {
    for (const { stream, bytes } of written) {
      const path = join(output, trace, stream);
      if (!existsSync(path)) continue;
      assert.ok(statSync(path).size >= Number(bytes), `${path} lacks what its reader wrote`);
      truncateSync(path, Number(bytes));
      rmSync(join(output, trace, 'index', `${stream}.idx`), { force: true });
    }
  }
};

const check = (...directories: string[]): Checked =>
  JSON.parse(spawnSync(build('check_trace'), directories.flatMap(dataFiles), { encoding: 'utf8' }).stdout) as Checked;

for (const mode of ['discard', 'overwrite'] as const) {
  test(`everything is killed at full speed (${mode}): weft crash recovers what was committed to the last event`, async (t) => {
    const { weft, shm, out } = setUp(t);
    const trace = create(weft, shm, [`--${mode}`, '--subbuf-size=64k', '--num-subbuf=8']);
    const program = await weft.counter({ threads: 2 });
    await program.advance(200_000);
    killAll(weft, program);
    const made = program.made();
    const recovered = JSON.parse(weft.ok('--json', 'crash', '-x', out, shm)) as Recovered;
    assert.deepEqual(recovered.faults, []);
    cutBack(recovered);
    const checked = check(trace, out);
    assert.deepEqual(checked.errors, []);
    assert.equal(checked.duplicates, 0);
    assert.equal(checked.disorder, 0);
    // A thread that was killed between recording and confirming made one more than it knew.
    const emitted = made.reduce((sum, count) => sum + count, 0);
    const accounted = checked.recorded + checked.lost;
    assert.ok(accounted >= emitted && accounted <= emitted + 2, `${accounted} of ${emitted}`);
    const read = babeltrace(out);
    assert.equal(read.status, 0, read.complaints);
    assert.ok(read.events > 0);
    assert.doesNotMatch(read.complaints, /ERROR/);
  });
}

test('at a pace at which nothing is lost, trace and recovered rest are every number, in order, and the rest is silent', async (t) => {
  const { weft, shm, out } = setUp(t);
  const trace = create(weft, shm, ['--subbuf-size=256k', '--num-subbuf=8']);
  const program = await weft.counter({ threads: 1, periodNs: 5_000 });
  await program.advance(30_000);
  killAll(weft, program);
  const made = program.total();
  const recovered = JSON.parse(weft.ok('--json', 'crash', '-x', out, join(shm, readdirSync(shm)[0]!))) as Recovered;
  cutBack(recovered);
  const checked = check(trace, out);
  assert.deepEqual(checked.errors, []);
  assert.equal(checked.duplicates, 0);
  assert.equal(checked.lost, 0);
  assert.ok(checked.recorded === made || checked.recorded === made + 1, `${checked.recorded} of ${made}`);
  assert.equal(checked.threads['0']?.last, checked.recorded - 1);
  const read = babeltrace(out);
  assert.equal(read.status, 0, read.complaints);
  assert.equal(read.complaints, '');
});

test('the viewer shows what is recovered; a damaged ring set is named, and the others are recovered; what is no crash directory is refused', async (t) => {
  const { weft, shm, out } = setUp(t);
  create(weft, shm, ['--subbuf-size=64k', '--num-subbuf=4']);
  const program = await weft.counter({ events: 100 });
  await program.ended;
  killAll(weft);
  const [session] = readdirSync(shm) as [string];
  const uid = process.getuid!();
  const place = join(shm, session, `ust/uid/${uid}/64-bit`);
  assert.equal(statSync(join(place, 'ch.ring')).mode & 0o777, 0o600);
  assert.equal(statSync(place).mode & 0o777, 0o700);
  assert.deepEqual(viewed(weft, shm), { events: 100, left: [] });
  writeFileSync(join(place, 'bad.ring'), 'no ring');
  writeFileSync(join(place, 'bad.json'), '{"version":1}');
  const ran = weft.run('crash', '-v', '-x', out, shm);
  assert.equal(ran.status, 1);
  assert.match(ran.stderr, /bad: its description cannot be used/);
  assert.match(ran.stderr, /ch: 100 events/);
  assert.equal(babeltrace(out).events, 100);
  assert.equal(weft.run('crash', '-x', out, shm).status, 3, 'a trace that is there is not overwritten');

  truncateSync(join(place, 'ch.ring'), 4096);
  const short = weft.run('crash', '-x', `${out}-2`, shm);
  assert.equal(short.status, 3);
  assert.match(short.stderr, /4096 bytes instead of/);
  mkdirSync(join(weft.home, 'empty'));
  for (const words of [[join(weft.home, 'empty')], [join(weft.home, 'nothing')]])
    assert.equal(weft.run('crash', ...words).status, 3);
  for (const words of [[], [shm, shm], ['-x', out, '-e', 'cat', shm]]) assert.equal(weft.run('crash', ...words).status, 1);
});

test('when keeper, daemon and consumer come back the session goes on in its files; destroy removes them', async (t) => {
  const { weft, shm } = setUp(t);
  const said = weft.ok('create', 's', '-o', weft.trace('s'), '--shm-path', shm);
  assert.match(said, new RegExp(`^Shared memory path set to ${shm}/s-\\d{8}-\\d{6}$`, 'm'));
  weft.ok('enable-channel', '-u', 'ch', '--subbuf-size=1M', '--num-subbuf=8');
  weft.ok('enable-event', '-u', '-c', 'ch', 'weft_test:*');
  weft.ok('start');
  assert.match(weft.ok('list', 's'), new RegExp(`Shared memory path: ${shm}/s-`));
  const program = await weft.counter({ periodNs: 20_000 });
  await program.advance(1000);
  killAll(weft);
  await program.advance(1000);
  weft.ok('list');
  await program.advance(1000);
  await program.stop();
  weft.ok('stop', 's');
  weft.ok('destroy', 's');
  const checked = check(weft.trace('s'));
  assert.deepEqual(checked.errors, []);
  assert.equal(checked.recorded, program.total());
  assert.equal(checked.duplicates + checked.lost, 0);
  assert.deepEqual(readdirSync(shm), []);
});
