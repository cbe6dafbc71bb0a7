/**
 * Decoded events of a session on the bus, while somebody's lease runs. In short rounds the readers write out what the rings hold, and
 * what the files have gained since is decoded on a thread of its own: nobody who records waits for it, and without a lease it is not there.
 */
import type { TraceFilter } from '../ctf/filter-table.ts';
import { type UnknownName, unknownNames } from '../ctf/unknown-names.ts';
import { checkFilter } from '../rules/filter/check.ts';
import { recordedFilter } from '../rules/filter/recorded.ts';
import type { Bus } from '../transport/bus.ts';
import { liveSubject, type Place } from '../transport/subjects.ts';
import type { StreamEntry } from './consumer-streams.ts';
import type { FollowedTrace, TailNews } from './followed-trace.ts';
import type { Clock, Log } from './ports.ts';
import { refuse } from './refused.ts';

/** Between two rounds: half of it is what an event waits on average. */
const REST_MS = 3;
/** Of one message, which may have 1 MiB. */
const MESSAGE_RECORDS = 256;
const MESSAGE_CHARACTERS = 200_000;
/** What was left out is told of itself when no event that would tell it came for so long. */
const UNTOLD_MS = 500;

interface Surroundings {
  readonly clock: Clock;
  readonly log: Log;
  readonly owner: string;
  place(): Place | null;
  bus(): Bus | null;
  entries(session: string): readonly StreamEntry[];
  flush(entry: StreamEntry): Promise<void>;
  follow(directory: string, filter: TraceFilter | null): FollowedTrace;
}

interface Watch {
  readonly session: string;
  readonly name: string;
  readonly filter: string | null;
  readonly judge: TraceFilter | null;
  until: number;
  perSecond: number;
  /** How many records may go out; grows with time. */
  allowance: number;
  at: number;
  begun: boolean;
  traces: Map<string, FollowedTrace>;
  /** Another one when the watch begins anew: what came meanwhile was not seen. */
  readonly epoch: number;
  count: number;
  leftOut: number;
  packetsLeftOut: number;
  /** Of both, what the last message said; and when it did. */
  toldLeftOut: number;
  toldAt: number;
}

export interface WatchRequest {
  readonly session: string;
  readonly name: string;
  readonly leaseMs: number;
  readonly perSecond: number;
  readonly filter?: string | null;
}

const keyOf = ({ session, filter }: Pick<Watch, 'session' | 'filter'>): string => `${session} ${filter ?? ''}`;

const judgeOf = (filter: string | null): TraceFilter | null => {
  if (filter === null) return null;
  const checked = checkFilter(filter, 'trace');
  if (checked.ok) return recordedFilter(checked.root);
  throw refuse('filter-invalid', { filter, column: checked.fault.column, cause: checked.fault.message });
};

/** What the filter mentions and no event has that the session could record until now; null: none is known yet. */
const unknownTo = ({ judge, traces }: Watch): readonly UnknownName[] | null => {
  const layouts = [...traces.values()].map((trace) => trace.layouts()).filter((one) => one !== null);
  return judge && unknownNames(judge.mentions, layouts);
};

