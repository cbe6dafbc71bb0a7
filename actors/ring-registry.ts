/**
 * The three steps of a registry's pass, in the order that lets nothing unreadable be recorded: event ids are on disk and in the
 * metadata before a ring exists, the consumer reads the ring before an application knows it.
 */
import { join } from 'node:path';
import { fromPromise } from 'xstate';
import { traceMetadata } from '../ctf/metadata.ts';
import { describeRing } from '../ctf/ring-description.ts';
import type {
  ChannelDocument,
  EventClass,
  EventRule,
  PointDescription,
  RegistryDocument,
  RegistryScope,
  RingSetDocument,
  SessionDocument,
} from '../machines/document.ts';
import { outputPathOf, planOf } from '../machines/output.ts';
import { type RegistryPlace, ringRegistryMachine } from '../machines/ring-registry.ts';
import { CPU_MAX, lockPrefix } from '../machines/stream-names.ts';
import { type PointFilter, pointFilter } from '../rules/filter/channel.ts';
import { channelMatches } from '../rules/match.ts';
import { isTracked } from '../rules/track.ts';
import type { Application, Point, WantedChannel, WantedPoint } from './application-table.ts';
import { tellChannel } from './channel.ts';
import type { ConsumerLink } from './consumer-link.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { fleetUid } from './fleet-user.ts';
import { geometryOf } from './rings.ts';
import { directoriesOf, directoryIn, placeOf } from './rotation-places.ts';
import { registryOf, registryPlace, withRegistry } from './scopes.ts';

/** One ring for all CPUs is shared under a lock, whatever the application could do. */
const syncOf = (channel: ChannelDocument, application: Application): 'rseq' | 'lock' =>
  channel.attributes.allocation === 'per-cpu' && application.identity?.rseq ? 'rseq' : 'lock';

const idOf = (classes: readonly EventClass[]): Map<string, number> =>
  new Map(classes.map(({ channel, description, id }) => [`${channel} ${JSON.stringify(description)}`, id]));

const matching = (channel: ChannelDocument, applications: readonly Application[]): readonly Point[] =>
  applications.flatMap((application) =>
    [...application.points.values()].filter((point) => channelMatches(channel, point.description)),
  );

/** The event classes that the matching points need and the registry lacks. Ids count per channel and are never given anew. */
const newClasses = (
  document: SessionDocument,
  known: readonly EventClass[],
  applications: readonly Application[],
): readonly EventClass[] => {
  const ids = idOf(known);
  return document.channels.flatMap((channel) => {
    let next = 1 + Math.max(-1, ...known.filter((one) => one.channel === channel.id).map(({ id }) => id));
    return matching(channel, applications).flatMap(({ text, description }) => {
      const key = `${channel.id} ${text}`;
      if (ids.has(key)) return [];
      ids.set(key, next);
      return [{ id: next++, channel: channel.id, description }];
    });
  });
};

/** Those of a scope that the session's trackers include. */
const trackedIn = (parts: DaemonParts, document: SessionDocument, scope: RegistryScope): readonly Application[] =>
  parts.applications.in(scope).filter(({ identity }) => identity !== null && isTracked(document, identity));

/** Most passes find nothing new, and then wait for no disk. */
const describePoints = async (parts: DaemonParts, sessionId: string, key: string, scope: RegistryScope): Promise<void> => {
  const lacking = (document: SessionDocument): readonly EventClass[] =>
    newClasses(document, registryOf(document, key)?.eventClasses ?? [], trackedIn(parts, document, scope));
  if (lacking(parts.documents.current(sessionId)).length === 0) return;
  await parts.documents.edit(sessionId, (document) => {
    const registry: RegistryDocument = registryOf(document, key) ?? {
      ...registryPlace(scope, 1),
      scope,
      uuid: parts.ports.ids.hex(16),
      eventClasses: [],
      ringSets: [],
    };
    const grown = { ...registry, eventClasses: [...registry.eventClasses, ...lacking(document)] };
    return { document: withRegistry(document, grown), value: undefined };
  });
};

interface Described extends Pick<SessionDocument, 'channels' | 'clock'> {
  readonly text: string;
}

