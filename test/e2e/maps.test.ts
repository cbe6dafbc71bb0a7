/** Map channels: what programs count under the keys of triggers is exact, whatever happens to the daemon. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, test } from 'node:test';
import { Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

const counterOf = (session: string, key: string): number =>
  Number(new RegExp(`^  ${key} +(-?\\d+) +no$`, 'm').exec(weft.ok('show-maps', '-s', session))?.[1] ?? Number.NaN);

const counting = (session: string, name: string, key: string, options: string[] = []): void => {
  weft.ok('create', session, '-o', weft.trace(session));
  const added = weft.ok('add-map-channel', '-t', 'user', '-s', session, ...options, 'm');
  assert.equal(added, `Map channel \`m\` added to recording session \`${session}\`.\n`);
  add(session, name, key);
  weft.ok('start', session);
};

const add = (session: string, name: string, key: string): string =>
  weft.ok(
    ...['add-trigger', '--name', name, '--condition=event-rule-matches', '--type=user', '--name=weft_test:*'],
    ...['--action=incr-map-value', '-s', session, '-c', 'm', '-t', 'user', '-k', key],
  );

/** Each look is a command, which takes its time. */
const until = (what: string, holds: () => boolean): void => {
  for (let looks = 0; !holds(); looks++) assert.ok(looks < 50, what);
};

test('two programs count exactly, a dead daemon in between loses nothing, and clear keeps the keys', async () => {
  counting('s', 't', '{provider_name}/{event_name} {{x}}');
  const key = 'weft_test/count \\{x\\}';
  const [one, two] = [await weft.counter({ events: 5_000 }), await weft.counter({ events: 3_000, threads: 2 })];
  await Promise.all([one.ended, two.ended]);
  assert.equal(counterOf('s', key), 11_000);
  const running = await weft.counter({ periodNs: 20_000 });
  await running.advance(200);
  process.kill(weft.readPid('sessiond'), 'SIGKILL');
  await running.advance(500);
  await running.stop();
  assert.equal(counterOf('s', key), 11_000 + running.total());
  const script = weft.ok('export-maps', '-s', 's', '-f', 'sqlite');
  assert.match(script, /^BEGIN;\n[\s\S]*CREATE VIEW vmap[\s\S]*'weft_test\/count \{x\}'[\s\S]*COMMIT;\n$/);
  const sum = `${script}SELECT sum(value) FROM vmap;`;
  const sqlite = spawnSync('sqlite3', [':memory:'], { input: sum, encoding: 'utf8' });
  if (!sqlite.error) assert.equal(sqlite.stdout.trim(), String(11_000 + running.total()), sqlite.stderr);
  weft.ok('clear', 's');
  assert.equal(counterOf('s', key), 0);
  assert.match(weft.ok('show-maps', '-s', 's', '--non-init-values'), /None/);
  assert.match(weft.ok('list', 's', '--map-channel=m'), /Keys: +1/);
  weft.ok('destroy', 's');
  weft.ok('remove-trigger', 't');
});

test('two triggers count an event once or each, as the channel says', async () => {
  counting('once', 'o1', 'k');
  add('once', 'o2', 'k');
  counting('each', 'e1', 'k', ['--update-policy=per-rule-match', '--value-type=signed-int-32']);
  add('each', 'e2', 'k');
  await (await weft.counter({ events: 1_000 })).ended;
  assert.equal(counterOf('once', 'k'), 1_000);
  assert.equal(counterOf('each', 'k'), 2_000);
  weft.ok('stop', 'each');
  await (await weft.counter({ events: 100 })).ended;
  assert.equal(counterOf('each', 'k'), 2_000, 'a stopped session counts nothing');
  assert.equal(counterOf('once', 'k'), 1_100);
  assert.match(
    weft.run('add-map-channel', '-t', 'user', '-s', 'once', '--dead-process-policy=drop').stderr,
    /buffer-ownership=process/,
  );
  assert.match(weft.run('add-map-channel', '-t', 'user', '-s', 'once', 'm').stderr, /exists already/);
});

test('counters per process: each has its own; what a dead one counted is kept or not, as the channel says', async () => {
  counting('kept', 'k1', 'k', ['--buffer-ownership=process']);
  counting('gone', 'g1', 'k', ['--buffer-ownership=process', '--dead-process-policy=drop']);
  const running = await weft.counter({ periodNs: 20_000 });
  await (await weft.counter({ events: 1_000 })).ended;
  await running.advance(200);
  until('the dead one is summed up', () => /shared +k +1000/.test(weft.ok('show-maps', '-s', 'kept', '--per=owner')));
  assert.match(weft.ok('show-maps', '-s', 'gone', '--per=owner'), /shared +k +0 /);
  const pid = String(running.child.pid);
  assert.match(weft.ok('show-maps', '-s', 'gone', '--per=owner', '--pid', pid), new RegExp(`counter \\(${pid}\\) +k +[1-9]`));
  process.kill(weft.readPid('sessiond'), 'SIGKILL');
  until('the program is back', () => weft.ok('list', '-u').includes(`PID: ${pid} `));
  await running.advance(200);
  await running.stop();
  const total = 1_000 + running.total();
  until('all are summed up', () => new RegExp(`shared +k +${total}`).test(weft.ok('show-maps', '-s', 'kept', '--per=owner')));
  assert.equal(counterOf('gone', 'k'), 0);
});
