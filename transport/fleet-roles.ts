/**
 * Who may do what on the fleet's server (docs/contracts-network.md). The server vouches for HOST, WHO and RELAY by these permissions
 * alone, so what a role may say must not be more than its own name.
 *
 * Nobody may create a JetStream consumer or read a message directly: both make the server publish stored bytes to a subject of the
 * asker's choice, that is in anybody's name. Buckets are read with STREAM.MSG.GET (its answer is wrapped, so it is no command) and
 * STREAM.INFO, and watched as what they republish: a host's leaf passes on neither a bucket's own subjects nor consumers.
 */
import { encodeToken } from './subjects.ts';

/** JetStream domain of the fleet's servers. */
export const FLEET_DOMAIN = 'fleet';
export const BUCKETS = ['weft_hosts', 'weft_sessions', 'weft_triggers'] as const;
export type Bucket = (typeof BUCKETS)[number];

/** Inboxes of the fleet's users are `INBOXES.RANDOM.>`: the leaf of a host passes on answers only to what it may publish to. */
export const INBOXES = '_INBOX_fleet';

/** The stream of a bucket, as whoever comes first creates it. */
export const bucketStream = (bucket: Bucket, replicas: number) => ({
  name: `KV_${bucket}`,
  subjects: [`$KV.${bucket}.>`],
  max_msgs_per_subject: 1,
  discard: 'new',
  storage: 'file',
  num_replicas: replicas,
  allow_rollup_hdrs: true,
  deny_delete: true,
  republish: { src: `$KV.${bucket}.>`, dest: bucketSubject(bucket) },
});

export const FLEET_ROLES = ['host', 'operator', 'relay', 'viewer'] as const;
export type FleetRoleKind = (typeof FLEET_ROLES)[number];

export interface FleetRole {
  readonly kind: FleetRoleKind;
  /** HOST, WHO, RELAY; of a viewer only a label. */
  readonly name: string;
  /** Of a host: whose fleet commands its leaf may carry (WHO), for people who work on that host. */
  readonly carries?: readonly string[];
}

export interface FleetPermissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** May answer what it was asked, wherever the asker waits. */
  readonly answers: boolean;
}

/** The domain's name for its API, and what the server makes of it before it looks at permissions; a leaf sends the first. */
const APIS = [`$JS.${FLEET_DOMAIN}.API`, '$JS.API'] as const;

const api = (what: string): string[] => APIS.map((prefix) => `${prefix}.${what}`);
const reading = (bucket: Bucket): string[] => [...api(`STREAM.INFO.KV_${bucket}`), ...api(`STREAM.MSG.GET.KV_${bucket}`)];
/** A domain's put is a request below its API; the server maps it to the plain subject, which is what listeners hear. */
const writing = (bucket: Bucket, key: string): string[] => [`${APIS[0]}.$KV.${bucket}.${key}`, `$KV.${bucket}.${key}`];

/** Where a bucket says what was written to it (`republish` of its stream). */
export const bucketSubject = (bucket: Bucket): string => `weft.v1.fleet.bucket.${bucket}.>`;

const commandsAs = (who: string): string => `weft.v1.*.*.cmd.fleet.${encodeToken(who)}.>`;

/**
 * A server tells a leaf of a listener only if the leaf may say all that the listener's pattern covers, or if a permission without
 * wildcards lies within it. So each pattern comes with one subject of its own: that lets `weft.v1.*.*.beat` be heard.
 */
const withExample = (pattern: string): string[] => [pattern, pattern.replace(/[*>]/g, '0')];

/**
 * Hosts listen to `weft.v1.fleet.UID.cmd.fleet.>`, which is wider than one WHO: the leaf hears of them by a subject that lies within.
 * WHO on a host is `UID@HOST`, who commands the daemons of root or those of the same uid.
 */
const carried = (who: string): string[] => {
  const uids = new Set(['0', /^\d+/.exec(who)?.[0] ?? '0']);
  return [commandsAs(who), ...[...uids].map((uid) => `weft.v1.fleet.${uid}.cmd.fleet.${encodeToken(who)}.0`)];
};

const hostPermissions = (host: string, carries: readonly string[]): FleetPermissions => {
  const token = encodeToken(host);
  return {
    publish: [
      ...['evt.>', 'live.>', 'inspect.>', 'beat'].flatMap((kind) => withExample(`weft.v1.${token}.*.${kind}`)),
      'weft.v1.relay.open',
      `weft.v1.relay.*.data.${token}.>`,
      ...withExample(`weft.v1.fleet.*.freeze.*.${token}`),
      'weft.v1.fleet.*.clock.*',
      ...writing('weft_hosts', token),
      ...BUCKETS.flatMap(reading),
      ...carries.flatMap(carried),
      `${INBOXES}.>`,
    ],
    subscribe: [
      `weft.v1.${token}.*.cmd.fleet.>`,
      'weft.v1.fleet.*.cmd.fleet.>',
      'weft.v1.fleet.*.freeze.>',
      `weft.v1.fleet.*.clock.${token}`,
      `weft.v1.relay.*.ack.${token}.>`,
      'weft.v1.*.*.beat',
      ...BUCKETS.map(bucketSubject),
      '$SRV.>',
    ],
    answers: false,
  };
};

const operatorPermissions = (who: string): FleetPermissions => ({
  publish: [
    commandsAs(who),
    '$SRV.>',
    ...BUCKETS.flatMap(reading),
    // A bucket that is there already is not changed by creating it again.
    ...BUCKETS.flatMap((bucket) => api(`STREAM.CREATE.KV_${bucket}`)),
    ...writing('weft_sessions', '>'),
    ...writing('weft_triggers', '>'),
  ],
  subscribe: [
    ...['evt.>', 'live.>', 'inspect.>', 'beat'].map((kind) => `weft.v1.*.*.${kind}`),
    'weft.v1.fleet.*.freeze.>',
    ...BUCKETS.map(bucketSubject),
  ],
  answers: false,
});

const relayPermissions = (relay: string): FleetPermissions => ({
  publish: ['ack', 'evt'].map((kind) => `weft.v1.relay.${encodeToken(relay)}.${kind}.>`),
  subscribe: ['weft.v1.relay.open', `weft.v1.relay.${encodeToken(relay)}.data.>`, '$SRV.>'],
  answers: true,
});

const VIEWER: FleetPermissions = {
  publish: [],
  subscribe: ['weft.v1.*.*.evt.>', 'weft.v1.*.*.live.>', 'weft.v1.*.*.beat'],
  answers: false,
};

export const fleetPermissions = ({ kind, name, carries }: FleetRole): FleetPermissions => {
  if (kind === 'host') return hostPermissions(name, carries ?? []);
  if (kind === 'operator') return operatorPermissions(name);
  return kind === 'relay' ? relayPermissions(name) : VIEWER;
};
