/**
 * The applications at the registration socket: what they can record (points) and what they were told (channels). A command counts
 * as done when the application acknowledged it, or is gone.
 */
import type { ApplicationIdentity } from '../machines/application.ts';
import type { ContextType, PointDescription, RegistryScope } from '../machines/document.ts';
import type { Geometry, MapGeometry, SeqpacketConnection } from '../native/addon/index.ts';
import type { PlacedCapture } from '../rules/capture.ts';
import { ApplicationCounts } from './application-counts.ts';
import { type Deferred, deferred } from './deferred.ts';
import type { Clock } from './ports.ts';
import { encodeWire, type MessageName, type MessageOf } from './wire.ts';

const RETRY_MS = 5;

export interface WantedPoint {
  readonly eventId: number;
  /** What runs before anything is recorded (native/ust/bytecode.h); empty: everything is. */
  readonly filter: Buffer;
}

/** How a channel is to stand in an application. */
export interface WantedChannel {
  readonly key: string; // session and channel
  readonly ringId: string;
  readonly geometry: Geometry;
  readonly contexts: readonly ContextType[];
  /** How long a writer waits for space; 0: not at all. */
  readonly blockingNs: bigint;
  readonly fds: readonly [ringFd: number, readerFdReadOnly: number];
  readonly points: ReadonlyMap<number, WantedPoint>;
  readonly started: boolean;
}

/** What a trigger wants of a point: a filter (empty: none), and what a notification carries. */
export interface WatchedPoint {
  readonly filter: Buffer;
  readonly captures: readonly PlacedCapture[];
}

/** A point that counts into a slot of a map. */
export interface WantedCount {
  readonly mapId: string;
  readonly geometry: MapGeometry;
  readonly fd: number;
  readonly watch: number;
  readonly point: number;
  readonly slot: number;
  /** However many count an event into the slot, it counts once. */
  readonly once: boolean;
  /** Empty: none. */
  readonly filter: Buffer;
}

interface ToldChannel {
  readonly handle: number;
  readonly ringId: string;
  readonly cpuCount: number;
  /** null: it refused, and stands as it did before. */
  readonly points: Map<number, WantedPoint | null>;
  started: boolean | null; // null: unknown, it may have been started by a former daemon
}

type Command =
  | 'attach'
  | 'enable'
  | 'disable'
  | 'start'
  | 'stop'
  | 'detach'
  | 'watch'
  | 'unwatch'
  | 'map'
  | 'count'
  | 'uncount'
  | 'unmap'
  | 'statedump';
type Fields<N extends MessageName> = Omit<MessageOf<N>, 'kind' | 'command'>;

export interface Point {
  readonly description: PointDescription;
  /** Equal texts are equal descriptions. */
  readonly text: string;
}

export class Application {
  readonly id: number;
  readonly connection: SeqpacketConnection;
  readonly points = new Map<number, Point>();
  identity: ApplicationIdentity | null = null;
  /** Which program it was when it said hello (Host.image). */
  image: string | null = null;
  /** UTF-16 units of all descriptions. */
  descriptionSize = 0;
  /** How often its points changed. */
  changes = 0;
  readonly #clock: Clock;
  readonly #told = new Map<string, ToldChannel>();
  /** By watch, by point: what was said. */
  readonly #watched = new Map<number, Map<number, string>>();
  readonly #counts: ApplicationCounts = new ApplicationCounts();
  readonly #acks = new Map<number, Deferred<number>>();
  readonly #outbox: { readonly bytes: Buffer; readonly fds: readonly number[] }[] = [];
  #commands = 0;
  #handles = 0;
  #closed = false;
  #retry: unknown = null;

  constructor(id: number, connection: SeqpacketConnection, clock: Clock) {
    this.id = id;
    this.connection = connection;
    this.#clock = clock;
  }

  isIn(scope: RegistryScope): boolean {
    const { identity } = this;
    if (!identity || identity.uid !== scope.uid) return false;
    return scope.kind === 'user' || (identity.pid === scope.pid && identity.startedAt === scope.startedAt);
  }

