/**
 * No transition is there for nothing: each is taken out of its machine, and a scenario has to miss it. Prints which one did. Only
 * scenarios that take a transition can miss it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runScenario, transitionKey } from '../support/machine-coverage.ts';
import { type DeclaredTransition, declaredTransitions } from '../support/machine-transitions.ts';
import { SCENARIOS } from './scenarios/all.ts';
import type { Scenario } from './scenarios/scenario.ts';

interface Known {
  readonly scenario: Scenario;
  readonly taken: ReadonlySet<string>;
}

const runAll = async (): Promise<readonly Known[]> => {
  const known: Known[] = [];
  for (const scenario of SCENARIOS) {
    const { taken, failure } = await runScenario(scenario);
    assert.equal(failure, null, `${scenario.name}: ${failure}`);
    known.push({ scenario, taken });
  }
  return known;
};

/** The scenario that misses it; those that take few transitions first, for theirs is the fault that is named best. */
const missedBy = async (transition: DeclaredTransition, known: readonly Known[]): Promise<string | null> => {
  const key = transitionKey(transition.state, transition.event, transition.branch);
  const candidates = known.filter(({ taken }) => taken.has(key)).sort((a, b) => a.taken.size - b.taken.size);
  const putBack = transition.remove();
  try {
    for (const { scenario } of candidates) {
      const { failure } = await runScenario(scenario);
      if (failure !== null) return `${scenario.name}: ${failure.split('\n')[0]}`;
    }
    return null;
  } finally {
    putBack();
  }
};

test('every transition that is deleted is missed by a named scenario', async () => {
  const known = await runAll();
  const survivors: string[] = [];
  for (const transition of declaredTransitions()) {
    const missed = await missedBy(transition, known);
    if (missed === null) survivors.push(transition.name);
    console.log(`${transition.name}\n    ${missed ?? 'NOBODY MISSES IT'}`);
  }
  assert.deepEqual(survivors, []);
});
