/** What a saved file holds, whatever its format: recording sessions as their owner made them, and triggers. */
import { defaultAttributes } from '../../machines/channel-edits.ts';
import type { ChannelAttributes, ContextType, EventRule, Schedules, TrackedAttribute } from '../../machines/document.ts';
import type { TriggerDocument } from '../../machines/trigger-document.ts';

export type SavedAttributes = Partial<Omit<ChannelAttributes, 'ownership' | 'output'>>;

export interface SavedChannel {
  readonly name: string;
  readonly enabled: boolean;
  /** What is absent is the daemon's to choose. */
  readonly attributes: SavedAttributes;
  readonly contexts: readonly ContextType[];
  readonly rules: readonly EventRule[];
}

/** Without its counters. */
export interface SavedMap {
  readonly name: string;
  readonly bits: 32 | 64;
  readonly maxKeys: number;
  readonly updatePolicy: 'per-event' | 'per-rule-match';
  readonly ownership: 'user' | 'process';
  /** Null: counters belong to users. */
  readonly deadProcesses: 'drop' | 'sum-into-shared' | null;
}

/** Ids, and names as they were given; an empty list: no process. */
export type SavedTracker = 'all' | readonly (number | string)[];

export interface SavedOutput {
  readonly name: string;
  /** Absolute, or the URL of a relay. */
  readonly path: string;
  readonly maxSize: number;
}

/** Of a session whose traces go to a relay. */
export interface SavedNetwork {
  readonly url: string;
  readonly liveTimerUs: number | null;
  readonly compress: boolean;
  readonly spoolLimit: number | null;
}

export type SavedDestination =
  | { readonly kind: 'default' }
  | { readonly kind: 'none' }
  | { readonly kind: 'local'; readonly path: string }
  | ({ readonly kind: 'network' } & SavedNetwork)
  | { readonly kind: 'snapshot'; readonly outputs: readonly SavedOutput[] };

export interface SavedSession {
  readonly name: string;
  readonly started: boolean;
  readonly ownership: ChannelAttributes['ownership'];
  readonly channels: readonly SavedChannel[];
  readonly maps: readonly SavedMap[];
  readonly trackers: Readonly<Record<TrackedAttribute, SavedTracker>>;
  readonly schedules: Schedules;
  readonly output: SavedDestination;
  /** Where its ring buffers are files; null: they are memory. */
  readonly shmPath: string | null;
}

export type SavedTrigger = Pick<TriggerDocument, 'name' | 'condition' | 'actions'>;

export interface SavedFile {
  readonly sessions: readonly SavedSession[];
  readonly triggers: readonly SavedTrigger[];
}

export const TRACKED: readonly TrackedAttribute[] = ['vpid', 'vuid', 'vgid'];
export const ALL_PROCESSES: SavedSession['trackers'] = { vpid: 'all', vuid: 'all', vgid: 'all' };

/** Where in a file something stands: `line 12, sessions/session[1]/name`. */
export interface Place {
  readonly line: number;
  readonly path: string;
}

/** A file as it was read, and where each session, channel, rule, output and trigger of it stands. */
export interface ReadFile {
  readonly file: SavedFile;
  placeOf(part: object): Place | null;
}

/** What a file holds is wrong, or (`unsupported`) right but nothing that Weft has. */
export class FileFault extends Error {
  readonly place: Place;
  readonly unsupported: boolean;

  constructor(place: Place, cause: string, unsupported = false) {
    super(cause);
    this.place = place;
    this.unsupported = unsupported;
  }
}

/** A file is somebody's few sessions, not a database. */
export const LIMITS = { bytes: 8 << 20, depth: 32, elements: 200_000 } as const;

export const sizeFault = (text: string): FileFault | null =>
  Buffer.byteLength(text) > LIMITS.bytes
    ? new FileFault({ line: 1, path: '' }, `the file is larger than ${LIMITS.bytes} bytes`)
    : null;

/** Without what a channel has by itself, as far as `leaves` says so. */
export const withoutDefaults = (session: SavedSession, leaves: (attribute: string) => boolean): SavedSession => {
  const usual = defaultAttributes(session.ownership) as unknown as Readonly<Record<string, unknown>>;
  const channels = session.channels.map((channel) => {
    const told = Object.entries(channel.attributes).filter(
      ([name, value]) => !leaves(name) || JSON.stringify(value) !== JSON.stringify(usual[name]),
    );
    return { ...channel, attributes: Object.fromEntries(told) as SavedAttributes };
  });
  return { ...session, channels };
};

/** The sessions that a trigger names. */
export const sessionsOfTrigger = ({ condition, actions }: SavedTrigger): string[] =>
  [condition, ...actions].flatMap((part) => ('session' in part ? [part.session] : []));

/** A session under another name, and what its triggers say of it. */
export const renamed = (file: SavedFile, from: string, to: string): SavedFile => {
  const inside = <T extends object>(part: T): T =>
    'session' in part && part.session === from ? { ...part, session: to } : part;
  return {
    sessions: file.sessions.map((session) => (session.name === from ? { ...session, name: to } : session)),
    triggers: file.triggers.map((trigger) => ({
      ...trigger,
      condition: inside(trigger.condition),
      actions: trigger.actions.map(inside),
    })),
  };
};
