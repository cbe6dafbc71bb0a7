/** A trace whose disk takes nothing more: recording pauses with an alarm, what is lost meanwhile is counted, and it goes on by itself. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { checkTrace as checkFiles } from '../../ctf/check-trace.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { babeltrace, checkTrace, Weft } from '../support/weft.ts';

const MIB = 1024 * 1024;
const CHANNEL = ['--subbuf-size=64K', '--num-subbuf=4'];

interface View {
  readonly session: { readonly alarms: readonly { readonly path: string; readonly cause: string; readonly lost: string }[] };
}

const alarmsOf = (weft: Weft): View['session']['alarms'] => weft.json<View>('list', 's').session.alarms;

const until = async <T>(what: string, ask: () => T | null): Promise<T> => {
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; ) {
    const found = ask();
    if (found !== null) return found;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`waited too long: ${what}`);
};

const alarm = (weft: Weft) => until('an alarm', () => alarmsOf(weft)[0] ?? null);
const noAlarm = (weft: Weft) => until('the end of the alarm', () => (alarmsOf(weft).length === 0 ? true : null));

/** A file system with 1 MiB of room, until `makeRoom`; null: this user may not mount one. */
const smallDisk = (t: TestContext): { readonly path: string; makeRoom(): void } | null => {
  const path = mkdtempSync(join(tmpdir(), 'weft-small-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${32 * MIB}`, 'tmpfs', path], { stdio: 'ignore' });
  } catch {
    rmdirSync(path);
    t.skip('mounting a file system takes root');
    return null;
  }
  t.after(() => {
    execFileSync('umount', ['-l', path]);
    rmdirSync(path);
  });
  const ballast = join(path, 'ballast');
  writeFileSync(ballast, Buffer.alloc(31 * MIB));
  return { path, makeRoom: () => rmSync(ballast) };
};

const withWeft = (t: TestContext): Weft => {
  const weft = new Weft();
  t.after(() => weft.dispose());
  return weft;
};

const record = (weft: Weft, output: string): void => {
  weft.ok('create', 's', '-o', output);
  weft.ok('enable-channel', '-u', '-s', 's', 'ch', ...CHANNEL);
  weft.ok('enable-event', '-u', '-s', 's', '-c', 'ch', 'weft_test:*');
  weft.ok('start', 's');
};

const assertExact = (output: string, emitted: number): ReturnType<typeof checkTrace> => {
  const checked = checkTrace(output);
  assert.deepEqual([...checked.errors, ...checkFiles(output).errors], []);
  assert.equal(checked.duplicates + checked.disorder, 0);
  assert.equal(checked.recorded + checked.lost, emitted);
  const read = babeltrace(output);
  assert.deepEqual(
    { status: read.status, complaints: read.complaints, events: read.events },
    { status: 0, complaints: '', events: checked.recorded },
  );
  return checked;
};

test('disk full: an alarm, an exact count of what is lost, and recording again when space returns', async (t) => {
  const weft = withWeft(t);
  const disk = smallDisk(t);
  if (disk === null) return;
  const output = join(disk.path, 'trace');
  record(weft, output);
  const program = await weft.counter({ threads: 2, periodNs: 20_000 });
  const { path, cause } = await alarm(weft);
  assert.ok(path.startsWith(output));
  assert.match(cause, /No space left on device/);
  await program.advance(100_000);
  const said = weft.ok('list', 's');
  const lost = Number(/Alarm: writing to .* failed: .*; recording pauses, (\d+) events lost so far/.exec(said)?.[1]);
  assert.ok(lost > 0, said);
  disk.makeRoom();
  await noAlarm(weft);
  assert.doesNotMatch(weft.ok('list', 's'), /Alarm/);
  await program.stop();
  weft.ok('stop', 's');
  weft.ok('destroy', 's');
  const checked = assertExact(output, program.total());
  assert.ok(checked.lost >= lost);
});

test('disk full: stop and destroy say so, lose nothing of what the buffers hold, and can be repeated', async (t) => {
  const weft = withWeft(t);
  const disk = smallDisk(t);
  if (disk === null) return;
  const output = join(disk.path, 'trace');
  record(weft, output);
  const program = await weft.counter({ threads: 1, periodNs: 10_000 });
  await alarm(weft);
  await program.stop();
  for (const command of ['stop', 'destroy', 'destroy']) {
    const refused = weft.run(command, 's');
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /No space left on device/);
  }
  disk.makeRoom();
  weft.ok('destroy', 's');
  assertExact(output, program.total());
});

test('a file that may not grow: the same, with the cause that the system names', async (t) => {
  const weft = withWeft(t);
  const output = weft.trace('s');
  record(weft, output);
  const program = await weft.counter({ threads: 2, periodNs: 20_000 });
  const limit = (bytes: string) =>
    execFileSync('prlimit', ['--pid', String(weft.readPid('consumer')), `--fsize=${bytes}:unlimited`]);
  limit(String(MIB));
  assert.match((await alarm(weft)).cause, /File too large/);
  await program.advance(20_000);
  limit('unlimited');
  await noAlarm(weft);
  await program.stop();
  weft.ok('stop', 's');
  weft.ok('destroy', 's');
  assertExact(output, program.total());
});

test('a trace that is removed while it grows: an alarm, not silence; the session can be destroyed', async (t) => {
  const weft = withWeft(t);
  const output = weft.trace('s');
  record(weft, output);
  const program = await weft.counter({ threads: 1, periodNs: 20_000 });
  await program.advance(10_000);
  rmSync(output, { recursive: true });
  assert.match((await alarm(weft)).cause, /removed/);
  await program.stop();
  assert.match(weft.run('destroy', 's').stderr, /removed/);
  assert.deepEqual(weft.json<{ sessions: unknown[] }>('list').sessions, []);
});