  /** In order; what the socket does not take now goes when it does. */
  send(bytes: Buffer, fds: readonly number[] = []): void {
    if (this.#closed) return;
    this.#outbox.push({ bytes, fds });
    if (this.#retry === null) this.#flush();
  }

  /** Tells the application what differs from what it was told; resolves with the errors it answered. */
  async apply(wanted: WantedChannel): Promise<readonly string[]> {
    const answers: Promise<string | null>[] = [];
    const told = this.#attached(wanted, answers);
    if (!told) return settled(answers);
    for (const [point, how] of wanted.points) {
      if (isSame(told.points.get(point), how)) continue;
      answers.push(this.#enable(told, point, how));
    }
    for (const point of [...told.points.keys()]) {
      if (wanted.points.has(point)) continue;
      told.points.delete(point);
      answers.push(this.#command('disable', { channel: told.handle, point }));
    }
    if (told.started !== wanted.started) {
      told.started = wanted.started;
      answers.push(this.#command(wanted.started ? 'start' : 'stop', { channel: told.handle }));
    }
    return settled(answers);
  }

  /** Resolves when no thread of it can record into this session any more. */
  async quiet(sessionId: string): Promise<readonly string[]> {
    const answers: Promise<string | null>[] = [];
    for (const [key, told] of this.#told) {
      if (!key.startsWith(`${sessionId}/`) || told.started === false) continue;
      told.started = false;
      answers.push(this.#command('stop', { channel: told.handle }));
    }
    return settled(answers);
  }

  /** Records its state dump once more into this session, wherever any of it is enabled; resolves with the errors it answered. */
  async dumpState(sessionId: string): Promise<readonly string[]> {
    const answers: Promise<string | null>[] = [];
    for (const [key, told] of this.#told) {
      if (!key.startsWith(`${sessionId}/`) || !told.started || !this.#dumpsInto(told)) continue;
      answers.push(this.#command('statedump', { channel: told.handle }));
    }
    return settled(answers);
  }

  /** These points of it, and no others, report to a trigger; resolves with the errors it answered. */
  async watch(watch: number, points: ReadonlyMap<number, WatchedPoint>): Promise<readonly string[]> {
    const answers: Promise<string | null>[] = [];
    const told = this.#watched.get(watch) ?? new Map<number, string>();
    for (const [point, { filter, captures }] of points) {
      const text = `${filter.toString('base64')} ${JSON.stringify(captures)}`;
      if (told.get(point) === text) continue;
      told.set(point, text);
      answers.push(this.#command('watch', { watch, point, filter, captures }));
    }
    for (const point of [...told.keys()]) {
      if (points.has(point)) continue;
      told.delete(point);
      answers.push(this.#command('unwatch', { watch, point }));
    }
    if (told.size > 0) this.#watched.set(watch, told);
    else this.#watched.delete(watch);
    return settled(answers);
  }

  /** These counts and no others; resolves with the errors it answered. */
  async count(wanted: readonly WantedCount[]): Promise<readonly string[]> {
    const answers = this.#counts.changes(wanted).map((change) => {
      if (change.kind === 'map') return this.#command('map', change.fields, [change.fd]);
      return this.#command(change.kind, change.fields as never);
    });
    return settled(answers);
  }

  detach(sessionId: string): void {
    for (const [key, told] of this.#told) {
      if (!key.startsWith(`${sessionId}/`)) continue;
      this.#told.delete(key);
      void this.#command('detach', { channel: told.handle });
    }
  }

  /** Which ring set a channel's handle stands for; null: one that it was told to leave. */
  ringSetOf(handle: number): { readonly ringId: string; readonly cpuCount: number } | null {
    return [...this.#told.values()].find((told) => told.handle === handle) ?? null;
  }

  declare(point: number, description: PointDescription): void {
    const text = JSON.stringify(description);
    this.points.set(point, { description, text });
    this.descriptionSize += text.length;
    this.changes++;
  }

  /** The point is gone, and with it what was enabled. */
  forgetPoint(point: number): void {
    this.descriptionSize -= this.points.get(point)?.text.length ?? 0;
    this.points.delete(point);
    this.changes++;
    for (const told of this.#told.values()) told.points.delete(point);
    for (const told of this.#watched.values()) told.delete(point);
    this.#counts.forgetPoint(point);
  }

  acknowledge(command: number, status: number): void {
    this.#acks.get(command)?.resolve(status);
    this.#acks.delete(command);
  }

  /** Nobody waits for a dead application. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#clock.clearTimeout(this.#retry);
    this.connection.close();
    for (const ack of this.#acks.values()) ack.resolve(0);
    this.#acks.clear();
  }

  #attached(wanted: WantedChannel, answers: Promise<string | null>[]): ToldChannel | null {
    const known = this.#told.get(wanted.key);
    if (known?.ringId === wanted.ringId) return known;
    if (wanted.points.size === 0) return null;
    if (known) answers.push(this.#command('detach', { channel: known.handle }));
    const told: ToldChannel = {
      handle: ++this.#handles,
      ringId: wanted.ringId,
      cpuCount: wanted.geometry.cpuCount,
      points: new Map(),
      started: null,
    };
    this.#told.set(wanted.key, told);
    const { ringId, geometry, contexts, blockingNs } = wanted;
    const attached = this.#command('attach', { channel: told.handle, ringId, geometry, contexts, blockingNs }, wanted.fds);
    answers.push(
      attached.then((error) => {
        if (error !== null) this.#told.delete(wanted.key);
        return error;
      }),
    );
    return told;
  }

  /** A program whose library knows no state dump has no such point. */
  #dumpsInto(told: ToldChannel): boolean {
    return [...told.points].some(([point, how]) => how !== null && isStateDump(this.points.get(point)?.description.name ?? ''));
  }

  /** For a point that is enabled: replaces its filter, no event is recorded by neither. */
  async #enable(told: ToldChannel, point: number, how: WantedPoint): Promise<string | null> {
    told.points.set(point, how);
    const error = await this.#command('enable', { channel: told.handle, point, ...how });
    if (error !== null && told.points.get(point) === how) told.points.set(point, null);
    return error;
  }

  async #command<N extends Command>(name: N, fields: Fields<N>, fds: readonly number[] = []): Promise<string | null> {
    if (this.#closed) return null;
    const command = ++this.#commands;
    const ack = deferred<number>();
    this.#acks.set(command, ack);
    this.send(encodeWire(name, { command, ...fields } as never), fds);
    const status = await ack.promise;
    return status === 0 ? null : `application ${this.identity?.pid} answered ${name} with error ${status}`;
  }

  #flush(): void {
    this.#retry = null;
    for (let next = this.#outbox.shift(); next; next = this.#outbox.shift()) {
      if (this.connection.send(next.bytes, next.fds)) continue;
      this.#outbox.unshift(next);
      this.#retry = this.#clock.setTimeout(() => this.#flush(), RETRY_MS);
      return;
    }
  }
}

const isStateDump = (event: string): boolean => event.startsWith('lttng_ust_statedump:');

const isSame = (told: WantedPoint | null | undefined, wanted: WantedPoint): boolean =>
  told?.eventId === wanted.eventId && told.filter.equals(wanted.filter);

const settled = async (answers: readonly Promise<string | null>[]): Promise<readonly string[]> =>
  (await Promise.all(answers)).filter((answer) => answer !== null);

export class ApplicationTable {
  readonly #applications = new Map<number, Application>();

  add(application: Application): void {
    this.#applications.set(application.id, application);
  }

  find(id: number): Application | undefined {
    return this.#applications.get(id);
  }

  remove(id: number): void {
    this.#applications.delete(id);
  }

  all(): readonly Application[] {
    return [...this.#applications.values()];
  }

  /** Those that said who they are. */
  registered(): readonly Application[] {
    return this.all().filter((application) => application.identity !== null);
  }

  in(scope: RegistryScope): readonly Application[] {
    return this.all().filter((application) => application.isIn(scope));
  }

  countOf(uid: number): number {
    return this.all().filter((application) => application.connection.peer.uid === uid).length;
  }
}
