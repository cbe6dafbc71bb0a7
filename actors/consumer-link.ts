/**
 * What the daemon says to one owner's consumer: memory and keys over the socket pair, all else over the bus. It knows what the
 * consumer holds, so asking twice for the same is asking once; a consumer that came anew holds nothing.
 */
import { join } from 'node:path';
import { z } from 'zod';
import type { UnknownName } from '../ctf/unknown-names.ts';
import type { ChannelAttributes, RegistryDocument, RingSetDocument } from '../machines/document.ts';
import type { Freeze } from '../machines/freeze.ts';
import type { SnapshotPlace } from '../machines/snapshot-edits.ts';
import type { Plan } from '../machines/stream.ts';
import type { SeqpacketConnection } from '../native/addon/index.ts';
import type { Access } from '../transport/access.ts';
import type { Body, Bus } from '../transport/bus.ts';
import { type LinkView, linkViewSchema, watchedSchema } from '../transport/messages.ts';
import { count64, hexId, parseMessage } from '../transport/schema.ts';
import { consumerSubject, type Place } from '../transport/subjects.ts';
import { type Deferred, deferred } from './deferred.ts';
import { KEEPER_ROLES } from './keeper-record.ts';
import type { WatchRequest } from './live-watch.ts';
import type { Clock, Ids, KeeperLink } from './ports.ts';
import { refuse, refusedBy } from './refused.ts';
import { geometryOf } from './rings.ts';

const RETRY_MS = 100;
/** The waiting states of the machines end sooner; this only keeps a lost answer from being awaited for ever. */
const ANSWER_MS = 120_000;
/** Done at once, and twice is the same as once: without an answer within this time the message is taken for lost. */
const QUICK = ['hello', 'open', 'stats', 'archive', 'detach', 'link-open', 'link-status', 'spool-remove', 'watch'];
const QUICK_MS = 4_000;
const AGAIN = ['no-responder', 'bus-cut'];
/** Of the 1 MiB that a message may have. */
const METADATA_PART = 256 * 1024;

/** More than one daemon asks of a consumer. */
const ORDERS_OF_A_DAEMON = 1_000_000_000;

const helloSchema = z.object({
  pid: z.int(),
  order: z.int(),
  sessions: z.array(
    z.object({
      session: z.string(),
      registries: z.array(z.object({ key: z.string(), rings: z.array(z.object({ ringId: hexId, plan: z.string() })) })),
    }),
  ),
});

const alarmsSchema = z.object({ streams: z.array(z.object({ directory: z.string(), alarm: z.string().nullable() })) });

/** A directory whose files take nothing at the moment, and what the system says why. */
export interface WriteAlarm {
  readonly path: string;
  readonly cause: string;
}

/** Where a ring writes; `previous` while a rotation is under way, for a ring that may not have switched. */
export interface StreamPlace {
  readonly directory: string;
  readonly chunk: number;
  readonly previous?: { readonly chunk: number; readonly directory: string };
}

const reclaimSchema = z.object({
  rings: z.array(z.object({ ringId: hexId, reclaimed: z.int(), pending: z.int() })),
});
export type RingReclaimed = z.output<typeof reclaimSchema>['rings'][number];

const snapshotSchema = z.object({ packets: count64, bytes: count64, events: count64 });
export interface RingPlace {
  readonly ringId: string;
  readonly directory: string;
}
export type SnapshotReport = z.output<typeof snapshotSchema>;

const linkIn = (body: Body): LinkView => {
  const parsed = parseMessage(linkViewSchema, body);
  if (!parsed.ok) throw refusedBy(parsed.fault);
  return parsed.value;
};

export interface LinkEnd {
  readonly link: LinkView;
  /** Nothing is left in the spool. */
  readonly drained: boolean;
}

export interface AttachWanted {
  readonly sessionId: string;
  readonly registry: RegistryDocument;
  readonly place: StreamPlace;
  readonly set: RingSetDocument;
  readonly channelName: string;
  /** Null: it hears of no freeze. */
  readonly sessionName: string | null;
  /** Also those that another host of the fleet saw: it is the fleet's own. */
  readonly othersFreeze: boolean;
  readonly filePrefix: string;
  readonly streamInstanceBase: number;
  readonly readTimerUs: number;
  readonly switchTimerUs: number;
  readonly live: boolean;
  readonly tracefileSize: number;
  readonly tracefileCount: number;
  readonly reclaim: ChannelAttributes['reclaim'];
  readonly plan: Plan;
  readonly spooled: boolean;
  readonly fds: readonly [ringFd: number, readerFd: number];
}

