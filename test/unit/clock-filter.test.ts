/** The offset to the reference's clock: what is stated as uncertainty covers the truth, whatever network and clocks do. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { DaemonPorts } from '../../actors/ports.ts';
import { clockOf } from '../../actors/session-clock.ts';
import {
  addExchange,
  type ClockExchange,
  type ClockFilter,
  DRIFT_PER_NS,
  EMPTY_FILTER,
  estimateAt,
} from '../../machines/clock-filter.ts';
import { NO_FLEET_CLOCK } from '../../machines/clock-offset.ts';
import { type Claim, chooseReference } from '../../rules/clock-reference.ts';

const MS = 1_000_000;
const PERIOD_NS = 4_000 * MS;
const START_NS = 1_800_000_000_000_000_000n;

/** Two clocks and the way between them. Time of the world is our own monotonic time. */
interface World {
  readonly offsetNs: number;
  /** How much faster the reference runs. */
  readonly drift: number;
  readonly thereNs: number;
  readonly backNs: number;
  /** What queues add at most. */
  readonly jitterNs: number;
  /** By how much the reference was set; absent: it is an older host, which does not say so. */
  readonly setNs?: number;
  /** How long this host slept: its monotonic clock stood still. */
  readonly sleptNs?: number;
}

const referenceAt = (world: World, localNs: number): bigint =>
  START_NS + BigInt(Math.round(localNs + world.offsetNs + localNs * world.drift) + (world.setNs ?? 0) + (world.sleptNs ?? 0));

const exchangeAt = (world: World, atNs: number, [there = 0, back = 0]: readonly number[]): ClockExchange => {
  // Long queues are rare: the third power leaves most of them short.
  const heard = atNs + world.thereNs + world.jitterNs * there ** 3;
  const answered = heard + 20_000;
  const received = answered + world.backNs + world.jitterNs * back ** 3;
  return {
    askedNs: BigInt(Math.round(atNs)),
    heardNs: referenceAt(world, heard),
    answeredNs: referenceAt(world, answered),
    receivedNs: BigInt(Math.round(received)),
    ownNs: BigInt(world.sleptNs ?? 0),
    referenceNs: world.setNs === undefined ? null : BigInt(world.setNs),
  };
};

/** Rounding of the test's own times, and the reference's own drift while a message travels. */
const SLACK_NS = 2;

const covers = (filter: ClockFilter, world: World, localNs: number): boolean => {
  const estimate = estimateAt(filter, BigInt(Math.round(localNs)))!;
  const truth = Number(referenceAt(world, localNs) - BigInt(Math.round(localNs)) - estimate.offsetNs);
  return Math.abs(truth) <= estimate.uncertaintyNs + SLACK_NS;
};

const ways = fc.integer({ min: 1_000, max: 50 * MS });
const worlds = fc.record({
  offsetNs: fc.integer({ min: -5_000 * MS, max: 5_000 * MS }),
  drift: fc.double({ min: -DRIFT_PER_NS * 0.95, max: DRIFT_PER_NS * 0.95, noNaN: true }),
  thereNs: ways,
  backNs: ways,
  jitterNs: fc.integer({ min: 0, max: 200 * MS }),
});
const luck = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })), {
  minLength: 5,
  maxLength: 80,
});

const run = (world: World, lucks: readonly (readonly number[])[], filter = EMPTY_FILTER, fromNs = 0) =>
  lucks.reduce((now, one, n) => addExchange(now, exchangeAt(world, fromNs + n * PERIOD_NS, one)), filter);

