/** What the spool of a link still says after deaths, removals and clearings in the middle, and on disks that can do less. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LinkLog } from '../../actors/link-log.ts';
import { LinkQueue, traceOf } from '../../actors/link-queue.ts';
import { openSpool, type PunchHole } from '../../actors/spool.ts';
import { loadNative } from '../../native/addon/index.ts';
import { SpoolFiles } from '../support/spool-files.ts';

const TRACE = 'ust/uid/0/64-bit';
const PATH = `${TRACE}/c_0`;
const { punchHole } = loadNative();

const filesOf = (t: TestContext): SpoolFiles => {
  const output = mkdtempSync(join(tmpdir(), 'weft-spool-'));
  t.after(() => rmSync(output, { recursive: true, force: true }));
  const files = new SpoolFiles(output);
  files.describe(TRACE, 'metadata');
  return files;
};

/** A process that opens the link. */
const opened = ({ output }: SpoolFiles, punch: PunchHole = punchHole) => {
  const spool = openSpool(output, punch);
  const log = new LinkLog(spool);
  const queue = new LinkQueue(spool, log, () => null);
  queue.refresh();
  queue.begin([], 0);
  return { queue, log };
};

/** All packets that it would send now. */
const send = (queue: LinkQueue): number[] => {
  const numbers: number[] = [];
  for (let wanted = queue.next(); wanted; wanted = queue.next()) {
    if (wanted.kind === 'packet') numbers.push(wanted.entry.number);
    else if (wanted.kind === 'metadata') queue.takeMetadata(wanted.trace);
    else queue.sentOp(wanted.number);
  }
  return numbers;
};

test('killed while an archived chunk was removed: the link opens, and sends what is left of the others', (t) => {
  const files = filesOf(t);
  files.packet(PATH, 4096);
  files.packet(`${TRACE}/c_1`, 4096);
  unlinkSync(join(files.output, PATH));
  const { queue } = opened(files);
  assert.deepEqual(queue.paths, [PATH, `${TRACE}/c_1`]);
  assert.deepEqual(send(queue), [0]);
  assert.equal(queue.lostPackets, 0);
});

test('a chunk whose archive is at the other end goes at the next start, and with it what was half removed', (t) => {
  const files = filesOf(t);
  files.packet(PATH, 4096);
  files.packet(`B-1/${PATH}`, 4096);
  files.describe(`B-1/${TRACE}`, 'metadata');
  const log = new LinkLog(openSpool(files.output, punchHole));
  log.add({ op: 'archive', from: '', to: 'archives/a-0' });
  log.confirm(1);
  renameSync(join(files.output, PATH), join(files.output, TRACE, 'c_9'));
  const kept = join(files.output, '.gone-A-0');
  new SpoolFiles(kept).packet(PATH, 4096);
  const { queue } = opened(files);
  assert.deepEqual(queue.paths, [`B-1/${PATH}`]);
  assert.deepEqual(
    readdirSync(files.output).filter((name) => name !== '.link'),
    ['B-1'],
  );
});

test('an acknowledgement that comes while the chunk is cleared takes nothing of what is written after it', (t) => {
  const files = filesOf(t);
  for (let i = 0; i < 3; i++) files.packet(PATH, 4096);
  const { queue, log } = opened(files);
  assert.deepEqual(send(queue), [0, 1, 2]);
  queue.block('');
  files.empty(PATH);
  const number = files.packet(PATH, 4096);
  queue.refresh();
  assert.equal(queue.confirm({ path: PATH, number: 2 }), 0);
  log.add({ op: 'clear', directory: '' });
  queue.emptied('');
  assert.equal(queue.confirm({ path: PATH, number: 2 }), 0);
  assert.deepEqual(send(queue), [number]);
  assert.notEqual(readFileSync(join(files.output, PATH)).readUInt32LE(0), 0);
});

