/** The effects of a snapshot: the promise in the document, then the consumer's copy. */
import { join } from 'node:path';
import { fromPromise } from 'xstate';
import type { Destination, SessionDocument } from '../machines/document.ts';
import { editSession } from '../machines/session-edits.ts';
import type { SnapshotPlace, SnapshotPromise, SnapshotWanted } from '../machines/snapshot-edits.ts';
import { destinationBelow, destinationText, isNetworkUrl, parseDestination } from '../transport/destination.ts';
import { succeeded } from '../transport/errors.ts';
import type { ConsumerLink, SnapshotReport } from './consumer-link.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { localStamp, localTime } from './local-time.ts';
import { discardParcel, PARCEL_VERSION, type ParcelDocument } from './parcels.ts';
import { Refused } from './refused.ts';
import { holdAll, metadataOf } from './ring-registry.ts';
import { clockOf } from './session-clock.ts';
import { endpointOf } from './session-link.ts';

/** For a relay it is written into a spool first; so it is whole, whatever the relay does meanwhile. */
const placeOf = (
  parts: DaemonParts,
  { owner }: SessionDocument,
  { base, directory, number, maxStreamBytes }: SnapshotPromise,
  { freeze }: SnapshotWanted,
): SnapshotPlace => {
  const rest = { number, maxStreamBytes, ...(freeze !== undefined && { freeze }) };
  const parsed = isNetworkUrl(base) ? parseDestination(base) : null;
  if (!parsed?.ok) return { path: `${base.replace(/\/+$/, '')}/${directory}`, ...rest };
  const id = parts.ports.ids.hex(16);
  const destination = destinationBelow(parsed.destination, directory);
  return { path: parts.ports.spool(owner.uid, id), parcel: { id, destination }, ...rest };
};

/** A copy that nobody waits for any more is none. */
const orDiscard = async <T>(parts: DaemonParts, { parcel }: SnapshotPlace, signal: AbortSignal, work: () => Promise<T>) => {
  try {
    const done = await work();
    if (parcel && signal.aborted) throw new Error('it came too late');
    return done;
  } catch (thrown) {
    if (parcel) void discardParcel(parts, parcel.id);
    throw thrown;
  }
};

const hold = async (parts: DaemonParts, sessionId: string, place: SnapshotPlace): Promise<SnapshotPlace> => {
  const consumer = await holdAll(parts, sessionId);
  await consumer.open(sessionId, place.path);
  consumer.forget(place.path);
  await describe(parts.documents.current(sessionId), place, consumer);
  return place;
};

const freeze = async (
  parts: DaemonParts,
  sessionId: string,
  wanted: SnapshotWanted,
  signal: AbortSignal,
): Promise<SnapshotPlace> => {
  const { clock, host } = parts.ports;
  const promise = await parts.documents.edit(sessionId, (before) => {
    const at = { stamp: localStamp(clock.now()), cpus: host.onlineCpus().length, clock: clockOf(parts) };
    const edited = editSession(before, { kind: 'snapshot.take', wanted, ...at });
    if (!edited.ok) throw new Refused(edited.refusal);
    return { document: edited.document, value: (edited.answer as { promise: SnapshotPromise }).promise };
  });
  const document = parts.documents.current(sessionId);
  const place = placeOf(parts, document, promise, wanted);
  const { parcel } = place;
  if (parcel) parts.parcels.admit(document.owner.uid);
  return orDiscard(parts, place, signal, async () => {
    // Before anything of it is in the spool: whoever dies, somebody knows of it.
    if (parcel) await parts.parcels.note(parcelOf(parts, document, place, parcel.destination));
    return hold(parts, sessionId, place);
  });
};

/** What is not there on the first call is found on the second: a program may have brought new events meanwhile. */
const describe = async (document: SessionDocument, place: SnapshotPlace, consumer: ConsumerLink): Promise<void> => {
  for (const registry of document.registries) {
    const directory = join(place.path, registry.directory);
    await consumer.open(document.id, directory);
    await consumer.writeMetadata(document.id, directory, metadataOf(document, registry), registry.eventClasses.length);
  }
};

