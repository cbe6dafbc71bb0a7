/** As whom this host does what the fleet commands. */
import type { DaemonParts } from './daemon-parts.ts';

export const SYSTEM_USER = 'weft';
const ownUsers = new WeakMap<DaemonParts, number>();

/** Null: root's daemon shall do nothing for the fleet before there is somebody whom it does it as. */
export const fleetUid = (parts: DaemonParts): number | null => {
  const { host } = parts.ports;
  // Only root can give a session to another user.
  if (host.uid !== 0) return host.uid;
  const known = ownUsers.get(parts);
  if (known !== undefined) return known;
  const uid = host.idOf('user', host.fleetUser ?? SYSTEM_USER);
  if (uid !== null) ownUsers.set(parts, uid);
  return uid;
};
