/** Who may connect to the live port, as whom, how often, and for how long: nobody keeps others out, and nobody is taken for a stranger. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type TestContext, test } from 'node:test';
import { LIVE_LIMITS, LiveShares, listenLive, uidOfPeer } from '../../actors/live-server.ts';
import type { ViewerSocket } from '../../actors/live-viewer.ts';

const V6_FROM = 'fd00::2';
const HEX_FROM = '000000FD000000000000000002000000';

const row = (local: string, remote: string, state: string, uid: number): string =>
  `head\n   0: ${local}:C350 ${remote}:14E0 ${state} 00000000:00000000 00:00000000 00000000  ${uid}        0 1 1\n`;

const peer = (host: string, table: string, own: readonly string[], to = host): number | null | undefined =>
  uidOfPeer({ host, port: 50_000 }, { host: to, port: 5_344 }, [() => table], () => own);

test('a connection over an address of this machine, of either kind, belongs to the uid that the kernel names', () => {
  assert.equal(peer(V6_FROM, row(HEX_FROM, HEX_FROM, '01', 1000), [V6_FROM]), 1000);
  assert.equal(peer('192.0.2.7', row('070200C0', '070200C0', '01', 1000), ['192.0.2.7']), 1000);
  const mapped = '0000000000000000FFFF0000070200C0';
  assert.equal(peer('::ffff:192.0.2.7', row(mapped, mapped, '01', 1000), ['192.0.2.7']), 1000);
});

test('nobody’s connection from this machine is refused; only other machines are strangers', () => {
  for (const host of ['127.0.0.1', '::1', '192.0.2.7', '::ffff:192.0.2.7', V6_FROM, 'fe80::7%eth0'])
    assert.equal(peer(host, '', ['192.0.2.7', V6_FROM, 'fe80::7'], '203.0.113.1'), undefined, host);
  assert.equal(peer(V6_FROM, row(HEX_FROM, HEX_FROM, '05', 1000), [V6_FROM]), undefined, 'it closed its side already');
  assert.equal(peer('203.0.113.9', '', [], '203.0.113.9'), undefined, 'both ends are one address');
  for (const host of ['203.0.113.9', '2001:db8::9']) assert.equal(peer(host, '', ['192.0.2.7'], '192.0.2.7'), null, host);
});

test('a user, an address and a site have their share of connections and of what waits to be read, and take nobody else’s', () => {
  const limits = { ...LIVE_LIMITS, ofOneUser: 3, ofOneAddress: 2, unreadBytes: 10 };
  const shares = new LiveShares(limits);
  const [first, second] = [shares.enter(null, '203.0.113.9'), shares.enter(null, '::ffff:203.0.113.9')];
  assert.ok(first && second);
  assert.equal(shares.enter(null, '203.0.113.9'), null);
  assert.ok(shares.enter(null, '2001:db8::9') && shares.enter(null, '2001:db8::a'));
  assert.equal(shares.enter(null, '2001:db8::b'), null, 'addresses of one site');
  assert.ok(shares.enter(null, '2001:db8:1::9') && shares.enter(7, '127.0.0.1'));
  assert.ok(first.takes(6) && second.takes(4) && !second.takes(1));
  first.taken(6);
  assert.ok(second.takes(5));
  first.leave();
  assert.ok(shares.enter(null, '203.0.113.9'));
});

const listening = async (t: TestContext, host: string, limits: Partial<typeof LIVE_LIMITS> = {}) => {
  const sockets: ViewerSocket[] = [];
  const closes: Socket[] = [];
  const connected = (socket: ViewerSocket) => {
    sockets.push(socket);
    return { receive: async () => {}, gone: () => {} };
  };
  const server = await listenLive({ host, port: 0 }, connected, { ...LIVE_LIMITS, ...limits });
  t.after(() => {
    for (const socket of closes) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const come = (allowHalfOpen = false): Socket => {
    const socket = connect({ host, port, allowHalfOpen });
    closes.push(socket);
    return socket;
  };
  return { sockets, come, server };
};

const ownAddress = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ internal, address }) => !internal && !address.startsWith('fe80'))?.address;

test('over an own address that is no loopback one is seen as oneself', { skip: ownAddress === undefined }, async (t) => {
  const { sockets, come, server } = await listening(t, ownAddress!);
  const accepted = once(server, 'connection');
  come();
  await accepted;
  assert.equal(sockets[0]?.uid, process.getuid!());
});

test('who says nothing for too long is let go', async (t) => {
  const { come } = await listening(t, '127.0.0.1', { idleMs: 30 });
  await once(come().resume(), 'close');
});

test('who does not read what it asked for is let go, and nothing waits for it', async (t) => {
  const { sockets, come, server } = await listening(t, '127.0.0.1', { stallMs: 30 });
  const accepted = once(server, 'connection');
  come().pause();
  await accepted;
  await sockets[0]!.send(Buffer.alloc(32 << 20));
  await sockets[0]!.send(Buffer.alloc(1));
});

test('more than the share of one user is not kept in memory', async (t) => {
  const { sockets, come, server } = await listening(t, '127.0.0.1', { unreadBytes: 1_000 });
  const accepted = once(server, 'connection');
  const gone = once(come().resume(), 'close');
  await accepted;
  await sockets[0]!.send(Buffer.alloc(1_001));
  await gone;
});