/** The caller waits so long; then it goes on by itself. */
const DELIVER_MS = 8_000;

/** Each is a trace of its own at the relay, of the time when it was taken. */
const parcelOf = (
  parts: DaemonParts,
  document: SessionDocument,
  place: SnapshotPlace,
  destination: Destination,
): ParcelDocument => {
  const { name, owner, hostname } = document;
  const id = place.parcel!.id;
  const request = {
    session: id,
    sessionName: name,
    output: place.path,
    destination,
    liveTimerUs: null,
    hostname,
    createdAt: localTime(parts.ports.clock.now()),
    compress: false,
    spoolLimit: Number.MAX_SAFE_INTEGER,
    tracefiles: [],
    rings: [],
  };
  const what = `snapshot ${place.number} of session ${name}`;
  return { version: PARCEL_VERSION, id, owner, what, complete: false, bytes: 0, request };
};

const deliver = async (parts: DaemonParts, { id, destination }: NonNullable<SnapshotPlace['parcel']>, waits: boolean) => {
  const { clock } = parts.ports;
  const arrival = waits ? parts.parcels.delivery(id, DELIVER_MS, (task, ms) => clock.setTimeout(task, ms)) : null;
  parts.root.send({ type: 'ParcelLeft', parcelId: id });
  const link = await arrival;
  if (link === null) return { path: destinationText(destination), delivered: false };
  const relay = { name: link.relay ?? '', ...endpointOf(destination, link) };
  return { path: link.directory ?? destinationText(destination), delivered: true, relay };
};

const copy = async (parts: DaemonParts, sessionId: string, place: SnapshotPlace): Promise<SnapshotReport> => {
  const { registries } = parts.documents.current(sessionId);
  const rings = registries.flatMap(({ directory, ringSets }) =>
    ringSets.map(({ ringId }) => ({ ringId, directory: join(place.path, directory) })),
  );
  const consumer = await parts.readyConsumer(parts.documents.current(sessionId));
  const totals = await consumer.snapshot(sessionId, rings, place);
  await describe(parts.documents.current(sessionId), place, consumer);
  if (place.freeze !== undefined) {
    // A consumer of an older version writes notes that promise nothing.
    await consumer.endSnapshot(sessionId, place.path).catch((thrown: unknown) => {
      parts.ports.log.warn('the note of a freeze does not say that its copy is whole', {
        path: place.path,
        cause: String(thrown),
      });
    });
  }
  for (const { directory } of registries) consumer.forget(join(place.path, directory));
  return totals;
};

const record = async (
  parts: DaemonParts,
  sessionId: string,
  requestId: string,
  place: SnapshotPlace,
  signal: AbortSignal,
): Promise<void> => {
  const { number, path, parcel } = place;
  const totals = await orDiscard(parts, place, signal, async () => {
    const copied = await copy(parts, sessionId, place);
    if (parcel) await parts.parcels.complete(parcel.id, Number(copied.bytes));
    return copied;
  });
  // Nobody waits for what a freeze recorded, and it may get further names for some seconds (consumer-links.ts).
  const sent = parcel ? await deliver(parts, parcel, place.freeze === undefined) : { path };
  parts.replies.prepare(requestId, succeeded({ number, ...totals, ...sent }));
};

export const provideSnapshot = (parts: DaemonParts) => ({
  freezeSnapshot: fromPromise<SnapshotPlace, { sessionId: string; wanted: SnapshotWanted }>(({ input, signal }) =>
    freeze(parts, input.sessionId, input.wanted, signal),
  ),
  recordSnapshot: fromPromise<void, { sessionId: string; requestId: string; place: SnapshotPlace }>(({ input, signal }) =>
    record(parts, input.sessionId, input.requestId, input.place, signal),
  ),
});
