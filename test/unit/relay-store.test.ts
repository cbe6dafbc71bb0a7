/** What a relay holds of a link: told as held only when the disk has it, there once whatever dies, and let go of when it is complete. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { LiveView, SEEK } from '../../actors/live-session.ts';
import { FussyDisk, HeldLink, halves, numbersIn, PATH, packet } from '../support/relay-store.ts';

const told = (name: string, tell: (link: HeldLink) => Promise<void>): void => {
  test(name, async () => {
    const link = new HeldLink();
    try {
      await tell(link);
    } finally {
      link.dispose();
    }
  });
};

const archive = (number: number, to = `archives/A-${number}`, from = '') =>
  ({ kind: 'op', number, op: 'archive', from, to }) as const;

told('an operation is durable when all that came before it is, and not before', async (link) => {
  link.store.packet(packet(PATH, 0));
  link.store.operate(archive(1));
  assert.equal(link.store.record.ops, 0);
  assert.ok(link.store.dirty);
  link.disk.broken = true;
  await assert.rejects(link.store.commit());
  assert.equal(link.store.record.ops, 0);
  link.disk.broken = false;
  await link.store.commit();
  assert.equal(link.store.record.ops, 1);
  assert.deepEqual(await link.again(), { positions: {}, ops: 1 });
  assert.deepEqual(numbersIn(readFileSync(link.path(`archives/A-1/${PATH}`))), [0]);
});

told('archives that are durable are let go of, and their limits too: rotations have no end', async (link) => {
  // No disk has a part in that; it would take long.
  link.disk.idle = true;
  const [streams, chunks, limits] = [8, 20, { size: 8192, count: 0 }];
  for (let chunk = 0; chunk < chunks; chunk++) {
    const from = chunk === 0 ? '' : `C-${chunk}`;
    const traces = chunk === 0 ? 'ust' : `${from}/ust`;
    for (let i = 0; i < streams; i++) {
      // As traces of processes are: each of them another, if only in some chunks here.
      const trace = `${traces}/pid/p-${chunk < 9 ? i : 0}`;
      if (i < 1 || chunk < 9)
        link.store.metadata({ kind: 'metadata', path: trace, text: '/* CTF */', first: true, more: false });
      link.store.packet(packet(`${trace}/c`, chunk, 128, i === 0 ? limits : undefined));
    }
    link.store.operate(archive(chunk + 1, undefined, from));
    await link.store.commit();
  }
  assert.ok(link.store.streams.size <= streams, 'streams');
  assert.ok(link.store.traces.size <= streams, 'traces');
  assert.deepEqual(link.positions, {});
  assert.deepEqual(link.store.record.limits, {});
  assert.deepEqual(link.store.record.moves, []);
  assert.deepEqual(await link.again(), { positions: {}, ops: chunks });
  assert.equal(link.store.streams.size, 0);
});

told(
  'who watches an archived chunk reads it to its end and goes on with what the relay holds of those behind it',
  async (link) => {
    const metadata = (path: string): void =>
      link.store.metadata({ kind: 'metadata', path, text: '/* CTF */\n', first: true, more: false });
    const statusOf = (reply: Buffer): number => reply.readUInt32BE(56);
    metadata('ust/uid/0/64-bit');
    link.store.packet(packet(PATH, 0));
    const view = new LiveView(1n, link.store);
    view.attach(SEEK.beginning);
    for (const number of [1, 2, 3]) {
      link.store.operate(archive(number, undefined, number === 1 ? '' : `C-${number}`));
      await link.store.commit();
      metadata(`C-${number + 1}/ust/uid/0/64-bit`);
      link.store.packet(packet(`C-${number + 1}/${PATH}`, number));
    }
    assert.equal(link.store.dropped, 2);
    assert.equal(statusOf(view.index(2n)), 1);
    assert.equal(view.packet(2n, 0n, 4096).length, 12 + 4096);
    assert.equal(statusOf(view.index(2n)), 1, 'the chunk before');
    assert.equal(statusOf(view.index(2n)), 1, 'the chunk of now');
    assert.equal(statusOf(view.index(2n)), 2, 'nothing yet');
    assert.equal(view.newStreams().readUInt32BE(0), 2, 'none is new');
  },
);

