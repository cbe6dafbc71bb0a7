/** Links: from the spool to a relay and back as room, with everything that can happen to either end and what lies between. */
import assert from 'node:assert/strict';
import { deferred } from '../../../actors/deferred.ts';
import { FakeRelay } from '../../support/fake-relay.ts';
import { ackSubject, done, flush, idOf, inState, linked, numbersAt, openLink, relayOf, sent, stateOf } from './link-world.ts';
import { OUT, recording, type Scenario, scenario, session, took } from './scenario.ts';

const CARRYING: readonly Scenario[] = [
  scenario('a link carries what is recorded; drained and closed, nothing is left of the spool', async (world) => {
    const { program, relay } = await linked(world);
    const numbers = world.record(program, 3);
    await flush(world);
    await sent(world, relay, numbers);
    const status = await done(world, 'link-status', { session: idOf(world) });
    assert.deepEqual([status.state, status.relay, status.spoolBytes], ['open', 'relay1', 0]);
    const time = await took(world, async () => {
      const drained = await done(world, 'link-drain', { session: idOf(world), timeoutMs: 1_000 });
      assert.equal(drained.drained, true);
    });
    assert.ok(time < 1_000, `${time} ms`);
    assert.equal(relay.opens[0]?.subdir, 'below');
    await openLink(world); // again: nothing
    await done(world, 'link-close', { session: idOf(world), timeoutMs: 1_000 });
    assert.equal(relay.operations.at(-1)?.op, 'close');
    assert.deepEqual(world.files.numbers(OUT), []);
    assert.equal(stateOf(world), 'none');
    assert.equal((await done(world, 'link-status', { session: idOf(world) })).state, 'closed');
    assert.equal((await done(world, 'link-drain', { session: idOf(world), timeoutMs: 0 })).drained, true);
    await done(world, 'link-close', { session: idOf(world), timeoutMs: 0 });
  }),

  scenario('a link that is asked for before the consumer knows that it serves waits for the bus', async (world) => {
    world.faults.plan('consumer-bus.serve', { answerAfter: 2_500 });
    await session(world);
    const relay = await relayOf(world);
    const program = await world.program();
    await openLink(world);
    await world.ok('session.start', { session: 's' });
    const numbers = world.record(program, 2);
    await flush(world);
    await sent(world, relay, numbers);
  }),

  scenario('a session that was made under another name of the host goes over a link of the present one', async (world) => {
    const { program, relay } = await linked(world, { hostname: 'former' });
    const numbers = world.record(program, 2);
    await flush(world);
    await sent(world, relay, numbers);
    assert.equal(relay.opens[0]?.host, 'host');
  }),

  scenario('rotations and clearings go over the link as operations', async (world) => {
    const { program, relay } = await linked(world);
    world.record(program, 2);
    await flush(world);
    await world.ok('session.rotate', { session: 's' });
    const numbers = world.record(program, 2);
    await flush(world);
    await world.until('the chunk is moved', () => relay.operations.length === 1, 10_000);
    assert.equal(relay.operations[0]!.op, 'archive');
    await world.until('the relay has all', () => numbersAt(relay).length === 4, 10_000);
    await world.ok('session.clear', { session: 's' });
    await world.until('the chunk is empty', () => relay.operations.length === 2, 10_000);
    assert.equal(numbersAt(relay).length, 2);
    assert.ok(numbers.every((number) => !numbersAt(relay).includes(number)));
    assert.deepEqual(relay.complaints, []);
  }),

  scenario('a relay that was restarted and knows no such link is told of it anew at once', async (world) => {
    const { program, relay } = await linked(world);
    const before = world.record(program, 2);
    await flush(world);
    await sent(world, relay, before);
    relay.forget();
    const after = world.record(program, 2);
    await flush(world);
    const time = await took(world, () => world.until('opened anew', () => relay.opens.length === 2, 60_000));
    assert.ok(time < 1_000, `${time} ms`);
    await sent(world, relay, [...before, ...after]);
  }),

  scenario('what a relay can never take is said, once, and offered again ever more rarely until it is taken', async (world) => {
    const { program, relay } = await linked(world);
    relay.silent = true;
    const numbers = world.record(program, 2);
    await flush(world);
    await world.until('it is there', () => relay.streams.size > 0, 5_000);
    for (let n = 0; n < 2; n++) relay.refuse('Field `path` is wrong.');
    await world.rest();
    const { cause, state } = await done(world, 'link-status', { session: idOf(world) });
    assert.equal(state, 'refused');
    assert.match(String(cause), /^relay relay1 refuses what is sent: Field `path` is wrong\. .*stays in the spool/);
    for (const pause of [10_000, 20_000, 40_000]) {
      const opens = relay.opens.length;
      relay.forget(); // what comes is answered with the wish to open anew
      world.connectBus().publish(ackSubject(relay), { v: 1, reopen: true });
      const time = await took(world, () => world.until('opened anew', () => relay.opens.length > opens, 400_000));
      assert.equal(time, pause);
      await inState(world, /line:open/, 100);
      if (pause === 20_000) await inState(world, /line:stalled/);
      relay.refuse('Field `path` is wrong.');
      await inState(world, /line:refused/, 100);
    }
    assert.equal(world.published('link', 'refused').length, 1);
    relay.silent = false;
    relay.forget();
    await world.advance(80_000);
    await sent(world, relay, numbers);
    await world.rest();
    const healed = await done(world, 'link-status', { session: idOf(world) });
    assert.deepEqual([healed.cause, healed.state], [null, 'open']);
    relay.refuse('Field `path` is wrong.');
    const time = await took(world, () => inState(world, /line:open/));
    assert.equal(time, 10_000);
  }),

  scenario('a live link says, every period, until when nothing older will come', async (world) => {
    const { program, relay } = await linked(world, { liveTimerUs: 100_000 });
    world.record(program, 1);
    // Of each period one for the streams there are, and one for those to come.
    const clocks = (): readonly bigint[] => [...new Set(relay.beats.map(({ clock }) => clock as bigint))];
    await world.until('beats of two periods', () => clocks().length >= 2, 1_000);
    assert.equal(numbersAt(relay).length, 1);
    assert.ok(clocks()[1]! > clocks()[0]!);
  }),
];

