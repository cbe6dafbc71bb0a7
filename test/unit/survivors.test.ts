/** What a daemon takes from who outlived its keeper: memory that it made itself under that name, and nothing else. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Host, Log } from '../../actors/ports.ts';
import { realSurvivors } from '../../actors/survivors.ts';
import { loadNative } from '../../native/addon/index.ts';

const UID = process.getuid!();
const silent: Log = { info: () => {}, warn: () => {}, error: () => {} };
const RING = 'a'.repeat(31);
const geometry = {
  cpuCount: 1,
  subbufSize: 4096,
  subbufCount: 2,
  mode: 'discard',
  sync: 'rseq',
  allocation: 'per-cpu',
} as const;

const survivorsIn = (t: TestContext, uid = UID) => {
  const runtime = mkdtempSync(join(tmpdir(), 'weft-survivors-'));
  t.after(() => rmSync(runtime, { recursive: true }));
  return { runtime, survivors: realSurvivors({ uid } as Host, runtime, silent) };
};

/** A process that holds these descriptors, as 3 and on. */
const holder = async (t: TestContext, fds: readonly number[], script = 'echo ready; exec sleep 60'): Promise<ChildProcess> => {
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore', ...fds] });
  t.after(() => child.kill('SIGKILL'));
  await new Promise<void>((resolve) => child.stdout!.once('data', () => resolve()));
  return child;
};

const memory = (t: TestContext, ringId: string) => {
  const native = loadNative();
  const { ringFd, readerFd, readerFdReadOnly } = native.createRingSet({ ringId, geometry, cpus: [0] });
  t.after(() => {
    for (const fd of [ringFd, readerFd, readerFdReadOnly]) native.closeFd(fd);
  });
  return { native, fds: [ringFd, readerFd] as const, writable: ringFd };
};

test('memory that this daemon made is found with the process that holds it, writable again', async (t) => {
  const ringId = `${RING}1`;
  const { native, fds, writable } = memory(t, ringId);
  const { survivors } = survivorsIn(t);
  const other = memory(t, `${RING}2`);
  const child = await holder(t, [...other.fds, ...fds]);
  survivors.note(UID, child.pid!);
  const [ringFd, readerFd] = survivors.memoryOf(UID, ringId)!;
  assert.equal(fstatSync(ringFd).ino, fstatSync(writable).ino);
  const taken = native.adoptRingSet({ ringFd, readerFd, ringId, geometry });
  for (const fd of [ringFd, readerFd, taken.readerFdReadOnly]) native.closeFd(fd);
  assert.equal(survivors.memoryOf(UID, `${RING}3`), null);
});

/** Looks like the vault of a keeper that serves `runtime`; ends with its input. */
const vault = async (t: TestContext, fds: readonly number[], runtime: string): Promise<ChildProcess> => {
  const child = spawn('sh', ['-c', 'echo ready; read line', 'sh', '--runtime', runtime], {
    argv0: '/opt/weft-vault',
    stdio: ['pipe', 'pipe', 'ignore', ...fds],
  });
  t.after(() => child.kill('SIGKILL'));
  await new Promise<void>((resolve) => child.stdout!.once('data', () => resolve()));
  return child;
};

test('memory lies with the vault of a keeper that is gone; it is let go when it is elsewhere, those of others are not', async (t) => {
  const ringId = `${RING}8`;
  const { fds, writable } = memory(t, ringId);
  const { runtime, survivors } = survivorsIn(t);
  const [left, present] = [await vault(t, fds, runtime), await vault(t, [], `${runtime}-other`)];
  const [ringFd, readerFd] = survivors.memoryOf(UID, ringId)!;
  assert.equal(fstatSync(ringFd).ino, fstatSync(writable).ino);
  for (const fd of [ringFd, readerFd]) loadNative().closeFd(fd);
  survivors.releaseVaults(process.pid);
  assert.deepEqual([left.killed, left.signalCode], [false, null], 'it is a child of the keeper that serves now');
  const ended = new Promise<string | null>((resolve) => left.once('exit', (_, signal) => resolve(signal)));
  survivors.releaseVaults(1);
  assert.equal(await ended, 'SIGKILL');
  assert.deepEqual([present.exitCode, present.signalCode], [null, null]);
});

/** Leaves no descriptor for anything while `act` runs. */
const withoutDescriptors = (act: () => void): void => {
  const limit = (soft: string): void =>
    assert.equal(spawnSync('prlimit', ['--pid', String(process.pid), `--nofile=${soft}:`]).status, 0);
  const taken: number[] = [];
  const before = /open files +(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))![1]!;
  limit('256');
  try {
    assert.throws(() => {
      for (;;) taken.push(openSync('/dev/null', 'r'));
    }, /EMFILE/);
    act();
  } finally {
    for (const fd of taken) closeSync(fd);
    limit(before);
  }
};