told('a packet of several parts, and metadata, may be given to the disk again when it was full', async (link) => {
  const [first, last] = halves(packet(PATH, 0));
  link.store.packet(first);
  link.disk.full = '.idx';
  assert.throws(() => link.store.packet(last), /full/);
  assert.throws(() => link.store.packet(last), /full/);
  link.disk.full = null;
  link.store.packet(last);
  link.store.packet(packet(PATH, 1));
  assert.deepEqual(numbersIn(readFileSync(link.path(PATH))), [0, 1]);
  const part = { kind: 'metadata', path: 'ust/t' } as const;
  link.store.metadata({ ...part, text: 'HEAD', first: true, more: true });
  link.disk.full = 'metadata.tmp';
  const tail = { ...part, text: 'TAIL', first: false, more: false };
  assert.throws(() => link.store.metadata(tail), /full/);
  link.disk.full = null;
  link.store.metadata(tail);
  await link.store.commit();
  assert.equal(readFileSync(link.path('ust/t/metadata'), 'utf8'), 'HEADTAIL');
});

told('the next file of a split stream begins empty, though the disk was full when it began', async (link) => {
  const limits = { size: 8192, count: 2 };
  for (let number = 0; number < 4; number++) link.store.packet(packet(PATH, number, 4096, limits));
  link.disk.full = 'c_0_0';
  assert.throws(() => link.store.packet(packet(PATH, 4, 4096, limits)), /full/);
  link.disk.full = null;
  link.store.packet(packet(PATH, 4, 4096, limits));
  assert.deepEqual(numbersIn(readFileSync(link.path(`${PATH}_0`))), [4]);
});

told('after a power cut only what was made durable counts, whatever the files look like', async (link) => {
  for (let number = 0; number < 2; number++) link.store.packet(packet(PATH, number));
  await link.store.commit();
  for (let number = 2; number < 5; number++) link.store.packet(packet(PATH, number));
  link.store.packet(packet('ust/uid/0/64-bit/d_0', 0));
  // A page in the middle never came to the disk.
  const data = readFileSync(link.path(PATH));
  writeFileSync(link.path(PATH), data.fill(0, 2 * 4096, 4 * 4096));
  assert.deepEqual((await link.again()).positions, { [PATH]: 1 });
  for (let number = 2; number < 5; number++) link.store.packet(packet(PATH, number));
  link.store.packet(packet('ust/uid/0/64-bit/d_0', 0));
  await link.store.commit();
  assert.deepEqual((await link.again()).positions, { [PATH]: 4, 'ust/uid/0/64-bit/d_0': 0 });
  assert.deepEqual(numbersIn(readFileSync(link.path(PATH))), [0, 1, 2, 3, 4]);
});

told('a split stream loses none of its files to a power cut, and goes on in the right one', async (link) => {
  for (const [count, path] of [
    [0, PATH],
    [3, `${PATH}0`],
  ] as const) {
    const limits = { size: 8192, count };
    const put = (from: number, to: number): void => {
      for (let number = from; number < to; number++) link.store.packet(packet(path, number, 4096, limits));
    };
    put(0, 7);
    await link.store.commit();
    put(7, 11);
    // The file in the middle of what was not durable is lost.
    const lost = count === 0 ? 4 : 1;
    for (const name of [`${path}_${lost}`, path.replace(/c_\d+$/, (name) => `index/${name}_${lost}.idx`)])
      truncateSync(link.path(name), 0);
    const { positions } = await link.again();
    assert.equal(positions[path], 6);
    put(7, 11);
    await link.store.commit();
    assert.equal((await link.again()).positions[path], 10);
    const names = readdirSync(link.path('ust/uid/0/64-bit')).filter((name) => name.startsWith(`${path.split('/').at(-1)}_`));
    const held = names.flatMap((name) => numbersIn(readFileSync(link.path(`ust/uid/0/64-bit/${name}`))));
    const expected = Array.from({ length: 11 }, (_, number) => number).slice(count === 0 ? 0 : 6);
    assert.deepEqual(
      held.sort((a, b) => a - b),
      expected,
    );
  }
});

