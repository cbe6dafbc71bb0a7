/** A daemon that runs comes into a fleet and leaves it: with the keys that `weft keys` makes, while it records. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { FleetHost } from '../support/fleet.ts';
import { TestFleet, until } from '../support/fleet-server.ts';
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

const declare = async (): Promise<void> => {
  const file = join(late.home, 'wanted.yaml');
  writeFileSync(file, SESSION);
  const env = { ...late.env, WEFT_FLEET: await fleet.mint({ kind: 'operator', name: 'alice' }) };
  const ran = spawnSync(CLI, ['fleet', 'apply', file], { env, encoding: 'utf8', timeout: 20_000 });
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
  await until(() => /belongs to no fleet/.test(late.run('hosts').stderr), 'it is out');
  await counter.advance(100);
  await counter.stop();
  late.ok('stop', 's');
  const { recorded, lost, errors } = checkTrace(trace);
  assert.deepEqual([recorded, lost, errors], [counter.total(), 0, []]);
  assert.equal(babeltrace(trace).events, counter.total());
});
