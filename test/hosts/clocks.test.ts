/**
 * Clocks of a fleet against the truth: four hosts whose real and monotonic clocks are wrong by known amounts, three of them on ways with
 * delay, jitter and asymmetry. Daemons and buses are real; loopback's queues (netem) are not used, since not every kernel has them:
 * proxies delay what goes there and what comes back. Daemons listen for 17 s before they choose a reference; meanwhile the same actor
 * asks the reference's daemon as fast as it answers.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ActorRefFrom, createActor } from 'xstate';
import { provideClockOffset } from '../../actors/clock-offset.ts';
import { realIds } from '../../actors/host-ports.ts';
import { type ClockView, type clockOffsetMachine, clockView } from '../../machines/clock-offset.ts';
import { loadNative } from '../../native/addon/index.ts';
import { callSubject } from '../../transport/subjects.ts';
import { until } from '../support/fleet-server.ts';
import { type ClockedHost, ClockFleet, noClocks } from '../support/host-clocks.ts';
import type { Way } from '../support/uneven-way.ts';

const SECOND_NS = 1_000_000_000n;
const MS = 1e6;
const LEAST_MS = 1;
const JITTER_MS = 2;
const ASYMMETRIES_MS = [0, 2, 8] as const;
const SAMPLES = 300;
/** So many exchanges, then all is measured anew. */
const WINDOW = 10;
const SURE = 0.99;
/** true_time reads the clock, then records; and clocks have ticks. */
const READING_NS = 150_000;

const delay = (least: number) => ({ least, most: least + JITTER_MS });
const way = (there: number, back: number): Way => ({ there: delay(LEAST_MS + there), back: delay(LEAST_MS + back) });
const leastTripNs = ({ there, back }: Way): number => (there.least + back.least) * MS;

/** The reference is the first by name. */
const REFERENCE: ClockedHost = { name: 'a', monotonicS: 1_000, realNs: 3n * SECOND_NS, way: null };
const ASKING: readonly (ClockedHost & { readonly way: Way })[] = [
  { name: 'even', monotonicS: 50_000, realNs: -2n * SECOND_NS, way: way(0, 0) },
  { name: 'back', monotonicS: 7, realNs: 40_000_000n, way: way(0, 2) },
  { name: 'there', monotonicS: 0, realNs: 0n, way: way(8, 0) },
];
const HOSTS = [REFERENCE, ...ASKING];

interface Sample {
  readonly view: ClockView;
  readonly wrongNs: number;
}

const covered = (samples: readonly Sample[]): number =>
  samples.filter(({ view, wrongNs }) => wrongNs <= (view.uncertaintyNs ?? 0)).length / samples.length;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Recorded {
  readonly host: number;
  /** Of the merged trace, ns since 1970. */
  readonly atNs: bigint;
  /** CLOCK_BOOTTIME. */
  readonly trueNs: bigint;
}

/** In the order in which babeltrace2 merges them; what is followed by a 0 of its host says nothing. */
const merged = (directories: readonly string[]): Recorded[] => {
  const ran = spawnSync('babeltrace2', ['--clock-seconds', ...directories], { encoding: 'utf8', maxBuffer: 1 << 28 });
  assert.equal(ran.status, 0, ran.stderr);
  const sure: Recorded[] = [];
  for (const [, seconds, ns, host, number] of ran.stdout.matchAll(/^\[(\d+)\.(\d{9})\].* thread = (\d+), number = (\d+)/gm)) {
    const record = { host: Number(host), atNs: BigInt(seconds!) * SECOND_NS + BigInt(ns!), trueNs: BigInt(number!) };
    if (record.trueNs !== 0n) sure.push(record);
    else
      sure.splice(
        sure.findLastIndex((one) => one.host === record.host),
        1,
      );
  }
  return sure;
};

/** What the trace itself says. */
const statedNs = (directory: string): { offsetNs: number; uncertaintyNs: number } => {
  const name = readdirSync(directory, { recursive: true, encoding: 'utf8' }).find((one) => one.endsWith('metadata'))!;
  const text = readFileSync(join(directory, name), 'latin1');
  const value = (key: string): number => Number(new RegExp(`${key} = (-?\\d+);`).exec(text)?.[1]);
  assert.match(text, /weft_clock_reference = "a";/);
  return { offsetNs: value('weft_clock_offset_ns'), uncertaintyNs: value('weft_clock_uncertainty_ns') };
};

