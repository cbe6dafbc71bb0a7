/**
 * What a caller gets at client.sock and a consumer over its socket pair (docs/contracts.md): where the bus is, how to know it, and
 * a key of their own. With it: the Bus.
 */
import { z } from 'zod';
import type { Body } from './bus.ts';
import { failure } from './errors.ts';
import { mintUser, type Role } from './identity.ts';
import { type Credentials, NatsBus, type NatsBusOptions, type OwnServer } from './nats-bus.ts';
import { type External, externalOptions, type Homes } from './nats-context.ts';
import { type Parsed, parseMessage } from './schema.ts';
import type { PreparedServer } from './server-config.ts';

const accessSchema = z.object({
  host: z.string().min(1),
  /** The daemon's. */
  uid: z.int(),
  /** Whom the server vouches for: REALM.WHO of commands, OWNER of a consumer. */
  who: z.string(),
  realm: z.enum(['local', 'fleet']),
  urls: z.array(z.string()).min(1),
  ca: z.string().nullable(),
  inboxPrefix: z.string(),
  version: z.string(),
  /** Absent on an external server, which knows its users by other means. */
  jwt: z.string().exactOptional(),
  seed: z.string().exactOptional(),
  /** On an external server: the operator's NATS context, or null when a URL named it (then `urls` has it). */
  context: z.string().nullable().exactOptional(),
});

export type Access = Readonly<z.output<typeof accessSchema>>;

export const parseAccess = (body: Body): Parsed<Access> => parseMessage(accessSchema, body);

/** A key for `role` on our own server, to be handed to whoever was found to be it. */
export const grantAccess = async (
  server: Pick<PreparedServer, 'urls' | 'ca' | 'keys'>,
  place: { readonly host: string; readonly uid: number },
  role: Role,
  options: { readonly version: string; readonly expiresAtS?: number },
): Promise<Access> => {
  const identity = await mintUser(server.keys, place, role, options.expiresAtS);
  return {
    ...place,
    who: whoOf(role, place.uid),
    realm: 'local',
    urls: [...server.urls],
    ca: server.ca,
    version: options.version,
    ...identity,
  };
};

const whoOf = (role: Role, daemonUid: number): string => {
  if (role.kind === 'caller') return role.who;
  return role.kind === 'consumer' ? role.owner : String(daemonUid);
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

export const connectExternal = async (external: External, options: NatsBusOptions, homes: Homes): Promise<NatsBus> =>
  NatsBus.connectExternal(externalOptions(external, homes), options);

/** For a consumer that got a new key, or whose daemon moved to another port. */
export const renewAccess = (bus: NatsBus, access: Access): void => {
  const credentials = credentialsOf(access);
  if (!credentials) throw failure('internal', { cause: 'a key of an external server is not renewed this way' });
  bus.renew(serverOf(access), credentials);
};
