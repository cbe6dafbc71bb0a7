/** What stands beside each event: every context on one channel, held against what the program says of itself. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, test } from 'node:test';
import { build, Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

const NAMESPACES = ['cgroup_ns', 'ipc_ns', 'mnt_ns', 'net_ns', 'pid_ns', 'time_ns', 'user_ns', 'uts_ns'];
const IDS = ['vuid', 'veuid', 'vsuid', 'vgid', 'vegid', 'vsgid'];
const FIXED = ['vpid', 'vtid', 'procname', 'pthread_id', 'ip', 'cpu_id', ...NAMESPACES, ...IDS];
const APPLICATION = ['$app.shop:number', '$app.shop:user', '$app.shop:absent'];

type Facts = Readonly<Record<string, string | number>>;

/** Two events of `contexts` under the session: what the program said of itself, and how babeltrace2 shows each event. */
const recorded = (session: string, command: readonly string[]): { facts: Facts[]; lines: string[] } => {
  weft.ok('start', session);
  const [program, ...args] = [...command, build('contexts')];
  const ran = spawnSync(program!, args, { env: weft.env, encoding: 'utf8' });
  assert.equal(ran.status, 0, ran.stderr);
  weft.ok('destroy', session);
  const read = spawnSync('babeltrace2', [weft.trace(session)], { encoding: 'utf8' });
  assert.deepEqual([read.status, read.stderr], [0, '']);
  const facts = ran.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Facts);
  return { facts, lines: read.stdout.trim().split('\n') };
};

const field = (line: string, name: string): string | undefined =>
  new RegExp(`[ {]${name} = (?:\\( \\w+ : container = \\d+ \\)|"([^"]*)"|([^ ,}]+))`)
    .exec(line)
    ?.slice(1)
    .find((part) => part !== undefined);

const holds = (line: string, facts: Facts): void => {
  for (const [name, value] of Object.entries(facts)) assert.equal(field(line, name), String(value), `${name} in ${line}`);
};

const session = (name: string, types: readonly string[]): void => {
  weft.session(name, [], false);
  weft.ok('add-context', '-u', '-s', name, '-c', 'ch', ...types.flatMap((type) => ['-t', type]));
};

test('every context at once: ids, namespaces, counters and values of the program', () => {
  const counters = ['perf:thread:task-clock', 'perf:page-fault'].filter((type) => {
    const ran = weft.run('add-context', '-u', '-s', 'none', '-t', type);
    return !ran.stderr.includes('cannot be opened');
  });
  session('all', [...FIXED, ...counters, ...APPLICATION]);
  const { facts, lines } = recorded('all', []);
  assert.equal(lines.length, 2);
  for (const [at, line] of lines.entries()) {
    holds(line, facts[at]!);
    assert.equal(field(line, 'procname'), 'contexts');
    assert.equal(field(line, 'number'), String(at + 1));
    assert.match(line, /_app_shop_number_tag = \( "_?int32" : container = 3 \), _app_shop_number = \{? ?-7/);
    assert.match(line, /_app_shop_absent_tag = \( "_?none" : container = 0 \)/);
    for (const name of counters) assert.match(field(line, name.replaceAll(/\W/g, '_'))!, /^\d+$/);
  }
  assert.match(lines[0]!, /_app_shop_user = \{? ?"alice"/);
  assert.match(lines[1]!, /_app_shop_user_tag = \( "_?none"/, 'a value that is no longer registered is none');
  if (process.getuid!() === 0) assert.equal(field(lines[1]!, 'vegid'), '1235');
  if (counters.length > 0) assert.ok(BigInt(field(lines[1]!, 'perf_thread_task_clock')!) > 0n);
});

test('a program in other namespaces says which', (t) => {
  const outside = spawnSync('unshare', ['--uts', '--ipc', 'true']);
  if (outside.status !== 0) return t.skip('this user may not make namespaces');
  session('inside', NAMESPACES);
  const { facts, lines } = recorded('inside', ['unshare', '--uts', '--ipc']);
  const own = Object.fromEntries(Object.entries(facts[0]!).filter(([name]) => name.endsWith('_ns')));
  holds(lines[0]!, own);
  const here = spawnSync('stat', ['-Lc', '%i', '/proc/self/ns/uts'], { encoding: 'utf8' }).stdout.trim();
  assert.notEqual(field(lines[0]!, 'uts_ns'), here);
});

test('contexts that programs do not have, or the machine, are refused with the reason; nothing else is added', () => {
  weft.session('wrong', [], false);
  const add = (...types: string[]) =>
    weft.run('add-context', '-u', '-s', 'wrong', '-c', 'ch', ...types.flatMap((type) => ['-t', type]));
  const unknown = add('vpid', 'colour');
  assert.deepEqual([unknown.status, unknown.stdout], [3, '']);
  assert.match(unknown.stderr, /`colour` is unknown/);
  const kernel = add('tid', 'vtid');
  assert.equal(kernel.status, 4);
  assert.match(kernel.stderr, /`tid` belongs to the kernel/);
  assert.match(kernel.stdout, /ust context vtid added to channel ch/);
  assert.equal(add('vtid').status, 4, 'twice');
  const raw = add('perf:thread:raw:rffffffff:nothing');
  assert.ok(raw.status === 4 || raw.status === 0);
  if (raw.status === 4) assert.match(raw.stderr, /cannot be opened on this machine/);
  assert.equal(weft.run('add-context', '-u', '-s', 'wrong').status, 1);
});

test('add-context --list prints every spelling, one per line', () => {
  const lines = weft.ok('add-context', '--list').trim().split('\n');
  for (const name of [
    ...FIXED,
    'tid',
    'callstack-user',
    'perf:thread:cs',
    'perf:cpu:cycles',
    'perf:instructions',
    '$app.PROVIDER:TYPE',
  ])
    assert.ok(lines.includes(name), name);
  assert.equal(new Set(lines).size, lines.length);
});
