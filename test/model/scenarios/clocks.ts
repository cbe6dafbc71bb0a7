/** Clocks of a fleet: a host follows another one's, both may be set, the reference may change, be silent or lie. */
import assert from 'node:assert/strict';
import { createActor } from 'xstate';
import { type ClockOffsetParts, clockEndpoint, provideClockOffset } from '../../../actors/clock-offset.ts';
import { clockView } from '../../../machines/clock-offset.ts';
import type { Endpoint } from '../../../transport/bus.ts';
import { failed, succeeded } from '../../../transport/errors.ts';
import { clockSubject } from '../../../transport/subjects.ts';
import type { World } from '../../support/world/world.ts';
import { type Scenario, scenario } from './scenario.ts';

const SECOND_NS = 1_000_000_000n;

/** A host of the fleet: its own clocks, and what it says when asked for its time. */
class ClockHost {
  realOffsetNs: bigint;
  /** How long its monotonic clock stood still. */
  sleptNs = 0n;
  readonly marks: string[] = [];
  readonly #world: World;
  readonly parts: ClockOffsetParts;
  handle: Endpoint['handle'];

  constructor(world: World, name: string, realOffsetNs: bigint) {
    this.#world = world;
    this.realOffsetNs = realOffsetNs;
    this.parts = {
      bus: world.connectBus(),
      place: { host: name, uid: 0 },
      host: {
        monotonicNs: () => BigInt(world.clock.now()) * 1_000_000n - this.sleptNs,
        clockOffsetNs: () => this.realOffsetNs,
      },
      ids: { hex: (bytes) => world.hex(bytes) },
      log: world.logOf(name),
      publish: (what) => void this.marks.push(what),
    };
    this.handle = clockEndpoint(this.parts).handle;
  }

  async serve(): Promise<void> {
    const endpoint: Endpoint = { ...clockEndpoint(this.parts), handle: (message) => this.handle(message) };
    await this.parts.bus.serve({ name: 'clock', version: '1.0.0', description: 'clock' }, [endpoint]);
  }

