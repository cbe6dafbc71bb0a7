/** The effects of a session: document, registries, applications, consumer; and the answers to its commands. */
import { fromPromise } from 'xstate';
import type { SessionDocument } from '../machines/document.ts';
import { mapGroupsOf, mapsOf } from '../machines/map-edits.ts';
import { outputPathOf } from '../machines/output.ts';
import type { OutputWanted } from '../machines/output-edits.ts';
import type { Refusal } from '../machines/refusal.ts';
import { sessionMachine } from '../machines/session.ts';
import { type EditAnswer, editSession, type SessionEdit } from '../machines/session-edits.ts';
import type { Operation } from '../machines/session-setup.ts';
import type { Body, Reply } from '../transport/bus.ts';
import { failed, refused, succeeded } from '../transport/errors.ts';
import type { LinkView } from '../transport/messages.ts';
import { provideChannel, tellChannel } from './channel.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { admitRules } from './limits.ts';
import { armAllCounts } from './map-counts.ts';
import { sendParcel } from './parcels.ts';
import { faultOfRefusal, Refused, refuse, refusedFrom } from './refused.ts';
import { holdAll, provideRingRegistry } from './ring-registry.ts';
import { archiveRest, ensureChunk, provideRotation, rotationEnded, rotationRests, tellSchedules } from './rotation.ts';
import { scopeFor } from './scopes.ts';
import { closeLink, drainLink, leftParcel, linkOf, placeOfArchive } from './session-link.ts';
import { redirect } from './session-output.ts';
import { recoverSession } from './session-recovery.ts';
import { provideSnapshot } from './snapshot.ts';
import { memoryNeeded } from './start-needs.ts';
import { channelViewOf, summaryOf } from './views.ts';

/** How long the operation may take until a daemon that finds it in the document calls it late. */
const OPERATION_MS = 60_000;
/** Within the time that a session has for its release. */
const DETACH_MS = 12_000;

/** JSON keeps no bigint; the codec takes decimal strings for 64-bit counts just as well. */
const storable = (reply: Reply): unknown =>
  JSON.parse(JSON.stringify(reply, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)));

const accepted = (document: SessionDocument, edit: SessionEdit): { document: SessionDocument; value: EditAnswer } => {
  const edited = editSession(document, edit);
  if (!edited.ok) throw new Refused(edited.refusal);
  return { document: edited.document, value: edited.answer };
};

const editBody = (parts: DaemonParts, document: SessionDocument, edit: SessionEdit, answer: EditAnswer): Body => {
  if (edit.kind !== 'channel.enable' && edit.kind !== 'channel.disable') return { ...answer };
  const channel = document.channels.find(({ name }) => name === edit.name)!;
  const view = channelViewOf(parts, document, channel);
  return edit.kind === 'channel.enable' ? { channel: view, ...adjustedOf(answer) } : { channel: view };
};

const adjustedOf = (answer: EditAnswer): Body => ('adjusted' in answer ? { adjusted: answer.adjusted } : {});

/** One write for the change and the answer that is kept with it. */
const writeEdit = (parts: DaemonParts, sessionId: string, requestId: string, edit: SessionEdit): Promise<void> =>
  parts.documents.edit(sessionId, (before) => {
    const { document, value } = accepted(before, edit);
    admitRules(parts, before, document);
    const reply = succeeded(editBody(parts, document, edit, value));
    parts.replies.prepare(requestId, reply);
    const settle = { requestId, atMs: parts.ports.clock.now(), reply: storable(reply) };
    const settled = accepted(document, { kind: 'settle', ...settle }).document;
    return { document: { ...settled, operation: before.operation }, value: undefined };
  });

const tellChannels = (parts: DaemonParts, sessionId: string): void => {
  const document = parts.documents.current(sessionId);
  const session = parts.session(sessionId)!;
  for (const { name, enabled } of document.channels) {
    // By whatever name: objects of the language have some themselves.
    const known = () => {
      const { channels } = session.getSnapshot().context;
      return Object.hasOwn(channels, name) ? channels[name] : undefined;
    };
    if (!known()) session.send({ type: 'ChannelSeen', name, enabled, frozen: document.everStarted });
    const channel = known();
    if (!channel) continue;
    tellChannel(channel, { type: enabled ? 'ChannelEnabled' : 'ChannelDisabled' });
    if (document.everStarted) tellChannel(channel, { type: 'SessionStarted' });
  }
};

