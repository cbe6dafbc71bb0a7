/** libweft's verifier and interpreter agree with the compiler about any expression. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { checkFilter } from '../../rules/filter/check.ts';
import { compileFilter, filterProgram } from '../../rules/filter/compile.ts';
import { events, expression, namedOf, POINT, type Values } from '../support/filter-cases.ts';
import { holds } from '../support/filter-meaning.ts';
import { ROOT } from '../support/weft.ts';

const directory = mkdtempSync(join(tmpdir(), 'weft-filter-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const CASES = 4000;

const build = (): string => {
  const out = join(directory, 'filter_run');
  const native = join(ROOT, 'native');
  const source = join(ROOT, 'test/support/filter_run.c');
  const includes = [`-I${native}`, `-I${native}/include`];
  execFileSync('cc', ['-O1', ...includes, source, join(native, 'build/libweft-ust.a'), '-o', out, '-lpthread']);
  return out;
};

const i64 = (value: unknown): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE((value ?? 0n) as bigint);
  return bytes;
};
const f64 = (value: unknown): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE((value ?? 0) as number);
  return bytes;
};
const text = (value: unknown): Buffer => {
  const bytes = Buffer.from((value ?? '') as string);
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
};

/** As filter_run.c reads it. */
const encode = (program: Buffer, { fields, apps }: Values): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(program.length);
  const { i, e, f, s, t, a, q } = fields as Record<string, unknown>;
  const [row, queue] = [a as bigint[], q as bigint[]];
  const present = ['p:int', 'p:num', 'p:text'].reduce((bits, name, at) => bits | (name in apps ? 1 << at : 0), 0);
  return Buffer.concat([
    ...[length, program, i64(i), i64(e), f64(f), text(s), text(t), ...row.map(i64), Buffer.of(queue.length), ...queue.map(i64)],
    ...[Buffer.of(present), i64(apps['p:int']), f64(apps['p:num']), text(apps['p:text'])],
  ]);
};

test('programs of random expressions pass the verifier and say of random events what their expressions mean', () => {
  const cases = fc.sample(fc.tuple(expression, events), CASES).flatMap(([filter, values]) => {
    const checked = checkFilter(filter);
    const code = checked.ok ? compileFilter(checked.root, POINT) : null;
    return checked.ok && code ? [{ filter, values, root: checked.root, program: filterProgram([code]) }] : [];
  });
  assert.ok(cases.length > CASES / 2, `${cases.length} cases`);
  const input = Buffer.concat(cases.map(({ program, values }) => encode(program, values)));
  const ran = spawnSync(build(), { input, encoding: 'utf8', maxBuffer: 1 << 24 });
  assert.equal(ran.status, 0, ran.stderr);
  const [pid, answers] = ran.stdout.split('\n') as [string, string];
  assert.equal(answers.length, cases.length);
  for (const [at, { filter, values, root }] of cases.entries()) {
    const contexts = { vpid: BigInt(pid), procname: 'aab' };
    const wanted = holds(root, namedOf({ ...values, contexts })) ? '1' : '0';
    assert.equal(
      answers[at],
      wanted,
      `${filter} of ${JSON.stringify(values, (_, value) => (typeof value === 'bigint' ? `${value}` : value))}`,
    );
  }
});
