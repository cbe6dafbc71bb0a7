/** Relays: links that come, fall silent, are taken over and end; disks that fill; a bus that is cut. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { halves, numbersIn, PATH, packet } from '../../support/relay-store.ts';
import { LINK, WorldRelay } from '../../support/world/relay.ts';
import type { World } from '../../support/world/world.ts';
import { type Scenario, scenario } from './scenario.ts';

/** A scenario about one relay that receives. */
const receiving = (name: string, tell: (relay: WorldRelay, world: World) => Promise<void>): Scenario =>
  scenario(name, async (world) => {
    const relay = await WorldRelay.receiving(world);
    try {
      assert.deepEqual(relay.links, ['"receiving"']);
      await tell(relay, world);
    } finally {
      relay.dispose();
    }
  });

const LINKS: readonly Scenario[] = [
  receiving('a link falls silent and comes back', async (relay, world) => {
    await world.clock.advance(5_000);
    await relay.metadata(1);
    await world.clock.advance(9_000);
    assert.deepEqual(relay.links, ['"receiving"'], 'it was heard nine seconds ago');
    await world.clock.advance(2_000);
    assert.deepEqual(relay.links, ['"stalled"']);
    await relay.metadata(1);
    assert.deepEqual(relay.links, ['"receiving"']);
    assert.deepEqual(relay.events, ['added', 'stalled', 'resumed']);
    await world.clock.advance(911_000);
    assert.deepEqual(relay.links, [], 'one that never comes back is given up');
    await relay.metadata(1);
    assert.equal(relay.acks.at(-1)?.reopen, true);
  }),

  receiving('the session ends: all of it is durable before the link is closed', async (relay, world) => {
    relay.disk.syncs = 'hanging';
    await relay.send(1, { kind: 'op', number: 1, op: 'close' });
    await world.clock.advance(20);
    assert.deepEqual(relay.links, ['"receiving"']);
    relay.disk.release();
    await world.clock.advance(100);
    assert.deepEqual(relay.links, []);
    assert.equal(relay.acks.at(-1)?.ops, 1);
    assert.equal(await relay.open(2), 'ok', 'it may be asked once more whether the end is known');
  }),

  receiving('a disk so slow that the host seems silent meanwhile still closes, or fills', async (relay, world) => {
    relay.disk.syncs = 'hanging';
    await relay.send(1, { kind: 'op', number: 1, op: 'close' });
    await world.clock.advance(11_000);
    assert.deepEqual(relay.links, ['"stalled"']);
    relay.disk.release();
    await world.rest();
    assert.deepEqual(relay.links, []);
  }),

  receiving('a disk that fails so late stops the sender', async (relay, world) => {
    relay.disk.syncs = 'hanging';
    await relay.metadata(1);
    await world.clock.advance(11_000);
    assert.deepEqual(relay.links, ['"stalled"']);
    relay.disk.release('failed');
    await world.rest();
    assert.deepEqual(relay.links, ['"full"']);
  }),

  receiving('a full disk holds the sender back and loses nothing', async (relay, world) => {
    relay.disk.full = true;
    await relay.metadata(1);
    assert.deepEqual(relay.links, ['"full"']);
    assert.equal(relay.acks.at(-1)?.full, true);
    await relay.metadata(1);
    await world.clock.advance(2_000);
    assert.deepEqual(relay.links, ['"full"']);
    relay.disk.full = false;
    await world.clock.advance(1_000);
    assert.deepEqual(relay.links, ['"receiving"']);
    const free = relay.acks.find(({ missing, full }) => missing !== undefined && full === undefined);
    assert.equal(free?.missing, 3, 'what came while it was full is asked for again, what was kept is not');
    assert.deepEqual(relay.events, ['added', 'full', 'writable']);
  }),

  receiving('an operation is acknowledged when all that came before it is durable', async (relay, world) => {
    relay.disk.syncs = 'hanging';
    await relay.send(1, { ...packet(PATH, 0) });
    await relay.send(1, { kind: 'op', number: 1, op: 'archive', from: '', to: 'archives/A' });
    await world.clock.advance(200);
    assert.ok(relay.acks.length > 0);
    assert.deepEqual([...new Set(relay.acks.map(({ ops }) => ops))], [0]);
    relay.disk.release();
    await world.clock.advance(100);
    assert.equal(relay.acks.at(-1)?.ops, 1);
  }),

  receiving('a disk that is full in the midst of a packet of several parts gets it again', async (relay, world) => {
    relay.disk.fullFor = '.idx';
    for (const half of halves(packet(PATH, 0))) await relay.send(1, { ...half });
    assert.deepEqual(relay.links, ['"full"']);
    await world.clock.advance(1_100);
    assert.deepEqual(relay.links, ['"full"']);
    relay.disk.fullFor = null;
    await world.clock.advance(1_000);
    assert.deepEqual(relay.links, ['"receiving"']);
    assert.deepEqual(relay.acks.flatMap(({ durable }) => durable).at(-1), { path: PATH, number: 0 });
  }),

  scenario('a directory in which nobody knows what is goes to no link', async (world) => {
    const relay = new WorldRelay(world);
    await world.rest();
    const base = join(relay.output, 'h/s-20260101-000000');
    mkdirSync(join(base, 'ust'), { recursive: true });
    writeFileSync(join(base, '.weft-link.json'), '{"v":1,"link"');
    assert.equal(await relay.open(1), 'ok');
    await relay.send(1, { ...packet(PATH, 0) });
    assert.deepEqual(readdirSync(join(base, 'ust')), []);
    const other = `${base}-${LINK.slice(0, 8)}`;
    assert.ok(existsSync(join(other, PATH)));
    rmSync(base, { recursive: true });
    assert.equal(await relay.open(2), 'ok');
    await relay.send(2, { ...packet(PATH, 1) });
    assert.deepEqual(numbersIn(readFileSync(join(other, PATH))), [0, 1], 'it stays where it is');
    relay.dispose();
  }),

  receiving('a newer opening takes over with its first message, and the old one is told', async (relay, world) => {
    assert.equal(await relay.open(1), 'stale-epoch');
    assert.equal(await relay.open(3), 'ok');
    assert.deepEqual(relay.links.length, 2, 'asking alone takes nothing from the old one');
    await relay.metadata(3);
    assert.deepEqual(relay.links, ['"receiving"']);
    await relay.metadata(1);
    assert.equal(relay.acks.at(-1)?.epoch, 3);
    assert.equal(await relay.open(2), 'stale-epoch');
    assert.equal(await relay.open(4), 'ok');
    await world.clock.advance(61_000);
    assert.equal(relay.links.length, 1, 'an offer that nobody takes ends');
  }),

  scenario('offers of a link stand beside each other, and those that are left over take nothing with them', async (world) => {
    const relay = new WorldRelay(world);
    await world.rest();
    assert.equal(await relay.open(1), 'ok', 'its answer is lost');
    await world.clock.advance(5_000);
    assert.equal(await relay.open(2), 'ok');
    for (let second = 0; second < 70; second++) {
      await relay.metadata(2);
      assert.deepEqual(relay.links, ['"receiving"']);
      await world.clock.advance(1_000);
    }
    assert.ok(relay.acks.every(({ reopen }) => reopen === undefined));
    relay.dispose();
  }),

  scenario('who only asks takes a link from nobody: not before it sends, nor later', async (world) => {
    const relay = new WorldRelay(world);
    await world.rest();
    const asks = async (): Promise<void> => {
      for (const epoch of [1, 2, 3]) await relay.open(epoch, { session: 'other', subdir: 'elsewhere' });
    };
    assert.equal(await relay.open(1), 'ok');
    await asks();
    await relay.metadata(1);
    await world.clock.advance(100);
    assert.deepEqual(relay.links, ['"receiving"']);
    const directory = 'h/s-20260101-000000';
    assert.ok(
      readdirSync(relay.output, { recursive: true, encoding: 'utf8' }).includes(`${directory}/ust/uid/7/64-bit/metadata`),
    );
    await asks();
    assert.equal(await relay.open(2), 'ok');
    await relay.metadata(2);
    await world.clock.advance(100);
    assert.equal(relay.acks.at(-1)?.epoch, 2);
    for (let epoch = 3; epoch < 60; epoch++) await relay.open(epoch);
    assert.ok(relay.links.length < 20, 'offers of one link have an end');
    await relay.metadata(2);
    await world.clock.advance(100);
    assert.equal(relay.acks.at(-1)?.reopen, undefined);
    relay.dispose();
  }),

  receiving('what no relay can take closes the link with a word', async (relay) => {
    await relay.send(1, { kind: 'metadata', path: '../..', text: 'x' });
    assert.deepEqual(relay.links, []);
    assert.ok(relay.acks.some(({ refused }) => refused !== undefined));
    assert.deepEqual(relay.events, ['added', 'refused']);
  }),

  scenario('files that cannot be read refuse the opening; a disk that does not answer does too', async (world) => {
    const relay = new WorldRelay(world);
    await world.rest();
    relay.disk.syncs = 'failed';
    assert.equal(await relay.open(1), 'internal');
    relay.disk.syncs = 'hanging';
    assert.equal(await relay.open(1), null);
    await world.clock.advance(5_000);
    assert.deepEqual(relay.links, []);
    relay.dispose();
  }),
];

