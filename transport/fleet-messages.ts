/** Commands about the fleet that a host belongs to. */
import { z } from 'zod';
import type { FleetDocument } from '../machines/fleet-document.ts';
import { command } from './command-shape.ts';
import { fleetFile } from './fleet-file.ts';
import { envelope, text, uid } from './schema.ts';

const labels = z.record(z.string().max(63), z.string().max(255));

const clockView = z.object({
  /** Whose clock it is measured against; null: it is not measured. */
  reference: text.nullable(),
  offsetNs: z.number(),
  uncertaintyNs: z.number().nullable(),
});

export const hostView = z.object({
  host: text,
  uid,
  machineId: text,
  bootId: text,
  labels,
  version: text,
  /** In the words of its machine. */
  state: z.enum(['joining', 'ready', 'unreachable', 'left', 'conflict']),
  /** Real time; null: it was not heard yet. */
  lastBeatMs: z.number().nullable(),
  sessions: z.int(),
  load: z.number(),
  clock: clockView,
  /** Of a conflict: the machines that call themselves so. */
  machines: z.array(text),
});

/** What a command to many hosts has besides its own fields. */
export const scatterRequest = z.object({
  ...envelope,
  /** rules/selector.ts */
  selector: text.default(''),
  /** Of all messages of a two-phase command. */
  operation: z.string().min(1).max(128).exactOptional(),
  /** Of a prepare: how long what is prepared is to be held at least. */
  leaseMs: z.number().exactOptional(),
  phase: z.enum(['prepare', 'commit', 'abort']).exactOptional(),
});

/** Those that change many hosts at once in two phases: first whatever can fail, then the act itself. */
export const TWO_PHASE: readonly string[] = ['session.start', 'session.stop', 'session.rotate', 'snapshot.record'];

const COMMANDS_MAX = 4096;

const fleetDocument = z.object({
  v: z.literal(1),
  name: z.string().min(1).max(255),
  uuid: z.string().min(1).max(64),
  generation: z.int().min(1),
  spec: z.object({
    selector: z.string().max(4096),
    uid,
    commands: z.array(z.object({ name: z.string(), fields: z.record(z.string(), z.unknown()) })).max(COMMANDS_MAX),
  }),
  deleted: z.boolean(),
});

/** Null: it is none; whoever can write the bucket can write anything. */
export const parseFleetDocument = (value: unknown): FleetDocument | null => fleetDocument.safeParse(value).data ?? null;

const bucketId = z.uuid();

/** What lies at ID_KEY of a bucket. Null: none, or nobody can tell. */
export const parseBucketId = (value: unknown): string | null =>
  z.object({ v: z.literal(1), id: bucketId }).safeParse(value).data?.id ?? null;

const followedView = z.object({
  name: text,
  uuid: text,
  /** The highest that this host saw. */
  generation: z.int().min(1),
  deleted: z.boolean(),
  /** `drifted`: changed by hand since it was made. `elsewhere`: other hosts are meant. */
  state: z.enum(['waiting', 'following', 'drifted', 'elsewhere', 'conflict', 'failed', 'deleted']),
  cause: z.string().nullable(),
});

export type FollowedView = z.output<typeof followedView>;

const followingHost = z.object({
  host: text,
  ok: z.literal(true),
  sessions: z.array(z.unknown()),
  bucket: bucketId.nullable().catch(null),
});

export interface FollowingHost {
  readonly host: string;
  readonly sessions: readonly FollowedView[];
  /** The id of the bucket that it reads; null: it does not know one. */
  readonly bucket: string | null;
}

/** What a host says that it follows. Null: it says something else; whoever is a host can say anything. */
export const parseFollowing = (body: unknown): FollowingHost | null => {
  const { data } = followingHost.safeParse(body);
  return data ? { ...data, sessions: data.sessions.flatMap((one) => followedView.safeParse(one).data ?? []) } : null;
};

export const FLEET_COMMANDS = {
  'hosts.list': command('The hosts of the fleet, as this one hears them.', {}, { hosts: z.array(hostView) }),
  'hosts.forget': command(
    'A host that is gone for good: this one waits for it no more.',
    { host: z.string().min(1).max(255) },
    { forgotten: text },
  ),
  'fleet.reach': command('Whether the fleet answers this host.', {}, { reached: z.boolean(), cause: z.string().nullable() }),
  'fleet.join': command(
    'Join the local bus to a fleet as a leaf node; for root and the daemon’s own user.',
    { fleet: fleetFile },
    { domain: text, host: text },
  ),
  'fleet.sessions': command(
    'The sessions of the fleet, as this host follows them.',
    {},
    { sessions: z.array(followedView), bucket: z.string().nullable() },
  ),
  'fleet.leave': command('Leave the fleet.', {}, {}),
} as const;

export type HostView = z.output<typeof hostView>;
export type HostState = HostView['state'];
