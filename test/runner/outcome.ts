/** What became of one test. */
export interface Outcome {
  readonly name: string;
  readonly status: 'passed' | 'failed' | 'skipped';
  /** Why it was skipped, how it failed; empty when it passed. */
  readonly text: string;
}

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const passed = (name: string): Outcome => ({ name, status: 'passed', text: '' });
export const failed = (name: string, text: string): Outcome => ({ name, status: 'failed', text });

/** A skip must say why: without a reason it is a failure. */
export const withReason = (outcome: Outcome): Outcome =>
  outcome.status === 'skipped' && outcome.text.trim() === '' ? failed(outcome.name, 'skipped without a reason') : outcome;

export const count = (outcomes: readonly Outcome[]): Totals => {
  const of = (status: Outcome['status']) => outcomes.filter((outcome) => outcome.status === status).length;
  return { passed: of('passed'), failed: of('failed'), skipped: of('skipped') };
};

export const totalsLine = (totals: Totals): string =>
  `${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`;
