/** What a link notes in its spool: numbers that hold whatever was torn, an epoch that needs no room, a file that does not grow for ever. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LinkLog } from '../../actors/link-log.ts';
import type { Operation } from '../../actors/link-peer.ts';
import type { Spool } from '../../actors/ports.ts';
import { openSpool } from '../../actors/spool.ts';

const archive = (n: number): Operation => ({ op: 'archive', from: n === 0 ? '' : `B-${n}`, to: `archives/a-${n}` });

class LogWorld {
  readonly output = mkdtempSync(join(tmpdir(), 'weft-log-'));
  readonly path = join(this.output, '.link');
  /** The disk has no block left. */
  full = false;

  static make(t: TestContext): LogWorld {
    const world = new LogWorld();
    t.after(() => rmSync(world.output, { recursive: true, force: true }));
    return world;
  }

  /** Of another process. */
  open(): LinkLog {
    const spool = openSpool(this.output, () => {});
    const noRoom = (): never => {
      throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    };
    const log = {
      log: () => spool.log(),
      writeLog: (text: string, at: number) => {
        const room = statSync(this.path).size - at;
        spool.writeLog(this.full ? text.slice(0, Math.max(0, room)) : text, at);
        if (this.full && room < text.length) noRoom();
      },
      replaceLog: (text: string) => (this.full ? noRoom() : spool.replaceLog(text)),
    };
    return new LinkLog(log as unknown as Spool);
  }
}

const numbersOf = (log: LinkLog) =>
  log.after(0).map(({ number, operation }) => [number, operation.op === 'archive' && operation.to]);

test('epoch, operations and what was acknowledged are known to the next process', (t) => {
  const world = LogWorld.make(t);
  const log = world.open();
  assert.equal(log.nextEpoch(), 1);
  for (let n = 0; n < 3; n++) log.add(archive(n));
  log.add(archive(1));
  assert.equal(log.confirm(2).length, 2);
  const next = world.open();
  assert.deepEqual([next.epoch, next.acked, next.last], [1, 2, 3]);
  assert.deepEqual(next.after(2), [{ number: 3, operation: archive(2) }]);
  assert.deepEqual(next.at(2), { number: 2, operation: archive(1) });
});

test('a disk without room: the link is opened all the same, and acknowledgements count', (t) => {
  const world = LogWorld.make(t);
  const log = world.open();
  log.nextEpoch();
  log.add(archive(0));
  world.full = true;
  for (let n = 0; n < 400; n++) log.nextEpoch();
  assert.equal(log.confirm(1).length, 1);
  assert.deepEqual([world.open().epoch, world.open().acked], [401, 1]);
  let taken = 0;
  assert.throws(() => {
    for (; taken < 1_000; taken++) log.add(archive(taken + 1));
  }, /ENOSPC/);
  assert.ok(taken > 20, 'some room is there ahead');
  world.full = false;
  log.add(archive(2_000));
  const next = world.open();
  assert.equal(next.last, taken + 2);
  assert.deepEqual(next.at(taken + 2)?.operation, archive(2_000));
});

test('a disk that took nothing from the beginning: an epoch is never used twice', (t) => {
  const world = LogWorld.make(t);
  world.full = true;
  const epochs = new Set(Array.from({ length: 8 }, () => world.open().nextEpoch()));
  assert.equal(epochs.size, 8);
});

test('a line that was torn shifts no number', (t) => {
  const world = LogWorld.make(t);
  const log = world.open();
  for (let n = 0; n < 3; n++) log.add(archive(n));
  const text = readFileSync(world.path, 'utf8').trimEnd();
  for (const cut of [1, 5, 30]) {
    writeFileSync(world.path, text.slice(0, -cut));
    const next = world.open();
    assert.equal(next.last, 2);
    next.add(archive(7));
    next.nextEpoch();
    assert.deepEqual(numbersOf(world.open()), [
      [1, 'archives/a-0'],
      [2, 'archives/a-1'],
      [3, 'archives/a-7'],
    ]);
  }
});

test('what an older process wrote is read, and written anew', (t) => {
  const world = LogWorld.make(t);
  const lines = [{ epoch: 1 }, { operation: archive(0) }, { epoch: 2 }, { acked: 1 }, { operation: archive(1) }];
  writeFileSync(world.path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  appendFileSync(world.path, '{"operation":{"op":"cl');
  const log = world.open();
  assert.deepEqual([log.epoch, log.acked, log.last], [2, 1, 2]);
  log.nextEpoch();
  log.add(archive(2));
  const next = world.open();
  assert.deepEqual([next.epoch, next.acked, next.last], [3, 1, 3]);
  world.full = true;
  truncateSync(world.path, 0);
  appendFileSync(world.path, '{"epoch":7}\n');
  assert.ok(world.open().nextEpoch() > 7);
});

test('retries and operations that are long done take no room', (t) => {
  const world = LogWorld.make(t);
  const log = world.open();
  for (let n = 0; n < 3_000; n++) {
    log.nextEpoch();
    log.add(archive(n));
    log.confirm(n + 1);
  }
  assert.ok(statSync(world.path).size <= 16 << 10, String(statSync(world.path).size));
  const next = world.open();
  assert.deepEqual([next.epoch, next.acked, next.last], [3_000, 3_000, 3_000]);
  next.add(archive(2_999)); // the daemon asks again
  assert.equal(next.last, 3_000);
});

test('a process whose predecessor could not note its epoch is beyond it with the next opening', (t) => {
  const world = LogWorld.make(t);
  world.full = true;
  const unnoted = world.open().nextEpoch();
  world.full = false;
  const successor = world.open();
  assert.ok(successor.nextEpoch() <= unnoted, 'the relay refuses this one');
  successor.leap();
  assert.ok(successor.nextEpoch() > unnoted);
  assert.ok(world.open().nextEpoch() > unnoted, 'and it is noted');
});