const prepareStart = async (parts: DaemonParts, sessionId: string): Promise<void> => {
  const document = parts.documents.current(sessionId);
  if (document.channels.length === 0 && mapsOf(document).length === 0) throw refuse('no-channel', { session: document.name });
  const neededBytes = memoryNeeded(parts, document);
  const availableBytes = parts.ports.host.availableMemory();
  if (neededBytes > availableBytes) throw refuse('not-enough-memory', { neededBytes, availableBytes });
  await rotationEnded(parts, sessionId);
  const consumer = await parts.readyConsumer(document);
  const output = outputPathOf(document);
  if (output !== '') await consumer.open(sessionId, output);
  await ensureChunk(parts, sessionId);
  if (!parts.isArranged(parts.documents.current(sessionId))) await parts.passAll(sessionId);
};

/** The answer of the operation, kept for whoever asks again. */
const withAnswer = (parts: DaemonParts, document: SessionDocument, requestId: string | null, reply: Reply): SessionDocument => {
  const edit = { kind: 'settle', requestId: requestId ?? '', atMs: parts.ports.clock.now(), reply: storable(reply) } as const;
  const settled = accepted(document, edit).document;
  return requestId ? settled : { ...settled, answers: document.answers };
};

const writePromise = async (
  parts: DaemonParts,
  sessionId: string,
  requestId: string | null,
  operation: Operation,
): Promise<void> => {
  await parts.documents.edit(sessionId, (document) => {
    const deadlineMs = parts.ports.clock.now() + OPERATION_MS;
    const edit = { kind: 'promise', operation, requestId: requestId ?? '', deadlineMs } as const;
    const promised = accepted(document, edit).document;
    if (operation !== 'starting') return { document: promised, value: undefined };
    // What it may fail of lies behind it: one write for the promise and the answer.
    const reply = operationReply(parts, promised, null);
    parts.replies.prepare(requestId, reply);
    return { document: withAnswer(parts, promised, requestId, reply), value: undefined };
  });
  if (operation === 'starting') tellChannels(parts, sessionId);
};

const quiet = async (parts: DaemonParts, sessionId: string): Promise<void> => {
  const quieted = parts.applications.all().map((application) => application.quiet(sessionId));
  const errors = await Promise.all([...quieted, armAllCounts(parts)]);
  const first = errors.flat()[0];
  if (first !== undefined) throw refuse('internal', { cause: first });
};

const dumpStates = async (parts: DaemonParts, sessionId: string): Promise<void> => {
  const answers = await Promise.all(parts.applications.all().map((application) => application.dumpState(sessionId)));
  const first = answers.flat()[0];
  if (first !== undefined) throw refuse('internal', { cause: first });
};

const flush = async (parts: DaemonParts, sessionId: string): Promise<void> => {
  const document = parts.documents.current(sessionId);
  if (document.registries.every(({ ringSets }) => ringSets.length === 0)) return;
  // What is being switched cannot be flushed.
  await rotationRests(parts, sessionId);
  await holdAll(parts, sessionId);
  const { flush: number, done } = parts.flushes.request();
  parts.root.getSnapshot().context.consumers[document.owner.uid]?.send({ type: 'FlushRequested', flush: number, sessionId });
  await done;
  await drainLink(parts, document);
};

const operationReply = (
  parts: DaemonParts,
  document: SessionDocument,
  fault: Refusal | null,
  link: LinkView | null = null,
): Reply => {
  if (fault) return refused(faultOfRefusal(fault));
  const session = summaryOf(document);
  if (document.operation?.kind === 'starting' || !document.operation) return succeeded({ session });
  return succeeded({ session, stats: parts.totals.ofSession(document), ...(link && { link }) });
};

const faultOf = (parts: DaemonParts, sessionId: string): Refusal | null =>
  parts.session(sessionId)?.getSnapshot().context.fault ?? null;

const settle = async (parts: DaemonParts, sessionId: string, requestId: string | null): Promise<void> => {
  const promised = parts.documents.current(sessionId);
  const link = promised.operation?.kind === 'stopping' ? await linkOf(parts, promised) : null;
  const reply = operationReply(parts, parts.documents.current(sessionId), faultOf(parts, sessionId), link);
  parts.replies.prepare(requestId, reply);
  tellChannels(parts, sessionId);
  return parts.documents.edit(sessionId, (document) => ({
    document: withAnswer(parts, document, requestId, reply),
    value: undefined,
  }));
};