test('a packet that could not be read is counted once, and holds nothing back at a reopening', (t) => {
  const files = filesOf(t);
  for (let i = 0; i < 4; i++) files.packet(PATH, 4096);
  const { queue } = opened(files);
  const sent = Array.from({ length: 4 }, () => queue.next()).filter((wanted) => wanted?.kind === 'metadata');
  assert.equal(sent.length, 4, 'metadata first');
  queue.takeMetadata(traceOf(PATH));
  const packets = [0, 1, 2].map(() => queue.next());
  const [, one] = packets;
  assert.ok(one?.kind === 'packet');
  queue.drop(one);
  queue.begin([], 0);
  queue.takeMetadata(traceOf(PATH));
  const again = [queue.next(), queue.next()];
  assert.deepEqual(
    again.map((wanted) => wanted?.kind === 'packet' && wanted.entry.number),
    [0, 1],
  );
  assert.equal(queue.lostPackets, 0, 'it is sent after all');
  const [, second] = again;
  assert.ok(second?.kind === 'packet');
  queue.drop(second);
  assert.equal(queue.lostPackets, 1);
  assert.deepEqual(send(queue), [2, 3]);
  queue.confirm({ path: PATH, number: 3 });
  assert.equal(queue.bytes, 0);
  assert.deepEqual(send(opened(files).queue), []);
});

test('a file system without holes: what is acknowledged is not sent by the next process', (t) => {
  const files = filesOf(t);
  const none = (): void => {
    throw new Error('EOPNOTSUPP');
  };
  for (let i = 0; i < 8; i++) files.packet(PATH, 4096);
  const { queue } = opened(files, none);
  send(queue);
  assert.equal(queue.confirm({ path: PATH, number: 5 }), 6 * 4096);
  assert.deepEqual(send(opened(files, none).queue), [6, 7]);
  const later = opened(files, none);
  later.queue.begin([{ path: PATH, number: 6 }], 0);
  assert.deepEqual(send(opened(files, none).queue), [7]);
});

for (const [total, whole] of [
  [10, 5],
  [2, 1],
  [4, 0],
] as const)
  test(`a power cut left ${whole} of ${total} packets: they are sent, the others counted`, (t) => {
    const files = filesOf(t);
    for (let i = 0; i < total; i++) files.packet(PATH, 4096);
    truncateSync(join(files.output, PATH), whole * 4096 + (whole < total - 1 ? 100 : 0));
    const { queue } = opened(files);
    assert.equal(queue.holdsNothing, false);
    assert.deepEqual(
      send(queue),
      Array.from({ length: whole }, (_, number) => number),
    );
    assert.equal(queue.lostPackets, total - whole);
    queue.confirm({ path: PATH, number: whole - 1 });
    assert.deepEqual([queue.bytes, queue.outstanding, queue.lostPackets], [0, false, total - whole]);
  });

test('what is missing behind what was given back is lost, and not given back', (t) => {
  const files = filesOf(t);
  for (let i = 0; i < 10; i++) files.packet(PATH, 4096);
  const before = opened(files);
  send(before.queue);
  before.queue.confirm({ path: PATH, number: 3 });
  // Blocks that never came to the disk: zeros, as a hole is, in front of others that did, and at the end.
  const data = readFileSync(join(files.output, PATH));
  writeFileSync(join(files.output, PATH), data.fill(0, 4 * 4096, 5 * 4096).fill(0, 8 * 4096));
  const { queue } = opened(files);
  assert.deepEqual(send(queue), [5, 6, 7]);
  assert.equal(queue.lostPackets, 3);
  const later = opened(files).queue;
  later.begin([{ path: PATH, number: 4 }], 0);
  assert.deepEqual([send(later), later.lostPackets], [[5, 6, 7], 2], 'the other end has the fifth');
});

test('entries of an index that never came to the disk hold nothing up, and are counted', (t) => {
  const files = filesOf(t);
  for (let i = 0; i < 6; i++) files.packet(PATH, 4096);
  files.packet(`${TRACE}/c_1`, 4096);
  const name = join(files.output, TRACE, 'index/c_0.idx');
  const index = readFileSync(name);
  writeFileSync(name, index.fill(0, 16 + 4 * 72));
  const { queue } = opened(files);
  assert.deepEqual(send(queue).toSorted(), [0, 0, 1, 2, 3]);
  assert.equal(queue.lostPackets, 2);
  queue.confirm({ path: PATH, number: 3 });
  queue.confirm({ path: `${TRACE}/c_1`, number: 0 });
  assert.deepEqual([queue.bytes, queue.empty], [0, true]);
});
