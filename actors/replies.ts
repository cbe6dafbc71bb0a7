/**
 * Answers by request id. The first request of an id is carried out, the same id again gets the same answer, for ten minutes and
 * over a restart of the daemon (the session documents keep answers too).
 */
import type { SessionDocument } from '../machines/document.ts';
import type { Reply } from '../transport/bus.ts';
import { failed } from '../transport/errors.ts';
import { type Deferred, deferred } from './deferred.ts';
import type { Clock } from './ports.ts';

export const KEPT_MS = 10 * 60_000;
/** Of one caller. */
export const KEPT_MAX = 1024;
/** No command takes longer: the sum of what start, stop or destroy may wait for. */
export const GIVE_UP_MS = 150_000;

/** UUIDs of version 7 say when they were made. */
const madeAt = (id: string): number | null => {
  const match = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/i.exec(id);
  return match ? Number.parseInt(match[1]! + match[2]!, 16) : null;
};

export class Replies {
  readonly #clock: Clock;
  readonly #known = new Map<string, { readonly atMs: number; readonly reply: Promise<Reply> }>();
  readonly #waiting = new Map<string, Deferred<Reply>>();
  readonly #prepared = new Map<string, Reply>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Of a daemon that went before. */
  adopt(document: SessionDocument): void {
    for (const { requestId, atMs, reply } of document.answers) {
      this.#known.set(requestId, { atMs, reply: Promise.resolve(reply as Reply) });
    }
  }

  /** `key`: caller and request id. `keep` false: a question, which is answered anew each time. */
  once(key: string, id: string, carryOut: () => Promise<Reply>, keep = true): Promise<Reply> {
    this.#forgetOld();
    const known = this.#known.get(key);
    if (known) return known.reply;
    const made = madeAt(id);
    if (made !== null && made < this.#clock.now() - KEPT_MS) return Promise.resolve(failed('stale', { id }));
    const reply = carryOut();
    if (!keep) return reply;
    this.#known.set(key, { atMs: this.#clock.now(), reply });
    this.#forgetMany(key.slice(0, key.indexOf(' ') + 1));
    return reply;
  }

  /** What was answered to it; undefined: it was not carried out, or that is too long ago. */
  kept(key: string): Promise<Reply> | undefined {
    this.#forgetOld();
    return this.#known.get(key)?.reply;
  }

  /** Resolves when a machine answered the request. */
  async expect(key: string, send: () => void): Promise<Reply> {
    const waiting = deferred<Reply>();
    this.#waiting.set(key, waiting);
    const timer = this.#clock.setTimeout(
      () => waiting.resolve(failed('timeout', { subject: 'the session', ms: GIVE_UP_MS })),
      GIVE_UP_MS,
    );
    send();
    const reply = await waiting.promise;
    this.#clock.clearTimeout(timer);
    this.#waiting.delete(key);
    this.#prepared.delete(key);
    return reply;
  }

  /** What `answer` will say. */
  prepare(key: string | null, reply: Reply): void {
    if (key !== null) this.#prepared.set(key, reply);
  }

  prepared(key: string | null): Reply | undefined {
    return key === null ? undefined : this.#prepared.get(key);
  }

  answer(key: string | null, reply: Reply | undefined): void {
    if (key === null || !reply) return;
    // To the end: those that were answered last are kept longest.
    this.#known.delete(key);
    this.#known.set(key, { atMs: this.#clock.now(), reply: Promise.resolve(reply) });
    this.#waiting.get(key)?.resolve(reply);
    this.#prepared.delete(key);
  }

  /** How many answers are kept. */
  get size(): number {
    return this.#known.size;
  }

  /** Of one caller: the oldest go, so that nobody can fill the daemon's memory. */
  #forgetMany(caller: string): void {
    if (this.#known.size <= KEPT_MAX) return;
    const keys = [...this.#known.keys()].filter((key) => key.startsWith(caller) && !this.#waiting.has(key));
    for (const key of keys.slice(0, Math.max(0, keys.length - KEPT_MAX))) this.#known.delete(key);
  }

  #forgetOld(): void {
    const limit = this.#clock.now() - KEPT_MS;
    for (const [key, { atMs }] of this.#known) {
      if (atMs >= limit) return;
      if (!this.#waiting.has(key)) this.#known.delete(key);
    }
  }
}
