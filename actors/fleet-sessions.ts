/** The effects of fleet-session.ts: reads the bucket, makes and destroys sessions of this host, and keeps what it saw on disk. */
import { createHash } from 'node:crypto';
import { fromPromise } from 'xstate';
import type { SessionDocument } from '../machines/document.ts';
import {
  completeFollowed,
  type FleetDocument,
  type FleetSpec,
  type Followed,
  type FollowedSessions,
  isForeign,
  triggersOf,
  withRead,
} from '../machines/fleet-document.ts';
import { fleetSessionMachine } from '../machines/fleet-session.ts';
import { parseSelector } from '../rules/selector.ts';
import { Bucket, ID_KEY } from '../transport/bucket.ts';
import type { Fault, Reply, Subscription } from '../transport/bus.ts';
import { failure, faultOf, refused } from '../transport/errors.ts';
import { type FollowedView, parseBucketId, parseFleetDocument } from '../transport/fleet-messages.ts';
import { encodeToken } from '../transport/subjects.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { deferred } from './deferred.ts';
import { actForFleet } from './fleet-scatter.ts';

const PERIOD_MS = 180_000;
/** As long as the bucket cannot be read. */
const RETRY_MS = 15_000;
/** A disk that takes longer is a disk that fails: the next look is not to wait for it for ever. */
const WRITE_MS = 30_000;
/** A state that may be made by anybody's hands has this in it: what was declared, not what was counted. */
const fingerprintOf = ({ channels, active, schedules }: SessionDocument): string =>
  JSON.stringify([
    active,
    schedules,
    channels.map(({ name, enabled, attributes, contexts, rules }) => [name, enabled, attributes, contexts, rules]),
  ]);

/** Null: whoever wrote it did not mean a session. */
const documentAt = (key: string, value: unknown): FleetDocument | null => {
  const document = parseFleetDocument(value);
  return document && encodeToken(document.name) === key ? document : null;
};

const hashOf = (spec: FleetSpec): string => createHash('sha256').update(JSON.stringify(spec)).digest('hex');
const textOf = ({ code, message }: Fault): string => `${code}: ${message}`;

/** Of a session that is not here. */
const NOTHING = { sessionId: null, applying: false, applied: 0, made: '', triggers: [], fingerprint: '' } as const;

/** Of a trigger that was added, or may have been. */
const namesOf = (reply: Reply, wanted: unknown): string[] => {
  const { name } = reply.ok ? (reply.body.trigger as { name: string }) : { name: wanted };
  return typeof name === 'string' ? [name] : [];
};

/** How making a session ended. */
interface Attempt {
  /** Null: it was made. */
  readonly fault: Fault | null;
  /** Triggers that are there now. */
  readonly triggers: readonly string[];
  /** Why something of what failed is still there; null: nothing is. */
  readonly left: string | null;
}

export class FleetSessions {
  readonly #parts: DaemonParts;
  #followed: FollowedSessions | null = null;
  /** The disk does not have it as it is. */
  #unwritten = false;
  #running: Promise<void> | null = null;
  #watch: Subscription | null = null;
  /** By news since the last look; null: something was written that is no session. */
  #told: FleetDocument[] | null = [];
  /** When the whole bucket was read; null: last time it could not be. */
  #readAt: number | null = null;
  /** Of the bucket as this process read it since the host is in its fleet; null: it did not, or there was none. */
  #bucket: string | null = null;

  constructor(parts: DaemonParts) {
    this.#parts = parts;
  }

