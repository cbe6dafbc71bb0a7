/**
 * Who may do what on the fleet's server (docs/contracts-network.md). The server vouches for HOST, WHO and RELAY by these permissions
 * alone, so what a role may say must not be more than its own name. The server looks at what somebody says, not at where the answer is
 * to go: so whoever answers may say answers into inboxes only, and what answers anywhere (JetStream) lies elsewhere (fleet-store.ts).
 */
import { BUCKETS, bucketSubject, READING } from './fleet-store.ts';
import { encodeToken } from './subjects.ts';

/** Inboxes of the fleet's users are `INBOXES.RANDOM.>`: the leaf of a host passes on answers only to what it may publish to. */
export const INBOXES = '_INBOX_fleet';

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
}

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
      'weft.v1.relay.*.open',
      `weft.v1.relay.*.data.${token}.>`,
      ...withExample(`weft.v1.fleet.*.freeze.*.${token}`),
      ...withExample(`weft.v1.fleet.*.call.${token}`),
      'weft.v1.fleet.*.clock.*',
      ...READING,
      ...carries.flatMap(carried),
      `${INBOXES}.>`,
    ],
    subscribe: [
      `weft.v1.${token}.*.cmd.fleet.>`,
      'weft.v1.fleet.*.cmd.fleet.>',
      'weft.v1.fleet.*.freeze.>',
      'weft.v1.fleet.*.call.>',
      `weft.v1.fleet.*.clock.${token}`,
      `weft.v1.relay.*.ack.${token}.>`,
      'weft.v1.*.*.beat',
      ...BUCKETS.map(bucketSubject),
      '$SRV.>',
    ],
  };
};

const operatorPermissions = (who: string): FleetPermissions => ({
  publish: [commandsAs(who), '$SRV.>', ...READING],
  subscribe: [
    ...['evt.>', 'live.>', 'inspect.>', 'beat'].map((kind) => `weft.v1.*.*.${kind}`),
    'weft.v1.fleet.*.freeze.>',
    ...BUCKETS.map(bucketSubject),
  ],
});

const relayPermissions = (relay: string): FleetPermissions => ({
  publish: [...['ack', 'evt'].map((kind) => `weft.v1.relay.${encodeToken(relay)}.${kind}.>`), `${INBOXES}.>`],
  subscribe: [
    'weft.v1.relay.open',
    ...['open', 'data.>'].map((kind) => `weft.v1.relay.${encodeToken(relay)}.${kind}`),
    '$SRV.>',
  ],
});

const VIEWER: FleetPermissions = {
  publish: [],
  subscribe: ['weft.v1.*.*.evt.>', 'weft.v1.*.*.live.>', 'weft.v1.*.*.beat'],
};

export const fleetPermissions = ({ kind, name, carries }: FleetRole): FleetPermissions => {
  if (kind === 'host') return hostPermissions(name, carries ?? []);
  if (kind === 'operator') return operatorPermissions(name);
  return kind === 'relay' ? relayPermissions(name) : VIEWER;
};
