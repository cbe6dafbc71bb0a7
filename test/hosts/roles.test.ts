/** The fleet's server holds each role to its own name. What is tried here is tried with the keys that `weft keys` makes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { NatsConnection } from '@nats-io/transport-node';
import { FleetKeys } from '../../transport/fleet-keys.ts';
import type { FleetRole } from '../../transport/fleet-roles.ts';
import { CALLS, callSubject } from '../../transport/subjects.ts';
import { makeBucket, objection, TestFleet, until } from '../support/fleet-server.ts';

const ROLES = {
  host: { kind: 'host', name: 'web-1' },
  operator: { kind: 'operator', name: 'alice' },
  relay: { kind: 'relay', name: 'store' },
  viewer: { kind: 'viewer', name: 'wall' },
} satisfies Record<string, FleetRole>;

interface Allowance {
  readonly says: readonly string[];
  readonly hears: readonly string[];
  readonly mustNotSay: readonly string[];
  readonly mustNotHear: readonly string[];
}

const FORGED = [
  'weft.v1.db-1.0.cmd.fleet.bob.session.destroy',
  'weft.v1.fleet.0.cmd.fleet.bob.session.destroy',
  'weft.v1.web-1.0.cmd.local.0.session.destroy',
  'weft.v1.web-1.0.consumer.1000.shutdown',
  '$JS.API.STREAM.CREATE.x',
  '$JS.fleet.API.STREAM.DELETE.KV_weft_sessions',
  // Whoever makes a stream says what it hears and in whose name it repeats that.
  '$JS.fleet.API.STREAM.CREATE.KV_weft_sessions',
  '$JS.fleet.API.STREAM.CREATE.KV_weft_triggers',
  '$JS.fleet.API.STREAM.UPDATE.KV_weft_sessions',
  '$JS.fleet.API.$KV.weft_sessions.nightly',
  '$KV.weft_sessions.nightly',
  // A consumer's deliver subject, or a direct get's reply, would be published in anybody's name.
  '$JS.fleet.API.CONSUMER.CREATE.KV_weft_sessions',
  '$JS.fleet.API.DIRECT.GET.KV_weft_sessions',
  '_INBOX.somebody.1',
];
const READING = ['$JS.fleet.API.STREAM.INFO.KV_weft_sessions', '$JS.fleet.API.STREAM.MSG.GET.KV_weft_sessions'];
const OVERHEARD = ['>', 'weft.>', 'weft.v1.relay.*.data.>', 'weft.v1.*.*.cmd.>', '_INBOX_fleet.>', '$JS.>'];

const ALLOWANCES: Readonly<Record<keyof typeof ROLES, Allowance>> = {
  host: {
    says: [
      'weft.v1.web-1.0.beat',
      'weft.v1.web-1.1000.evt.1000.session.s.started',
      'weft.v1.relay.open',
      'weft.v1.relay.store.data.web-1.0.1000.aa',
      'weft.v1.fleet.0.freeze.s.web-1',
      'weft.v1.fleet.0.call.web-1',
      'weft.v1.fleet.0.clock.db-1',
      ...READING,
    ],
    hears: [
      'weft.v1.web-1.*.cmd.fleet.>',
      'weft.v1.fleet.*.cmd.fleet.>',
      'weft.v1.fleet.*.freeze.>',
      'weft.v1.fleet.*.call.>',
      'weft.v1.relay.*.ack.web-1.>',
      'weft.v1.*.*.beat',
      'weft.v1.fleet.bucket.weft_sessions.>',
    ],
    mustNotSay: [
      ...FORGED,
      'weft.v1.web-1.0.cmd.fleet.alice.session.list',
      'weft.v1.db-1.0.beat',
      'weft.v1.db-1.0.evt.0.session.s.started',
      'weft.v1.db-1.0.live.0.s.e',
      'weft.v1.relay.store.data.db-1.0.1000.aa',
      'weft.v1.relay.store.ack.web-1.0.1000.aa',
      'weft.v1.fleet.0.freeze.s.db-1',
      'weft.v1.fleet.0.call.db-1',
    ],
    mustNotHear: [
      ...OVERHEARD,
      'weft.v1.db-1.*.cmd.fleet.>',
      'weft.v1.*.*.evt.>',
      'weft.v1.*.*.inspect.>',
      'weft.v1.relay.*.ack.db-1.>',
      'weft.v1.relay.open',
      'weft.v1.fleet.*.clock.db-1',
    ],
  },
  operator: {
    says: [
      'weft.v1.db-1.0.cmd.fleet.alice.session.list',
      'weft.v1.fleet.0.cmd.fleet.alice.session.start',
      ...READING,
      '$SRV.PING',
    ],
    hears: ['weft.v1.*.*.evt.>', 'weft.v1.*.*.live.>', 'weft.v1.*.*.beat', 'weft.v1.fleet.bucket.weft_sessions.>'],
    mustNotSay: [
      ...FORGED,
      'weft.v1.db-1.0.beat',
      'weft.v1.relay.open',
      'weft.v1.relay.store.ack.db-1.0.0.aa',
      'weft.v1.fleet.0.freeze.s.db-1',
    ],
    mustNotHear: [...OVERHEARD, 'weft.v1.fleet.*.cmd.fleet.>', 'weft.v1.relay.>'],
  },
  relay: {
    says: ['weft.v1.relay.store.ack.web-1.0.1000.aa'],
    hears: ['weft.v1.relay.open', 'weft.v1.relay.store.data.>'],
    mustNotSay: [
      ...FORGED,
      'weft.v1.relay.other.ack.web-1.0.1000.aa',
      'weft.v1.relay.store.data.web-1.0.1000.aa',
      'weft.v1.web-1.0.beat',
    ],
    mustNotHear: [...OVERHEARD, 'weft.v1.relay.other.data.>', 'weft.v1.*.*.evt.>', 'weft.v1.*.*.inspect.>'],
  },
  viewer: {
    says: [],
    hears: ['weft.v1.*.*.evt.>', 'weft.v1.*.*.live.>', 'weft.v1.*.*.beat'],
    mustNotSay: [
      ...FORGED,
      'weft.v1.web-1.0.cmd.fleet.wall.session.list',
      'weft.v1.web-1.0.beat',
      'weft.v1.relay.open',
      '$SRV.PING',
      'anything',
    ],
    mustNotHear: [...OVERHEARD, 'weft.v1.*.*.inspect.>', 'weft.v1.relay.open'],
  },
};

const hear = (connection: NatsConnection, subject: string, heard: string[]): void => {
  connection.subscribe(subject, { callback: (_error, message) => void heard.push(message.subject) });
};

/** The server looks at a domain's API under its own name for it. */
const mapped = (subject: string): string => subject.replace(/^\$JS\.fleet\.API\.(\$KV\.)?/, (_, kv) => kv ?? '$JS.API.');

