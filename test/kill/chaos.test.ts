/** A quarter of a minute of kills (WEFT_CHAOS_S: more), drawn by WEFT_SEED: nothing is lost unnoticed, nothing is there twice. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { Chaos } from './chaos.ts';

const seed = Number(process.env.WEFT_SEED ?? randomInt(2 ** 31));
const seconds = Number(process.env.WEFT_CHAOS_S ?? (process.env.WEFT_SOAK ? 120 : 15));

test(`kills at random, seed ${seed}: recorded + lost = emitted in every session`, async (t) => {
  const chaos = new Chaos(seed, (line) => t.diagnostic(line));
  try {
    const report = await chaos.run(seconds);
    t.diagnostic(`${report.kills} kills, ${report.programs} programs, ${report.emitted} events`);
    assert.deepEqual(report.faults, []);
    assert.ok(report.kills > 0 && report.emitted > 10_000);
  } finally {
    chaos.dispose();
  }
});
