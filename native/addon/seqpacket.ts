/** One end of a seqpacket connection: keeps what arrives until somebody listens, and sees to it that no fd is left behind. */
import type { Binding, Handle } from './binding.ts';
import { calling } from './errors.ts';
import type { Peer, SeqpacketConnection } from './index.ts';

/** Called by the module: a message, or null once when the peer is gone. */
export type Receiver = (message: Buffer | null, fds: number[]) => void;

/** Messages that may wait for a listener; a peer that sends more is cut off. */
const WAITING_MAX = 64;

const NOBODY: Peer = { pid: 0, uid: 0, gid: 0 };

export class Connection implements SeqpacketConnection {
  readonly #binding: Binding;
  #handle: Handle | null = null;
  #peer: Peer = NOBODY;
  #waiting: { readonly message: Buffer; readonly fds: number[] }[] = [];
  #messageListener: ((message: Buffer, fds: number[]) => void) | null = null;
  #closeListener: (() => void) | null = null;
  #gone = false;

  constructor(binding: Binding) {
    this.#binding = binding;
  }

  get peer(): Peer {
    return this.#peer;
  }

  attach(handle: Handle, peer: Peer): void {
    this.#handle = handle;
    this.#peer = peer;
  }

  readonly receive: Receiver = (message, fds) => {
    if (message === null) this.#ended();
    else if (this.#messageListener) this.#messageListener(message, fds);
    else this.#keep(message, fds);
  };

  send(message: Uint8Array, fds: readonly number[] = []): boolean {
    const handle = this.#handle;
    return handle !== null && calling(() => this.#binding.sendSeqpacket(handle, message, Uint32Array.from(fds)));
  }

  onMessage(listener: (message: Buffer, fds: number[]) => void): void {
    this.#messageListener = listener;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { message, fds } of waiting) listener(message, fds);
  }

  onClose(listener: () => void): void {
    this.#closeListener = listener;
    if (this.#gone) queueMicrotask(listener);
  }

  close(): void {
    if (this.#handle) this.#binding.closeHandle(this.#handle);
    this.#handle = null;
    this.#dropWaiting();
  }

  #keep(message: Buffer, fds: number[]): void {
    this.#waiting.push({ message, fds });
    if (this.#waiting.length <= WAITING_MAX) return;
    this.close();
    this.#ended();
  }

  /** Messages that came before the end are still handed to a listener that comes late. */
  #ended(): void {
    this.#gone = true;
    this.#handle = null;
    this.#closeListener?.();
  }

  #dropWaiting(): void {
    for (const { fds } of this.#waiting) for (const fd of fds) this.#binding.closeHandle(null, fd);
    this.#waiting = [];
  }
}
