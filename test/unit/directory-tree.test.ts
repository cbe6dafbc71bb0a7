/** What lies below a directory, asked again and again: nothing that comes or goes is missed. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DirectoryTree } from '../../actors/directory-tree.ts';

test('files that come, go and move are seen each time, also in directories that were long as they were', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'weft-tree-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const tree = new DirectoryTree(join(root, 'spool'));
  const files = (): string[] => [...tree.files()].sort();
  const age = (...names: string[]): void => {
    for (const name of ['', ...names]) utimesSync(join(root, 'spool', name), 1_000, 1_000);
  };
  assert.deepEqual(files(), []);
  mkdirSync(join(root, 'spool/ust/index'), { recursive: true });
  writeFileSync(join(root, 'spool/ust/a'), '');
  writeFileSync(join(root, 'spool/ust/index/a.idx'), '');
  age('ust', 'ust/index');
  assert.deepEqual(files(), ['ust/a', 'ust/index/a.idx']);
  assert.deepEqual(files(), ['ust/a', 'ust/index/a.idx']);
  writeFileSync(join(root, 'spool/ust/index/b.idx'), '');
  assert.deepEqual(files(), ['ust/a', 'ust/index/a.idx', 'ust/index/b.idx']);
  renameSync(join(root, 'spool/ust'), join(root, 'spool/chunk'));
  assert.deepEqual(files(), ['chunk/a', 'chunk/index/a.idx', 'chunk/index/b.idx']);
  rmSync(join(root, 'spool/chunk/a'));
  assert.deepEqual(files(), ['chunk/index/a.idx', 'chunk/index/b.idx']);
  rmSync(join(root, 'spool'), { recursive: true });
  assert.deepEqual(files(), []);
});