describe('clock filter', () => {
  test('the stated uncertainty covers the truth in at least 99 % of all moments, for any offset, jitter and asymmetry', () => {
    let moments = 0;
    let covered = 0;
    fc.assert(
      fc.property(worlds, luck, (world, lucks) => {
        let filter = EMPTY_FILTER;
        for (const [n, one] of lucks.entries()) {
          filter = addExchange(filter, exchangeAt(world, n * PERIOD_NS, one));
          for (const later of [0.1, 0.5, 0.99]) {
            moments++;
            // An exchange takes its time: the moment is after it.
            if (covers(filter, world, n * PERIOD_NS + 600 * MS + later * (PERIOD_NS - 600 * MS))) covered++;
          }
        }
        assert.equal(filter.steps, 0, 'a clock that was not set is not said to be');
      }),
      { numRuns: 300 },
    );
    assert.ok(covered / moments >= 0.99, `${covered} of ${moments}`);
  });

  test('asymmetry shows in the uncertainty: the error is never hidden behind a long round trip', () => {
    const symmetric = run({ offsetNs: 0, drift: 0, thereNs: 100_000, backNs: 100_000, jitterNs: 0 }, [[0, 0]]);
    const skewed = run({ offsetNs: 0, drift: 0, thereNs: 100_000, backNs: 20 * MS, jitterNs: 0 }, [[0, 0]]);
    const [even, odd] = [symmetric, skewed].map((filter) => estimateAt(filter, filter.bounds[0]!.atNs)!);
    assert.ok(even!.uncertaintyNs < 101_000, String(even!.uncertaintyNs));
    assert.ok(odd!.uncertaintyNs > 10 * MS, String(odd!.uncertaintyNs));
  });

  test('the quickest of many exchanges counts, until drift has made a newer one better', () => {
    const world = { offsetNs: 5 * MS, drift: 0, thereNs: 50_000, backNs: 50_000, jitterNs: 100 * MS };
    const quick = run(world, [
      [1, 1],
      [0, 0],
      [1, 0.9],
      [0.8, 1],
    ]);
    const now = BigInt(4 * PERIOD_NS);
    assert.ok(estimateAt(quick, now)!.uncertaintyNs < 5 * MS);
    const old = estimateAt(quick, now + 3_600_000_000_000n)!;
    assert.ok(old.uncertaintyNs > 700 * MS, 'an hour without an answer is said');
  });

  test('a clock that is set is noticed with the next exchange, counted, and covered again at once', () => {
    fc.assert(
      fc.property(
        worlds,
        luck,
        fc.integer({ min: 1_000 * MS, max: 86_400_000 * MS }),
        fc.boolean(),
        (world, lucks, by, back) => {
          const before = run(world, lucks);
          const set = { ...world, offsetNs: world.offsetNs + (back ? -by : by) };
          const at = lucks.length * PERIOD_NS;
          const after = addExchange(before, exchangeAt(set, at, [0, 0]));
          assert.equal(after.steps, 1);
          assert.ok(covers(after, set, at + 600 * MS));
        },
      ),
      { numRuns: 200 },
    );
  });

  test('a clock that is set by less than the way is wide: no bound contradicts, and the truth is covered all the same', () => {
    const still = { offsetNs: 0, drift: 0, thereNs: 500_000, backNs: 500_000, jitterNs: 0, setNs: 0 };
    let filter = run(still, [[0, 0]]);
    const busy = { ...still, thereNs: 10 * MS, backNs: 10 * MS, setNs: 5 * MS };
    for (let n = 1; n < 10; n++) {
      filter = addExchange(filter, exchangeAt(busy, n * PERIOD_NS, [0, 0]));
      assert.ok(covers(filter, busy, n * PERIOD_NS + 600 * MS), `${n} answers after it`);
      assert.equal(filter.steps, 1);
    }
  });

  test('clocks that are set and hosts that sleep, by any time and on ways that change, are covered from the next answer on', () => {
    const by = fc.oneof(
      fc.constant(0),
      fc.integer({ min: -10_000, max: 10_000 }),
      fc.integer({ min: -50 * MS, max: 50 * MS }),
      fc.integer({ min: -5_000 * MS, max: 5_000 * MS }),
    );
    const change = fc.record({
      set: by,
      slept: by.map(Math.abs),
      way: ways,
      luck: fc.array(fc.double({ min: 0, max: 1, noNaN: true })),
    });
    fc.assert(
      fc.property(worlds, fc.array(change, { minLength: 2, maxLength: 40 }), (begun, changes) => {
        let world: World & { setNs: number; sleptNs: number } = { ...begun, setNs: 0, sleptNs: 0 };
        let filter = EMPTY_FILTER;
        let large = 0;
        for (const [n, { set, slept, way, luck: one }] of changes.entries()) {
          world = { ...world, setNs: world.setNs + set, sleptNs: world.sleptNs + slept, thereNs: way };
          filter = addExchange(filter, exchangeAt(world, n * PERIOD_NS, one));
          assert.ok(covers(filter, world, n * PERIOD_NS + 600 * MS), `after answer ${n}`);
          if (n > 0 && Math.abs(set) > MS) large++;
        }
        assert.ok(filter.steps >= large, `${large} times it was set, ${filter.steps} are counted`);
      }),
      { numRuns: 500 },
    );
  });

  test('times that no clocks can show change nothing', () => {
    const filter = run({ offsetNs: 0, drift: 0, thereNs: 1_000, backNs: 1_000, jitterNs: 0 }, [[0, 0]]);
    for (const bad of [
      { askedNs: 10n, heardNs: 5n, answeredNs: 5n, receivedNs: 9n },
      { askedNs: 0n, heardNs: 9n, answeredNs: 5n, receivedNs: 10n },
      { askedNs: 0n, heardNs: 0n, answeredNs: 50n, receivedNs: 10n },
    ])
      assert.equal(addExchange(filter, { ...bad, ownNs: 0n, referenceNs: null }), filter);
  });

  test('what is kept stays small', () => {
    const world = { offsetNs: 0, drift: 0, thereNs: 1_000, backNs: 1_000, jitterNs: 0 };
    // Each a little slower than the one before: none of them makes another one superfluous.
    const filter = Array.from({ length: 500 }).reduce<ClockFilter>(
      (now, _, n) => addExchange(now, exchangeAt({ ...world, thereNs: 1_000 + n * MS }, n * 1_000, [0, 0])),
      EMPTY_FILTER,
    );
    assert.ok(filter.bounds.length <= 64, String(filter.bounds.length));
  });
});

