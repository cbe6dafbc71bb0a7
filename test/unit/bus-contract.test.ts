/** What every bus does, held against the bus in memory and against a real nats-server with our configuration, TLS and keys. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Bus, BusMessage, Endpoint, Fault } from '../../transport/bus.ts';
import { failed, failure, succeeded } from '../../transport/errors.ts';
import type { Role } from '../../transport/identity.ts';
import {
  ANY,
  commandPattern,
  commandSubject,
  consumerSubject,
  eventSubject,
  linkSubject,
  RELAY_OPEN,
  subtree,
} from '../../transport/subjects.ts';
import { become, Collector, PLACE, WORLDS, type World } from '../support/bus-world.ts';
import { PATIENCE_MS } from '../support/patience.ts';

const SERVICE = {
  name: 'weft-sessiond',
  version: '1.2.3',
  description: 'commands',
  otherwise: subtree(PLACE, 'cmd'),
} as const;
const caller = (who: string): Role => ({ kind: 'caller', who, all: false });
const alice = caller('4201');
const command = (who: string, noun: string, verb: string) => commandSubject({ ...PLACE, realm: 'local', who, noun, verb });
const event = (owner: string, what: string) => eventSubject({ ...PLACE, owner, noun: 'session', name: 's', what });
let ids = 0;
const body = (fields: Record<string, unknown> = {}) => ({ v: 1, id: `request-${++ids}`, ...fields });

const endpoint = (noun: string, verb: string, handle: Endpoint['handle']): Endpoint => ({
  name: `${noun}.${verb}`,
  subject: commandPattern(PLACE, noun, verb),
  schema: { type: 'object' },
  handle,
});
const ENDPOINTS: readonly Endpoint[] = [
  endpoint('test', 'echo', async (message) => succeeded({ ...message.body, subject: message.subject })),
  endpoint('test', 'fail', async () => failed('session-not-found', { session: 's1' })),
  endpoint('test', 'throw', async () => {
    throw failure('no-channel', { session: 's1' });
  }),
  endpoint('test', 'break', async () => {
    throw new TypeError('a defect');
  }),
  endpoint('test', 'never', () => new Promise(() => {})),
  endpoint('test', 'large', async () => succeeded({ text: 'x'.repeat(2 << 20) })),
];

const codeOf = async (reply: ReturnType<Bus['request']>): Promise<string> => {
  const settled = await reply;
  return settled.ok ? 'ok' : settled.fault.code;
};
/** The service, as anybody's tool sees it: a plain request to the framework's subject. */
const micro = async (world: World, subject: string): Promise<Record<string, unknown>> => {
  const answer = await (await world.wire()).request(subject, new Uint8Array(), PATIENCE_MS);
  assert.ok(answer.ok);
  return JSON.parse(Buffer.from(answer.bytes).toString()) as Record<string, unknown>;
};

