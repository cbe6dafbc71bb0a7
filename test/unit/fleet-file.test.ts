/** fleet.json, as `weft keys` makes it and as a person writes it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readFleet } from '../../transport/fleet-file.ts';
import { FleetKeys } from '../../transport/fleet-keys.ts';
import { relayOfContext } from '../../transport/nats-context.ts';

const directory = mkdtempSync(join(tmpdir(), 'weft-fleet-file-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const ports = { client: 1, leaf: 2, cluster: 3 };

test('a host joins with the directory that `weft keys host` made: what lies beside the file is found, wherever it was copied to', async () => {
  const keys = await FleetKeys.create(join(directory, 'keys'), [{ name: 'nats', addresses: ['127.0.0.1'], ports }]);
  const made = await keys.mint({ kind: 'host', name: 'web-1' });
  const fleet = readFleet(join(made, 'fleet.json'));
  assert.equal(fleet.ca, join(made, 'ca.pem'));
  assert.equal(fleet.credentials, join(made, 'user.creds'));
  assert.match(fleet.inboxPrefix!, /^_INBOX_fleet\./);
  const relay = await keys.mint({ kind: 'relay', name: 'store' });
  const context = join(directory, 'nats/context/fleet.json');
  mkdirSync(join(directory, 'nats/context'), { recursive: true });
  writeFileSync(context, JSON.stringify({ url: 'tls://127.0.0.1:1', creds: join(relay, 'user.creds') }));
  assert.equal(relayOfContext('fleet', { home: directory, configHome: directory }), 'store');
});

test('an inbox prefix that services would not answer is refused', () => {
  const path = join(directory, 'fleet.json');
  writeFileSync(path, JSON.stringify({ urls: ['tls://h:1'], inboxPrefix: 'weft.v1' }));
  assert.throws(() => readFleet(path), /inboxPrefix: it must begin with `_INBOX`/);
});
