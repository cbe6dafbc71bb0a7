/** The effects of a rotation: the promise, the streams' switch, the move of the chunk; clearing; the schedules. */
import { join } from 'node:path';
import { fromPromise, waitFor } from 'xstate';
import { channelLayout } from '../ctf/metadata.ts';
import type { SessionDocument } from '../machines/document.ts';
import { outputPathOf } from '../machines/output.ts';
import { rotationMachine } from '../machines/rotation.ts';
import {
  beginRotation,
  endChunk,
  finishRotation,
  type Moment,
  markCleared,
  markSwitched,
  openChunk,
  retractRotation,
} from '../machines/rotation-edits.ts';
import { editSession } from '../machines/session-edits.ts';
import type { Reply } from '../transport/bus.ts';
import { refused, succeeded } from '../transport/errors.ts';
import type { ConsumerLink } from './consumer-link.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { localTime } from './local-time.ts';
import { faultOfRefusal, Refused, refuse } from './refused.ts';
import { holdAll } from './ring-registry.ts';
import { placeOf } from './rotation-places.ts';
import { clockOf } from './session-clock.ts';
import { deliverArchive } from './session-link.ts';
import { summaryOf } from './views.ts';

export const momentOf = (parts: DaemonParts, document: SessionDocument): Moment => ({
  localTime: localTime(parts.ports.clock.now()),
  bytes: parts.totals.consumedBytes(document).toString(),
  clock: clockOf(parts),
});

/** For a start: from here on there is a chunk to record into. */
export const ensureChunk = (parts: DaemonParts, sessionId: string): Promise<void> =>
  parts.documents.edit(sessionId, (document) => ({
    document: openChunk(document, momentOf(parts, document)),
    value: undefined,
  }));

const edit = (parts: DaemonParts, sessionId: string, change: (document: SessionDocument) => SessionDocument): Promise<void> =>
  parts.documents.edit(sessionId, (document) => ({ document: change(document), value: undefined }));

/** A chunk ends a moment after it is promised: readers that write until then must not have gone past it when they hear of it. */
const NOTICE_NS = 40_000_000n;

const promiseRotation = (parts: DaemonParts, sessionId: string, requestId: string | null): Promise<void> =>
  edit(parts, sessionId, (document) => {
    const at = (parts.ports.host.monotonicNs() + NOTICE_NS).toString();
    const begun = beginRotation(document, { requestId, at, moment: momentOf(parts, document) });
    if (!begun.ok) throw new Refused(begun.refusal);
    return begun.document;
  });

const switchRings = async (document: SessionDocument, consumer: ConsumerLink): Promise<void> => {
  const { rotation, channels, registries } = document;
  const at = BigInt(rotation!.at);
  const switches = registries.flatMap((registry) =>
    registry.ringSets
      .filter(({ ringId }) => rotation!.rings.includes(ringId))
      .map(({ ringId, channel: id }) => {
        const channel = channels.find((one) => one.id === id)!;
        const layout = channelLayout(
          channel.contexts,
          registry.eventClasses.filter((one) => one.channel === id),
        );
        return consumer.rotate(document.id, ringId, placeOf(document, registry, null)!, at, layout);
      }),
  );
  await Promise.all(switches);
};

/** Of a stopped session nothing goes on: what the rings hold is written, and the readers end until the next start. */
const switchStreams = async (parts: DaemonParts, sessionId: string): Promise<void> => {
  if (parts.documents.current(sessionId).rotation?.switched !== false) return;
  // What is given back now must not come to the consumer again.
  const { name } = parts.documents.current(sessionId);
  const released = parts
    .session(sessionId)
    ?.getSnapshot()
    .matches({ life: { destroying: 'releasing' } });
  if (released) throw refuse('session-busy', { session: name, doing: 'destroying' });
  const consumer = await holdAll(parts, sessionId);
  const document = parts.documents.current(sessionId);
  if (document.chunk) await switchRings(document, consumer);
  else await consumer.detach(sessionId);
  await edit(parts, sessionId, markSwitched);
};

/** Of a network session: below its directory at the relay. */
const locationOf = (document: SessionDocument): string | null => {
  const { lastArchive, network } = document;
  return lastArchive === null || network ? lastArchive : join(outputPathOf(document), lastArchive);
};

