/** A fleet trigger in the session daemon: the one message of the host that saw the event, and the copy of what a consumer froze. */
import { z } from 'zod';
import type { Occurrence } from '../machines/trigger.ts';
import type { TriggerAction } from '../machines/trigger-document.ts';
import { freezeId, newFreezeId } from '../transport/freeze-message.ts';
import { hexId, parseMessage } from '../transport/schema.ts';
import { ANY, eventSubject, freezeSubject, parseEventSubject } from '../transport/subjects.ts';
import { commandAs } from './commands.ts';
import type { DaemonParts } from './daemon-parts.ts';
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
