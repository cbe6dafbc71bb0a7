/** What a user relies on when recording: real programs, real daemon, babeltrace2 as the judge. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { babeltrace, checkTrace, ROOT, Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

const finish = (session: string): void => {
  weft.ok('stop', session);
  weft.ok('destroy', session);
};

const exact = (trace: string, emitted: number): void => {
  const checked = checkTrace(trace);
  assert.deepEqual(checked.errors, []);
  assert.equal(checked.duplicates + checked.disorder, 0);
  assert.equal(checked.recorded + checked.lost, emitted);
  const read = babeltrace(trace);
  assert.equal(read.status, 0, read.complaints);
  assert.equal(read.events, checked.recorded);
};

test('a program that starts after the session is recorded from its first event to its last', async () => {
  const trace = weft.session('first', ['--subbuf-size=1M', '--num-subbuf=8']);
  const program = await weft.counter({ threads: 2, events: 100_000 });
  await program.ended;
  finish('first');
  exact(trace, 200_000);
  assert.equal(checkTrace(trace).lost, 0);
});

test('a program that runs already is recorded from start to stop, and not after', async () => {
  const program = await weft.counter({ threads: 1, periodNs: 20_000 });
  const trace = weft.session('running');
  await program.advance(2000);
  weft.ok('stop', 'running');
  const before = checkTrace(trace).recorded;
  await program.advance(2000);
  weft.ok('destroy', 'running');
  await program.stop();
  const checked = checkTrace(trace);
  assert.ok(checked.recorded >= 2000);
  assert.equal(checked.recorded, before);
  assert.deepEqual([checked.lost, checked.duplicates, checked.errors], [0, 0, []]);
});

test('stop and start again continue in the same trace', async () => {
  const trace = weft.session('again');
  const program = await weft.counter({ threads: 1, periodNs: 20_000 });
  await program.advance(500);
  weft.ok('stop', 'again');
  await program.advance(500);
  weft.ok('start', 'again');
  await program.advance(500);
  finish('again');
  await program.stop();
  const checked = checkTrace(trace);
  assert.ok(checked.recorded >= 1000 && checked.recorded < program.total());
  assert.equal(babeltrace(trace).complaints, '');
});

test('forked children register as applications of their own', async () => {
  const trace = weft.session('forks', ['--subbuf-size=1M']);
  const program = await weft.counter({ threads: 2, events: 20_000, processes: 3 });
  await program.ended;
  finish('forks');
  exact(trace, 120_000);
});

for (const mode of ['--discard', '--overwrite']) {
  test(`small buffers at full speed, ${mode}: recorded + lost = emitted`, async () => {
    const name = `small${mode}`;
    const trace = weft.session(name, [mode, '--subbuf-size=4096', '--num-subbuf=2']);
    const program = await weft.counter({ threads: 3, events: 300_000 });
    await program.ended;
    finish(name);
    exact(trace, 900_000);
  });
}

test('per-process buffers: one trace per process, named after it', async () => {
  const trace = weft.session('pids', ['--buffers-pid', '--subbuf-size=1M']);
  const program = await weft.counter({ threads: 1, events: 5000, processes: 2 });
  await program.ended;
  finish('pids');
  const directories = readdirSync(join(trace, 'ust/pid'));
  assert.equal(directories.length, 2);
  for (const directory of directories) assert.match(directory, /^counter-\d+-\d{8}-\d{6}$/);
  exact(trace, 10_000);
});

test('an application without restartable sequences records in lock mode, beside one that has them', async () => {
  const trace = weft.session('locks', ['--subbuf-size=1M', '--num-subbuf=8']);
  const plain = await weft.counter({
    threads: 2,
    events: 50_000,
    env: { GLIBC_TUNABLES: 'glibc.pthread.rseq=0' },
    confirm: join(weft.home, 'lock'),
  });
  const fast = await weft.counter({ threads: 1, events: 50_000, confirm: join(weft.home, 'fast') });
  await Promise.all([plain.ended, fast.ended]);
  finish('locks');
  // Both programs number their threads from 0, so only the sums can be checked here.
  const checked = checkTrace(trace);
  assert.deepEqual(checked.errors, []);
  assert.equal(checked.recorded + checked.lost, 150_000);
  assert.equal(babeltrace(trace).events, checked.recorded);
});

test('a program of the distribution is traced through the libc helper, untouched', () => {
  weft.ok('create', 'python', '-o', weft.trace('python'));
  weft.ok('enable-channel', '-u', '-s', 'python', 'ch', '--subbuf-size=1M', '--num-subbuf=8');
  weft.ok('enable-event', '-u', '-s', 'python', '-c', 'ch', 'lttng_ust_libc:*');
  weft.ok('add-context', '-u', '-s', 'python', '-c', 'ch', '-t', 'procname', '-t', 'ip');
  weft.ok('start', 'python');
  const preload = { ...weft.env, LD_PRELOAD: join(ROOT, 'native/build/libweft-libc.so') };
  const out = execFileSync('python3', ['-c', 'print(sum(len(str(n)) for n in range(20000)))'], {
    env: preload,
    encoding: 'utf8',
  });
  assert.equal(out.trim(), '88890');
  finish('python');
  const text = spawnSync('babeltrace2', [weft.trace('python')], { encoding: 'utf8', maxBuffer: 1 << 28 });
  assert.equal(text.status, 0);
  for (const event of ['malloc', 'free', 'calloc', 'realloc'])
    assert.match(text.stdout, new RegExp(`lttng_ust_libc:${event}:.*procname = "python`));
});

test('disable-event and enable-event take effect on a running program', async () => {
  weft.session('switching');
  const program = await weft.counter({ threads: 1, periodNs: 20_000 });
  await program.advance(200);
  const recorded = () =>
    Number(
      weft.json<{ session: { channels: { stats: { events: string } }[] } }>('list', 'switching').session.channels[0]!.stats
        .events,
    );
  weft.ok('disable-event', '-u', '-s', 'switching', '-c', 'ch', 'weft_test:*');
  const silent = recorded();
  await program.advance(500);
  assert.equal(recorded(), silent);
  weft.ok('enable-event', '-u', '-s', 'switching', '-c', 'ch', 'weft_test:*');
  await program.advance(500);
  assert.ok(recorded() > silent);
  finish('switching');
  await program.stop();
});

test('log level rules and exclusions choose among the points of one program', () => {
  const program = join(weft.home, 'every');
  const sources = ['every_field', 'old_names', 'printf_events'].map((name) => join(ROOT, `test/compat/${name}.c`));
  execFileSync('cc', [
    '-w',
    `-I${ROOT}/test/compat`,
    `-I${ROOT}/native/include/compat`,
    `-I${ROOT}/native/include`,
    ...sources,
    '-o',
    program,
    '-ldl',
  ]);
  const record = (session: string, ...rule: string[]): string => {
    weft.ok('create', session, '-o', weft.trace(session));
    weft.ok('enable-event', '-u', '-s', session, ...rule);
    weft.ok('start', session);
    execFileSync(program, { env: weft.env });
    finish(session);
    return spawnSync('babeltrace2', [weft.trace(session)], { encoding: 'utf8' }).stdout;
  };
  const severe = record('severe', '*', '--loglevel=WARNING');
  assert.match(severe, /every:there/);
  assert.doesNotMatch(severe, /every:here|old_names:one/);
  const only = record('only', '*', '--loglevel-only=INFO');
  assert.match(only, /old_names:one/);
  assert.doesNotMatch(only, /every:/);
  const excluded = record('excluded', 'every:*', '-x', 'every:l*,*here');
  assert.match(excluded, /every:enums/);
  assert.doesNotMatch(excluded, /every:lists|every:here|every:there/);
});

test('a program with more events than small ids are read back by their names', () => {
  const names = Array.from({ length: 80 }, (_, at) => `event_${at}`);
  const header = [
    '#undef WEFT_TRACEPOINT_PROVIDER',
    '#define WEFT_TRACEPOINT_PROVIDER many',
    '#undef WEFT_TRACEPOINT_INCLUDE',
    '#define WEFT_TRACEPOINT_INCLUDE "./many.h"',
    '#if !defined(MANY_H) || defined(WEFT_TRACEPOINT_HEADER_MULTI_READ)',
    '#define MANY_H',
    '#include <weft/tracepoint.h>',
    ...names.map(
      (name) => `WEFT_TRACEPOINT_EVENT(many, ${name}, WEFT_TP_ARGS(int, n), WEFT_TP_FIELDS(weft_field_integer(int, n, n)))`,
    ),
    '#endif',
    '#include <weft/tracepoint-event.h>',
  ];
  const calls = names.map((name, at) => `weft_tracepoint(many, ${name}, ${at});`);
  const program = `#define WEFT_TRACEPOINT_DEFINE\n#define WEFT_TRACEPOINT_CREATE_PROBES\n#include "many.h"\nint main(void) { ${calls.join(' ')} return 0; }`;
  writeFileSync(join(weft.home, 'many.h'), `${header.join('\n')}\n`);
  writeFileSync(join(weft.home, 'many.c'), `${program}\n`);
  execFileSync('cc', [
    '-Wall',
    '-Wextra',
    '-Werror',
    `-I${weft.home}`,
    `-I${ROOT}/native/include`,
    join(weft.home, 'many.c'),
    '-o',
    join(weft.home, 'many'),
  ]);
  weft.ok('create', 'many', '-o', weft.trace('many'));
  weft.ok('enable-event', '-u', '-s', 'many', 'many:*');
  weft.ok('start', 'many');
  execFileSync(join(weft.home, 'many'), { env: weft.env });
  finish('many');
  const read = spawnSync('babeltrace2', [weft.trace('many')], { encoding: 'utf8' });
  assert.deepEqual([read.status, read.stderr], [0, '']);
  const seen = [...read.stdout.matchAll(/many:(event_\d+): .*\{ n = (\d+) \}/g)].map((match) => `${match[1]} ${match[2]}`);
  assert.deepEqual(
    seen,
    names.map((name, at) => `${name} ${at}`),
  );
});

test('list shows the points and fields of running programs', async () => {
  const program = await weft.counter({ threads: 1, periodNs: 100_000 });
  const text = weft.ok('list', '-u', '-f');
  assert.match(text, new RegExp(`PID: ${program.child.pid} - Name: counter`));
  assert.match(text, /weft_test:count .*TRACE_DEBUG_LINE \(13\)/);
  assert.match(text, /field: number \(integer\)/);
  await program.stop();
});

test('the metadata names the host and the session, as analyses written for LTTng expect', async () => {
  const trace = weft.session('env');
  await (await weft.counter({ events: 10 })).ended;
  finish('env');
  const text = readFileSync(join(trace, 'ust/uid', String(process.getuid?.()), '64-bit/metadata'), 'utf8');
  for (const line of ['/* CTF 1.8 */', 'domain = "ust"', 'tracer_name = "lttng-ust"', 'trace_name = "env"'])
    assert.ok(text.includes(line), line);
});
