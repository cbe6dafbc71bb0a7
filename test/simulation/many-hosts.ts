/**
 * A fleet as plain objects around the in-memory bus: each host beats, and prepares and does what it is told, with the product's leases;
 * one of them hears the others with the product's host machines and commands them. Messages are lost, late and doubled by a seed.
 */
import { type ActorRefFrom, createActor } from 'xstate';
import { type OperationReport, runFleetOperation } from '../../actors/fleet-operation.ts';
import { hostMachine } from '../../machines/host.ts';
import { leaseMachine, leaseOf } from '../../machines/lease.ts';
import type { Body } from '../../transport/bus.ts';
import { decodeBody, encodeBody } from '../../transport/codec.ts';
import type { HostView } from '../../transport/fleet-messages.ts';
import { type MemoryBus, MemoryFabric, type MemoryWire } from '../../transport/memory-bus.ts';
import { ANY, beatSubject, parseBeatSubject, realmSubtree } from '../../transport/subjects.ts';
import { settle } from '../support/world/clock.ts';
import type { Chance } from './chance.ts';
import { CALM, deliverIn, type Weather } from './weather.ts';

const UID = 1000;
const BEAT_MS = 5_000;

interface Due {
  readonly at: number;
  readonly task: () => void;
}

/** Millisecond by millisecond: ten thousand timers cost no more than the one that is due. */
export class ManyTimers {
  readonly #due = new Map<number, Set<Due>>();
  #now = 0;

  now(): number {
    return this.#now;
  }

  setTimeout(task: () => void, ms: number): Due {
    const due = { at: this.#now + Math.max(0, Math.ceil(ms)), task };
    const others = this.#due.get(due.at);
    if (others) others.add(due);
    else this.#due.set(due.at, new Set([due]));
    return due;
  }

  clearTimeout(timer: unknown): void {
    const due = timer as Due;
    this.#due.get(due.at)?.delete(due);
  }

  async until(what: string, holds: () => boolean, ms: number): Promise<void> {
    for (const end = this.#now + ms; !holds(); this.#now++) {
      if (this.#now > end) throw new Error(`not within ${ms} ms: ${what}`);
      await this.#turn();
    }
  }

  async advance(ms: number): Promise<void> {
    for (const end = this.#now + ms; this.#now < end; this.#now++) await this.#turn();
  }

  async #turn(): Promise<void> {
    for (let due = this.#due.get(this.#now); due?.size; due = this.#due.get(this.#now)) {
      this.#due.delete(this.#now);
      for (const { task } of due) task();
      await settle();
    }
    this.#due.delete(this.#now);
  }
}

/** A host that others command. */
class PlainHost {
  readonly name: string;
  readonly acted = new Set<string>();
  readonly leases = new Map<string, ActorRefFrom<typeof leaseMachine>>();
  alive = true;
  readonly #answers = new Map<string, Body>();
  readonly #fleet: ManyHosts;
  readonly #wire: MemoryWire;

  constructor(fleet: ManyHosts, name: string) {
    this.#fleet = fleet;
    this.name = name;
    this.#wire = fleet.fabric.connectWire();
    this.#wire.subscribe(realmSubtree(null, UID, 'fleet'), ({ bytes, reply }) => {
      const decoded = decodeBody(bytes);
      if (decoded.ok && reply !== null && this.alive) this.#answer(decoded.body, reply);
    });
    fleet.clock.setTimeout(() => this.#beat(), fleet.chance.below(BEAT_MS));
  }

  get holds(): number {
    return [...this.leases.values()].filter((lease) => lease.getSnapshot().status === 'active').length;
  }

  #beat(): void {
    if (!this.alive) return;
    const encoded = encodeBody({ v: 1 }, 'msgpack');
    if (encoded.ok) this.#wire.send(beatSubject({ host: this.name, uid: UID }), encoded.bytes);
    this.#fleet.clock.setTimeout(() => this.#beat(), BEAT_MS);
  }