/** Everything was flushed before: a consumer that does not answer keeps nothing that the trace lacks. */
const detached = async (parts: DaemonParts, document: SessionDocument): Promise<void> => {
  const { clock, log } = parts.ports;
  const late = new Promise<void>((resolve) => clock.setTimeout(resolve, DETACH_MS));
  const detach = parts.readyConsumer(document).then((consumer) => consumer.detach(document.id));
  const failed = (thrown: unknown): void =>
    log.warn('the consumer kept its rings', { session: document.name, cause: String(thrown) });
  await Promise.race([detach.catch(failed), late]);
};

const ringIdsOf = ({ registries }: SessionDocument): readonly string[] =>
  registries.flatMap(({ ringSets }) => ringSets).map(({ ringId }) => ringId);

/** A chunk that cannot be moved stays where it is, whole: the caller hears of it, and everything else goes all the same. */
const archivedReply = async (parts: DaemonParts, sessionId: string, prepared: Reply): Promise<Reply> => {
  const { name } = parts.documents.current(sessionId);
  try {
    const archive = await archiveRest(parts, sessionId);
    return archive !== null && prepared.ok ? succeeded({ ...prepared.body, archive }) : prepared;
  } catch (thrown) {
    const { refusal } = refusedFrom(thrown);
    parts.ports.log.warn('the last chunk is not archived', { session: name, ...refusal });
    return prepared.ok ? failed('chunk-not-archived', { session: name, cause: faultOfRefusal(refusal).message }) : prepared;
  }
};

/** Archives of a network session lie at the other end. */
const withLink = (document: SessionDocument, body: Body, link: LinkView): Reply => {
  const place = typeof body.archive === 'string' ? placeOfArchive(document, link, body.archive) : null;
  return succeeded({ ...body, ...(place && { archive: place.location, relay: place.relay }), link });
};

/** Everything but the trace goes: applications, consumer, memory, document. */
const release = async (parts: DaemonParts, sessionId: string, requestId: string | null): Promise<void> => {
  const document = parts.documents.current(sessionId);
  const prepared = operationReply(parts, document, faultOf(parts, sessionId));
  parts.replies.prepare(requestId, prepared);
  await rotationRests(parts, sessionId);
  for (const application of parts.applications.all()) application.detach(sessionId);
  if (ringIdsOf(document).length > 0) await detached(parts, document);
  const archived = await archivedReply(parts, sessionId, prepared);
  const end = await closeLink(parts, document);
  if (end && !end.drained) await sendParcel(parts, leftParcel(document, end.link));
  const link = end?.link ?? null;
  parts.replies.prepare(requestId, archived.ok && link ? withLink(document, archived.body, link) : archived);
  await parts.documents.remove(sessionId);
  // Now that nothing more is noted: a pass may have made rings meanwhile.
  const last = parts.documents.current(sessionId);
  for (const ringId of ringIdsOf(last)) await parts.rings.release(ringId, parts.keeper);
  for (const { mapId } of mapGroupsOf(last)) await parts.releaseMap(mapId);
};

