/** Sums over rings: of a channel, of a session. Rings of processes that are gone are kept as sums, in the session's document. */
import type { EndedTotals, RegistryDocument, SessionDocument } from '../machines/document.ts';
import { STATS_FIELDS } from '../native/addon/index.ts';
import type { LossCounts, SessionTotals, StreamStats } from '../transport/messages.ts';
import type { Rings, RingTotals } from './rings.ts';

const NONE: StreamStats = {
  events: 0n,
  packets: 0n,
  bytes: 0n,
  lost: { full: 0n, tooBig: 0n, restarts: 0n, nested: 0n, contended: 0n, noMemory: 0n, frozen: 0n },
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
    frozen: totals.lostFrozen,
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
  frozen: a.frozen + b.frozen,
});

const add = (a: StreamStats, b: StreamStats): StreamStats => ({
  events: a.events + b.events,
  packets: a.packets + b.packets,
  bytes: a.bytes + b.bytes,
  lost: addLost(a.lost, b.lost),
  overwritten: a.overwritten + b.overwritten,
});

const sum = (values: Iterable<bigint>): bigint => [...values].reduce((total, value) => total + value, 0n);

const written = (all: readonly RingTotals[]): EndedTotals['counts'] =>
  Object.fromEntries(STATS_FIELDS.map((name) => [name, sum(all.map((one) => one[name])).toString()]));

const read = (counts: EndedTotals['counts']): RingTotals =>
  Object.fromEntries(STATS_FIELDS.map((name) => [name, BigInt(counts[name] ?? 0)])) as RingTotals;

export class Totals {
  readonly #rings: Rings;

  constructor(rings: Rings) {
    this.#rings = rings;
  }

  /** Before the rings of an ended process are given back: what they counted, in the same write that forgets them. */
  keep(document: SessionDocument, registry: RegistryDocument): SessionDocument {
    const ended = document.channels.flatMap(({ id }) => {
      const counted = [...this.#kept(document, id), ...this.#held([registry], id)];
      return counted.length === 0 ? [] : [{ channel: id, counts: written(counted) }];
    });
    return { ...document, ended };
  }

  /** What the readers took of all rings, ended ones included. */
  consumedBytes(document: SessionDocument): bigint {
    return sum(document.channels.flatMap(({ id }) => this.#all(document, id)).map(({ consumed }) => consumed));
  }

  ofChannel(document: SessionDocument, channel: number): StreamStats {
    return this.#all(document, channel).map(statsOf).reduce(add, NONE);
  }

  /** What overwriting took was recorded once; in the trace it is lost. */
  ofSession(document: SessionDocument): SessionTotals {
    const stats = document.channels.map(({ id }) => this.ofChannel(document, id)).reduce(add, NONE);
    return { recorded: stats.events - stats.overwritten, lost: sum(Object.values(stats.lost)) + stats.overwritten };
  }

  #all(document: SessionDocument, channel: number): readonly RingTotals[] {
    return [...this.#kept(document, channel), ...this.#held(document.registries, channel)];
  }

  #kept({ ended = [] }: SessionDocument, channel: number): readonly RingTotals[] {
    return ended.filter((one) => one.channel === channel).map(({ counts }) => read(counts));
  }

  #held(registries: readonly RegistryDocument[], channel: number): readonly RingTotals[] {
    return registries
      .flatMap(({ ringSets }) => ringSets)
      .filter((set) => set.channel === channel)
      .map(({ ringId }) => this.#rings.totals(ringId))
      .filter((one) => one !== null);
  }
}