  /** A message that comes twice is one. */
  #answer(body: Body, reply: string): void {
    const id = String(body.id);
    const said = this.#answers.get(id) ?? this.#act(String(body.operation), body);
    this.#answers.set(id, said);
    const encoded = encodeBody({ v: 1, id, host: this.name, ...said }, 'msgpack');
    if (encoded.ok) this.#wire.send(reply, encoded.bytes);
  }

  #act(operation: string, { phase, leaseMs }: Body): Body {
    if (phase === 'prepare') return this.#prepare(operation, leaseMs);
    const lease = this.leases.get(operation);
    const held = lease?.getSnapshot().status === 'active';
    if (phase === 'commit' && !held) return refused('lease-ended');
    lease?.send({ type: phase === 'abort' ? 'Aborted' : 'Committed' });
    if (phase !== 'abort') this.acted.add(operation);
    return { ok: true };
  }

  #prepare(operation: string, leaseMs: unknown): Body {
    if (this.#fleet.chance.often(this.#fleet.refusals)) return refused('session-not-found');
    const input = { operation, session: 's', command: 'session.start', leaseMs: leaseOf(leaseMs) };
    const machine = leaseMachine.provide({ actions: { forgetLease: () => {} } });
    const lease = createActor(machine, { input, clock: this.#fleet.clock });
    this.leases.set(operation, lease);
    lease.start();
    lease.send({ type: 'Prepared' });
    return { ok: true };
  }
}

const refused = (code: string): Body => ({ ok: false, error: { code, message: code, hint: '' } });

export interface Ended {
  readonly operation: string;
  readonly report: OperationReport;
  readonly tookMs: number;
}

export class ManyHosts {
  readonly clock = new ManyTimers();
  readonly chance: Chance;
  readonly fabric: MemoryFabric;
  readonly hosts: readonly PlainHost[];
  /** As the caller hears them. */
  readonly heard = new Map<string, ActorRefFrom<typeof hostMachine>>();
  weather: Weather = CALM;
  /** How many of a thousand refuse, as a fraction. */
  refusals = 0;
  readonly #bus: MemoryBus;
  #operations = 0;

  constructor(chance: Chance, count: number) {
    this.chance = chance;
    const after = (ms: number, task: () => void): void => void this.clock.setTimeout(task, ms);
    this.fabric = new MemoryFabric({
      defer: deliverIn(() => this.weather, chance, after),
      after: (ms, task) => {
        const timer = this.clock.setTimeout(task, ms);
        return () => this.clock.clearTimeout(timer);
      },
    });
    this.#bus = this.fabric.connect();
    this.#bus.subscribe(beatSubject({ host: ANY, uid: UID }), ({ subject }) => this.#hear(subject));
    this.hosts = Array.from({ length: count }, (_, i) => new PlainHost(this, `host-${i}`));
  }

  async operate(name: string, all: boolean, stallMs: number): Promise<Ended> {
    const operation = `operation-${++this.#operations}`;
    const begin = this.clock.now();
    let report: OperationReport | null = null;
    let thrown: unknown = null;
    runFleetOperation({
      bus: this.#bus,
      clock: this.clock,
      uid: UID,
      who: 'alice',
      operation,
      name,
      fields: { session: 's' },
      selector: '*',
      all,
      stallMs,
      hosts: async () => this.#views(),
      progress: () => {},
    }).then(
      (ended) => {
        report = ended;
      },
      (error: unknown) => {
        thrown = error;
      },
    );
    await this.clock.until('the operation ended', () => report !== null || thrown !== null, 120_000);
    if (!report) throw thrown;
    return { operation, report, tookMs: this.clock.now() - begin };
  }

  #hear(subject: string): void {
    const host = parseBeatSubject(subject)?.host;
    if (host === undefined) return;
    const known = this.heard.get(host) ?? createActor(hostMachine, { input: { host }, clock: this.clock }).start();
    this.heard.set(host, known);
    const clock = { reference: null, offsetNs: 0, uncertaintyNs: null };
    const said = { machine: host, machineId: host, bootId: '', labels: {}, version: '', sessions: 0, load: 0, clock };
    known.send({ type: 'BeatSeen', beat: { ...said, atMs: this.clock.now() } });
  }

  #views(): HostView[] {
    return [...this.heard].flatMap(([host, actor]) => {
      const { value: state, context } = actor.getSnapshot();
      if (!context.beat) return [];
      const { machine: _machine, atMs, ...said } = context.beat;
      return [{ host, uid: UID, state, ...said, lastBeatMs: atMs, machines: [] }];
    });
  }
}