const provideActors = (parts: DaemonParts) => ({
  registry: provideRingRegistry(parts),
  channel: provideChannel(parts),
  rotation: provideRotation(parts),
  writeDocument: fromPromise<void, { sessionId: string }>(async ({ input: { sessionId } }) => {
    await parts.documents.write(sessionId);
    const requestId = parts.session(sessionId)!.getSnapshot().context.requestId;
    parts.replies.prepare(requestId, succeeded({ session: summaryOf(parts.documents.current(sessionId)) }));
  }),
  recoverSession: fromPromise<Awaited<ReturnType<typeof recoverSession>>, { sessionId: string }>(async ({ input }) => {
    const found = await recoverSession(parts, input.sessionId);
    // Older daemons kept a start's answer only when it had ended.
    const { operation } = parts.documents.current(input.sessionId);
    if (operation?.kind === 'starting') await settle(parts, input.sessionId, found.requestId);
    return found;
  }),
  writeEdit: fromPromise<void, { sessionId: string; requestId: string; edit: SessionEdit }>(({ input }) =>
    writeEdit(parts, input.sessionId, input.requestId, input.edit),
  ),
  applyEdit: fromPromise<void, { sessionId: string; requestId: string; edit: SessionEdit }>(
    async ({ input: { sessionId, edit } }) => {
      if (edit.kind === 'statedump.regenerate') return dumpStates(parts, sessionId);
      tellChannels(parts, sessionId);
      tellSchedules(parts, sessionId);
      if (parts.documents.current(sessionId).active) await Promise.all([parts.passAll(sessionId), armAllCounts(parts)]);
    },
  ),
  ...provideSnapshot(parts),
  redirectOutput: fromPromise<void, { sessionId: string; requestId: string; wanted: OutputWanted }>(({ input }) =>
    redirect(parts, input.sessionId, input.requestId, input.wanted),
  ),
  prepareStart: fromPromise<void, { sessionId: string }>(({ input }) => prepareStart(parts, input.sessionId)),
  writePromise: fromPromise<void, { sessionId: string; requestId: string | null; operation: Operation }>(({ input }) =>
    writePromise(parts, input.sessionId, input.requestId, input.operation),
  ),
  armApplications: fromPromise<void, { sessionId: string }>(async ({ input }) => {
    await Promise.all([parts.passAll(input.sessionId), armAllCounts(parts)]);
  }),
  quietApplications: fromPromise<void, { sessionId: string }>(({ input }) => quiet(parts, input.sessionId)),
  flushConsumer: fromPromise<void, { sessionId: string }>(({ input }) => flush(parts, input.sessionId)),
  settle: fromPromise<void, { sessionId: string; requestId: string | null }>(({ input }) =>
    settle(parts, input.sessionId, input.requestId),
  ),
  releaseSession: fromPromise<void, { sessionId: string }>(({ input: { sessionId } }) =>
    release(parts, sessionId, parts.session(sessionId)?.getSnapshot().context.requestId ?? null),
  ),
});

const destroyed = (parts: DaemonParts, sessionId: string): void => {
  const document = parts.documents.find(sessionId);
  parts.documents.discard(sessionId);
  parts.arrangements.forget(sessionId);
  parts.root.send({ type: 'SessionDestroyed', sessionId });
  if (!document) return;
  parts.ownerMayLeave(document.owner.uid);
};

export const provideSession = (parts: DaemonParts) => {
  const { log } = parts.ports;
  const publish = (sessionId: string, what: string, body: Body = {}): void => {
    const document = parts.documents.find(sessionId);
    if (document) parts.events.publish(document.owner.uid, 'session', document.name, what, body);
  };
  const failPass = (sessionId: string) => (thrown: unknown) =>
    log.warn('its rings are not all attached', { sessionId, cause: String(thrown) });
  return sessionMachine.provide({
    actors: provideActors(parts),
    actions: {
      answer: (_, { requestId }) => parts.replies.answer(requestId, parts.replies.prepared(requestId)),
      answerEdit: (_, { requestId }) => parts.replies.answer(requestId, parts.replies.prepared(requestId)),
      refuse: (_, { requestId, refusal }) => parts.replies.answer(requestId, refused(faultOfRefusal(refusal))),
      retractPromise: (_, { sessionId, requestId, active }) => {
        const { everStarted } = parts.documents.current(sessionId);
        parts.documents
          .edit(sessionId, (document) => ({
            document: accepted(document, { kind: 'retract', requestId: requestId ?? '', active, everStarted }).document,
            value: undefined,
          }))
          .then(() => armAllCounts(parts))
          .catch((thrown) => log.error('a promise could not be taken back', { sessionId, cause: String(thrown) }));
      },
      reportRest: (_, { sessionId }) => {
        // Later rests are no news: the root waits for those that it recovers.
        const { recovering } = parts.root.getSnapshot().context;
        if (recovering.includes(sessionId)) parts.root.send({ type: 'SessionRested', sessionId });
      },
      reportDestroyed: (_, { sessionId }) => {
        publish(sessionId, 'destroyed');
        destroyed(parts, sessionId);
      },
      publishSession: (_, { sessionId, what }) => publish(sessionId, what),
      publishSnapshot: (_, { sessionId, path }) => publish(sessionId, 'snapshot', { path }),
      includeApplication: (_, { sessionId, application }) => {
        const identity = parts.applications.find(application)?.identity;
        if (!identity) return;
        parts.passes.include(application, parts.pass(sessionId, scopeFor(parts.documents.current(sessionId), identity)));
      },
      includeAll: (_, { sessionId }) => void parts.passAll(sessionId).catch(failPass(sessionId)),
      holdRings: (_, { sessionId }) => void flush(parts, sessionId).catch(failPass(sessionId)),
      logSession: (_, { sessionId, what }) =>
        log.warn(what, { sessionId, session: parts.documents.find(sessionId)?.name ?? null }),
    },
  });
};
