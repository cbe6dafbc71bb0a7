/** Sums over rings: of a channel, of a session. Rings of processes that are gone are kept as sums. */
import type { RegistryDocument, SessionDocument } from '../machines/document.ts';
import type { LossCounts, SessionTotals, StreamStats } from '../transport/messages.ts';
import type { Rings, RingTotals } from './rings.ts';

const NONE: StreamStats = {
  events: 0n,
  packets: 0n,
  bytes: 0n,
  lost: { full: 0n, tooBig: 0n, restarts: 0n, nested: 0n, contended: 0n, noMemory: 0n },
  overwritten: 0n,
};

const statsOf = (totals: RingTotals): StreamStats => ({
  events: totals.events,
  packets: totals.packets,
  bytes: totals.bytes,
  lost: {
    full: totals.lostFull,
    tooBig: totals.lostTooBig,
    restarts: totals.lostRestarts,
    nested: totals.lostNested,
    contended: totals.lostContended,
    noMemory: totals.lostNoMemory,
  },
  overwritten: totals.overwritten,
});

const addLost = (a: LossCounts, b: LossCounts): LossCounts => ({
  full: a.full + b.full,
  tooBig: a.tooBig + b.tooBig,
  restarts: a.restarts + b.restarts,
  nested: a.nested + b.nested,
  contended: a.contended + b.contended,
  noMemory: a.noMemory + b.noMemory,
});

const add = (a: StreamStats, b: StreamStats): StreamStats => ({
  events: a.events + b.events,
  packets: a.packets + b.packets,
  bytes: a.bytes + b.bytes,
  lost: addLost(a.lost, b.lost),
  overwritten: a.overwritten + b.overwritten,
});

const sum = (values: Iterable<bigint>): bigint => [...values].reduce((total, value) => total + value, 0n);

export class Totals {
  readonly #rings: Rings;
  readonly #endedBytes = new Map<string, bigint>();
  readonly #ended = new Map<string, StreamStats>(); // session/channel

  constructor(rings: Rings) {
    this.#rings = rings;
  }

  /** Before the rings of an ended process are given back. */
  keep(document: SessionDocument, registry: RegistryDocument): void {
    const bytes = (this.#endedBytes.get(document.id) ?? 0n) + this.#consumed([registry]);
    this.#endedBytes.set(document.id, bytes);
    for (const { id } of document.channels) {
      const key = `${document.id}/${id}`;
      this.#ended.set(key, add(this.#ended.get(key) ?? NONE, this.#of([registry], id)));
    }
  }

  /** What the readers took of all rings, ended ones included. */
  consumedBytes(document: SessionDocument): bigint {
    return (this.#endedBytes.get(document.id) ?? 0n) + this.#consumed(document.registries);
  }

  forget(document: SessionDocument): void {
    this.#endedBytes.delete(document.id);
    for (const { id } of document.channels) this.#ended.delete(`${document.id}/${id}`);
  }

  ofChannel(document: SessionDocument, channel: number): StreamStats {
    return add(this.#ended.get(`${document.id}/${channel}`) ?? NONE, this.#of(document.registries, channel));
  }

  /** What overwriting took was recorded once; in the trace it is lost. */
  ofSession(document: SessionDocument): SessionTotals {
    const stats = document.channels.map(({ id }) => this.ofChannel(document, id)).reduce(add, NONE);
    return { recorded: stats.events - stats.overwritten, lost: sum(Object.values(stats.lost)) + stats.overwritten };
  }

  #consumed(registries: readonly RegistryDocument[]): bigint {
    const sets = registries.flatMap(({ ringSets }) => ringSets);
    return sum(sets.map(({ ringId }) => this.#rings.totals(ringId)?.consumed ?? 0n));
  }

  #of(registries: readonly RegistryDocument[], channel: number): StreamStats {
    return registries
      .flatMap(({ ringSets }) => ringSets)
      .filter((set) => set.channel === channel)
      .map(({ ringId }) => this.#rings.totals(ringId))
      .reduce((total, one) => (one ? add(total, statsOf(one)) : total), NONE);
  }
}
