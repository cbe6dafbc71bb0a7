/** Who waits for which pass of which registry (machines/ring-registry.ts), and which passes an application's registration caused. */
import type { Refusal } from '../machines/refusal.ts';
import { type Deferred, deferred } from './deferred.ts';
import { Refused } from './refused.ts';

interface Waiting {
  readonly pass: number;
  readonly done: Deferred<void>;
}

export class Passes {
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #inclusions = new Map<number, Promise<void>[]>();
  #last = 0;

  /** A new number, and the promise that the pass of that number, or a later one, ended. */
  request(place: string): { readonly pass: number; readonly ended: Promise<void> } {
    const waiting = { pass: ++this.#last, done: deferred() };
    this.#waiting.set(place, [...(this.#waiting.get(place) ?? []), waiting]);
    return { pass: waiting.pass, ended: waiting.done.promise };
  }

  report(place: string, pass: number, refusal: Refusal | null): void {
    const due = (this.#waiting.get(place) ?? []).filter((one) => one.pass <= pass);
    this.#keep(place, (one) => one.pass > pass);
    for (const { done } of due) {
      if (refusal) done.reject(new Refused(refusal));
      else done.resolve();
    }
  }

  /** The registry is gone: nothing is left to wait for. */
  end(place: string): void {
    this.report(place, Number.POSITIVE_INFINITY, null);
  }

  include(application: number, ended: Promise<void>): void {
    this.#inclusions.set(application, [...(this.#inclusions.get(application) ?? []), ended]);
  }

  takeInclusions(application: number): readonly Promise<void>[] {
    const taken = this.#inclusions.get(application) ?? [];
    this.#inclusions.delete(application);
    return taken;
  }

  #keep(place: string, which: (one: Waiting) => boolean): void {
    const kept = (this.#waiting.get(place) ?? []).filter(which);
    if (kept.length > 0) this.#waiting.set(place, kept);
    else this.#waiting.delete(place);
  }
}
