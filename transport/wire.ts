/**
 * What carries the bytes below a Bus: NATS, or memory. Everything that must be the same on both (encoding, answers, services,
 * faults) stands above it, in wire-bus.ts and service.ts.
 */
import type { BusStatus, Fault, RawAnswer, Subscription } from './bus.ts';

export type { RawAnswer } from './bus.ts';

export interface RawMessage {
  readonly subject: string;
  /** Of the listener until it returns: then their memory may be used for another message. */
  readonly bytes: Uint8Array;
  /** Where the sender waits for an answer; null: it waits for none. */
  readonly reply: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Extra {
  readonly headers?: Readonly<Record<string, string>>;
  /** Where an answer is expected; `request` does that by itself. */
  readonly reply?: string;
  /** Of the memory around the bytes, as in a Fragment of bus.ts. */
  readonly room?: number;
}

export interface Wire {
  readonly status: BusStatus;
  onStatus(listener: (status: BusStatus) => void): Subscription;
  /** False, and nothing sent, unless connected. */
  send(subject: string, bytes: Uint8Array, extra?: Extra): boolean;
  /** Faults: no-responder, timeout, bus-cut, permission-denied. */
  request(subject: string, bytes: Uint8Array, timeoutMs: number, headers?: Extra['headers']): Promise<RawAnswer>;
  /** `onRefused`: the server does not allow it; nothing will come. `queue`: one of its members gets each message. */
  subscribe(
    subject: string,
    listener: (message: RawMessage) => void,
    onRefused?: (fault: Fault) => void,
    queue?: string,
  ): Subscription;
  /** A subject that nobody else can guess, for answers. */
  newInbox(): string;
  /** Resolves when the server has seen all that was done before; at once while cut (it will be done again when connected). */
  flush(): Promise<void>;
  close(): Promise<void>;
}
