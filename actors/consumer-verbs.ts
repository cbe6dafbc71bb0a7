/** The consumer's side of docs/contracts.md: every verb of the session daemon, answered when its effect is there. */
import { join } from 'node:path';
import type { Body, Endpoint, Reply } from '../transport/bus.ts';
import { refused, succeeded } from '../transport/errors.ts';
import { jsonSchema, parseMessage } from '../transport/schema.ts';
import { consumerSubject } from '../transport/subjects.ts';
import { linkClose, linkDrain, linkOpen, linkStatus, spoolRemove } from './consumer-links.ts';
import { CONSUMER_REQUESTS, type ConsumerRequest, type ConsumerVerb } from './consumer-messages.ts';
import type { ConsumerProcessParts } from './consumer-process.ts';
import { snapshot } from './consumer-snapshot.ts';
import { StreamEntry } from './consumer-streams.ts';
import { wakeLink } from './link.ts';
import { faultOfRefusal, refuse, refusedFrom } from './refused.ts';

export type Handler<V extends ConsumerVerb> = (parts: ConsumerProcessParts, request: ConsumerRequest<V>) => Promise<Body>;

const statsOf = (entries: readonly StreamEntry[]): Body => ({
  streams: entries.map((entry) => ({
    key: entry.attach.key,
    ringId: entry.attach.ringId,
    stats: entry.totals(),
    directory: entry.directory,
    alarm: entry.alarm(),
  })),
});

const writing = (path: string, work: () => void): void => {
  try {
    work();
  } catch (thrown) {
    throw refuse('output-not-writable', { path, cause: thrown instanceof Error ? thrown.message : String(thrown) });
  }
};

/** What it reads: a ring whose memory has not come may have been asked for by a daemon that is dead, and belongs elsewhere now. */
const hello: Handler<'hello'> = async ({ streams, ports }) => {
  const sessions = new Map<string, Map<string, { ringId: string; plan: string }[]>>();
  for (const { attach, plan, reader } of streams.all()) {
    if (!reader) continue;
    const registries = sessions.get(attach.session) ?? new Map();
    registries.set(attach.key, [...(registries.get(attach.key) ?? []), { ringId: attach.ringId, plan }]);
    sessions.set(attach.session, registries);
  }
  return {
    pid: ports.pid,
    order: streams.newest,
    sessions: [...sessions].map(([session, registries]) => ({
      session,
      registries: [...registries].map(([key, rings]) => ({ key, rings })),
    })),
  };
};

const open: Handler<'open'> = async ({ ports }, { directory }) => {
  if (!directory.startsWith('/')) throw refuse('output-not-writable', { path: directory, cause: 'it is no absolute path' });
  writing(directory, () => ports.makeDirectory(directory));
  return {};
};

const metadata: Handler<'metadata'> = async (parts, { session, directory, text, first, more, classes }) => {
  const { streams, ports } = parts;
  const whole = streams.growMetadata(directory, text, first);
  if (more) return {};
  streams.endMetadata(directory);
  if (streams.describes(session, directory, classes)) ports.writeMetadata(directory, whole);
  wakeLink(parts, session, { streams: [], traces: [directory] });
  return {};
};

const attach: Handler<'attach'> = async (parts, request) => {
  const { ringId, plan, geometry } = request;
  if (parts.streams.isOvertaken(request)) throw refuse('stale', { id: ringId });
  const known = parts.streams.find(ringId);
  if (known) {
    if (!known.reader && request.order > known.attach.order) known.replace(request);
    await known.opened.promise;
    return {};
  }
  const entry = new StreamEntry(request);
  const memory = parts.streams.takeMemory(ringId);
  if (memory) entry.bring(memory);
  parts.streams.add(entry);
  parts.root.send({ type: 'StreamRequested', ringId, plan, cpuCount: geometry.cpuCount });
  await entry.opened.promise;
  return {};
};

const flush: Handler<'flush'> = async (parts, { session }) => {
  const entries = parts.streams.of(session);
  await Promise.all(entries.map((entry) => parts.flush(entry)));
  return statsOf(entries);
};

/** A ring that is not here any more was drained: all of it lies in the older chunk. */
const rotate: Handler<'rotate'> = async ({ streams }, { ringId, chunk, directory, at, layout }) => {
  await streams.find(ringId)?.rotate({ chunk, directory, at, layout: Buffer.from(layout, 'base64') });
  return {};
};

/** Behind a link the other end moves it, once it has all of it. */
const archive: Handler<'archive'> = async (parts, { session, output, from, to }) => {
  const link = parts.links.get(session);
  writing(join(output, to), () => (link ? link.archive(from, to) : parts.ports.archive(output, from, to)));
  wakeLink(parts, session);
  return {};
};

