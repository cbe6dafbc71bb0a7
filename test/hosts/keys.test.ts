/** `weft keys` as a command. What its keys are good for: roles.test.ts. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { accessOf } from '../support/fleet-server.ts';
import { CLI } from '../support/weft.ts';

describe('weft keys', { timeout: 300_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-keys-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  const keys = (...words: string[]) =>
    spawnSync(CLI, ['keys', ...words], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, WEFT_KEYS: join(directory, 'fleet') },
    });

  test('makes a fleet once, then a directory for each name, secret to its owner', () => {
    const made = keys('init', '--server=nats1,10.0.0.1', '--server=nats2', '--server=nats3');
    assert.equal(made.status, 0, made.stderr);
    assert.match(keys('init').stderr, /holds the keys of a fleet already/);
    const minted = JSON.parse(keys('host', 'web-1', '--json').stdout) as { directory: string };
    assert.equal(minted.directory, join(directory, 'fleet/hosts/web-1'));
    const access = accessOf(minted.directory);
    assert.deepEqual(access.urls, ['tls://10.0.0.1:7422', 'tls://nats2:7422', 'tls://nats3:7422']);
    assert.deepEqual(access.clientUrls, ['tls://10.0.0.1:4222', 'tls://nats2:4222', 'tls://nats3:4222']);
    for (const secret of [
      'fleet/keys.json',
      'fleet/ca.key',
      'fleet/hosts/web-1/user.creds',
      'fleet/servers/nats2/server.key',
    ]) {
      assert.equal(statSync(join(directory, secret)).mode & 0o077, 0, secret);
    }
    assert.match(keys('operator', 'alice', '--expires=90d').stdout, /Key of operator alice, good until 2/);
    assert.match(keys('revoke', 'operator', 'alice').stdout, /^Revoked 1 key of operator alice/);
  });

  test('says what is wrong with its words', () => {
    assert.match(keys('host').stderr, /Which name/);
    for (const name of ['relay', 'fleet']) assert.match(keys('host', name).stderr, /No host can be called/);
    assert.match(keys('pope', 'x').stderr, /What key\? weft keys init, host, operator, relay, viewer or revoke/);
    assert.match(keys('host', 'x', '--expires=soon').stderr, /give a number and s, m, h, d or y/);
    assert.match(keys('host', 'x', `--dir=${directory}`).stderr, /holds no keys of a fleet/);
    assert.match(keys('revoke', 'viewer', 'nobody').stderr, /viewer nobody has no key/);
    assert.match(keys('init', join(directory, 'b'), '--ports=1,1,2').stderr, /three different ports/);
  });
});
