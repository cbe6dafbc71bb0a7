/** `weft view --live`: the events of a session as they happen, from the bus. */
import type { Body } from '../../transport/bus.ts';
import { FaultError } from '../../transport/errors.ts';
import type { Environment, Outcome } from '../command.ts';
import type { HostFailure } from '../fleet-run.ts';
import { UsageError } from '../options.ts';
import { paint } from '../style.ts';
import { visibleLines } from '../visible.ts';
import { momentText } from './moments.ts';
import { UnknownOnce } from './unknown-fields.ts';

const LEASE_MS = 10_000;
const RENEW_MS = 3_000;
/** Between two notes on what was left out: they are not to drown what is shown. */
const NOTES_MS = 1_000;

interface LiveEvent {
  readonly ns: bigint;
  readonly text: string;
  readonly json: string;
}

export interface LiveStyle {
  readonly json: boolean;
  readonly colour: boolean;
  readonly gmt: boolean;
  readonly date: boolean;
  readonly delta: boolean;
}

const digits = (ns: bigint): string => `${ns / 1_000_000_000n}.${String(ns % 1_000_000_000n).padStart(9, '0')}`;

/** Makes lines of what comes, and of what did not come. */
export class LiveLines {
  readonly #style: LiveStyle;
  #last: bigint | null = null;
  #epoch: unknown;
  #count = 0;
  #leftOut = 0;
  #packets = 0;
  readonly #missing = { events: 0, packets: 0, messages: 0, times: 0 };

  constructor(style: LiveStyle) {
    this.#style = style;
  }

