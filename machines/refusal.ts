/**
 * Why something expected failed, as machines hold it: a stable code and the sentence's parameters. The actors make the fault
 * that travels out of it (transport/errors.ts), so that no text lives here.
 */
export interface Refusal {
  readonly code: string;
  readonly params: Readonly<Record<string, string | number>>;
}

export const refusal = (code: string, params: Refusal['params'] = {}): Refusal => ({ code, params });

/** What a promise was rejected with: actors reject with an object that carries a refusal; anything else is a defect. */
export const refusalOf = (error: unknown): Refusal => {
  if (typeof error === 'object' && error !== null && 'refusal' in error) return (error as { refusal: Refusal }).refusal;
  return refusal('internal', { cause: error instanceof Error ? error.message : String(error) });
};