/** Streams that are read empty their own files; what others left goes. */
const clear: Handler<'clear'> = async (parts, { session, directory }) => {
  const link = parts.links.get(session);
  const work = () => emptyChunk(parts, session, directory);
  await (link ? link.clear(directory, work) : work());
  wakeLink(parts, session);
  return {};
};

const emptyChunk = async ({ streams, ports }: ConsumerProcessParts, session: string, directory: string): Promise<void> => {
  const entries = streams.of(session);
  await Promise.all(entries.map((entry) => entry.clear()));
  writing(directory, () =>
    ports.removeTraces(
      directory,
      entries.map((entry) => entry.directory),
    ),
  );
};

/** A ring that is not here any more has no memory to give. */
const reclaim: Handler<'reclaim'> = async ({ streams }, { session, ringIds, ageUs, wait }) => {
  const entries = streams.of(session).filter(({ attach: { ringId } }) => ringIds.includes(ringId));
  const counts = await Promise.all(entries.map((entry) => entry.reclaim({ ageUs, wait })));
  return { rings: entries.map(({ attach: { ringId } }, at) => ({ ringId, ...counts[at] })) };
};

const plan: Handler<'plan'> = async (parts, request) => {
  for (const {
    attach: { ringId },
  } of parts.streams.of(request.session)) {
    parts.stream(ringId)?.send({ type: 'PlanRequested', plan: request.plan });
  }
  return {};
};

/** Rings that were attached after this was sent stay. */
const detach: Handler<'detach'> = async (parts, { session, ringId, order }) => {
  if (ringId === undefined) parts.streams.noteDetached(session, order);
  const entries = parts.streams.of(session, ringId).filter(({ attach: of }) => of.order < order);
  for (const { attach: of } of entries) parts.stream(of.ringId)?.send({ type: 'DrainRequested' });
  await Promise.all(entries.map(({ drained }) => drained.promise));
  if (ringId !== undefined) parts.streams.noteGone(ringId);
  return {};
};

const snapshotEnd: Handler<'snapshot-end'> = async ({ freezes }, { session, path }) => {
  freezes.complete(session, path);
  return {};
};

const stats: Handler<'stats'> = async ({ streams }, { session }) => statsOf(streams.of(session));

const freeze: Handler<'freeze'> = async ({ root, streams }, { session, freeze: heard }) => {
  const serves = streams.of(session).some(({ attach: { sessionName } }) => sessionName !== undefined);
  if (serves) root.send({ type: 'FreezeReceived', sessionId: session, freeze: heard });
  return {};
};

const watch: Handler<'watch'> = async ({ live }, wanted) => {
  return { unknown: await live.watch(wanted) };
};

/** Answers first, then ends: what was committed is in the files by then. */
const shutdown: Handler<'shutdown'> = async (parts) => {
  await Promise.all(parts.streams.all().map((entry) => parts.flush(entry)));
  parts.ports.clock.setTimeout(() => parts.root.send({ type: 'ShutdownRequested' }), 20);
  return {};
};

const HANDLERS: { readonly [V in ConsumerVerb]: Handler<V> } = {
  hello,
  freeze,
  open,
  metadata,
  attach,
  flush,
  rotate,
  archive,
  clear,
  plan,
  snapshot,
  'snapshot-end': snapshotEnd,
  reclaim,
  detach,
  watch,
  stats,
  'link-open': linkOpen,
  'link-status': linkStatus,
  'link-drain': linkDrain,
  'link-close': linkClose,
  'spool-remove': spoolRemove,
  shutdown,
};

const handle = async <V extends ConsumerVerb>(parts: ConsumerProcessParts, verb: V, body: Body): Promise<Reply> => {
  const parsed = parseMessage(CONSUMER_REQUESTS[verb], body);
  if (!parsed.ok) return refused(parsed.fault);
  parts.streams.noteOrder(body.order);
  try {
    return succeeded(await HANDLERS[verb](parts, parsed.value as ConsumerRequest<V>));
  } catch (thrown) {
    return refused(faultOfRefusal(refusedFrom(thrown).refusal));
  }
};

export const consumerEndpoints = (
  parts: ConsumerProcessParts,
  place: { readonly host: string; readonly uid: number },
): readonly Endpoint[] =>
  (Object.keys(CONSUMER_REQUESTS) as ConsumerVerb[]).map((verb) => ({
    name: verb,
    subject: consumerSubject({ ...place, owner: parts.ports.owner, verb }),
    schema: jsonSchema(CONSUMER_REQUESTS[verb]),
    handle: ({ body }) => handle(parts, verb, body),
  }));
