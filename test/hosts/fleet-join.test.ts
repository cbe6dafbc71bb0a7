/** A daemon that runs comes into a fleet and leaves it: with the keys that `weft keys` makes, while it records. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort } from '../../transport/server-config.ts';
import type { FleetHost } from '../support/fleet.ts';
import { TestFleet, until } from '../support/fleet-server.ts';
import { COMMAND_MS } from '../support/patience.ts';
import { babeltrace, CLI, checkTrace, Weft } from '../support/weft.ts';

const SESSION = `
weft: 1
sessions:
  - name: wanted
    channels:
      - name: c
        events: [{ name: 'weft_test:*' }]
`;

const old = new Weft();
const late = new Weft();
let fleet: TestFleet;

const keyOf = async (name: string): Promise<string> =>
  join(await fleet.mint({ kind: 'host', name, carries: [`${process.getuid!()}@${name}`] }), 'fleet.json');

before(async () => {
  fleet = await TestFleet.start();
  const file = await keyOf('old');
  old.ok('sessiond', '--daemonize', '--host', 'old', '--fleet', file);
  late.ok('sessiond', '--daemonize', '--host', 'late');
});

after(async () => {
  late.dispose();
  old.dispose();
  await fleet.dispose();
});

const seen = (weft: Weft): string =>
  weft
    .json<{ hosts: FleetHost[] }>('hosts')
    .hosts.map(({ host, state }) => `${host} ${state}`)
    .join(', ');

let operator: Promise<string> | null = null;
const operate = async (...words: string[]) => {
  operator ??= fleet.mint({ kind: 'operator', name: 'alice' });
  const env = { ...late.env, WEFT_FLEET: await operator };
  return spawnSync(CLI, words, { env, encoding: 'utf8', timeout: COMMAND_MS });
};

const declare = async (): Promise<void> => {
  const file = join(late.home, 'wanted.yaml');
  writeFileSync(file, SESSION);
  const ran = await operate('fleet', 'apply', file);
  assert.equal(ran.status, 0, ran.stderr);
};

test('a host that records joins and leaves: all see it, it does what the fleet wants, and no event is lost', async () => {
  await declare();
  const trace = late.session('s');
  const counter = await late.counter({ periodNs: 100_000 });
  await counter.advance(100);
  assert.match(late.run('hosts').stderr, /Host late belongs to no fleet/);
  assert.match(late.ok('fleet', 'join', await keyOf('late')), /joins the fleet/);
  await until(() => seen(late) === 'late ready, old ready', 'the newcomer sees both');
  await until(() => seen(old) === 'late ready, old ready', 'the other sees both');
  await until(() => /\bwanted\b/.test(late.ok('list')), 'it reads what the fleet wants');
  assert.match(old.ok('--on', 'host=late', 'list'), /late +ok +s: active; wanted: inactive/);
  assert.match(late.ok('--on', 'host=old', 'list'), /old +ok +wanted: inactive/);

  // Whoever comes up in the daemon's place is in the fleet.
  process.kill(late.readPid('sessiond'), 'SIGKILL');
  await until(() => /old +ok/.test(late.run('--on', 'host=old', 'list').stdout), 'the next daemon has its place');
  await counter.advance(100);

  assert.match(late.ok('fleet', 'leave'), /leaves the fleet/);
  await until(() => seen(old) === 'late left, old ready', 'the other sees that it left');
  assert.match((await operate('hosts', '--forget=old')).stderr, /Host old is ready: only one that is unreachable/);
  assert.match((await operate('hosts', '--forget', 'late')).stdout, /Host late is forgotten/);
  assert.equal(seen(old), 'old ready');
  assert.match((await operate('hosts', '--forget=late')).stderr, /No host late was heard of/);
  await until(() => /belongs to no fleet/.test(late.run('hosts').stderr), 'it is out');
  await counter.advance(100);
  await counter.stop();
  late.ok('stop', 's');
  const { recorded, lost, errors } = checkTrace(trace);
  assert.deepEqual([recorded, lost, errors], [counter.total(), 0, []]);
  assert.equal(babeltrace(trace).events, counter.total());
});

test('who joins a fleet where nobody listens is told so, with the address', async () => {
  const file = await keyOf('lonely');
  const port = await freePort();
  const nowhere = join(dirname(file), 'nowhere.json');
  const wanted = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(nowhere, JSON.stringify({ ...wanted, urls: [`tls://127.0.0.1:${port}`] }));
  const ran = late.run('fleet', 'join', nowhere);
  assert.equal(ran.status, 4);
  assert.match(ran.stderr, new RegExp(`no server of the fleet was reached at 127\\.0\\.0\\.1:${port}`));
});
