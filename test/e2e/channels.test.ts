/** The options of channels, with real programs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkTrace as checkFiles } from '../../ctf/check-trace.ts';
import { babeltrace, checkTrace, Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

/** Records `threads` x `events` into a channel with these options; what was emitted. */
const recorded = async (name: string, options: string[], threads: number, events: number): Promise<string> => {
  const trace = weft.session(name, options);
  const program = await weft.counter({ threads, events });
  await program.ended;
  weft.ok('stop', name);
  return trace;
};

const exact = (trace: string, emitted: number) => {
  const checked = checkTrace(trace);
  assert.deepEqual(checked.errors, []);
  assert.equal(checked.duplicates + checked.disorder, 0);
  assert.equal(checked.recorded + checked.lost, emitted);
  const read = babeltrace(trace);
  assert.equal(read.status, 0, read.complaints);
  assert.equal(read.events, checked.recorded);
  return checked;
};

for (const lock of [false, true]) {
  test(`a blocking channel loses nothing at full speed, small as its buffers are${lock ? ', in lock mode' : ''}`, async () => {
    const name = `blocking${lock}`;
    const trace = weft.session(name, ['--blocking-timeout=inf', '--subbuf-size=16k', '--num-subbuf=2']);
    const env = lock ? { WEFT_UST_FORCE_LOCK: '1' } : {};
    const program = await weft.counter({ threads: 2, events: 150_000, env });
    await program.ended;
    weft.ok('stop', name);
    assert.equal(exact(trace, 300_000).lost, 0);
    weft.ok('destroy', name);
  });
}

test('while the consumer stands the program waits; it goes on with it, and after a stop it runs free', async () => {
  weft.session('stopped', ['--blocking-timeout=inf', '--subbuf-size=4096', '--num-subbuf=2']);
  const program = await weft.counter({ threads: 2 });
  await program.advance(1000);
  const consumer = weft.readPid('consumer');
  process.kill(consumer, 'SIGSTOP');
  const standing = async (): Promise<void> => {
    for (let before = -1; before !== program.total(); ) {
      before = program.total();
      await new Promise((wait) => setTimeout(wait, 100));
    }
  };
  await standing();
  process.kill(consumer, 'SIGCONT');
  await program.advance(1000);
  weft.ok('stop', 'stopped');
  await program.advance(1000);
  await program.stop();
  weft.ok('destroy', 'stopped');
});

test('trace files have a size and a count; the newest packets stay', async () => {
  const files = ['--tracefile-size=8192', '--tracefile-count=2', '--subbuf-size=4096', '--blocking-timeout=inf'];
  const trace = await recorded('files', files, 1, 20_000);
  const streams = readdirSync(join(trace, 'ust/uid', String(process.getuid!()), '64-bit')).filter((file) =>
    /^ch.*_\d+_\d+$/.test(file),
  );
  assert.ok(streams.length >= 2 && streams.every((file) => /_[01]$/.test(file)), streams.join(' '));
  assert.equal(babeltrace(trace).status, 0);
  weft.ok('destroy', 'files');
});

test('one ring for the whole channel: one stream without cpu_id, which every program shares', async () => {
  const trace = weft.session('shared', ['--buffer-allocation=per-channel', '--blocking-timeout=inf', '--subbuf-size=64k']);
  const confirm = join(weft.home, 'shared');
  const programs = await Promise.all([0, 2].map((first) => weft.counter({ threads: 2, events: 40_000, confirm, first })));
  await Promise.all(programs.map(({ ended }) => ended));
  weft.ok('stop', 'shared');
  assert.equal(exact(trace, 160_000).lost, 0);
  assert.deepEqual(checkFiles(trace).errors, []);
  const directory = join(trace, 'ust/uid', String(process.getuid!()), '64-bit');
  assert.deepEqual(readdirSync(directory).sort(), ['ch', 'index', 'metadata']);
  assert.match(weft.ok('list', 'shared'), /Allocation: {7}per-channel/);
  const read = spawnSync('babeltrace2', [trace], { encoding: 'utf8', maxBuffer: 1 << 28 });
  assert.ok(!read.stdout.includes('cpu_id'));
  weft.ok('destroy', 'shared');
});

