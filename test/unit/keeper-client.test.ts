/** The keeper's client: its bytes against records.h, its promises against a keeper of the test's own, and the real keeper. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { KeeperClient, KeeperError, keeperId } from '../../actors/keeper-client.ts';
import {
  decodeRecord,
  encodeRecord,
  KEEPER_ABI,
  KEEPER_OPS,
  KEEPER_ROLES,
  OFFSETS,
  RECORD_SIZE,
} from '../../actors/keeper-record.ts';
import { loadNative, type SeqpacketConnection } from '../../native/addon/index.ts';
import { PATIENCE_MS } from '../support/patience.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const scratch = mkdtempSync(join(tmpdir(), 'weft-keeper-client-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** What the C compiler makes of records.h. */
const layoutInC = (): Record<string, number> => {
  const fields = Object.keys(OFFSETS).map((name) => `P("${name}", offsetof(struct weft_keeper_record, ${name}));`);
  const ops = Object.keys(KEEPER_OPS).map((name) => `P("op ${name}", WEFT_KEEPER_${name.toUpperCase()});`);
  const roles = Object.keys(KEEPER_ROLES).map((name) => `P("role ${name}", WEFT_ROLE_${name.toUpperCase()});`);
  const program = `#include "keeper/records.h"
#include <stddef.h>
#include <stdio.h>
#define P(name, value) printf("%s\\t%zu\\n", name, (size_t)(value))
int main(void) { P("size", sizeof(struct weft_keeper_record)); P("abi", WEFT_KEEPER_ABI);
${[...fields, ...ops, ...roles].join('\n')} return 0; }`;
  const source = join(scratch, 'layout.c');
  writeFileSync(source, program);
  execFileSync('cc', ['-I', join(ROOT, 'native'), source, '-o', join(scratch, 'layout')]);
  const lines = execFileSync(join(scratch, 'layout'), { encoding: 'utf8' }).trim().split('\n');
  return Object.fromEntries(lines.map((line) => line.split('\t')).map(([name, value]) => [name, Number(value)]));
};

test('every offset and number of the keeper protocol is the one of records.h', () => {
  const prefixed = (prefix: string, table: object) =>
    Object.fromEntries(Object.entries(table).map(([name, value]) => [`${prefix} ${name}`, value]));
  assert.deepEqual(layoutInC(), {
    size: RECORD_SIZE,
    abi: KEEPER_ABI,
    ...OFFSETS,
    ...prefixed('op', KEEPER_OPS),
    ...prefixed('role', KEEPER_ROLES),
  });
});

/** A connection whose other end is the test. */
class FakeConnection implements SeqpacketConnection {
  readonly peer = { pid: 1, uid: 0, gid: 0 };
  readonly sent: Buffer[] = [];
  open = true;
  #message: (message: Buffer, fds: number[]) => void = () => {};
  #close: () => void = () => {};
  send(message: Uint8Array): boolean {
    if (this.open) this.sent.push(Buffer.from(message));
    return this.open;
  }
  onMessage(listener: (message: Buffer, fds: number[]) => void): void {
    this.#message = listener;
  }
  onClose(listener: () => void): void {
    this.#close = listener;
  }
  close(): void {
    this.open = false;
  }
  deliver(message: Buffer, fds: number[] = []): void {
    this.#message(message, fds);
  }
  hangUp(): void {
    this.open = false;
    this.#close();
  }
  /** Answers the nth request that was sent. */
  answer(n: number, status = 0, fds: number[] = []): void {
    const request = decodeRecord(this.sent[n]!)!;
    this.deliver(encodeRecord({ op: request.op, token: request.token, status, id: request.id, pid: 42 }), fds);
  }
}

const faked = () => {
  const connection = new FakeConnection();
  const closed: number[] = [];
  return { connection, closed, client: new KeeperClient(connection, (fd) => closed.push(fd)) };
};

test('requests beyond eight wait for answers, and each gets its own', async () => {
  const { connection, client } = faked();
  const ids = Array.from({ length: 20 }, (_, i) => keeperId(`ring ${i}`));
  const released = Promise.all(ids.map((id) => client.release(id)));
  assert.equal(connection.sent.length, 8);
  for (let n = 0; n < 20; n++) connection.answer(n);
  await released;
  assert.deepEqual(
    connection.sent.map((bytes) => decodeRecord(bytes)?.id),
    ids,
  );
});