/** By registry: every pass and every flush asks for the text, which changes seldom. */
const metadata = new WeakMap<RegistryDocument, Described>();

const describedText = ({ name, hostname, createdAt, clock, channels }: SessionDocument, registry: RegistryDocument): string =>
  traceMetadata({
    uuid: registry.uuid,
    sessionName: name,
    hostname,
    createdAt,
    scope: registry.scope,
    clock,
    channels: channels.map(({ id, contexts, attributes: { allocation } }) => ({ id, contexts, allocation })),
    eventClasses: registry.eventClasses,
  });

export const metadataOf = (document: SessionDocument, registry: RegistryDocument): string => {
  const { channels, clock } = document;
  const known = metadata.get(registry);
  if (known && known.channels === channels && known.clock === clock) return known.text;
  const text = describedText(document, registry);
  metadata.set(registry, { channels, clock, text });
  return text;
};

/** A chunk that ends keeps the clock that it was begun with. */
const metadataIn = (document: SessionDocument, registry: RegistryDocument, directory: string): string => {
  const { rotation } = document;
  const ends =
    rotation?.clock && rotation.clock !== document.clock && directory === directoryIn(document, rotation.ends, registry);
  return ends ? describedText({ ...document, clock: rotation.clock }, registry) : metadataOf(document, registry);
};

const prefixOf = (channel: ChannelDocument, sync: 'rseq' | 'lock'): string =>
  sync === 'lock' && channel.attributes.allocation === 'per-cpu' ? lockPrefix(channel.name) : channel.name;

const instanceBase = (at: number): number => at * CPU_MAX;

/** Before anything is recorded that only they can explain. */
const describeFiles = (parts: DaemonParts, document: SessionDocument, registry: RegistryDocument): void => {
  for (const [at, set] of registry.ringSets.entries()) {
    if (set.file === undefined) continue;
    const channel = document.channels.find(({ id }) => id === set.channel)!;
    const description = describeRing({
      session: document.name,
      bootId: document.bootId,
      trace: registry.directory,
      output: outputPathOf(document),
      uuid: registry.uuid,
      ringId: set.ringId,
      geometry: geometryOf(set),
      filePrefix: prefixOf(channel, set.sync),
      streamClassId: channel.id,
      streamInstanceBase: instanceBase(at),
    });
    parts.ports.ringFiles.describe(set.file, description, metadataOf(document, registry));
  }
};

/** Null: in memory. Programs of other users get sealed memory: a file they could cut short under our eyes. */
const ringFileOf = (
  parts: DaemonParts,
  { shmPath }: SessionDocument,
  { scope, directory }: RegistryDocument,
  prefix: string,
): string | null => {
  if (shmPath === null || scope.uid !== parts.ports.host.uid) return null;
  return join(shmPath, directory, prefix);
};

/** Directories and metadata of a registry, as the consumer should have them; nowhere while the session has no chunk. */
const writeOut = async (
  parts: DaemonParts,
  document: SessionDocument,
  registry: RegistryDocument,
  consumer: ConsumerLink,
): Promise<void> => {
  describeFiles(parts, document, registry);
  for (const directory of directoriesOf(document, registry)) {
    await consumer.open(document.id, directory);
    const text = metadataIn(document, registry, directory);
    await consumer.writeMetadata(document.id, directory, text, registry.eventClasses.length);
  }
};

const attachSet = async (
  parts: DaemonParts,
  document: SessionDocument,
  registry: RegistryDocument,
  at: number,
  consumer: ConsumerLink,
): Promise<void> => {
  const set = registry.ringSets[at]!;
  const channel = document.channels.find(({ id }) => id === set.channel)!;
  const place = placeOf(document, registry, set.ringId);
  if (!place) return;
  const { ringFd, readerFd } = parts.rings.fds(set.ringId);
  await consumer.attach({
    sessionId: document.id,
    registry,
    place,
    set,
    channelName: channel.name,
    sessionName: document.snapshot ? document.name : null,
    othersFreeze: document.snapshot !== null && document.owner.uid === fleetUid(parts),
    filePrefix: prefixOf(channel, set.sync),
    streamInstanceBase: instanceBase(at),
    readTimerUs: channel.attributes.readTimerUs,
    switchTimerUs: channel.attributes.switchTimerUs,
    live: document.network !== null && document.network.liveTimerUs !== null,
    tracefileSize: channel.attributes.tracefileSize,
    tracefileCount: channel.attributes.tracefileCount,
    reclaim: channel.attributes.reclaim,
    plan: planOf(document),
    spooled: document.network !== null,
    fds: [ringFd, readerFd],
  });
};

