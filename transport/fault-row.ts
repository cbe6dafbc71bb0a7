/** What one expected failure is: its class, its sentence, the way out. The tables of them are errors.ts and what it takes in. */

/** Exit status of the command line by class of failure, as LTTng's users know them. */
export const EXIT_STATUS = { success: 0, error: 1, undefined: 2, fatal: 3, warning: 4, unsupported: 5 } as const;
export type ExitClass = Exclude<keyof typeof EXIT_STATUS, 'success'>;

export interface Row<P> {
  readonly exit: ExitClass;
  say(params: P): string;
  readonly hint: string;
}

export type NoParams = Record<never, never>;

export const row = <P>(exit: ExitClass, say: (params: P) => string, hint: string): Row<P> => ({
  exit,
  say,
  hint,
});
