/** The fleet's store is put back to an older copy, as from a backup: hosts keep to the newest that they saw, and all meet again. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Fleet } from '../support/fleet.ts';
import { until } from '../support/fleet-server.ts';
import { COMMAND_MS } from '../support/patience.ts';
import { CLI } from '../support/weft.ts';

interface Row {
  readonly host: string;
  readonly generation: number;
  readonly wanted: number | null;
  readonly state: string;
}

const yaml = (pattern: string): string => `
weft: 1
sessions:
  - name: all
    started: true
    channels:
      - name: c
        events: [{ name: '${pattern}' }]
`;

describe('a fleet whose store is put back', { timeout: 300_000 }, () => {
  let fleet: Fleet;
  const store = () => join(fleet.directory, 'js');
  const backup = () => join(fleet.directory, 'backup');

  const operate = (...words: string[]) => {
    const env = { ...fleet.at('web-1').env, WEFT_FLEET: join(fleet.directory, 'alice') };
    return spawnSync(CLI, ['--json', 'fleet', ...words], { env, encoding: 'utf8', timeout: COMMAND_MS });
  };
  const apply = (pattern: string): { generation: number; written: boolean } => {
    const file = join(fleet.directory, 'all.yaml');
    writeFileSync(file, yaml(pattern));
    const ran = operate('apply', file);
    assert.equal(ran.status, 0, ran.stdout + ran.stderr);
    return JSON.parse(ran.stdout) as { generation: number; written: boolean };
  };
  const rows = (): string => {
    const ran = operate('status', 'all');
    if (ran.status !== 0) return ran.stdout + ran.stderr;
    const { hosts } = JSON.parse(ran.stdout) as { hosts: readonly Row[] };
    return hosts.map(({ host, generation, wanted, state }) => `${host} ${generation}/${wanted} ${state}`).join(', ');
  };
  const shown = async (wanted: string): Promise<void> => {
    let seen = '';
    const look = (): boolean => {
      seen = rows();
      return seen === wanted;
    };
    await until(look, wanted).catch((thrown: unknown) => assert.equal(seen, wanted, String(thrown)));
  };
  const records = (host: string, pattern: RegExp): void => assert.match(fleet.at(host).ok('list', 'all'), pattern, host);

  before(async () => {
    fleet = await Fleet.start();
    mkdirSync(join(fleet.directory, 'alice'));
    const access = { name: 'alice', clientUrls: [`nats://127.0.0.1:${fleet.port}`] };
    writeFileSync(join(fleet.directory, 'alice/fleet.json'), JSON.stringify(access));
    fleet.add('web-1');
    fleet.add('web-2');
  });
  after(() => fleet.dispose());

  test('hosts follow the highest generation that they saw; the regression is shown; the next apply is over all of them', async () => {
    apply('old:*');
    await shown('web-1 1/1 following, web-2 1/1 following');
    await fleet.killServer();
    cpSync(store(), backup(), { recursive: true });
    await fleet.startServer();
    await until(() => operate('list').status === 0, 'the server is up');
    await shown('web-1 1/1 following, web-2 1/1 following');
    assert.equal(apply('new:*').generation, 2);
    await shown('web-1 2/2 following, web-2 2/2 following');

    await fleet.killServer();
    rmSync(store(), { recursive: true });
    cpSync(backup(), store(), { recursive: true });
    await fleet.startServer();
    await shown('web-1 2/1 ahead, web-2 2/1 ahead');
    // Also one that reads the bucket anew: a daemon that comes after a death.
    fleet.kill('web-2');
    fleet.startHost('web-2');
    await shown('web-1 2/1 ahead, web-2 2/1 ahead');
    for (const host of ['web-1', 'web-2']) records(host, /new:\*/);

    // What the copy has is what is asked for: it is written all the same, or the hosts would never follow it.
    assert.equal(apply('old:*').generation, 3);
    await shown('web-1 3/3 following, web-2 3/3 following');
    for (const host of ['web-1', 'web-2']) records(host, /old:\*/);
  });
});
