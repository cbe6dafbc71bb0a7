/** What a link's questions cost with thousands of streams and hundreds of chunks: what is new, not what there is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AttachRequest } from '../../actors/consumer-messages.ts';
import { ConsumerStreams, StreamEntry } from '../../actors/consumer-streams.ts';
import { LinkLog } from '../../actors/link-log.ts';
import { LinkQueue } from '../../actors/link-queue.ts';
import { limitsOf, settledIn } from '../../actors/link-settled.ts';
import type { Spool, SpoolEntry } from '../../actors/ports.ts';

const traceOf = (pid: number): string => `ust/pid/app-${pid}`;

/** Counts what it is asked. */
class CountingSpool {
  readonly packets = new Map<string, number>();
  asked = 0;
  text = '';

  get spool(): Spool {
    const entry = (at: number): SpoolEntry => ({ number: at, offset: at * 64, bytes: 64, index: Buffer.alloc(72) });
    const ask = <T>(answer: T): T => {
      this.asked++;
      return answer;
    };
    const spool = {
      tidy: () => {},
      remove: () => {},
      log: () => this.text,
      writeLog: () => {},
      replaceLog: () => {},
      streams: () => ask([...this.packets.keys()]),
      traces: () => ask([...new Set([...this.packets.keys()].map((path) => path.slice(0, path.lastIndexOf('/'))))]),
      count: (path: string) => ask(this.packets.get(path) ?? 0),
      entries: (path: string, from: number, most: number) =>
        ask(Array.from({ length: Math.min(most, (this.packets.get(path) ?? 0) - from) }, (_, at) => entry(from + at))),
      holds: () => ask(true),
      released: () => ask(-1),
      release: () => ask(undefined),
      describe: () => ask('described'),
      metadata: () => ask('text'),
    };
    return spool as unknown as Spool;
  }

  since(work: () => void): number {
    const before = this.asked;
    work();
    return this.asked - before;
  }
}

const sendAll = (queue: LinkQueue): number => {
  let packets = 0;
  for (let wanted = queue.next(); wanted; wanted = queue.next()) {
    if (wanted.kind === 'metadata') queue.takeMetadata(wanted.trace);
    else if (wanted.kind === 'op') queue.sentOp(wanted.number);
    else packets++;
  }
  return packets;
};

test('a word about one stream among thousands looks at that one', () => {
  const world = new CountingSpool();
  for (let pid = 0; pid < 3_000; pid++) world.packets.set(`${traceOf(pid)}/c_0`, 1);
  const queue = new LinkQueue(world.spool, new LinkLog(world.spool), () => null);
  queue.refresh();
  queue.begin([], 0);
  assert.equal(sendAll(queue), 3_000);
  for (const path of world.packets.keys()) queue.confirm({ path, number: 0 });
  assert.ok(queue.empty);
  const path = `${traceOf(77)}/c_0`;
  world.packets.set(path, 2);
  const asked = world.since(() => {
    queue.refresh({ streams: [path, `B-1/${path}`], traces: [] });
    assert.equal(queue.bytes, 64);
    assert.equal(sendAll(queue), 1);
    queue.confirm({ path, number: 1 });
    assert.ok(queue.empty);
    assert.equal(queue.bytes, 0);
  });
  assert.ok(asked < 15, String(asked));
  assert.ok(!queue.paths.includes(`B-1/${path}`), 'a file that is not there is no stream');
});

test('a packet of one of hundreds of chunks that wait costs no look at the others; oldest and newest go on in turn', () => {
  const world = new CountingSpool();
  const log = new LinkLog(world.spool);
  const chunks = Array.from({ length: 400 }, (_, n) => (n === 0 ? '' : `B-${n}/`));
  for (const chunk of chunks) for (let cpu = 0; cpu < 3; cpu++) world.packets.set(`${chunk}${traceOf(1)}/c_${cpu}`, 1);
  for (const chunk of chunks.slice(0, -1)) log.add({ op: 'archive', from: chunk.slice(0, -1), to: `archives/${chunk}x` });
  const queue = new LinkQueue(world.spool, log, () => null, { oneChunk: true });
  queue.refresh();
  queue.begin([], 0);
  const order: string[] = [];
  const asked = world.since(() => {
    for (let wanted = queue.next(); wanted && order.length < 4; wanted = queue.next()) {
      if (wanted.kind === 'metadata') queue.takeMetadata(wanted.trace);
      else if (wanted.kind === 'op') queue.sentOp(wanted.number);
      order.push(wanted.kind === 'op' ? `op ${wanted.number}` : wanted.kind === 'packet' ? wanted.path : 'metadata');
    }
  });
  assert.deepEqual(order, ['metadata', `${traceOf(1)}/c_1`, `${traceOf(1)}/c_2`, `${traceOf(1)}/c_0`]);
  assert.ok(asked < 20, String(asked));
});