describe('the reference', () => {
  test('all hosts come to the same one, whatever they took for it before, and then stay with it', () => {
    const hosts = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), { minLength: 1 });
    fc.assert(
      fc.property(
        hosts,
        fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', null), { minLength: 6, maxLength: 6 }),
        (names, before) => {
          let claims: Claim[] = names.map((host, n) => ({ host, reference: before[n]! }));
          // Each round every host hears every heartbeat.
          for (let round = 0; round < 3; round++)
            claims = claims.map(({ host }) => ({ host, reference: chooseReference(claims) }));
          const [first] = claims;
          assert.ok(
            claims.every(({ reference }) => reference === first!.reference && (names as string[]).includes(reference!)),
          );
          const newcomer = { host: '0', reference: null };
          assert.equal(chooseReference([newcomer, ...claims]), first!.reference, 'a newcomer takes nothing over');
        },
      ),
    );
    assert.equal(chooseReference([]), null);
  });

  test('a session’s clock has the fleet’s only when it is measured', () => {
    const ports = { host: { bootId: 'b', clockOffsetNs: () => 5n, monotonicNs: () => 7n } } as unknown as DaemonPorts;
    assert.deepEqual(clockOf({ ports, fleetClock: () => NO_FLEET_CLOCK }), { uuid: 'b', offsetNs: '5', atNs: '7' });
    const measured = { reference: 'db-1', offsetNs: -3, uncertaintyNs: 1.5 };
    const fleet = { reference: 'db-1', offsetNs: '-3', uncertaintyNs: '2' };
    assert.deepEqual(clockOf({ ports, fleetClock: () => measured }), { uuid: 'b', offsetNs: '5', atNs: '7', fleet });
  });
});