told('what was cleared stays so, and its numbers go on', async (link) => {
  for (let number = 0; number < 3; number++) link.store.packet(packet(PATH, number));
  await link.store.commit();
  link.store.operate({ kind: 'op', number: 1, op: 'clear', directory: '' });
  assert.equal((await link.again()).positions[PATH], 2, 'before it was durable');
  link.store.operate({ kind: 'op', number: 1, op: 'clear', directory: '' });
  await link.store.commit();
  assert.deepEqual(await link.again(), { positions: { [PATH]: 2 }, ops: 1 });
  link.store.packet(packet(PATH, 3));
  assert.deepEqual(numbersIn(readFileSync(link.path(PATH))), [3]);
});

told('killed in the midst of an archive: what comes again goes where it was, and lies there once', async (link) => {
  for (let number = 0; number < 3; number++) link.store.packet(packet(PATH, number));
  await link.store.commit();
  link.store.packet(packet(PATH, 3));
  link.store.operate(archive(1));
  link.store.packet(packet(`C-2/${PATH}`, 4));
  link.store.operate(archive(2, 'archives/A-2', 'C-2'));
  link.store.packet(packet(PATH, 9));
  assert.deepEqual(await link.again(), { positions: { [PATH]: 2 }, ops: 0 });
  assert.ok(!existsSync(link.path('archives/A-1')));
  link.store.packet(packet(PATH, 2));
  link.store.packet(packet(PATH, 3));
  link.store.operate(archive(1));
  link.store.packet(packet(`C-2/${PATH}`, 4));
  link.store.operate(archive(2, 'archives/A-2', 'C-2'));
  await link.store.commit();
  assert.deepEqual(await link.again(), { positions: {}, ops: 2 });
  assert.deepEqual(numbersIn(readFileSync(link.path(`archives/A-1/${PATH}`))), [0, 1, 2, 3]);
  assert.deepEqual(numbersIn(readFileSync(link.path(`archives/A-2/${PATH}`))), [4]);
  assert.deepEqual(
    readdirSync(link.base).filter((name) => !name.startsWith('.')),
    ['archives'],
  );
});

told('two archives of one name do not become one, and none lies outside', async (link) => {
  for (const number of [1, 2]) {
    link.store.packet(packet(PATH, number));
    link.store.operate(archive(number, 'archives/A'));
    await link.store.commit();
  }
  assert.deepEqual(numbersIn(readFileSync(link.path(`archives/A/${PATH}`))), [1]);
  assert.deepEqual(numbersIn(readFileSync(link.path(`archives/A/ust-2/${PATH.slice('ust/'.length)}`))), [2]);
  assert.throws(() => link.store.operate(archive(3, 'elsewhere')), /no place of an archive/);
});

told('what a relay of before left, which noted no positions, is found in its files', async (link) => {
  for (let number = 0; number < 3; number++) link.store.packet(packet(PATH, number));
  writeFileSync(link.path('.weft-positions'), '');
  assert.deepEqual((await link.again(false)).positions, { [PATH]: 2 });
  assert.deepEqual((await link.again()).positions, { [PATH]: 2 });
});

told('positions whose last line is torn count up to there; they are written anew, and never grow for ever', async (link) => {
  for (let number = 0; number < 3; number++) {
    link.store.packet(packet(PATH, number));
    await link.store.commit();
  }
  const notes = readFileSync(link.path('.weft-positions'));
  truncateSync(link.path('.weft-positions'), notes.length - 3);
  assert.deepEqual((await link.again()).positions, { [PATH]: 1 });
  link.disk.full = '.weft-positions';
  link.store.packet(packet(PATH, 2));
  assert.ok(link.disk instanceof FussyDisk);
  await assert.rejects(link.store.commit(), /full/);
  assert.equal(link.positions[PATH], 1, 'what is not noted is not told');
  link.disk.full = null;
  await link.store.commit();
  assert.equal((await link.again()).positions[PATH], 2);
});