describe('roles on the fleet’s server', { timeout: 300_000 }, () => {
  let fleet: TestFleet;
  before(async () => {
    fleet = await TestFleet.start();
  });
  after(() => fleet.dispose());

  for (const [kind, allowance] of Object.entries(ALLOWANCES) as [keyof typeof ROLES, Allowance][]) {
    test(`${kind}: says and hears what its name allows, and nothing else`, async () => {
      const connection = await fleet.connect(ROLES[kind]);
      const say = (subject: string) => objection(connection, () => connection.publish(subject, '{}'));
      const hear = (subject: string) => objection(connection, () => void connection.subscribe(subject, { callback: () => {} }));
      for (const subject of allowance.says) assert.equal(await say(subject), null, subject);
      for (const subject of allowance.hears) assert.equal(await hear(subject), null, subject);
      for (const subject of allowance.mustNotSay) assert.equal(await say(subject), `publish ${mapped(subject)}`);
      for (const subject of allowance.mustNotHear) assert.equal(await hear(subject), `subscription ${subject}`);
    });
  }

  test('a key that the account did not sign, one without its seed, and one that has expired are refused', async () => {
    const other = await FleetKeys.create(join(fleet.directory, 'other'), fleet.keys.servers);
    const now = Math.floor(Date.now() / 1000);
    await assert.rejects(fleet.connect(ROLES.operator, now - 1), /authorization|expired/i);
    const strange = readFileSync(join(await other.mint(ROLES.operator), 'user.creds'));
    const own = await fleet.mint(ROLES.operator);
    await assert.rejects(fleet.connectWith(own, { credentials: strange }), /authorization/i);
    const [mine, foreign] = [readFileSync(join(own, 'user.creds'), 'utf8'), strange.toString()];
    const mixed = mine.slice(0, mine.indexOf('-----BEGIN USER')) + foreign.slice(foreign.indexOf('-----BEGIN USER'));
    await assert.rejects(fleet.connectWith(own, { credentials: Buffer.from(mixed) }), /authorization/i);
    await (await fleet.connectWith(own)).flush();
  });

  test('a connection ends when its key expires', async () => {
    // Time enough to come while it is valid.
    const expires = Math.floor(Date.now() / 1000) + 8;
    const directory = await fleet.mint(ROLES.viewer, expires);
    const connection = await fleet.connectWith(directory);
    // Whether the client reads the server's reason before it sees the connection's end is chance.
    await connection.closed();
    assert.ok(Date.now() / 1000 >= expires - 1);
    // A server takes a key for the rest of the second in which it expires.
    await until(() => Date.now() / 1000 > expires + 1, 'the second is over');
    await assert.rejects(fleet.connectWith(directory), /authorization|expired/i);
  });

  test('a client refuses a server whose certificate the fleet’s authority did not sign', async () => {
    const other = await FleetKeys.create(join(fleet.directory, 'posing'), fleet.keys.servers);
    const directory = await fleet.mint(ROLES.viewer);
    const ca = readFileSync(join(other.directory, 'ca.pem'), 'utf8');
    await assert.rejects(fleet.connectWith(directory, { ca }), /certificate/i);
  });

  test('a revoked name is cut off and stays out, whichever of its keys it shows; others stay', async () => {
    const role: FleetRole = { kind: 'operator', name: 'mallory' };
    const first = await fleet.mint(role);
    const copy = readFileSync(join(first, 'user.creds'));
    const connection = await fleet.connectWith(await fleet.mint(role));
    assert.equal(await fleet.keys.revoke('operator', 'mallory'), 2);
    fleet.reload('nats1');
    await connection.closed();
    await assert.rejects(fleet.connectWith(first, { credentials: copy }), /authorization|revoked/i);
    await (await fleet.connect(ROLES.operator)).flush();
  });
});