describe('clocks of a fleet', { timeout: 300_000, skip: noClocks() }, () => {
  const native = loadNative();
  const host = { clockOffsetNs: () => native.clockOffset(), monotonicNs: () => process.hrtime.bigint() };
  const uid = process.getuid!();
  const actors: ActorRefFrom<typeof clockOffsetMachine>[] = [];
  let clocked: ClockFleet;
  before(async () => {
    clocked = await ClockFleet.start();
    await clocked.addHosts(HOSTS);
  });
  after(async () => {
    for (const actor of actors) actor.stop();
    await clocked.dispose();
  });

  const log = (name: string) => readFileSync(join(clocked.fleet.at(name).home, 'state/log/sessiond.log'), 'utf8');

  /** The daemon's own actor on a bus of the test, in a hurry. */
  const asker = async (name: string, over: Way) => {
    const bus = await clocked.join(name, over);
    const marks: string[] = [];
    const parts = { bus, host, ids: realIds, publish: (what: string) => void marks.push(what) };
    const silent = { debug() {}, info() {}, warn() {}, error() {} };
    const machine = provideClockOffset({ ...parts, place: { host: name, uid }, log: silent });
    const hurried = machine.provide({ delays: { askPeriod: 1 } });
    const begin = () => {
      const actor = createActor(hurried, { input: { host: name } }).start();
      actors.push(actor);
      return actor;
    };
    return { bus, marks, begin };
  };

  const sampleOf = (actor: ActorRefFrom<typeof clockOffsetMachine>): Sample => {
    const now = { monotonicNs: host.monotonicNs(), realOffsetNs: host.clockOffsetNs() };
    const view = clockView(actor.getSnapshot().context, now);
    // The test's own clock is right.
    return { view, wrongNs: Math.abs(view.offsetNs - Number(clocked.realNs(REFERENCE.name))) };
  };

  /** A window's samples, one after each exchange. */
  const sampled = async (begin: () => ActorRefFrom<typeof clockOffsetMachine>): Promise<Sample[]> => {
    const samples: Sample[] = [];
    const actor = begin();
    await new Promise<void>((enough) => {
      let last = actor.getSnapshot().context.filter;
      actor.subscribe(({ context: { filter } }) => {
        if (filter === last || filter.bounds.length === 0) return;
        last = filter;
        samples.push(sampleOf(actor));
        if (samples.length === WINDOW) enough();
      });
      actor.send({ type: 'ReferenceChanged', reference: REFERENCE.name });
    });
    actor.stop();
    return samples;
  };

  test('the truth lies within the stated uncertainty, which grows with the asymmetry of the way', async () => {
    const measured = ASYMMETRIES_MS.map(async (asymmetry) => {
      const over = way(asymmetry, 0);
      const { begin } = await asker(`asks-${asymmetry}`, over);
      const samples: Sample[] = [];
      while (samples.length < SAMPLES) samples.push(...(await sampled(begin)));
      assert.ok(covered(samples) >= SURE, `${asymmetry} ms: ${covered(samples)} of ${samples.length} samples`);
      // Half of what the way costs without the asymmetry, and half the asymmetry.
      const least = Math.min(...samples.map(({ view }) => view.uncertaintyNs!));
      assert.ok(least >= leastTripNs(over) / 2, `${asymmetry} ms: ± ${least} ns`);
      return least;
    });
    const [even, , much] = await Promise.all(measured);
    // 4 ms, less what a busy machine's own delays may differ by.
    assert.ok(much! - even! >= 2 * MS, `${even} to ${much}`);
  });

  test('weft hosts says an offset and an uncertainty for each host, and the truth lies within', async () => {
    await until(() => HOSTS.every(({ name }) => log(name).includes('clock: reference-changed')), 'all know');
    const { bus } = await asker('calls', way(0, 0));
    const seen = () =>
      clocked.fleet.at('even').json<{ hosts: { host: string; lastBeatMs: number; clock: ClockView }[] }>('hosts').hosts;
    const samples: Sample[] = [];
    const began = Date.now();
    for (let rounds = 0; rounds < 8; ) {
      // Whoever is called beats at once.
      await bus.publish(callSubject({ host: REFERENCE.name, uid }), { v: 1 });
      await pause(100);
      const hosts = seen();
      const ready = hosts.length === HOSTS.length && hosts.every(({ clock }) => clock.uncertaintyNs !== null);
      assert.ok(ready || Date.now() < began + 20_000, JSON.stringify(hosts));
      if (!ready) continue;
      rounds++;
      for (const { host: name, clock } of hosts) {
        assert.equal(clock.reference, REFERENCE.name);
        samples.push({ view: clock, wrongNs: Math.abs(clock.offsetNs - clocked.truth(REFERENCE.name, name)) });
      }
      for (const { name, way: over } of ASKING) {
        const stated = hosts.find((one) => one.host === name)!.clock.uncertaintyNs!;
        assert.ok(stated >= leastTripNs(over) / 2, `${name}: ± ${stated} ns`);
        assert.ok(stated < 100 * MS, `${name}: ± ${stated} ns`);
      }
    }
    assert.ok(covered(samples) >= SURE, JSON.stringify(samples.filter((one) => covered([one]) === 0)));
    assert.match(clocked.fleet.at('even').ok('hosts'), /^there .* -?\d+\.\d ± \d+\.\d µs/m);
  });

  test('traces of all hosts are one: what happened further apart than the uncertainty is in true order', async () => {
    const names = HOSTS.map(({ name }) => name);
    const onAll = (...words: string[]) => clocked.fleet.at(REFERENCE.name).ok('--on', '*', ...words);
    onAll('create', 'clocks');
    onAll('enable-event', '-u', '-s', 'clocks', 'weft_test:*');
    onAll('start', 'clocks');
    const realNs = await clocked.recordTruth(names, 300, 2 * MS);
    onAll('destroy', 'clocks');
    const directories = names.map((name) => join(clocked.fleet.at(name).home, 'weft-traces'));
    const stated = directories.map(statedNs);
    const events = merged(directories);
    assert.ok(events.length > 600, `${events.length} events`);

    const outside = events.filter(({ host: at, atNs, trueNs }) => {
      const truth = trueNs + realNs + clocked.realNs(REFERENCE.name);
      return Math.abs(Number(atNs - truth)) > stated[at]!.uncertaintyNs + READING_NS;
    });
    assert.ok(outside.length <= events.length * (1 - SURE), `${outside.length} of ${events.length} events are elsewhere`);

    const latest = names.map(() => 0n);
    let wrong = 0;
    for (const { host: at, trueNs } of events) {
      const early = latest.some(
        (other, from) => Number(other - trueNs) > stated[at]!.uncertaintyNs + stated[from]!.uncertaintyNs + READING_NS,
      );
      if (early) wrong++;
      if (trueNs > latest[at]!) latest[at] = trueNs;
    }
    assert.equal(wrong, 0, 'events in the wrong order');
  });

  test('a clock that is set is marked by its host and by those who ask it, and the new truth is measured', async () => {
    const { marks, begin } = await asker('watches', way(0, 0));
    const actor = begin();
    actor.send({ type: 'ReferenceChanged', reference: REFERENCE.name });
    await until(() => actor.getSnapshot().context.filter.bounds.length > 0, 'one answer');
    clocked.setClock(REFERENCE, REFERENCE.realNs + SECOND_NS / 2n);
    await until(() => marks.includes('reference-stepped'), 'the step is seen');
    const { view, wrongNs } = sampleOf(actor);
    assert.ok(wrongNs <= view.uncertaintyNs!, `${wrongNs} ns beside ± ${view.uncertaintyNs}`);
    await until(() => log(REFERENCE.name).includes('clock: clock-set'), 'the reference saw it');
    for (const { name } of ASKING) await until(() => log(name).includes('clock: reference-stepped'), `${name} saw it`);
  });
});