told('a record that the disk refuses leaves the one before, in the file and in mind', async (link) => {
  link.store.packet(packet(PATH, 0, 4096, { size: 8192, count: 0 }));
  await link.store.commit();
  const before = readFileSync(link.path('.weft-link.json'), 'utf8');
  // Nothing can be written to that.
  mkdirSync(link.path('.weft-link.json.tmp'));
  assert.throws(() => link.store.packet(packet('ust/uid/0/64-bit/d_0', 0, 4096, { size: 8192, count: 0 })));
  assert.equal(readFileSync(link.path('.weft-link.json'), 'utf8'), before);
  rmdirSync(link.path('.weft-link.json.tmp'));
  link.store.packet(packet('ust/uid/0/64-bit/d_0', 0, 4096, { size: 8192, count: 0 }));
  await link.store.commit();
  assert.deepEqual((await link.again()).positions, { [PATH]: 0, 'ust/uid/0/64-bit/d_0': 0 });
});

told('a commit that ends when the link is another’s already writes nothing', async (link) => {
  link.store.packet(packet(PATH, 0));
  const late = link.store.commit();
  link.store.retire();
  await assert.rejects(late);
  assert.deepEqual((await link.again()).positions, {});
});

// Packets of a stream that is split: two to a file.
const SPLIT = { size: 8192, count: 0 };

for (const [first, second, files] of [
  ['c_0', 'c_0_0', ['c_0_0', 'c_0_0-2', 'c_0_1']],
  ['c_0_0', 'c_0', ['c_0-2_0', 'c_0-2_1', 'c_0_0']],
] as const)
  told(
    `of ${first} and ${second}, which would share a file, both have all they sent, also when the relay comes again`,
    async (link) => {
      const trace = 'ust/uid/0/64-bit';
      const send = (from: number, count: number) => {
        for (const [at, name] of [first, second].entries())
          for (let n = from; n < from + count; n++)
            link.store.packet(packet(`${trace}/${name}`, 100 * at + n, 4096, name === 'c_0' ? SPLIT : undefined));
      };
      const told = () =>
        Object.entries(link.positions)
          .sort()
          .map(([path, number]) => [path.slice(trace.length + 1), number]);
      const held = () =>
        readdirSync(link.path(trace))
          .filter((name) => name !== 'index')
          .sort();
      const all = () =>
        held()
          .flatMap((name) => numbersIn(readFileSync(link.path(`${trace}/${name}`))))
          .sort((a, b) => a - b);
      send(0, 3);
      await link.store.commit();
      assert.deepEqual(held(), files);
      await link.again();
      const last = { [first]: 2, [second]: 102 };
      assert.deepEqual(told(), Object.entries(last).sort());
      assert.deepEqual(all(), [0, 1, 2, 100, 101, 102]);
      send(3, 1);
      await link.store.commit();
      assert.deepEqual(all(), [0, 1, 2, 3, 100, 101, 102, 103]);
      link.store.operate(archive(1));
      await link.store.commit();
      assert.deepEqual([link.store.record.stems, link.store.record.limits], [{}, {}]);
    },
  );

/** As a sender of before sends what a power cut left. */
const zeros = (number: number) => ({ ...packet(PATH, number), bytes: Buffer.alloc(4096) });

told('what is no packet is passed over and told; what was acknowledged before it stays', async (link) => {
  for (let number = 0; number < 9; number++) assert.ok(link.store.packet(packet(PATH, number)));
  assert.equal(link.store.packet(zeros(9)), false);
  await link.store.commit();
  assert.deepEqual(link.positions, { [PATH]: 9 });
  assert.deepEqual(await link.again(), { positions: { [PATH]: 9 }, ops: 0 });
  assert.ok(link.store.packet(packet(PATH, 10)));
  await link.store.commit();
  assert.deepEqual(await link.again(), { positions: { [PATH]: 10 }, ops: 0 });
  assert.deepEqual(numbersIn(readFileSync(link.path(PATH))), [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]);
});

told('a last packet that is none, of a relay of before, takes nothing with it', async (link) => {
  for (let number = 0; number < 10; number++) link.store.packet(packet(PATH, number));
  await link.store.commit();
  const data = readFileSync(link.path(PATH));
  writeFileSync(link.path(PATH), data.fill(0, 9 * 4096));
  assert.deepEqual(await link.again(), { positions: { [PATH]: 9 }, ops: 0 });
  assert.deepEqual(numbersIn(readFileSync(link.path(PATH))), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  link.store.packet(packet(PATH, 10));
  await link.store.commit();
  await link.again();
  assert.deepEqual(numbersIn(readFileSync(link.path(PATH))), [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]);
});
