/** Sessions of a fleet: an operator declares them, two hosts follow over real buses. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Fleet } from '../support/fleet.ts';
import { until } from '../support/fleet-server.ts';
import { COMMAND_MS } from '../support/patience.ts';
import { CLI } from '../support/weft.ts';

interface Row {
  readonly session: string;
  readonly host: string;
  readonly generation: number;
  readonly state: string;
}

const YAML = (pattern: string): string => `
weft: 1
selector: role=web
sessions:
  - name: web
    started: true
    channels:
      - name: c
        events: [{ name: '${pattern}' }]
`;

describe('sessions of a fleet', { timeout: 300_000 }, () => {
  let fleet: Fleet;

  const operate = (...words: string[]) => {
    const env = { ...fleet.at('web-1').env, WEFT_FLEET: join(fleet.directory, 'alice') };
    return spawnSync(CLI, ['--json', 'fleet', ...words], { env, encoding: 'utf8', timeout: COMMAND_MS });
  };
  const rows = (): readonly Row[] => (JSON.parse(operate('status', 'web').stdout) as { hosts: Row[] }).hosts;
  const apply = (pattern: string) => {
    const file = join(fleet.directory, 'web.yaml');
    writeFileSync(file, YAML(pattern));
    return operate('apply', file);
  };
  const shown = (wanted: string) =>
    until(
      () =>
        rows()
          .map(({ host, generation, state }) => `${host} ${generation} ${state}`)
          .join(', ') === wanted,
      wanted,
    );

  before(async () => {
    fleet = await Fleet.start();
    mkdirSync(join(fleet.directory, 'alice'));
    const access = { name: 'alice', clientUrls: [`nats://127.0.0.1:${fleet.port}`] };
    writeFileSync(join(fleet.directory, 'alice/fleet.json'), JSON.stringify(access));
    fleet.add('web-1', ['role=web']);
  });
  after(() => fleet.dispose());

  test('apply: a host follows, a late one too; drift is shown, the next generation replaces it, delete ends it', async () => {
    const applied = apply('a:*');
    assert.equal(applied.status, 0, applied.stderr + applied.stdout);
    const web2 = fleet.add('web-2', ['role=web']);
    await shown('web-1 1 following, web-2 1 following');
    assert.match(web2.ok('list', 'web'), /a:\*/);
    assert.equal(
      (JSON.parse(apply('a:*').stdout) as { written: boolean }).written,
      false,
      'the same again is no new generation',
    );
    web2.ok('stop', 'web');
    await shown('web-1 1 following, web-2 1 drifted');
    assert.equal(apply('b:*').status, 0);
    await shown('web-1 2 following, web-2 2 following');
    assert.match(web2.ok('list', 'web'), /b:\*/);
    assert.equal(operate('delete', 'web').status, 0);
    await shown('web-1 3 deleted, web-2 3 deleted');
    assert.match(web2.ok('list'), /no available/);
  });
});