  /**
   * What news have told is taken from them: a thousand hosts that hear of one change would else ask the fleet's servers for it at
   * once. What was missed is found by reading the bucket, which no news put off.
   */
  async read(announced: () => void): Promise<void> {
    const told = this.#told;
    const due = this.#readAt === null || this.#parts.ports.clock.now() - this.#readAt >= PERIOD_MS;
    this.#told = [];
    await this.#load();
    const read = told?.length && !due ? told : await this.#readAll(announced);
    // As it is now: a session may have been made while the bucket was read.
    const known = await this.#load();
    const merged = withRead(known, read, { uid: this.#parts.place.uid, bucket: this.#bucket });
    this.#sayForeign(known);
    if (JSON.stringify(merged) !== JSON.stringify(known)) await this.#keep(merged);
  }

  async #readAll(announced: () => void): Promise<readonly FleetDocument[]> {
    const bucket = new Bucket(this.#parts.bus, 'weft_sessions');
    this.#watch ??= bucket.watch((key, value) => {
      if (key === ID_KEY && this.#isFirstId(value)) return;
      const document = documentAt(key, value);
      if (document && !this.#concerns(document)) return;
      this.#told = document && this.#told ? [...this.#told, document] : null;
      announced();
    });
    this.#readAt = null;
    const entries = await Promise.all((await bucket.keys()).map(async (key) => ({ key, entry: await bucket.get(key) })));
    this.#readAt = this.#parts.ports.clock.now();
    // One that was put back from before it had an id is the same to whoever knew it.
    this.#bucket = parseBucketId(entries.find(({ key }) => key === ID_KEY)?.entry?.value) ?? this.#bucket;
    return entries.flatMap(({ key, entry }) => documentAt(key, entry?.value) ?? []);
  }

  /** Taken from the news, then: where nothing is followed it changes nothing, and a thousand hosts would read the whole bucket at once. */
  #isFirstId(value: unknown): boolean {
    const id = parseBucketId(value);
    if (id === null || this.#bucket !== null || this.#readAt === null || Object.keys(this.#followed ?? {}).length > 0)
      return false;
    this.#bucket = id;
    return true;
  }

  /** Whoever looks after this host did not order it: what was recorded stays where it is. */
  #sayForeign(known: FollowedSessions): void {
    for (const one of Object.values(known)) {
      const session = this.#session(one.document.name);
      if (one.document.deleted || !isForeign(one, this.#bucket) || session?.id !== one.sessionId) continue;
      const output = session.output.kind === 'local' ? session.output.path : null;
      const said = { output, of: one.bucket, now: this.#bucket };
      this.#parts.ports.log.warn('a session of another fleet ends; what it recorded stays', { session: session.name, ...said });
      this.#parts.events.publish(session.owner.uid, 'session', session.name, 'fleet-changed', said);
    }
  }

  /** Other users of this host have daemons of their own; what was theirs or ours may have been given to the other. */
  #concerns({ name, spec }: FleetDocument): boolean {
    const known = Object.hasOwn(this.#followed ?? {}, name) || this.#told?.some((one) => one.name === name);
    return known === true || spec.uid === this.#parts.place.uid;
  }

  /**
   * All that are known, one after the other. Whoever gave up waiting for the run before did not end it: what that makes is not to be
   * taken for what a death left.
   */
  async reconcile(signal: AbortSignal): Promise<void> {
    while (this.#running) await this.#running;
    if (signal.aborted) return;
    const run = this.#reconcileAll();
    const ended = (): void => {
      this.#running = null;
    };
    this.#running = run.then(ended, ended);
    await run;
  }

  async #reconcileAll(): Promise<void> {
    for (const name of Object.keys(await this.#load())) await this.#reconcileOne(name);
  }

  /** Whatever is read next may be another fleet's. */
  stop(): void {
    this.#watch?.stop();
    this.#watch = null;
    this.#told = [];
    this.#readAt = null;
    this.#bucket = null;
  }

  get bucket(): string | null {
    return this.#bucket;
  }

  views(): readonly FollowedView[] {
    return Object.values(this.#followed ?? {}).map((one) => {
      const { name, uuid, generation, deleted } = one.document;
      return { name, uuid, generation, deleted, state: this.#stateNow(one), cause: one.cause };
    });
  }

  /** By hand it may have been changed, or destroyed, since it was made. */
  #stateNow(one: Followed): FollowedView['state'] {
    if (one.state !== 'following') return one.state;
    const session = this.#session(one.document.name);
    return session?.id === one.sessionId && session && fingerprintOf(session) === one.fingerprint ? 'following' : 'drifted';
  }

  #session(name: string): SessionDocument | undefined {
    return this.#parts.documents.all().find((document) => document.name === name);
  }

  async #load(): Promise<FollowedSessions> {
    this.#followed ??= completeFollowed(await this.#parts.ports.disk.loadFleetSessions(), hashOf);
    return this.#followed;
  }

  async #keep(followed: FollowedSessions): Promise<void> {
    this.#followed = followed;
    this.#unwritten = true;
    const { clock, disk } = this.#parts.ports;
    const written = deferred<void>();
    const late = failure('timeout', { subject: 'the disk', ms: WRITE_MS });
    const timer = clock.setTimeout(() => written.reject(late), WRITE_MS);
    disk.writeFleetSessions(followed).then(written.resolve, written.reject);
    await written.promise.finally(() => clock.clearTimeout(timer));
    this.#unwritten = false;
  }

  #known(name: string): Followed | null {
    const followed = this.#followed ?? {};
    return Object.hasOwn(followed, name) ? followed[name]! : null;
  }

  async #note(name: string, change: Partial<Followed>): Promise<void> {
    const before = this.#known(name);
    if (!before) return;
    const after = { ...before, ...change };
    if (this.#unwritten || JSON.stringify(after) !== JSON.stringify(before))
      await this.#keep({ ...this.#followed, [name]: after });
  }

  /** Should its fleet come back, it says so itself. */
  async #forget(name: string): Promise<void> {
    const others = Object.entries(this.#followed ?? {}).filter(([known]) => known !== name);
    await this.#keep(Object.fromEntries(others));
  }

  async #reconcileOne(name: string): Promise<void> {
    const followed = this.#known(name);
    if (!followed) return;
    const { document, applying, applied, made, triggers } = followed;
    const session = this.#session(name);
    const ours = session !== undefined && (applying || session.id === followed.sessionId);
    if (!this.#isWanted(document)) {
      const left = await this.#destroy(ours ? name : null, triggers);
      if (left !== null) return this.#noteFailed(name, left, { triggers, ours });
      if (isForeign(followed, this.#bucket)) return this.#forget(name);
      const state = document.deleted || !this.#isMine(document) ? 'deleted' : 'elsewhere';
      return this.#note(name, { ...NOTHING, state, cause: null });
    }
    if (session && !ours) {
      const cause = 'a session of this name was made by hand';
      return this.#note(name, { state: 'conflict', cause, sessionId: null, applying: false });
    }
    const current = applied === document.generation && made === hashOf(document.spec);
    if (session && !applying && current) return;
    await this.#make(followed);
  }

  #isMine({ spec }: FleetDocument): boolean {
    return spec.uid === this.#parts.place.uid;
  }

  #isWanted(document: FleetDocument): boolean {
    const selected = parseSelector(document.spec.selector);
    const { host } = this.#parts.place;
    const matches = selected.ok && selected.matches({ host, labels: this.#parts.ports.host.labels });
    return matches && !document.deleted && this.#isMine(document);
  }

  async #make({ document, triggers }: Followed): Promise<void> {
    const { name, generation, spec } = document;
    // Noted first: whatever is found of this name after a death in between is ours.
    await this.#note(name, { applying: true, triggers: [...new Set([...triggers, ...triggersOf(spec)])] });
    const former = await this.#destroy(name, triggers);
    if (former !== null) return this.#noteFailed(name, former, { triggers, ours: true });
    let attempt = await this.#attempt(document);
    // With its last session an owner's consumer ends; one that is asked while it does fails what it is asked for.
    if (attempt.fault?.code === 'consumer-failed' && attempt.left === null) attempt = await this.#attempt(document);
    if (attempt.fault) {
      return this.#noteFailed(name, textOf(attempt.fault), { triggers: attempt.triggers, ours: attempt.left !== null });
    }
    const session = this.#session(name);
    const noted = { sessionId: session?.id ?? null, fingerprint: session ? fingerprintOf(session) : '' };
    const from = { applied: generation, made: hashOf(spec), triggers: attempt.triggers };
    await this.#note(name, { ...noted, ...from, state: 'following', cause: null, applying: false });
  }

  /** It is tried again. What could not be taken away stays known as ours. */
  async #noteFailed(name: string, cause: string, rest: { triggers: readonly string[]; ours: boolean }): Promise<void> {
    const sessionId = rest.ours ? (this.#session(name)?.id ?? null) : null;
    this.#parts.ports.log.warn('a session of the fleet cannot be made so', { session: name, cause });
    await this.#note(name, { ...NOTHING, sessionId, triggers: rest.triggers, state: 'failed', cause });
  }

  /** Nothing half-made stays, if it can be taken away. */
  async #attempt({ name, spec }: FleetDocument): Promise<Attempt> {
    const triggers: string[] = [];
    for (const { name: command, fields } of spec.commands) {
      const reply = await this.#try(command, fields);
      const exists = !reply.ok && /^(session|trigger)-exists$/.test(reply.fault.code);
      if (command === 'trigger.add' && !exists) triggers.push(...namesOf(reply, fields.name));
      if (reply.ok) continue;
      // Somebody made one of that name meanwhile, by hand.
      const left = await this.#destroy(command === 'session.create' && exists ? null : name, triggers);
      return { fault: reply.fault, triggers: left === null ? [] : triggers, left };
    }
    return { fault: null, triggers, left: null };
  }

