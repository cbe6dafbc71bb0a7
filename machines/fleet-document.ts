/** What the fleet wants of its hosts, session by session, and which of two such wishes counts. Pure. */

export interface FleetCommand {
  /** NOUN.VERB */
  readonly name: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface FleetSpec {
  /** Which hosts (rules/selector.ts). */
  readonly selector: string;
  /** The daemons of this user. */
  readonly uid: number;
  /** What makes the session, in their order, from session.create to session.start. */
  readonly commands: readonly FleetCommand[];
}

/** One session of the fleet, as it lies in bucket weft_sessions. */
export interface FleetDocument {
  readonly v: 1;
  readonly name: string;
  /** Of the declaration; another one under the same name goes on counting. */
  readonly uuid: string;
  readonly generation: number;
  readonly spec: FleetSpec;
  readonly deleted: boolean;
}

export type FollowState = 'waiting' | 'following' | 'elsewhere' | 'conflict' | 'failed' | 'deleted';

/** What a host knows of a session of the fleet, and made of it. */
export interface Followed {
  readonly document: FleetDocument;
  readonly state: FollowState;
  readonly cause: string | null;
  /** The session here that was made for it; null: none. */
  readonly sessionId: string | null;
  /** Which generation made it. */
  readonly applied: number;
  /** It is being made now: what is found of this name after a death is ours. */
  readonly applying: boolean;
  /** How it was when it was made; what differs now was changed by hand. */
  readonly fingerprint: string;
}

export type FollowedSessions = Readonly<Record<string, Followed>>;

/** The same answer on every host, also of two documents that claim one generation. */
const isNewer = (a: FleetDocument, b: FleetDocument): boolean =>
  a.generation !== b.generation ? a.generation > b.generation : JSON.stringify(a) > JSON.stringify(b);

/** The highest generation that was ever seen counts: a bucket may have been put back to an older state, and lack some. */
export const withRead = (known: FollowedSessions, read: readonly FleetDocument[]): FollowedSessions => {
  const merged: Record<string, Followed> = { ...known };
  for (const document of read) {
    const before = merged[document.name];
    if (before && !isNewer(document, before.document)) continue;
    merged[document.name] = before
      ? { ...before, document }
      : { document, state: 'waiting', cause: null, sessionId: null, applied: 0, applying: false, fingerprint: '' };
  }
  return merged;
};
