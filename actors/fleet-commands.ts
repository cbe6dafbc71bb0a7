/** Commands about the fleet: joining, leaving, and who is there. */

import { Bucket } from '../transport/bucket.ts';
import type { Reply } from '../transport/bus.ts';
import { failed, faultOf, succeeded } from '../transport/errors.ts';
import { parseFleet } from '../transport/fleet-file.ts';
import type { CommandRequest } from '../transport/messages.ts';
import type { Caller } from './commands.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { forgetHost, hostViews } from './hosts.ts';

const listHosts = async (parts: DaemonParts): Promise<Reply> =>
  parts.ports.bus.fleetDomain() === null
    ? failed('not-in-a-fleet', { host: parts.place.host })
    : succeeded({ hosts: hostViews(parts) });

const forget = async (parts: DaemonParts, caller: Caller, { host }: CommandRequest<'hosts.forget'>): Promise<Reply> => {
  if (parts.ports.bus.fleetDomain() === null) return failed('not-in-a-fleet', { host: parts.place.host });
  if (!caller.all && !caller.who.startsWith('fleet.'))
    return failed('permission-denied', { what: 'forgetting a host with a daemon that is not yours' });
  return forgetHost(parts, host) ?? succeeded({ forgotten: host });
};

/** Its store answers, or somebody else of it is heard: a fleet may have no JetStream. */
const reach = async (parts: DaemonParts): Promise<Reply> => {
  const { host } = parts.place;
  if (parts.ports.bus.fleetDomain() === null) return failed('not-in-a-fleet', { host });
  try {
    await new Bucket(parts.bus, 'weft_sessions').keys();
    return succeeded({ reached: true, cause: null });
  } catch (thrown) {
    const reached = hostViews(parts).some((view) => view.host !== host && view.state === 'ready');
    return succeeded({ reached, cause: faultOf(thrown).message });
  }
};

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
    parts.fleetSessions?.stop();
    await parts.ports.bus.setFleet(fleet, parts.keeper, () => renewKeys(parts));
    parts.root.send({ type: 'FleetJoined', host: parts.place.host });
    // From one fleet into another: who follows already looks at once.
    parts.root.getSnapshot().context.fleet?.getSnapshot().context.sessions.send({ type: 'Announced' });
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
  'hosts.forget': forget,
  'fleet.reach': reach,
  'fleet.join': join,
  'fleet.leave': leave,
  'fleet.sessions': async (parts: DaemonParts): Promise<Reply> =>
    parts.ports.bus.fleetDomain() === null
      ? failed('not-in-a-fleet', { host: parts.place.host })
      : succeeded({ sessions: parts.fleetSessions?.views() ?? [], bucket: parts.fleetSessions?.bucket ?? null }),
} as const;