/** Everything that the document says of this session's traces is with the consumer: directories, metadata, rings. */
export const holdAll = async (parts: DaemonParts, sessionId: string): Promise<ConsumerLink> => {
  const document = parts.documents.current(sessionId);
  const consumer = await parts.readyConsumer(document);
  for (const registry of document.registries) {
    if (registry.ringSets.length === 0) continue;
    await writeOut(parts, document, registry, consumer);
    for (const at of registry.ringSets.keys()) await attachSet(parts, document, registry, at, consumer);
  }
  return consumer;
};

const setFor = (registry: RegistryDocument | undefined, channel: number, sync: 'rseq' | 'lock'): RingSetDocument | undefined =>
  registry?.ringSets.find((set) => set.channel === channel && set.sync === sync);

/** The ring sets that the applications of the scope need and the registry lacks. */
const missingSets = (
  document: SessionDocument,
  registry: RegistryDocument,
  applications: readonly Application[],
): readonly { readonly channel: ChannelDocument; readonly sync: 'rseq' | 'lock' }[] =>
  document.channels.flatMap((channel) =>
    (['rseq', 'lock'] as const)
      .filter((sync) => !setFor(registry, channel.id, sync))
      .filter((sync) => {
        const users = applications.filter((application) => syncOf(channel, application) === sync);
        return matching(channel, users).length > 0;
      })
      .map((sync) => ({ channel, sync })),
  );

const createSets = async (parts: DaemonParts, sessionId: string, key: string): Promise<void> => {
  const document = parts.documents.current(sessionId);
  const registry = registryOf(document, key);
  if (!registry) return;
  for (const { channel, sync } of missingSets(document, registry, trackedIn(parts, document, registry.scope))) {
    const file = ringFileOf(parts, document, registry, prefixOf(channel, sync));
    const set = await parts.rings.create(channel, sync, parts.keeper, file);
    const noted = parts.documents.edit(sessionId, (current) => {
      const grown = registryOf(current, key)!;
      return { document: withRegistry(current, { ...grown, ringSets: [...grown.ringSets, set] }), value: undefined };
    });
    // Memory that no document knows would be held for ever.
    await noted.catch(async (thrown: unknown) => {
      await parts.rings.release(set.ringId, parts.keeper);
      throw thrown;
    });
  }
};

/** By the rules of a channel, which are read once. */
const filters = new WeakMap<readonly EventRule[], PointFilter>();

/** null: no filter of the channel's rules ever lets an event of this point through. */
const filterOf = ({ rules }: ChannelDocument, description: PointDescription): Buffer | null => {
  const filter = filters.get(rules) ?? pointFilter(rules);
  filters.set(rules, filter);
  return filter(description);
};

const FOR_EVER = 2n ** 64n - 1n;

const blockingNs = ({ attributes: { blockingTimeoutUs } }: ChannelDocument): bigint =>
  blockingTimeoutUs < 0 ? FOR_EVER : BigInt(blockingTimeoutUs) * 1000n;

