/** Our own server: its files, and whom its clients believe; and servers of others by URL or context. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fmtCreds } from '@nats-io/jwt';
import { fromSeed } from '@nats-io/nkeys';
import { type Access, connectExternal, parseAccess, renewAccess } from '../../transport/access.ts';
import type { Bus, Fault } from '../../transport/bus.ts';
import { readBusFile, writeBusFile } from '../../transport/bus-file.ts';
import { succeeded } from '../../transport/errors.ts';
import type { Role } from '../../transport/identity.ts';
import { NatsBus, type OwnServer } from '../../transport/nats-bus.ts';
import { findServer, freePort, isPortFree, prepareServer } from '../../transport/server-config.ts';
import { become } from '../support/bus-world.ts';
import { TestServer } from '../support/nats.ts';
import { PATIENCE_MS } from '../support/patience.ts';

const DAEMON: Role = { kind: 'daemon' };
const now = () => Math.floor(Date.now() / 1000);
const modeOf = (path: string) => statSync(path).mode & 0o777;
const rejectsWith = (promise: Promise<unknown>, code: string, message: RegExp = /./) =>
  assert.rejects(promise, (thrown: { fault: Fault }) => {
    assert.equal(thrown.fault.code, code);
    assert.match(thrown.fault.message, message);
    return true;
  });

const listening = async (server: Server, port = 0): Promise<number> => {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
};

const echo = (bus: Bus) =>
  bus.serve({ name: 'echo', version: '1.0.0', description: 'echo' }, [
    { name: 'echo', subject: 'test.echo', schema: {}, handle: async ({ body }) => succeeded({ text: body.text }) },
  ]);
const works = async (bus: Bus): Promise<void> => {
  const reply = await bus.request('test.echo', { v: 1, id: 'x', text: 'hello' }, PATIENCE_MS);
  assert.deepEqual(reply, { ok: true, body: { text: 'hello' } });
};

/** For the rest of the second in which a key expires the server still takes it, and cuts the connection again at once. */
const worksAgain = async (bus: Bus): Promise<void> => {
  for (const deadline = Date.now() + PATIENCE_MS; ; ) {
    await become(bus, 'connected');
    const reply = await bus.request('test.echo', { v: 1, id: 'x', text: 'hello' }, PATIENCE_MS);
    if (reply.ok) return assert.deepEqual(reply.body, { text: 'hello' });
    assert.equal(reply.fault.code, 'bus-cut');
    assert.ok(Date.now() < deadline, 'it is cut again and again');
  }
};

describe('files of the server', () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'weft-server-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  test('keys, certificate and configuration are made once, for their owner alone', async () => {
    const first = await prepareServer({ stateDirectory: directory, running: false });
    const bus = join(directory, 'bus');
    assert.equal(modeOf(bus), 0o700);
    for (const name of ['keys.json', 'certificate.key', 'certificate.pem', 'nats-server.conf', 'port']) {
      assert.equal(modeOf(join(bus, name)), 0o600, name);
    }
    const second = await prepareServer({ stateDirectory: directory, running: false });
    assert.deepEqual(second, first);
    assert.notEqual(first.port, 4222);
  });

  test('the configuration listens on loopback with TLS, has no monitoring port and no secret but paths', async () => {
    const { configPath, port, keys } = await prepareServer({ stateDirectory: directory, running: false });
    const text = readFileSync(configPath, 'utf8');
    assert.match(text, new RegExp(`^listen: "127.0.0.1:${port}"$`, 'm'));
    assert.match(text, /^tls \{/m);
    assert.doesNotMatch(text, /http|jetstream|BEGIN/i);
    assert.ok(!text.includes(keys.accountSeed));
    assert.ok(
      !readFileSync(join(directory, 'bus', 'keys.json'), 'utf8').match(/"SO[A-Z0-9]{56}/),
      "the operator's seed is kept",
    );
  });

  test('a port that somebody took is replaced, unless it is our own server that holds it', async () => {
    const { port } = await prepareServer({ stateDirectory: directory, running: false });
    const thief = createServer();
    await listening(thief, port);
    assert.equal(await isPortFree(port), false);
    assert.equal((await prepareServer({ stateDirectory: directory, running: true })).port, port);
    const moved = await prepareServer({ stateDirectory: directory, running: false });
    assert.notEqual(moved.port, port);
    assert.deepEqual(moved.urls, [`tls://127.0.0.1:${moved.port}`]);
    thief.close();
    assert.equal((await prepareServer({ stateDirectory: directory, running: false })).port, moved.port);
  });

  test('bus.json: readable by everybody for root’s daemon, by the owner for a user’s; anything else is no bus.json', () => {
    const content = { v: 1, host: 'h', uid: 0, urls: ['tls://127.0.0.1:5000'], ca: 'PEM', pid: 7 } as const;
    writeBusFile(directory, content);
    assert.equal(modeOf(join(directory, 'bus.json')), 0o644);
    assert.deepEqual(readBusFile(directory), content);
    writeBusFile(directory, { ...content, uid: 1000 });
    assert.equal(modeOf(join(directory, 'bus.json')), 0o600);
    writeFileSync(join(directory, 'bus.json'), '{"v":1}');
    assert.equal(readBusFile(directory), null);
    assert.equal(readBusFile(join(directory, 'nowhere')), null);
  });

  test('nats-server is found where distributions put it', () => {
    assert.ok(existsSync(findServer('') ?? ''));
    writeFileSync(join(directory, 'nats-server'), '', { mode: 0o755 });
    assert.equal(findServer(`relative:${directory}`), join(directory, 'nats-server'));
  });
});

