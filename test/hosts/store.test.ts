/** What a fleet wants of its hosts: who can write it, who makes the place for it, and that it outlives a server. */
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { NatsConnection } from '@nats-io/transport-node';
import { makeBucket, objection, TestFleet, until } from '../support/fleet-server.ts';
import { COMMAND_MS, PATIENCE_MS } from '../support/patience.ts';
import { CLI } from '../support/weft.ts';

const API = '$JS.fleet.API';
const [INFO, GET] = [`${API}.STREAM.INFO.KV_weft_sessions`, `${API}.STREAM.MSG.GET.KV_weft_sessions`];
const PUT = `${API}.$KV.weft_sessions.nightly`;
const DOCUMENT = '{"v":1,"name":"nightly"}';
const LAST = JSON.stringify({ last_by_subj: '$KV.weft_sessions.nightly' });

/** Where nobody but an operator may say anything. */
const FOREIGN = [
  '$KV.weft_sessions.nightly',
  PUT,
  '$JS.API.$KV.weft_sessions.nightly',
  `${API}.STREAM.DELETE.KV_weft_sessions`,
  '$JS.API.STREAM.PURGE.KV_weft_sessions',
];

const asked = async <T>(connection: NatsConnection, subject: string, body: string, limitMs = PATIENCE_MS): Promise<T> =>
  (await connection.request(subject, body, { timeout: limitMs })).json<T>();

interface Stored {
  readonly message: { readonly seq: number; readonly data: string };
}

describe('what a fleet wants', { timeout: 300_000 }, () => {
  let fleet: TestFleet;
  let writer: NatsConnection;
  before(async () => {
    fleet = await TestFleet.start();
    await makeBucket(fleet);
    writer = await fleet.connectStore('alice');
    await asked(writer, PUT, DOCUMENT);
  });
  after(() => fleet.dispose());

  const stored = async (): Promise<string> => {
    const { message } = await asked<Stored>(writer, GET, LAST);
    return `${message.seq} ${Buffer.from(message.data, 'base64')}`;
  };

  const everybody: Readonly<Record<string, () => Promise<NatsConnection>>> = {
    'a host': () => fleet.connect({ kind: 'host', name: 'web-1' }),
    'root of a host, through its leaf': async () => {
      const onHost = await (await fleet.leaf('web-2')).connect();
      await until(() => asked(onHost, INFO, '{}', 2_000).then(Boolean, () => false), 'the leaf is there');
      return onHost;
    },
    'an operator’s key for the hosts': () => fleet.connect({ kind: 'operator', name: 'alice' }),
    'a relay': () => fleet.connect({ kind: 'relay', name: 'store' }),
    'a viewer': () => fleet.connect({ kind: 'viewer', name: 'wall' }),
  };
  for (const [who, connect] of Object.entries(everybody)) {
    test(`${who} does not write it, not by naming a key as where an answer is to go either`, async () => {
      const before = await stored();
      const connection = await connect();
      const questions = [INFO, GET, INFO.replace('.fleet', ''), GET.replace('.fleet', ''), 'weft.v1.relay.open', '$SRV.PING'];
      for (const reply of FOREIGN)
        for (const subject of questions) connection.publish(subject, subject.includes('.MSG.') ? LAST : '{}', { reply });
      await connection.flush();
      // Behind what was asked: a question of the same connection, where it may ask, and its answer.
      await connection.request(INFO, '{}', { timeout: 500 }).catch(() => {});
      assert.equal(await stored(), before);
    });
  }

  test('a relay answers into inboxes only, whatever it is asked to', async () => {
    const relay = await fleet.connect({ kind: 'relay', name: 'store' });
    const victim = await fleet.connect({ kind: 'host', name: 'db-1' });
    const host = await fleet.connect({ kind: 'host', name: 'web-1' });
    const heard: string[] = [];
    victim.subscribe('weft.v1.db-1.*.cmd.fleet.>', { callback: (_error, { subject }) => void heard.push(subject) });
    await victim.flush();
    let opened = 0;
    relay.subscribe('weft.v1.relay.open', {
      callback: (_error, message) => {
        message.respond('{}');
        opened++;
      },
    });
    await relay.flush();
    const forged = 'weft.v1.db-1.0.cmd.fleet.alice.session.destroy';
    assert.equal((await host.request('weft.v1.relay.open', '{}', { timeout: PATIENCE_MS })).string(), '{}');
    const refused = objection(relay, () => host.publish('weft.v1.relay.open', '{}', { reply: forged }));
    await until(() => opened === 2, 'the relay is asked');
    await Promise.all([refused, relay.flush(), victim.flush()]);
    assert.deepEqual(heard, []);
  });

  test('an operator makes, changes and empties no stream, and no key makes one that hears anything else', async () => {
    for (const verb of ['CREATE', 'UPDATE', 'DELETE', 'PURGE'])
      for (const name of ['KV_weft_sessions', 'KV_weft_triggers', 'KV_weft_hosts', 'x']) {
        const subject = `$JS.API.STREAM.${verb}.${name}`;
        assert.equal(await objection(writer, () => writer.publish(subject, '{}')), `publish ${subject}`);
      }
    const maker = await fleet.connectMaker();
    for (const subject of ['$JS.API.STREAM.CREATE.KV_weft_triggers', '$JS.API.STREAM.DELETE.KV_weft_sessions'])
      assert.equal(await objection(maker, () => maker.publish(subject, '{}')), `publish ${subject}`);
  });
});

