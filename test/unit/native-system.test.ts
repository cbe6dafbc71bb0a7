import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { native, temporary } from './native-support.ts';

test('a lock is held by one process at a time and ends with it', () => {
  using folder = temporary();
  const path = join(folder.path, 'lock');
  const index = new URL('../../native/addon/index.ts', import.meta.url).href;
  const tryElsewhere = (): number | null =>
    spawnSync(process.execPath, [
      '--input-type=module',
      '-e',
      `const { loadNative } = await import(${JSON.stringify(index)}); process.exit(loadNative().lockFile(${JSON.stringify(path)}) ? 0 : 3);`,
    ]).status;
  const lock = native.lockFile(path);
  assert.ok(lock);
  assert.equal(tryElsewhere(), 3);
  lock.close();
  assert.equal(tryElsewhere(), 0);
  assert.ok(native.lockFile(path), 'the process that held it has ended');
  assert.throws(() => native.lockFile(join(folder.path, 'none', 'lock')), { name: 'NativeError', code: 'ENOENT' });
});

test('the clock page tells the kernel’s monotonic time', () => {
  using folder = temporary();
  const clock = native.openClockPage(join(folder.path, 'clock'));
  const before = process.hrtime.bigint();
  const now = clock.now();
  const after = process.hrtime.bigint();
  assert.ok(now >= before - 1000n && now <= after + 1000n, `${before} <= ${now} <= ${after}`);
  assert.ok(clock.readOnlyFd > 2);
  clock.close();
  clock.close();
  assert.throws(() => clock.now(), { code: 'EBADF' });
});

/** As far as a reading may be off, ns. */
const WIDTH = 20_000n;

test('real time minus monotonic time: as the system’s own clocks have it, however busy the machine', () => {
  const began = process.hrtime.bigint();
  const offsets = Array.from({ length: 1_000 }, () => {
    const offset = native.clockOffset();
    // The processor may be lost between any two of these readings: only what was read before and after the monotonic time bounds it.
    const [first, monotonic, last] = [Date.now(), process.hrtime.bigint(), Date.now() + 1];
    const [earliest, latest] = [offset + monotonic - WIDTH, offset + monotonic + WIDTH].map((at) => Number(at / 1_000_000n));
    assert.ok(latest! >= first && earliest! <= last, `${first} <= ${earliest} to ${latest} <= ${last}`);
    return offset;
  });
  const slewed = (process.hrtime.bigint() - began) / 1_000n; // twice what the kernel steers real time by
  const [least, most] = [...offsets].sort((a, b) => (a < b ? -1 : 1)).filter((_, at) => at === 0 || at === offsets.length - 1);
  assert.ok(most! - least! < WIDTH + slewed, `${least} to ${most}`);
});

test('waking applications without any waiting does no harm', () => {
  native.wakeApplications(4_000_000);
  assert.throws(() => native.wakeApplications(-1), TypeError);
});

test('closing an fd that is not open is an error with a code', () => {
  assert.throws(() => native.closeFd(999_999), { name: 'NativeError', code: 'EBADF' });
});

test('a hole reads as zeros, takes no room and leaves the length', () => {
  using folder = temporary();
  const path = join(folder.path, 'file');
  writeFileSync(path, Buffer.alloc(1 << 20, 1));
  const fd = openSync(path, 'r+');
  try {
    native.punchHole(fd, 4096, 1 << 19);
    assert.throws(() => native.punchHole(fd, 0, 0), { name: 'NativeError', code: 'EINVAL' });
  } finally {
    closeSync(fd);
  }
  const bytes = readFileSync(path);
  assert.deepEqual([bytes.length, bytes[4095], bytes[4096], bytes[4096 + (1 << 19)]], [1 << 20, 1, 0, 1]);
  assert.ok(statSync(path).blocks * 512 <= (1 << 19) + 8192);
});
