/** What a fleet wants of its hosts, as an operator declares it straight at the fleet, and what the hosts make of it. */
import { randomUUID } from 'node:crypto';
import type { FleetDocument } from '../machines/fleet-document.ts';
import { parseSelector } from '../rules/selector.ts';
import { Bucket, ID_KEY, RevisionConflict } from '../transport/bucket.ts';
import type { Bus } from '../transport/bus.ts';
import { failure } from '../transport/errors.ts';
import {
  type FollowingHost,
  type HostView,
  parseBucketId,
  parseFleetDocument,
  parseFollowing,
} from '../transport/fleet-messages.ts';
import { encodeToken } from '../transport/subjects.ts';
import { askAll } from './fleet-gather.ts';

/** Each declaration counts one on. A host that claims to be further ahead of the store than this would use the numbers up. */
const AHEAD_MAX = 1_000_000;

/** A line per thing that is wanted. */
const linesOf = (document: FleetDocument | null): string[] => {
  if (!document || document.deleted) return [];
  const { selector, commands } = document.spec;
  return [`selector ${selector}`, ...commands.map(({ name, fields }) => `${name} ${JSON.stringify(fields)}`)];
};

const difference = (before: FleetDocument | null, after: FleetDocument | null): string[] => {
  const [old, now] = [linesOf(before), linesOf(after)];
  return [
    ...old.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
    ...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`),
  ];
};

/** A session of the fleet on a host. */
export interface FleetRow {
  readonly session: string;
  readonly host: string;
  /** Null: it does not say. */
  readonly generation: number | null;
  readonly wanted: number | null;
  readonly state: string;
  readonly cause: string | null;
}

/** Hosts that are known, are to follow and did not answer; one that left its fleet is not meant. */
export const silentOf = (
  wanted: readonly FleetDocument[],
  uid: number,
  known: readonly HostView[],
  following: readonly FollowingHost[],
): FleetRow[] => {
  const heard = new Set(following.map(({ host }) => host));
  const missing = known.filter(({ host, state }) => !heard.has(host) && state !== 'left');
  return wanted.flatMap(({ name, generation, spec }) => {
    const selected = parseSelector(spec.selector);
    if (!selected.ok || spec.uid !== uid) return [];
    const cause = 'it does not answer';
    return missing
      .filter(selected.matches)
      .map(({ host }) => ({ session: name, host, generation: null, wanted: generation, state: 'silent', cause }));
  });
};

export interface Declared {
  readonly document: FleetDocument;
  readonly changes: readonly string[];
  readonly written: boolean;
  /** About hosts that say what cannot be. */
  readonly warnings: readonly string[];
}

/** The highest generation that counts: the store's, and what hosts saw of a store that was put back. */
const highestOf = (name: string, before: FleetDocument | null, hosts: readonly FollowingHost[]) => {
  const stored = before?.generation ?? 0;
  const seen = hosts.flatMap(({ host, sessions }) =>
    sessions.filter((one) => one.name === name).map(({ generation }) => ({ host, generation })),
  );
  const possible = seen.filter(({ generation }) => generation <= stored + AHEAD_MAX);
  const warnings = seen
    .filter((one) => !possible.includes(one))
    .map(
      ({ host, generation }) => `Warning: host ${host} claims generation ${generation} of session ${name}; it is not heeded`,
    );
  return { highest: Math.max(stored, ...possible.map(({ generation }) => generation)), warnings };
};

/** Most of those that know one; of several that as many know, the same each time. */
const commonest = (ids: readonly (string | null)[]): string | null => {
  const counts = new Map<string, number>();
  for (const id of ids) if (id !== null) counts.set(id, (counts.get(id) ?? 0) + 1);
  const [first] = [...counts].sort(([a, many], [b, more]) => more - many || (a < b ? -1 : 1));
  return first?.[0] ?? null;
};

export class FleetOperator {
  readonly bucket: Bucket;
  readonly #bus: Bus;
  readonly #who: string;

  /** `store`: where the bucket is written; its servers let nobody do so from among the hosts. */
  constructor(bus: Bus, store: Bus, who: string) {
    this.#bus = bus;
    this.bucket = new Bucket(store, 'weft_sessions');
    this.#who = who;
  }

  /** What the hosts follow, whose daemons run as `uid`. */
  async hosts(uid: number): Promise<readonly FollowingHost[]> {
    const answers = new Map<string, FollowingHost>();
    const question = { uid, who: this.#who, name: 'fleet.sessions', fields: {} };
    await askAll(this.#bus, question, (body) => {
      const following = parseFollowing(body);
      if (following) answers.set(following.host, following);
      return following !== null;
    });
    return [...answers.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  async all(): Promise<readonly FleetDocument[]> {
    const entries = await Promise.all((await this.bucket.keys()).map((key) => this.bucket.get(key)));
    return entries.flatMap((entry) => parseFleetDocument(entry?.value) ?? []).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * By its id hosts know a bucket from that of another fleet. One that was lost is made anew, or put back from before it had an id: then
   * it gets the one that the hosts read in it, so that these go on.
   */
  async #identify(hosts: readonly FollowingHost[]): Promise<void> {
    const entry = await this.bucket.get(ID_KEY);
    if (parseBucketId(entry?.value) !== null) return;
    const id = commonest(hosts.map(({ bucket }) => bucket)) ?? randomUUID();
    try {
      await this.bucket.put(ID_KEY, { v: 1, id }, entry?.revision ?? 0);
    } catch (thrown) {
      // Somebody else gave it one.
      if (!(thrown instanceof RevisionConflict)) throw thrown;
    }
  }

  /** Written over what was read, and over the highest generation that a host ever saw: a bucket may have been put back. */
  async declare(
    name: string,
    uid: number,
    wanted: (before: FleetDocument | null) => Pick<FleetDocument, 'spec' | 'deleted'>,
  ): Promise<Declared> {
    const key = encodeToken(name);
    const [entry, hosts] = await Promise.all([this.bucket.get(key), this.hosts(uid)]);
    const before = parseFleetDocument(entry?.value);
    const { spec, deleted } = wanted(before);
    await this.#identify(hosts);
    // What it was before may be known to daemons of another user.
    const others = before && before.spec.uid !== uid ? await this.hosts(before.spec.uid) : [];
    const { highest, warnings } = highestOf(name, before, [...hosts, ...others]);
    const same = before !== null && before.deleted === deleted && JSON.stringify(before.spec) === JSON.stringify(spec);
    if (same && before.generation === highest) return { document: before, changes: [], written: false, warnings };
    const uuid = before && !before.deleted ? before.uuid : randomUUID();
    const document: FleetDocument = { v: 1, name, uuid, generation: highest + 1, spec, deleted };
    if (!parseFleetDocument(document))
      throw failure('fleet-session-unreadable', { session: name, generation: document.generation });
    try {
      await this.bucket.put(key, { ...document }, entry?.revision ?? 0);
    } catch (thrown) {
      if (!(thrown instanceof RevisionConflict)) throw thrown;
      const now = parseFleetDocument((await this.bucket.get(key))?.value);
      throw failure('fleet-session-changed', {
        session: name,
        difference: difference(before, now).join('; ') || 'nothing else',
      });
    }
    return { document, changes: difference(before, document), written: true, warnings };
  }
}
