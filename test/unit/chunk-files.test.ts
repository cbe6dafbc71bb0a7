/** Chunks on a disk: moved once however often that is asked, and cleared without touching what is still written. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { chunkFiles } from '../../actors/chunk-files.ts';

const root = mkdtempSync(join(tmpdir(), 'weft-chunks-'));
after(() => rmSync(root, { recursive: true, force: true }));

let outputs = 0;
const output = (): string => {
  const directory = join(root, `output-${outputs++}`);
  mkdirSync(directory);
  return directory;
};

const trace = (directory: string): string => {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'metadata'), 'm');
  writeFileSync(join(directory, 'ch_0'), 'data');
  return directory;
};

test('of the first chunk only the traces are moved: what else lies in the output stays', () => {
  const at = output();
  trace(join(at, 'ust/uid/1/64-bit'));
  writeFileSync(join(at, 'notes'), 'mine');
  for (let i = 0; i < 2; i++) chunkFiles.archive(at, '', 'archives/a-b-0');
  assert.deepEqual(readdirSync(at).sort(), ['archives', 'notes']);
  assert.ok(existsSync(join(at, 'archives/a-b-0/ust/uid/1/64-bit/ch_0')));
});

test('a later chunk is moved whole; asked again nothing happens, nor when it never had a directory', () => {
  const at = output();
  trace(join(at, 'a-1/ust/uid/1/64-bit'));
  for (let i = 0; i < 2; i++) chunkFiles.archive(at, 'a-1', 'archives/a-b-1');
  chunkFiles.archive(at, 'b-2', 'archives/b-c-2');
  assert.deepEqual(readdirSync(at), ['archives']);
  assert.ok(existsSync(join(at, 'archives/a-b-1/ust/uid/1/64-bit/metadata')));
  assert.deepEqual(readdirSync(join(at, 'archives/b-c-2')), []);
});

test('clearing removes the traces that nobody writes any more, of this chunk only', () => {
  const at = output();
  const [written, ended] = [trace(join(at, 'ust/uid/1/64-bit')), trace(join(at, 'ust/pid/p-1-2'))];
  const archived = trace(join(at, 'archives/a-b-0/ust/uid/1/64-bit'));
  chunkFiles.removeTraces(at, [written]);
  assert.deepEqual([written, ended, archived].map(existsSync), [true, false, true]);
  chunkFiles.removeTraces(join(at, 'never'), []);
});
