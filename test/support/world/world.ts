/**
 * One host in memory: session daemon and consumers run their real machines and actors, upon a keeper, rings, files, sockets, bus and
 * clock of the world. Any of its processes can be killed, any of its ports can fail or hang, and time passes when told to.
 */
import type { InspectionEvent } from 'xstate';
import { LIMITS, type Limits } from '../../../actors/limits.ts';
import type { ParcelDocument } from '../../../actors/parcels.ts';
import type { Clock, Disk, FleetDisk, Log, ParcelDisk, RingFiles, TriggerDisk } from '../../../actors/ports.ts';
import type { SessionDocument } from '../../../machines/document.ts';
import type { FollowedSessions } from '../../../machines/fleet-document.ts';
import type { TriggerDocument } from '../../../machines/trigger-document.ts';
import type { Body, Bus, BusMessage, Reply } from '../../../transport/bus.ts';
import { type MemoryBus, MemoryFabric } from '../../../transport/memory-bus.ts';
import type { CommandName } from '../../../transport/messages.ts';
import { commandSubject } from '../../../transport/subjects.ts';
import { type ApplicationOptions, WorldApplication } from './application.ts';
import { settle, WorldClock } from './clock.ts';
import { WorldConsumer } from './consumer-process.ts';
import { WorldDaemon } from './daemon.ts';
import { WorldKeeper } from './keeper.ts';
import { Kernel, type SocketEnd } from './kernel.ts';
import { Faults, type Life } from './mortal.ts';
import { type RingMemory, TraceFiles } from './rings.ts';

export const UID = 1000;

/** What is not the same for each host of several. */
export interface Nature {
  readonly hostname: string;
  /** Another host of the same fleet, with the same clock and bus. */
  readonly world: World;
  readonly clock: WorldClock;
  /** What the bus of its processes is besides the local one. */
  readonly busOf: (local: MemoryBus) => Bus;
}

export class World {
  readonly clock: WorldClock;
  readonly busOf: Nature['busOf'];
  readonly kernel = new Kernel();
  readonly files = new TraceFiles();
  readonly faults = new Faults((ms) => new Promise((resolve) => void this.clock.setTimeout(resolve, ms)));
  readonly fabric: MemoryFabric;
  readonly logs: string[] = [];
  readonly events: BusMessage[] = [];
  readonly crashes: string[] = [];
  readonly documents = new Map<string, string>();
  readonly triggers = new Map<string, string>();
  readonly parcels = new Map<string, string>();
  readonly connections = new Set<unknown>();
  readonly cleanups: (() => void)[] = [];
  /** Every ring set that was ever made. */
  readonly memories: RingMemory[] = [];
  readonly inspectors: ((event: InspectionEvent) => void)[];
  readonly disk: Disk & TriggerDisk & ParcelDisk & FleetDisk;
  fleetSessions: FollowedSessions = {};
  readonly ringFiles: RingFiles = { makeDirectory: () => {}, describe: () => {}, open: () => null, remove: () => {} };
  consumers: WorldConsumer[] = [];
  applications: WorldApplication[] = [];
  keeper: WorldKeeper;
  daemon: WorldDaemon | null = null;
  limits: Limits = LIMITS;
  memory = 1 << 30;
  bootId = 'b'.repeat(32);
  readonly hostname: string;
  /** Its real time minus that of the world's clock. */
  clockOffsetNs = 0n;
  /** The domain of the fleet that the host belongs to. */
  fleet: string | null = null;
  lockHolder: unknown = null;
  /** Ends the scenario at its next wait. */
  broken: Error | null = null;
  #pids = 100;
  #ids = 0;
  #requests = 0;
  #numbers = 0;
  #client;

  /** `deliver`: how the bus treats a message; absent: at once, in order. */
  constructor(
    inspector?: (event: InspectionEvent) => void,
    deliver: (task: () => void) => void = queueMicrotask,
    nature: Partial<Nature> = {},
  ) {
    const { world: beside, hostname = 'host', clock = new WorldClock(), busOf = (local) => local } = nature;
    this.clock = beside?.clock ?? clock;
    this.hostname = hostname;
    this.busOf = busOf;
    this.inspectors = inspector ? [inspector] : [];
    this.fabric =
      beside?.fabric ??
      new MemoryFabric({
        defer: deliver,
        after: (ms, task) => {
          const timer = this.clock.setTimeout(task, ms);
          return () => this.clock.clearTimeout(timer);
        },
      });
    this.keeper = this.#newKeeper();
    this.disk = this.#newDisk();
    this.#client = this.connectBus();
    this.#client.subscribe(`weft.v1.${this.hostname}.1000.evt.>`, (message) => this.events.push(message));
    this.#client.subscribe(`weft.v1.${this.hostname}.1000.inspect.>`, (message) => this.events.push(message));
  }

