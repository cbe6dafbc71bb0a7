/** Traces that go to a relay when no session feeds them: snapshots, and what a session leaves whose relay was away. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PATIENCE_MS } from '../support/patience.ts';
import { TestRelay } from '../support/relay.ts';
import { babeltrace, CLI, Weft } from '../support/weft.ts';

const weft = new Weft();
let relay: TestRelay;

before(async () => {
  relay = await TestRelay.start();
});

after(async () => {
  await relay.dispose();
  weft.dispose();
});

/** Of this host, at the relay. */
const directories = (name: string): string[] => {
  const host = existsSync(relay.output) ? readdirSync(relay.output).find((entry) => !entry.startsWith('.')) : undefined;
  if (host === undefined) return [];
  return readdirSync(join(relay.output, host))
    .filter((entry) => entry.startsWith(`${name}-`))
    .map((entry) => join(relay.output, host, entry));
};

const spools = (): string[] => {
  const directory = join(weft.home, 'state/spool');
  return existsSync(directory) ? readdirSync(directory) : [];
};

const until = async (what: string, holds: () => boolean): Promise<void> => {
  for (const deadline = Date.now() + PATIENCE_MS; !holds(); await new Promise((done) => setTimeout(done, 20)))
    assert.ok(Date.now() < deadline, `waited too long: ${what}`);
};

const recorded = async (name: string, first: number): Promise<void> => {
  weft.ok('enable-event', '-u', '-s', name, 'weft_test:*');
  weft.ok('start', name);
  const counter = await weft.counter({ events: 1_000, first });
  await counter.ended;
};

test('a snapshot is at the relay when the command returns, and nothing of it is left here', async () => {
  weft.ok('create', 'shots', '--snapshot', `--set-url=${relay.url}/shots`);
  assert.match(weft.ok('snapshot', 'list-output', '-s', 'shots'), new RegExp(`\\[1\\] snapshot-1: ${relay.url}/shots\n`));
  await recorded('shots', 0);
  const said = weft.ok('snapshot', 'record', '-s', 'shots');
  const [, there] = /^Snapshot sent to \S+: (\/\S+)$/m.exec(said)!;
  assert.match(there!, /\/shots\/snapshot-1-\d{8}-\d{6}-0$/);
  assert.deepEqual([babeltrace(there!).events, babeltrace(there!).complaints], [1_000, '']);
  const once = weft.ok('snapshot', 'record', relay.url, '-s', 'shots', '--name=crash');
  assert.match(once, /^Snapshot sent to \S+: \/\S+\/crash-\d{8}-\d{6}-1$/m);
  assert.equal(directories('shots').length, 2);
  assert.deepEqual(spools(), []);
  const wrong = weft.run('snapshot', 'record', 'net://host:0', '-s', 'shots');
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /Destination net:\/\/host:0 is wrong: a port is a number from 1 to 65535/);
  weft.ok('destroy', 'shots');
});

test('the relay is away: the snapshot is there when it is back, though the daemon is killed meanwhile', async () => {
  await relay.kill();
  weft.ok('create', 'away', '--snapshot', `--set-url=${relay.url}`);
  await recorded('away', 1);
  const said = weft.ok('snapshot', 'record', '-s', 'away');
  assert.match(said, /Warning: it has not reached nats:\S+\/snapshot-1-\S+ yet; it follows from the spool/);
  assert.match(weft.ok('list'), /Waiting for a relay: 1\n {2}snapshot 0 of session away: \d+ bytes/);
  assert.equal(spools().length, 1);
  process.kill(weft.readPid('sessiond'), 'SIGKILL');
  await relay.up();
  await until('it is at the relay', () => spools().length === 0);
  assert.deepEqual(
    directories('away').map((path) => babeltrace(path).events),
    [1_000],
  );
  weft.ok('destroy', 'away');
  await until('nothing waits', () => !weft.ok('list').includes('Waiting for a relay'));
});

test('a power cut took the end of what waits: the packets that are there arrive, and the others are told', async () => {
  await relay.kill();
  weft.ok('create', 'cut', '--snapshot', `--set-url=${relay.url}`);
  weft.ok('enable-channel', '-u', '-s', 'cut', 'ch', '--subbuf-size=4k', '--num-subbuf=64');
  weft.ok('enable-event', '-u', '-s', 'cut', '-c', 'ch', 'weft_test:*');
  weft.ok('start', 'cut');
  await (await weft.counter({ events: 1_000 })).ended;
  weft.ok('snapshot', 'record', '-s', 'cut');
  const [spool] = spools();
  const output = join(weft.home, 'state/spool', spool!);
  let lost = 0;
  for (const name of readdirSync(output, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.idx')) continue;
    const index = readFileSync(join(output, name));
    const packets = (index.length - 16) / 72;
    if (packets < 4) continue;
    const half = packets >> 1;
    truncateSync(join(output, name.replace(/index\/(.*)\.idx$/, '$1')), Number(index.readBigUInt64BE(16 + half * 72)));
    lost += packets - half;
  }
  assert.ok(lost > 1);
  await relay.up();
  await until('it is at the relay', () => spools().length === 0);
  const [there] = directories('cut');
  assert.ok(babeltrace(there!).events > 100, 'what lay on the disk');
  const logs = join(weft.home, 'state/log');
  const said = readdirSync(logs).flatMap(
    (name) => /"lostPackets":(\d+)/.exec(readFileSync(join(logs, name), 'utf8'))?.[1] ?? [],
  );
  assert.deepEqual(said, [String(lost)]);
  weft.ok('destroy', 'cut');
});

test('what waits is thrown away by its id, or all of it; nothing of it arrives', async () => {
  await relay.kill();
  const names = ['unwanted', 'other'];
  for (const [at, name] of names.entries()) {
    weft.ok('create', name, '--snapshot', `--set-url=${relay.url}`);
    await recorded(name, 2 + at);
  }
  // Each waits eight seconds for its relay.
  const records = names.map((name) => spawn(CLI, ['snapshot', 'record', '-s', name], { env: weft.env, stdio: 'ignore' }));
  await Promise.all(records.map((record) => once(record, 'exit')));
  assert.match(weft.ok('list'), /Waiting for a relay: 2\n(.*\n){2} {2}See: weft parcels/);
  const { parcels } = weft.json<{ parcels: { id: string; what: string; bytes: number }[] }>('parcels');
  assert.equal(parcels.length, 2);
  const { id, bytes } = parcels.find(({ what }) => what === 'snapshot 0 of session unwanted')!;
  assert.match(
    weft.ok('parcels'),
    new RegExp(`^ID +BYTES +WHAT +CAUSE\n(.*\n)*${id} +${bytes} +snapshot 0 of session unwanted`),
  );
  assert.equal(weft.ok('parcels', 'drop', id), `Thrown away: snapshot 0 of session unwanted, ${bytes} bytes\n`);
  assert.equal(spools().length, 1);
  assert.match(
    weft.run('parcels', 'drop', id).stderr,
    /waits for a relay: it has arrived, or never was\.\n {2}See: weft parcels/,
  );
  assert.match(weft.run('parcels', 'drop').stderr, /Either an ID or --all is needed/);
  const all = weft.json<{ dropped: object[]; bytes: number }>('parcels', 'drop', '--all');
  assert.deepEqual([all.dropped.length, all.bytes > 0], [1, true]);
  assert.deepEqual([spools(), weft.ok('parcels')], [[], 'Nothing waits for a relay\n']);
  await relay.up();
  weft.ok('snapshot', 'record', '-s', 'unwanted');
  assert.deepEqual(directories('unwanted').length, 1);
  weft.ok('destroy', '-a');
});
