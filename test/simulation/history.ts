/**
 * One history of the in-memory world: a seeded sequence of commands, programs, kills and trouble, then calm. The real machines and
 * actors run; what they promised must hold in the end.
 */
import type { Body, Reply } from '../../transport/bus.ts';
import type { CommandName } from '../../transport/messages.ts';
import type { WorldApplication } from '../support/world/application.ts';
import type { Trouble } from '../support/world/mortal.ts';
import { World } from '../support/world/world.ts';
import { Chance } from './chance.ts';
import { CALM, deliverIn, type Weather, weatherOf } from './weather.ts';

/** How long a caller waits before it asks again, with the same request id. */
const ASK_MS = 5_000;
const SESSIONS = ['s', 't'] as const;
export type SessionName = (typeof SESSIONS)[number];
export const outputOf = (session: string): string => `/out/${session}`;

export class History {
  readonly seed: number;
  readonly chance: Chance;
  readonly world: World;
  readonly steps: string[] = [];
  readonly programs: WorldApplication[] = [];
  /** Wanted activity by session, as the last answered command left it; null: an answer is missing. */
  readonly active = new Map<string, boolean | null>();
  /** Numbers that a session held when it was destroyed with success are in its trace; those recorded later nobody promised. */
  excused = 0;
  /** A destruction was refused or not answered: what it left is not known. */
  doubtful = false;
  killed = false;
  weather: Weather = CALM;
  #requests = 0;
  #keeperKilled = false;

  constructor(seed: number) {
    this.seed = seed;
    this.chance = new Chance(seed);
    const late = (ms: number, task: () => void): void => void this.world.clock.setTimeout(task, ms);
    this.world = new World(
      undefined,
      deliverIn(() => this.weather, this.chance, late),
    );
  }

  /** Asks until there is an answer; null: not within its time. */
  async ask(name: CommandName, fields: Body, withinMs = 120_000): Promise<Reply | null> {
    const id = `h-${++this.#requests}`;
    let answer: Reply | null = null;
    const end = this.world.clock.now() + withinMs;
    while (!answer && this.world.clock.now() < end) {
      let over = false;
      void this.world.ask(name, fields, { id, timeoutMs: ASK_MS }).then((reply) => {
        over = true;
        if (reply.ok || !TRANSIENT.includes(reply.fault.code)) answer ??= reply;
      });
      await this.world.until(`${name} is answered or given up`, () => over, ASK_MS * 4);
      if (!answer) await this.world.advance(200);
    }
    this.steps.push(`${name} ${JSON.stringify(fields)} -> ${answer ? outcome(answer) : 'no answer'}`);
    return answer;
  }

  async run(): Promise<void> {
    await this.world.start();
    this.weather = weatherOf(this.chance);
    await this.#begin();
    const length = 6 + this.chance.below(14);
    for (let step = 0; step < length; step++) await this.#step();
  }

  /** Trouble ends: everything runs again, and has had time. */
  async calm(): Promise<void> {
    const { world } = this;
    this.weather = CALM;
    world.faults.clear();
    world.files.broken = null;
    world.fabric.restore();
    if (!world.keeper.alive) world.startKeeper();
    if (!world.serving) await world.restart();
    await world.advance(90_000);
  }

  /** Keeper and daemon died together: the memory had no other holder. */
  get memoryGone(): boolean {
    return this.#keeperKilled && this.world.logged('the rings of a trace are gone');
  }