  #heading(ns: bigint): string {
    const { gmt, date, delta } = this.#style;
    const time = momentText(ns, gmt);
    const since =
      this.#last === null ? '+?.?????????' : ns < this.#last ? `-${digits(this.#last - ns)}` : `+${digits(ns - this.#last)}`;
    this.#last = ns;
    return `[${date ? time : time.slice(time.indexOf(' ') + 1)}]${delta ? ` (${since})` : ''}`;
  }

  #line({ ns, text, json }: LiveEvent): string {
    if (this.#style.json) return json;
    const heading = this.#heading(ns);
    const found = /^(.*?)([^ ]+): /.exec(text);
    if (!this.#style.colour || !found) return `${heading} ${text}`;
    return `${paint(this.#style, 'green', heading)} ${found[1]}${paint(this.#style, 'cyan', found[2]!)}: ${text.slice(found[0].length)}`;
  }

  /** What was there before the first message is nobody's loss, unless that is the first of all. */
  #note({ epoch, n, leftOut, packetsLeftOut }: Body): void {
    const begins = this.#count > 0 && epoch !== this.#epoch;
    if (begins) {
      this.#missing.times++;
      [this.#count, this.#leftOut, this.#packets] = [0, 0, 0];
    }
    if (begins || this.#count > 0 || Number(n) === 1) {
      this.#missing.messages += Math.max(0, Number(n) - this.#count - 1);
      this.#missing.events += Math.max(0, Number(leftOut) - this.#leftOut);
      this.#missing.packets += Math.max(0, Number(packetsLeftOut) - this.#packets);
    }
    this.#epoch = epoch;
    [this.#count, this.#leftOut, this.#packets] = [Number(n), Number(leftOut), Number(packetsLeftOut)];
  }

  take(body: Body): readonly string[] {
    this.#note(body);
    return (body.events as readonly LiveEvent[]).map((event) => this.#line(event));
  }

  /** What was left out since the last question, as sentences. */
  notes(): readonly string[] {
    const { events, packets, messages, times } = this.#missing;
    Object.assign(this.#missing, { events: 0, packets: 0, messages: 0, times: 0 });
    return [
      ...(events > 0 ? [`${events} events left out: more than --rate lets through`] : []),
      ...(packets > 0 ? [`${packets} packets left out: the decoder was too far behind`] : []),
      ...(messages > 0 ? [`${messages} messages lost on the bus`] : []),
      ...(times > 0 ? ['the watch began anew: what was recorded meanwhile is not shown'] : []),
    ];
  }
}

/** What comes of each host. */
class Sources {
  readonly #style: LiveStyle;
  readonly #named: boolean;
  readonly #lines = new Map<string, LiveLines>();

  constructor(style: LiveStyle, named: boolean) {
    this.#style = style;
    this.#named = named;
  }

  of(host: string): LiveLines {
    const lines = this.#lines.get(host) ?? new LiveLines(this.#style);
    this.#lines.set(host, lines);
    return lines;
  }

  tellMissing(): void {
    for (const [host, lines] of this.#lines)
      for (const one of lines.notes()) process.stderr.write(visibleLines(`Warning: ${this.#named ? `${host}: ` : ''}${one}\n`));
  }
}

const counted = (name: string, text: string | undefined): number | undefined => {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new UsageError(`Option '--${name}': ${text} is no number from 1 to 999999`);
  return Number(text);
};

const wantedOf = ({ options }: Environment, session: string) => {
  const perSecond = counted('rate', options.get('rate'));
  const filter = options.get('filter');
  return {
    session,
    leaseMs: LEASE_MS,
    ...(perSecond !== undefined && { perSecond }),
    ...(filter !== undefined && { filter }),
  };
};

/** Hosts of which nothing is shown: each is told once. */
class MissingHosts {
  readonly #told = new Set<string>();
  #begun = false;

  take(environment: Environment): readonly string[] {
    // Where the session was watched and is no more it has ended.
    const isLoss = ({ error }: HostFailure): boolean => !this.#begun || error.code !== 'session-not-found';
    const lost = environment.failures().filter((one) => !this.#told.has(one.host) && isLoss(one));
    this.#begun = true;
    for (const { host } of lost) this.#told.add(host);
    return lost.map(({ host, error }) => `Warning: ${host}: ${error.message}`);
  }

  /** As of every command that not all hosts did. */
  get status(): number {
    return this.#told.size === 0 ? 0 : 4;
  }
}

/** The session was there when it began to watch: whoever has it no more had it destroyed. */
const isTheEnd = (environment: Environment, why: unknown): boolean =>
  why instanceof FaultError &&
  [why.fault, ...environment.failures().map(({ error }) => error)].every(({ code }) => code === 'session-not-found');

/** Ends by SIGINT or SIGTERM, with the session, or after so many events. */
export const viewLive = async (environment: Environment, session: string, style: LiveStyle): Promise<Outcome> => {
  const limit = counted('limit', environment.options.get('limit')) ?? Number.POSITIVE_INFINITY;
  const filter = environment.options.get('filter');
  const wanted = wantedOf(environment, session);
  const { session: view } = await environment.request('session.show', { session });
  let [shown, done] = [0, (_why: unknown): void => {}];
  const ended = new Promise<unknown>((resolve) => {
    done = resolve;
  });
  const sources = new Sources(style, environment.inFleet);
  // What comes before it is said that we watch.
  let early: string[] | null = [];
  const print = (text: string): void => void process.stdout.write(process.stdout.isTTY ? visibleLines(text) : text);
  const write = (text: string): void => void (early ? early.push(text) : print(text));
  const stop = await environment.live(String(view.owner.uid), view.name, (body, host) => {
    // Others may watch the same session with another filter.
    if (body.filter !== filter) return;
    const room = sources
      .of(host)
      .take(body)
      .slice(0, limit - shown);
    shown += room.length;
    if (room.length > 0) write(`${room.join('\n')}\n`);
    if (shown >= limit) done(null);
  });
  const told = new UnknownOnce();
  const missing = new MissingHosts();
  const renew = async (): Promise<void> => {
    const { unknown } = await environment.request('session.watch', wanted);
    for (const line of [...told.take(unknown ?? []), ...missing.take(environment)])
      process.stderr.write(visibleLines(`${line}\n`));
  };
  await renew();
  const renewal = setInterval(() => void renew().catch(done), RENEW_MS);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done(null));
  process.stderr.write(`Watching ${view.name}; Ctrl-C ends it.\n`);
  if (!view.active) process.stderr.write(`It is stopped: events come when it is started.\n`);
  for (const text of early.splice(0)) print(text);
  early = null;
  const telling = setInterval(() => sources.tellMissing(), NOTES_MS);
  const why = await ended;
  clearInterval(renewal);
  clearInterval(telling);
  stop();
  sources.tellMissing();
  if (isTheEnd(environment, why)) process.stderr.write(`${view.name} has ended.\n`);
  else if (why !== null) throw why;
  return { lines: [], json: undefined, status: missing.status };
};
