/** Watching a session: rounds while the lease runs, no more events than asked for, nothing without a lease. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamEntry } from '../../actors/consumer-streams.ts';
import type { TailNews } from '../../actors/followed-trace.ts';
import { LiveWatches } from '../../actors/live-watch.ts';
import { merged } from '../../cli/fleet-run.ts';
import { LiveLines } from '../../cli/view/live.ts';
import { UnknownOnce } from '../../cli/view/unknown-fields.ts';
import { parseTsdl } from '../../ctf/tsdl.ts';
import type { TraceMetadata } from '../../ctf/tsdl-types.ts';
import type { Body, Bus } from '../../transport/bus.ts';

const record = (name: string, ns: bigint) => ({ ns, name, text: `host ${name}: { a = 1 }`, json: '{"a":1}' });

const world = () => {
  let now = 0;
  let layouts: TraceMetadata | null = null;
  let failing = false;
  const timers: (() => void)[] = [];
  const published: { subject: string; body: Body }[] = [];
  const asked: { limit: number; begins: boolean }[] = [];
  let next: TailNews = { records: [], leftOut: 0, packetsLeftOut: 0, faults: [] };
  const watches = new LiveWatches({
    clock: { now: () => now, setTimeout: (task) => timers.push(task), clearTimeout: () => {} },
    log: { info: () => {}, warn: () => {}, error: () => {} } as never,
    owner: '1000',
    place: () => ({ host: 'h', uid: 1000 }),
    bus: () => ({ publish: (subject: string, body: Body) => published.push({ subject, body }) > 0 }) as unknown as Bus,
    entries: () => [{ directory: '/t' } as StreamEntry],
    flush: async () => {
      throw new Error('a rotation is under way');
    },
    follow: () => ({
      read: async (limit, begins) => {
        if (failing) throw new Error('too many open files');
        asked.push({ limit, begins });
        return next;
      },
      layouts: () => layouts,
    }),
  });
  const round = async (ms: number, news: Partial<TailNews> = {}): Promise<void> => {
    now += ms;
    next = { records: [], leftOut: 0, packetsLeftOut: 0, faults: [], ...news };
    timers.shift()?.();
    for (let i = 0; i < 10; i++) await null;
    await new Promise((done) => setImmediate(done));
  };
  const describe = (metadata: TraceMetadata): void => {
    layouts = metadata;
  };
  const fail = (now: boolean): void => {
    failing = now;
  };
  return { watches, timers, published, asked, round, describe, fail };
};

test('what was there before is passed over; then events go out in order, one message for each run of a name', async () => {
  const { watches, published, asked, round } = world();
  await watches.watch({ session: 'id', name: 'my session', leaseMs: 1000, perSecond: 100 });
  assert.deepEqual([asked, published], [[{ limit: 0, begins: true }], []]);
  await round(3, { records: [record('p:a', 1n), record('p:a', 2n), record('p:b', 3n)] });
  assert.deepEqual(
    published.map(({ subject, body }) => [subject, body.n, (body.events as unknown[]).length]),
    [
      ['weft.v1.h.1000.live.1000.my=20session.p=3Aa', 1, 2],
      ['weft.v1.h.1000.live.1000.my=20session.p=3Ab', 2, 1],
    ],
  );
});

test('no more than the rate goes out, and what is left out is told', async () => {
  const { watches, published, asked, round } = world();
  await watches.watch({ session: 'id', name: 's', leaseMs: 10_000, perSecond: 100 });
  await round(3, { records: Array.from({ length: 100 }, (_, i) => record('p:a', BigInt(i))), leftOut: 5 });
  await round(10);
  await round(1000);
  assert.deepEqual(
    asked.map(({ limit }) => limit),
    [0, 100, 1, 100],
  );
  assert.equal(published.at(-1)?.body.leftOut, 5);
});

const linesOf = (bodies: readonly Body[]): LiveLines => {
  const lines = new LiveLines({ json: false, colour: false, gmt: true, date: true, delta: true });
  for (const body of bodies) lines.take(body);
  return lines;
};

test('what is left out at the end of a burst is told, though no event follows', async () => {
  const { watches, published, round } = world();
  await watches.watch({ session: 'id', name: 's', leaseMs: 2_000, perSecond: 100 });
  await round(3, { records: [record('p:a', 1n)], leftOut: 100 });
  await round(3, { leftOut: 900, packetsLeftOut: 2 });
  assert.equal(published.length, 1, 'an event may tell it yet');
  await round(500);
  await round(500);
  assert.deepEqual(
    published.slice(1).map(({ subject, body }) => [subject, body.n, body.events, body.leftOut, body.packetsLeftOut]),
    [['weft.v1.h.1000.live.1000.s.=', 2, [], 1000, 2]],
  );
  await round(600, { leftOut: 7 });
  await round(390, { leftOut: 1 });
  await round(100);
  assert.deepEqual(linesOf(published.map(({ body }) => body)).notes(), [
    '1008 events left out: more than --rate lets through',
    '2 packets left out: the decoder was too far behind',
  ]);
});

test('whoever joins counts from there, and misses nothing that is left out in the next round', async () => {
  const { watches, published, round } = world();
  const wanted = { session: 'id', name: 's', leaseMs: 10_000, perSecond: 100 };
  await watches.watch(wanted);
  await round(3, { records: [record('p:a', 1n)], leftOut: 5 });
  const before = published.length;
  await watches.watch(wanted);
  await round(3, { records: [record('p:a', 2n)], leftOut: 40 });
  assert.deepEqual(linesOf(published.slice(before).map(({ body }) => body)).notes(), [
    '40 events left out: more than --rate lets through',
  ]);
});

test('a watch that failed and began anew passed over what came meanwhile: that is told', async () => {
  const { watches, published, round, fail } = world();
  const wanted = { session: 'id', name: 's', leaseMs: 10_000, perSecond: 100 };
  await watches.watch(wanted);
  await round(3, { records: [record('p:a', 1n)] });
  fail(true);
  await round(3);
  fail(false);
  await watches.watch(wanted);
  await round(3, { records: [record('p:a', 9n)], leftOut: 4 });
  assert.deepEqual(linesOf(published.map(({ body }) => body)).notes(), [
    '4 events left out: more than --rate lets through',
    'the watch began anew: what was recorded meanwhile is not shown',
  ]);
});

test('without a renewed lease it ends; a renewed one goes on, and asks for the first files once', async () => {
  const { watches, timers, asked, round } = world();
  await watches.watch({ session: 'id', name: 's', leaseMs: 100, perSecond: 100 });
  await round(90);
  await watches.watch({ session: 'id', name: 's', leaseMs: 100, perSecond: 100 });
  await round(90);
  assert.equal(timers.length, 1);
  await round(11);
  assert.deepEqual([timers.length, asked.length, asked.filter(({ begins }) => begins).length], [0, 3, 1]);
});

const METADATA = (fields: string): TraceMetadata =>
  parseTsdl(`/* CTF 1.8 */