describe('whom a client believes', { timeout: 300_000 }, () => {
  let server: TestServer;
  before(async () => {
    server = await TestServer.start();
  });
  after(() => server.dispose());

  const withUrl = (access: Access, port: number): Access => ({ ...access, urls: [`tls://127.0.0.1:${port}`] });

  test('a server with another certificate is refused', async () => {
    const other = await TestServer.start();
    const access = withUrl(await server.grant(DAEMON), other.prepared.port);
    await rejectsWith(server.connectWith(access, { waitMs: 0 }), 'bus-unavailable', /certificate/);
    await other.dispose();
  });

  test('a server without TLS is refused before it gets a word', async () => {
    const heard: Buffer[] = [];
    const plain = createServer((socket) => {
      socket.on('data', (bytes) => heard.push(bytes)).on('error', () => {});
      socket.write('INFO {"server_id":"X","version":"2.9.0","proto":1,"headers":true,"max_payload":1048576}\r\n');
    });
    const access = withUrl(await server.grant(DAEMON), await listening(plain));
    await rejectsWith(server.connectWith(access, { waitMs: 0 }), 'bus-unavailable', /tls/i);
    assert.deepEqual(heard, []);
    plain.close();
  });

  test('what is no NATS server is `bus-unavailable`: garbage, or nobody there', async () => {
    const garbage = createServer((socket) => {
      socket.on('error', () => {});
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    const access = await server.grant(DAEMON);
    await rejectsWith(server.connectWith(withUrl(access, await listening(garbage)), { waitMs: 0 }), 'bus-unavailable');
    garbage.close();
    await rejectsWith(server.connectWith(withUrl(access, await freePort()), { waitMs: 0 }), 'bus-unavailable', /refused/);
  });

  test('an impostor that takes the freed port gets nothing; the client goes on when the real one is back', async () => {
    const own = await TestServer.start();
    const bus = await own.connect(DAEMON);
    await echo(bus);
    await own.kill();
    await become(bus, 'cut');
    let attempts = 0;
    const impostor = await TestServer.start(own.prepared.port);
    assert.equal(impostor.prepared.port, own.prepared.port);
    const impostorBus = await impostor.connect(DAEMON);
    impostorBus.subscribe('test.>', () => attempts++);
    // Failed handshakes in its log are the proof that our client comes and leaves.
    const handshakes = () => impostor.log().split('TLS handshake error').length;
    const seen = handshakes();
    while (handshakes() < seen + 2) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(bus.status, 'cut');
    assert.equal((await bus.request('test.echo', { v: 1 }, 1_000)).ok, false);
    await impostor.dispose();
    await own.start();
    await become(bus, 'connected');
    await works(bus);
    assert.equal(attempts, 0);
    await own.dispose();
  });

  test('a key of another account is `permission-denied`, at once', async () => {
    const other = await TestServer.start();
    const foreign = await other.grant(DAEMON);
    const access = { ...(await server.grant(DAEMON)), jwt: foreign.jwt!, seed: foreign.seed! };
    await rejectsWith(server.connectWith(access), 'permission-denied');
    await other.dispose();
  });

  test('an expired key is `permission-denied`; one that expires meanwhile is replaced without losing the subscriptions', async () => {
    await rejectsWith(server.connectWith(await server.grant(DAEMON, now() - 1)), 'permission-denied');
    const short = await server.grant(DAEMON, now() + 10);
    let attempts = 0;
    const counting = {
      seed: short.seed!,
      get jwt() {
        attempts++;
        return short.jwt!;
      },
    };
    const bus = await NatsBus.connect(short as OwnServer, counting, { name: 'test' });
    await echo(bus);
    await works(bus);
    await become(bus, 'cut');
    while (attempts < 5) await new Promise((resolve) => setTimeout(resolve, 20));
    const renewed = await server.grant(DAEMON);
    assert.equal(renewed.inboxPrefix, short.inboxPrefix);
    renewAccess(bus, renewed);
    await worksAgain(bus);
    await bus.close();
  });

  test('a client follows its daemon to another port', async () => {
    const own = await TestServer.start();
    const bus = await own.connect(DAEMON);
    await echo(bus);
    await own.kill();
    await become(bus, 'cut');
    const thief = createServer((socket) => socket.destroy());
    await listening(thief, own.prepared.port);
    const moved = await own.move();
    assert.notEqual(moved.urls[0], `tls://127.0.0.1:${(thief.address() as { port: number }).port}`);
    renewAccess(bus, moved);
    await become(bus, 'connected');
    await works(bus);
    thief.close();
    await own.dispose();
  });

  test('access is checked as it comes over the socket', async () => {
    const access = await server.grant({ kind: 'caller', who: '4201', all: false });
    assert.equal(access.who, '4201');
    assert.deepEqual(parseAccess({ ...access, more: 1 }), { ok: true, value: access });
    const { urls: _, ...without } = access;
    const parsed = parseAccess(without);
    assert.match(parsed.ok ? '' : parsed.fault.message, /`urls`/);
  });

  test('two callers never share an inbox', async () => {
    const role: Role = { kind: 'caller', who: '4201', all: false };
    const [one, two] = [await server.grant(role), await server.grant(role)];
    assert.match(one.inboxPrefix, /^_INBOX\.[0-9a-f]{32}$/);
    assert.notEqual(one.inboxPrefix, two.inboxPrefix);
    const bus = await server.connectWith(one);
    const refused = new Promise<Fault>((resolve) => bus.subscribe(`${two.inboxPrefix}.>`, () => {}, resolve));
    assert.equal((await refused).code, 'permission-denied');
  });

  test('what the server refuses of a publication is told to whoever wants to know', async () => {
    const role: Role = { kind: 'caller', who: '4201', all: false };
    const refused = new Promise<Fault>((resolve) => {
      void server
        .connect(role, { onRefused: resolve })
        .then((bus) => bus.publish('weft.v1.testhost.0.evt.4201.a.b.c', { v: 1 }));
    });
    assert.equal((await refused).code, 'permission-denied');
  });
});

describe('servers of others', { timeout: 300_000 }, () => {
  let server: TestServer;
  let home: string;
  let access: Access;
  before(async () => {
    server = await TestServer.start();
    access = await server.grant(DAEMON);
    home = mkdtempSync(join(tmpdir(), 'weft-home-'));
    mkdirSync(join(home, '.config/nats/context'), { recursive: true });
    writeFileSync(join(home, 'ca.pem'), access.ca!);
    writeFileSync(join(home, 'user.creds'), fmtCreds(access.jwt!, fromSeed(new TextEncoder().encode(access.seed!))));
  });
  after(async () => {
    await server.dispose();
    rmSync(home, { recursive: true, force: true });
  });

  const context = (name: string, content: unknown): { context: string } => {
    writeFileSync(join(home, '.config/nats/context', `${name}.json`), JSON.stringify(content));
    return { context: name };
  };
  const open = (external: Parameters<typeof connectExternal>[0]) => connectExternal(external, { name: 'test' }, { home });

  test('a context of the nats tool is used: url, creds, ca, inbox prefix', async () => {
    const bus = await open(
      context('ours', { url: access.urls[0], creds: '~/user.creds', ca: '~/ca.pem', inbox_prefix: access.inboxPrefix }),
    );
    await echo(bus);
    await works(bus);
    await bus.close();
  });

  test('a context without the authority of the server does not connect', async () => {
    await rejectsWith(open(context('no-ca', { url: access.urls[0], creds: '~/user.creds' })), 'bus-unavailable', /certificate/);
  });

  test('a context that cannot be used says which and why', async () => {
    await rejectsWith(open({ context: 'nowhere' }), 'bus-unavailable', /nowhere.*ENOENT/);
    await rejectsWith(open({ context: '../x' }), 'bus-unavailable', /no name/);
    await rejectsWith(open(context('empty', {})), 'bus-unavailable', /url/);
    await rejectsWith(open(context('nsc', { url: 'nats://h', nsc: 'nsc://o/a/u' })), 'bus-unavailable', /nsc/);
    await rejectsWith(open(context('lost', { url: 'nats://h', creds: '/nowhere.creds' })), 'bus-unavailable', /nowhere\.creds/);
    await rejectsWith(open(context('box', { url: 'nats://h', inbox_prefix: 'mine' })), 'bus-unavailable', /_INBOX/);
    await rejectsWith(open(context('ws', { url: 'ws://h' })), 'bus-unavailable', /nats:\/\//);
  });

  test('--bus-url: user and password of the URL count; tls:// insists on TLS', async () => {
    const plain = createServer((socket) => {
      socket.on('error', () => {});
      socket.write('INFO {"server_id":"X","version":"2.9.0","proto":1,"headers":true,"max_payload":1048576}\r\n');
      socket.on('data', (bytes) => {
        if (bytes.includes('"user":"me","pass":"se cret"')) socket.write('PONG\r\n');
        else if (bytes.includes('CONNECT')) socket.end("-ERR 'Authorization Violation'\r\n");
      });
    });
    const port = await listening(plain);
    const bus = await open({ url: `nats://me:se%20cret@127.0.0.1:${port}` });
    assert.equal(bus.status, 'connected');
    await bus.close();
    await rejectsWith(open({ url: `nats://127.0.0.1:${port}` }), 'permission-denied');
    await rejectsWith(open({ url: `tls://127.0.0.1:${port}` }), 'bus-unavailable', /tls/);
    await rejectsWith(open({ url: 'localhost' }), 'bus-unavailable', /nats:\/\//);
    plain.close();
  });
});
