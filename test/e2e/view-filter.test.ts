/** `weft view --filter`: what it shows is what babeltrace2 shows, less the lines for which the expression does not hold. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findTraces, viewPlan } from '../../ctf/view-plan.ts';
import { loadNative } from '../../native/addon/index.ts';
import { checkFilter } from '../../rules/filter/check.ts';
import { recordedFilter } from '../../rules/filter/recorded.ts';
import { build, CLI, Weft } from '../support/weft.ts';

const lines = (text: string): string[] => (text === '' ? [] : text.trimEnd().split('\n'));

/** An order, as the line of another reader says it. */
interface Order {
  readonly amount: number;
  readonly price: number;
  readonly who: string;
  readonly colour: number;
  readonly row: readonly number[];
  readonly user: string;
}

const orderOf = (line: string): Order | null => {
  const found = /amount = (-?\d+), price = (\S+), who = "(.*?)", colour = .*container = (\d+)/.exec(line);
  if (!found) return null;
  const [, amount, price, who, colour] = found;
  const row = [...(/[ _]row = \[(.*?) \] \}/.exec(line)?.[1] ?? '').matchAll(/\] = (-?\d+)/g)].map(([, one]) => Number(one));
  const user = /app_shop_user = \{ (?:\S+ = )?(?:\{ )?"?([^" }]*)/.exec(line)?.[1] ?? '';
  return { amount: Number(amount), price: Number(price), who: who!, colour: Number(colour), row, user };
};

/** Each family of operators and each kind of value, and what it means for an order. */
const CASES: readonly (readonly [string, (order: Order) => boolean])[] = [
  ['amount == 5', ({ amount }) => amount === 5],
  ['amount != 5 && amount > -3 && amount <= 7', ({ amount }) => amount !== 5 && amount > -3 && amount <= 7],
  ['amount < -48 || amount >= 48', ({ amount }) => amount < -48 || amount >= 48],
  ['!amount || -amount == 7', ({ amount }) => amount === 0 || amount === -7],
  ['amount & 1 == 1 && ~amount < 0', ({ amount }) => (amount & 1) === 1 && amount >= 0],
  ['(amount | 8) == 9 || (amount ^ 1) == 20', ({ amount }) => (amount | 8) === 9 || (amount ^ 1) === 20],
  ['amount > 0 && amount >> 2 << 1 == 6', ({ amount }) => amount > 0 && (amount >> 2) << 1 === 6],
  ['price > 2.25 && price <= 3', ({ price }) => price > 2.25 && price <= 3],
  ['price == amount', ({ price, amount }) => price === amount],
  ['who == "adam"', ({ who }) => who === 'adam'],
  ['who == "a*"', ({ who }) => who.startsWith('a')],
  ['who == "*r*a" || who == "a\\*b"', ({ who }) => who === 'berta' || who === 'a*b'],
  ['who < "adam" && code != "a\\*b"', ({ who }) => who === '_'],
  ['colour == 1', ({ colour }) => colour === 1],
  ['row[1] == 4 || row[0] == 42', ({ row }) => row[1] === 4 || row[0] === 42],
  ['row[2] == 3', ({ row }) => row[2] === 3],
  ['$ctx.procname == "ord*" && $ctx.cpu_id >= 0 && amount == 1', ({ amount }) => amount === 1],
  ['$ctx.procname != "ord*" || $ctx.vpid < 1', () => false],
  ['$app.shop:user == "alice"', ({ user }) => user === 'alice'],
  ['$app.shop:user < -6.5 && amount < 100', ({ user }) => user === '-7'],
  ['$ctx.nothing == 1 || amount == 1', () => false],
  ['who == 3 || amount.x == 1', () => false],
];

