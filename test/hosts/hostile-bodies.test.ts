/** What those who have a key of the fleet can send: the same again, too late, too large, malformed. Nobody ends of it, and nothing is done twice. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createInbox, type NatsConnection } from '@nats-io/transport-node';
import type { Body } from '../../transport/bus.ts';
import { decodeBody, MAX_BODY_BYTES } from '../../transport/codec.ts';
import { accessOf, makeBucket, TestFleet, until } from '../support/fleet-server.ts';
import { mutated, randomOf } from '../support/mutations.ts';
import { COMMAND_MS } from '../support/patience.ts';
import { freePort } from '../support/relay.ts';
import { CLI, Weft } from '../support/weft.ts';

type Answer = Body & { readonly error?: { readonly code: string } };
const COUNT = 300;
const SEED = 6;
const COMMANDS = 'weft.v1.web-1.0.cmd.fleet';
const ALL = 'weft.v1.fleet.0.cmd.fleet';

describe('a host and a relay of a fleet', { timeout: 300_000 }, () => {
  const weft = new Weft();
  const relayHome = new Weft();
  let fleet: TestFleet;
  let relay: ChildProcess;
  let alice: NatsConnection;
  let inbox = '';
  const answers = new Map<string, Answer>();
  const sent = { count: 0 };

  const startRelay = async (): Promise<void> => {
    const from = await fleet.mint({ kind: 'relay', name: 'store' });
    const to = join(relayHome.home, 'config/nats/context');
    mkdirSync(to, { recursive: true });
    const context = readFileSync(join(from, 'nats-context.json'), 'utf8').replaceAll('/etc/weft/relay', from);
    writeFileSync(join(to, 'fleet.json'), context);
    const words = ['relayd', '--bus-context=fleet', '-o', join(relayHome.home, 'out'), '--sig-parent'];
    const env = { ...relayHome.env, HOME: relayHome.home, XDG_CONFIG_HOME: join(relayHome.home, 'config') };
    const ready = once(process, 'SIGUSR1' as unknown as 'message');
    relay = spawn(CLI, [...words, '-L', `tcp://127.0.0.1:${await freePort()}`], { env, stdio: 'ignore' });
    await ready;
  };

  const operator = async (name: string): Promise<readonly [NatsConnection, string]> => {
    const directory = await fleet.mint({ kind: 'operator', name });
    const connection = await fleet.connectWith(directory);
    const own = createInbox(accessOf(directory).inboxPrefix);
    connection.subscribe(`${own}.*`, {
      callback: (_error, message) => {
        const decoded = decodeBody(message.data);
        assert.ok(decoded.ok, 'an answer is a body');
        answers.set(message.subject, decoded.body as Answer);
      },
    });
    return [connection, own];
  };

  /** Where its answer will be. */
  const send = (from: NatsConnection, subject: string, bytes: Uint8Array, own = inbox): string => {
    const reply = `${own}.${sent.count++}`;
    from.publish(subject, bytes, { reply });
    return reply;
  };
  const answerTo = async (from: NatsConnection, subject: string, body: Body | Uint8Array, own = inbox): Promise<Answer> => {
    const reply = send(from, subject, body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body)), own);
    await until(() => answers.has(reply), `an answer to ${subject}`);
    return answers.get(reply)!;
  };
  const names = (): string[] => weft.json<{ sessions: { name: string }[] }>('list').sessions.map(({ name }) => name);
  const processes = (): string =>
    `${['sessiond', 'consumer'].map((role) => weft.readPid(role as 'sessiond'))} ${relay.exitCode} ${relay.signalCode}`;
  const defects = (): string[] =>
    [weft.home, relayHome.home].flatMap((home) => {
      const logs = join(home, 'state/log');
      const lines = readdirSync(logs).flatMap((name) => readFileSync(join(logs, name), 'utf8').split('\n'));
      return lines.filter((line) => line.includes('defect') || line.includes('"level":60'));
    });

  before(async () => {
    fleet = await TestFleet.start();
    await startRelay();
    const file = join(await fleet.mint({ kind: 'host', name: 'web-1' }), 'fleet.json');
    const words = ['sessiond', '--daemonize', '--host', 'web-1', '--fleet', file];
    assert.equal(spawnSync(CLI, words, { env: weft.env, stdio: 'ignore', timeout: COMMAND_MS }).status, 0);
    [alice, inbox] = await operator('alice');
    const bytes = Buffer.from(JSON.stringify({ v: 1, id: 'first' }));
    // Interest travels between the servers in its own time.
    const heard = (): boolean => {
      send(alice, `${COMMANDS}.alice.session.list`, bytes);
      return answers.size > 0;
    };
    await until(heard, 'the host hears alice');
    weft.ok('create', 'watched', '--set-url=relay:');
    weft.ok('enable-event', '-u', '-s', 'watched', 'weft_test:*');
    weft.ok('start', 'watched');
    const counter = await weft.counter({ periodNs: 1_000_000 });
    await counter.advance(100);
  });
  after(async () => {
    relay?.kill('SIGKILL');
    await fleet?.dispose();
    weft.dispose();
    relayHome.dispose();
  });

  test('the same command again has the same answer and is not carried out; one from long ago is stale', async () => {
    const create = Buffer.from(JSON.stringify({ v: 1, id: 'once', name: 'made' }));
    const subject = `${COMMANDS}.alice.session.create`;
    const first = await answerTo(alice, subject, create);
    assert.equal(first.error, undefined);
    assert.deepEqual(await answerTo(alice, subject, create), first);
    assert.equal(
      (await answerTo(alice, `${COMMANDS}.alice.session.destroy`, { v: 1, id: 'end', session: 'made' })).error,
      undefined,
    );
    assert.deepEqual(await answerTo(alice, subject, create), first);
    assert.deepEqual(names(), ['watched']);
    // To all hosts as to one.
    assert.equal((await answerTo(alice, `${ALL}.alice.session.create`, create)).host, 'web-1');
    assert.deepEqual(names(), ['watched']);

    const made = (agoMs: number): string => {
      const at = (Date.now() - agoMs).toString(16).padStart(12, '0');
      return `${at.slice(0, 8)}-${at.slice(8)}-7000-8000-000000000000`;
    };
    const late = await answerTo(alice, subject, { v: 1, id: made(10 * 60_000 + 5_000), name: 'late' });
    assert.equal(late.error?.code, 'stale');
    assert.equal((await answerTo(alice, subject, { v: 1, id: made(60_000), name: 'in-time' })).error, undefined);
    assert.deepEqual(names().sort(), ['in-time', 'watched']);

    // An id is its sender's: whoever repeats another's gets no answer that was not theirs.
    const [bob, his] = await operator('bob');
    const others = await answerTo(bob, `${COMMANDS}.bob.session.create`, { v: 1, id: 'once', name: 'in-time' }, his);
    assert.equal(others.error?.code, 'session-exists');
  });

  test('bodies that are too large or too deep are refused, up to what the server lets pass', async () => {
    const most = alice.info!.max_payload;
    assert.ok(most > MAX_BODY_BYTES);
    const padded = (size: number): Buffer =>
      Buffer.from(`{"v":1,"id":"big","x":"${'x'.repeat(size)}"}`.slice(0, size - 2).concat('"}'));
    const deep = Buffer.from(`{"v":1,"id":"deep","x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);
    const deepMsgpack = Buffer.concat([Buffer.of(0x81, 0xa1, 0x78), Buffer.alloc(100_000, 0x91), Buffer.of(0xc0)]);
    const lying = Buffer.of(0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 0x78);
    for (const bytes of [
      padded(MAX_BODY_BYTES + 1),
      padded(most - 2048),
      Buffer.alloc(MAX_BODY_BYTES + 1, 0x80),
      deep,
      deepMsgpack,
      lying,
    ]) {
      for (const place of [COMMANDS, ALL]) {
        const { error } = await answerTo(alice, `${place}.alice.session.create`, bytes);
        assert.equal(error?.code, 'bad-encoding', `${bytes.length} bytes to ${place}`);
      }
    }
  });

  const valid: readonly (readonly [string, Body])[] = [
    ['session.create', { v: 1, id: 'f', name: 'fuzz', snapshot: true }],
    ['session.list', { v: 1, id: 'f' }],
    ['session.show', { v: 1, id: 'f', session: 'fuzz' }],
    ['channel.enable', { v: 1, id: 'f', session: 'fuzz', channel: 'c', subbufSize: 4096, subbufCount: 4 }],
    ['event.enable', { v: 1, id: 'f', session: 'fuzz', pattern: 'a:*', filter: 'a == 1', exclusions: ['b'] }],
    [
      'session.start',
      { v: 1, id: 'f.prepare', session: 'fuzz', operation: 'f', phase: 'prepare', selector: '*', deadlineMs: 1 },
    ],
    ['session.start', { v: 1, id: 'f.commit', session: 'fuzz', operation: 'f', phase: 'commit', selector: '*', deadlineMs: 1 }],
    [
      'trigger.add',
      { v: 1, id: 'f', name: 't', condition: { type: 'event-rule-matches', pattern: 'a:*' }, actions: [{ kind: 'notify' }] },
    ],
    ['snapshot.record', { v: 1, id: 'f', session: 'fuzz', name: 'n', maxSize: 4096 }],
    ['fleet.sessions', { v: 1, id: 'f', selector: 'host=web-1' }],
  ];

  test('an operator’s malformed commands, 300 of them: each has an answer, and the host goes on', async () => {
    const before = processes();
    const random = randomOf(SEED);
    const asked: string[] = [];
    for (let n = 0; n < COUNT; n++) {
      const [command, body] = valid[random(valid.length)]!;
      const bytes = mutated([{ ...body, id: `${n}` }], random);
      const reply = send(alice, `${n % 3 === 0 ? ALL : COMMANDS}.alice.${command}`, bytes);
      // Of those to all hosts some name others by now.
      if (n % 3 > 0) asked.push(reply);
    }
    const unanswered = () => asked.filter((reply) => !answers.has(reply)).length;
    await until(() => unanswered() === 0, 'answers to all');
    const refused = asked.filter((reply) => answers.get(reply)!.error !== undefined).length;
    assert.ok(refused > COUNT / 3, `${refused} were refused`);
    assert.equal((await answerTo(alice, `${COMMANDS}.alice.session.list`, { v: 1, id: 'last' })).error, undefined);
    assert.equal(processes(), before);
    assert.deepEqual(defects(), []);
  });

  test('documents of the fleet that are none: hosts follow what is one', async () => {
    await makeBucket(fleet);
    const store = await fleet.connectStore('alice');
    const put = (key: string, bytes: Uint8Array) => store.publish(`$JS.fleet.API.$KV.weft_sessions.${key}`, bytes);
    const commands = [{ name: 'session.create', fields: { name: 'wanted', snapshot: true } }];
    const spec = { selector: '*', uid: 0, commands };
    const document = { v: 1, name: 'wanted', uuid: 'u', generation: 1, spec, deleted: false };
    const random = randomOf(SEED + 1);
    for (let n = 0; n < 40; n++)
      put(`bad${n}`, mutated([document, { ...document, spec: { ...spec, commands: [{ name: 'x', fields: {} }] } }], random));
    put('wanted', Buffer.from(JSON.stringify(document)));
    await until(() => names().includes('wanted'), 'the host follows');
    assert.deepEqual(defects(), []);
  });

  test('what a host sends to a relay that is malformed: the relay goes on, and takes what is well-formed', async () => {
    const before = processes();
    const key = await fleet.mint({ kind: 'host', name: 'db-1' });
    const host = await fleet.connectWith(key);
    const random = randomOf(SEED + 2);
    const link = '0123456789abcdef0123456789abcdef';
    const place = { v: 1, host: 'db-1', uid: 0, owner: '0', link, session: 's', live: false, subdir: '' };
    const openAt = (epoch: number): Body => ({ ...place, id: `o${epoch}`, epoch, createdAt: '2026-01-01T00:00:00+00:00' });
    const path = 'ust/uid/0/64-bit';
    const index = new Uint8Array(72);
    for (let epoch = 1; epoch <= COUNT / 6; epoch++) {
      host.publish('weft.v1.relay.open', mutated([openAt(epoch)], random), { reply: '_INBOX_fleet.nobody' });
      const opened = await host.request('weft.v1.relay.open', JSON.stringify(openAt(epoch)), { timeout: COMMAND_MS });
      const answer = decodeBody(opened.data);
      // The malformed one may have been well-formed enough to be first.
      assert.ok(answer.ok && (answer.body.relay === 'store' || answer.body.error !== undefined));
      const head = { v: 1, epoch, n: 1 };
      const messages = [
        {
          ...head,
          kind: 'packet',
          path: `${path}/c_0`,
          number: 0,
          index,
          part: 0,
          parts: 1,
          offset: 0,
          bytes: new Uint8Array(64),
        },
        { ...head, kind: 'metadata', path, text: 'x', first: true, more: false },
        { ...head, kind: 'op', number: 1, op: 'archive', from: 'a', to: 'b' },
        { ...head, kind: 'beat', clock: epoch % 2 === 0 ? 1 : 1.5, paths: [path] },
      ];
      for (let n = 0; n < 5; n++) host.publish(`weft.v1.relay.store.data.db-1.0.0.${link}`, mutated(messages, random));
    }
    await host.flush();
    weft.ok('create', 'next', '--set-url=relay:');
    weft.ok('enable-event', '-u', '-s', 'next', 'weft_test:*');
    weft.ok('start', 'next');
    const counter = await weft.counter({ events: 1_000, first: 1 });
    await counter.ended;
    assert.doesNotMatch(weft.ok('stop', 'next'), /have not reached the relay/);
    assert.equal(processes(), before);
    assert.deepEqual(defects(), []);
  });

  test('what another host and a relay say to a host that is malformed: it goes on', async () => {
    const before = processes();
    const { id } = weft.json<{ session: { id: string } }>('list', 'watched').session;
    const host = await fleet.connect({ kind: 'host', name: 'db-1' });
    const relayed = await fleet.connect({ kind: 'relay', name: 'store' });
    const random = randomOf(SEED + 3);
    const clock = { reference: null, offsetNs: 0, uncertaintyNs: null };
    const beat = { v: 1, machineId: 'm', bootId: 'b', labels: {}, version: '0', sessions: 0, load: 0, clock };
    const freeze = { v: 1, id: '0'.repeat(16), owner: 0, atNs: '1', trigger: 't', postMs: 0 };
    const durable = [{ path: 'ust/uid/0/64-bit/channel0_0', number: 1 }];
    const ack = { v: 1, epoch: 1, upTo: 1, durable, ops: 0, missing: 1, full: false };
    const says: readonly (readonly [NatsConnection, string, readonly Body[]])[] = [
      [host, 'weft.v1.db-1.0.beat', [beat]],
      [host, 'weft.v1.fleet.0.freeze.watched.db-1', [freeze]],
      [host, 'weft.v1.fleet.0.clock.web-1', [{ v: 1, id: 'c' }]],
      [relayed, `weft.v1.relay.store.ack.web-1.0.0.${id}`, [ack, { ...ack, epoch: 2 }, { v: 1, reopen: true }]],
    ];
    for (let n = 0; n < COUNT; n++) {
      const [from, subject, bodies] = says[n % says.length]!;
      from.publish(subject, mutated(bodies, random), { reply: '_INBOX_fleet.nobody' });
    }
    await Promise.all([host.flush(), relayed.flush()]);
    assert.equal((await answerTo(alice, `${COMMANDS}.alice.session.list`, { v: 1, id: 'end-of-it' })).error, undefined);
    weft.ok('stop', 'watched');
    assert.match(weft.ok('hosts'), /^web-1 +ready/m);
    assert.equal(processes(), before);
    assert.deepEqual(defects(), []);
  });
});
