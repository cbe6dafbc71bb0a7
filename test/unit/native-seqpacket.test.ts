import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fstatSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SeqpacketConnection } from '../../native/addon/index.ts';
import { native, openFds, temporary } from './native-support.ts';

/** A server, its first connection and the client that made it. */
const connected = async (path: string) => {
  let server: { close(): void } | undefined;
  const accepted = new Promise<SeqpacketConnection>((resolve) => {
    server = native.listenSeqpacket(path, { mode: 0o600 }, resolve);
  });
  const client = native.connectSeqpacket(path);
  return { server: server!, client, peer: await accepted };
};

const nextMessage = (connection: SeqpacketConnection): Promise<[string, number[]]> =>
  new Promise((resolve) => connection.onMessage((message, fds) => resolve([message.toString(), fds])));
const closed = (connection: SeqpacketConnection): Promise<void> => new Promise((resolve) => connection.onClose(resolve));

test('messages arrive whole, with their fds, both ways', async () => {
  using folder = temporary();
  const { server, client, peer } = await connected(join(folder.path, 's'));
  writeFileSync(join(folder.path, 'file'), 'x');
  assert.equal(client.send(Buffer.from('one'), [1, 2]), true);
  const [text, fds] = await nextMessage(peer);
  assert.equal(text, 'one');
  assert.equal(fds.length, 2);
  for (const fd of fds) {
    assert.ok(fstatSync(fd));
    native.closeFd(fd);
  }
  peer.send(Buffer.alloc(128 * 1024, 'y'));
  assert.equal((await nextMessage(client))[0].length, 128 * 1024);
  client.close();
  server.close();
});

test('the peer is known by its credentials', async () => {
  using folder = temporary();
  const path = join(folder.path, 's');
  let accepted: (connection: SeqpacketConnection) => void = () => {};
  const peer = new Promise<SeqpacketConnection>((resolve) => {
    accepted = resolve;
  });
  const server = native.listenSeqpacket(path, { mode: 0o600 }, accepted);
  const program = `const { loadNative } = await import(${JSON.stringify(new URL('../../native/addon/index.ts', import.meta.url).href)});
    loadNative().connectSeqpacket(${JSON.stringify(path)}).onMessage(() => process.exit(0));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' });
  const connection = await peer;
  assert.deepEqual(connection.peer, { pid: child.pid, uid: process.getuid?.(), gid: process.getgid?.() });
  const gone = closed(connection);
  connection.send(Buffer.from('bye'));
  await gone;
  assert.equal((await once(child, 'exit'))[0], 0);
  server.close();
});

test('messages wait for a listener; fds that nobody takes are closed', async () => {
  using folder = temporary();
  const { server, client, peer } = await connected(join(folder.path, 's'));
  client.send(Buffer.from('early'), [1]);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  const [text, fds] = await nextMessage(peer);
  assert.equal(text, 'early');
  for (const fd of fds) native.closeFd(fd);
  const before = openFds();
  const other = native.connectSeqpacket(join(folder.path, 's'));
  other.send(Buffer.from('nobody takes this'), [1, 2]);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  other.close();
  client.close();
  peer.close();
  server.close();
  assert.ok(openFds() <= before, 'no fd is left');
});

test('a peer that floods a connection without listener is cut off', async () => {
  using folder = temporary();
  const { server, client, peer } = await connected(join(folder.path, 's'));
  const before = openFds();
  const gone = closed(peer);
  for (let i = 0; i < 70; i++) if (!client.send(Buffer.from('x'), [1])) await new Promise((resolve) => setImmediate(resolve));
  await gone;
  assert.equal(openFds(), before - 1, 'the fds that came are closed, and the connection');
  server.close();
});

test('a peer that is gone is told once; sending to it says so', async () => {
  using folder = temporary();
  const { server, client, peer } = await connected(join(folder.path, 's'));
  peer.close();
  assert.equal(client.send(Buffer.from('x')), false);
  await closed(client);
  assert.equal(client.send(Buffer.from('x')), false);
  await closed(client); /* a listener that comes late is told as well */
  server.close();
});

test('a peer that does not read makes send answer false, and the fds stay the sender’s', async () => {
  using folder = temporary();
  const path = join(folder.path, 's');
  const server = native.listenSeqpacket(path, { mode: 0o600 }, () => {});
  const client = native.connectSeqpacket(path); /* nobody accepts before the loop turns */
  let sent = 0;
  while (client.send(Buffer.alloc(60_000), [1])) sent++;
  assert.ok(sent > 0);
  assert.ok(fstatSync(1));
  client.close();
  server.close();
});

test('messages beyond the bounds are refused before they are sent', async () => {
  using folder = temporary();
  const { server, client } = await connected(join(folder.path, 's'));
  assert.throws(() => client.send(Buffer.alloc(128 * 1024 + 1)), { name: 'NativeError', code: 'EMSGSIZE' });
  assert.throws(() => client.send(Buffer.alloc(0)), { code: 'EMSGSIZE' });
  assert.throws(() => client.send(Buffer.alloc(1), [999_999]), { code: 'EBADF' });
  client.close();
  server.close();
});

test('the socket file has the mode that was asked for, and its errors have codes', () => {
  using folder = temporary();
  const path = join(folder.path, 's');
  const server = native.listenSeqpacket(path, { mode: 0o660, gid: process.getgid?.() ?? 0 }, () => {});
  assert.equal(statSync(path).mode & 0o777, 0o660);
  assert.throws(() => native.listenSeqpacket(path, { mode: 0o600 }, () => {}), { code: 'EADDRINUSE' });
  server.close();
  assert.throws(() => native.connectSeqpacket(path), { code: 'ENOENT' });
  assert.throws(
    () =>
      native.adoptSeqpacket(
        native.createRingSet({
          ringId: '00'.repeat(16),
          geometry: { cpuCount: 1, subbufSize: 4096, subbufCount: 2, mode: 'discard', sync: 'rseq', allocation: 'per-cpu' },
          cpus: [],
        }).ringFd,
      ),
    { code: 'ENOTSOCK' },
  );
});

test('a listener that throws does not lose the connection’s other messages', async () => {
  using folder = temporary();
  const program = `
    const { loadNative } = await import(${JSON.stringify(new URL('../../native/addon/index.ts', import.meta.url).href)});
    const native = loadNative();
    const path = ${JSON.stringify(join(folder.path, 's'))};
    let uncaught = 0;
    process.on('uncaughtException', () => uncaught++);
    native.listenSeqpacket(path, { mode: 0o600 }, (peer) => {
      let count = 0;
      peer.onMessage(() => { count++; if (count === 3) process.exit(uncaught === 2 ? 0 : 1); throw null; });
    });
    const client = native.connectSeqpacket(path);
    for (const text of ['a', 'b', 'c']) client.send(Buffer.from(text));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' });
  assert.equal((await once(child, 'exit'))[0], 0);
});