test('without descriptors to look with, memory is not taken for lost: the start fails, and the vault stays for the next one', async (t) => {
  const ringId = `${RING}9`;
  const { fds } = memory(t, ringId);
  const { runtime, survivors } = survivorsIn(t);
  const left = await vault(t, fds, runtime);
  withoutDescriptors(() => {
    assert.throws(() => survivors.memoryOf(UID, ringId), { code: 'EMFILE' });
    survivors.releaseVaults(1);
  });
  for (const fd of survivors.memoryOf(UID, ringId)!) closeSync(fd);
  withoutDescriptors(() => assert.throws(() => survivors.memoryOf(UID, ringId), { code: 'EMFILE' }, 'it knows where it is'));
  assert.equal(left.signalCode, null);
});

test('all vaults are looked through once, not again for every ring', async (t) => {
  const ringId = `${RING}a`;
  const { fds } = memory(t, ringId);
  const { runtime, survivors } = survivorsIn(t);
  assert.equal(survivors.memoryOf(UID, ringId), null);
  await vault(t, fds, runtime);
  assert.equal(survivors.memoryOf(UID, ringId), null);
});

test("a vault of another user, and one that sees other mounts, as a container's, are neither asked nor ended", async (t) => {
  if (UID !== 0 || spawnSync('unshare', ['--mount', 'true']).status !== 0)
    return t.skip('takes root that may unshare its mounts');
  const ringId = `${RING}b`;
  const { fds } = memory(t, ringId);
  const { runtime, survivors } = survivorsIn(t);
  const posing = `exec -a /opt/weft-vault sh -c 'echo ready; read line' sh --runtime '${runtime}'`;
  const commands = [
    ['unshare', '--mount', 'bash', '-c', posing],
    ['setpriv', '--reuid=65534', 'bash', '-c', posing],
  ] as const;
  for (const [program, ...words] of commands) {
    const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'ignore', ...fds] });
    t.after(() => child.kill('SIGKILL'));
    await new Promise<void>((resolve) => child.stdout!.once('data', () => resolve()));
    const pid = child.pid!;
    assert.match(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), /^\/opt\/weft-vault\0/);
    survivors.releaseVaults(1);
    assert.equal(child.kill(0), true);
    assert.deepEqual([child.exitCode, child.signalCode], [null, null]);
  }
  assert.equal(survivors.memoryOf(UID, ringId), null);
});

test('the counters of a map are found with whoever holds them read-only, writable again', async (t) => {
  const [mapId, shape] = [`${RING}6`, { cpuCount: 1, slots: 1, bits: 64 }] as const;
  const native = loadNative();
  const { fd } = native.createMap({ mapId, ...shape });
  const { survivors } = survivorsIn(t);
  const lent = survivors.readOnly(fd);
  survivors.note(UID, (await holder(t, [lent])).pid!);
  const found = survivors.mapOf(UID, mapId)!;
  assert.equal(fstatSync(found).ino, fstatSync(fd).ino);
  native.adoptMap({ fd: found, mapId, ...shape });
  native.clearMap({ fd: found, first: 0, count: 1, ...shape });
  assert.throws(() => native.clearMap({ fd: lent, first: 0, count: 1, ...shape }));
  for (const one of [fd, lent, found]) native.closeFd(one);
  assert.equal(survivors.mapOf(UID, `${RING}7`), null);
});

test('half a ring set, and memory that another user made, are nothing', async (t) => {
  const ringId = `${RING}4`;
  const { fds } = memory(t, ringId);
  const { survivors } = survivorsIn(t);
  survivors.note(UID, (await holder(t, [fds[0]])).pid!);
  assert.equal(survivors.memoryOf(UID, ringId), null);
  const stranger = survivorsIn(t, UID + 1).survivors;
  stranger.note(UID, (await holder(t, fds)).pid!);
  assert.equal(stranger.memoryOf(UID, ringId), null);
});

test('a file that bears the name of a ring is not opened', async (t) => {
  const ringId = `${RING}5`;
  const { runtime, survivors } = survivorsIn(t);
  const path = join(runtime, `memfd:weft-ring-${ringId} (deleted)`);
  writeFileSync(path, '');
  const child = await holder(t, [], `exec 3<>'${path}' 4<>'${path}'; echo ready; exec sleep 60`);
  survivors.note(UID, child.pid!);
  assert.equal(survivors.memoryOf(UID, ringId), null);
});

test('another process under the same pid is left alone', async (t) => {
  const { runtime, survivors } = survivorsIn(t);
  const child = await holder(t, []);
  survivors.note(UID, child.pid!);
  const file = join(runtime, `consumer-${UID}.pid`);
  writeFileSync(file, `${readFileSync(file, 'utf8').split(' ')[0]} 1\n`);
  await survivors.end(UID);
  assert.equal(child.exitCode, null);
  assert.equal(child.signalCode, null);
  survivors.note(UID + 1, child.pid!);
  await survivors.end(UID + 1);
  assert.equal(child.signalCode, null);
});

test('the survivor is told to end, and is gone afterwards', async (t) => {
  const { survivors } = survivorsIn(t);
  await survivors.end(UID);
  const child = await holder(t, []);
  const ended = new Promise<string | null>((resolve) => child.once('exit', (_, signal) => resolve(signal)));
  survivors.note(UID, child.pid!);
  await survivors.end(UID);
  assert.equal(await ended, 'SIGTERM');
});
