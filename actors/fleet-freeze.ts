/** A fleet trigger in the session daemon: the one message of the host that saw the event, and the copy of what a consumer froze. */
import { z } from 'zod';
import type { SessionDocument } from '../machines/document.ts';
import type { Occurrence } from '../machines/trigger.ts';
import type { TriggerAction } from '../machines/trigger-document.ts';
import { freezeId, freezeMessage, newFreezeId } from '../transport/freeze-message.ts';
import { hexId, parseMessage } from '../transport/schema.ts';
import { ANY, eventSubject, FREEZES, freezeSubject, parseEventSubject, parseFreezeSubject } from '../transport/subjects.ts';
import { commandAs } from './commands.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { fleetUid } from './fleet-user.ts';
import type { TriggerEntry } from './trigger-table.ts';

export type FleetSnapshot = Extract<TriggerAction, { kind: 'snapshot-session' }> & {
  readonly fleet: { readonly postMs: number };
};

export const isFleetSnapshot = (action: TriggerAction): action is FleetSnapshot =>
  action.kind === 'snapshot-session' && action.fleet !== undefined;

/** Real time of the event: an application names it by CLOCK_MONOTONIC. */
const realNs = (parts: DaemonParts, { atMs, cause }: Occurrence): bigint =>
  typeof cause.timestampNs === 'bigint'
    ? cause.timestampNs + parts.ports.host.clockOffsetNs()
    : BigInt(Math.floor(atMs)) * 1_000_000n;

/** Every host's consumer hears it itself, this one's too. False: the bus is cut, nobody heard it. */
export const publishFreeze = (
  parts: DaemonParts,
  { document: { name, owner } }: TriggerEntry,
  { session, fleet }: FleetSnapshot,
  occurrence: Occurrence,
): boolean => {
  const { place, ports, bus } = parts;
  const id = newFreezeId(ports.clock.now(), ports.ids.hex(4));
  const atNs = realNs(parts, occurrence).toString();
  const body = { v: 1, id, owner: owner.uid, atNs, trigger: name, postMs: fleet.postMs };
  return bus.publish(freezeSubject({ ...place, session }), body);
};

/** Sessions of other users than the fleet's: who added no trigger for the fleet shall not lose a record by anybody's message. */
const isShared = (parts: DaemonParts, { name, owner }: SessionDocument): boolean =>
  parts.triggers
    .all()
    .some(
      ({ document }) =>
        document.owner.uid === owner.uid &&
        document.actions.some((action) => isFleetSnapshot(action) && action.session === name),
    );

/** What other hosts saw. Consumers hear it themselves for the fleet's own sessions. */
export const hearFreezes = (parts: DaemonParts): void => {
  parts.bus.subscribe(FREEZES, async ({ subject, body }) => {
    const address = parseFreezeSubject(subject);
    const message = parseMessage(freezeMessage, body);
    const { host, uid } = parts.place;
    if (!address || !message.ok || address.uid !== String(uid) || address.host === host) return;
    const { id, atNs, trigger, postMs, owner } = message.value;
    const document = parts.documents.all().find((one) => one.name === address.session && one.owner.uid === owner);
    if (!document?.snapshot || owner === fleetUid(parts) || !isShared(parts, document)) return;
    await parts
      .consumer(owner)
      .freeze(document.id, { id, atNs, trigger, postMs, host: address.host })
      .catch((thrown: unknown) => parts.ports.log.warn('a freeze does not reach its consumer', { id, cause: String(thrown) }));
  });
};

const frozenEvent = z.looseObject({ session: hexId, id: freezeId });

/** The consumer holds the rings and waits for the name of a place. */
export const copyFrozen = (parts: DaemonParts): void => {
  const subject = eventSubject({ ...parts.place, owner: ANY, noun: 'freeze', name: ANY, what: 'frozen' });
  parts.bus.subscribe(subject, async (message) => {
    const address = parseEventSubject(message.subject);
    const frozen = parseMessage(frozenEvent, message.body);
    if (!address || !frozen.ok) return;
    const { session, id } = frozen.value;
    const document = parts.documents.all().find((one) => one.id === session);
    if (!document || String(document.owner.uid) !== address.owner) return;
    const fields = { session: document.name, name: `snapshot-${id}`, freeze: id };
    const reply = await commandAs(parts, document.owner.uid, 'snapshot.record', fields);
    if (!reply.ok) parts.ports.log.warn('what was frozen is not copied', { id, cause: reply.fault.message });
  });
};
