/** How often something may happen: `perSecond` in the long run, and as many at once after a second of rest. */
const SECOND_NS = 1_000_000_000;

export class TokenBucket {
  readonly #perSecond: number;
  #tokens: number;
  #atNs: bigint | null = null;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond;
  }

  /** Whether it may happen now, which then it does. `nowNs` is of a clock that nobody sets. */
  take(nowNs: bigint): boolean {
    const passedNs = Number(nowNs - (this.#atNs ?? nowNs));
    this.#atNs = nowNs;
    this.#tokens = Math.min(this.#perSecond, this.#tokens + (passedNs / SECOND_NS) * this.#perSecond);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
