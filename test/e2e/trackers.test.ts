/** track and untrack: of two programs only the one that is meant records, from when it is meant until it is not. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkTrace, Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

const recorded = (trace: string): number => checkTrace(trace).recorded;

test('of two programs the tracked one is recorded; untracked while it runs, it keeps what was recorded and adds nothing', async () => {
  const trace = weft.session('one', ['--subbuf-size=1M'], false);
  const [meant, other] = [
    await weft.counter({ threads: 1, periodNs: 50_000, confirm: join(weft.home, 'meant') }),
    await weft.counter({ threads: 1, periodNs: 50_000, first: 1, confirm: join(weft.home, 'other') }),
  ];
  const pid = String(meant.child.pid);
  assert.equal(
    weft.ok('track', '-u', '-s', 'one', `--vpid=${pid}`),
    `Added ${pid} to the virtual process ID tracker inclusion set\n`,
  );
  weft.ok('start', 'one');
  await Promise.all([meant.advance(500), other.advance(500)]);
  assert.match(weft.ok('list', 'one'), new RegExp(`Virtual process IDs: +${pid}\n +Virtual user IDs: +all`));
  assert.equal(
    weft.ok('untrack', '-u', '-s', 'one', `--pid=${pid}`),
    `Removed ${pid} from the virtual process ID tracker inclusion set\n`,
  );
  const until = meant.total();
  await meant.advance(300);
  weft.ok('stop', 'one');
  const checked = checkTrace(trace);
  assert.deepEqual([checked.errors, checked.duplicates, checked.disorder, checked.lost], [[], 0, 0, 0]);
  assert.ok(checked.recorded >= 500 && checked.recorded <= until, `${checked.recorded} of ${until}`);

  // Everything again, and then nobody of this user.
  weft.ok('start', 'one');
  weft.ok('track', '-u', '-s', 'one', '--vpid', '--all');
  await Promise.all([meant.advance(200), other.advance(200)]);
  weft.ok('untrack', '-u', '-s', 'one', '--vuid', '-a');
  weft.ok('stop', 'one');
  const both = recorded(trace);
  assert.ok(both >= checked.recorded + 400, `${both} after ${checked.recorded}`);
  weft.ok('start', 'one');
  await meant.advance(200);
  weft.ok('destroy', 'one');
  assert.equal(recorded(trace), both);
  await Promise.all([meant.stop(), other.stop()]);
});

test('a program that starts later is recorded if its user is tracked, by name', async () => {
  const trace = weft.session('later', [], false);
  const uid = process.getuid!();
  const name = uid === 0 ? 'root' : String(uid);
  weft.ok('track', '-u', '-s', 'later', `--vuid=${name}`);
  weft.ok('start', 'later');
  const program = await weft.counter({ threads: 1, events: 1000, confirm: join(weft.home, 'later') });
  await program.ended;
  weft.ok('destroy', 'later');
  assert.equal(recorded(trace), 1000);
});

test('what changes nothing warns, what means nothing is refused', () => {
  weft.session('words', [], false);
  const run = (...args: string[]) => weft.run(args[0]!, '-u', '-s', 'words', ...args.slice(1));
  run('track', '--vpid=12');
  const twice = run('track', '--vpid=12');
  assert.deepEqual([twice.status, twice.stderr.trim()], [0, 'Warning: 12 is already in the virtual process ID inclusion set']);
  const missing = run('untrack', '--vpid=5');
  assert.deepEqual(
    [missing.status, missing.stderr.trim()],
    [0, 'Warning: 5 is not in the virtual process ID the inclusion set'],
  );
  assert.match(run('untrack', '--vgid=5').stderr, /Warning: 5 .*includes all/);
  assert.equal(run('track', '--vuid=no-such-user').status, 1);
  for (const args of [['--vpid=1', '--all'], [], ['--vpid'], ['--all']])
    assert.equal(run('track', ...args).status, 1, args.join(' '));
  assert.equal(run('track', '--uid=0').status, 5);
  assert.equal(
    weft.ok('untrack', '-u', '-s', 'words', '--vgid', '-a').trim(),
    'Virtual group ID tracking policy set to `exclude all`',
  );
  assert.match(weft.ok('list', 'words'), /Virtual group IDs: +none/);
});