const moveChunk = async (parts: DaemonParts, sessionId: string): Promise<void> => {
  const document = parts.documents.current(sessionId);
  if (!document.rotation) return;
  const { ends, archive } = document.rotation;
  const consumer = await parts.readyConsumer(document);
  await consumer.archive(sessionId, outputPathOf(document), ends.directory, archive);
};

const rotated = (document: SessionDocument): Reply =>
  succeeded({ session: summaryOf(document), state: 'completed', location: locationOf(document) });

/** The answer is kept with the change, for whoever asks again. */
const kept = (parts: DaemonParts, document: SessionDocument, requestId: string | null, reply: Reply): SessionDocument => {
  parts.replies.prepare(requestId, reply);
  if (requestId === null) return document;
  const settled = editSession(document, { kind: 'settle', requestId, atMs: parts.ports.clock.now(), reply });
  return settled.ok ? { ...settled.document, operation: document.operation } : document;
};

const ongoing = (document: SessionDocument): Reply =>
  succeeded({ session: summaryOf(document), state: 'ongoing', location: null });

const archiveChunk = async (parts: DaemonParts, sessionId: string, requestId: string | null): Promise<{ follows: boolean }> => {
  await moveChunk(parts, sessionId);
  await edit(parts, sessionId, (document) => {
    const finished = finishRotation(document);
    return kept(parts, finished, requestId, finished.network ? ongoing(finished) : rotated(finished));
  });
  return { follows: parts.documents.current(sessionId).network !== null };
};

/** What was recorded until the chunk ended, and its end, are at the relay; else the answer stays `ongoing`. */
const deliverChunk = async (parts: DaemonParts, sessionId: string, requestId: string | null): Promise<void> => {
  const document = parts.documents.current(sessionId);
  const place = await deliverArchive(parts, document);
  if (!place) return;
  const { relay, location } = place;
  const reply = succeeded({ session: summaryOf(document), state: 'completed', location, relay });
  await edit(parts, sessionId, (now) => kept(parts, now, requestId, reply));
};

/** Once the session is released: a session that was rotated leaves archives only. */
export const archiveRest = async (parts: DaemonParts, sessionId: string): Promise<string | null> => {
  const { archives, rotation } = parts.documents.current(sessionId);
  if (archives === 0 && rotation === null) return null;
  // One that stalled: all its rings are written out and detached by now.
  if (rotation) {
    await moveChunk(parts, sessionId);
    await edit(parts, sessionId, finishRotation);
  }
  await edit(parts, sessionId, (document) => {
    if (!document.chunk) return document;
    const at = parts.ports.host.monotonicNs().toString();
    return markSwitched(
      endChunk({ ...document, active: false }, document.chunk, { requestId: null, at, moment: momentOf(parts, document) }),
    );
  });
  await moveChunk(parts, sessionId);
  await edit(parts, sessionId, finishRotation);
  return locationOf(parts.documents.current(sessionId));
};

const clearChunk = async (parts: DaemonParts, sessionId: string, requestId: string | null): Promise<void> => {
  const before = parts.documents.current(sessionId);
  const written = outputPathOf(before) !== '';
  if (!written && before.everStarted && before.channels.length > 0) throw refuse('clear-unavailable', { session: before.name });
  if (written && before.chunk) {
    const consumer = await holdAll(parts, sessionId);
    await consumer.clear(sessionId, join(outputPathOf(before), before.chunk.directory));
  }
  await edit(parts, sessionId, (document) => {
    const cleared = markCleared(document);
    return kept(parts, cleared, requestId, succeeded({ session: summaryOf(cleared) }));
  });
};

/** Resolves when no rotation is under way, or the machine rests in that state of its work. */
const rotationIn = async (parts: DaemonParts, sessionId: string, state: 'idle' | 'stalled'): Promise<void> => {
  const rotation = parts.session(sessionId)?.getSnapshot().context.rotation;
  if (!rotation) return;
  await waitFor(
    rotation,
    (snapshot) => snapshot.status !== 'active' || snapshot.matches({ work: 'idle' }) || snapshot.matches({ work: state }),
  );
};

export const rotationEnded = (parts: DaemonParts, sessionId: string): Promise<void> => rotationIn(parts, sessionId, 'idle');

