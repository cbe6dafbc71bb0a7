/**
 * Who may do what on our own server. The daemon holds the keys of one operator and one account, made once; for every person and
 * process it mints a user (a JWT that the server trusts because the account signed it) with permissions, an inbox prefix of its
 * own and an expiry. Nothing is asked of the server for that, and nothing is stored.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Algorithms, encodeAccount, encodeOperator, encodeUser } from '@nats-io/jwt';
import { createAccount, createOperator, createUser, fromSeed, type KeyPair } from '@nats-io/nkeys';
import type { Credentials } from './nats-bus.ts';
import { writeWhole } from './private-file.ts';
import {
  ANY,
  beatSubject,
  FREEZES,
  fleetSubtrees,
  fleetWho,
  inspectSubject,
  linkSubtree,
  type Place,
  RELAY_OPEN,
  relayOpenSubject,
  relaySubtree,
  subtree,
} from './subjects.ts';

export interface Keys {
  readonly v: 1;
  readonly accountSeed: string;
  readonly account: string; // public key
  readonly system: string;
  readonly operatorJwt: string;
  readonly accountJwt: string;
  readonly systemJwt: string;
}

/** Limits of an account that has none. */
export const UNLIMITED = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: -1,
  disallow_bearer: true,
};

export const SIGNED = { algorithm: Algorithms.v2 };
export const seedOf = (pair: KeyPair): string => new TextDecoder().decode(pair.getSeed());
export const pairOf = (seed: string): KeyPair => fromSeed(new TextEncoder().encode(seed));

/** The operator's and the system account's seeds are not kept: nothing more is ever signed with them. */
const makeKeys = async (): Promise<Keys> => {
  const operator = createOperator();
  const account = createAccount();
  const system = createAccount();
  const systemKey = system.getPublicKey();
  const byOperator = { ...SIGNED, signer: operator };
  return {
    v: 1,
    accountSeed: seedOf(account),
    account: account.getPublicKey(),
    system: systemKey,
    operatorJwt: await encodeOperator('weft', operator, { system_account: systemKey }, SIGNED),
    accountJwt: await encodeAccount('weft', account, { limits: UNLIMITED }, byOperator),
    systemJwt: await encodeAccount('system', system, { limits: UNLIMITED }, byOperator),
  };
};

/** `directory` is `bus/` of the state directory: 0700, the file 0600. */
export const loadKeys = async (directory: string): Promise<Keys> => {
  const path = join(directory, 'keys.json');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as Keys;
  const keys = await makeKeys();
  writeWhole(path, `${JSON.stringify(keys)}\n`, 0o600);
  return keys;
};

export type Role =
  /** Whoever asked at client.sock. */
  | { readonly kind: 'caller'; readonly who: string; readonly all: boolean } // all: root, or the daemon's own uid
  | { readonly kind: 'consumer'; readonly owner: string }
  | { readonly kind: 'relay'; readonly relay: string }
  | { readonly kind: 'daemon' };

export interface Identity extends Credentials {
  readonly inboxPrefix: string;
}

export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** May answer what it was asked, wherever the asker waits. */
  readonly answers: boolean;
}

/** A flush of a slow disk may take its time; after that the answer would find nobody waiting. */
const ANSWER_WITHIN_NS = 600 * 1e9;

const callerPermissions = (place: Place, who: string, all: boolean): Permissions => {
  const whose = all ? ANY : who;
  const everything = all ? [`${inspectSubject({ ...place, process: ANY })}`, beatSubject(place)] : [];
  return {
    publish: [
      subtree(place, 'cmd', 'local', who),
      ...(all ? fleetSubtrees(place.uid, fleetWho(who, String(place.host))) : []),
      '$SRV.>',
    ],
    subscribe: [subtree(place, 'evt', whose), subtree(place, 'live', whose), ...everything],
    answers: false,
  };
};

const consumerPermissions = (place: Place, owner: string): Permissions => ({
  publish: [
    subtree(place, 'evt', owner),
    subtree(place, 'live', owner),
    inspectSubject({ ...place, process: consumerProcess(owner) }),
    RELAY_OPEN,
    relayOpenSubject(ANY),
    linkSubtree('data', { ...place, owner }),
  ],
  subscribe: [subtree(place, 'consumer', owner), linkSubtree('ack', { ...place, owner }), FREEZES],
  answers: true,
});

const relayPermissions = (relay: string): Permissions => ({
  publish: [relaySubtree(relay)],
  subscribe: [RELAY_OPEN, relaySubtree(relay), '$SRV.>'],
  answers: true,
});

/** PROCESS of a consumer's inspection events. */
export const consumerProcess = (owner: string): string => `consumer-${owner}`;

export const permissionsOf = (place: Place, role: Role): Permissions => {
  if (role.kind === 'caller') return callerPermissions(place, role.who, role.all);
  if (role.kind === 'consumer') return consumerPermissions(place, role.owner);
  if (role.kind === 'relay') return relayPermissions(role.relay);
  return { publish: ['>'], subscribe: ['>'], answers: false };
};

const nameOf = (role: Role): string => {
  if (role.kind === 'caller') return `caller ${role.who}`;
  if (role.kind === 'consumer') return `consumer ${role.owner}`;
  return role.kind === 'relay' ? `relay ${role.relay}` : 'daemon';
};

/** Where inboxes lie that no fleet confines. */
export const INBOX = '_INBOX';

export interface Issuer {
  readonly keys: Keys;
  /** What every inbox begins with: of a host in a fleet what its key may hear there. */
  readonly inboxes: string;
}

/**
 * Whoever knows an inbox can have answers sent into it, so nobody may guess one. A process that outlives its daemon keeps its
 * inbox while its key is renewed: its prefix is derived, a caller's is random.
 */
const inboxPrefix = ({ keys, inboxes }: Issuer, role: Role): string => {
  if (role.kind === 'caller') return `${inboxes}.${randomBytes(16).toString('hex')}`;
  const name = nameOf(role).replace(' ', ':');
  return `${inboxes}.${createHmac('sha256', keys.accountSeed).update(`inbox:${name}`).digest('hex').slice(0, 32)}`;
};

/** `expiresAtS`: seconds of Unix time; absent: never (for the daemon itself). */
export const mintUser = async (issuer: Issuer, place: Place, role: Role, expiresAtS?: number): Promise<Identity> => {
  const user = createUser();
  const { keys } = issuer;
  const prefix = inboxPrefix(issuer, role);
  const { publish, subscribe, answers } = permissionsOf(place, role);
  const claims = {
    pub: { allow: [...publish] },
    sub: { allow: [...subscribe, `${prefix}.>`] },
    ...(answers && { resp: { max: 1, ttl: ANSWER_WITHIN_NS } }),
  };
  const options = { ...SIGNED, ...(expiresAtS !== undefined && { exp: expiresAtS }) };
  const jwt = await encodeUser(nameOf(role), user, pairOf(keys.accountSeed), claims, options);
  return { jwt, seed: seedOf(user), inboxPrefix: prefix };
};