  /** Why something is still there; null: it is gone. What is not there needs no destroying. */
  async #destroy(name: string | null, triggers: readonly string[]): Promise<string | null> {
    let left: string | null = null;
    for (const trigger of triggers) {
      const reply = await this.#try('trigger.remove', { name: trigger });
      if (!reply.ok && reply.fault.code !== 'trigger-not-found') left = textOf(reply.fault);
    }
    if (name === null || !this.#session(name)) return left;
    const reply = await this.#try('session.destroy', { session: name });
    return !reply.ok && this.#session(name) ? textOf(reply.fault) : left;
  }

  async #try(name: string, fields: Readonly<Record<string, unknown>>): Promise<Reply> {
    try {
      return await actForFleet(this.#parts, 'bucket', name, { v: 1, id: this.#parts.ports.ids.hex(16), ...fields });
    } catch (thrown) {
      return refused(faultOf(thrown));
    }
  }

  /** So that not all hosts of a fleet ask at once; sooner where something is to be mended. */
  pauseMs(reached: boolean): number {
    const well = reached && !Object.values(this.#followed ?? {}).some(({ state }) => state === 'failed');
    const fraction = Number.parseInt(this.#parts.ports.ids.hex(2), 16) / 0xffff;
    return Math.round((well ? PERIOD_MS : RETRY_MS) * (0.75 + fraction / 2));
  }
}

export const provideFleetSession = (parts: DaemonParts) => {
  const sessions = new FleetSessions(parts);
  parts.fleetSessions = sessions;
  let reached = false;
  return fleetSessionMachine.provide({
    actors: {
      readBucket: fromPromise(async () => {
        reached = false;
        await sessions.read(() =>
          parts.root.getSnapshot().context.fleet?.getSnapshot().context.sessions.send({ type: 'Announced' }),
        );
        reached = true;
      }),
      reconcile: fromPromise(async ({ signal }) => {
        await sessions.reconcile(signal);
        return sessions.pauseMs(reached);
      }),
    },
  });
};