  // What the processes of the world call.

  clockOf(life: Life): Clock {
    return {
      now: () => this.clock.now(),
      setTimeout: (task, ms) => this.clock.setTimeout(() => life.alive && task(), ms),
      clearTimeout: (timer) => this.clock.clearTimeout(timer),
    };
  }

  logOf(who: string): Log {
    const write = (what: string, fields?: Body) => void this.logs.push(`${who}: ${what} ${JSON.stringify(fields ?? {})}`);
    return { info: write, warn: write, error: write };
  }

  hex(bytes: number): string {
    return (++this.#ids)
      .toString(16)
      .padStart(bytes * 2, '0')
      .slice(-bytes * 2);
  }

  connectBus() {
    return this.fabric.connect({ clock: () => this.clock.now() });
  }

  note(what: string): void {
    this.logs.push(`world: ${what}`);
  }

  crashed(who: string, thrown: unknown): void {
    this.crashes.push(`${who}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }

  inspect(event: InspectionEvent): void {
    for (const inspector of this.inspectors) inspector(event);
  }

  /** The wait page: programs that found no daemon register now. */
  wake(): void {
    for (const application of this.applications) if (application.closed) application.register();
  }

  releaseLock(holder: unknown): void {
    if (this.lockHolder === holder) this.lockHolder = null;
  }

  daemonGone(): void {
    this.keeper.forgetReceiver();
    for (const connection of this.connections) (connection as SocketEnd).close();
    this.connections.clear();
    this.#orphan();
  }

  consumerEnded(consumer: WorldConsumer, signal: NodeJS.Signals | null): void {
    if (!this.consumers.includes(consumer)) return;
    this.consumers = this.consumers.filter((one) => one !== consumer);
    consumer.die();
    this.keeper.ended(consumer.id, signal);
  }

  /** Nothing of it runs on, and nothing that it put on the real disk is left. */
  end(): void {
    for (const cleanup of this.cleanups) cleanup();
    this.daemon?.die();
    for (const consumer of [...this.consumers]) consumer.die();
  }

  // What a scenario does.

  async start(): Promise<WorldDaemon> {
    this.daemon = new WorldDaemon(this, ++this.#pids);
    await this.until('the daemon serves', () => this.serving || !!this.daemon?.ended || this.crashes.length > 0, 200_000);
    return this.daemon;
  }

  /** Without waiting for it. */
  launch(): WorldDaemon {
    this.daemon = new WorldDaemon(this, ++this.#pids);
    return this.daemon;
  }

  get serving(): boolean {
    return this.daemon?.state.includes('serving') ?? false;
  }

  killDaemon(): void {
    this.daemon?.die();
    this.daemon = null;
  }

  async restart(): Promise<WorldDaemon> {
    this.killDaemon();
    await settle();
    return this.start();
  }

  killConsumer(): void {
    const [consumer] = this.consumers;
    if (!consumer) throw new Error('no consumer runs');
    this.consumerEnded(consumer, 'SIGKILL');
  }

  killKeeper(): void {
    this.keeper.die();
    this.#orphan();
  }

  startKeeper(): void {
    if (!this.keeper.alive) this.keeper = this.#newKeeper();
  }

  /** Power cut: everything that is not on disk is gone, and the clocks begin anew. */
  reboot(): void {
    this.killDaemon();
    for (const application of this.applications) application.exit();
    this.applications = [];
    for (const consumer of [...this.consumers]) this.consumerEnded(consumer, 'SIGKILL');
    this.keeper.die();
    this.keeper = this.#newKeeper();
    this.bootId = 'c'.repeat(32);
  }

  run(options: Partial<ApplicationOptions> = {}): WorldApplication {
    const application = new WorldApplication(this.kernel, 'apps.sock', {
      peer: { pid: ++this.#pids, uid: UID, gid: UID },
      ...options,
    });
    this.applications.push(application);
    return application;
  }

  /** A program that is registered and synchronised. */
  async program(options: Partial<ApplicationOptions> = {}): Promise<WorldApplication> {
    const application = this.run(options);
    application.register();
    await this.until('the program is synchronised', () => application.synced === 1, 60_000);
    return application;
  }

  /** So many events, each with a number of its own. */
  record(application: WorldApplication, events: number): number[] {
    return Array.from({ length: events }, () => ++this.#numbers).filter((number) => application.record(number) > 0);
  }

  /** Of the newest event. */
  get lastNumber(): number {
    return this.#numbers;
  }

  nextNumber(): number {
    return ++this.#numbers;
  }

  ask(name: CommandName, fields: Body = {}, options: { who?: number; id?: string; timeoutMs?: number } = {}): Promise<Reply> {
    const [noun, verb] = name.split('.') as [string, string];
    const subject = commandSubject({ host: this.hostname, uid: UID, realm: 'local', who: options.who ?? UID, noun, verb });
    const id = options.id ?? `request-${++this.#requests}`;
    return this.#client.request(subject, { v: 1, id, ...fields }, options.timeoutMs ?? 300_000);
  }

  /** Asks and lets time pass until there is an answer. */
  async command(name: CommandName, fields: Body = {}, options: { who?: number; id?: string } = {}): Promise<Reply> {
    let reply: Reply | null = null;
    void this.ask(name, fields, options).then((answer) => {
      reply = answer;
    });
    await this.until(`an answer to ${name}`, () => reply !== null, 310_000);
    return reply!;
  }

  /** A command that must succeed. */
  async ok(name: CommandName, fields: Body = {}, options: { who?: number; id?: string } = {}): Promise<Body> {
    const reply = await this.command(name, fields, options);
    if (!reply.ok) throw new Error(`${name}: ${reply.fault.code}: ${reply.fault.message}`);
    return reply.body;
  }

  /** A command that must be refused; its code. */
  async refused(name: CommandName, fields: Body = {}, options: { who?: number; id?: string } = {}): Promise<string> {
    const reply = await this.command(name, fields, options);
    if (reply.ok) throw new Error(`${name} was not refused`);
    return reply.fault.code;
  }

  until(what: string, holds: () => boolean, ms: number): Promise<void> {
    const unbroken = (): boolean => {
      if (this.broken) throw this.broken;
      return holds();
    };
    return this.clock.until(what, unbroken, ms);
  }

  advance(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  rest(): Promise<void> {
    return settle();
  }

  document(name: string): SessionDocument | undefined {
    return [...this.documents.values()].map((text) => JSON.parse(text) as SessionDocument).find((one) => one.name === name);
  }

  logged(what: string): boolean {
    return this.logs.some((line) => line.includes(what));
  }

  published(noun: string, what: string): readonly BusMessage[] {
    return this.events.filter(({ subject }) => {
      const tokens = subject.split('.');
      return tokens[4] === 'evt' && tokens[6] === noun && tokens[8] === what;
    });
  }

  #newKeeper(): WorldKeeper {
    return new WorldKeeper(
      this.kernel,
      {
        start: (spec) => {
          const pid = ++this.#pids;
          if (spec.role !== 'consumer') return { pid, linkFd: null };
          const peer = { pid, uid: spec.uid, gid: spec.gid };
          const [mine, theirs] = this.kernel.pair({ pid: 0, uid: UID, gid: UID }, peer);
          this.consumers.push(new WorldConsumer(this, spec.id, pid, spec.uid, theirs));
          return { pid, linkFd: this.kernel.fd(mine) };
        },
        lives: (pid) => this.consumers.some((consumer) => consumer.pid === pid),
        kill: (spec) => {
          const consumer = this.consumers.find(({ id }) => id === spec.id);
          if (consumer) this.consumerEnded(consumer, 'SIGKILL');
        },
      },
      ++this.#pids,
    );
  }

  #newDisk(): Disk & TriggerDisk & ParcelDisk & FleetDisk {
    return {
      load: async () => [...this.documents.values()].map((text) => JSON.parse(text) as SessionDocument),
      write: async (document) => void this.documents.set(document.id, JSON.stringify(document)),
      remove: async (sessionId) => void this.documents.delete(sessionId),
      loadTriggers: async () => [...this.triggers.values()].map((text) => JSON.parse(text) as TriggerDocument),
      writeTrigger: async (trigger) => void this.triggers.set(trigger.id, JSON.stringify(trigger)),
      loadFleetSessions: async () => this.fleetSessions,
      writeFleetSessions: async (followed) => {
        this.fleetSessions = JSON.parse(JSON.stringify(followed)) as FollowedSessions;
      },
      removeTrigger: async (id) => void this.triggers.delete(id),
      loadParcels: async () => [...this.parcels.values()].map((text) => JSON.parse(text) as ParcelDocument),
      writeParcel: async (parcel) => void this.parcels.set(parcel.id, JSON.stringify(parcel)),
      removeParcel: async (id) => void this.parcels.delete(id),
    };
  }

  /** With daemon and keeper gone nobody holds the other end of the consumers' sockets. */
  #orphan(): void {
    if (this.keeper.alive || this.daemon?.life.alive) return;
    for (const consumer of this.consumers) queueMicrotask(() => consumer.link.hangUp());
  }
}
