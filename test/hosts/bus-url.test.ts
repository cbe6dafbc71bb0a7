/** `--bus-url` with a password: daemons are on that bus, and the password is nowhere that others look. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { externalBus } from '../../actors/bus-process.ts';
import type { Host, Log } from '../../actors/ports.ts';
import { findServer, freePort } from '../../transport/server-config.ts';
import { until } from '../support/fleet-server.ts';
import { CLI, Weft } from '../support/weft.ts';

const SECRET = 'se-cret';
const silent: Log = { info: () => {}, warn: () => {}, error: () => {} };

/** Of a file or of each below a directory. */
const filesBelow = (path: string): string[] =>
  statSync(path).isDirectory() ? readdirSync(path).flatMap((name) => filesBelow(join(path, name))) : [path];

describe('a bus with a password in its URL', { timeout: 300_000 }, () => {
  const weft = new Weft();
  const children: ChildProcess[] = [];
  let url: string;
  before(async () => {
    const port = await freePort();
    url = `nats://weft:${SECRET}@127.0.0.1:${port}`;
    const words = ['-a', '127.0.0.1', '-p', String(port), '--user', 'weft', '--pass', SECRET];
    children.push(spawn(findServer(process.env.PATH ?? '')!, words, { stdio: 'ignore' }));
  });
  after(() => {
    weft.dispose();
    for (const child of children) child.kill('SIGKILL');
  });

  const wordsOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8');

  test('a daemon serves its user, and tells nobody else: not by bus.json, its log, or the words of its processes', async () => {
    weft.ok('sessiond', '--background', '--bus-url', url);
    weft.ok('create', 'x');
    const files = filesBelow(weft.home).filter((path) => statSync(path).isFile());
    const telling = files.filter((path) => readFileSync(path).includes(SECRET));
    assert.deepEqual(telling, [join(weft.home, 'state/bus-url')]);
    assert.equal(statSync(telling[0]!).mode & 0o777, 0o600);
    assert.match(readFileSync(join(weft.home, 'run/bus.json'), 'utf8'), /"nats:\/\/127\.0\.0\.1:\d+"/);
    const processes = weft.processes();
    assert.ok(processes.some(({ role }) => role === 'keeper') && processes.some(({ role }) => role === 'sessiond'));
    for (const { pid, role } of processes) assert.ok(!wordsOf(pid).includes(SECRET), role);
  });

  test('a relay does not show it either', async () => {
    const words = ['relayd', '--bus-url', url, '-o', join(weft.home, 'out'), `--live-port=tcp://127.0.0.1:${await freePort()}`];
    const relay = spawn(CLI, words, { env: weft.env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    children.push(relay);
    assert.deepEqual((await once(relay, 'message'))[0], 'ready');
    await until(() => !wordsOf(relay.pid!).includes(SECRET), 'its words are hidden');
  });

  test('whoever may command root’s daemon gets its URL without the password; root and the daemon’s own consumer get it', async () => {
    const host = { hostname: 'h', uid: 0, pid: 1, version: '1' } as unknown as Host;
    const bus = externalBus({ host, runtime: '', state: '', log: silent }, { url });
    const urlFor = async (role: Parameters<typeof bus.grant>[0]) => (await bus.grant(role)).urls[0];
    const stripped = url.replace(`weft:${SECRET}@`, '');
    assert.equal(await urlFor({ kind: 'caller', who: '1000', all: false }), stripped);
    assert.equal(await urlFor({ kind: 'consumer', owner: '1000' }), stripped);
    assert.equal(await urlFor({ kind: 'caller', who: '0', all: true }), url);
    assert.equal(await urlFor({ kind: 'consumer', owner: '0' }), url);
  });
});