const ends = (relay: WorldRelay): boolean => relay.root.getSnapshot().status === 'done';

const RELAYS: readonly Scenario[] = [
  receiving('told to end, a relay writes out what it has', async (relay, world) => {
    relay.root.send({ type: 'ShutdownRequested' });
    await world.rest();
    assert.ok(ends(relay));
  }),

  receiving('told to end, it does not wait for ever for a disk that hangs', async (relay, world) => {
    relay.disk.syncs = 'hanging';
    await relay.metadata(1);
    relay.root.send({ type: 'ShutdownRequested' });
    await world.clock.advance(9_000);
    assert.match(relay.links[0] ?? '', /ending/);
    await world.clock.advance(999);
    assert.ok(!ends(relay));
    await world.clock.advance(2);
    assert.equal(relay.root.getSnapshot().output?.refusal?.code, 'timeout');
  }),

  receiving('a link that was given up ends though its disk hangs, or fails', async (relay, world) => {
    relay.disk.syncs = 'hanging';
    await relay.metadata(1);
    await world.clock.advance(915_000);
    assert.match(relay.links[0] ?? '', /ending/);
    await world.clock.advance(11_000);
    assert.deepEqual(relay.links, []);
  }),

  receiving('told to end with a disk that fails, it says so', async (relay, world) => {
    relay.disk.syncs = 'failed';
    relay.root.send({ type: 'ShutdownRequested' });
    await world.rest();
    assert.ok(relay.root.getSnapshot().output?.refusal);
  }),

  receiving('the bus is cut for a while: the key is asked for anew until it is back', async (relay, world) => {
    relay.bus!.cut();
    await world.clock.advance(5_000);
    assert.equal(relay.renewed, 2);
    relay.bus!.restore();
    await world.clock.advance(5_000);
    assert.equal(relay.renewed, 2, 'and no longer');
    await relay.metadata(1);
    assert.deepEqual(relay.links, ['"receiving"']);
  }),

  scenario('without a bus a relay ends with the cause, at once or after a minute, or when told to', async (world) => {
    for (const [how, ms] of [
      ['fails', 0],
      ['hangs', 61_000],
    ] as const) {
      const relay = new WorldRelay(world, {}, how);
      await world.clock.advance(ms);
      assert.ok(relay.root.getSnapshot().output?.refusal, how);
      relay.dispose();
    }
    const relay = new WorldRelay(world, {}, 'hangs');
    relay.root.send({ type: 'ShutdownRequested' });
    assert.ok(ends(relay));
    relay.dispose();
  }),

  scenario(
    'a session that did not end stays for weeks, whoever was silent; what cannot be removed ends no relay',
    async (world) => {
      const relay = await WorldRelay.receiving(world, { retainBytes: 1 });
      world.clock.jump(Date.now() - world.clock.now());
      await world.clock.advance(1_000_000);
      await world.clock.advance(31_000);
      await relay.looked();
      assert.deepEqual(relay.links, []);
      assert.ok(!relay.events.includes('evicted'));
      relay.disk.drop = () => {
        throw Object.assign(new Error('busy'), { code: 'EBUSY' });
      };
      world.clock.jump(40 * 24 * 3_600_000);
      await world.clock.advance(31_000);
      await relay.looked();
      assert.ok(world.logged('old sessions cannot be removed'));
      assert.equal(relay.root.getSnapshot().status, 'active');
      relay.disk.drop = () => {};
      await world.clock.advance(31_000);
      await relay.looked();
      assert.ok(relay.events.includes('evicted'), 'it is tried again');
      relay.dispose();
    },
  ),

  scenario('sessions that ended go when they are too old', async (world) => {
    const relay = await WorldRelay.receiving(world, { retainAgeMs: 3_600_000 });
    world.clock.jump(Date.now() - world.clock.now());
    await relay.send(1, { kind: 'op', number: 1, op: 'close' });
    await world.clock.advance(100);
    await relay.looked();
    assert.deepEqual(relay.events, ['added', 'closed']);
    world.clock.jump(7_200_000);
    await world.clock.advance(31_000);
    await relay.looked();
    assert.deepEqual(relay.events, ['added', 'closed', 'evicted']);
    assert.deepEqual(readdirSync(relay.output), []);
    relay.dispose();
  }),

  scenario(
    'a session that ended stays as long as somebody reads it, and as long as its host has it open again',
    async (world) => {
      const relay = await WorldRelay.receiving(world, { retainBytes: 1 });
      world.clock.jump(Date.now() - world.clock.now());
      const viewer = relay.viewer(0);
      await viewer.ask(1, connect());
      await viewer.ask(8);
      await viewer.ask(3, attach(1));
      await relay.send(1, { kind: 'op', number: 1, op: 'close' });
      await world.clock.advance(100);
      assert.deepEqual([relay.events, relay.links], [['added', 'closed'], []]);
      await world.clock.advance(31_000);
      await relay.looked();
      assert.ok(!relay.events.includes('evicted'), 'it is read');
      assert.equal(await relay.open(2), 'ok');
      viewer.gone();
      await world.clock.advance(31_000);
      await relay.looked();
      assert.ok(!relay.events.includes('evicted'), 'it is open');
      await world.clock.advance(31_000);
      await relay.looked();
      assert.ok(relay.events.includes('evicted'), 'nobody sent anything, and nobody reads');
      relay.dispose();
    },
  ),
];

