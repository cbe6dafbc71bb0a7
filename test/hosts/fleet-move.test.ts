/** A host goes from one fleet to another that has a session of the same name: it follows the one it is in. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Fleet } from '../support/fleet.ts';
import { until } from '../support/fleet-server.ts';
import { COMMAND_MS } from '../support/patience.ts';
import { CLI, type Weft } from '../support/weft.ts';

let first: Fleet;
let second: Fleet;
let host: Weft;

before(async () => {
  [first, second] = [await Fleet.start(), await Fleet.start()];
  host = first.add('mover');
});
after(() => {
  first.dispose();
  second.dispose();
});

const apply = (fleet: Fleet, channel: string): void => {
  const key = join(fleet.directory, 'key');
  mkdirSync(key, { recursive: true });
  writeFileSync(join(key, 'fleet.json'), JSON.stringify({ name: 'op', clientUrls: [`nats://127.0.0.1:${fleet.port}`] }));
  const file = join(fleet.directory, 'same.yaml');
  const session = { name: 'same', channels: [{ name: channel, events: [{ name: 'weft_test:*' }] }] };
  writeFileSync(file, JSON.stringify({ weft: 1, sessions: [session] }));
  const env = { ...host.env, WEFT_FLEET: key };
  const ran = spawnSync(CLI, ['fleet', 'apply', file], { env, encoding: 'utf8', timeout: COMMAND_MS });
  assert.equal(ran.status, 0, ran.stderr);
};

const has = (channel: string): boolean => host.run('list', 'same').stdout.includes(`- ${channel}:`);

test('what the former fleet wanted ends; what the present one wants is followed, whatever its generation', async () => {
  for (const channel of ['before', 'of_first']) apply(first, channel);
  await until(() => has('of_first'), 'it follows the first fleet');
  apply(second, 'of_second');
  host.ok('fleet', 'leave');
  assert.ok(has('of_first'), 'alone it goes on');
  host.ok('fleet', 'join', second.file);
  await until(() => has('of_second'), 'it follows the second fleet');
  // Straight from one into the other, too.
  host.ok('fleet', 'join', first.file);
  await until(() => has('of_first'), 'it follows the first fleet again');
});
