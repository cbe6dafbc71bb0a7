/** What a user relies on when a trace is rotated while real programs record: every event once, every chunk a trace of its own. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { PATIENCE_MS } from '../support/patience.ts';
import { babeltrace, checkTrace, Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

const archivesOf = (trace: string): string[] => {
  const directory = join(trace, 'archives');
  if (!existsSync(directory)) return [];
  const idOf = (name: string) => Number(name.slice(name.lastIndexOf('-') + 1));
  return readdirSync(directory)
    .sort((a, b) => idOf(a) - idOf(b))
    .map((name) => join(directory, name));
};

/** Each chunk is read without a word; how many events all of them hold. */
const readEach = (chunks: readonly string[]): number =>
  chunks
    .map((chunk) => {
      const { status, events, complaints } = babeltrace(chunk);
      assert.deepEqual([status, complaints.replaceAll(/^.*discarded.*$/gm, '').trim()], [0, ''], chunk);
      return events;
    })
    .reduce((sum, events) => sum + events, 0);

const recordedIn = (session: string): number =>
  Number(
    weft.json<{ session: { channels: { stats: { events: string } }[] } }>('list', session).session.channels[0]!.stats.events,
  );

const until = async (what: string, holds: () => boolean): Promise<void> => {
  for (const deadline = Date.now() + PATIENCE_MS; !holds(); await new Promise((done) => setTimeout(done, 20))) {
    assert.ok(Date.now() < deadline, what);
  }
};

test('ten rotations at full rate: recorded + lost = emitted, nothing twice, each chunk a trace of its own', async () => {
  const trace = weft.session('ten', ['--subbuf-size=4096', '--num-subbuf=2']);
  const program = await weft.counter({ threads: 2, events: 0 });
  const times: number[] = [];
  for (let i = 0; i < 10; i++) {
    await program.advance(20_000);
    const begin = performance.now();
    const said = weft.ok('rotate', 'ten');
    times.push(performance.now() - begin);
    assert.match(
      said,
      /^Trace chunk archive for session ten is now readable at \/.*\/archives\/\d{8}T\d{6}[+-]\d{4}-.*-\d+\n$/,
    );
  }
  await program.stop();
  const said = weft.ok('destroy', 'ten');
  assert.match(said, /Trace chunk archive for session ten is now readable at .*-10\n\nSession ten destroyed\n$/);
  assert.deepEqual(readdirSync(trace), ['archives']);
  const chunks = archivesOf(trace);
  assert.equal(chunks.length, 11);
  const checked = checkTrace(trace);
  assert.deepEqual([checked.errors, checked.duplicates], [[], 0]);
  assert.equal(checked.recorded + checked.lost, program.total());
  assert.equal(readEach(chunks), checked.recorded);
  console.log(`weft rotate: ${times.map((ms) => Math.round(ms)).join(' ')} ms`);
});

test('a stopped session is rotated once; the next start goes on in a new chunk', async () => {
  const trace = weft.session('stopped');
  const program = await weft.counter({ threads: 1, periodNs: 20_000 });
  await program.advance(500);
  weft.ok('stop', 'stopped');
  weft.ok('rotate', 'stopped');
  assert.deepEqual(readdirSync(trace), ['archives']);
  const again = weft.run('rotate', 'stopped');
  assert.equal(again.status, 1);
  assert.match(again.stderr, /rotated since it was stopped/);
  const first = checkTrace(trace).recorded;
  weft.ok('start', 'stopped');
  await program.advance(500);
  weft.ok('stop', 'stopped');
  assert.equal(readdirSync(trace).length, 2);
  assert.ok(checkTrace(trace).recorded >= first + 500);
  weft.ok('destroy', 'stopped');
  await program.stop();
  assert.deepEqual(readdirSync(trace), ['archives']);
  const checked = checkTrace(trace);
  assert.deepEqual([checked.errors, checked.duplicates, checked.lost], [[], 0, 0]);
  assert.equal(readEach(archivesOf(trace)), checked.recorded);
});

