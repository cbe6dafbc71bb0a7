/** The root of the consumer process: the socket pair brings memory and keys, the bus brings requests. */
import { type ActorRefFrom, fromPromise } from 'xstate';
import { consumerProcessMachine } from '../machines/consumer-process.ts';
import { type Access, parseAccess } from '../transport/access.ts';
import type { Body } from '../transport/bus.ts';
import { FREEZES } from '../transport/subjects.ts';
import { linkMessage } from './consumer-messages.ts';
import { ConsumerStreams, type StreamEntry } from './consumer-streams.ts';
import { consumerEndpoints } from './consumer-verbs.ts';
import { EventPublisher } from './event-publisher.ts';
import { FreezeNotes, hearFreeze, provideFreeze } from './freeze.ts';
import { type LinkEntry, provideLink } from './link.ts';
import { LiveWatches } from './live-watch.ts';
import type { ConsumerBus, ConsumerPorts } from './ports.ts';
import { provideStream } from './stream.ts';

type Root = ActorRefFrom<typeof consumerProcessMachine>;

export class ConsumerProcessParts {
  readonly ports: ConsumerPorts;
  readonly streams = new ConsumerStreams();
  readonly links = new Map<string, LinkEntry>();
  /** Where snapshots are being written. */
  copies: readonly string[] = [];
  readonly live: LiveWatches;
  /** Counters by map id; held, and never looked at (docs/adr/0017-maps-held-by-the-consumer.md). */
  readonly maps = new Map<string, number>();
  readonly freezes = new FreezeNotes(this);
  access: Access | null = null;
  connection: ConsumerBus | null = null;
  #root: Root | null = null;
  #events: EventPublisher | null = null;

  constructor(ports: ConsumerPorts) {
    this.ports = ports;
    this.live = new LiveWatches({
      clock: ports.clock,
      log: ports.log,
      owner: ports.owner,
      place: () => this.access,
      bus: () => this.connection?.bus ?? null,
      entries: (session) => this.streams.of(session),
      flush: (entry) => this.flush(entry),
      follow: (directory, filter) => ports.followTrace(directory, filter),
    });
  }