test('what is acknowledged with the archive of its chunk is counted with it, and leaves the sums', () => {
  const world = new CountingSpool();
  const log = new LinkLog(world.spool);
  const path = `${traceOf(1)}/c_0`;
  world.packets.set(path, 3);
  const queue = new LinkQueue(world.spool, log, () => null);
  queue.refresh();
  queue.begin([], 0);
  log.add({ op: 'archive', from: '', to: 'archives/a-0' });
  assert.equal(sendAll(queue), 3);
  assert.equal(queue.confirm({ path, number: 0 }), 64);
  assert.equal(queue.confirm({ path: `archives/a-0/${path}`, number: 2 }), 0);
  assert.equal(queue.confirmOps(1), 128);
  assert.deepEqual([queue.bytes, queue.outstanding, queue.lostPackets], [0, false, 0]);
});

const ring = (ringId: string, directory: string, filePrefix: string): StreamEntry =>
  new StreamEntry({
    ...{ session: 's', ringId, directory, filePrefix, plan: 'append', tracefileSize: 7, tracefileCount: 2 },
    geometry: { allocation: 'per-cpu', cpuCount: 2 },
  } as unknown as AttachRequest);

test('what the files of a ring are called, and whose they are, follows the rings that come and go', () => {
  const streams = new ConsumerStreams();
  const settled = settledIn(streams, 's', []);
  const limits = limitsOf(streams, 's', [{ prefix: 'd', size: 1, count: 1 }]);
  assert.equal(settled('ust/pid/a/c_0'), null);
  assert.deepEqual(limits('ust/pid/a/c_0'), { size: 0, count: 0 });
  const entry = ring('r1', '/out/ust/pid/a', 'c');
  streams.add(entry);
  assert.equal(settled('ust/pid/a/c_0'), 0);
  assert.equal(settled('B-1/ust/pid/a/c_1'), 0);
  assert.equal(settled('ust/pid/b/c_0'), null);
  assert.equal(limits('ust/pid/a/c_0').size, 7);
  assert.equal(limits('ust/pid/a/d_0').size, 1);
  assert.deepEqual(entry.filesOf([1]), ['/out/ust/pid/a/c_1']);
  streams.remove('r1');
  assert.equal(settled('ust/pid/a/c_0'), null);
});

test('a channel `a` and one that is called like a stream of it have the limits of their own', () => {
  const first = [
    { prefix: 'a_0', size: 5, count: 0, whole: false },
    { prefix: 'a', size: 0, count: 0, whole: false },
    { prefix: 'b_1', size: 6, count: 0, whole: true },
    { prefix: 'b', size: 7, count: 0, whole: true },
  ];
  const limits = limitsOf(new ConsumerStreams(), 's', first);
  assert.deepEqual(
    ['a_0', 'a_0_3', 'b_1', 'b'].map((name) => limits(`ust/${name}`).size),
    [0, 5, 6, 7],
  );
});

test('a ring that is detached without ever having been attached holds nothing back', () => {
  const streams = new ConsumerStreams();
  const settled = settledIn(streams, 's', ['r1', 'r2']);
  assert.equal(settled('ust/pid/a/c_0'), 0);
  streams.add(ring('r1', '/out/ust/pid/b', 'c'));
  assert.equal(settled('ust/pid/a/c_0'), 0, 'r2 may have written it');
  streams.noteGone('r2');
  assert.equal(settled('ust/pid/a/c_0'), null);
  const others = settledIn(streams, 't', ['r3']);
  assert.equal(others('ust/pid/a/c_0'), 0);
  streams.noteDetached('t', 1);
  assert.equal(others('ust/pid/a/c_0'), null);
});
