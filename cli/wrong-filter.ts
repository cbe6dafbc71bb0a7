/** A filter that is wrong, as people see it: the expression, the place, and what to write instead. */
import { checkFilter } from '../rules/filter/check.ts';
import { pointAt } from '../rules/filter/fault.ts';
import { exitStatusOf, fault } from '../transport/errors.ts';
import type { Outcome } from './command.ts';

/** Before anybody else is asked; null: nothing is wrong. `of`: what the message begins with, once for each. */
export const wrongFilter = (
  filter: string,
  where: 'program' | 'trace' = 'program',
  of: readonly string[] = [''],
): Outcome | null => {
  const checked = checkFilter(filter, where);
  if (checked.ok) return null;
  const { column, message: cause } = checked.fault;
  const error = fault('filter-invalid', { filter, column, cause });
  return {
    lines: [],
    json: { error },
    notes: [...pointAt(filter, checked.fault), cause, ...of.map((what) => `Error: ${what}${error.message}`), `  ${error.hint}`],
    status: exitStatusOf(error.code),
  };
};
