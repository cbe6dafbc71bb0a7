/**
 * All tests: `deploy/node.sh test/run.ts [--soak] [TIER...]`. Ends with the line `N passed, N failed, N skipped`; the status is 0
 * only if something passed and nothing failed. --soak: no time limits, and tests that draw samples run whole.
 */
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { runTiers } from './runner/runner.ts';
import { tiersOf } from './runner/tiers.ts';

const HOUR_MS = 3_600_000;
const ROOT = resolve(import.meta.dirname, '..');

const chosenTiers = (names: readonly string[]) => {
  const tiers = tiersOf(ROOT);
  const unknown = names.filter((name) => !tiers.some((tier) => tier.name === name));
  if (unknown.length > 0) {
    const known = tiers.map((tier) => tier.name).join(', ');
    process.stderr.write(`test/run.ts: no tier named ${unknown.join(', ')}; there are ${known}\n`);
    process.exit(2);
  }
  return names.length === 0 ? tiers : tiers.filter((tier) => names.includes(tier.name));
};

const soak = process.argv.includes('--soak');
const tiers = chosenTiers(process.argv.slice(2).filter((word) => word !== '--soak'));
const seed = process.env.WEFT_SEED ?? String(randomInt(2 ** 31));
process.stdout.write(`seed ${seed} (again: WEFT_SEED=${seed} npm test)\n`);
const { NODE_OPTIONS: _ignored, ...surroundings } = process.env;
// Every world of a test has its own directories; what is compiled for one need not be compiled for all.
const cache = mkdtempSync(join(tmpdir(), 'weft-compiled-'));
process.once('exit', () => rmSync(cache, { recursive: true, force: true }));
const totals = await runTiers(tiers, {
  root: ROOT,
  env: { ...surroundings, NODE_COMPILE_CACHE: cache, WEFT_SEED: seed, ...(soak ? { WEFT_SOAK: '1' } : {}) },
  unboundedFileMs: soak ? HOUR_MS : null,
  print: (line) => void process.stdout.write(`${line}\n`),
});
process.exitCode = totals.failed === 0 && totals.passed > 0 ? 0 : 1;
