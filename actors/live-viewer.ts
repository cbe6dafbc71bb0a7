/** One connection to the live port: its requests are the machine's events, and the machine says how each is answered. */
import type { ViewerEvent } from '../machines/viewer.ts';
import {
  connectReply,
  indexReply,
  LIVE_MAJOR,
  LiveFrameError,
  LiveFrames,
  type LiveRequest,
  type LiveSession,
  listReply,
  metadataReply,
  packetReply,
  STATUS,
  statusReply,
  streamsReply,
} from '../transport/lttng-live.ts';
import { LiveView, SEEK, streamIds } from './live-session.ts';
import type { RelayParts } from './relay-parts.ts';
import type { LinkStore } from './relay-store.ts';

export interface ViewerSocket {
  /** Who connects; null: somebody of another machine, whom nobody can know. */
  readonly uid: number | null;
  /** Resolves when the other side has taken it. */
  send(bytes: Buffer): Promise<void>;
  close(): void;
}

export class Viewer {
  readonly id: string;
  readonly number: bigint;
  readonly socket: ViewerSocket;
  readonly #parts: RelayParts;
  readonly #frames = new LiveFrames();
  #request: LiveRequest = { kind: 'list' };
  #attaching: LiveView | null = null;
  /** By the number of what is watched. */
  readonly #views = new Map<bigint, LiveView>();
  readonly #nextId = streamIds();
  #answering: Promise<void> | null = null;

  constructor(number: bigint, socket: ViewerSocket, parts: RelayParts) {
    this.id = `viewer-${number}`;
    this.number = number;
    this.socket = socket;
    this.#parts = parts;
  }

  get watches(): LinkStore[] {
    return [...this.#views.values()].map(({ store }) => store);
  }

  /** One request at a time: the next when the reply of this one was taken. Resolves when more may come. */
  async receive(chunk: Buffer): Promise<void> {
    try {
      this.#frames.push(chunk);
      for (let request = this.#frames.next(); request !== null; request = this.#frames.next()) {
        this.#request = request;
        this.#parts.tellViewer(this.id, this.#eventOf(request));
        await this.#answering;
        this.#answering = null;
      }
    } catch (thrown) {
      const cause = thrown instanceof LiveFrameError ? thrown.message : String(thrown);
      this.#parts.tellViewer(this.id, { type: 'FrameRefused', cause });
    }
  }

  /** As the machine says. What cannot be answered ends this viewer, and nobody else. */
  reply(how: string): void {
    try {
      this.#answering = this.socket.send(this.#replyOf(how));
    } catch (thrown) {
      this.#parts.tellViewer(this.id, { type: 'FrameRefused', cause: String(thrown) });
    }
  }

  close(): void {
    for (const view of this.#views.values()) view.close();
    this.#views.clear();
    this.socket.close();
  }

  #eventOf(request: LiveRequest): ViewerEvent {
    switch (request.kind) {
      case 'connect':
        return { type: 'ConnectRequested', known: request.major === LIVE_MAJOR };
      case 'list':
        return { type: 'ListRequested' };
      case 'create':
        return { type: 'CreateRequested' };
      case 'attach': {
        const store = this.#readable().find(({ number }) => number === request.session);
        const isNew = store !== undefined && !this.#views.has(store.number) && this.#isSeek(request.seek);
        this.#attaching = isNew ? new LiveView(store.number, store, this.#nextId) : null;
        return { type: 'AttachRequested', accepted: this.#attaching !== null };
      }
      case 'detach':
        return {
          type: 'DetachRequested',
          attached: this.#views.has(request.session),
          last: this.#views.size === 1,
        };
      default:
        return { type: 'DataRequested' };
    }
  }

  #isSeek(seek: number): boolean {
    return seek === SEEK.beginning || seek === SEEK.last;
  }

  #replyOf(how: string): Buffer {
    const request = this.#request;
    if (how === 'connect') return connectReply(this.number);
    if (how === 'list') return listReply(this.#readable().map((store) => this.#sessionOf(store)));
    if (how === 'create') return statusReply(STATUS.ok);
    if (how === 'attach-early') return streamsReply(STATUS.attach.noViewerSession);
    if (how === 'attach') {
      this.#views.set(this.#attaching!.id, this.#attaching!);
      return this.#attaching!.attach(request.kind === 'attach' ? request.seek : SEEK.last);
    }
    if (how === 'attach-refused') return streamsReply(this.#whyNot(request));
    if (how === 'detach') return this.#detach(request);
    if (how === 'detach-refused') return statusReply(STATUS.detach.unknown);
    return this.#dataOf(request);
  }

  #whyNot(request: LiveRequest): number {
    if (request.kind === 'attach' && this.#views.has(request.session)) return STATUS.attach.busy;
    return request.kind === 'attach' && !this.#isSeek(request.seek) ? STATUS.attach.badSeek : STATUS.attach.unknown;
  }

  #detach(request: LiveRequest): Buffer {
    if (request.kind === 'detach') {
      this.#views.get(request.session)?.close();
      this.#views.delete(request.session);
    }
    return statusReply(STATUS.ok);
  }

  /** What is of no session that it watches has the error of its kind. */
  #dataOf(request: LiveRequest): Buffer {
    const viewOf = (stream: bigint) => [...this.#views.values()].find((view) => view.has(stream));
    if (request.kind === 'index') return viewOf(request.stream)?.index(request.stream) ?? indexReply(STATUS.index.error);
    if (request.kind === 'metadata')
      return viewOf(request.stream)?.metadata(request.stream) ?? metadataReply(STATUS.metadata.error);
    if (request.kind === 'packet') {
      const { stream, offset, length } = request;
      return viewOf(stream)?.packet(stream, offset, length) ?? packetReply(STATUS.packet.error);
    }
    const view = request.kind === 'streams' ? this.#views.get(request.session) : undefined;
    return view?.newStreams() ?? streamsReply(STATUS.streams.error);
  }

  /** Sessions that are open, and whose owner this viewer is, or root, or the user of the relay. */
  #readable(): LinkStore[] {
    const { uid } = this.socket;
    const all = uid === null || uid === 0 || uid === this.#parts.settings.uid;
    return this.#parts.openStores().filter(({ record }) => all || record.owner === String(uid));
  }

  #sessionOf(store: LinkStore): LiveSession {
    const { host, session } = store.record;
    const clients = this.#parts.watchersOf(store);
    return {
      id: store.number,
      timerUs: store.liveUs,
      clients,
      streams: store.streams.size + store.traces.size,
      host,
      name: session,
    };
  }
}
