/** What is wrong with a filter expression, and where. */
export interface FilterFault {
  /** The character at which it goes wrong, counted from 1. */
  readonly column: number;
  /** What is wrong and what to write instead: a clause without a full stop. */
  readonly message: string;
}

/** Ends the reading of an expression; `at` counts UTF-16 units from 0. Never leaves rules/filter. */
export class FilterError extends Error {
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

export const faultIn = (text: string, error: FilterError): FilterFault => ({
  column: [...text.slice(0, error.at)].length + 1,
  message: error.message,
});

/** The expression, and a caret below the place. An expression of several lines is shown as one. */
export const pointAt = (text: string, { column }: FilterFault): readonly [string, string] => [
  text.replace(/\p{Cc}/gu, ' '),
  `${' '.repeat(column - 1)}^`,
];
