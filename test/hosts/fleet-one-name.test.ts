/** Two machines call themselves the same: whoever looks or commands is told which two, neither does anything, and one that leaves frees the other. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { Fleet, type FleetHost } from '../support/fleet.ts';
import { until } from '../support/fleet-server.ts';
import { COMMAND_MS } from '../support/patience.ts';
import { CLI, Weft } from '../support/weft.ts';

interface Report {
  readonly hosts: readonly { host: string; ok: boolean; error?: { code: string; message: string } }[];
}
type View = FleetHost & { readonly machineId: string; readonly machines: readonly string[] };

describe('two hosts of one name', { timeout: 300_000 }, () => {
  let fleet: Fleet;
  const second = new Weft();
  const viewOf = (weft: Weft): View => weft.json<{ hosts: View[] }>('hosts').hosts.find(({ host }) => host === 'db-1')!;
  const everyone = (): Weft[] => [fleet.at('web-1'), fleet.at('db-1'), second];
  const create = (name: string): Report =>
    JSON.parse(fleet.at('web-1').run('--json', '--on', '*', 'create', name).stdout) as Report;
  const said = ({ hosts }: Report): string =>
    hosts.map(({ host, ok, error }) => `${host} ${ok ? 'ok' : error!.code}`).join(', ');
  before(async () => {
    fleet = await Fleet.start();
    fleet.add('web-1');
    fleet.add('db-1');
    await fleet.until('web-1', 'db-1 ready, web-1 ready');
  });
  after(() => {
    second.dispose();
    fleet.dispose();
  });

  test('both are named, neither acts; when one leaves the other works again', async () => {
    assert.equal(said(create('before')), 'db-1 ok, web-1 ok');
    const words = ['sessiond', '--daemonize', '--host', 'db-1', '--fleet', fleet.file];
    assert.equal(spawnSync(CLI, words, { env: second.env, stdio: 'ignore', timeout: COMMAND_MS }).status, 0);
    await until(() => everyone().every((weft) => viewOf(weft)?.state === 'conflict'), 'all see the conflict');
    const shown = fleet.at('web-1').run('hosts');
    const { machines } = viewOf(fleet.at('web-1'));
    assert.equal(machines.length, 2);
    assert.ok(shown.stderr.includes(`more than one machine calls itself db-1: ${machines.join(' and ')}`), shown.stderr);

    const during = create('during');
    assert.equal(said(during), 'db-1 host-conflict, web-1 ok');
    for (const machine of machines) assert.ok(during.hosts[0]!.error!.message.includes(machine), machine);
    assert.match(fleet.at('db-1').ok('list'), /before/);
    assert.doesNotMatch(fleet.at('db-1').ok('list'), /during/);
    assert.match(second.ok('list'), /no available/);

    second.ok('fleet', 'leave');
    await until(() => [fleet.at('web-1'), fleet.at('db-1')].every((weft) => viewOf(weft).state === 'ready'), 'one is left');
    assert.equal(said(create('after')), 'db-1 ok, web-1 ok');
    assert.match(fleet.at('db-1').ok('list'), /after/);
    assert.match(second.ok('list'), /no available/);
  });
});
