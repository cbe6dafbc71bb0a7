/** Time of the in-memory world: it stands still until somebody lets it go on, from deadline to deadline. */
interface Timer {
  readonly at: number;
  readonly order: number;
  readonly task: () => void;
}

/** Everything in the world runs in microtasks, so one turn of the loop lets all of it come to rest. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class WorldClock {
  #now = 1_700_000_000_000;
  #offset = 0;
  #order = 0;
  readonly #timers = new Set<Timer>();

  /** Real time, which somebody may set; timers do not follow it. */
  now(): number {
    return this.#now + this.#offset;
  }

  monotonicNs(): bigint {
    return BigInt(this.now()) * 1_000_000n;
  }

  /** Somebody sets the clock. */
  jump(ms: number): void {
    this.#offset += ms;
  }

  setTimeout(task: () => void, ms: number): unknown {
    const timer = { at: this.#now + ms, order: this.#order++, task };
    this.#timers.add(timer);
    return timer;
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer as Timer);
  }

  /** Fires what is due next, if that is not later than `limit`; false: nothing is. */
  step(limit: number): boolean {
    let next: Timer | null = null;
    for (const timer of this.#timers) {
      if (!next || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer;
    }
    if (!next || next.at > limit) {
      this.#now = Math.max(this.#now, Math.min(limit, next?.at ?? this.#now));
      return false;
    }
    this.#timers.delete(next);
    this.#now = Math.max(this.#now, next.at);
    next.task();
    return true;
  }

  /** Lets so much time pass. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    while (this.step(end)) await settle();
    this.#now = end;
  }

  /** Lets time pass until it holds. */
  async until(what: string, holds: () => boolean, ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    while (!holds()) {
      if (!this.step(end)) throw new Error(`not within ${ms} ms: ${what}`);
      await settle();
    }
  }
}
