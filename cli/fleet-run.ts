/** `weft --on SELECTOR COMMAND`: the command's requests go to every host that matches, and the answer is a table with a row per host. */
import { randomUUID } from 'node:crypto';
import { type HostReport, type OperationReport, runFleetOperation } from '../actors/fleet-operation.ts';
import { realClock } from '../actors/host-ports.ts';
import { localStamp } from '../actors/local-time.ts';
import type { Body, Bus, Fault } from '../transport/bus.ts';
import { FaultError } from '../transport/errors.ts';
import { type HostView, TWO_PHASE } from '../transport/fleet-messages.ts';
import type { Outcome } from './command.ts';
import { UsageError } from './options.ts';
import { table } from './table.ts';

/** Commands about sessions, which every host has; the others are about this host. */
const COMMANDS =
  /^(create|destroy|start|stop|list|status|rotate|clear|regenerate|metadata|snapshot|track|untrack|add-context|show-maps|add-map-channel|(enable|disable)-(channel|event|rotation)|(add|remove)-trigger|list-triggers|listen|view)$/;
/** That give a request of two phases. */
const TWO_PHASES = /^(start|stop|rotate|snapshot)$/;
const DEFAULT_STALL_S = 5;
const PROGRESS_MS = 50;
const EXIT = { done: 0, partial: 4, failed: 1 } as const;

/** Who commands: over this host's bus, or straight at the fleet. */
export interface FleetCaller {
  readonly bus: Pick<Bus, 'gather'>;
  readonly uid: number;
  readonly who: string;
  hosts(): Promise<readonly HostView[]>;
}

export interface OnOptions {
  readonly selector: string;
  readonly all: boolean;
  readonly stall: string | undefined;
  readonly command: string;
  /** Where progress is shown; null: nowhere. */
  readonly terminal: NodeJS.WriteStream | null;
}

const stallMsOf = (text: string | undefined): number => {
  const seconds = text === undefined ? DEFAULT_STALL_S : Number(text);
  if (!(seconds > 0 && seconds <= 600)) throw new UsageError(`--stall=${text}: a number of seconds up to 600 is needed`);
  return seconds * 1000;
};

interface Row {
  readonly host: string;
  answer: Body | null;
  error: Fault | null;
}

export interface HostFailure {
  readonly host: string;
  readonly error: Fault;
}

type Named = { readonly kind: string; readonly name: string };

/** What a filter mentions is unknown when it is so on every host that knows any event. */
const unknownToAll = (answers: readonly Body[]): readonly Named[] => {
  const [first = [], ...others] = answers
    .map(({ unknown }) => unknown as readonly Named[] | null)
    .filter((one) => one !== null);
  return first.filter(({ kind, name }) => others.every((all) => all.some((one) => one.kind === kind && one.name === name)));
};

/** What hosts answered differs; who asks wants one answer to go on with. */
export const merged = (answers: readonly Body[]): Body => {
  const [first = {}] = answers;
  if (first.unknown !== undefined) return { ...first, unknown: unknownToAll(answers) };
  if (!Array.isArray(first.sessions)) return first;
  const sessions = answers.flatMap((one) => one.sessions as { name: string }[]);
  return { ...first, sessions: [...new Map(sessions.map((one) => [one.name, one])).values()] };
};

type Stats = { readonly recorded?: unknown; readonly lost?: unknown };
type Session = {
  readonly name: string;
  readonly active?: boolean;
  readonly state?: string;
  readonly channels?: readonly { stats: { events: unknown } }[];
};

const sessionText = ({ name, active, state, channels }: Session): string => {
  const events = channels?.reduce((sum, { stats }) => sum + BigInt(String(stats.events)), 0n);
  return `${name}: ${state ?? (active ? 'active' : 'inactive')}${events === undefined ? '' : `, ${events} events`}`;
};

/** Of the one session that is answered (session.show), or watched (session.watch). */
const ownerIn = ({ session, owner }: Body): string | null => {
  if (typeof owner === 'string') return owner;
  const of = (session as { readonly owner?: { readonly uid: unknown } } | undefined)?.owner;
  return of ? String(of.uid) : null;
};

