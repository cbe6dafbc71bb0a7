/** Commands about the fleet: joining, leaving, and who is there. */

import type { Reply } from '../transport/bus.ts';
import { failed, succeeded } from '../transport/errors.ts';
import { parseFleet } from '../transport/fleet-file.ts';
import type { CommandRequest } from '../transport/messages.ts';
import type { Caller } from './commands.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { hostViews } from './hosts.ts';

const listHosts = async (parts: DaemonParts): Promise<Reply> =>
  parts.ports.bus.fleetDomain() === null
    ? failed('not-in-a-fleet', { host: parts.place.host })
    : succeeded({ hosts: hostViews(parts) });

/** The answer travels over the server that is about to start anew: it goes first. */
const afterAnswer = (parts: DaemonParts, work: () => Promise<void>): void =>
  void parts.ports.clock.setTimeout(() => {
    void parts.bus
      .flush()
      .then(work)
      .catch((thrown: unknown) => parts.ports.log.error('the bus could not be started anew', { cause: String(thrown) }));
  }, 0);

/** Whoever records goes on meanwhile. One that is just being started gets its key then. */
const renewKeys = async (parts: DaemonParts): Promise<void> => {
  for (const owner of Object.keys(parts.root.getSnapshot().context.consumers)) {
    const access = await parts.ports.bus.grant({ kind: 'consumer', owner });
    try {
      parts.consumer(Number(owner)).sendKey(access);
    } catch (thrown) {
      parts.ports.log.info('a consumer has no new key yet', { owner, cause: String(thrown) });
    }
  }
};

const join = async (parts: DaemonParts, caller: Caller, { fleet: wanted }: CommandRequest<'fleet.join'>): Promise<Reply> => {
  if (!caller.all) return failed('permission-denied', { what: 'joining a fleet with a daemon that is not yours' });
  const fleet = parseFleet(wanted, 'The fleet file');
  afterAnswer(parts, async () => {
    await parts.ports.bus.setFleet(fleet, parts.keeper, () => renewKeys(parts));
    parts.root.send({ type: 'FleetJoined', host: parts.place.host });
  });
  return succeeded({ domain: fleet.domain, host: parts.place.host });
};

const leave = async (parts: DaemonParts, caller: Caller): Promise<Reply> => {
  if (!caller.all) return failed('permission-denied', { what: 'leaving a fleet with a daemon that is not yours' });
  if (parts.ports.bus.fleetDomain() === null) return failed('not-in-a-fleet', { host: parts.place.host });
  parts.root.send({ type: 'FleetLeft' });
  afterAnswer(parts, () => parts.ports.bus.setFleet(null, parts.keeper, () => renewKeys(parts)));
  return succeeded({});
};

export const FLEET_HANDLERS = {
  'hosts.list': listHosts,
  'fleet.join': join,
  'fleet.leave': leave,
  'fleet.sessions': async (parts: DaemonParts): Promise<Reply> =>
    parts.ports.bus.fleetDomain() === null
      ? failed('not-in-a-fleet', { host: parts.place.host })
      : succeeded({ sessions: parts.fleetSessions?.views() ?? [] }),
} as const;
