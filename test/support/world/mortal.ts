/**
 * Ports of a process that can be killed, and whose calls can be made to fail or to hang: every call goes through `Faults`. What a
 * dead process still does (its promises run on) reaches nothing.
 */
/** A number: it happens so many milliseconds later. `answerAfter`: it happens at once, and is answered so many milliseconds later. */
export type Trouble = 'fail' | 'hang' | number | Error | { readonly answerAfter: number };

interface Planned {
  readonly trouble: Trouble;
  left: number;
  after: number;
}

export class Faults {
  readonly after: (ms: number) => Promise<void>;
  readonly #planned = new Map<string, Planned>();
  readonly seen = new Map<string, number>();

  constructor(after: (ms: number) => Promise<void>) {
    this.after = after;
  }

  /** The next `times` calls of `name` (after `after` good ones) fail, or never return. */
  plan(name: string, trouble: Trouble, { times = 1, after = 0 }: { times?: number; after?: number } = {}): void {
    this.#planned.set(name, { trouble, left: times, after });
  }

  clear(): void {
    this.#planned.clear();
  }

  take(name: string): Trouble | null {
    this.seen.set(name, (this.seen.get(name) ?? 0) + 1);
    const planned = this.#planned.get(name);
    if (!planned || planned.left === 0) return null;
    if (planned.after > 0) {
      planned.after--;
      return null;
    }
    planned.left--;
    return planned.trouble;
  }
}

export class Life {
  alive = true;
}

const never = new Promise<never>(() => {});

const isLate = (trouble: Trouble): trouble is { readonly answerAfter: number } =>
  typeof trouble === 'object' && 'answerAfter' in trouble;

const errorOf = (name: string, trouble: 'fail' | Error): Error =>
  trouble instanceof Error ? trouble : Object.assign(new Error(`${name} failed, as planned`), { code: 'EIO' });

/** `waits`: names of methods that return promises; the others answer at once. */
export const mortal = <T extends object>(prefix: string, target: T, waits: readonly string[], life: Life, faults: Faults): T =>
  new Proxy(target, {
    get: (object, property) => {
      const value = Reflect.get(object, property) as unknown;
      if (typeof value !== 'function') return value;
      const name = `${prefix}.${String(property)}`;
      const asynchronous = waits.includes(String(property));
      return (...words: unknown[]): unknown => {
        if (!life.alive) return asynchronous ? never : undefined;
        const trouble = faults.take(name);
        if (trouble === 'hang') return asynchronous ? never : undefined;
        const call = (): unknown => (value as (...words: unknown[]) => unknown).apply(object, words);
        if (typeof trouble === 'number') return faults.after(trouble).then(() => (life.alive ? call() : never));
        if (trouble && isLate(trouble)) {
          const answer = Promise.resolve(call());
          return faults.after(trouble.answerAfter).then(() => (life.alive ? answer : never));
        }
        if (trouble && asynchronous) return Promise.reject(errorOf(name, trouble));
        if (trouble) throw errorOf(name, trouble);
        return call();
      };
    },
  });
