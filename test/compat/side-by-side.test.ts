/**
 * The same program, compiled unchanged for LTTng and for Weft, recorded by each: babeltrace2's text is the same but for times, process
 * ids and addresses.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ownView } from '../support/own-view.ts';
import { ROOT, Weft } from '../support/weft.ts';

const has = (command: string): boolean => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
const header = spawnSync('sh', ['-c', 'echo "#include <lttng/tracepoint.h>" | cc -E - >/dev/null 2>&1']).status === 0;
const skip =
  has('lttng') && has('babeltrace2') && header ? false : 'lttng-tools, liblttng-ust-dev or babeltrace2 is not installed';
const work = mkdtempSync(join(tmpdir(), 'weft-compat-'));
after(() => rmSync(work, { recursive: true, force: true }));

const here = import.meta.dirname;
const NAMES = ['every_field', 'old_names', 'printf_events'];
const files = (cxx: boolean) => NAMES.map((name) => join(here, cxx ? `${name}_cxx.cc` : `${name}.c`));
const WEFT_FLAGS = [`-I${ROOT}/native/include/compat`, `-I${ROOT}/native/include`];

const compile = (
  compiler: string,
  flags: readonly string[],
  cxx: boolean,
  out: string,
  libraries: readonly string[],
): string => {
  const ran = spawnSync(compiler, ['-O2', '-Wall', '-Wextra', ...flags, `-I${here}`, ...files(cxx), '-o', out, ...libraries], {
    encoding: 'utf8',
  });
  assert.equal(ran.status, 0, ran.stderr);
  return ran.stderr;
};

const DIALECTS = [
  ['cc', '-std=gnu99', false],
  ['cc', '-std=gnu11', false],
  ['c++', '-std=c++11', true],
  ['c++', '-std=c++17', true],
  ['c++', '-std=c++20', true],
] as const;
for (const [compiler, standard, cxx] of DIALECTS) {
  test(`every field type compiles unchanged without a warning: ${compiler} ${standard} -Wall -Wextra`, () => {
    assert.equal(compile(compiler, [standard, ...WEFT_FLAGS], cxx, join(work, 'compiled'), ['-ldl']), '');
  });
}

test('without the library the program runs and says nothing', () => {
  const out = join(work, 'alone');
  compile('cc', WEFT_FLAGS, false, out, ['-ldl']);
  const ran = spawnSync(out, { env: { PATH: process.env.PATH }, encoding: 'utf8' });
  assert.deepEqual([ran.status, ran.stdout, ran.stderr], [0, '', '']);
});

const CONTEXTS = ['vpid', 'vtid', 'procname', 'pthread_id', 'ip'];
const steps = (session: string, output: string): string[][] => [
  ['create', session, '-o', output],
  ['enable-channel', '-u', '-s', session, 'ch'],
  ...['every:*', 'old_names:*', 'lttng_ust_tracef:*', 'lttng_ust_tracelog:*'].map((name) => [
    'enable-event',
    '-u',
    '-s',
    session,
    '-c',
    'ch',
    name,
  ]),
  ['add-context', '-u', '-s', session, '-c', 'ch', ...CONTEXTS.flatMap((type) => ['-t', type])],
  ['start', session],
];

/** What may differ: time, host, ids and addresses, the program's path in tracelog, the CPU. */
const normalised = (directory: string): string[] => {
  const ran = spawnSync('babeltrace2', [directory], { encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.equal(ran.status, 0, ran.stderr);
  assert.equal(ran.stderr, '');
  assert.deepEqual(ownView(directory), { status: 0, stdout: ran.stdout, stderr: '' }); // our own decoding is the same, byte by byte
  return ran.stdout
    .trimEnd()
    .split('\n')
    .map((line) =>
      line
        .replace(/^\[[^\]]*\] \([^)]*\) \S+ /, '')
        .replace(/cpu_id = \d+/, 'cpu_id = N')
        .replace(/(vpid|vtid|pthread_id|ip) = -?\d+/g, '$1 = N'),
    );
};

const byLttng = (program: string, output: string): void => {
  execFileSync('sh', ['-c', 'pgrep -x lttng-sessiond >/dev/null || lttng-sessiond --daemonize --no-kernel']);
  const session = `compat${process.pid}`;
  for (const step of steps(session, output)) execFileSync('lttng', step, { stdio: 'ignore' });
  execFileSync(program);
  for (const command of ['stop', 'destroy']) execFileSync('lttng', [command, session], { stdio: 'ignore' });
};

const byWeft = (program: string, output: string): void => {
  const weft = new Weft();
  try {
    for (const step of steps('compat', output)) weft.ok(...step);
    execFileSync(program, { env: weft.env });
    for (const command of ['stop', 'destroy']) weft.ok(command, 'compat');
  } finally {
    weft.dispose();
  }
};

for (const cxx of [false, true]) {
  test(`babeltrace2 prints the same for both tracers, from ${cxx ? 'C++' : 'C'}`, { skip }, () => {
    const compiler = cxx ? 'c++' : 'cc';
    // The same file name: procname is a context.
    const [lttngDirectory, weftDirectory] = [mkdtempSync(join(work, 'l')), mkdtempSync(join(work, 'w'))];
    compile(compiler, [], cxx, join(lttngDirectory, 'every'), ['-llttng-ust', '-ldl']);
    compile(compiler, WEFT_FLAGS, cxx, join(weftDirectory, 'every'), ['-ldl']);
    byLttng(join(lttngDirectory, 'every'), join(lttngDirectory, 'trace'));
    byWeft(join(weftDirectory, 'every'), join(weftDirectory, 'trace'));
    const expected = normalised(join(lttngDirectory, 'trace'));
    assert.ok(expected.length >= 20);
    assert.deepEqual(normalised(join(weftDirectory, 'trace')), expected);
  });
}
