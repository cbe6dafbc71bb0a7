/** Directories of ring files are nobody else's, and what a session leaves in them goes with it. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { realRingFiles } from '../../actors/ring-files.ts';
import { completeDocument, type SessionDocument } from '../../machines/document.ts';

const place = (t: TestContext): string => {
  const path = mkdtempSync(join(tmpdir(), 'weft-ring-files-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
};
const files = realRingFiles(process.getuid!());

test('a directory is made for this user alone, below directories that nobody else can replace', (t) => {
  const base = place(t);
  files.makeDirectory(join(base, 'a/b'));
  assert.equal(statSync(join(base, 'a')).mode & 0o777, 0o700);
  files.makeDirectory(join(base, 'a/b'));
  mkdirSync(join(base, 'open'));
  assert.throws(() => files.makeDirectory(join(base, 'open')), /not for this user alone/);
  chmodSync(join(base, 'open'), 0o777);
  assert.throws(() => files.makeDirectory(join(base, 'open/c')), /others may write/);
  symlinkSync(join(base, 'open'), join(base, 'link'));
  assert.throws(() => files.makeDirectory(join(base, 'link/c')), /others may write/);
  writeFileSync(join(base, 'file'), '');
  assert.throws(() => files.makeDirectory(join(base, 'file/c')), /no directory|ENOTDIR/);
});

test('the last ring set of a session takes the metadata and the directories with it', (t) => {
  const base = place(t);
  const directory = join(base, 'shm/s/ust/uid/1/64-bit');
  files.makeDirectory(directory);
  for (const name of ['a', 'b']) {
    files.describe(join(directory, name), '{}', 'metadata');
    for (const kind of ['ring', 'reader']) writeFileSync(join(directory, `${name}.${kind}`), '');
  }
  assert.equal(statSync(join(directory, 'a.json')).mode & 0o777, 0o600);
  assert.equal(files.open(join(directory, 'none')), null);
  files.remove(join(directory, 'a'));
  assert.equal(readFileSync(join(directory, 'metadata'), 'utf8'), 'metadata');
  assert.deepEqual(readdirSync(directory).sort(), ['b.json', 'b.reader', 'b.ring', 'metadata']);
  files.remove(join(directory, 'b'));
  assert.ok(!existsSync(join(base, 'shm/s')));
  assert.ok(existsSync(dirname(join(base, 'shm/s'))), 'what the user named stays');
});

test('a document of before has no ring buffers in files', () => {
  assert.equal(completeDocument({ createdAt: '' } as SessionDocument).shmPath, null);
});
