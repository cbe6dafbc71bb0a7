/** The effects of a snapshot: the promise in the document, then the consumer's copy. */
import { join } from 'node:path';
import { fromPromise } from 'xstate';
import type { SessionDocument } from '../machines/document.ts';
import { editSession } from '../machines/session-edits.ts';
import type { SnapshotPlace, SnapshotWanted } from '../machines/snapshot-edits.ts';
import { succeeded } from '../transport/errors.ts';
import type { ConsumerLink } from './consumer-link.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { localStamp } from './local-time.ts';
import { Refused } from './refused.ts';
import { holdAll, metadataOf } from './ring-registry.ts';

const freeze = async (parts: DaemonParts, sessionId: string, wanted: SnapshotWanted): Promise<SnapshotPlace> => {
  const { clock, host } = parts.ports;
  const place = await parts.documents.edit(sessionId, (before) => {
    const at = { stamp: localStamp(clock.now()), cpus: host.onlineCpus().length };
    const edited = editSession(before, { kind: 'snapshot.take', wanted, ...at });
    if (!edited.ok) throw new Refused(edited.refusal);
    return { document: edited.document, value: (edited.answer as { place: SnapshotPlace }).place };
  });
  const consumer = await holdAll(parts, sessionId);
  await consumer.open(sessionId, place.path);
  consumer.forget(place.path);
  await describe(parts.documents.current(sessionId), place, consumer);
  return place;
};

/** What is not there on the first call is found on the second: a program may have brought new events meanwhile. */
const describe = async (document: SessionDocument, place: SnapshotPlace, consumer: ConsumerLink): Promise<void> => {
  for (const registry of document.registries) {
    const directory = join(place.path, registry.directory);
    await consumer.open(document.id, directory);
    await consumer.writeMetadata(document.id, directory, metadataOf(document, registry), registry.eventClasses.length);
  }
};

const record = async (parts: DaemonParts, sessionId: string, requestId: string, place: SnapshotPlace): Promise<void> => {
  const { registries } = parts.documents.current(sessionId);
  const rings = registries.flatMap(({ directory, ringSets }) =>
    ringSets.map(({ ringId }) => ({ ringId, directory: join(place.path, directory) })),
  );
  const consumer = await parts.readyConsumer(parts.documents.current(sessionId));
  const totals = await consumer.snapshot(sessionId, rings, place);
  await describe(parts.documents.current(sessionId), place, consumer);
  for (const { directory } of registries) consumer.forget(join(place.path, directory));
  parts.replies.prepare(requestId, succeeded({ path: place.path, number: place.number, ...totals }));
};

export const provideSnapshot = (parts: DaemonParts) => ({
  freezeSnapshot: fromPromise<SnapshotPlace, { sessionId: string; wanted: SnapshotWanted }>(({ input }) =>
    freeze(parts, input.sessionId, input.wanted),
  ),
  recordSnapshot: fromPromise<void, { sessionId: string; requestId: string; place: SnapshotPlace }>(({ input }) =>
    record(parts, input.sessionId, input.requestId, input.place),
  ),
});
