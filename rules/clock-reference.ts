/** Which host of a fleet the others set their clocks against: all come to the same answer from the same heartbeats, and it stays. */

export interface Claim {
  readonly host: string;
  /** Whom it takes for the reference itself; null: it does not know yet. */
  readonly reference: string | null;
}

/** Whoever takes itself for the reference stays it; of several, and when there is none, the first in the order of names. */
export const chooseReference = (hosts: readonly Claim[]): string | null => {
  const claiming = hosts.filter(({ host, reference }) => host === reference);
  const names = (claiming.length > 0 ? claiming : hosts).map(({ host }) => host).sort();
  return names[0] ?? null;
};