describe('a host’s leaf', { timeout: 300_000 }, () => {
  let fleet: TestFleet;
  let onHost: NatsConnection;
  let alice: NatsConnection;
  before(async () => {
    fleet = await TestFleet.start();
    const leaf = await fleet.leaf('web-1');
    onHost = await leaf.connect();
    alice = await fleet.connect(ROLES.operator);
  });
  after(() => fleet.dispose());

  /** Interest travels between the servers in its own time. */
  const ask = (from: NatsConnection, subject: string, body = '{}') => {
    let answer = '';
    return until(async () => {
      answer = await from.request(subject, body, { timeout: 300 }).then(
        (message) => message.string(),
        () => '',
      );
      return answer !== '';
    }, `an answer to ${subject}`).then(() => answer);
  };

  test('brings commands of the fleet, and carries the answers to the asker’s inbox', async () => {
    onHost.subscribe('weft.v1.web-1.*.cmd.fleet.*.session.list', {
      callback: (_error, message) => void message.respond(`heard ${message.subject}`),
    });
    assert.equal(
      await ask(alice, 'weft.v1.web-1.0.cmd.fleet.alice.session.list'),
      'heard weft.v1.web-1.0.cmd.fleet.alice.session.list',
    );
  });

  test('brings no local command, no consumer’s verb, no command for another host, and none of what others say', async () => {
    const heard: string[] = [];
    hear(onHost, 'weft.>', heard);
    const other = await fleet.connect({ kind: 'host', name: 'db-1' });
    other.publish('weft.v1.db-1.0.evt.0.session.s.started', '{}');
    for (const place of ['db-1', 'web-1']) alice.publish(`weft.v1.${place}.0.cmd.fleet.alice.session.mark`, '{}');
    for (const subject of ['cmd.local.0.session.destroy', 'consumer.0.shutdown'])
      alice.publish(`weft.v1.web-1.0.${subject}`, '{}');
    other.publish('weft.v1.db-1.0.beat', '{}');
    await until(() => heard.length >= 2, 'what the host may hear');
    alice.publish('weft.v1.fleet.0.cmd.fleet.alice.session.last', '{}');
    await until(() => heard.includes('weft.v1.fleet.0.cmd.fleet.alice.session.last'), 'the last one');
    assert.deepEqual(heard.sort(), [
      'weft.v1.db-1.0.beat',
      'weft.v1.fleet.0.cmd.fleet.alice.session.last',
      'weft.v1.web-1.0.cmd.fleet.alice.session.mark',
    ]);
  });

  test('carries nothing that root of that host says in the name of others', async () => {
    const heard: string[] = [];
    for (const subject of ['weft.v1.*.*.evt.>', 'weft.v1.*.*.beat', 'weft.v1.*.*.inspect.>', 'weft.v1.fleet.*.freeze.>']) {
      hear(alice, subject, heard);
    }
    const victim = await fleet.connect({ kind: 'host', name: 'db-1' });
    hear(victim, 'weft.v1.db-1.*.cmd.fleet.>', heard);
    hear(victim, 'weft.v1.relay.*.ack.db-1.>', heard);
    await Promise.all([alice.flush(), victim.flush()]);
    const beat = 'weft.v1.web-1.0.beat';
    const tryAll = () => {
      for (const subject of [
        'weft.v1.db-1.0.beat',
        'weft.v1.db-1.0.evt.0.session.s.started',
        'weft.v1.db-1.0.inspect.sessiond',
        'weft.v1.db-1.0.cmd.fleet.alice.session.destroy',
        'weft.v1.relay.store.ack.db-1.0.0.aa',
        'weft.v1.fleet.0.freeze.s.db-1',
        beat,
      ]) {
        onHost.publish(subject, '{}');
      }
    };
    await until(async () => {
      tryAll();
      await onHost.flush();
      return heard.length >= 5;
    }, 'the host’s own beat');
    assert.deepEqual([...new Set(heard)], [beat]);
  });

  test('a stream of data finds its relay, and its acknowledgements find the host; a freeze and a call find the other hosts', async () => {
    const relay = await fleet.connect(ROLES.relay);
    const link = 'web-1.0.1000.aa';
    const stored: string[] = [];
    relay.subscribe('weft.v1.relay.open', {
      queue: 'relay',
      callback: (_error, message) => {
        // One by one: a leaf is not told of a listener to the data of all hosts.
        hear(relay, `weft.v1.relay.store.data.${link}`, stored);
        message.respond('store');
      },
    });
    const acknowledged: string[] = [];
    hear(onHost, `weft.v1.relay.*.ack.${link}`, acknowledged);
    assert.equal(await ask(onHost, 'weft.v1.relay.open'), 'store');
    onHost.publish(`weft.v1.relay.store.data.${link}`, '{}');
    await until(() => stored.length === 1, 'the data');
    relay.publish(`weft.v1.relay.store.ack.${link}`, '{}');
    await until(() => acknowledged.length === 1, 'the acknowledgement');
    const elsewhere = await (await fleet.leaf('db-1')).connect();
    const frozen: string[] = [];
    hear(elsewhere, 'weft.v1.fleet.*.freeze.>', frozen);
    await until(async () => {
      onHost.publish('weft.v1.fleet.0.freeze.nightly.web-1', '{}');
      await onHost.flush();
      return frozen.length > 0;
    }, 'the freeze');
    const called: string[] = [];
    hear(elsewhere, CALLS, called);
    await until(async () => {
      for (const host of ['db-1', 'web-1']) onHost.publish(callSubject({ host, uid: 0 }), '{}');
      await onHost.flush();
      return called.length > 0;
    }, 'the call');
    assert.deepEqual([...new Set(called)], [callSubject({ host: 'web-1', uid: 0 })], 'in its own name');
  });

  test('what the fleet wants is read and watched through the leaf, and not written', async () => {
    await makeBucket(fleet);
    const writer = await fleet.connectStore('alice');
    const watched: string[] = [];
    hear(onHost, 'weft.v1.fleet.bucket.weft_sessions.>', watched);
    await until(async () => {
      await ask(writer, '$JS.fleet.API.$KV.weft_sessions.nightly', '{"v":1}');
      return watched.includes('weft.v1.fleet.bucket.weft_sessions.nightly');
    }, 'word of the change');
    const keys = await ask(onHost, READING[0]!, '{"subjects_filter":"$KV.weft_sessions.>"}');
    assert.match(keys, /"\$KV\.weft_sessions\.nightly":\s*1/);
    const wanted = { last_by_subj: '$KV.weft_sessions.nightly' };
    assert.match(await ask(onHost, READING[1]!, JSON.stringify(wanted)), /"data"/);
    for (const subject of [
      '$JS.fleet.API.$KV.weft_sessions.nightly',
      '$KV.weft_sessions.nightly',
      '$JS.fleet.API.CONSUMER.CREATE.KV_weft_sessions',
      '$JS.fleet.API.STREAM.CREATE.KV_other',
    ])
      await assert.rejects(onHost.request(subject, '{}', { timeout: 300 }), subject);
  });
});