/** One that cannot go on keeps nobody from stopping or destroying the session. */
export const rotationRests = (parts: DaemonParts, sessionId: string): Promise<void> => rotationIn(parts, sessionId, 'stalled');

const monitorMs = ({ channels }: SessionDocument): number | null => {
  const timers = channels.map(({ attributes }) => attributes.monitorTimerUs).filter((us) => us > 0);
  return timers.length > 0 ? Math.max(1, Math.round(Math.min(...timers) / 1000)) : null;
};

/** The machine hears of what changed; a timer that runs is not begun anew for another's sake. */
export const tellSchedules = (parts: DaemonParts, sessionId: string): void => {
  const document = parts.documents.current(sessionId);
  const rotation = parts.session(sessionId)!.getSnapshot().context.rotation;
  const { timerUs, sizeBytes } = document.schedules;
  const known = rotation.getSnapshot().context;
  const size = { sizeBytes, monitorMs: sizeBytes === null ? null : monitorMs(document) };
  if (known.timerUs !== timerUs) rotation.send({ type: 'PeriodChanged', timerUs });
  if (known.sizeBytes !== size.sizeBytes || known.monitorMs !== size.monitorMs) {
    rotation.send({ type: 'SizeChanged', ...size });
  }
};

const measure = (parts: DaemonParts, sessionId: string, sizeBytes: number): void => {
  const document = parts.documents.find(sessionId);
  if (!document?.chunk || !document.active) return;
  const written = parts.totals.consumedBytes(document) - BigInt(document.chunk.bytesBefore);
  if (written < BigInt(sizeBytes)) return;
  parts.session(sessionId)?.getSnapshot().context.rotation.send({ type: 'RotateRequested', requestId: null, wait: true });
};

const publish = (parts: DaemonParts, sessionId: string, what: string): void => {
  const document = parts.documents.find(sessionId);
  if (!document) return;
  parts.events.publish(document.owner.uid, 'session', document.name, what, { path: locationOf(document) });
};

const provideActors = (parts: DaemonParts) => ({
  promiseRotation: fromPromise<void, { sessionId: string; requestId: string | null }>(async ({ input }) => {
    await promiseRotation(parts, input.sessionId, input.requestId);
    publish(parts, input.sessionId, 'rotating');
  }),
  switchStreams: fromPromise<void, { sessionId: string }>(({ input }) => switchStreams(parts, input.sessionId)),
  archiveChunk: fromPromise<{ follows: boolean }, { sessionId: string; requestId: string | null }>(({ input }) =>
    archiveChunk(parts, input.sessionId, input.requestId),
  ),
  deliverChunk: fromPromise<void, { sessionId: string; requestId: string | null }>(({ input }) =>
    deliverChunk(parts, input.sessionId, input.requestId),
  ),
  clearChunk: fromPromise<void, { sessionId: string; requestId: string | null }>(({ input }) =>
    clearChunk(parts, input.sessionId, input.requestId),
  ),
});

export const provideRotation = (parts: DaemonParts) => {
  const { log } = parts.ports;
  return rotationMachine.provide({
    actors: provideActors(parts),
    actions: {
      answer: (_, { requestId }) => parts.replies.answer(requestId, parts.replies.prepared(requestId)),
      answerOngoing: (_, { sessionId, requestId }) => {
        parts.replies.answer(requestId, ongoing(parts.documents.current(sessionId)));
      },
      refuse: (_, { requestId, refusal }) => parts.replies.answer(requestId, refused(faultOfRefusal(refusal))),
      retract: (_, { sessionId }) =>
        void edit(parts, sessionId, retractRotation).catch((thrown) =>
          log.error('a rotation could not be taken back', { sessionId, cause: String(thrown) }),
        ),
      publishRotated: (_, { sessionId }) => publish(parts, sessionId, 'rotated'),
      publishCleared: (_, { sessionId }) => publish(parts, sessionId, 'cleared'),
      measureChunk: (_, { sessionId, sizeBytes }) => measure(parts, sessionId, sizeBytes),
      logRotation: (_, { sessionId, what }) =>
        log.warn(what, { sessionId, session: parts.documents.find(sessionId)?.name ?? null }),
    },
  });
};