  follow() {
    const input = { host: this.parts.place.host };
    const actor = createActor(provideClockOffset(this.parts), {
      input,
      clock: this.#world.clock as never,
      inspect: (event) => this.#world.inspect(event),
    });
    actor.subscribe({ error: (thrown) => this.#world.crashed(input.host, thrown) });
    actor.start();
    const view = () => {
      const { monotonicNs } = this.parts.host;
      return clockView(actor.getSnapshot().context, { monotonicNs: monotonicNs(), realOffsetNs: this.realOffsetNs });
    };
    return { actor, view, choose: (reference: string | null) => actor.send({ type: 'ReferenceChanged', reference }) };
  }
}

const unanswered = (world: World): number => world.logs.filter((line) => line.includes('clock: unanswered')).length;

const following = (
  name: string,
  tell: (world: World, web: ClockHost, db: ClockHost, follower: ReturnType<ClockHost['follow']>) => Promise<void>,
): Scenario =>
  scenario(name, async (world) => {
    const db = new ClockHost(world, 'db-1', 100n * SECOND_NS);
    const web = new ClockHost(world, 'web-1', 97n * SECOND_NS);
    await db.serve();
    const follower = web.follow();
    try {
      await tell(world, web, db, follower);
    } finally {
      follower.actor.stop();
    }
  });

export const CLOCKS: readonly Scenario[] = [
  following('a host measures how far its clock is from the reference’s', async (world, web, _db, { view, choose }) => {
    await world.clock.advance(10_000);
    assert.deepEqual(view(), { reference: null, offsetNs: 0, uncertaintyNs: null });
    assert.equal(unanswered(world), 0, 'nobody is asked while nobody is known');
    choose('db-1');
    await world.clock.advance(1_000);
    assert.equal(view().offsetNs, Number(3n * SECOND_NS));
    assert.ok(view().uncertaintyNs! < 1_000_000);
    await world.clock.advance(20_000);
    choose('db-1');
    assert.deepEqual(web.marks, ['reference-changed'], 'the same one again is no change');
  }),

  following('clocks that are set are marked, and measured anew', async (world, web, db, { view, choose }) => {
    choose('db-1');
    await world.clock.advance(9_000);
    db.realOffsetNs += 5n * SECOND_NS;
    await world.clock.advance(9_000);
    assert.equal(view().offsetNs, Number(8n * SECOND_NS));
    web.realOffsetNs += 8n * SECOND_NS;
    await world.clock.advance(9_000);
    assert.equal(view().offsetNs, 0);
    assert.deepEqual(web.marks, ['reference-changed', 'reference-stepped', 'clock-set']);
  }),

  following(
    'a reference that is set by less than its answers take is marked and measured anew',
    async (world, web, db, follower) => {
      follower.choose('db-1');
      await world.clock.advance(1_000);
      assert.ok(follower.view().uncertaintyNs! < 1_000_000);
      const quick = db.handle;
      const pause = () => new Promise((resolve) => world.clock.setTimeout(() => resolve(null), 10));
      db.handle = async (message) => {
        await pause();
        const answer = await quick(message);
        await pause();
        return answer;
      };
      db.realOffsetNs += 5_000_000n;
      for (let seconds = 5; seconds < 30; seconds += 5) {
        await world.clock.advance(5_000);
        const { offsetNs, uncertaintyNs } = follower.view();
        const wrongNs = Math.abs(offsetNs - Number(db.realOffsetNs - web.realOffsetNs));
        assert.ok(wrongNs <= uncertaintyNs!, `${wrongNs} ns beside ± ${uncertaintyNs} after ${seconds} s`);
      }
      assert.deepEqual(web.marks, ['reference-changed', 'reference-stepped']);
    },
  ),

  following('a host that slept, which shows as a clock that was set, measures anew', async (world, web, _db, follower) => {
    follower.choose('db-1');
    await world.clock.advance(9_000);
    assert.ok(follower.actor.getSnapshot().context.filter.bounds.length > 0);
    web.sleptNs = 2_000_000n;
    web.realOffsetNs += web.sleptNs;
    await world.clock.advance(4_000);
    const { bounds, steps } = follower.actor.getSnapshot().context.filter;
    assert.deepEqual([bounds.length, steps], [1, 0]);
    assert.equal(follower.view().offsetNs, Number(3n * SECOND_NS));
    assert.deepEqual(web.marks, ['reference-changed', 'clock-set']);
  }),

  following(
    'an older reference does not say whether it was set: large steps are seen all the same',
    async (world, web, db, follower) => {
      const newer = db.handle;
      db.handle = async (message) => {
        const answer = await newer(message);
        if (!answer?.ok) return answer;
        const { heardNs, answeredNs } = answer.body;
        return succeeded({ heardNs, answeredNs });
      };
      follower.choose('db-1');
      await world.clock.advance(9_000);
      db.realOffsetNs += 5n * SECOND_NS;
      await world.clock.advance(9_000);
      assert.equal(follower.view().offsetNs, Number(8n * SECOND_NS));
      assert.deepEqual(web.marks, ['reference-changed', 'reference-stepped']);
    },
  ),

  following('a flood of questions is answered in part, and who asks later is answered again', async (world, web, db) => {
    const subject = clockSubject({ uid: 0, host: 'db-1' });
    const flood = (count: number) =>
      Promise.all(Array.from({ length: count }, () => db.handle({ subject, body: { v: 1, id: 'x' } })));
    const answered = (await flood(5_000)).filter((answer) => answer !== null).length;
    assert.equal(answered, 1_000);
    const refused = web.parts.bus.request(subject, { v: 1, id: 'y' }, 2_500);
    await world.clock.advance(3_000);
    assert.equal((await refused).ok, false);
    assert.equal((await web.parts.bus.request(subject, { v: 1, id: 'z' }, 2_500)).ok, true);
  }),

  following(
    'a host that becomes the reference has no offset; its successor is measured from nothing',
    async (world, web, db, follower) => {
      follower.choose('db-1');
      await world.clock.advance(5_000);
      follower.choose('web-1');
      await world.clock.advance(9_000);
      assert.deepEqual(follower.view(), { reference: 'web-1', offsetNs: 0, uncertaintyNs: 0 });
      assert.equal(unanswered(world), 0, 'it does not ask itself');
      db.realOffsetNs += 50n * SECOND_NS;
      follower.choose('db-1');
      assert.equal(follower.view().uncertaintyNs, null);
      await world.clock.advance(5_000);
      assert.equal(follower.view().offsetNs, Number(53n * SECOND_NS));
      assert.deepEqual(web.marks, ['reference-changed', 'reference-changed', 'reference-changed'], 'none of this was a step');
    },
  ),

  following(
    'a reference that is silent, refuses or lies makes the uncertainty grow, and nothing else',
    async (world, web, db, { view, choose }) => {
      choose('db-1');
      await world.clock.advance(1_000);
      const before = view();
      const answers = [
        () => new Promise<never>(() => {}),
        () => Promise.resolve(failed('stale', { id: 'x' })),
        () => Promise.resolve(succeeded({ heardNs: 'noon', answeredNs: 1 })),
        () => Promise.resolve(succeeded({ heardNs: 9n, answeredNs: 5n })),
      ];
      for (const handle of answers) {
        db.handle = handle;
        await world.clock.advance(10_000);
      }
      const after = view();
      assert.equal(after.offsetNs, before.offsetNs);
      assert.ok(after.uncertaintyNs! > before.uncertaintyNs!);
      assert.deepEqual(web.marks, ['reference-changed']);
    },
  ),

  following('asking takes longer than anybody waits', async (world, web, _db, { choose, view }) => {
    let asked = 0;
    web.parts.bus.request = () => {
      asked++;
      return new Promise<never>(() => {});
    };
    choose('db-1');
    await world.clock.advance(12_000);
    assert.equal(asked, 2, 'it asks again');
    assert.deepEqual(view(), { reference: 'db-1', offsetNs: 0, uncertaintyNs: null });
  }),
];