interface Surroundings {
  readonly place: Place;
  readonly clock: Clock;
  readonly ids: Ids;
  bus(): Bus;
  closeFd(fd: number): void;
}

export class ConsumerLink {
  readonly uid: number;
  readonly #around: Surroundings;
  #connection: SeqpacketConnection | null = null;
  #spareFd: number | null = null;
  #ready: Deferred<void> = deferred();
  #exited: Deferred<void> = deferred();
  #answers = false;
  /** Of the consumer that is there now. */
  #lost: Deferred<void> = deferred();
  #epoch = 0;
  #order = 0;
  #opened = new Map<string, string>(); // directory -> session
  #metadata = new Map<string, string>(); // directory -> text
  #rings = new Map<string, string>(); // ring id -> session
  #links = new Set<string>(); // sessions
  #maps = new Set<string>(); // map ids

  constructor(uid: number, around: Surroundings) {
    this.uid = uid;
    this.#around = around;
  }

  /** Resolves when the consumer can be asked. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** `spareFd`: another fd of the same socket, for a keeper that comes later. */
  connect(connection: SeqpacketConnection, spareFd: number): void {
    this.close();
    this.#connection = connection;
    this.#spareFd = spareFd;
    this.#exited = deferred();
  }

  /** With a new keeper: the way to this process has to outlive the daemon again. */
  async deposit(keeper: KeeperLink, id: string): Promise<void> {
    if (this.#spareFd !== null) await keeper.deposit({ id, role: KEEPER_ROLES.consumer, number: 0 }, [this.#spareFd]);
  }

  sendKey(access: Access): void {
    this.#tell({ kind: 'credentials', ...access });
  }

  /**
   * Whatever waits for an answer of the one that is lost fails; whoever waits for one that can be asked waits for the next. Waiting
   * has its bounds in the machines.
   */
  lose(): void {
    this.#epoch++;
    this.#lost.resolve();
    this.#lost = deferred();
    this.#opened = new Map();
    this.#metadata = new Map();
    this.#rings = new Map();
    this.#links = new Set();
    this.#maps = new Set();
    this.#withdraw();
  }

  close(): void {
    this.#connection?.close();
    if (this.#spareFd !== null) this.#around.closeFd(this.#spareFd);
    this.#connection = null;
    this.#spareFd = null;
  }

  /** Counts those that were lost. */
  get epoch(): number {
    return this.#epoch;
  }

  /** True: it follows one that was lost. */
  get isSuccessor(): boolean {
    return this.#epoch > 0;
  }

  markReady(): void {
    this.#answers = true;
    this.#ready.resolve();
  }

  /** Who it is and what it holds: after a restart of the daemon it goes on with that. */
  async greet(): Promise<{ pid: number }> {
    const parsed = parseMessage(helloSchema, await this.#ask('hello', {}));
    if (!parsed.ok) throw refusedBy(parsed.fault);
    // Beyond what a daemon before may have on its way.
    this.#order = Math.max(this.#order, parsed.value.order + ORDERS_OF_A_DAEMON);
    for (const { session, registries } of parsed.value.sessions) {
      for (const { rings } of registries) for (const { ringId } of rings) this.#rings.set(ringId, session);
    }
    return { pid: parsed.value.pid };
  }

  /** It can be asked now. */
  get isReady(): boolean {
    return this.#answers;
  }

  /** It can be asked, and has this directory. */
  hasOpened(directory: string): boolean {
    return this.#answers && this.#opened.has(directory);
  }

  async open(sessionId: string, directory: string): Promise<void> {
    if (this.#opened.has(directory)) return;
    await this.#ask('open', { session: sessionId, directory });
    this.#opened.set(directory, sessionId);
  }

  /** Before anything else of this session. */
  async openLink(request: Body & { readonly session: string }): Promise<void> {
    if (this.#links.has(request.session)) return;
    await this.#ask('link-open', request);
    this.#links.add(request.session);
  }

  async linkStatus(sessionId: string): Promise<LinkView | null> {
    return this.#answers ? linkIn(await this.#ask('link-status', { session: sessionId })) : null;
  }

  /** `operations`: all that was archived or cleared until now, and the packets before it. */
  async drainLink(sessionId: string, timeoutMs: number, what: 'all' | 'operations' = 'all'): Promise<LinkEnd> {
    const body = await this.#ask('link-drain', { session: sessionId, timeoutMs, what });
    return { link: linkIn(body), drained: body.drained === true };
  }

  async closeLink(sessionId: string, timeoutMs: number): Promise<LinkEnd> {
    const body = await this.#ask('link-close', { session: sessionId, timeoutMs });
    this.#links.delete(sessionId);
    return { link: linkIn(body), drained: body.drained === true };
  }

  /** With all that is in it, and its link. Answers how many bytes that were; null: it had no link, so nobody counted. */
  async removeSpool(id: string, output: string): Promise<number | null> {
    const { bytes } = await this.#ask('spool-remove', { session: id, output });
    this.#links.delete(id);
    return typeof bytes === 'number' ? bytes : null;
  }

  async writeMetadata(sessionId: string, directory: string, text: string, classes: number): Promise<void> {
    if (this.#metadata.get(directory) === text) return;
    for (let at = 0; at < text.length || at === 0; at += METADATA_PART) {
      const more = at + METADATA_PART < text.length;
      const part = text.slice(at, at + METADATA_PART);
      await this.#ask('metadata', { session: sessionId, directory, text: part, first: at === 0, more, classes });
    }
    this.#metadata.set(directory, text);
  }

  async attach(wanted: AttachWanted): Promise<void> {
    const { ringId } = wanted.set;
    if (this.#rings.has(ringId)) return;
    this.#tell({ kind: 'ring', ringId }, wanted.fds);
    await this.#ask('attach', {
      session: wanted.sessionId,
      key: wanted.registry.key,
      ringId,
      ...wanted.place,
      channelName: wanted.channelName,
      ...(wanted.sessionName !== null && { sessionName: wanted.sessionName }),
      ...(wanted.othersFreeze && { othersFreeze: true }),
      filePrefix: wanted.filePrefix,
      streamClassId: wanted.set.channel,
      streamInstanceBase: wanted.streamInstanceBase,
      uuid: wanted.registry.uuid,
      geometry: geometryOf(wanted.set),
      readTimerUs: wanted.readTimerUs,
      switchTimerUs: wanted.switchTimerUs,
      live: wanted.live,
      tracefileSize: wanted.tracefileSize,
      tracefileCount: wanted.tracefileCount,
      reclaim: wanted.reclaim,
      plan: wanted.plan,
      spooled: wanted.spooled,
    });
    this.#rings.set(ringId, wanted.sessionId);
  }

  /** The memory of a map, for a daemon to come; one that is not there yet gets it when it is ready. */
  hold(mapId: string, fd: number): void {
    if (!this.#answers || this.#maps.has(mapId)) return;
    this.#tell({ kind: 'map', mapId }, [fd]);
    this.#maps.add(mapId);
  }

  /** One that cannot be told is on its way out, with what it holds. */
  releaseMap(mapId: string): void {
    if (this.#maps.delete(mapId)) this.#connection?.send(Buffer.from(JSON.stringify({ kind: 'map-gone', mapId })), []);
  }

  async flush(sessionId: string): Promise<void> {
    await this.#ask('flush', { session: sessionId });
  }

  /** Asked each time, so that they are never older than the answer. */
  /** Of another host, for a session that a trigger of its owner gives to the fleet. */
  async freeze(sessionId: string, freeze: Freeze): Promise<void> {
    await this.#ask('freeze', { session: sessionId, freeze });
  }

  async alarms(sessionId: string): Promise<readonly WriteAlarm[]> {
    if (!this.#answers) return [];
    const parsed = parseMessage(alarmsSchema, await this.#ask('stats', { session: sessionId }));
    if (!parsed.ok) throw refusedBy(parsed.fault);
    const causes = new Map(parsed.value.streams.flatMap(({ directory, alarm }) => (alarm ? [[directory, alarm]] : [])));
    return [...causes].map(([path, cause]) => ({ path, cause }));
  }

  async rotate(sessionId: string, ringId: string, to: StreamPlace, at: bigint, layout: Uint8Array): Promise<void> {
    const { chunk, directory } = to;
    await this.#ask('rotate', {
      session: sessionId,
      ringId,
      chunk,
      directory,
      at,
      layout: Buffer.from(layout).toString('base64'),
    });
  }

  /** Paths relative to `output`. */
  async archive(sessionId: string, output: string, from: string, to: string): Promise<void> {
    await this.#ask('archive', { session: sessionId, output, from, to });
    for (const directory of this.#opened.keys()) {
      if (!directory.startsWith(`${join(output, from, 'ust')}/`)) continue;
      this.#opened.delete(directory);
      this.#metadata.delete(directory);
    }
  }

  /** Nothing will be written there any more. */
  forget(directory: string): void {
    this.#opened.delete(directory);
    this.#metadata.delete(directory);
  }

  async clear(sessionId: string, directory: string): Promise<void> {
    await this.#ask('clear', { session: sessionId, directory });
  }

  /** Decoded events on the bus, while the lease runs; answers what the filter mentions and no event has. */
  async watch(wanted: WatchRequest): Promise<readonly UnknownName[] | null> {
    const parsed = parseMessage(watchedSchema, await this.#ask('watch', { ...wanted }));
    if (!parsed.ok) throw refusedBy(parsed.fault);
    return parsed.value.unknown;
  }

  /** Copies what rings hold into directories that were opened. */
  async snapshot(
    sessionId: string,
    rings: readonly RingPlace[],
    { maxStreamBytes, path, freeze }: SnapshotPlace,
  ): Promise<SnapshotReport> {
    const held = freeze === undefined ? {} : { freeze: { id: freeze, path } };
    const asked = this.#ask('snapshot', { session: sessionId, rings, maxStreamBytes, ...held });
    const lost = this.#lost.promise.then(() => {
      throw refuse('consumer-failed', { owner: this.uid, cause: 'it ended while it wrote a snapshot' });
    });
    const parsed = parseMessage(snapshotSchema, await Promise.race([asked, lost]));
    if (!parsed.ok) throw refusedBy(parsed.fault);
    return parsed.value;
  }

  /** All of what a freeze recorded is there: whoever collects may take it. */
  async endSnapshot(sessionId: string, path: string): Promise<void> {
    await this.#ask('snapshot-end', { session: sessionId, path });
  }

  /** Gives back the memory of sub-buffers that nobody needs, of these rings. */
  async reclaim(
    sessionId: string,
    ringIds: readonly string[],
    ageUs: number,
    wait: boolean,
  ): Promise<readonly RingReclaimed[]> {
    const parsed = parseMessage(reclaimSchema, await this.#ask('reclaim', { session: sessionId, ringIds, ageUs, wait }));
    if (!parsed.ok) throw refusedBy(parsed.fault);
    return parsed.value.rings;
  }

  async detach(sessionId: string, ringId?: string): Promise<void> {
    await this.#ask('detach', { session: sessionId, ...(ringId !== undefined && { ringId }) });
    for (const [held, session] of this.#rings) {
      if (session === sessionId && (ringId === undefined || held === ringId)) this.#rings.delete(held);
    }
    if (ringId !== undefined) return;
    this.#forgetDirectories(sessionId);
  }

  /** Resolves when it has written everything out. */
  async shutdown(): Promise<void> {
    await this.#ask('shutdown', {});
  }

  /** Tells it to end; resolves when it has. Who wants a consumer from now on waits for the next. */
  async end(): Promise<void> {
    this.#withdraw();
    const exited = this.#exited.promise;
    await Promise.race([exited, this.shutdown().then(() => exited)]);
  }

  noteExit(): void {
    this.#exited.resolve();
  }

  #withdraw(): void {
    if (this.#answers) this.#ready = deferred();
    this.#answers = false;
  }

  #forgetDirectories(sessionId: string): void {
    for (const [directory, session] of this.#opened) {
      if (session !== sessionId) continue;
      this.#opened.delete(directory);
      this.#metadata.delete(directory);
    }
  }

  #tell(message: Body, fds: readonly number[] = []): void {
    if (!this.#connection?.send(Buffer.from(JSON.stringify(message)), fds)) {
      throw refuse('consumer-failed', { owner: this.uid, cause: 'its socket takes nothing' });
    }
  }

  /** Later than all before: what was long on its way is told by it. */
  #next(): number {
    this.#order++;
    return this.#order;
  }

  /** While nobody serves the subject (the consumer joins, or the bus is away) the question is put again. */
  async #ask(verb: string, body: Body): Promise<Body> {
    const { clock, ids, place } = this.#around;
    const epoch = this.#epoch;
    const until = clock.now() + ANSWER_MS;
    const subject = consumerSubject({ ...place, owner: this.uid, verb });
    for (;;) {
      const wait = QUICK.includes(verb) ? QUICK_MS : ANSWER_MS;
      const reply = await this.#around.bus().request(subject, { ...body, v: 1, id: ids.hex(8), order: this.#next() }, wait);
      if (epoch !== this.#epoch) throw refuse('consumer-failed', { owner: this.uid, cause: `it ended during \`${verb}\`` });
      if (reply.ok) return reply.body;
      const again = AGAIN.includes(reply.fault.code) || (reply.fault.code === 'timeout' && wait === QUICK_MS);
      if (!again || clock.now() > until) throw refusedBy(reply.fault);
      await new Promise<void>((resolve) => clock.setTimeout(resolve, RETRY_MS));
    }
  }
}