test('a refusal rejects with the errno name, a closed connection rejects all that waits', async () => {
  const { connection, client } = faked();
  const gone = closing(client);
  const refused = client.fetch(keeperId('x'));
  connection.answer(0, 2);
  await assert.rejects(refused, (error) => error instanceof KeeperError && error.code === 'ENOENT');
  const waiting = Array.from({ length: 10 }, () => client.shutdown());
  const settled = Promise.allSettled(waiting);
  connection.hangUp();
  for (const result of await settled)
    assert.equal(result.status === 'rejected' && (result.reason as KeeperError).code, 'ECONNRESET');
  await gone;
  await assert.rejects(client.hello(), { code: 'ECONNRESET' });
});
const closing = (client: KeeperClient): Promise<void> => new Promise((done) => client.onClose(done));

test('an answer that nobody asked for changes nothing, and the fds that came with it are closed', async () => {
  const { connection, closed, client } = faked();
  connection.deliver(encodeRecord({ op: KEEPER_OPS.fetch, token: 99 }), [70, 71]);
  connection.deliver(Buffer.from('short'), [72]);
  const fetched = client.fetch(keeperId('x'));
  connection.deliver(encodeRecord({ op: KEEPER_OPS.list, token: 1 }), [73]); // the token, but another request's op
  connection.answer(0, 0, [5]);
  assert.deepEqual((await fetched).fds, [5]);
  assert.deepEqual(closed, [70, 71, 72, 73]);
});

test('text that does not fit a record is refused before it is sent', async () => {
  const { connection, client } = faked();
  const spec = { role: 'bus', id: keeperId('bus'), uid: 0, gid: 0, restart: true, log: '' } as const;
  await assert.rejects(client.spawn({ ...spec, arguments: ['/bin/x', 'a'.repeat(3072)] }), /arguments: longer than/);
  await assert.rejects(client.spawn({ ...spec, arguments: ['/bin/x', ''] }), /empty or holds a NUL/);
  await assert.rejects(client.spawn({ ...spec, log: `/${'l'.repeat(255)}`, arguments: ['/bin/x'] }), /log: longer than/);
  assert.equal(connection.sent.length, 0);
});

/** The real keeper in the scratch directory, its session daemon a program that just waits. */
const realKeeper = async (name: string) => {
  const directory = join(scratch, name);
  execFileSync('mkdir', [directory]);
  const binary = join(ROOT, 'native/build/weft-keeper');
  const words = ['--runtime', directory, '--log', join(directory, 'log'), '--', '/bin/sleep', '600'];
  const child = spawn(binary, words, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(child, 'exit');
  const native = loadNative();
  const connect = (): KeeperClient => new KeeperClient(native.connectSeqpacket(join(directory, 'keeper.sock')), native.closeFd);
  return { child, ended, client: await connectSoon(connect), connect, directory };
};

const connectSoon = async (connect: () => KeeperClient): Promise<KeeperClient> => {
  for (const deadline = Date.now() + PATIENCE_MS; ; ) {
    try {
      return connect();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((done) => setTimeout(done, 5));
    }
  }
};

test('spawn, exit report, deposit, fetch, list and shutdown work with the real keeper', { timeout: 300_000 }, async () => {
  const { client, connect, child, ended, directory } = await realKeeper('real');
  const { keeperPid } = await client.hello();
  assert.equal(keeperPid, child.pid);
  const exited = new Promise((done) => client.onExited(done));
  const [uid, gid] = [process.getuid!(), process.getgid!()];
  const id = keeperId('consumer:1');
  const log = join(directory, 'consumer.log');
  const environment = { WEFT_X: 'ä' };
  const words = ['/bin/sh', '-c', 'echo "$WEFT_X"; kill -9 $$'];
  const { pid } = await client.spawn({ role: 'consumer', id, uid, gid, restart: false, log, arguments: words, environment });
  assert.deepEqual(await exited, { id, role: 'consumer', pid, code: null, signal: 'SIGKILL', restarting: false });
  assert.equal(readFileSync(log, 'utf8'), 'ä\n');
  const fd = openSync(log, 'r');
  const rings = Array.from({ length: 40 }, (_, i) => ({ id: keeperId(`ring ${i}`), role: KEEPER_ROLES.deposit, number: i }));
  await Promise.all(rings.map((ring) => client.deposit(ring, [fd, fd])));
  client.close();
  const other = connect();
  const held = await other.list();
  assert.deepEqual(held.deposits.slice(1), rings); // the first is the socket of the consumer
  assert.deepEqual(
    held.processes.map((entry) => entry.role),
    ['sessiond'],
  );
  const fetched = await other.fetch(keeperId('ring 7'));
  assert.deepEqual([fetched.number, fetched.fds.map((each) => fstatSync(each).ino)], [7, Array(2).fill(fstatSync(fd).ino)]);
  for (const each of [fd, ...fetched.fds]) closeSync(each);
  const gone = closing(other);
  await other.shutdown();
  assert.deepEqual(await ended, [0, null]);
  await gone;
});