  async #begin(): Promise<void> {
    for (const session of SESSIONS.slice(0, 1 + this.chance.below(2))) {
      await this.ask('session.create', { name: session, output: outputOf(session) });
      const ownership = this.chance.of(['user', 'user', 'process']);
      await this.ask('channel.enable', { session, name: 'channel0', attributes: { ownership } });
      await this.ask('event.enable', { session, pattern: 'weft_test:*' });
    }
  }

  async #step(): Promise<void> {
    const [, , act] = this.#drawn();
    await act();
  }

  #drawn(): Act {
    const sum = this.#acts.reduce((total, [weight]) => total + weight, 0);
    let at = this.chance.below(sum);
    for (const act of this.#acts) {
      at -= act[0];
      if (at < 0) return act;
    }
    throw new Error('weights');
  }

  readonly #acts: readonly Act[] = [
    [6, 'start', async () => this.#turn('session.start', true)],
    [4, 'stop', async () => this.#turn('session.stop', false)],
    [1, 'destroy', async () => this.#destroy()],
    [2, 'disable', async () => void (await this.ask('event.disable', { session: this.#session(), all: true }))],
    [2, 'enable', async () => void (await this.ask('event.enable', { session: this.#session(), pattern: 'weft_test:*' }))],
    [4, 'rotate', async () => void (await this.ask('session.rotate', { session: this.#session() }))],
    [2, 'snapshot', async () => this.#snapshot()],
    [2, 'trigger', async () => this.#trigger()],
    [6, 'program', async () => this.#program()],
    [2, 'exit', async () => this.#exit()],
    [14, 'record', async () => this.#record()],
    [6, 'wake', async () => this.#wake()],
    [3, 'kill daemon', async () => this.#kill('daemon')],
    [3, 'kill consumer', async () => this.#kill('consumer')],
    [1, 'kill keeper', async () => this.#kill('keeper')],
    [2, 'restart', async () => this.#restart()],
    [1, 'cut', async () => this.#cut()],
    [2, 'disk', async () => this.#trouble()],
    [1, 'clock', async () => this.world.clock.jump(this.chance.below(7_200_000) - 2_880_000)],
    [6, 'time', async () => this.world.advance(this.chance.of([1, 50, 2_000, 30_000]))],
  ];

  async #turn(name: 'session.start' | 'session.stop', active: boolean): Promise<void> {
    const session = this.#session();
    const reply = await this.ask(name, { session });
    const settled = reply?.ok || reply?.fault.code === (active ? 'already-started' : 'already-stopped');
    if (settled) this.active.set(session, active);
    else if (reply?.fault.code !== 'session-not-found') this.active.set(session, null);
  }

  /** Of a session that records as well. */
  async #snapshot(): Promise<void> {
    await this.ask('snapshot.record', { session: this.#session(), path: '/out/snapshots' });
  }

  async #trigger(): Promise<void> {
    const name = this.chance.of(['one', 'two']);
    if (this.chance.often(0.3)) {
      await this.ask('trigger.remove', { name });
      return;
    }
    const rate = { kind: this.chance.of(['every', 'once-after']), count: 1 + this.chance.below(3) };
    const rule = { pattern: 'weft_test:*', logLevel: null, exclusions: [], filter: null };
    const action = this.chance.of(['notify', 'rotate-session']);
    await this.ask('trigger.add', {
      name,
      condition: { kind: 'event-rule-matches', rule, captures: ['number'] },
      actions: [action === 'notify' ? { kind: action, rate } : { kind: action, session: this.#session(), rate }],
    });
  }

  async #destroy(): Promise<void> {
    const session = this.#session();
    const reply = await this.ask('session.destroy', { session });
    if (reply && !reply.ok && reply.fault.code === 'session-not-found') return;
    this.active.delete(session);
    if (!reply?.ok) this.doubtful = true;
    this.excused = this.world.lastNumber;
  }

  #session(): SessionName {
    return this.chance.often(0.7) ? 's' : 't';
  }

  #program(): void {
    const program = this.world.run({ rseq: this.chance.often(0.8) });
    this.programs.push(program);
    this.steps.push(`program ${program.pid}`);
    try {
      program.register();
    } catch {
      program.closed = true; // nobody listens: it waits for the wake page
    }
  }

  #exit(): void {
    const program = this.programs[this.chance.below(Math.max(1, this.programs.length))];
    if (!program) return;
    this.steps.push(`exit ${program.pid}`);
    program.exit();
    this.programs.splice(this.programs.indexOf(program), 1);
    this.world.applications.splice(this.world.applications.indexOf(program), 1);
  }

  #record(): void {
    for (const program of this.programs) this.world.record(program, this.chance.below(4));
  }

  #wake(): void {
    for (const consumer of this.world.consumers) for (const reader of consumer.readers) reader.wake();
  }

  #kill(what: 'daemon' | 'consumer' | 'keeper'): void {
    const { world } = this;
    this.steps.push(`kill ${what}`);
    this.killed = true;
    if (what === 'daemon') {
      world.killDaemon();
      // The keeper starts the next one; now and then that takes long.
      if (this.chance.often(0.8)) world.clock.setTimeout(() => this.#launch(), this.chance.below(300));
    }
    if (what === 'consumer' && world.consumers.length > 0) world.killConsumer();
    // Without a daemon nobody starts another keeper, and the memory has no other holder: that is a reboot of Weft.
    if (what === 'keeper' && world.serving && world.keeper.alive) {
      this.#keeperKilled = true;
      world.killKeeper();
    }
  }

  #launch(): void {
    if (this.world.daemon) return;
    this.steps.push('the daemon starts again');
    if (!this.world.keeper.alive) this.world.startKeeper();
    this.world.launch();
  }

  async #restart(): Promise<void> {
    this.#launch();
    await this.world.advance(this.chance.of([0, 10, 5_000]));
  }

  async #cut(): Promise<void> {
    this.steps.push('cut');
    this.world.fabric.cut();
    await this.world.advance(this.chance.of([10, 3_000]));
    this.world.fabric.restore();
  }

  #trouble(): void {
    const name = this.chance.of(['disk.write', 'reader.flush', 'keeper.deposit', 'keeper.spawn', 'native.createRingSet']);
    const trouble = this.chance.of<Trouble>(name.startsWith('native') ? ['fail'] : ['fail', 20, 4_000]);
    this.steps.push(`${name}: ${trouble}`);
    this.world.faults.plan(name, trouble, { times: 1 + this.chance.below(2), after: this.chance.below(3) });
  }
}

type Act = readonly [weight: number, name: string, act: () => Promise<void>];

/** Worth asking again: the daemon is away, or the answer was lost. */
const TRANSIENT = ['timeout', 'no-responder', 'bus-cut'];

const outcome = (reply: Reply): string => (reply.ok ? 'ok' : reply.fault.code);
