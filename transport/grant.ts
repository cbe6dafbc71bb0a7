/** The daemon's side of access.ts: a key for whoever was found to be it. */
import type { Access } from './access.ts';
import { mintUser, type Role } from './identity.ts';
import type { PreparedServer } from './server-config.ts';

const whoOf = (role: Role, daemonUid: number): string => {
  if (role.kind === 'caller') return role.who;
  return role.kind === 'consumer' ? role.owner : String(daemonUid);
};

/** A key for `role` on our own server; `expiresAtS` in seconds of Unix time, absent: never. */
export const grantAccess = async (
  server: Pick<PreparedServer, 'urls' | 'ca' | 'keys' | 'inboxes'>,
  place: { readonly host: string; readonly uid: number },
  role: Role,
  options: { readonly version: string; readonly expiresAtS?: number },
): Promise<Access> => {
  const identity = await mintUser(server, place, role, options.expiresAtS);
  const { urls, ca } = server;
  return { ...place, who: whoOf(role, place.uid), realm: 'local', urls, ca, version: options.version, ...identity };
};