const TROUBLE: readonly Scenario[] = [
  scenario('no relay: the link seeks one until there is one', async (world) => {
    const program = await recording(world);
    await openLink(world);
    await inState(world, /seeking:pausing/);
    const numbers = world.record(program, 2);
    await flush(world);
    const left = await done(world, 'link-drain', { session: idOf(world), timeoutMs: 2_000 });
    assert.equal(left.drained, false);
    const relay = await relayOf(world);
    await sent(world, relay, numbers);
  }),

  scenario('a relay whose disk is full is not asked first', async (world) => {
    const { program, relay } = await linked(world);
    const other = new FakeRelay('relay2');
    await other.start(world.connectBus());
    relay.full = true;
    relay.isAnyone = false;
    world.record(program, 2);
    await flush(world);
    await inState(world, /line:open:full/);
    await inState(world, /line:open:idle/);
    assert.equal((await done(world, 'link-status', { session: idOf(world) })).relay, 'relay2');
  }),

  scenario('an opening that comes true after another one has begun changes nothing', async (world) => {
    const program = await recording(world);
    const relay = await relayOf(world);
    const { bus } = world.consumers[0]!.parts.connection!;
    const { flush: plain } = bus;
    const late = deferred<void>();
    bus.flush = () => {
      bus.flush = plain;
      return late.promise;
    };
    await openLink(world);
    await inState(world, /line:open/);
    assert.equal(relay.opens.length, 2);
    const before = world.record(program, 2);
    await flush(world);
    await sent(world, relay, before);
    late.resolve();
    await world.rest();
    const after = world.record(program, 2);
    await flush(world);
    const time = await took(world, () => sent(world, relay, [...before, ...after]));
    assert.ok(time < 1_000, `${time} ms`);
    assert.equal(relay.opens.length, 2);
  }),

  scenario('a relay never comes: what was recorded stays in the spool, a spool without packets goes', async (world) => {
    await session(world);
    await openLink(world);
    assert.ok(world.files.spools.has(OUT));
    await done(world, 'link-close', { session: idOf(world), timeoutMs: 1_000 });
    assert.ok(!world.files.spools.has(OUT));
    const program = await world.program();
    await openLink(world);
    await world.ok('session.start', { session: 's' });
    const numbers = world.record(program, 2);
    await flush(world);
    const left = await done(world, 'link-close', { session: idOf(world), timeoutMs: 1_000 });
    assert.ok((left.spoolBytes as number) > 0);
    assert.deepEqual([world.files.spools.has(OUT), world.files.numbers(OUT)], [true, numbers]);
  }),

  scenario('the first word to a relay hangs, or the bus is cut meanwhile', async (world) => {
    await recording(world);
    const relay = await relayOf(world);
    world.faults.plan('consumer-bus.request', 'hang');
    const time = await took(world, async () => {
      await openLink(world);
      await inState(world, /seeking:pausing/);
    });
    assert.equal(time, 8_000);
    await inState(world, /line:open/);
    await done(world, 'link-close', { session: idOf(world), timeoutMs: 1_000 });
    relay.refusing = true;
    await openLink(world);
    await inState(world, /seeking:pausing/);
    relay.refusing = false;
    world.fabric.cut();
    world.fabric.restore();
    await inState(world, /line:open/, 100);
  }),

  scenario('a relay that falls silent: stalled after 3 s, and open again when it answers', async (world) => {
    const { program, relay } = await linked(world);
    await world.advance(1_000);
    relay.prompt = false;
    const numbers = world.record(program, 2);
    await flush(world);
    const time = await took(world, () => inState(world, /line:stalled:silent/));
    assert.equal(time, 3_000);
    assert.ok(world.published('link', 'stalled').length === 1);
    relay.prompt = true;
    relay.acknowledge();
    await inState(world, /line:open:idle/, 100);
    assert.ok(world.published('link', 'resumed').length === 1);
    await sent(world, relay, numbers);
    relay.prompt = false;
    relay.window = 300;
    numbers.push(...world.record(program, 3));
    await flush(world);
    await inState(world, /line:stalled:silent/);
    const { epoch, link } = relay.opens[0]!;
    const part = { v: 1, epoch, upTo: 0, durable: [], ops: 0 };
    world.connectBus().publish(`weft.v1.relay.relay1.ack.host.1000.1000.${String(link)}`, part);
    await inState(world, /line:open:waiting/, 100);
    relay.prompt = true;
    relay.acknowledge();
    await sent(world, relay, numbers);
  }),

  scenario('a relay that stays silent for 10 s: the link is opened anew with the next epoch', async (world) => {
    const { program, relay } = await linked(world);
    await world.advance(1_000);
    relay.silent = true;
    const numbers = world.record(program, 2);
    await flush(world);
    const time = await took(world, () => world.until('opened anew', () => relay.opens.length === 2, 60_000));
    assert.equal(time, 10_000);
    assert.ok((relay.opens[1]!.epoch as number) > (relay.opens[0]!.epoch as number));
    relay.silent = false;
    relay.acknowledge();
    await sent(world, relay, numbers);
  }),

  scenario('a slow relay that says what it has is not stalled', async (world) => {
    const { program, relay } = await linked(world);
    await world.advance(1_000);
    relay.prompt = false;
    const numbers = world.record(program, 4);
    await flush(world);
    const { epoch, link } = relay.opens[0]!;
    const part = { v: 1, epoch, upTo: 0, durable: [], ops: 0 };
    for (let time = 0; time < 4; time++) {
      await world.advance(2_000);
      world.connectBus().publish(`weft.v1.relay.relay1.ack.host.1000.1000.${String(link)}`, part);
      await world.rest();
      assert.match(stateOf(world), /line:open:waiting/);
    }
    relay.acknowledge();
    await sent(world, relay, numbers);
  }),

  scenario('cut for a minute: what was recorded meanwhile comes when the bus is back', async (world) => {
    const { program, relay } = await linked(world);
    const numbers = world.record(program, 2);
    world.fabric.cut();
    await inState(world, /line:stalled:cut/);
    world.consumers[0]!.readers[0]!.wake();
    await world.advance(60_000);
    world.fabric.restore();
    await sent(world, relay, numbers);
  }),

  scenario('silent first, then cut; and again while it is being opened anew', async (world) => {
    const { program, relay } = await linked(world);
    await world.advance(1_000);
    relay.silent = true;
    const numbers = world.record(program, 2);
    await flush(world);
    await inState(world, /stalled:silent/);
    world.fabric.cut();
    await inState(world, /stalled:cut/);
    relay.refusing = true;
    world.fabric.restore();
    await inState(world, /resuming:pausing/);
    const asked = relay.opens.length;
    world.fabric.cut();
    world.fabric.restore();
    await world.until('it asks at once', () => relay.opens.length > asked, 100);
    await inState(world, /resuming:pausing/);
    world.faults.plan('consumer-bus.request', 'hang');
    await inState(world, /resuming:asking/);
    await inState(world, /resuming:pausing/);
    relay.refusing = false;
    relay.silent = false;
    await inState(world, /line:open/);
    relay.acknowledge();
    await sent(world, relay, numbers);
  }),

  scenario('a full relay is given 10 s, and is used again when it has room', async (world) => {
    const { program, relay } = await linked(world);
    await world.advance(1_000);
    relay.full = true;
    const numbers = world.record(program, 1);
    await flush(world);
    await inState(world, /open:full/, 100);
    relay.acknowledge();
    await world.rest();
    assert.match(stateOf(world), /open:full/);
    relay.full = false;
    relay.acknowledge();
    await inState(world, /open:(waiting|idle)/, 100);
    assert.equal(world.published('link', 'freed').length, 1);
    relay.full = true;
    numbers.push(...world.record(program, 1));
    await flush(world);
    const time = await took(world, () => world.until('opened anew', () => relay.opens.length === 2, 60_000));
    assert.equal(time, 10_000);
    relay.full = false;
    relay.acknowledge();
    await sent(world, relay, numbers);
  }),

  scenario('a relay that wants again what is not here any more must say where it stands', async (world) => {
    const { program, relay } = await linked(world);
    const numbers = world.record(program, 1);
    await flush(world);
    await sent(world, relay, numbers);
    const { epoch, link } = relay.opens[0]!;
    const body = { v: 1, epoch, upTo: 1, durable: [], ops: 0, missing: 1 };
    world.connectBus().publish(`weft.v1.relay.relay1.ack.host.1000.1000.${String(link)}`, body);
    await world.until('opened anew', () => relay.opens.length === 2, 1_000);
    await inState(world, /line:open/, 100);
    assert.deepEqual(numbersAt(relay), numbers);
  }),

  scenario('a spool beyond its limit holds the readers; what is acknowledged lets them go on', async (world) => {
    const program = await recording(world);
    await openLink(world, { spoolLimit: 40 });
    const [reader] = world.consumers[0]!.readers;
    const numbers = world.record(program, 3);
    reader!.wake();
    await inState(world, /spool:full/);
    assert.equal(reader!.plan, 'hold');
    assert.ok(world.published('link', 'spool-full').length === 1);
    numbers.push(...world.record(program, 1));
    await flush(world); // who wants to read gets what the rings hold
    assert.equal(world.files.numbers(OUT).length, 4);
    assert.equal(reader!.plan, 'hold');
    const relay = await relayOf(world);
    await inState(world, /spool:roomy/);
    assert.equal(reader!.plan, 'append');
    await sent(world, relay, numbers);
  }),

  scenario('a session that is destroyed while its spool is full: what the rings hold is written out', async (world) => {
    const program = await recording(world);
    await openLink(world, { spoolLimit: 10 });
    const numbers = world.record(program, 2);
    world.consumers[0]!.readers[0]!.wake();
    await inState(world, /spool:full/);
    numbers.push(...world.record(program, 1));
    await done(world, 'detach', { session: idOf(world), order: 10 ** 12 });
    assert.deepEqual(world.files.numbers(OUT), numbers);
  }),

  scenario('the consumer is killed during a cut: the next one sends the rest, and nothing twice', async (world) => {
    const { program, relay } = await linked(world);
    const numbers = world.record(program, 2);
    await flush(world);
    await sent(world, relay, numbers);
    numbers.push(...world.record(program, 2));
    world.killConsumer();
    await world.until('another one runs', () => world.consumers[0]?.readers.length === 1, 30_000);
    await openLink(world);
    await flush(world);
    await sent(world, relay, numbers);
    assert.ok((relay.opens[1]!.epoch as number) > (relay.opens[0]!.epoch as number));
  }),
];

export const LINKS: readonly Scenario[] = [...CARRYING, ...TROUBLE];
