/** A relay on a real bus: what a host sends is at the relay as it was recorded, whatever dies meanwhile. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { lstatSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { LinkSender, readSpool, type SenderOptions, type Spool } from '../support/link-sender.ts';
import { filesBelow, TestRelay } from '../support/relay.ts';
import { babeltrace, Weft } from '../support/weft.ts';

const EVENTS = 60_000;
const weft = new Weft();
let trace = '';
let spool: Spool;
let relay: TestRelay;

const options = (more: Partial<SenderOptions> = {}): SenderOptions => ({
  host: 'alpha',
  uid: 0,
  owner: '0',
  link: randomBytes(16).toString('hex'),
  session: 's',
  ...more,
});

before(async () => {
  trace = weft.session('s', ['--subbuf-size=16k', '--num-subbuf=256']);
  const counter = await weft.counter({ threads: 2, events: EVENTS / 2 });
  await counter.ended;
  weft.ok('stop', 's');
  weft.ok('destroy', 's');
  spool = readSpool(trace);
  relay = await TestRelay.start();
});

after(async () => {
  await relay.dispose();
  weft.dispose();
});

test('files at the relay are the files of the host, below HOST/SESSION-DATE', async () => {
  assert.ok(spool.packets.length > 20, `only ${spool.packets.length} packets`);
  const sender = new LinkSender(await relay.connect(), options(), spool);
  await sender.mirror();
  assert.equal(sender.directory, join(relay.output, 'alpha/s-20260203-040506'));
  assert.deepEqual(filesBelow(sender.directory), filesBelow(trace));
});

test('packets that were compressed on the way lie there as they were', async () => {
  const sender = new LinkSender(
    await relay.connect(),
    options({ session: 'z', compress: (bytes) => zstdCompressSync(bytes) }),
    spool,
  );
  await sender.mirror();
  assert.deepEqual(filesBelow(sender.directory), filesBelow(trace));
});

test('the note of a freeze lies beside what it recorded: there it is collected, under any of its names', async () => {
  const [id, alias] = ['019abc0000000001', '019abc0000000002'];
  const sender = new LinkSender(await relay.connect(), options({ host: 'beta', session: 'flight' }), spool);
  await sender.open();
  sender.metadata();
  sender.packets();
  const note = { v: 1, id, aliases: [alias], host: 'somebody', session: 'flight', seenBy: 'gamma', trigger: 't' };
  sender.op(1, { op: 'freeze', note: { ...note, atNs: '1', frozenAtNs: '2' } });
  sender.op(2, { op: 'close' });
  await sender.pump();
  const output = join(weft.home, 'collected');
  const from = ['--from', relay.output, '--output', output];
  const { snapshots } = weft.json<{ snapshots: { host: string; path: string }[] }>('snapshot', 'collect', alias, ...from);
  assert.deepEqual(
    snapshots.map(({ host }) => host),
    ['beta'],
    'the host is the one that the link is of',
  );
  assert.equal(babeltrace(snapshots[0]!.path).events, EVENTS);
  const wrong = new LinkSender(await relay.connect(), options({ host: 'beta', session: 'wrong' }), spool);
  await wrong.open();
  wrong.op(1, { op: 'freeze', note: { ...note, id: '../x' } });
  await wrong.pump(() => wrong.acks.some(({ refused }) => refused !== undefined));
});

test('the relay is killed again and again: it goes on where its files end, and nothing is lost or there twice', async () => {
  const sender = new LinkSender(await relay.connect(), options({ session: 'killed' }), spool);
  let killing = true;
  const killer = (async () => {
    for (let kills = 0; killing && kills < 4; kills++) {
      const acks = sender.acks.length;
      while (killing && sender.acks.length < acks + 1 + kills) await new Promise((resolve) => setImmediate(resolve));
      await relay.kill();
      await relay.up();
    }
  })();
  await sender.mirror();
  killing = false;
  await killer;
  assert.ok(sender.opens > 1, 'it was never opened anew');
  assert.deepEqual(filesBelow(sender.directory), filesBelow(trace));
});

test('streams that are split into files keep to their limits, and what is left can be read', async () => {
  const limits = options({ session: 'limited', tracefiles: { size: 40_000, count: 3 } });
  const sender = new LinkSender(await relay.connect(), limits, spool);
  await sender.mirror();
  const files = Object.entries(filesBelow(sender.directory)).filter(([name]) => /\/ch_\d+_\d+$/.test(name));
  assert.ok(files.length > 2);
  for (const [name, bytes] of files) assert.ok(bytes.length <= 40_000, `${name}: ${bytes.length}`);
  const { status, events } = babeltrace(sender.directory);
  assert.equal(status, 0);
  assert.ok(events > 0 && events < EVENTS);
});

test('a chunk that is archived moves, one that is cleared is empty, and recording goes on behind them', async () => {
  const sender = new LinkSender(await relay.connect(), options({ session: 'chunks' }), spool);
  await sender.open();
  sender.metadata();
  sender.packets();
  sender.op(1, { op: 'archive', from: '', to: 'archives/20260101T000000+0000-20260101T000001+0000-0' });
  sender.metadata();
  assert.ok(await sender.pump());
  const [archived, first] = [`${sender.directory}/archives/20260101T000000+0000-20260101T000001+0000-0`, sender.directory];
  assert.deepEqual(filesBelow(archived), filesBelow(trace));
  sender.durable.clear();
  sender.packets();
  assert.ok(await sender.pump());
  assert.equal(babeltrace(join(first, 'ust')).events, EVENTS);
  sender.op(2, { op: 'clear', directory: '' });
  assert.ok(await sender.pump());
  assert.equal(babeltrace(join(first, 'ust')).events, 0);
  assert.equal(babeltrace(archived).events, EVENTS);
});

test('messages that would leave the directory, or that lie, close the link and touch nothing', async () => {
  const [packet] = spool.packets;
  const index = packet!.index;
  const good = {
    kind: 'packet',
    path: packet!.path,
    number: packet!.number,
    index,
    part: 0,
    parts: 1,
    offset: 0,
    bytes: packet!.bytes,
  };
  const huge = Buffer.from(index);
  huge.writeBigUInt64BE(2n ** 63n, 8);
  const hostile = [
    { ...good, path: '../../../etc/cron.d/x' },
    { ...good, path: '/etc/cron.d/x' },
    { ...good, path: 'ust/../../x' },
    { ...good, path: 'ust/uid/.weft-link.json' },
    { ...good, path: 'ust/uid/metadata' },
    { ...good, path: 'ust/uid/index/ch_0.idx' },
    { ...good, index: huge },
    { ...good, index: index.subarray(0, 71) },
    { ...good, parts: 0 },
    { ...good, part: 3, parts: 4 },
    { ...good, offset: 2 ** 40 },
    { ...good, bytes: packet!.bytes.subarray(1) },
    { ...good, zstd: true },
    { ...good, number: packet!.number + 1 },
    { kind: 'metadata', path: '..', text: 'x' },
    { kind: 'beat', clock: 1.5, paths: [] },
    { kind: 'op', number: 1, op: 'archive', from: '../alpha', to: 'archives/x' },
    { kind: 'op', number: 1, op: 'clear', directory: '..' },
    { kind: 'nonsense' },
  ];
  const bus = await relay.connect();
  for (const [at, message] of hostile.entries()) {
    const sender = new LinkSender(bus, options({ session: `hostile-${at}` }), spool);
    await sender.open();
    sender.push(message);
    await sender.pump(() => sender.acks.some(({ refused }) => refused !== undefined));
    assert.ok(
      sender.acks.some(({ refused }) => refused !== undefined),
      `${JSON.stringify(message).slice(0, 120)} was taken`,
    );
    assert.deepEqual(
      Object.entries(filesBelow(sender.directory)).filter(([, bytes]) => bytes.length > 0 && at !== 11),
      [],
    );
  }
});

test('what opens a link says nothing that could name another directory', async () => {
  const bus = await relay.connect();
  for (const wrong of [
    { host: '..' },
    { session: 'a/b' },
    { session: '.' },
    { host: '' },
    { link: 'x' },
    { createdAt: '../..' },
  ]) {
    await assert.rejects(new LinkSender(bus, options(wrong), spool).open(), /wrong/, JSON.stringify(wrong));
  }
});

test('a second relay does not write to the same directory', async () => {
  await assert.rejects(relay.up(), /ended with 1/);
});

test('a relay that is told to end ends cleanly, and removes its pid file only if that is still its own', async () => {
  const other = await TestRelay.start();
  try {
    const [pidFile, link] = [join(other.home, 'pid'), join(other.home, 'link')];
    for (const [path, remains] of [
      [pidFile, false],
      [link, true],
    ] as const) {
      await other.kill('SIGTERM');
      if (remains) symlinkSync('elsewhere', link);
      await other.up('--pid-file', path);
      assert.equal(readFileSync(path, 'utf8'), `${other.relayPid}\n`);
      assert.equal(await other.kill('SIGTERM'), 0);
      assert.equal(lstatSync(path, { throwIfNoEntry: false }) !== undefined, remains, path);
    }
    assert.match(other.log(), /the relay serves/);
  } finally {
    await other.dispose();
  }
});

test('on the bus of its own session daemon, in the background: it serves when the command returns, and one that cannot says why', async () => {
  const [output, pidFile] = [join(weft.home, 'relayed'), join(weft.home, 'relay.pid')];
  const words = ['relayd', '-o', output, '-L', 'tcp://localhost:0'];
  const { pid } = weft.json<{ pid: number }>(...words, '--daemonize', '--pid-file', pidFile);
  try {
    assert.equal(readFileSync(pidFile, 'utf8'), `${pid}\n`);
    const { relay: name } = JSON.parse(readFileSync(join(output, '.weft-relay.json'), 'utf8')) as { relay: string };
    assert.match(name, /^[A-Za-z0-9_-]+$/);
    assert.match(weft.run(...words).stderr, /another relay writes to/);
    assert.match(weft.run('relayd', '-C', 'tcp://localhost:5342').stderr, /over the bus/);
  } finally {
    process.kill(pid, 'SIGTERM');
    while (lstatSync(`/proc/${pid}`, { throwIfNoEntry: false })) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(lstatSync(pidFile, { throwIfNoEntry: false }), undefined);
});

test('what was evicted is told: the oldest session that ended, never one that is open', async () => {
  const small = await TestRelay.start('--retain-bytes=100k');
  try {
    const bus = await small.connect();
    const evicted = new Promise<Record<string, unknown>>((resolve) => {
      bus.subscribe('weft.v1.relay.*.evt.evicted', ({ body }) => resolve(body));
    });
    const open = new LinkSender(bus, options({ session: 'open' }), spool);
    await open.mirror(false);
    await new LinkSender(bus, options({ session: 'ended' }), spool).mirror();
    assert.equal((await evicted).session, 'ended');
    assert.deepEqual(filesBelow(open.directory), filesBelow(trace));
    assert.match(readFileSync(join(open.directory, '.weft-link.json'), 'utf8'), /"session":"open"/);
  } finally {
    await small.dispose();
  }
});
