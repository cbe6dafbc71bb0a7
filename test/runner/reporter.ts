/** node:test's reporter for the runner: one JSON line per test that ended. Suites only group; what counts is tests. */

import type { EventData } from 'node:test';
import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';
import type { Outcome } from './outcome.ts';

const describe = (error: unknown): string => {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return cause instanceof Error && cause.stack ? cause.stack : inspect(cause);
};

const failureOf = (data: EventData.TestFail): Outcome | null => {
  const { error } = data.details;
  // A parent fails with its children; they are listed already.
  const childrenFailed = (error as { failureType?: string }).failureType === 'subtestsFailed';
  return childrenFailed ? null : { name: data.name, status: 'failed', text: describe(error) };
};

const successOf = ({ name, details, skip }: EventData.TestPass): Outcome | null => {
  if (details.type === 'suite') return null;
  if (skip === undefined || skip === false) return { name, status: 'passed', text: '' };
  return { name, status: 'skipped', text: typeof skip === 'string' ? skip : '' };
};

const outcomeOf = (event: TestEvent): Outcome | null => {
  if (event.type === 'test:fail') return failureOf(event.data);
  return event.type === 'test:pass' ? successOf(event.data) : null;
};

export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    const outcome = outcomeOf(event);
    if (outcome) yield `${JSON.stringify(outcome)}\n`;
  }
}