describe('view --filter', () => {
  const weft = new Weft();
  let other: string[] = [];
  before(() => {
    weft.ok('create', 'orders', '-o', weft.trace('orders'));
    weft.ok('enable-event', '-u', '-s', 'orders', 'shop:*');
    weft.ok('add-context', '-u', '-s', 'orders', '-t', 'procname', '-t', 'vpid', '-t', '$app.shop:user');
    weft.ok('start', 'orders');
    assert.equal(spawnSync(build('orders'), { env: weft.env }).status, 0);
    weft.ok('stop', 'orders');
    const ran = spawnSync('babeltrace2', ['--no-delta', weft.trace('orders')], { encoding: 'utf8' });
    assert.equal(ran.status, 0, ran.stderr);
    other = lines(ran.stdout);
    assert.equal(other.length, 101);
  });
  after(() => weft.dispose());

  /** As the command does it, without a process for each. */
  const shown = async (expression: string): Promise<string[]> => {
    const checked = checkFilter(expression, 'trace');
    assert.ok(checked.ok, expression);
    const path = join(weft.home, 'shown');
    const fd = openSync(path, 'w');
    const options = { fd, delta: false, filter: recordedFilter(checked.root) };
    const result = await loadNative().viewTraces(viewPlan(findTraces(weft.trace('orders')), options, false));
    closeSync(fd);
    assert.deepEqual(result.faults, []);
    return lines(readFileSync(path, 'utf8'));
  };

  test('every family of operators keeps what it holds for', async () => {
    for (const [expression, holds] of CASES) {
      const want = other.filter((line) => {
        const order = orderOf(line);
        return order !== null && holds(order);
      });
      assert.deepEqual(await shown(expression), want, expression);
    }
    const met = CASES.filter(([, holds]) => other.some((line) => orderOf(line) !== null && holds(orderOf(line)!)));
    assert.equal(met.length, CASES.length - 3, 'all but those for missing values hold for some order');
  });

  test('classes without the field are not shown; the limit counts what is shown; hidden fields are judged', () => {
    assert.deepEqual(lines(weft.ok('view', 'orders', '--no-delta', '--filter', 'day == 1')), [other[100]]);
    const shown = lines(weft.ok('view', 'orders', '--filter', 'amount >= 10', '--limit=3', '--fields=price', '--no-delta'));
    assert.equal(shown.length, 3);
    assert.match(shown[0]!, /shop:order: .*\{ price = 2\.5 \}$/);
    const objects = lines(weft.ok('view', 'orders', '--json', '--filter', 'amount == 49')).map((line) => JSON.parse(line));
    assert.deepEqual([objects.length, objects[0].fields.amount], [1, 49]);
  });

  test('a field or context that no event has is named, with the nearest that there are; others are not', () => {
    const said = (filter: string) => weft.run('view', 'orders', '--limit=1', '--filter', filter).stderr;
    assert.match(said('amont > 3'), /^Warning: no event of the trace has field amont; nearest of its fields: amount, .*\n$/);
    assert.match(said('$ctx.vpd == 3 || amount == 1'), /^Warning: no event of the trace has context vpd; .*contexts/);
    assert.equal(said('amount == 5'), '');
    assert.equal(said('day == 1'), '', 'some class has it');
  });

  test('a wrong expression is refused with its place, live or not', () => {
    for (const more of [[], ['--live']]) {
      const ran = weft.run('view', 'orders', ...more, '--filter', 'amount = 100');
      assert.notEqual(ran.status, 0);
      assert.match(ran.stderr, /^amount = 100\n {7}\^\n.*write `==`.*\nError: Filter .* at column 8/);
    }
    assert.match(weft.run('view', 'orders', '-e', 'echo', '--filter', 'amount').stderr, /--filter' is for the own viewer/);
  });

  test('--live shows only what the filter holds for', async () => {
    weft.ok('create', 'live', '-o', weft.trace('live'));
    weft.ok('enable-event', '-u', '-s', 'live', 'shop:*');
    weft.ok('start', 'live');
    const watch = (filter: string) => {
      const words = ['view', '--live', 'live', '--json', '--limit', '4', '--filter', filter];
      const watching = spawn(CLI, words, { env: weft.env, stdio: ['ignore', 'pipe', 'pipe'] });
      let [text, said] = ['', ''];
      watching.stderr.on('data', (data: Buffer) => {
        said += data;
      });
      watching.stdout.on('data', (data: Buffer) => {
        text += data;
      });
      const ready = new Promise<void>((resolve) => watching.stderr.on('data', () => said.includes('Watching') && resolve()));
      const amounts = new Promise<number[]>((resolve) =>
        watching.once('close', () => resolve(lines(text).map((line) => JSON.parse(line).fields.amount))),
      );
      const warned = new Promise<void>((resolve) =>
        watching.stderr.on(
          'data',
          () => /session until now has field amont; nearest of its fields: amount,/.test(said) && resolve(),
        ),
      );
      return { ready, amounts, warned, end: () => watching.kill() };
    };
    const [large, small] = [watch('amount > 45'), watch('amount < -46')];
    await Promise.all([large.ready, small.ready]);
    const program = spawn(build('orders'), { env: weft.env, stdio: 'ignore' });
    assert.deepEqual(await large.amounts, [46, 47, 48, 49]);
    assert.deepEqual(await small.amounts, [-50, -49, -48, -47]);
    // Events are known by now; nobody would see why nothing is shown.
    const wrong = watch('amont > 45');
    await wrong.warned;
    wrong.end();
    assert.deepEqual(await wrong.amounts, []);
    program.kill();
  });
});
