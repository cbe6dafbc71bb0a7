/** Files of a relay, more of them than descriptors: what was written to one is in that one, and `sync` says so only when it is. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { RelayDisk } from '../../actors/relay-disk.ts';
import { writeWhole } from '../../transport/private-file.ts';

const home = mkdtempSync(join(tmpdir(), 'weft-relay-disk-'));
after(() => rmSync(home, { recursive: true, force: true }));

test('more files than descriptors are made durable together, while others are written to', async () => {
  const limit = 10;
  const disk = new RelayDisk(limit);
  const files = Array.from({ length: 14 }, (_, at) => join(home, `many/${at}`));
  const more = files.map((file) => `${file}-more`);
  for (let round = 0; round < 4; round++) {
    for (const file of files) disk.write(file, round * 200, Buffer.from(`${file}\n`));
    const syncs = [disk.sync(files), disk.sync(more), disk.sync(files.toReversed())];
    for (const file of more) disk.write(file, round * 200, Buffer.from(`${file}\n`));
    await Promise.all(syncs);
  }
  const openNow = readdirSync('/proc/self/fd').length;
  for (const file of [...files, ...more]) {
    const words = readFileSync(file, 'utf8').replaceAll('\0', '').trim().split('\n');
    assert.deepEqual(words, Array(4).fill(file));
  }
  disk.close();
  const kept = openNow - readdirSync('/proc/self/fd').length;
  assert.ok(kept >= 1 && kept <= limit, `${kept} were open`);
});

test('a file that is moved while its turn has not come is made durable where it lies then; one that is gone needs nothing', async () => {
  const disk = new RelayDisk(4);
  const names = Array.from({ length: 12 }, (_, at) => `f${at}`);
  let directory = join(home, 'before');
  for (const name of names) disk.write(join(directory, name), 0, Buffer.from(name));
  const synced = disk.sync(names.map((name) => () => join(directory, name)));
  disk.move(directory, join(home, 'behind'));
  directory = join(home, 'behind');
  disk.remove(join(directory, 'f11'));
  await synced;
  assert.ok(!readdirSync(home).includes('before'), 'nothing was made anew');
  assert.deepEqual(readdirSync(directory).sort(), names.slice(0, 11).sort());
  disk.close();
});

test('directories whose names could not be made durable are tried again', async () => {
  class Failing extends RelayDisk {
    failed = 0;
    override async syncDirectory(path: string): Promise<void> {
      if (this.failed++ === 0) throw Object.assign(new Error('bad disk'), { code: 'EIO' });
      synced.push(path);
    }
  }
  const synced: string[] = [];
  const disk = new Failing(10);
  disk.write(join(home, 'new/deep/file'), 0, Buffer.from('x'));
  await assert.rejects(disk.sync([]), /bad disk/);
  await disk.sync([]);
  for (const directory of [home, join(home, 'new'), join(home, 'new/deep')]) assert.ok(synced.includes(directory), directory);
  const before = synced.length;
  await disk.sync([]);
  assert.equal(synced.length, before, 'once is enough');
  disk.close();
});

test('what takes the place of a file is whole', async () => {
  const disk = new RelayDisk(10);
  const path = join(home, 'metadata');
  disk.writeBeside(path, Buffer.from('first'));
  assert.ok(!readdirSync(home).includes('metadata'));
  disk.takePlace(path);
  disk.replace(path, Buffer.from('2'));
  assert.equal(readFileSync(path, 'utf8'), '2');
  disk.takePlace(path);
  assert.equal(readFileSync(path, 'utf8'), '2', 'nothing waits for it');
  disk.close();
});

test('a small file of which the disk takes a part only is an error, and the one before stays', () => {
  const path = join(home, 'small');
  writeWhole(path, 'before', 0o600);
  const module = join(import.meta.dirname, '../../transport/private-file.ts');
  const program = `import { writeWhole } from '${module}'; writeWhole('${path}', 'x'.repeat(3000), 0o600);`;
  // A file may have one block, of at most 1024 bytes: the system writes as much, and says so.
  const words = ['-c', 'ulimit -f 1; exec "$0" --input-type=module -e "$1"', process.execPath, program];
  const { status, stderr } = spawnSync('sh', words, { encoding: 'utf8' });
  assert.notEqual(status, 0);
  assert.match(stderr, /EFBIG/);
  assert.equal(readFileSync(path, 'utf8'), 'before');
  assert.deepEqual(
    readdirSync(home).filter((name) => name.startsWith('small')),
    ['small'],
  );
});