/** What one application is to record into one channel; null: nothing that it could. */
const wantedOf = (
  parts: DaemonParts,
  document: SessionDocument,
  registry: RegistryDocument,
  ids: ReadonlyMap<string, number>,
  channel: ChannelDocument,
  application: Application,
): WantedChannel | null => {
  const set = setFor(registry, channel.id, syncOf(channel, application));
  if (!set) return null;
  const points = new Map<number, WantedPoint>();
  const tracked = application.identity !== null && isTracked(document, application.identity);
  for (const [point, { description, text }] of tracked ? application.points : []) {
    const eventId = ids.get(`${channel.id} ${text}`);
    if (eventId === undefined || !channelMatches(channel, description)) continue;
    const filter = filterOf(channel, description);
    if (filter) points.set(point, { eventId, filter });
  }
  const { ringFd, readerFdReadOnly } = parts.rings.fds(set.ringId);
  return {
    key: `${document.id}/${channel.id}`,
    ringId: set.ringId,
    geometry: geometryOf(set),
    contexts: channel.contexts,
    blockingNs: blockingNs(channel),
    fds: [ringFd, readerFdReadOnly],
    points,
    started: document.active,
  };
};

const arm = async (parts: DaemonParts, sessionId: string, key: string): Promise<{ recording: boolean }> => {
  const document = parts.documents.current(sessionId);
  const registry = registryOf(document, key);
  if (!registry) return { recording: false };
  const ids = idOf(registry.eventClasses);
  const answers = parts.applications.in(registry.scope).flatMap((application) =>
    document.channels
      .map((channel) => wantedOf(parts, document, registry, ids, channel, application))
      .filter((wanted) => wanted !== null)
      .map((wanted) => application.apply(wanted)),
  );
  // An application that refuses is left, like one that does not answer: the next pass tells it again.
  for (const cause of (await Promise.all(answers)).flat()) parts.ports.log.warn(cause, { session: document.name });
  return { recording: document.active };
};

/** The process is gone: what it left is written out, then the memory is given back. */
const drain = async (parts: DaemonParts, sessionId: string, key: string): Promise<void> => {
  const document = parts.documents.current(sessionId);
  const registry = registryOf(document, key);
  if (!registry || registry.ringSets.length === 0) return;
  const consumer = await holdAll(parts, sessionId);
  for (const { ringId } of registry.ringSets) await consumer.detach(sessionId, ringId);
  await parts.documents.edit(sessionId, (current) => ({
    document: parts.totals.keep(withRegistry(current, { ...registryOf(current, key)!, ringSets: [] }), registry),
    value: undefined,
  }));
  for (const { ringId } of registry.ringSets) await parts.rings.release(ringId, parts.keeper);
};

export const provideRingRegistry = (parts: DaemonParts) => {
  const scopeOf = ({ sessionId, scopeKey }: RegistryPlace): RegistryScope =>
    parts.session(sessionId)!.getSnapshot().context.registries[scopeKey]!.getSnapshot().context.scope;
  return ringRegistryMachine.provide({
    actors: {
      describe: fromPromise(async ({ input }) => {
        await describePoints(parts, input.sessionId, input.scopeKey, scopeOf(input));
        const document = parts.documents.current(input.sessionId);
        const registry = registryOf(document, input.scopeKey);
        if (registry) await writeOut(parts, document, registry, await parts.readyConsumer(document));
      }),
      attachRings: fromPromise(async ({ input }) => {
        await createSets(parts, input.sessionId, input.scopeKey);
        await holdAll(parts, input.sessionId);
      }),
      armApplications: fromPromise(({ input }) => arm(parts, input.sessionId, input.scopeKey)),
      drainRings: fromPromise(({ input }) => drain(parts, input.sessionId, input.scopeKey)),
    },
    actions: {
      reportPass: (_, { sessionId, scopeKey, pass, refusal }) => {
        for (const channel of Object.values(parts.session(sessionId)?.getSnapshot().context.channels ?? {})) {
          tellChannel(channel, refusal ? { type: 'RingsRefused', cause: refusal.code } : { type: 'RingsServed' });
        }
        if (refusal) parts.ports.log.warn('a registry pass failed', { sessionId, scopeKey, ...refusal });
        parts.passes.report(`${sessionId}/${scopeKey}`, pass, refusal);
      },
      reportEnded: (_, { sessionId, scopeKey }) => {
        parts.session(sessionId)?.send({ type: 'ScopeForgotten', scopeKey });
        parts.passes.end(`${sessionId}/${scopeKey}`);
      },
      logRegistry: (_, { what, ...where }) => parts.ports.log.warn(what, where),
    },
  });
};
