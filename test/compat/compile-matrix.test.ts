/**
 * Provider headers compile without a warning for whoever includes them: compilers, standards, strict warnings, optimisation. The
 * headers count as system headers, which hides warnings in what their macros expand to; so a copy without that mark is compiled too.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ROOT } from '../support/weft.ts';

const work = mkdtempSync(join(tmpdir(), 'weft-matrix-'));
after(() => rmSync(work, { recursive: true, force: true }));

const INCLUDE = join(ROOT, 'native/include');
const has = (command: string): boolean => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;

/** The headers without `#pragma GCC system_header`. */
const bareHeaders = (): string => {
  const copy = join(work, 'include');
  cpSync(INCLUDE, copy, { recursive: true });
  for (const name of readdirSync(copy, { recursive: true, encoding: 'utf8' })) {
    const path = join(copy, name);
    if (!path.endsWith('.h') || !statSync(path).isFile()) continue;
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll('#pragma GCC system_header\n', ''));
  }
  return copy;
};
const bare = bareHeaders();

/** What the compiler says about a source; empty: nothing, and it compiled. */
const complaints = (compiler: string, flags: readonly string[], include: string, source: string): string => {
  const folders = [`-I${include}/compat`, `-I${include}`, `-I${INCLUDE}/test`, `-I${join(ROOT, 'test/compat')}`];
  const ran = spawnSync(compiler, [...flags, ...folders, '-c', source, '-o', '/dev/null'], { encoding: 'utf8' });
  return ran.status === 0 ? ran.stderr : `${ran.stderr}\nstatus ${ran.status}`;
};

const fields = [join(INCLUDE, 'test/fields_provider.c'), join(INCLUDE, 'test/fields_program.c')];
const oldNames = (cxx: boolean): string => join(ROOT, `test/compat/old_names${cxx ? '_cxx.cc' : '.c'}`);
const native = join(INCLUDE, 'test/points_caller.c');

const MATRIX = [
  ['gcc', false, ['c99', 'gnu99', 'c11', 'gnu17', 'c2x']],
  ['clang', false, ['c99', 'gnu99', 'c11', 'gnu17']],
  ['g++', true, ['c++11', 'c++14', 'c++17', 'c++20', 'c++2b']],
  ['clang++', true, ['c++11', 'c++14', 'c++17', 'c++20']],
] as const;

for (const [compiler, cxx, standards] of MATRIX) {
  const skip = has(compiler) ? false : `${compiler} is not installed`;
  const language = cxx ? ['-x', 'c++'] : ['-x', 'c'];
  for (const standard of standards) {
    test(`no warning: ${compiler} -std=${standard} -Wall -Wextra -Wpedantic, marked as system headers or not`, { skip }, () => {
      const flags = [...language, `-std=${standard}`, '-O2', '-Wall', '-Wextra', '-Wpedantic', '-Werror'];
      for (const include of [INCLUDE, bare])
        for (const source of [...fields, oldNames(cxx), native]) assert.equal(complaints(compiler, flags, include, source), '');
    });
  }
  test(`no warning in a build with stricter habits: ${compiler}`, { skip }, () => {
    const strict = ['-Wshadow', '-Wconversion', '-Wsign-conversion', '-Wundef', '-Wcast-qual', '-Wmissing-declarations'];
    const more = cxx
      ? ['-Wold-style-cast', '-Wzero-as-null-pointer-constant']
      : ['-Wstrict-prototypes', '-Wmissing-prototypes'];
    const flags = [...language, '-O2', '-Wall', '-Wextra', '-Werror', ...strict, ...more];
    assert.equal(complaints(compiler, flags, INCLUDE, native), '');
  });
  test(`no warning whatever is optimised or hardened: ${compiler}`, { skip }, () => {
    for (const extra of [
      ['-O0'],
      ['-O3', '-D_FORTIFY_SOURCE=2'],
      ['-Os', '-fvisibility=hidden', '-fPIC'],
      ['-O2', '-ftrivial-auto-var-init=pattern'],
    ])
      assert.equal(complaints(compiler, [...language, '-Wall', '-Wextra', '-Werror', ...extra], INCLUDE, fields[0] ?? ''), '');
  });
}

test('without the old names a program may use them for itself', () => {
  const source = join(work, 'own.c');
  writeFileSync(
    source,
    `#define LTTNG_UST_COMPAT_API_VERSION 1
#include <lttng/tracepoint.h>
#include <lttng/tracef.h>
#include <lttng/tracelog.h>
int tracepoint(int a); int tracef(void); int tracelog(void); enum { TRACE_INFO, TP_ARGS, ctf_integer };
int tracepoint(int a) { return a + TRACE_INFO + TP_ARGS + ctf_integer; }
`,
  );
  assert.equal(complaints('cc', ['-Wall', '-Wextra', '-Werror'], INCLUDE, source), '');
});

test('a name that is too long for readers is an error when compiling', () => {
  const name = 'n'.repeat(250); // 'toolong' + ':' + 247 more and the NUL are 256 bytes
  const header = join(work, 'long.h');
  writeFileSync(
    header,
    `#undef WEFT_TRACEPOINT_PROVIDER
#define WEFT_TRACEPOINT_PROVIDER toolong
#undef WEFT_TRACEPOINT_INCLUDE
#define WEFT_TRACEPOINT_INCLUDE "${header}"
#if !defined(LONG_H) || defined(WEFT_TRACEPOINT_HEADER_MULTI_READ)
#define LONG_H
#include <weft/tracepoint.h>
WEFT_TRACEPOINT_EVENT(toolong, ${name}, WEFT_TP_ARGS(), WEFT_TP_FIELDS())
#endif
#include <weft/tracepoint-event.h>
`,
  );
  const source = join(work, 'long.c');
  writeFileSync(source, `#define WEFT_TRACEPOINT_CREATE_PROBES\n#include "${header}"\n`);
  assert.match(complaints('cc', [], INCLUDE, source), /weft_name_is_too_long_toolong/);
  writeFileSync(header, readFileSync(header, 'utf8').replace(name, name.slice(3)));
  assert.equal(complaints('cc', [], INCLUDE, source), '');
});