export class LiveWatches {
  readonly #around: Surroundings;
  /** One per session and filter. */
  readonly #watches = new Map<string, Watch>();
  #epoch = 0;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /**
   * Begins, or renews. Several may watch one session: of those with the same filter the longest lease and the highest rate hold.
   * Resolves when it watches, with the names of the filter that nothing has.
   */
  async watch({ session, name, leaseMs, perSecond, filter = null }: WatchRequest): Promise<readonly UnknownName[] | null> {
    const key = keyOf({ session, filter });
    const now = this.#around.clock.now();
    const known = this.#watches.get(key);
    if (known) {
      known.until = Math.max(known.until, now + leaseMs);
      known.perSecond = Math.max(known.perSecond, perSecond);
      // Whoever came just now learns from where to count.
      this.#send(known, null, []);
      return unknownTo(known);
    }
    // Beyond those of a process before this one.
    this.#epoch = Math.max(this.#epoch + 1, now);
    const watch: Watch = {
      ...{
        session,
        name,
        filter,
        judge: judgeOf(filter),
        until: now + leaseMs,
        perSecond,
        allowance: perSecond,
        at: now,
        begun: false,
      },
      ...{ traces: new Map(), epoch: this.#epoch, count: 0, leftOut: 0, packetsLeftOut: 0, toldLeftOut: 0, toldAt: now },
    };
    this.#watches.set(key, watch);
    await this.#round(watch);
    return unknownTo(watch);
  }

  async #round(watch: Watch): Promise<void> {
    const { clock, log } = this.#around;
    if (clock.now() > watch.until) {
      this.#tellLeftOut(watch);
      this.#watches.delete(keyOf(watch));
      return;
    }
    try {
      await this.#look(watch);
    } catch (thrown) {
      log.error('watching failed', { session: watch.session, cause: String(thrown) });
      this.#watches.delete(keyOf(watch));
      return;
    }
    clock.setTimeout(() => void this.#round(watch), REST_MS);
  }

  async #look(watch: Watch): Promise<void> {
    const { clock, entries, flush, follow } = this.#around;
    const now = clock.now();
    watch.allowance = Math.min(watch.perSecond, watch.allowance + ((now - watch.at) * watch.perSecond) / 1000);
    watch.at = now;
    // A stream that is being rotated, or whose files take nothing, is looked at in the next round.
    await Promise.allSettled(entries(watch.session).map(flush));
    const begins = !watch.begun;
    watch.begun = true;
    const wanted = new Set([...entries(watch.session).map(({ directory }) => directory), ...watch.traces.keys()]);
    for (const directory of wanted) {
      const trace = watch.traces.get(directory) ?? follow(directory, watch.judge);
      watch.traces.set(directory, trace);
      this.#publish(watch, await trace.read(begins ? 0 : Math.floor(watch.allowance), begins), begins);
    }
    if (now - watch.toldAt >= UNTOLD_MS) this.#tellLeftOut(watch);
    const current = new Set(entries(watch.session).map(({ directory }) => directory));
    for (const directory of watch.traces.keys()) if (!current.has(directory)) watch.traces.delete(directory);
  }

  #publish(watch: Watch, news: TailNews, begins: boolean): void {
    for (const fault of news.faults)
      this.#around.log.error('a trace cannot be watched', { session: watch.session, cause: fault });
    if (begins) return;
    watch.leftOut += news.leftOut;
    watch.packetsLeftOut += news.packetsLeftOut;
    watch.allowance -= news.records.length;
    for (let at = 0; at < news.records.length; ) at += this.#message(watch, news.records.slice(at, at + MESSAGE_RECORDS));
  }

  /** As many records of one name as follow each other; returns how many. */
  #message(watch: Watch, records: TailNews['records']): number {
    const { name } = records[0]!;
    let [length, characters] = [0, 0];
    for (const record of records) {
      characters += record.text.length + record.json.length;
      if (record.name !== name || (length > 0 && characters > MESSAGE_CHARACTERS)) break;
      length++;
    }
    this.#send(watch, name, records.slice(0, length));
    return length;
  }

  #tellLeftOut(watch: Watch): void {
    if (watch.leftOut + watch.packetsLeftOut > watch.toldLeftOut) this.#send(watch, null, []);
  }

  /** Without a name: only how much there was. */
  #send(watch: Watch, name: string | null, records: TailNews['records']): void {
    const [place, bus] = [this.#around.place(), this.#around.bus()];
    if (!place || !bus) return;
    const { leftOut, packetsLeftOut, filter, epoch } = watch;
    const events = records.map(({ ns, text, json }) => ({ ns, text, json }));
    const subject = liveSubject({ ...place, owner: this.#around.owner, session: watch.name, event: name ?? '' });
    const n = ++watch.count;
    bus.publish(subject, { v: 1, epoch, n, events, leftOut, packetsLeftOut, ...(filter !== null && { filter }) });
    watch.toldLeftOut = leftOut + packetsLeftOut;
    watch.toldAt = this.#around.clock.now();
  }
}
