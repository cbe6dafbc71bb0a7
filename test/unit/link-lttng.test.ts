/** A relay of LTTng that is slow or silent: nothing counts as there before it is, and nothing stays open for it. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { LttngPeer } from '../../actors/link-lttng.ts';
import type { LinkAck, LinkContent } from '../../actors/link-peer.ts';
import { FakeLttngRelay } from '../support/fake-lttng-relay.ts';
import { PATIENCE_MS } from '../support/patience.ts';

const VERSION = 5;
const CREATE_SESSION = 2;
const DATA_PENDING = 8;

const until = async (what: string, holds: () => boolean): Promise<void> => {
  for (const deadline = Date.now() + PATIENCE_MS; !holds(); await new Promise((done) => setTimeout(done, 2)))
    assert.ok(Date.now() < deadline, `waited too long: ${what}`);
};

/** Its timers run `faster` times as fast as they say. */
const opened = async (t: TestContext, faster = 1) => {
  const relay = new FakeLttngRelay();
  const port = await relay.listen();
  const clock = {
    now: () => Date.now(),
    setTimeout: (task: () => void, ms: number) => setTimeout(task, ms / faster),
    clearTimeout: (timer: unknown) => clearTimeout(timer as NodeJS.Timeout),
  };
  const acks: LinkAck[] = [];
  const link = {
    ...{ host: '127.0.0.1', ctrlPort: port, dataPort: port, session: 's', hostname: 'h', subdir: '' },
    ...{ liveTimerUs: 0, link: 'ab'.repeat(16), createdAt: '2026-01-01T00:00:00Z' },
  };
  const listener = { acked: (ack: LinkAck) => void acks.push(ack), forgotten() {}, refused() {}, cut() {}, connected() {} };
  const peer = new LttngPeer(link, listener, clock);
  t.after(async () => {
    relay.close();
    await peer.close();
  });
  let n = 0;
  const send = (content: LinkContent): boolean => peer.send({ n: ++n, ...content });
  const packet = (number: number): boolean => {
    const rest = { part: 0, parts: 1, offset: 0, room: 0, tracefileSize: 0, tracefileCount: 0 };
    const [index, bytes] = [Buffer.alloc(72), Buffer.alloc(64)];
    return send({ kind: 'packet', path: 'ust/uid/7/64-bit/c_0', number, index, bytes, ...rest });
  };
  return { relay, peer, acks, send, packet };
};

test('an archived chunk is there when its last packet is, and not when the operation was answered', async (t) => {
  const { relay, peer, acks, send, packet } = await opened(t);
  await peer.open(1);
  packet(0);
  packet(1);
  send({ kind: 'op', number: 1, op: 'archive', from: '', to: 'archives/20260101T000000+0000-20260101T000001+0000-0' });
  const asks = (): number => relay.asked.filter((command) => command === DATA_PENDING).length;
  await until('it asks, and asks again', () => asks() > 3);
  assert.ok(acks.some(({ upTo }) => upTo === 3));
  assert.ok(acks.every(({ ops, durable }) => ops === 0 && durable.length === 0));
  relay.arrived = 1n;
  const before = asks();
  await until('it goes on asking', () => asks() > before + 3);
  assert.equal(acks.at(-1)?.ops, 0, 'the last packet is missing');
  relay.arrived = 2n;
  await until('the chunk is there', () => acks.at(-1)?.ops === 1);
  assert.ok(acks.some(({ durable }) => durable[0]?.number === 1));
});

test('what is sent behind an operation does not hold it back', async (t) => {
  const { relay, peer, acks, send, packet } = await opened(t);
  await peer.open(1);
  packet(0);
  send({ kind: 'op', number: 1, op: 'archive', from: '', to: 'archives/20260101T000000+0000-20260101T000001+0000-0' });
  packet(1);
  relay.arrived = 1n;
  await until('the operation is done', () => acks.at(-1)?.ops === 1);
});

for (const [command, what] of [
  [VERSION, 'its version'],
  [CREATE_SESSION, 'a new session'],
] as const) {
  test(`a relay that is silent about ${what} is given up in time, and keeps no connection`, async (t) => {
    const { relay, peer } = await opened(t, 100);
    relay.silentFrom = command;
    for (const epoch of [1, 2]) {
      await assert.rejects(peer.open(epoch), /does not answer within 7000 ms/);
      await until('both connections are closed', () => relay.sockets.size === 0);
    }
  });

  test(`closing a link ends an opening that waits for ${what}`, async (t) => {
    const { relay, peer } = await opened(t);
    relay.silentFrom = command;
    const opening = peer.open(1);
    opening.catch(() => {});
    await until('it waits', () => relay.asked.includes(command));
    await peer.close();
    await assert.rejects(opening);
    await until('both connections are closed', () => relay.sockets.size === 0);
  });
}

test('closing a link does not wait for an answer that never comes', async (t) => {
  const { relay, peer, packet } = await opened(t, 100);
  await peer.open(1);
  const ADD_STREAM = 1;
  relay.silentFrom = ADD_STREAM;
  packet(0);
  await until('it waits', () => relay.asked.includes(ADD_STREAM));
  await peer.close();
  await until('both connections are closed', () => relay.sockets.size === 0);
});