  get root(): Root {
    if (!this.#root) throw new Error('the root actor is not there yet');
    return this.#root;
  }

  set root(root: Root) {
    this.#root = root;
  }

  stream(ringId: string) {
    return this.root.getSnapshot().context.streams[ringId];
  }

  freeze(sessionId: string) {
    return this.root.getSnapshot().context.freezes[sessionId];
  }

  /** Everything committed is in the files, but for streams that keep what they hold. */
  async flush(entry: StreamEntry): Promise<void> {
    const stream = this.stream(entry.attach.ringId);
    if (stream?.getSnapshot().hasTag('keeps')) return;
    // A spool may exceed its limit by what the rings hold: who asks for a flush wants to read it.
    stream?.send({ type: 'SpoolFreed' });
    await entry.flush();
    const link = this.root.getSnapshot().context.links[entry.attach.session];
    if (link?.getSnapshot().matches({ linked: { spool: 'full' } })) stream?.send({ type: 'SpoolFilled' });
  }

  publish(entry: StreamEntry, what: string, body: Body): void {
    const { session, ringId, channelName } = entry.attach;
    this.tell('stream', ringId, what, { session, channel: channelName, ...body });
  }

  tell(noun: string, name: string, what: string, body: Body): void {
    if (!this.access) return;
    const { host, uid } = this.access;
    this.#events ??= new EventPublisher({ host, uid }, this.ports.clock, () => this.connection?.bus ?? null);
    this.#events.publish(this.ports.owner, noun, name, what, body);
  }
}

const takeMemory = (parts: ConsumerProcessParts, ringId: string, fds: readonly number[]): void => {
  const { closeFd } = parts.ports.native;
  const [ringFd, readerFd, ...more] = fds;
  if (ringFd === undefined || readerFd === undefined || more.length > 0) {
    for (const fd of fds) closeFd(fd);
    return;
  }
  const entry = parts.streams.find(ringId);
  if (entry && (entry.reader || entry.memory)) {
    // The daemon asked again, having heard no answer.
    for (const fd of fds) closeFd(fd);
    return;
  }
  if (entry) {
    entry.bring([ringFd, readerFd]);
    return;
  }
  for (const fd of parts.streams.keepMemory(ringId, [ringFd, readerFd]) ?? []) closeFd(fd);
};

const holdMap = (parts: ConsumerProcessParts, mapId: string, fds: readonly number[]): void => {
  const held = parts.maps.has(mapId) ? undefined : fds[0];
  for (const fd of fds) if (fd !== held) parts.ports.native.closeFd(fd);
  if (held === undefined) return;
  parts.maps.set(mapId, held);
  parts.root.send({ type: 'MapReceived', mapId });
};

const releaseMap = (parts: ConsumerProcessParts, mapId: string): void => {
  const fd = parts.maps.get(mapId);
  if (fd === undefined) return;
  parts.maps.delete(mapId);
  parts.ports.native.closeFd(fd);
  parts.root.send({ type: 'MapReleased', mapId });
};

const takeKey = (parts: ConsumerProcessParts, body: Body): void => {
  const access = parseAccess(body);
  if (!access.ok) throw new Error(access.fault.message);
  parts.access = access.value;
  parts.root.send({ type: 'CredentialsReceived' });
};

const receive = (parts: ConsumerProcessParts, bytes: Buffer, fds: readonly number[]): void => {
  try {
    const message = linkMessage.parse(JSON.parse(bytes.toString()));
    if (message.kind === 'ring') takeMemory(parts, message.ringId, fds);
    else if (message.kind === 'map') holdMap(parts, message.mapId, fds);
    else if (message.kind === 'map-gone') releaseMap(parts, message.mapId);
    else takeKey(parts, message);
  } catch (thrown) {
    parts.ports.log.error('the daemon sent nonsense', { cause: String(thrown) });
  }
};

/** From now on the daemon's messages are heard. */
export const listenToDaemon = (parts: ConsumerProcessParts): void => {
  parts.ports.link.onMessage((bytes, fds) => receive(parts, bytes, fds));
  parts.ports.link.onClose(() => parts.root.send({ type: 'DaemonLost' }));
};

const joinBus = async (parts: ConsumerProcessParts): Promise<void> => {
  const access = parts.access!;
  const connection = await parts.ports.connect(access);
  const { bus } = connection;
  const { host, uid, version } = access;
  await bus.serve(
    { name: 'weft-consumer', version, description: `Consumer of user ${parts.ports.owner}` },
    consumerEndpoints(parts, { host, uid }),
  );
  bus.subscribe(FREEZES, (message) => hearFreeze(parts, message));
  bus.onStatus((status) => {
    if (status === 'connected') parts.root.send({ type: 'BusConnected' });
    if (status === 'cut') parts.root.send({ type: 'BusCut' });
  });
  parts.connection = connection;
  if (parts.access !== access) connection.renew(parts.access!);
  parts.ports.log.info('serving', { owner: parts.ports.owner, pid: parts.ports.pid });
};

/** For the next time that the connection is made; the one that stands needs no other. */
const renewKey = (parts: ConsumerProcessParts): void => {
  try {
    parts.connection?.renew(parts.access!);
  } catch (thrown) {
    parts.ports.log.error('the new key of the bus does not work; the old one stays', { cause: String(thrown) });
  }
};

/** Rejects when files take nothing: what the rings hold then stays in them. */
const drainStreams = async (parts: ConsumerProcessParts): Promise<void> => {
  const entries = parts.streams.all();
  const written = entries.map((entry) => parts.flush(entry));
  for (const { attach } of entries) parts.stream(attach.ringId)?.send({ type: 'DrainRequested' });
  await Promise.all([...written, ...entries.map(({ drained }) => drained.promise)]);
};

export const provideConsumerProcess = (parts: ConsumerProcessParts) =>
  consumerProcessMachine.provide({
    actors: {
      stream: provideStream(parts),
      link: provideLink(parts),
      freeze: provideFreeze(parts),
      joinBus: fromPromise(() => joinBus(parts)),
      drainStreams: fromPromise(() => drainStreams(parts)),
    },
    actions: {
      leaveBus: () => void parts.connection?.bus.close(),
      renewKey: () => renewKey(parts),
      logProcess: (_, { what }) => parts.ports.log.warn(what),
    },
  });