test('kill -9 of daemon and consumer while a session rotates: every event once all the same', async () => {
  const trace = weft.session('killed', ['--subbuf-size=1M', '--num-subbuf=8']);
  const program = await weft.counter({ threads: 1, periodNs: 20_000 });
  for (const role of ['consumer', 'sessiond', 'consumer'] as const) {
    await program.advance(500);
    weft.ok('rotate', 'killed', '--no-wait');
    process.kill(weft.readPid(role), 'SIGKILL');
    await until('the rotation ends', () => {
      const ran = weft.run('--json', 'list', 'killed');
      return (
        ran.status === 0 &&
        !(JSON.parse(ran.stdout) as { session: { rotation: { ongoing: boolean } } }).session.rotation.ongoing
      );
    });
  }
  await program.advance(500);
  await program.stop();
  weft.ok('destroy', 'killed');
  const checked = checkTrace(trace);
  assert.deepEqual([checked.errors, checked.duplicates], [[], 0]);
  assert.equal(checked.recorded + checked.lost, program.total());
  assert.equal(readEach(archivesOf(trace)), checked.recorded);
  assert.equal(archivesOf(trace).length, 4);
});

test('a session rotates by itself by time and by size, until told not to', async () => {
  const trace = weft.session('alone');
  const program = await weft.counter({ threads: 1, periodNs: 10_000 });
  assert.equal(
    weft.ok('enable-rotation', '-s', 'alone', '--timer=200ms'),
    'Enabled periodic rotations every 200000 us on session alone\n',
  );
  assert.match(weft.ok('list', 'alone'), /Automatic rotation schedules:\n +timer period: 200000 us/);
  assert.match(weft.run('enable-rotation', '-s', 'alone', '--timer=1s').stderr, /periodic rotation schedule already/);
  await until('rotations by time', () => archivesOf(trace).length >= 2);
  assert.equal(weft.ok('disable-rotation', '-s', 'alone', '--timer'), 'Disabled periodic rotations on session alone\n');
  weft.ok('rotate', 'alone');
  const before = archivesOf(trace).length;
  weft.ok('enable-rotation', '-s', 'alone', '--size=64k');
  await until('a rotation by size', () => archivesOf(trace).length > before);
  weft.ok('disable-rotation', '-s', 'alone', '--size');
  await program.stop();
  weft.ok('destroy', 'alone');
  const checked = checkTrace(trace);
  assert.deepEqual([checked.errors, checked.duplicates], [[], 0]);
  assert.equal(readEach(archivesOf(trace)), checked.recorded);
});

test('clear forgets what was recorded and counts nothing as lost', async () => {
  const trace = weft.session('cleared');
  await (await weft.counter({ threads: 1, events: 5_000 })).ended;
  assert.equal(weft.ok('clear', 'cleared'), 'Session "cleared" cleared\n');
  assert.equal(recordedIn('cleared'), 5_000);
  await (await weft.counter({ threads: 1, events: 100 })).ended;
  weft.ok('stop', 'cleared');
  const checked = checkTrace(trace);
  assert.deepEqual([checked.recorded, checked.duplicates, checked.errors], [100, 0, []]);
  const read = babeltrace(trace);
  assert.deepEqual([read.events, read.discarded, read.complaints], [100, 0, '']);
  weft.ok('clear', 'cleared');
  assert.equal(checkTrace(trace).recorded, 0);
  assert.match(weft.run('rotate', 'cleared').stderr, /was cleared since it was stopped/);
  weft.ok('destroy', 'cleared');
});

test('regenerate writes the metadata anew; what cannot be is said', async () => {
  const trace = weft.session('again');
  await (await weft.counter({ events: 10 })).ended;
  assert.equal(weft.ok('regenerate', 'metadata', '-s', 'again'), 'Metadata successfully regenerated for session again\n');
  assert.equal(weft.ok('metadata', 'regenerate', '-s', 'again'), 'Metadata successfully regenerated for session again\n');
  assert.equal(weft.run('regenerate', 'nothing', '-s', 'again').status, 2);
  assert.equal(weft.run('regenerate').status, 1);
  weft.ok('stop', 'again');
  assert.equal(weft.run('regenerate', 'metadata', '-s', 'again').status, 1);
  assert.equal(babeltrace(trace).events, 10);
  weft.ok('destroy', 'again');
});
