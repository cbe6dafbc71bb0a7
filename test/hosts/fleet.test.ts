/** Three hosts, each with daemon and bus of its own, as leaf nodes of one NATS server: who is there, and one command for all. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Fleet, type FleetHost } from '../support/fleet.ts';

const ALL = 'db-1 ready, web-1 ready, web-2 ready';

interface Report {
  readonly state: string;
  readonly hosts: readonly { host: string; ok: boolean; error?: { code: string; message: string } }[];
}

const oks = ({ hosts }: Report): string => hosts.map(({ host, ok, error }) => `${host} ${ok ? 'ok' : error!.code}`).join(', ');

describe('a fleet of three hosts', { timeout: 300_000 }, () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await Fleet.start();
    fleet.add('web-1', ['role=web']);
    fleet.add('web-2', ['role=web']);
    fleet.add('db-1', ['role=db']);
    await fleet.until('web-1', ALL);
    await fleet.until('db-1', ALL);
  });
  after(() => fleet.dispose());

  test('hosts: every host sees all, with their labels; a selector shows some', () => {
    const { hosts } = fleet.at('db-1').json<{ hosts: FleetHost[] }>('hosts', 'role=web');
    assert.deepEqual(
      hosts.map(({ host, labels }) => [host, labels]),
      [
        ['web-1', { role: 'web' }],
        ['web-2', { role: 'web' }],
      ],
    );
    assert.match(fleet.at('web-1').ok('hosts'), /^HOST +STATE +LABELS[^\n]*\ndb-1 +ready +role=db/);
  });

  test('--on: a session is made, started, shown and stopped on the hosts that are meant, in a row each', () => {
    const web1 = fleet.at('web-1');
    const on = (...words: string[]) => JSON.parse(web1.ok('--json', '--on', 'role=web', ...words)) as Report;
    assert.equal(oks(on('create', 's')), 'web-1 ok, web-2 ok');
    on('enable-event', '-u', '-s', 's', 'weft_test:*');
    assert.equal(oks(on('start', 's')), 'web-1 ok, web-2 ok');
    assert.match(fleet.at('web-2').ok('list'), /s .*active/);
    assert.match(fleet.at('db-1').ok('list'), /no available/);
    assert.match(
      web1.ok('--on', '*', 'list'),
      /^HOST +RESULT +DETAIL\ndb-1 +ok +no sessions\nweb-1 +ok +s: active\nweb-2 +ok +s: active\n$/,
    );
    assert.equal(oks(on('stop', 's')), 'web-1 ok, web-2 ok');
    const again = web1.run('--json', '--on', '*', 'start', 's');
    assert.equal(again.status, 4, 'one host has no such session');
    assert.equal(oks(JSON.parse(again.stdout) as Report), 'db-1 session-not-found, web-1 ok, web-2 ok');
    const all = web1.run('--json', '--on', '*', '--all', 'stop', 's');
    assert.equal(all.status, 1);
    assert.equal(
      oks(JSON.parse(all.stdout) as Report),
      'db-1 session-not-found, web-1 operation-aborted, web-2 operation-aborted',
    );
    assert.equal(oks(on('stop', 's')), 'web-1 ok, web-2 ok');
  });

  test('--on: a selector that nobody matches, a command that is not for the fleet, paths outside', () => {
    const web1 = fleet.at('web-1');
    assert.match(web1.run('--on', 'role=none', 'list').stderr, /No host of the fleet matches/);
    assert.match(web1.run('--on', '*', 'sessiond', '--stop').stderr, /sessiond is none/);
    assert.match(web1.run('--on', '*', 'create', 'x', '-o', '/etc/weft-x').stdout, /fleet-path-refused/);
  });

  test('a host that is killed is named, and delays the others no longer than the stall timer', async () => {
    fleet.kill('web-2');
    const begin = performance.now();
    const ran = fleet.at('web-1').run('--json', '--on', 'role=web', '--stall', '1', 'start', 's');
    // It never answers; how long the limit is holds test/model, which has a clock of its own.
    assert.ok(performance.now() - begin < 30_000);
    assert.equal(ran.status, 4);
    assert.equal(oks(JSON.parse(ran.stdout) as Report), 'web-1 ok, web-2 host-silent');
    assert.match(fleet.at('web-1').ok('list'), /s .*active/);
  });
});
