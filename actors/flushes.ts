/** Sessions that wait until their owner's consumer has written everything out. */
import { type Deferred, deferred } from './deferred.ts';
import type { Refused } from './refused.ts';

export class Flushes {
  readonly #waiting = new Map<number, Deferred<void>>();
  #last = 0;

  request(): { readonly flush: number; readonly done: Promise<void> } {
    const done = deferred();
    this.#waiting.set(++this.#last, done);
    return { flush: this.#last, done: done.promise };
  }

  settle(flush: number, refused: Refused | null): void {
    const waiting = this.#waiting.get(flush);
    this.#waiting.delete(flush);
    if (refused) waiting?.reject(refused);
    else waiting?.resolve();
  }
}
