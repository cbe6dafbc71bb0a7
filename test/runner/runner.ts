/**
 * Runs tiers one after the other, prints as it goes, ends with the totals. What a tier leaves of its time the next ones have: how a
 * machine's slowness falls on them is its own affair, as long as all of it fits.
 */
import { count, failed, type Outcome, type Totals, totalsLine, withReason } from './outcome.ts';
import type { Step } from './steps.ts';
import type { Tier } from './tiers.ts';

export interface RunOptions {
  readonly root: string;
  readonly env: NodeJS.ProcessEnv;
  /** Without budgets a tier may take as long as it wants, each of its files at most this long. */
  readonly unboundedFileMs: number | null;
  readonly print: (line: string) => void;
}

interface TierRun {
  readonly tier: Tier;
  readonly outcomes: Outcome[];
  readonly steps: readonly StepTime[];
  readonly tookMs: number;
}

interface StepTime {
  readonly name: string;
  readonly tookMs: number;
}

/** Of the longest steps that are named at the end: where time can be won when a run comes near its limit. */
const SHOWN_STEPS = 15;

const indent = (text: string): string => text.trimEnd().replaceAll(/^/gm, '    ');

const printOutcome = (outcome: Outcome, step: Step, print: RunOptions['print']): void => {
  if (outcome.status === 'skipped') print(`  skipped: ${outcome.name} (${outcome.text})`);
  if (outcome.status === 'failed') print(`  FAILED: ${outcome.name} [${step.name}]\n${indent(outcome.text)}`);
};

const runStep = async (step: Step, tier: Tier, deadline: number, options: RunOptions): Promise<Outcome[]> => {
  const limitMs = options.unboundedFileMs ?? deadline - Date.now();
  if (limitMs <= 0) return [failed(step.name, `not run: the tier has used up its ${tier.budgetS} s`)];
  const outcomes = await step.run({ directory: options.root, limitMs, env: options.env });
  return outcomes.map(withReason);
};

/** A tier whose steps cannot even be listed has failed; the next ones still run. */
const stepsOf = (tier: Tier): Step[] => {
  try {
    return tier.steps();
  } catch (error) {
    return [{ name: tier.name, run: () => Promise.resolve([failed(`${tier.name}: its tests are known`, String(error))]) }];
  }
};

/** `leftMs`: what the tiers before it did not use. */
const runTier = async (tier: Tier, leftMs: number, options: RunOptions): Promise<TierRun> => {
  const began = Date.now();
  const outcomes: Outcome[] = [];
  const steps: StepTime[] = [];
  const left = stepsOf(tier);
  options.print(`${tier.name}: ${left.length} step${left.length === 1 ? '' : 's'}`);
  const work = async (): Promise<void> => {
    for (let step = left.shift(); step; step = left.shift()) {
      const stepBegan = Date.now();
      const results = await runStep(step, tier, began + leftMs + tier.budgetS * 1000, options);
      for (const outcome of results) printOutcome(outcome, step, options.print);
      outcomes.push(...results);
      steps.push({ name: step.name, tookMs: Date.now() - stepBegan });
    }
  };
  await Promise.all(Array.from({ length: tier.parallel }, work));
  return { tier, outcomes, steps, tookMs: Date.now() - began };
};

const tierLine = ({ tier, outcomes, tookMs }: TierRun, bounded: boolean): string => {
  const limit = bounded ? ` of ${tier.budgetS} s` : '';
  return `${tier.name.padEnd(12)}${totalsLine(count(outcomes)).padEnd(40)}${(tookMs / 1000).toFixed(1)} s${limit}`;
};

const slowestLine = (runs: readonly TierRun[]): string =>
  runs
    .flatMap(({ steps }) => steps)
    .sort((one, other) => other.tookMs - one.tookMs)
    .slice(0, SHOWN_STEPS)
    .map(({ name, tookMs }) => `${name} ${(tookMs / 1000).toFixed(1)} s`)
    .join(', ');

export const runTiers = async (tiers: readonly Tier[], options: RunOptions): Promise<Totals> => {
  const runs: TierRun[] = [];
  let leftMs = 0;
  for (const tier of tiers) {
    const run = await runTier(tier, leftMs, options);
    leftMs = Math.max(0, leftMs + tier.budgetS * 1000 - run.tookMs);
    runs.push(run);
  }
  options.print('');
  for (const run of runs) options.print(tierLine(run, options.unboundedFileMs === null));
  options.print(`longest: ${slowestLine(runs)}`);
  const totals = count(runs.flatMap((run) => run.outcomes));
  options.print(totalsLine(totals));
  return totals;
};
