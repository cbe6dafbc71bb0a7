/**
 * What a caller gets at client.sock and a consumer over its socket pair (docs/contracts.md): where the bus is, how to know it, and
 * a key of their own. With it: the Bus.
 */
import type { Body } from './bus.ts';
import { failure, fault } from './errors.ts';
import { type Credentials, NatsBus, type NatsBusOptions, type OwnServer } from './nats-bus.ts';
import type { External, Homes } from './nats-context.ts';
import type { Parsed } from './schema.ts';

export interface Access {
  readonly host: string;
  /** The daemon's. */
  readonly uid: number;
  /** Whom the server vouches for: REALM.WHO of commands, OWNER of a consumer. */
  readonly who: string;
  readonly realm: 'local' | 'fleet';
  readonly urls: readonly string[];
  readonly ca: string | null;
  readonly inboxPrefix: string;
  readonly version: string;
  /** Absent on an external server, which knows its users by other means. */
  readonly jwt?: string;
  readonly seed?: string;
  /** On an external server: the operator's NATS context, or null when a URL named it (then `urls` has it). */
  readonly context?: string | null;
  /** The daemon may leave its place to another one, which then does what was asked of it. */
  readonly yields?: boolean;
}

const isText = (value: unknown): boolean => typeof value === 'string';
const isTextOrNull = (value: unknown): boolean => value === null || isText(value);
const absentOr =
  (check: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === undefined || check(value);

/** By hand: the command line reads this before all else, and loading zod costs it more than the command. */
const FIELDS: Readonly<Record<keyof Access, (value: unknown) => boolean>> = {
  host: (value) => isText(value) && value !== '',
  uid: Number.isInteger,
  who: isText,
  realm: (value) => value === 'local' || value === 'fleet',
  urls: (value) => Array.isArray(value) && value.length > 0 && value.every(isText),
  ca: isTextOrNull,
  inboxPrefix: isText,
  version: isText,
  jwt: absentOr(isText),
  seed: absentOr(isText),
  context: absentOr(isTextOrNull),
  yields: absentOr((value) => typeof value === 'boolean'),
};

export const parseAccess = (body: Body): Parsed<Access> => {
  const wrong = Object.entries(FIELDS).find(([name, check]) => !check(body[name]));
  if (wrong) return { ok: false, fault: fault('bad-message', { field: wrong[0], cause: 'it is missing or of another type' }) };
  const known = Object.keys(FIELDS).filter((name) => body[name] !== undefined);
  return { ok: true, value: Object.fromEntries(known.map((name) => [name, body[name]])) as unknown as Access };
};

const credentialsOf = ({ jwt, seed }: Access): Credentials | null =>
  jwt !== undefined && seed !== undefined ? { jwt, seed } : null;

const serverOf = ({ urls, ca, inboxPrefix }: Access): OwnServer => ({ urls, ca, inboxPrefix });

/** Throws FaultError: `bus-unavailable`, `permission-denied`. */
export const connectAccess = async (access: Access, options: NatsBusOptions, homes: Homes): Promise<NatsBus> => {
  const credentials = credentialsOf(access);
  if (credentials) return NatsBus.connect(serverOf(access), credentials, options);
  const external: External = access.context ? { context: access.context } : { url: access.urls[0]! };
  return connectExternal(external, options, homes);
};

export const connectExternal = async (external: External, options: NatsBusOptions, homes: Homes): Promise<NatsBus> => {
  const { externalOptions } = await import('./nats-context.ts');
  return NatsBus.connectExternal(externalOptions(external, homes), options);
};

/** For a consumer that got a new key, or whose daemon moved to another port. */
export const renewAccess = (bus: NatsBus, access: Access): void => {
  const credentials = credentialsOf(access);
  if (!credentials) throw failure('internal', { cause: 'a key of an external server is not renewed this way' });
  bus.renew(serverOf(access), credentials);
};
