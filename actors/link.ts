/** The link of a session in its consumer: what the machine's states do, and what the verbs of the daemon ask of it. */
import { relative } from 'node:path';
import { type ActorRefFrom, fromPromise } from 'xstate';
import { linkMachine } from '../machines/link.ts';
import type { Body } from '../transport/bus.ts';
import type { ConsumerRequest } from './consumer-messages.ts';
import type { ConsumerProcessParts } from './consumer-process.ts';
import { deferred } from './deferred.ts';
import { LinkLog } from './link-log.ts';
import { LttngPeer } from './link-lttng.ts';
import type { LinkPeer, PeerListener } from './link-peer.ts';
import { LinkPlaces } from './link-places.ts';
import { LinkPump } from './link-pump.ts';
import { chunkOf, LinkQueue, type News } from './link-queue.ts';
import { RelayPeer } from './link-relay.ts';
import { limitsOf, settledIn } from './link-settled.ts';
import type { Spool } from './ports.ts';
import { refuse, refusedFrom } from './refused.ts';

type LinkOpenRequest = ConsumerRequest<'link-open'>;
type LinkRef = ActorRefFrom<typeof linkMachine>;

/** Of the limit: so much must be free again before readers go on. */
const FREED = 7 / 8;
/** So often at least all files are looked at, whoever wrote them and said nothing. */
const LOOK_MS = 5_000;
/** From what was sent to the beat behind it, which comes for all that is sent meanwhile. Longer than SLACK_NS and a gathering. */
const SOON_MS = 12;

/** Whoever wants the other end to have everything; or, up to the operation of this number. */
interface Waiter {
  readonly operation: number | null;
  settle(): void;
}

interface Beating {
  readonly everyMs: number;
  beat(): Promise<void>;
}

export class LinkEntry {
  readonly request: LinkOpenRequest;
  readonly spool: Spool;
  readonly log: LinkLog;
  readonly queue: LinkQueue;
  readonly closed = deferred<void>();
  /** At its end nothing was left that is worth to be kept. */
  isDone = false;
  peer: LinkPeer | null = null;
  pump: LinkPump | null = null;
  relay: string | null = null;
  directory: string | null = null;
  readonly places: LinkPlaces;
  /** What the relay could not take, until it has taken everything. */
  refused: string | null = null;
  cause: string | null = null;
  /** As many packets were told to be lost. */
  toldLost = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #waiters: Waiter[] = [];
  #beating: Beating | null = null;
  #beat: unknown = null;
  #isSoon = false;

  constructor(parts: ConsumerProcessParts, request: LinkOpenRequest) {
    this.request = request;
    this.spool = parts.ports.openSpool(request.output);
    this.places = new LinkPlaces(this.spool, request.link ?? request.session);
    this.log = new LinkLog(this.spool);
    this.queue = new LinkQueue(this.spool, this.log, settledIn(parts.streams, request.session, request.rings), {
      oneChunk: request.destination.kind === 'lttng',
    });
    this.queue.refresh();
  }

  /** A chunk's directory, as the relay knows it. */
  chunk(directory: string): string {
    return relative(this.request.output, directory);
  }

  /** As the spool names it; null: all is looked at. */
  newsFor(now: number, news: News | null): News | null {
    if (!news || now - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = now;
      return null;
    }
    const inside = (path: string): string => this.chunk(path);
    return { streams: news.streams.map(inside), traces: news.traces.map(inside) };
  }

  archive(from: string, to: string): void {
    this.log.add({ op: 'archive', from, to });
  }

  /** The files of a chunk are emptied by `work`. */
  async clear(directory: string, work: () => Promise<void>): Promise<void> {
    const chunk = this.chunk(directory);
    this.queue.block(chunk);
    this.pump?.forget((path) => chunkOf(path) === chunk);
    try {
      await work();
      this.log.add({ op: 'clear', directory: chunk });
    } finally {
      this.queue.emptied(chunk);
    }
  }

  get drained(): boolean {
    return this.pump ? this.pump.drained : this.queue.empty;
  }

  /** The other end, durably. */
  hasDone(operation: number): boolean {
    return this.log.acked >= operation;
  }

  wait(waiter: Waiter): void {
    this.#waiters.push(waiter);
  }

  /** Those that have what they wait for. True: they were the last. */
  settleDone(): boolean {
    const isDone = ({ operation }: Waiter): boolean => operation !== null && this.hasDone(operation);
    const done = this.#waiters.filter(isDone);
    this.#waiters = this.#waiters.filter((one) => !isDone(one));
    for (const { settle } of done) settle();
    return done.length > 0 && this.#waiters.length === 0;
  }

