/** Old sessions of a relay go in small steps: links and viewers have their turn between them, however many files there are. */
import assert from 'node:assert/strict';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { measureBelow, removeBelow } from '../../actors/files-below.ts';
import { RelayDisk } from '../../actors/relay-disk.ts';
import { RelayParts } from '../../actors/relay-parts.ts';
import { evictOld } from '../../actors/relay-retention.ts';
import { RECORD } from '../../actors/relay-store.ts';

const FILES = 10_000;
const home = mkdtempSync(join(tmpdir(), 'weft-retention-'));
after(() => rmSync(home, { recursive: true, force: true }));

const write = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};

/** What the thread that serves links does in one turn of its loop, at most, until it is so: in µs of its own time, whoever else is busy. */
const longestTurn = async (isSo: () => boolean): Promise<number> => {
  let [longest, before] = [0, process.threadCpuUsage()];
  while (!isSo()) {
    await new Promise((resolve) => setImmediate(resolve));
    const { user, system } = process.threadCpuUsage(before);
    longest = Math.max(longest, user + system);
    before = process.threadCpuUsage();
  }
  return longest;
};

/** What it costs to look at all of it at once. */
const atOnce = (directory: string): number => {
  const before = process.threadCpuUsage();
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) lstatSync(join(directory, name));
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
};

test('a relay that looks at a session of many files and removes it takes a small part of that at a time', async () => {
  const output = join(home, 'out');
  const session = join(output, 'host/app-20260101-000000');
  const record = { v: 1, host: 'h', session: 'app', owner: '7', link: 'ab'.repeat(16), closed: true };
  write(join(session, RECORD), JSON.stringify(record));
  // Names of one file: they cost a disk less.
  write(join(session, 'ust/c'), 'x');
  for (let at = 0; at < FILES; at++) linkSync(join(session, 'ust/c'), join(session, 'ust', `c_${at}`));
  const told: string[] = [];
  const log = { info: (text: string) => void told.push(text), warn: () => {}, error: (text: string) => assert.fail(text) };
  const clock = { now: () => Date.now(), setTimeout: () => null, clearTimeout: () => {} };
  const ports = {
    clock,
    ids: { hex: () => '' },
    log,
    disk: new RelayDisk(100),
    connect: () => assert.fail('no bus is needed'),
  };
  const plain = { relay: 'r', output, uid: 0, groupBy: 'host', allowClear: true, window: 1 } as const;
  const parts = new RelayParts(ports as never, { ...plain, retainBytes: 1, retainAgeMs: 0 });
  const whole = atOnce(session);
  evictOld(parts);
  assert.equal(existsSync(session), true, 'it is not done before anybody else had a turn');
  const longest = await longestTurn(() => !parts.evicting);
  assert.deepEqual([told, existsSync(join(output, 'host'))], [['link evicted'], false]);
  assert.ok(longest < whole / 4, `${longest} µs in one turn, all at once would be ${whole}`);
});

test('a session that cannot be looked at, or removed, is told of, and the others go all the same', async () => {
  const output = join(home, 'partly');
  const record = { v: 1, host: 'h', session: 'app', owner: '7', link: 'ab'.repeat(16), closed: true };
  for (const name of ['a/one', 'a/two', 'b/four']) write(join(output, name, RECORD), JSON.stringify(record));
  for (const name of ['a/one', 'a/two', 'a/three', 'b/four']) write(join(output, name, 'ust/c'), 'x');
  symlinkSync(RECORD, join(output, 'a/three', RECORD));
  write(join(output, 'a/.evicted-two'), 'in the way');
  const complaints: string[] = [];
  const log = { info: () => {}, warn: () => {}, error: (_: string, of: object) => complaints.push(JSON.stringify(of)) };
  const ports = {
    clock: { now: () => Date.now() },
    log,
    disk: new RelayDisk(100),
    connect: () => assert.fail('no bus is needed'),
  };
  const plain = { relay: 'r', output, uid: 0, groupBy: 'host', allowClear: true, window: 1 } as const;
  const parts = new RelayParts(ports as never, { ...plain, retainBytes: 1, retainAgeMs: 0 });
  evictOld(parts);
  await parts.evicting;
  assert.deepEqual(readdirSync(output), ['a']);
  assert.deepEqual(readdirSync(join(output, 'a')).sort(), ['.evicted-two', 'three', 'two']);
  assert.equal(complaints.length, 2, complaints.join('\n'));
  assert.match(complaints[0]!, /a\/three.*ELOOP/);
  assert.match(complaints[1]!, /a\/two.*ENOTDIR/);
});

test('what lies below is measured, and removed with all that it has, but nothing that a link points to', async () => {
  const tree = join(home, 'tree');
  const elsewhere = join(home, 'elsewhere/kept');
  write(elsewhere, 'kept');
  for (const name of ['a', 'd/b', 'd/e/.c']) write(join(tree, name), '12345');
  utimesSync(join(tree, 'd/b'), 2_000_000_000, 2_000_000_000);
  symlinkSync(dirname(elsewhere), join(tree, 'd/link'));
  assert.deepEqual(await measureBelow(tree), { bytes: 15, changedMs: 2_000_000_000_000 });
  await removeBelow(tree);
  await removeBelow(tree);
  assert.deepEqual([existsSync(tree), existsSync(elsewhere)], [false, true]);
  assert.deepEqual(await measureBelow(tree), { bytes: 0, changedMs: 0 });
});