test('channels of both allocations stand in one trace; cpu_id is a context where it is asked for', async () => {
  weft.ok('create', 'both', '-o', weft.trace('both'));
  weft.ok('enable-channel', '-u', '-s', 'both', 'one', '--buffer-allocation=per-channel', '--overwrite');
  weft.ok('enable-channel', '-u', '-s', 'both', 'many', '--subbuf-size=1M', '--num-subbuf=8');
  weft.ok('add-context', '-u', '-s', 'both', '-c', 'one', '-t', 'cpu_id');
  for (const channel of ['one', 'many']) weft.ok('enable-event', '-u', '-s', 'both', '-c', channel, 'weft_test:*');
  weft.ok('start', 'both');
  const program = await weft.counter({ threads: 2, events: 5000 });
  await program.ended;
  weft.ok('stop', 'both');
  const read = babeltrace(weft.trace('both'));
  assert.deepEqual([read.status, read.events, read.complaints], [0, 20_000, '']);
  assert.deepEqual(checkFiles(weft.trace('both')).errors, []);
  weft.ok('destroy', 'both');
});

/** Bytes of the ring memory that the session daemon holds. */
const ringMemory = (): number => {
  const fds = `/proc/${weft.readPid('sessiond')}/fd`;
  const rings = new Map<number, number>();
  for (const fd of readdirSync(fds)) {
    if (!isRing(`${fds}/${fd}`)) continue;
    const { ino, blocks } = statSync(`${fds}/${fd}`);
    rings.set(ino, blocks * 512);
  }
  return [...rings.values()].reduce((sum, bytes) => sum + bytes, 0);
};
const isRing = (path: string): boolean => {
  try {
    return readlinkSync(path).startsWith('/memfd:weft-ring');
  } catch {
    return false; // closed meanwhile: the listing's own
  }
};

test('on demand only the CPUs that record have memory; what comes before it is counted', async () => {
  const before = ringMemory();
  const trace = weft.session('demand', ['--buffer-preallocation=on-demand', '--subbuf-size=1M', '--num-subbuf=8']);
  const program = await weft.counter({ threads: 1, periodNs: 2_000, pinned: 0 });
  // Its ring gets memory in the daemon's own time.
  for (let kept = 0; kept <= 10_000; ) {
    await program.advance(20_000);
    const { session } = weft.json<{ session: { channels: { stats: { events: string } }[] } }>('list', 'demand');
    kept = Number(session.channels[0]!.stats.events);
  }
  await program.stop();
  weft.ok('stop', 'demand');
  const bytes = ringMemory() - before;
  assert.ok(bytes > 8 << 20 && bytes < 16 << 20, `${bytes} bytes`);
  const { recorded: kept, lost, errors } = checkTrace(trace);
  assert.deepEqual(errors, []);
  assert.equal(kept + lost, program.total());
  assert.ok(kept > 10_000 && lost > 0);
  assert.match(weft.ok('list', 'demand'), /no memory: \d/);
  assert.equal(babeltrace(trace).status, 0);
  weft.ok('destroy', 'demand');
});

test('list shows every attribute', () => {
  weft.ok('create', 'shown');
  const more = ['--monitor-timer=5s', '--watchdog-timer=3s', '--blocking-timeout=inf', '-C', '1M', '-W', '4', '--read-timer=7'];
  weft.ok('enable-channel', '-u', '-s', 'shown', 'c', ...more);
  const shown = weft.ok('list', 'shown');
  for (const line of [
    'Monitor timer:    5000000 us',
    'Watchdog timer:   3000000 us',
    'Blocking timeout: infinite',
    'Read timer:       7 us',
    'Trace file count: 4 per stream',
    'Trace file size:  1048576 bytes',
    'Allocation:       per-cpu',
    'Preallocation:    preallocate',
    'Memory reclaim:   off',
  ]) {
    assert.ok(shown.includes(line), `${line}\n${shown}`);
  }
  weft.ok('destroy', 'shown');
});

test('what does not go together is refused with the reason', () => {
  weft.ok('create', 'refused');
  for (const [options, sentence] of [
    [['--blocking-timeout=5ms', '--overwrite'], 'never full'],
    [['--blocking-timeout=soon'], 'Wrong value in --blocking-timeout'],
    [['--tracefile-count=2'], 'a trace file size is needed'],
    [['--watchdog-timer=1s', '--buffers-pid'], 'buffers per user'],
    [['--buffers-global'], 'kernel domain'],
    [['--buffer-ownership=system'], 'kernel domain'],
    [['--buffer-allocation=both'], 'per-cpu, per-channel'],
    [['--buffer-preallocation=never'], 'preallocate, on-demand'],
    [['--auto-reclaim-memory=sometimes'], 'Wrong value in --auto-reclaim-memory'],
    [['--switch-timer=2h'], 'Wrong value in --switch-timer'],
  ] as const) {
    const ran = weft.run('enable-channel', '-u', '-s', 'refused', 'c', ...options);
    assert.notEqual(ran.status, 0, options.join(' '));
    assert.ok(ran.stderr.includes(sentence), ran.stderr);
  }
  weft.ok('destroy', 'refused');
});