  settleAll(): void {
    for (const { settle } of this.#waiters.splice(0)) settle();
  }

  beatEvery(everyMs: number, parts: ConsumerProcessParts, beat: () => Promise<void>): void {
    this.stopBeating(parts);
    this.#beating = { everyMs, beat };
    this.#beatIn(everyMs, parts, this.#beating);
  }

  /** Something was sent: viewers show it when they know that the other streams have nothing before it. */
  beatSoon(parts: ConsumerProcessParts): void {
    if (!this.#beating || this.#isSoon) return;
    this.#isSoon = true;
    this.#beatIn(Math.min(SOON_MS, this.#beating.everyMs), parts, this.#beating);
  }

  stopBeating({ ports }: ConsumerProcessParts): void {
    ports.clock.clearTimeout(this.#beat);
    this.#beating = null;
    this.#isSoon = false;
  }

  #beatIn(ms: number, parts: ConsumerProcessParts, beating: Beating): void {
    parts.ports.clock.clearTimeout(this.#beat);
    this.#beat = parts.ports.clock.setTimeout(() => {
      this.#isSoon = false;
      void beating
        .beat()
        .catch(() => {}) // The files take nothing: the stream says so itself.
        .then(() => {
          if (this.#beating === beating && !this.#isSoon) this.#beatIn(beating.everyMs, parts, beating);
        });
    }, ms);
  }
}

const refOf = (parts: ConsumerProcessParts, session: string): LinkRef | undefined =>
  parts.root.getSnapshot().context.links[session];

const toStreams = (parts: ConsumerProcessParts, session: string, type: 'SpoolFilled' | 'SpoolFreed'): void => {
  for (const { attach } of parts.streams.of(session)) parts.stream(attach.ringId)?.send({ type });
};

/** What the index of a stream names and its file does not hold: a power cut leaves such, and whoever removes files. */
const tellLost = (parts: ConsumerProcessParts, entry: LinkEntry): void => {
  const { lostPackets } = entry.queue;
  if (lostPackets <= entry.toldLost) return;
  entry.toldLost = lostPackets;
  const { session } = entry.request;
  parts.ports.log.error('packets of the spool cannot be read, and are lost', { session, lostPackets });
  parts.tell('link', session, 'lost', { session, ...linkView(parts, session) });
};

/** Room and wishes follow from what the spool holds now. */
const look = (parts: ConsumerProcessParts, entry: LinkEntry): void => {
  tellLost(parts, entry);
  const { session, spoolLimit } = entry.request;
  const { bytes } = entry.queue;
  if (bytes > spoolLimit) {
    refOf(parts, session)?.send({ type: 'SpoolFilled' });
    // Also to streams that have come since, or were busy with something else.
    toStreams(parts, session, 'SpoolFilled');
  } else if (bytes <= spoolLimit * FREED) refOf(parts, session)?.send({ type: 'SpoolFreed' });
};

/** Something was written into the spool of this session; `news`: what, if somebody knows. */
export const wakeLink = (parts: ConsumerProcessParts, session: string, news: News | null = null): void => {
  const entry = parts.links.get(session);
  if (!entry) return;
  const what = entry.newsFor(parts.ports.clock.now(), news);
  if (entry.pump) entry.pump.wake(what);
  else entry.queue.refresh(what);
  look(parts, entry);
};

/** Readers have written packets into these files. */
export const tellLink = (parts: ConsumerProcessParts, session: string, streams: readonly string[]): void => {
  wakeLink(parts, session, { streams, traces: [] });
  parts.links.get(session)?.beatSoon(parts);
};

const listenerOf = (parts: ConsumerProcessParts, entry: LinkEntry): PeerListener => {
  const send = (event: Parameters<LinkRef['send']>[0]): void => refOf(parts, entry.request.session)?.send(event);
  return {
    acked: (ack) => {
      const { pump } = entry;
      if (!pump) return;
      const before = pump.ackedBytes;
      pump.acked(ack);
      if (pump.ackedBytes > before) entry.places.took();
      if (pump.drained) entry.refused = null;
      if (entry.settleDone()) send({ type: 'SpoolDrained' });
      send({ type: 'LinkAcknowledged', outstanding: !pump.quiet, full: ack.full });
      look(parts, entry);
    },
    forgotten: () => send({ type: 'PositionLost' }),
    refused: (cause) => {
      send({ type: 'LinkRefused' });
      if (cause === entry.refused) return;
      const { session } = entry.request;
      entry.refused = cause;
      parts.ports.log.error('link refused', { session, cause });
      parts.tell('link', session, 'refused', { session, ...linkView(parts, session) });
    },
    cut: () => send({ type: 'PeerCut' }),
    connected: () => send({ type: 'PeerConnected' }),
  };
};

const newPump = (parts: ConsumerProcessParts, entry: LinkEntry, peer: LinkPeer): LinkPump => {
  const { session, compress, tracefiles } = entry.request;
  const send = (type: 'MessagesPosted' | 'SpoolDrained' | 'PositionLost') => () => refOf(parts, session)?.send({ type });
  return new LinkPump({
    spool: entry.spool,
    queue: entry.queue,
    peer,
    clock: parts.ports.clock,
    compress: compress && entry.request.destination.kind === 'relay' ? (bytes) => parts.ports.compress(bytes) : null,
    tracefiles: limitsOf(parts.streams, session, tracefiles),
    onSent: send('MessagesPosted'),
    onDrained: send('SpoolDrained'),
    onLost: send('PositionLost'),
  });
};

/** Directories below the relay's: what stands behind the host in the URL. */
const subdirOf = (url: string): string => {
  const path = /^[a-z]+:(?:\/\/[^/]*)?\/?(.*)$/i.exec(url)?.[1] ?? '';
  return path.replace(/^\/+|\/+$/g, '');
};

const lttngPeer = (
  parts: ConsumerProcessParts,
  { session, sessionName, hostname, createdAt, liveTimerUs, ...request }: LinkOpenRequest,
  { ctrl, data, subdir }: Extract<LinkOpenRequest['destination'], { kind: 'lttng' }>,
  listener: PeerListener,
): LinkPeer =>
  new LttngPeer(
    {
      host: ctrl.host,
      ctrlPort: ctrl.port,
      dataPort: data.port,
      session: sessionName,
      hostname,
      subdir,
      liveTimerUs: liveTimerUs ?? 0,
      link: request.link ?? session,
      createdAt,
    },
    listener,
    parts.ports.clock,
  );

const connectPeer = async (parts: ConsumerProcessParts, entry: LinkEntry): Promise<LinkPeer> => {
  const { session, sessionName, destination, createdAt, liveTimerUs } = entry.request;
  const listener = listenerOf(parts, entry);
  if (destination.kind === 'lttng') return lttngPeer(parts, entry.request, destination, listener);
  const own = destination.url.startsWith('relay:');
  const bus = own ? parts.connection?.bus : await parts.ports.connectRelay(destination.url);
  if (!bus) throw refuse('bus-cut', {});
  const link = {
    // Whom the fleet vouches for now: the session may have been made when this host had another name.
    host: parts.access!.host,
    uid: parts.access!.uid,
    owner: parts.ports.owner,
    link: entry.request.link ?? session,
    session: sessionName,
    createdAt,
    live: liveTimerUs !== null,
    subdir: subdirOf(destination.url),
  };
  return new RelayPeer(bus, link, listener, { own: own ? null : bus, former: entry.places.relay });
};

/** One that comes when nobody waits any more is nobody's. */
const peerOf = async (parts: ConsumerProcessParts, entry: LinkEntry, signal: AbortSignal): Promise<LinkPeer> => {
  if (entry.peer) return entry.peer;
  const peer = await connectPeer(parts, entry);
  if (signal.aborted) void peer.close();
  signal.throwIfAborted();
  entry.peer = peer;
  return peer;
};

/** `signal`: the machine waits no longer, and another opening may have begun: this one changes nothing then. */
const openPeer = async (parts: ConsumerProcessParts, session: string, signal: AbortSignal): Promise<void> => {
  const entry = parts.links.get(session)!;
  try {
    const peer = await peerOf(parts, entry, signal);
    entry.pump ??= newPump(parts, entry, peer);
    entry.queue.refresh();
    const position = await peer.open(entry.log.nextEpoch());
    signal.throwIfAborted();
    const left = entry.places.opened(position);
    entry.relay = position.relay;
    entry.directory = position.directory;
    entry.cause = null;
    entry.pump.begin(position);
    if (left) parts.tell('link', session, 'moved', { session, from: left, ...linkView(parts, session) });
  } catch (thrown) {
    const why = refusedFrom(thrown);
    if (signal.aborted) throw why;
    if (why.refusal.code === 'stale-epoch') entry.log.leap();
    entry.cause = thrown instanceof Error && 'fault' in thrown ? thrown.message : why.message;
    throw why;
  }
};

/** All that was recorded until now is at the other end, or on its way: viewers may show what lies before. */
const beat = async (parts: ConsumerProcessParts, entry: LinkEntry): Promise<void> => {
  const now = parts.ports.monotonicNs();
  await Promise.all(parts.streams.of(entry.request.session).map((stream) => parts.flush(stream)));
  wakeLink(parts, entry.request.session);
  entry.pump?.beat(now > SLACK_NS ? now - SLACK_NS : 0n);
};

/** Between looking at the clock and committing: in lock mode a thread may lose its CPU, in a virtual machine the CPU itself (ADR 0020). */
const SLACK_NS = 8_000_000n;
const US_PER_MS = 1_000;

const endLink = (parts: ConsumerProcessParts, session: string): void => {
  const entry = parts.links.get(session)!;
  parts.links.delete(session);
  entry.stopBeating(parts);
  entry.pump?.pause();
  void entry.peer?.close();
  // Archives and notes are worth to be told later, as packets are; that nothing more comes is not.
  const isTold = entry.queue.empty && entry.log.closed;
  entry.isDone = isTold || (entry.log.onlyCloseIsLeft && entry.queue.holdsNothing);
  if (entry.isDone && !isTold)
    parts.ports.log.warn('the other end was not told that nothing more comes', { session, relay: entry.relay });
  if (entry.isDone) entry.spool.end();
  entry.settleAll();
  parts.root.send({ type: 'LinkEnded', sessionId: session });
  entry.closed.resolve();
};

export const provideLink = (parts: ConsumerProcessParts) => {
  const at = (session: string): LinkEntry => parts.links.get(session)!;
  const told = (session: string, what: string): void => {
    const entry = at(session);
    parts.ports.log.warn(`link ${what}`, { session, relay: entry.relay, cause: entry.cause });
    parts.tell('link', session, what, { session, ...linkView(parts, session) });
  };
  return linkMachine.provide({
    actors: { openPeer: fromPromise(({ input, signal }) => openPeer(parts, input.sessionId, signal)) },
    actions: {
      pumpLink: (_, { sessionId }) => {
        const entry = at(sessionId);
        const { liveTimerUs } = entry.request;
        entry.pump?.run();
        if (liveTimerUs !== null) entry.beatEvery(liveTimerUs / US_PER_MS, parts, () => beat(parts, entry));
        look(parts, entry);
      },
      pauseLink: (_, { sessionId }) => {
        at(sessionId).stopBeating(parts);
        at(sessionId).pump?.pause();
      },
      holdStreams: (_, { sessionId }) => toStreams(parts, sessionId, 'SpoolFilled'),
      releaseStreams: (_, { sessionId }) => toStreams(parts, sessionId, 'SpoolFreed'),
      seekDrained: ({ self }, { sessionId }) => {
        const entry = at(sessionId);
        wakeLink(parts, sessionId);
        if (entry.drained) self.send({ type: 'SpoolDrained' });
      },
      reportDrain: (_, { sessionId }) => {
        parts.links.get(sessionId)?.settleAll();
      },
      publishLink: (_, { sessionId, what }) => told(sessionId, what),
      endLink: (_, { sessionId }) => endLink(parts, sessionId),
    },
  });
};

/** What the daemon shows of it. */
export const linkView = (parts: ConsumerProcessParts, session: string): Body => {
  const entry = parts.links.get(session);
  const snapshot = refOf(parts, session)?.getSnapshot();
  if (!entry || !snapshot)
    return { state: 'closed', relay: null, sentBytes: 0, ackedBytes: 0, spoolBytes: 0, lostPackets: 0, cause: null };
  const value = snapshot.value as { linked?: { line: string | Record<string, unknown>; spool: string } };
  const line = value.linked?.line ?? 'closed';
  return {
    state: typeof line === 'string' ? line : Object.keys(line)[0],
    within: typeof line === 'string' ? null : String(Object.values(line)[0]),
    spool: value.linked?.spool ?? 'roomy',
    relay: entry.relay,
    directory: entry.directory,
    elsewhere: entry.places.elsewhere,
    sentBytes: entry.pump?.sentBytes ?? 0,
    ackedBytes: entry.pump?.ackedBytes ?? 0,
    spoolBytes: entry.queue.bytes,
    spoolLimit: entry.request.spoolLimit,
    operations: entry.log.last - entry.log.acked,
    lostPackets: entry.queue.lostPackets,
    cause: entry.refused ?? entry.cause,
  };
};
