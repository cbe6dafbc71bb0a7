/** What the kernel does for the world: fds and SOCK_SEQPACKET sockets. */
import type { Peer, SeqpacketConnection, SeqpacketServer } from '../../../native/addon/index.ts';

type Listener = (connection: SeqpacketConnection) => void;

/** One end. Messages arrive in order, in microtasks; what came before anybody listened waits. */
class End implements SeqpacketConnection {
  readonly peer: Peer;
  readonly #kernel: Kernel;
  other: End | null = null;
  #message: ((message: Buffer, fds: number[]) => void) | null = null;
  #closed: (() => void) | null = null;
  readonly #early: [Buffer, number[]][] = [];
  /** False: nobody takes anything out of the buffer. */
  reads = true;
  /** The next message is lost on the way. */
  dropNext = false;
  open = true;

  constructor(kernel: Kernel, peer: Peer) {
    this.#kernel = kernel;
    this.peer = peer;
  }

  send(message: Uint8Array, fds: readonly number[] = []): boolean {
    const { other } = this;
    if (!this.open || !other?.open || !other.reads) return false;
    const passed = fds.map((fd) => this.#kernel.dup(fd));
    queueMicrotask(() => other.deliver(Buffer.from(message), passed));
    return true;
  }

  deliver(message: Buffer, fds: number[]): void {
    if (this.dropNext) this.dropNext = false;
    else if (!this.open) for (const fd of fds) this.#kernel.close(fd);
    else if (this.#message) this.#message(message, fds);
    else this.#early.push([message, fds]);
  }

  onMessage(listener: (message: Buffer, fds: number[]) => void): void {
    this.#message = listener;
    for (const [message, fds] of this.#early.splice(0)) queueMicrotask(() => this.deliver(message, fds));
  }

  onClose(listener: () => void): void {
    this.#closed = listener;
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    const { other } = this;
    queueMicrotask(() => other?.hangUp());
  }

  hangUp(): void {
    if (!this.open) return;
    this.open = false;
    this.#closed?.();
  }
}

export type SocketEnd = End;

export class Kernel {
  readonly #fds = new Map<number, unknown>();
  readonly #listeners = new Map<string, { readonly accept: Listener; readonly owner: Peer }>();
  #next = 100;

  /** A new fd for an object; equal objects behind several fds are duplicates. */
  fd(object: unknown): number {
    this.#fds.set(++this.#next, object);
    return this.#next;
  }

  at<T>(fd: number): T {
    if (!this.#fds.has(fd)) throw new Error(`fd ${fd} is not open`);
    return this.#fds.get(fd) as T;
  }

  dup(fd: number): number {
    return this.fd(this.at(fd));
  }

  close(fd: number): void {
    if (!this.#fds.delete(fd)) throw new Error(`fd ${fd} was closed twice`);
  }

  /** What the open fds stand for, once per fd. */
  objects(): readonly unknown[] {
    return [...this.#fds.values()];
  }

  get openFds(): number {
    return this.#fds.size;
  }

  pair(left: Peer, right: Peer): [End, End] {
    const [a, b] = [new End(this, right), new End(this, left)];
    a.other = b;
    b.other = a;
    return [a, b];
  }

  listen(path: string, owner: Peer, accept: Listener): SeqpacketServer {
    const entry = { accept, owner };
    this.#listeners.set(path, entry);
    return { close: () => this.#listeners.get(path) === entry && this.#listeners.delete(path) };
  }

  connect(path: string, caller: Peer): End {
    const listener = this.#listeners.get(path);
    if (!listener) throw Object.assign(new Error(`nobody listens at ${path}`), { code: 'ECONNREFUSED' });
    const [mine, theirs] = this.pair(caller, listener.owner);
    queueMicrotask(() => listener.accept(theirs));
    return mine;
  }
}
