/** One connection to the live port: its requests are the machine's events, and the machine says how each is answered. */
import type { ViewerEvent } from '../machines/viewer.ts';
import {
  connectReply,
  LIVE_MAJOR,
  LiveFrameError,
  LiveFrames,
  type LiveRequest,
  type LiveSession,
  listReply,
  STATUS,
  statusReply,
  streamsReply,
} from '../transport/lttng-live.ts';
import { LiveView, SEEK } from './live-session.ts';
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
  #view: LiveView | null = null;
  #answering: Promise<void> | null = null;

  constructor(number: bigint, socket: ViewerSocket, parts: RelayParts) {
    this.id = `viewer-${number}`;
    this.number = number;
    this.socket = socket;
    this.#parts = parts;
  }

  get watches(): LinkStore | null {
    return this.#view?.store ?? null;
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
    this.#view = null;
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
        this.#attaching = store && this.#isSeek(request.seek) ? new LiveView(store.number, store) : null;
        return { type: 'AttachRequested', accepted: this.#attaching !== null };
      }
      case 'detach':
        return { type: 'DetachRequested' };
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
      this.#view = this.#attaching;
      return this.#view!.attach(request.kind === 'attach' ? request.seek : SEEK.last);
    }
    if (how === 'attach-refused') return streamsReply(this.#whyNot(request));
    if (how === 'detach') this.#view = null;
    if (how === 'detach' || how === 'detach-refused') return statusReply(how === 'detach' ? STATUS.ok : STATUS.detach.unknown);
    return this.#dataOf(request, this.#view!);
  }

  #whyNot(request: LiveRequest): number {
    if (this.#view) return STATUS.attach.busy;
    return request.kind === 'attach' && !this.#isSeek(request.seek) ? STATUS.attach.badSeek : STATUS.attach.unknown;
  }

  #dataOf(request: LiveRequest, view: LiveView): Buffer {
    if (request.kind === 'index') return view.index(request.stream);
    if (request.kind === 'packet') return view.packet(request.stream, request.offset, request.length);
    if (request.kind === 'metadata') return view.metadata(request.stream);
    const ours = request.kind === 'streams' && request.session === view.id;
    return ours ? view.newStreams() : streamsReply(STATUS.streams.error);
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
