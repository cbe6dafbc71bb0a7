/**
 * The other end of a link, whatever it speaks. The pump numbers what it sends from 1 on with each opening and wants it acknowledged;
 * how that travels is the peer's business (link-relay.ts: a relay of ours over a bus).
 */
import type { FreezeNote } from '../transport/freeze-message.ts';
import type { SpoolEntry } from './ports.ts';

export interface LinkPosition {
  readonly relay: string;
  /** Bytes that may be on the way. */
  readonly window: number;
  /** Where the other end puts the traces, for people; null: it does not say. */
  readonly directory: string | null;
  /** Highest packet number that is held durably, by path of the stream. */
  readonly durable: readonly Durable[];
  /** Highest operation that is. */
  readonly ops: number;
}

export interface Durable {
  readonly path: string;
  readonly number: number;
}

export interface LinkAck {
  /** Messages that arrived. */
  readonly upTo: number;
  readonly durable: readonly Durable[];
  readonly ops: number;
  /** From this message on all is wanted again. */
  readonly missing: number | null;
  /** Nothing more until the next word without it. */
  readonly full: boolean;
}

export type Operation =
  | { readonly op: 'archive'; readonly from: string; readonly to: string }
  | { readonly op: 'clear'; readonly directory: string }
  /** Of the snapshot that this link is; replaces the one before. */
  | { readonly op: 'freeze'; readonly note: FreezeNote }
  | { readonly op: 'close' };

export type LinkContent =
  | {
      readonly kind: 'metadata';
      readonly path: string;
      readonly text: string;
      readonly first: boolean;
      readonly more: boolean;
    }
  | {
      readonly kind: 'packet';
      readonly path: string;
      readonly number: number;
      readonly index: Buffer;
      readonly part: number;
      readonly parts: number;
      readonly offset: number;
      readonly bytes: Buffer;
      /** Of the memory around the bytes, as in a Fragment of transport/bus.ts. */
      readonly room: number;
      /** The parts together are one zstd frame of the packet. */
      readonly zstd?: true;
      readonly tracefileSize: number;
      readonly tracefileCount: number;
    }
  | ({ readonly kind: 'op'; readonly number: number } & Operation)
  | { readonly kind: 'beat'; readonly clock: bigint; readonly paths: readonly string[] };

export type LinkMessage = { readonly n: number } & LinkContent;

export interface PeerListener {
  acked(ack: LinkAck): void;
  /** It knows nothing of this opening: it was started anew. */
  forgotten(): void;
  /** It can never take what was sent, and has closed this opening; why, and the way out. */
  refused(cause: string): void;
  /** Nothing arrives any more; what was sent may be lost. */
  cut(): void;
  connected(): void;
}

export interface LinkPeer {
  /** Takes over the link with this epoch. Rejects with Refused. */
  open(epoch: number): Promise<LinkPosition>;
  /** False: it was not sent, because the line is cut or the message refused; the listener hears which. */
  send(message: LinkMessage): boolean;
  close(): Promise<void>;
}

/** A packet and the stream that it belongs to. */
export interface Packet {
  readonly path: string;
  readonly entry: SpoolEntry;
}