/** In some words what a host answered. */
export const detailOf = (answer: Body): string => {
  const parts: string[] = [];
  if (typeof answer.session === 'object' && answer.session) parts.push(sessionText(answer.session as Session));
  if (Array.isArray(answer.sessions)) parts.push((answer.sessions as Session[]).map(sessionText).join('; ') || 'no sessions');
  const stats = answer.stats as Stats | undefined;
  if (stats) parts.push(`${stats.recorded} recorded, ${stats.lost} lost`);
  for (const key of ['path', 'location', 'archive']) if (typeof answer[key] === 'string') parts.push(String(answer[key]));
  return parts.join(', ');
};

export class FleetRun {
  readonly #options: OnOptions;
  readonly #stallMs: number;
  readonly #rows = new Map<string, Row>();
  readonly #owners = new Map<string, string>();
  /** Of the last request. */
  failures: readonly HostFailure[] = [];
  #shownAt = Number.NEGATIVE_INFINITY;

  constructor(options: OnOptions) {
    if (!COMMANDS.test(options.command))
      throw new UsageError(`--on is for commands about sessions, and ${options.command} is none`);
    if (options.all && !TWO_PHASES.test(options.command))
      throw new UsageError(
        `--all with --on is for start, stop, rotate and snapshot, which hosts prepare; ${options.command} is none`,
      );
    this.#options = options;
    this.#stallMs = stallMsOf(options.stall);
  }

  /** The merged answer of all hosts that did it; throws FaultError when none did. */
  async request(caller: FleetCaller, name: string, fields: Body): Promise<Body> {
    const report = await runFleetOperation({
      bus: caller.bus,
      clock: realClock,
      uid: caller.uid,
      who: caller.who,
      operation: randomUUID(),
      name,
      fields: this.#completed(name, fields),
      selector: this.#options.selector,
      all: this.#options.all && TWO_PHASE.includes(name),
      stallMs: this.#stallMs,
      hosts: () => caller.hosts(),
      progress: (answered, meant) => this.#show(answered, meant),
    });
    this.#options.terminal?.write('\r\x1b[K');
    return this.#note(report);
  }

  /** Nobody reads faster, and a thousand hosts answer within a moment. */
  #show(answered: number, meant: number): void {
    const now = performance.now();
    if (answered < meant && now - this.#shownAt < PROGRESS_MS) return;
    this.#shownAt = now;
    this.#options.terminal?.write(`\r${answered}/${meant} hosts `);
  }

  /** One name for all: each host would make one of its own time. */
  #completed(name: string, fields: Body): Body {
    const unnamed = name === 'session.create' && fields.name === undefined;
    return unnamed ? { ...fields, name: `auto-${localStamp(Date.now())}` } : fields;
  }

  #note({ hosts }: OperationReport): Body {
    this.failures = hosts.flatMap(({ host, error }) => (error ? [{ host, error }] : []));
    for (const { host, answer, error } of hosts) {
      const row = this.#rows.get(host) ?? { host, answer: null, error: null };
      this.#rows.set(host, { host, answer: answer ?? row.answer, error: row.error ?? error });
      const owner = answer && ownerIn(answer);
      if (owner !== null) this.#owners.set(host, owner);
    }
    const answers = hosts.filter((one): one is HostReport & { answer: Body } => one.ok).map(({ answer }) => answer);
    if (answers.length === 0) throw new FaultError(hosts.find(({ error }) => error)!.error!);
    return merged(answers);
  }

  /** Of the session that was asked for, which may have another one on each host; null: that host was not meant, or has it not. */
  ownerOn(host: string): string | null {
    return this.#owners.get(host) ?? null;
  }

  get asked(): boolean {
    return this.#rows.size > 0;
  }

  /** Instead of what the command would say of one host. */
  outcome(notes: readonly string[] = []): Outcome {
    const rows = [...this.#rows.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
    const failures = rows.filter(({ error }) => error).length;
    const state = failures === 0 ? 'done' : failures < rows.length ? 'partial' : 'failed';
    const lines = table([
      ['HOST', 'RESULT', 'DETAIL'],
      ...rows.map(({ host, answer, error }) => [
        host,
        error ? error.code : 'ok',
        error ? error.message : answer ? detailOf(answer) : '',
      ]),
    ]);
    const hosts = rows.map(({ host, answer, error }) => (error ? { host, ok: false, error } : { host, ok: true, answer }));
    return { lines, json: { state, selector: this.#options.selector, hosts }, notes, status: EXIT[state] };
  }
}