for (const [kind, makeWorld] of Object.entries(WORLDS)) {
  describe(`bus contract: ${kind}`, { timeout: 300_000 }, () => {
    let world: World;
    let daemon: Bus;
    let user: Bus;

    before(async () => {
      world = await makeWorld();
      daemon = await world.connect({ kind: 'daemon' });
      user = await world.connect(alice);
      await daemon.serve(SERVICE, ENDPOINTS);
    });
    after(() => world.dispose());

    test('a request gets the answer of whoever serves it, with the concrete subject', async () => {
      const reply = await user.request(command('4201', 'test', 'echo'), body({ text: 'é', big: 2n ** 63n }), PATIENCE_MS);
      assert.deepEqual(reply, {
        ok: true,
        body: { text: 'é', big: 2n ** 63n, subject: command('4201', 'test', 'echo') },
      });
    });

    test('requests in JSON are answered in JSON, with 64-bit values as decimal strings', async () => {
      const json = await world.connect(alice, { encoding: 'json' });
      const reply = await json.request(command('4201', 'test', 'echo'), body({ big: 2n ** 63n }), PATIENCE_MS);
      assert.ok(reply.ok);
      assert.equal(reply.body.big, '9223372036854775808');
    });

    test('an expected failure comes as its fault, thrown or returned; a defect as `internal`', async () => {
      const reply = await user.request(command('4201', 'test', 'fail'), body(), PATIENCE_MS);
      assert.ok(!reply.ok);
      assert.equal(reply.fault.code, 'session-not-found');
      assert.match(reply.fault.message, /s1/);
      assert.equal(await codeOf(user.request(command('4201', 'test', 'throw'), body(), PATIENCE_MS)), 'no-channel');
      assert.equal(await codeOf(user.request(command('4201', 'test', 'break'), body(), PATIENCE_MS)), 'internal');
    });

    test('an answer too large for the bus becomes a fault that says so', async () => {
      const reply = await user.request(command('4201', 'test', 'large'), body(), PATIENCE_MS);
      assert.ok(!reply.ok);
      assert.equal(reply.fault.code, 'bad-encoding');
      assert.match(reply.fault.message, /1048576/);
    });

    test('a request too large for the bus is refused where it is made', async () => {
      const large = body({ text: 'x'.repeat(2 << 20) });
      assert.equal(await codeOf(user.request(command('4201', 'test', 'echo'), large, PATIENCE_MS)), 'bad-encoding');
      assert.equal(daemon.publish(event('4201', 'large'), large), false);
    });

    test('a request that nobody serves fails at once with `no-responder`', async () => {
      const consumer = consumerSubject({ ...PLACE, owner: '4201', verb: 'hello' });
      assert.equal(await codeOf(daemon.request(consumer, body(), 60_000)), 'no-responder');
    });

    test('of several relays one gets each opening, and consumers reach only their own part of a link', async () => {
      const heard = new Collector<string>();
      for (const name of ['r1', 'r2']) {
        const bus = await world.connect({ kind: 'relay', relay: name });
        const handle = async () => succeeded({ relay: name });
        await bus.serve({ ...SERVICE, name: 'weft-relay' }, [
          { name: 'open', subject: RELAY_OPEN, schema: {}, queue: 'relay', handle },
        ]);
        bus.subscribe(linkSubject('data', { relay: name, host: ANY, uid: ANY, owner: ANY, link: ANY }), ({ subject }) => {
          heard.add(subject);
        });
        await bus.flush();
      }
      const consumer = await world.connect({ kind: 'consumer', owner: '4201' });
      const reply = await consumer.request(RELAY_OPEN, body(), PATIENCE_MS);
      assert.ok(reply.ok && /^r[12]$/.test(String(reply.body.relay)));
      const to = (owner: string, host = PLACE.host) =>
        linkSubject('data', { relay: String(reply.body.relay), host, uid: PLACE.uid, owner, link: 'l' });
      for (const subject of [to('4202'), to('4201', 'other'), to('4201')]) consumer.publish(subject, body());
      await consumer.flush();
      assert.deepEqual(await heard.take(1), [to('4201')]);
    });

    test('an unknown command of a known service is `unsupported`', async () => {
      assert.equal(await codeOf(user.request(command('4201', 'test', 'unheard-of'), body(), PATIENCE_MS)), 'unsupported');
    });

    test('a request without answer ends with `timeout`', async () => {
      assert.equal(await codeOf(user.request(command('4201', 'test', 'never'), body(), 20)), 'timeout');
    });

    test('a service that stopped is no longer asked, and can be served again', async () => {
      const bus = await world.connect({ kind: 'consumer', owner: '4203' });
      const subject = consumerSubject({ ...PLACE, owner: '4203', verb: 'hello' });
      const hello = { name: 'hello', subject, schema: {}, handle: async () => succeeded({ pid: 1 }) };
      const service = { name: 'weft-consumerd', version: '1.0.0', description: 'consumer' };
      const served = await bus.serve(service, [hello]);
      assert.equal(await codeOf(daemon.request(subject, body(), PATIENCE_MS)), 'ok');
      await served.stop();
      assert.equal(await codeOf(daemon.request(subject, body(), PATIENCE_MS)), 'no-responder');
      await bus.serve(service, [hello]);
      assert.equal(await codeOf(daemon.request(subject, body(), PATIENCE_MS)), 'ok');
    });

    test('subscribers get what their wildcards match, in the order of publication, until they stop', async () => {
      const all = new Collector<BusMessage>();
      const started = new Collector<BusMessage>();
      const subscription = user.subscribe(subtree(PLACE, 'evt', '4201'), all.add);
      user.subscribe(event('4201', 'started'), started.add);
      await user.flush();
      for (let n = 1; n <= 500; n++) assert.equal(daemon.publish(event('4201', n % 5 ? 'tick' : 'started'), { v: 1, n }), true);
      const messages = await all.take(500);
      assert.deepEqual(
        messages.map((message) => message.body.n),
        Array.from({ length: 500 }, (_, index) => index + 1),
      );
      assert.equal(messages[0]?.subject, event('4201', 'tick'));
      assert.equal((await started.take(100)).length, 100);
      subscription.stop();
      daemon.publish(event('4201', 'started'), { v: 1, n: 501 });
      await started.take(101);
      assert.equal(all.items.length, 500);
    });

    test('large fields of bytes arrive whole and in order among the rest, with and without room around them', async () => {
      const sums = new Collector<readonly unknown[]>();
      const sumOf = (bytes: unknown): number => (bytes instanceof Uint8Array ? bytes.reduce((sum, byte) => sum + byte, 0) : 0);
      // Bytes are the listener's until it returns.
      user.subscribe(event('4201', 'data'), ({ body: { n, bytes } }) => sums.add([n, sumOf(bytes)]));
      await user.flush();
      const length = 200_000;
      for (let n = 1; n <= 40; n++) {
        const room = n % 4 === 0 ? 0 : 2_000;
        const bytes = Buffer.alloc(room + length + 64)
          .subarray(room, room + length)
          .fill(n);
        const sent =
          n % 5 === 0
            ? daemon.publish(event('4201', 'data'), { v: 1, n })
            : daemon.publishAround(event('4201', 'data'), { v: 1, n }, 'bytes', { bytes, room });
        assert.equal(sent, true);
      }
      assert.deepEqual(
        await sums.take(40),
        Array.from({ length: 40 }, (_, at) => [at + 1, (at + 1) % 5 === 0 ? 0 : (at + 1) * length]),
      );
    });

    test('the service shows itself to the NATS services framework: PING, INFO, STATS', async () => {
      const ping = await micro(world, '$SRV.PING.weft-sessiond');
      assert.equal(ping.type, 'io.nats.micro.v1.ping_response');
      const info = await micro(world, `$SRV.INFO.weft-sessiond.${String(ping.id)}`);
      assert.equal(info.version, '1.2.3');
      const endpoints = info.endpoints as {
        name: string;
        subject: string;
        queue_group: string;
        metadata: { schema: string };
      }[];
      assert.deepEqual(
        endpoints.map(({ name }) => name),
        ENDPOINTS.map(({ name }) => name.replace('.', '-')),
      );
      assert.equal(endpoints[0]?.queue_group, '');
      assert.deepEqual(JSON.parse(endpoints[0]?.metadata.schema ?? ''), { type: 'object' });
      const stats = await micro(world, '$SRV.STATS.weft-sessiond');
      const counted = stats.endpoints as { name: string; num_requests: number; num_errors: number; last_error: string }[];
      assert.ok(counted[0]!.num_requests >= 2);
      assert.equal(counted[1]?.num_errors, counted[1]?.num_requests);
      assert.equal(counted[1]?.last_error, 'session-not-found');
    });

    describe('permissions', () => {
      test('a caller cannot command as another', async () => {
        assert.equal(await codeOf(user.request(command('4202', 'test', 'echo'), body(), PATIENCE_MS)), 'permission-denied');
        assert.equal(await codeOf(user.request(command('0', 'test', 'echo'), body(), PATIENCE_MS)), 'permission-denied');
      });

      test('a caller cannot command a consumer, nor pose as the daemon with its events', async () => {
        const heard = new Collector<BusMessage>();
        daemon.subscribe(subtree(PLACE, 'evt'), heard.add);
        await daemon.flush();
        const consumer = consumerSubject({ ...PLACE, owner: '4201', verb: 'shutdown' });
        assert.equal(await codeOf(user.request(consumer, body(), PATIENCE_MS)), 'permission-denied');
        user.publish(event('4201', 'forged'), { v: 1, n: 1 });
        await user.flush();
        daemon.publish(event('4201', 'real'), { v: 1, n: 1 });
        assert.deepEqual(
          (await heard.take(1)).map(({ subject }) => subject),
          [event('4201', 'real')],
        );
      });

      test('a caller cannot serve commands', async () => {
        const fake = [endpoint('test', 'fake', async () => succeeded())];
        await assert.rejects(
          user.serve(SERVICE, fake),
          (thrown: { fault: Fault }) => thrown.fault.code === 'permission-denied',
        );
      });

      test("a caller cannot listen to another's events, commands, inbox, or to inspection", async () => {
        const refused = new Collector<Fault>();
        const subjects = [subtree(PLACE, 'evt', '4202'), subtree(PLACE, 'cmd'), '_INBOX.>', '>', subtree(PLACE, 'inspect')];
        for (const subject of subjects) user.subscribe(subject, () => assert.fail(subject), refused.add);
        const faults = await refused.take(subjects.length);
        assert.deepEqual([...new Set(faults.map(({ code }) => code))], ['permission-denied']);
        daemon.publish(event('4202', 'started'), { v: 1, n: 1 });
        await daemon.flush();
        await user.flush();
      });

      test('root and the daemon’s own user hear everybody’s events and inspection', async () => {
        const root = await world.connect({ kind: 'caller', who: '0', all: true });
        const heard = new Collector<BusMessage>();
        root.subscribe(subtree(PLACE, 'evt', '4202'), heard.add);
        root.subscribe(`weft.v1.testhost.${PLACE.uid}.inspect.*`, heard.add);
        await root.flush();
        daemon.publish(event('4202', 'started'), { v: 1, n: 1 });
        daemon.publish(`weft.v1.testhost.${PLACE.uid}.inspect.sessiond`, { v: 1 });
        assert.equal((await heard.take(2)).length, 2);
      });

      test('a consumer answers the daemon, and publishes for its owner only', async () => {
        const consumer = await world.connect({ kind: 'consumer', owner: '4202' });
        const heard = new Collector<BusMessage>();
        daemon.subscribe(subtree(PLACE, 'evt'), heard.add);
        await daemon.flush();
        consumer.publish(event('4201', 'forged'), { v: 1, n: 1 });
        consumer.publish(event('4202', 'real'), { v: 1, n: 1 });
        assert.deepEqual(
          (await heard.take(1)).map(({ subject }) => subject),
          [event('4202', 'real')],
        );
        assert.equal(await codeOf(consumer.request(command('4202', 'test', 'echo'), body(), PATIENCE_MS)), 'permission-denied');
      });
    });

    describe('a peer that sends anything', () => {
      test('what is no body is refused with `bad-encoding`, in JSON that anybody can read', async () => {
        const wire = await world.wire();
        for (const bytes of [[], [0x00], [0xc1], [0x82, 0xa1], Buffer.from('[1]'), Buffer.from('{"a":'), [0xff, 0xff]]) {
          const answer = await wire.request(command('4201', 'test', 'echo'), Uint8Array.from(bytes), PATIENCE_MS);
          assert.ok(answer.ok);
          const text = Buffer.from(answer.bytes).toString();
          assert.match(text, /bad-encoding/);
        }
        assert.equal(await codeOf(user.request(command('4201', 'test', 'echo'), body(), PATIENCE_MS)), 'ok');
      });

      test('garbled answers are faults', async () => {
        const wire = await world.wire();
        const subject = consumerSubject({ ...PLACE, owner: '4209', verb: 'hello' });
        let next: Uint8Array = new Uint8Array();
        wire.subscribe(subject, ({ reply }) => wire.send(reply!, next));
        await wire.flush();
        const cases: [string, string][] = [
          ['', 'bad-encoding'],
          ['[]', 'bad-encoding'],
          ['{}', 'bad-message'],
          ['{"v":2}', 'bad-message'],
          ['{"v":1}', 'bad-message'],
          ['{"v":1,"id":"somebody-else"}', 'bad-message'],
          ['{"v":1,"id":"mine","error":7}', 'bad-message'],
          ['{"v":1,"id":"mine","error":{"code":"new-code","message":"m","hint":"h"}}', 'new-code'],
        ];
        for (const [text, code] of cases) {
          next = Buffer.from(text);
          assert.equal(await codeOf(daemon.request(subject, { v: 1, id: 'mine' }, PATIENCE_MS)), code, text);
        }
      });

      test('garbage on a subscribed subject is dropped, and reported to whoever wants to know', async () => {
        const garbage = new Collector<string>();
        const bus = await world.connect(alice, { onGarbage: (subject) => garbage.add(subject) });
        const heard = new Collector<BusMessage>();
        bus.subscribe(subtree(PLACE, 'evt', '4201'), heard.add);
        await bus.flush();
        const wire = await world.wire();
        wire.send(event('4201', 'garbled'), Uint8Array.from([0xc1]));
        wire.send(event('4201', 'started'), Buffer.from('{"v":1}'));
        await heard.take(1);
        assert.deepEqual(garbage.items, [event('4201', 'garbled')]);
      });

      test('nobody can have an answer sent elsewhere than into an inbox', async () => {
        const stolen = new Collector<BusMessage>();
        daemon.subscribe(subtree(PLACE, 'consumer'), stolen.add);
        await daemon.flush();
        const wire = await world.wire();
        const reply = consumerSubject({ ...PLACE, owner: '4202', verb: 'shutdown' });
        wire.send(command('4201', 'test', 'echo'), Buffer.from('{"v":1,"id":"x"}'), { reply });
        await wire.flush();
        assert.equal(await codeOf(user.request(command('4201', 'test', 'echo'), body(), PATIENCE_MS)), 'ok');
        daemon.publish(consumerSubject({ ...PLACE, owner: '4202', verb: 'end' }), { v: 1 });
        assert.equal((await stolen.take(1))[0]?.subject, consumerSubject({ ...PLACE, owner: '4202', verb: 'end' }));
      });
    });

    describe('the server dies and returns', () => {
      test('while cut nothing is sent; pending requests end with `bus-cut`; afterwards all goes on by itself', async () => {
        const heard = new Collector<BusMessage>();
        user.subscribe(subtree(PLACE, 'evt', '4201'), heard.add);
        await user.flush();
        const pending = user.request(command('4201', 'test', 'never'), body(), 60_000);
        await user.flush();
        await world.kill();
        await Promise.all([become(user, 'cut'), become(daemon, 'cut')]);
        assert.equal(await codeOf(pending), 'bus-cut');
        assert.equal(await codeOf(user.request(command('4201', 'test', 'echo'), body(), 60_000)), 'bus-cut');
        assert.equal(daemon.publish(event('4201', 'lost'), { v: 1, n: 1 }), false);
        await world.restart();
        await Promise.all([become(user, 'connected'), become(daemon, 'connected')]);
        await Promise.all([user.flush(), daemon.flush()]);
        assert.equal(await codeOf(user.request(command('4201', 'test', 'echo'), body(), PATIENCE_MS)), 'ok');
        assert.equal(daemon.publish(event('4201', 'back'), { v: 1, n: 2 }), true);
        assert.deepEqual(
          (await heard.take(1)).map(({ subject }) => subject),
          [event('4201', 'back')],
        );
      });

      test('a bus that is closed says so, sends nothing and ends what waits', async () => {
        const bus = await world.connect(alice);
        const pending = bus.request(command('4201', 'test', 'never'), body(), 60_000);
        await bus.flush();
        await bus.close();
        assert.equal(bus.status, 'closed');
        assert.equal(await codeOf(pending), 'bus-cut');
        assert.equal(await codeOf(bus.request(command('4201', 'test', 'echo'), body(), PATIENCE_MS)), 'bus-cut');
        assert.equal(bus.publish(event('4201', 'late'), { v: 1 }), false);
      });

      test('what was published before close arrives', async () => {
        const heard = new Collector<BusMessage>();
        user.subscribe(subtree(PLACE, 'evt', '4201'), heard.add);
        await user.flush();
        const bus = await world.connect({ kind: 'daemon' });
        for (let n = 0; n < 100; n++) bus.publish(event('4201', 'last'), { v: 1, n });
        await bus.close();
        assert.equal((await heard.take(100)).length, 100);
      });
    });
  });
}