const YAML = (pattern: string): string => `
weft: 1
sessions:
  - name: nightly
    channels:
      - name: c
        events: [{ name: '${pattern}' }]
`;

describe('a cluster of three', { timeout: 300_000 }, () => {
  const home = mkdtempSync(join(tmpdir(), 'weft-store-'));
  let fleet: TestFleet;
  before(async () => {
    fleet = await TestFleet.start(3);
  });
  after(async () => {
    await fleet.dispose();
    rmSync(home, { recursive: true, force: true });
  });

  const weft = (creds: string, ...words: string[]): SpawnSyncReturns<string> => {
    const env = { PATH: process.env.PATH, WEFT_HOME: home, WEFT_FLEET: creds };
    return spawnSync(CLI, ['fleet', ...words], { env, encoding: 'utf8', timeout: COMMAND_MS });
  };
  const apply = (creds: string, pattern: string) => {
    const file = join(home, 'nightly.yaml');
    writeFileSync(file, YAML(pattern));
    return weft(creds, 'apply', file);
  };
  /** The servers of a cluster choose among themselves first. */
  const eventually = async (act: () => SpawnSyncReturns<string>, wanted: RegExp): Promise<void> => {
    let said = '';
    const look = (): boolean => {
      const { stdout, stderr } = act();
      said = stdout + stderr;
      return wanted.test(said);
    };
    await until(look, String(wanted)).catch(() => assert.match(said, wanted));
  };

  test('keeps it in three copies, whoever makes the first; when its leader dies it is read and written on', async () => {
    const kept = await fleet.mint({ kind: 'operator', name: 'alice' });
    const away = join(home, 'bob');
    cpSync(await fleet.mint({ kind: 'operator', name: 'bob' }), away, { recursive: true });
    await eventually(() => apply(away, 'a:*'), /no bucket weft_sessions yet[\s\S]*weft fleet init --dir=/);
    // Who has the fleet's keys needs no step of its own.
    await eventually(() => apply(kept, 'a:*'), /Session nightly of the fleet: generation 1/);
    assert.match(weft(away, 'init', `--dir=${fleet.keys.directory}`).stdout, /in 3 copies/);

    const store = await fleet.connectStore('carol');
    interface Info {
      readonly config: { readonly num_replicas: number };
      readonly cluster: { readonly leader: string };
    }
    const { config, cluster } = await asked<Info>(store, INFO, '{}');
    assert.equal(config.num_replicas, 3);
    await store.close();
    await fleet.kill(cluster.leader);
    await eventually(() => weft(away, 'list'), /nightly +1 /);
    await eventually(() => apply(away, 'b:*'), /Session nightly of the fleet: generation 2/);
  });
});
