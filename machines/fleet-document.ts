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
  /** The id of the bucket that wants it; null: that had none yet. */
  readonly bucket: string | null;
  readonly state: FollowState;
  readonly cause: string | null;
  /** The session here that was made for it; null: none. */
  readonly sessionId: string | null;
  /** Which generation made it. */
  readonly applied: number;
  /** A hash of the spec that made it: two documents may claim one generation. Empty: none. */
  readonly made: string;
  /** Triggers that were added for it, and are to go with it. */
  readonly triggers: readonly string[];
  /** It is being made now: what is found of this name after a death is ours. */
  readonly applying: boolean;
  /** How it was when it was made; what differs now was changed by hand. */
  readonly fingerprint: string;
}

export type FollowedSessions = Readonly<Record<string, Followed>>;

const UNTOUCHED: Omit<Followed, 'document' | 'bucket'> = {
  state: 'waiting',
  cause: null,
  sessionId: null,
  applied: 0,
  made: '',
  triggers: [],
  applying: false,
  fingerprint: '',
};

/** The same answer on every host, also of two documents that claim one generation. */
const isNewer = (a: FleetDocument, b: FleetDocument): boolean =>
  a.generation !== b.generation ? a.generation > b.generation : JSON.stringify(a) > JSON.stringify(b);

/** This host followed another fleet when it read that. Of a bucket without an id nobody can tell. */
export const isForeign = (one: Followed, bucket: string | null): boolean =>
  one.bucket !== null && bucket !== null && one.bucket !== bucket;

/** What another fleet wanted ends; what a bucket wanted before it had its id is wanted by it still. */
const under = (one: Followed, bucket: string | null): Followed =>
  isForeign(one, bucket) ? { ...one, document: { ...one.document, deleted: true } } : { ...one, bucket: one.bucket ?? bucket };

/**
 * The highest generation that was ever seen counts: a bucket may have been put back to an older state, and lack some. That is so within
 * one bucket, by its id: another fleet counts for itself, and what was made for the former is made anew. What is meant for daemons of
 * another user counts only where it takes the place of what was meant for those of `uid`.
 */
export const withRead = (
  known: FollowedSessions,
  read: readonly FleetDocument[],
  { uid, bucket }: { readonly uid: number; readonly bucket: string | null },
): FollowedSessions => {
  const merged = new Map(Object.entries(known).map(([name, one]) => [name, under(one, bucket)]));
  for (const document of read) {
    const before = merged.get(document.name);
    if (before && isForeign(before, bucket)) merged.set(document.name, { ...before, document, bucket, applied: 0, made: '' });
    else if (before ? isNewer(document, before.document) : document.spec.uid === uid)
      merged.set(document.name, { ...UNTOUCHED, bucket, ...before, document });
  }
  return Object.fromEntries(merged);
};

/** As a daemon of an earlier version kept it. */
export type KeptSessions = Readonly<Record<string, Omit<Followed, 'bucket' | 'made' | 'triggers'> & Partial<Followed>>>;

export const triggersOf = ({ commands }: FleetSpec): readonly string[] =>
  commands.flatMap(({ name, fields }) => (name === 'trigger.add' && typeof fields.name === 'string' ? [fields.name] : []));

export const completeFollowed = (kept: KeptSessions, hashOf: (spec: FleetSpec) => string): FollowedSessions =>
  Object.fromEntries(
    Object.entries(kept).map(([name, one]) => {
      const { document, applied } = one;
      const made = applied === document.generation ? hashOf(document.spec) : '';
      return [name, { bucket: null, made, triggers: triggersOf(document.spec), ...one }];
    }),
  );
