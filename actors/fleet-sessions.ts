/** The effects of fleet-session.ts: reads the bucket, makes and destroys sessions of this host, and keeps what it saw on disk. */
import { fromPromise } from 'xstate';
import type { SessionDocument } from '../machines/document.ts';
import { type FleetDocument, type Followed, type FollowedSessions, withRead } from '../machines/fleet-document.ts';
import { fleetSessionMachine } from '../machines/fleet-session.ts';
import { parseSelector } from '../rules/selector.ts';
import { Bucket } from '../transport/bucket.ts';
import type { Reply, Subscription } from '../transport/bus.ts';
import { FaultError, faultOf } from '../transport/errors.ts';
import { type FollowedView, parseFleetDocument } from '../transport/fleet-messages.ts';
import { encodeToken } from '../transport/subjects.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { actForFleet } from './fleet-scatter.ts';

const PERIOD_MS = 180_000;
/** As long as the bucket cannot be read. */
const RETRY_MS = 15_000;
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

export class FleetSessions {
  readonly #parts: DaemonParts;
  #followed: FollowedSessions | null = null;
  #watch: Subscription | null = null;
  /** By news since the last look; null: something was written that is no session. */
  #told: FleetDocument[] | null = [];
  /** When the whole bucket was read; null: last time it could not be. */
  #readAt: number | null = null;

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
    const known = await this.#load();
    const read = told?.length && !due ? told : await this.#readAll(announced);
    const merged = withRead(known, read);
    if (JSON.stringify(merged) !== JSON.stringify(known)) await this.#keep(merged);
  }

  async #readAll(announced: () => void): Promise<readonly FleetDocument[]> {
    const bucket = new Bucket(this.#parts.bus, 'weft_sessions');
    this.#watch ??= bucket.watch((key, value) => {
      const document = documentAt(key, value);
      if (document && !this.#isOurs(document)) return;
      this.#told = document && this.#told ? [...this.#told, document] : null;
      announced();
    });
    this.#readAt = null;
    const entries = await Promise.all((await bucket.keys()).map(async (key) => ({ key, entry: await bucket.get(key) })));
    this.#readAt = this.#parts.ports.clock.now();
    const documents = entries.flatMap(({ key, entry }) => documentAt(key, entry?.value) ?? []);
    return documents.filter((document) => this.#isOurs(document));
  }

  /** Other users of this host have daemons of their own. */
  #isOurs({ spec }: FleetDocument): boolean {
    return spec.uid === this.#parts.place.uid;
  }

  /** All that are known, one after the other. */
  async reconcile(): Promise<void> {
    for (const name of Object.keys(await this.#load())) await this.#reconcileOne(name);
  }

  stop(): void {
    this.#watch?.stop();
    this.#watch = null;
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
    this.#followed ??= (await this.#parts.ports.disk.loadFleetSessions()) as FollowedSessions;
    return this.#followed;
  }

  async #keep(followed: FollowedSessions): Promise<void> {
    this.#followed = followed;
    await this.#parts.ports.disk.writeFleetSessions(followed);
  }

  async #note(name: string, change: Partial<Followed>): Promise<void> {
    const before = this.#followed?.[name];
    if (!before) return;
    const after = { ...before, ...change };
    if (JSON.stringify(after) !== JSON.stringify(before)) await this.#keep({ ...this.#followed, [name]: after });
  }

  async #reconcileOne(name: string): Promise<void> {
    const followed = this.#followed?.[name];
    if (!followed) return;
    const { document } = followed;
    const session = this.#session(name);
    const ours = session !== undefined && (followed.applying || session.id === followed.sessionId);
    if (!this.#isWanted(document)) {
      if (ours) await this.#destroy(document);
      const state = document.deleted ? 'deleted' : 'elsewhere';
      return this.#note(name, { state, cause: null, sessionId: null, applying: false, fingerprint: '' });
    }
    if (session && !ours) {
      const cause = 'a session of this name was made by hand';
      return this.#note(name, { state: 'conflict', cause, sessionId: null, applying: false });
    }
    if (session && !followed.applying && followed.applied === document.generation) return;
    await this.#make(document, session !== undefined);
  }

  #isWanted({ deleted, spec }: FleetDocument): boolean {
    const selected = parseSelector(spec.selector);
    const { host } = this.#parts.place;
    return !deleted && selected.ok && selected.matches({ host, labels: this.#parts.ports.host.labels });
  }

  async #make(document: FleetDocument, replaces: boolean): Promise<void> {
    const { name, generation } = document;
    // Noted first: whatever is found of this name after a death in between is ours.
    await this.#note(name, { applying: true });
    if (replaces) await this.#destroy(document);
    // With its last session an owner's consumer ends; one that is asked while it does fails what it is asked for.
    const failed = (await this.#attempt(document, 'consumer-failed')) ?? (await this.#attempt(document, null));
    if (failed === 'made') {
      const made = this.#session(name);
      const noted = { sessionId: made?.id ?? null, applied: generation, fingerprint: made ? fingerprintOf(made) : '' };
      return this.#note(name, { ...noted, state: 'following', cause: null, applying: false });
    }
    await this.#note(name, { state: 'failed', cause: failed, sessionId: null, applying: false });
    this.#parts.ports.log.warn('a session of the fleet cannot be made', { session: name, cause: failed });
  }

  /** `made`, or why not; null: it failed with that code and may be tried again. Nothing half-made stays. */
  async #attempt(document: FleetDocument, passing: string | null): Promise<string | null> {
    try {
      for (const command of document.spec.commands) await this.#run(command.name, command.fields);
      return 'made';
    } catch (thrown) {
      const { code, message } = faultOf(thrown);
      await this.#destroy(document);
      return code === passing ? null : `${code}: ${message}`;
    }
  }

  /** What is not there needs no destroying. */
  async #destroy({ name, spec }: FleetDocument): Promise<void> {
    const triggers = spec.commands.filter((command) => command.name === 'trigger.add').map(({ fields }) => fields.name);
    for (const trigger of triggers) await this.#try('trigger.remove', { name: trigger });
    if (this.#session(name)) await this.#try('session.destroy', { session: name });
  }

  #try(name: string, fields: Readonly<Record<string, unknown>>): Promise<Reply> {
    return actForFleet(this.#parts, 'bucket', name, { v: 1, id: this.#parts.ports.ids.hex(16), ...fields });
  }

  async #run(name: string, fields: Readonly<Record<string, unknown>>): Promise<void> {
    const reply = await this.#try(name, fields);
    if (!reply.ok) throw new FaultError(reply.fault);
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
      reconcile: fromPromise(async () => {
        await sessions.reconcile();
        return sessions.pauseMs(reached);
      }),
    },
  });
};
