/** Who has nothing but an operator's key commands and watches a fleet, from a machine on which no session daemon runs. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { FleetHost } from '../support/fleet.ts';
import { TestFleet, until } from '../support/fleet-server.ts';
import { COMMAND_MS } from '../support/patience.ts';
import { CLI, Weft } from '../support/weft.ts';

const UID = String(process.getuid!());

describe('an operator', { timeout: 300_000 }, () => {
  const home = mkdtempSync(join(tmpdir(), 'weft-operator-'));
  const hosts = new Map([
    ['web-1', new Weft()],
    ['db-1', new Weft()],
  ]);
  const running: ChildProcess[] = [];
  let fleet: TestFleet;
  let env: NodeJS.ProcessEnv;

  const weft = (...words: string[]) => spawnSync(CLI, words, { env, encoding: 'utf8', timeout: COMMAND_MS });
  const ok = (...words: string[]): string => {
    const { status, stdout, stderr } = weft(...words);
    assert.equal(status, 0, stderr);
    return stdout;
  };

  /** A command that goes on; what it printed so far. */
  const start = (...words: string[]): Promise<() => string> => startIn(env, ...words);
  const startIn = async (env: NodeJS.ProcessEnv, ...words: string[]): Promise<() => string> => {
    const child = spawn(CLI, words, { env });
    running.push(child);
    let [said, complained] = ['', ''];
    child.stdout.on('data', (text) => (said += text));
    child.stderr.on('data', (text) => (complained += text));
    await until(() => /^(Listening|Watching)/m.test(complained), `${words.join(' ')} is there: ${complained}`);
    return () => said;
  };

  /** A command that is interrupted once it watches. */
  const weftEnding = (...words: string[]): Promise<{ status: number | null; complained: string }> => {
    const child = spawn(CLI, words, { env });
    running.push(child);
    let complained = '';
    child.stderr.on('data', (text) => {
      complained += text;
      if (!child.killed && complained.includes('Watching')) child.kill('SIGINT');
    });
    return new Promise((resolve) => child.once('close', (status) => resolve({ status, complained })));
  };

  before(async () => {
    fleet = await TestFleet.start();
    for (const [name, host] of hosts) {
      const file = join(await fleet.mint({ kind: 'host', name }), 'fleet.json');
      host.ok('sessiond', '--daemonize', '--host', name, '--label', `role=${name.split('-')[0]}`, '--fleet', file);
    }
    env = { ...process.env, WEFT_HOME: home, WEFT_FLEET: await fleet.mint({ kind: 'operator', name: 'alice' }) };
    await until(() => /db-1 +ready[\s\S]*web-1 +ready/.test(weft('hosts').stdout), 'both hosts are there');
  });
  after(async () => {
    for (const child of running) child.kill('SIGKILL');
    for (const host of hosts.values()) host.dispose();
    await fleet.dispose();
    rmSync(home, { recursive: true, force: true });
  });

  const documentOf = (name: string): string => {
    const file = join(home, `${name}.yaml`);
    writeFileSync(
      file,
      `weft: 1\nsessions:\n  - name: ${name}\n    channels:\n      - name: c\n        events: [{ name: "a:*" }]\n`,
    );
    return file;
  };

  const follow = (name: string, generation: number, state: string) => () => {
    const wanted = ['db-1', 'web-1'].map((host) => `${name} ${host} ${generation} ${state}`).join('\n');
    return weft('fleet', 'status', name).stdout.replaceAll(/ +/g, ' ').includes(wanted);
  };

  test('sees the hosts that a selector matches, and starts no daemon of its own', () => {
    const { hosts: shown } = JSON.parse(ok('--json', 'hosts', 'role=db')) as { hosts: FleetHost[] };
    assert.deepEqual(
      shown.map(({ host, state }) => [host, state]),
      [['db-1', 'ready']],
    );
    assert.ok(!existsSync(join(home, 'run')));
  });

  test('commands hosts, with --on before the command or behind it; and sees their events and what they record', async () => {
    assert.match(ok('create', 's', '--on', 'role=web'), /^HOST +RESULT +DETAIL\nweb-1 +ok +s: inactive\n$/);
    ok('--on=role=web', 'enable-event', '-u', '-s', 's', 'weft_test:*');
    const heard = await start('listen', '--all', '--on', '*');
    ok('--on', 'host=web-*', 'start', 's');
    await until(() => / web-1 session s started$/m.test(heard()), 'the event of that host');
    const counter = await hosts.get('web-1')!.counter({ periodNs: 1_000_000 });
    const shown = await start('view', '--live', 's', '--on', 'role=web');
    await until(() => /weft_test:count: /.test(shown()), 'events of that host');
    await counter.stop();
    assert.match(ok('list', 's', '--on', 'role=web', '--uid', UID).replaceAll(/ +/g, ' '), /^web-1 ok s: active, \d+ events$/m);
    ok('destroy', 's', '--on=role=web');
    assert.match(hosts.get('web-1')!.ok('list'), /no available/);
  });

  test('sees the events of the hosts that are meant, and of none where somebody else watches a session of that name', async () => {
    const [web, db] = [hosts.get('web-1')!, hosts.get('db-1')!];
    ok('create', 'same', '--on', 'role=web');
    ok('enable-event', '-u', '-s', 'same', 'weft_test:*', '--on', 'role=web');
    ok('start', 'same', '--on', 'role=web');
    db.session('same');
    const counting = await db.counter({ periodNs: 5_000_000 });
    const own = await startIn(db.env, 'view', '--live', 'same', '--json');
    await until(() => own().split('\n').length > 3, 'its own viewer sees that host');
    const shown = await start('view', '--live', 'same', '--json', '--on', 'role=web');
    const before = own().split('\n').length;
    await until(() => own().split('\n').length > before + 20, 'its own viewer sees more');
    const counter = await web.counter({ periodNs: 5_000_000 });
    await until(() => shown().includes('\n'), 'events of the host that is meant');
    for (const one of [counter, counting]) await one.stop();
    const first = JSON.parse(shown().split('\n')[0]!) as { fields: { number: number } };
    assert.equal(first.fields.number, 0, 'the first that the program there made');
    db.ok('destroy', 'same');
    ok('destroy', 'same', '--on=role=web');
  });

  test('is told of which hosts nothing is shown, and by the status too', async () => {
    ok('create', 'only', '--on', 'role=web');
    const all = weftEnding('view', '--live', 'only', '--on', '*');
    const some = weftEnding('view', '--live', 'only', '--on', 'role=web');
    const [ofAll, ofSome] = [await all, await some];
    assert.equal(ofAll.status, 4, ofAll.complained);
    assert.match(ofAll.complained, /^Warning: db-1: .*only.*$/m);
    assert.doesNotMatch(ofAll.complained, /web-1/);
    assert.equal(ofSome.status, 0, ofSome.complained);
    assert.doesNotMatch(ofSome.complained, /Warning/);
    ok('destroy', 'only', '--on=role=web');
  });

  test('declares what hosts follow: the place for it is made by the first to do so, who has the fleet’s keys', async () => {
    ok('fleet', 'apply', documentOf('all'));
    await until(follow('all', 1, 'following'), 'both follow');
    ok('fleet', 'delete', 'all');
    await until(follow('all', 2, 'deleted'), 'by news of it');
  });

  test('is told who should follow and says nothing', async () => {
    ok('fleet', 'apply', documentOf('rest'));
    await until(follow('rest', 1, 'following'), 'both follow');
    assert.equal(weft('fleet', 'status').status, 0);
    hosts.get('db-1')!.killAll();
    const told = weft('fleet', 'status', 'rest');
    assert.equal(told.status, 4, told.stderr);
    assert.match(told.stdout.replaceAll(/ +/g, ' '), /^rest db-1 - silent it does not answer\nrest web-1 1 following/m);
    hosts.get('web-1')!.killAll();
    const alone = weft('fleet', 'status', 'rest');
    assert.equal(alone.status, 4);
    assert.match(alone.stderr, /no host answers/);
  });

  test('is told what is wrong: nobody answers, no key, no selector, a command that is not for many', () => {
    const complaint = (...words: string[]): string => weft(...words).stderr;
    assert.match(complaint('hosts', '--uid=4000000'), /No host of the fleet answers.* user 4000000/);
    assert.match(complaint('hosts', '--fleet-creds', home), /does not describe a fleet: ENOENT/);
    assert.match(complaint('list', '--uid=1'), /--uid of list needs --on/);
    assert.match(complaint('sessiond', '--on', '*'), /--on is for commands about sessions/);
    assert.match(complaint('view', '/tmp', '--on', '*'), /--on is for view --live/);
    assert.match(complaint('--fleet-creds', home, 'fleet', 'status'), /stands behind/);
    const { WEFT_FLEET: _key, ...keyless } = env;
    const listened = spawnSync(CLI, ['listen', '--on', '*'], { env: keyless, encoding: 'utf8', timeout: COMMAND_MS });
    assert.match(listened.stderr, /needs an operator's key/);
  });
});