typealias integer { size = 8; align = 8; signed = false; } := uint8_t;
trace { major = 1; minor = 8; byte_order = le; packet.header := struct { uint8_t x; }; };
stream { id = 0; event.header := struct { uint8_t id; }; };
event { name = "a"; id = 3; stream_id = 0; fields := struct { ${fields} }; };`);

test('a filter on what no event has is answered so as soon as events are known, and is right as soon as one has it', async () => {
  const { watches, round, describe } = world();
  const wanted = { session: 'id', name: 's', leaseMs: 10_000, perSecond: 100, filter: 'amont > 3 && colour == 1' };
  assert.equal(await watches.watch(wanted), null, 'events may come yet');
  describe(METADATA('uint8_t _amount; uint8_t _colour;'));
  await round(3);
  assert.deepEqual(await watches.watch(wanted), [{ kind: 'field', name: 'amont', near: ['amount', 'colour'], more: 0 }]);
  assert.equal(await watches.watch({ ...wanted, filter: null }), null);
  describe(METADATA('uint8_t _amont; uint8_t _colour;'));
  await round(3);
  assert.deepEqual(await watches.watch(wanted), []);
});

test('whoever watches is told each unknown name once; of a fleet only what no host knows', () => {
  const field = (name: string) => ({ kind: 'field' as const, name, near: ['amount'], more: 2 });
  const told = new UnknownOnce();
  assert.deepEqual(told.take([field('amont')]), [
    'Warning: no event of the session until now has field amont; nearest of its fields: amount, and 2 more',
  ]);
  assert.deepEqual(told.take([field('amont')]), []);
  assert.equal(told.take([field('amont'), field('prize')]).length, 1);
  const hosts = [{ unknown: [field('a'), field('b')] }, { unknown: null }, { unknown: [field('b')] }];
  assert.deepEqual(merged(hosts), { unknown: [field('b')] });
});

test('lines have the time and what passed since the last; what did not come is a note', () => {
  const lines = new LiveLines({ json: false, colour: false, gmt: true, date: true, delta: true });
  const body = (n: number, ns: bigint, leftOut = 0): Body => ({
    n,
    leftOut,
    packetsLeftOut: 0,
    events: [{ ns, text: 'host p:a: { }', json: '{}' }],
  });
  assert.deepEqual(lines.take(body(7, 1_000_000_001n, 3)), ['[1970-01-01 00:00:01.000000001] (+?.?????????) host p:a: { }']);
  assert.deepEqual(lines.notes(), []);
  assert.deepEqual(lines.take(body(9, 3_000_000_000n, 8)), ['[1970-01-01 00:00:03.000000000] (+1.999999999) host p:a: { }']);
  lines.take(body(10, 3_000_000_000n, 9));
  assert.deepEqual(lines.notes(), ['6 events left out: more than --rate lets through', '1 messages lost on the bus']);
  assert.deepEqual(lines.notes(), []);
});
