/**
 * Kills drawn by a seed, while programs come, record and go. Three sessions record the same events: per-user and per-process buffers
 * that discard, and per-user buffers that overwrite. What they say in the end must add up.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkTrace as checkFiles } from '../../ctf/check-trace.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { babeltrace, checkTrace, Weft } from '../support/weft.ts';

type Role = Parameters<Weft['readPid']>[0];
type Program = Awaited<ReturnType<Weft['counter']>>;
type Victim = Role | 'application';

const VICTIMS: readonly (readonly Victim[])[] = [
  ['sessiond'],
  ['consumer'],
  ['bus'],
  ['keeper'],
  ['application'],
  ['sessiond', 'consumer'],
  ['sessiond', 'bus'],
  ['sessiond', 'application'],
  ['consumer', 'application'],
  ['consumer', 'bus'],
  ['keeper', 'bus'],
  ['keeper', 'consumer'],
  ['keeper', 'sessiond'],
  ['keeper', 'sessiond', 'consumer'],
];

const THREADS = 2;
/** A program whose daemon takes long waits for it: events before it is registered are in no session. */
const PATIENT = { WEFT_REGISTER_TIMEOUT: '60000' };
/** Of counter's thread ids. */
const PROGRAMS_MAX = 512 / THREADS;
const RUNNING = 3;
const PERIOD_NS = 100_000;

const SESSIONS = {
  user: ['--subbuf-size=256K', '--num-subbuf=8'],
  process: ['--subbuf-size=128K', '--num-subbuf=8', '--buffers-pid'],
  overwriting: ['--subbuf-size=64K', '--num-subbuf=4', '--overwrite'],
} as const;

/** Numbers below `below`, the same ones for the same seed (mulberry32). */
const drawing = (seed: number) => {
  let state = seed >>> 0;
  return (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
};

const until = async (what: () => string, holds: () => boolean, ms = PATIENCE_MS): Promise<void> => {
  const deadline = Date.now() + ms;
  while (!holds()) {
    assert.ok(Date.now() < deadline, `waited too long: ${what()}`);
    await new Promise((done) => setTimeout(done, 10));
  }
};

export interface ChaosReport {
  readonly kills: number;
  readonly programs: number;
  /** Confirmed by the programs, and how many more a killed thread may have made. */
  readonly emitted: number;
  readonly slack: number;
  readonly faults: readonly string[];
}

export class Chaos {
  readonly #weft = new Weft();
  readonly #draw: (below: number) => number;
  readonly #say: (line: string) => void;
  readonly #running: Program[] = [];
  readonly #confirm: string;
  #started = 0;
  #barriers = 0;
  #kills = 0;
  #slack = 0;

  constructor(seed: number, say: (line: string) => void) {
    this.#draw = drawing(seed);
    this.#say = say;
    this.#confirm = join(this.#weft.home, 'confirm');
  }

  async run(seconds: number): Promise<ChaosReport> {
    for (const [name, channel] of Object.entries(SESSIONS)) this.#weft.session(name, channel);
    const deadline = Date.now() + seconds * 1000;
    while (Date.now() < deadline && this.#started + RUNNING < PROGRAMS_MAX) {
      await this.#fill();
      await this.#strike(VICTIMS[this.#draw(VICTIMS.length)]!);
      if (this.#draw(3) === 0) await this.#retire();
    }
    while (this.#running.length > 0) await this.#retire();
    for (const name of Object.keys(SESSIONS)) {
      await this.#ok('stop', name);
      await this.#ok('destroy', name);
    }
    return this.#report();
  }

  dispose(): void {
    this.#weft.dispose();
  }

  /**
   * A program starts when everything is back: the daemon lets one go that it cannot attach within two seconds, and what that one
   * does until then is in no session. A change of a session is answered when its rings are attached.
   */
  async #fill(): Promise<void> {
    while (this.#running.length < RUNNING) {
      const nobodys = `nobody:${++this.#barriers}`;
      for (const name of Object.keys(SESSIONS)) await this.#ok('enable-event', '-u', '-s', name, '-c', 'ch', nobodys);
      const first = this.#started++ * THREADS;
      this.#running.push(
        await this.#weft.counter({ threads: THREADS, periodNs: PERIOD_NS, first, confirm: this.#confirm, env: PATIENT }),
      );
    }
  }

  async #strike(victims: readonly Victim[]): Promise<void> {
    this.#say(`${++this.#kills}: ${victims.join(' and ')}`);
    await this.#advance(50 + this.#draw(500));
    const application = victims.includes('application') ? this.#running.splice(this.#draw(this.#running.length), 1)[0]! : null;
    const roles = victims.filter((victim) => victim !== 'application');
    const pids = roles.map((role) => this.#weft.readPid(role));
    for (const pid of [...pids, ...(application ? [application.child.pid!] : [])]) process.kill(pid, 'SIGKILL');
    if (application) {
      this.#slack += THREADS;
      await application.ended;
    }
    await this.#advance(50 + this.#draw(500));
    await this.#ok('list');
    for (const role of roles)
      await until(
        () => `${role} is back`,
        () => this.#weft.processes().some((one) => one.role === role),
      );
  }

  /** A kill counts only while the programs record. */
  async #advance(more: number): Promise<void> {
    await this.#running[0]?.advance(more);
  }

  async #retire(): Promise<void> {
    const [program] = this.#running.splice(this.#draw(this.#running.length), 1);
    await program?.stop();
  }

  /** The command succeeds once what was killed is back. */
  async #ok(...args: string[]): Promise<void> {
    let last = '';
    await until(
      () => `weft ${args.join(' ')}: ${last}`,
      () => {
        const ran = this.#weft.run(...args);
        last = ran.stderr;
        return ran.status === 0;
      },
      30_000,
    );
  }

  #report(): ChaosReport {
    const bytes = readFileSync(this.#confirm);
    const confirmed = Array.from({ length: bytes.length / 8 }, (_, thread) => Number(bytes.readBigUInt64LE(thread * 8)));
    const emitted = confirmed.reduce((sum, count) => sum + count, 0);
    const faults = Object.keys(SESSIONS).flatMap((name) => this.#faultsOf(name, confirmed).map((fault) => `${name}: ${fault}`));
    return { kills: this.#kills, programs: this.#started, emitted, slack: this.#slack, faults };
  }

  /** `confirmed`: events by thread. */
  #faultsOf(name: string, confirmed: readonly number[]): readonly string[] {
    const trace = this.#weft.trace(name);
    const { recorded, lost, duplicates, disorder, errors, threads } = checkTrace(trace);
    const read = babeltrace(trace);
    const sum = recorded + lost;
    const least = confirmed.reduce((total, count) => total + count, 0);
    const most = least + this.#slack;
    const short = confirmed.flatMap((count, thread) => {
      const missing = count - (threads[thread]?.count ?? 0);
      return missing > 0 ? [`${missing} of ${count} of thread ${thread}`] : [];
    });
    return [
      ...(sum >= least && sum <= most
        ? []
        : [`${recorded} recorded + ${lost} lost = ${sum}, emitted ${least} to ${most}; not recorded: ${short.join(', ')}`]),
      ...(duplicates === 0 ? [] : [`${duplicates} events twice`]),
      ...(disorder === 0 ? [] : [`${disorder} events out of order`]),
      ...errors,
      ...checkFiles(trace).errors,
      ...(read.status === 0 && read.complaints === '' ? [] : [`babeltrace2: status ${read.status}: ${read.complaints}`]),
      ...(read.events === recorded ? [] : [`babeltrace2 reads ${read.events} events, the files hold ${recorded}`]),
    ];
  }
}
