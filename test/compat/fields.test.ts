/**
 * The program of the macros' byte test, recorded by both tracers: every nowrite form, automatic enumeration values, lists of arguments,
 * and, with the library's own events, more than 30 events in a channel, so that both forms of the event header occur.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ownView } from '../support/own-view.ts';
import { ROOT, Weft } from '../support/weft.ts';

const works = (command: string): boolean => spawnSync('sh', ['-c', command]).status === 0;
const skip =
  works('command -v lttng && command -v babeltrace2') && works('echo "#include <lttng/tracepoint.h>" | cc -E - >/dev/null 2>&1')
    ? false
    : 'lttng-tools, liblttng-ust-dev or babeltrace2 is not installed';
const work = mkdtempSync(join(tmpdir(), 'weft-fields-'));
after(() => rmSync(work, { recursive: true, force: true }));

const SOURCES = join(ROOT, 'native/include/test');
const OURS = [`-I${ROOT}/native/include/compat`, `-I${ROOT}/native/include`];
// LTTng-UST's own macros cannot put a negative enumeration value into an unsigned field without narrowing, which C++ refuses.
const LANGUAGES = { C: ['cc'], 'C++': ['c++', '-x', 'c++', '-Wno-narrowing'] } as const;

const compile = (
  language: keyof typeof LANGUAGES,
  flags: readonly string[],
  out: string,
  library: readonly string[],
): string => {
  const [compiler, ...own] = LANGUAGES[language];
  const sources = ['fields_program.c', 'fields_provider.c'].map((name) => join(SOURCES, name));
  execFileSync(compiler, ['-O2', '-w', ...own, ...flags, `-I${SOURCES}`, ...sources, '-o', out, ...library]);
  return out;
};

const recordWith = (run: (...words: string[]) => void, program: () => void, session: string, output: string): void => {
  run('create', session, '-o', output);
  run('enable-channel', '-u', '-s', session, 'ch');
  for (const pattern of ['weft_every:*', 'lttng_ust_tracef:*', 'lttng_ust_tracelog:*'])
    run('enable-event', '-u', '-s', session, '-c', 'ch', pattern);
  run('start', session);
  program();
  run('stop', session);
  run('destroy', session);
};

/** Without time, host and CPU. For empty text of a sequence babeltrace2 2.0 prints what it printed last. */
const printed = (directory: string): string[] => {
  const ran = spawnSync('babeltrace2', [directory], { encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.deepEqual([ran.status, ran.stderr], [0, '']);
  const bare = (line: string): string =>
    line
      .replace(/^\[[^\]]*\] \([^)]*\) \S+ /, '')
      .replace(/cpu_id = \d+/, 'cpu_id = N')
      .replace(/(_text_length = 0, text = )"[^"]*"/, '$1""');
  const lines = (text: string): string[] => text.trimEnd().split('\n').map(bare);
  const own = ownView(directory);
  assert.deepEqual([own.status, own.stderr], [0, '']);
  assert.deepEqual(lines(own.stdout), lines(ran.stdout));
  return lines(ran.stdout);
};

for (const language of ['C', 'C++'] as const) {
  test(`all fields of more than 30 events are printed the same for both tracers, from ${language}`, { skip }, () => {
    const at = mkdtempSync(join(work, 'run-'));
    const theirs = compile(language, [], join(at, 'theirs'), ['-llttng-ust', '-ldl']);
    const ours = compile(language, OURS, join(at, 'ours'), ['-ldl']);
    execFileSync('sh', ['-c', 'pgrep -x lttng-sessiond >/dev/null || lttng-sessiond --daemonize --no-kernel']);
    const lttng = (...words: string[]) => void execFileSync('lttng', words, { stdio: 'ignore' });
    recordWith(lttng, () => void execFileSync(theirs), `fields${process.pid}`, join(at, 'lttng'));
    const weft = new Weft();
    try {
      const record = (...words: string[]) => void weft.ok(...words);
      recordWith(record, () => void execFileSync(ours, { env: weft.env }), 'fields', join(at, 'weft'));
    } finally {
      weft.dispose();
    }
    const expected = printed(join(at, 'lttng'));
    assert.equal(expected.length, 35);
    assert.deepEqual(printed(join(at, 'weft')), expected);
  });
}