const connect = (major = 2): Buffer => {
  const payload = Buffer.alloc(20);
  payload.writeUInt32BE(major, 8);
  return payload;
};

const attach = (seek: number, session = 1n): Buffer => {
  const payload = Buffer.alloc(20);
  payload.writeBigUInt64BE(session, 0);
  payload.writeUInt32BE(seek, 16);
  return payload;
};

const numbered = (session: bigint): Buffer => {
  const payload = Buffer.alloc(8);
  payload.writeBigUInt64BE(session, 0);
  return payload;
};

/** Each request that viewers make, with something in it. */
const REQUESTS: readonly (readonly [number, Buffer])[] = [
  [1, connect()],
  [2, Buffer.alloc(0)],
  [3, attach(1)],
  [4, Buffer.alloc(8)],
  [8, Buffer.alloc(0)],
  [9, Buffer.alloc(8)],
];

const VIEWERS: readonly Scenario[] = [
  receiving('a viewer greets, lists, attaches, reads, detaches and goes', async (relay) => {
    const viewer = relay.viewer(0);
    assert.equal((await viewer.ask(1, connect())).readUInt32BE(12), 4);
    assert.equal((await viewer.ask(3, attach(1))).readUInt32BE(0), 6, 'no viewer session was made');
    assert.equal((await viewer.ask(2)).readUInt32BE(0), 1);
    await viewer.ask(8);
    assert.equal((await viewer.ask(2)).length, 4 + 339);
    assert.equal((await viewer.ask(3, attach(3))).readUInt32BE(0), 5, 'no such position');
    assert.equal((await viewer.ask(3, attach(1, 77n))).readUInt32BE(0), 3, 'no such session');
    assert.equal((await viewer.ask(9, Buffer.alloc(8))).readUInt32BE(0), 2);
    assert.equal((await viewer.ask(3, attach(2))).readUInt32BE(0), 1);
    assert.equal((await viewer.ask(2)).readUInt32BE(4 + 12), 1, 'one watches');
    assert.equal((await viewer.ask(3, attach(2))).readUInt32BE(0), 2, 'it watches already');
    assert.equal((await viewer.ask(4, Buffer.alloc(8))).readUInt32BE(56), 4);
    assert.equal((await viewer.ask(9, numbered(77n))).readUInt32BE(0), 2, 'it does not watch that');
    assert.equal((await viewer.ask(2)).readUInt32BE(4 + 12), 1, 'it watches still');
    assert.equal((await viewer.ask(9, numbered(1n))).readUInt32BE(0), 1);
    assert.equal((await viewer.ask(4, Buffer.alloc(8))).readUInt32BE(56), 4, 'of what was detached nothing comes');
    assert.equal((await viewer.ask(8)).length, 4, 'it may begin anew');
    assert.equal(relay.viewers, 1);
    viewer.gone();
    assert.ok(viewer.closed);
    assert.equal(relay.viewers, 0);
  }),

  receiving('a viewer watches several sessions at once, and leaves them one by one', async (relay) => {
    const second = { link: '2'.repeat(32), uid: 3 };
    assert.equal(await relay.open(1, second), 'ok');
    await relay.send(1, { kind: 'metadata', path: 'ust/uid/7/64-bit', text: '/* CTF 1.8 */' }, second);
    const viewer = relay.viewer(0);
    await viewer.ask(1, connect());
    await viewer.ask(8);
    const listed = await viewer.ask(2);
    assert.equal(listed.readUInt32BE(0), 2);
    const [one, other] = [listed.readBigUInt64BE(4), listed.readBigUInt64BE(4 + 339)];
    for (const session of [one, other]) assert.equal((await viewer.ask(3, attach(2, session))).readUInt32BE(0), 1);
    assert.equal((await viewer.ask(3, attach(2, other))).readUInt32BE(0), 2, 'it watches already');
    assert.equal((await viewer.ask(9, numbered(one))).readUInt32BE(0), 1);
    assert.equal((await viewer.ask(7, numbered(one))).readUInt32BE(0), 3);
    assert.equal((await viewer.ask(7, numbered(other))).readUInt32BE(0), 2, 'nothing new of the one that it watches');
    assert.equal((await viewer.ask(9, numbered(other))).readUInt32BE(0), 1);
    assert.equal((await viewer.ask(9, numbered(other))).readUInt32BE(0), 2);
  }),

  receiving('only the owner, root and the user of the relay see a session', async (relay) => {
    for (const [uid, count] of [
      [7, 1],
      [8, 0],
      [0, 1],
      [null, 1],
    ] as const) {
      const viewer = relay.viewer(uid);
      await viewer.ask(1, connect());
      assert.equal((await viewer.ask(2)).readUInt32BE(0), count, `uid ${uid}`);
      await viewer.ask(8);
      assert.equal((await viewer.ask(3, attach(1))).readUInt32BE(0), count === 1 ? 1 : 3);
    }
  }),

  receiving('what is no request, out of turn, of another version, or never comes ends the connection', async (relay, world) => {
    for (const [command, payload] of REQUESTS.slice(1)) {
      const viewer = relay.viewer(0);
      await viewer.ask(command, payload);
      assert.ok(viewer.closed, `${command} as a greeting`);
    }
    const twice = relay.viewer(0);
    await twice.ask(1, connect());
    await twice.ask(1, connect());
    assert.ok(twice.closed);
    const early = relay.viewer(0);
    await early.ask(1, connect());
    assert.equal((await early.ask(8)).length, 4);
    assert.equal((await early.ask(8)).length, 4, 'another one takes nothing away');
    assert.ok((await early.ask(4, Buffer.alloc(8))).length > 0, 'what it detached from may have been asked for before');
    assert.ok(!early.closed);
    const [other, unknown, silent] = [relay.viewer(0), relay.viewer(0), relay.viewer(0)];
    await other.ask(1, connect(3));
    await unknown.ask(42);
    assert.ok(other.closed && unknown.closed && !silent.closed);
    await world.clock.advance(10_001);
    assert.ok(silent.closed);
  }),
];

export const RELAY_SCENARIOS: readonly Scenario[] = [...LINKS, ...RELAYS, ...VIEWERS];
