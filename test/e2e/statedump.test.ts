/** The state dump: where a program's objects lie, held against the kernel's word, and what babeltrace2 makes of it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { after, test } from 'node:test';
import { Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

const read = (...args: string[]): string[] => {
  const ran = spawnSync('babeltrace2', args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.deepEqual([ran.status, ran.stderr], [0, '']);
  return ran.stdout.trim().split('\n');
};

/** The lowest address of each file that the process has mapped. */
const mapped = (pid: number): ReadonlyMap<string, bigint> => {
  const bases = new Map<string, bigint>();
  for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
    const [, address, path] = /^([0-9a-f]+)-.* (\/.*)$/.exec(line) ?? [];
    if (path !== undefined && !bases.has(path)) bases.set(path, BigInt(`0x${address}`));
  }
  return bases;
};

/** The state dump's events by name, in order, each with what it says of an object. */
const dumpOf = (lines: readonly string[]) =>
  lines
    .map((line) => /lttng_ust_statedump:(\w+): .*?(?:baddr = (0x[0-9A-F]+).*?)?(?:path = "([^"]+)".*)?$/.exec(line))
    .filter((found) => found !== null)
    .map(([, name, base, path]) => ({ name: name!, base: base === undefined ? null : BigInt(base), path: path ?? null }));

test('a session that starts, or asks again, hears where each program and its libraries lie; readers name functions', async () => {
  const trace = weft.session('where', [], false);
  weft.session('apart');
  weft.ok('enable-event', '-u', '-s', 'where', '-c', 'ch', 'lttng_ust_statedump:*');
  weft.ok('add-context', '-u', '-s', 'where', '-t', 'vpid', '-t', 'ip');
  const program = await weft.counter({ periodNs: 5_000_000 });
  const bases = mapped(program.child.pid!);
  weft.ok('start', 'where');
  await program.advance(3);
  assert.equal(weft.ok('regenerate', 'statedump', '-s', 'where'), 'State dump successfully regenerated for session where\n');
  await program.stop();
  weft.ok('stop', 'where');
  assert.match(weft.run('regenerate', 'statedump', '-s', 'where').stderr, /is not started/);
  weft.ok('destroy', '--all');

  const dump = dumpOf(read(trace));
  assert.deepEqual([dump[0]?.name, dump[1]?.name, dump.at(-1)?.name], ['start', 'procname', 'end']);
  assert.equal(dump.filter(({ name }) => name === 'start').length, 2);
  const objects = dump.filter(({ name, path }) => name === 'bin_info' && path?.startsWith('/'));
  assert.ok(objects.every(({ path }) => bases.has(path!)));
  for (const part of ['counter', 'libc.so.6', 'libweft.so.0']) {
    const told = objects.filter(({ path }) => basename(path!).startsWith(part));
    assert.equal(told.length, 2, part);
    for (const { path, base } of told) assert.equal(base, bases.get(path!), path!);
  }
  assert.equal(dumpOf(read(weft.trace('apart'))).length, 0);
  const named = read(trace, '--component=filter.lttng-utils.debug-info').filter((line) => line.includes('weft_test:count'));
  assert.ok(named.length >= 3);
  for (const line of named) assert.match(line, /func = "run\+0x[0-9a-f]+"/);
});

test('a program that starts later is told of as well, before its rings have memory too; WEFT_NO_STATEDUMP leaves it out', async () => {
  const trace = weft.session('later');
  const sparse = weft.trace('sparse');
  weft.ok('create', 'sparse', '-o', sparse);
  weft.ok('enable-channel', '-u', '-s', 'sparse', 'ch', '--buffer-preallocation=on-demand');
  weft.ok('enable-event', '-u', '-s', 'sparse', '-c', 'ch', 'lttng_ust_statedump:*');
  weft.ok('start', 'sparse');
  weft.ok('enable-event', '-u', '-s', 'later', '-c', 'ch', 'lttng_ust_statedump:*');
  await (await weft.counter({ events: 1 })).ended;
  await (await weft.counter({ events: 1, first: 1, env: { WEFT_NO_STATEDUMP: '1' } })).ended;
  weft.ok('destroy', '--all');
  const lines = read(trace);
  assert.equal(lines.filter((line) => line.includes('weft_test:count')).length, 2);
  for (const dump of [dumpOf(lines), dumpOf(read(sparse))]) {
    assert.deepEqual([dump[0]?.name, dump.at(-1)?.name], ['start', 'end']);
    assert.equal(dump.filter(({ name }) => name === 'procname').length, 1);
    assert.ok(dump.some(({ path }) => path?.endsWith('/counter')));
  }
  const last = lines.findIndex((line) => line.includes('lttng_ust_statedump:end'));
  assert.ok(last < lines.findIndex((line) => line.includes('weft_test:count')), 'before its first event');
});
