/** The parcels of this daemon (machines/parcel.ts): what is left to be sent, on disk until the relay has it. */
import { fromPromise } from 'xstate';
import { parcelMachine } from '../machines/parcel.ts';
import type { Body } from '../transport/bus.ts';
import type { LinkView } from '../transport/messages.ts';
import type { DaemonParts } from './daemon-parts.ts';
import type { ParcelDisk } from './ports.ts';
import { refuse } from './refused.ts';

export const PARCEL_VERSION = 1;

export interface ParcelDocument {
  readonly version: typeof PARCEL_VERSION;
  /** 32 hex digits; of a session that left it, the session's. */
  readonly id: string;
  readonly owner: { readonly uid: number; readonly gid: number };
  /** For people. */
  readonly what: string;
  /** How the consumer opens its link. */
  readonly request: Body & { readonly session: string };
}

/** Less than the machine gives. */
const SEND_MS = 45_000;

type Listener = (link: LinkView) => void;

export class Parcels {
  readonly #disk: ParcelDisk;
  readonly #parcels = new Map<string, ParcelDocument>();
  readonly #listeners = new Map<string, Listener>();

  constructor(disk: ParcelDisk) {
    this.#disk = disk;
  }

  /** Of the daemons before; a session that still ends will leave its own anew. */
  async load(isSession: (id: string) => boolean): Promise<readonly ParcelDocument[]> {
    for (const parcel of await this.#disk.loadParcels()) {
      if (isSession(parcel.id)) await this.#disk.removeParcel(parcel.id);
      else this.#parcels.set(parcel.id, parcel);
    }
    return [...this.#parcels.values()];
  }

  find(id: string): ParcelDocument | undefined {
    return this.#parcels.get(id);
  }

  of(uid: number): readonly ParcelDocument[] {
    return [...this.#parcels.values()].filter(({ owner }) => owner.uid === uid);
  }

  /** On the disk when it resolves: from now on it arrives, or waits. */
  async note(parcel: ParcelDocument): Promise<void> {
    await this.#disk.writeParcel(parcel);
    this.#parcels.set(parcel.id, parcel);
  }

  async forget(id: string): Promise<void> {
    this.#parcels.delete(id);
    await this.#disk.removeParcel(id);
  }

  /** Resolves when it is at the relay; after `ms` with null, and it goes on. */
  delivery(id: string, ms: number, setTimer: (task: () => void, ms: number) => unknown): Promise<LinkView | null> {
    return new Promise((resolve) => {
      this.#listeners.set(id, resolve);
      setTimer(() => {
        this.#listeners.delete(id);
        resolve(null);
      }, ms);
    });
  }

  arrived(id: string, link: LinkView): void {
    this.#listeners.get(id)?.(link);
    this.#listeners.delete(id);
  }
}

const send = async (parts: DaemonParts, parcelId: string): Promise<void> => {
  const parcel = parts.parcels.find(parcelId);
  if (!parcel) return;
  const consumer = await parts.readyConsumerOf(parcel.owner);
  await consumer.openLink(parcel.request);
  const { link, drained } = await consumer.closeLink(parcelId, SEND_MS);
  if (!drained)
    throw refuse('relay-behind', { what: parcel.what, bytes: link.spoolBytes, cause: link.cause ?? 'it does not answer' });
  parts.parcels.arrived(parcelId, link);
};

/** A file that stays is sent once more by the next daemon, which finds nothing to send. */
const delivered = async (parts: DaemonParts, parcelId: string): Promise<void> => {
  const parcel = parts.parcels.find(parcelId);
  parts.root.send({ type: 'ParcelDelivered', parcelId });
  if (!parcel) return;
  const { log } = parts.ports;
  log.info('a parcel is at the relay', { what: parcel.what, parcel: parcelId });
  await parts.parcels
    .forget(parcelId)
    .catch((thrown: unknown) => log.warn('the note of a parcel stays', { parcel: parcelId, cause: String(thrown) }));
  parts.ownerMayLeave(parcel.owner.uid);
};

export const provideParcel = (parts: DaemonParts) =>
  parcelMachine.provide({
    actors: { sendParcel: fromPromise<void, { parcelId: string }>(({ input }) => send(parts, input.parcelId)) },
    actions: {
      reportDelivered: (_, { parcelId }) => void delivered(parts, parcelId),
      logParcel: (_, { parcelId, refusal }) => {
        const what = parts.parcels.find(parcelId)?.what ?? '';
        parts.ports.log.warn('a parcel waits', { what, parcel: parcelId, ...refusal });
      },
    },
  });

/** It goes on its way, and survives this process. */
export const sendParcel = async (parts: DaemonParts, parcel: ParcelDocument): Promise<void> => {
  await parts.parcels.note(parcel);
  parts.root.send({ type: 'ParcelLeft', parcelId: parcel.id });
};

export const loadParcels = async (parts: DaemonParts): Promise<void> => {
  const left = await parts.parcels.load((id) => parts.documents.find(id) !== undefined);
  for (const { id } of left) parts.root.send({ type: 'ParcelLeft', parcelId: id });
};
