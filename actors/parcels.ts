/** The parcels of this daemon (machines/parcel.ts): what is left to be sent, on disk until the relay has it. */
import { fromPromise } from 'xstate';
import { parcelMachine } from '../machines/parcel.ts';
import type { Body } from '../transport/bus.ts';
import type { LinkView } from '../transport/messages.ts';
import type { DaemonParts } from './daemon-parts.ts';
import type { ParcelDisk } from './ports.ts';
import { faultOfRefusal, refuse } from './refused.ts';

export const PARCEL_VERSION = 1;

export interface ParcelDocument {
  readonly version: typeof PARCEL_VERSION;
  /** 32 hex digits; of a session that left it, the session's. */
  readonly id: string;
  readonly owner: { readonly uid: number; readonly gid: number };
  /** For people. */
  readonly what: string;
  /** False: it is being written; of a daemon before, what there is of it. */
  readonly complete: boolean;
  /** In its spool, as far as is known. */
  readonly bytes: number;
  /** How the consumer opens its link. */
  readonly request: Body & { readonly session: string; readonly output: string };
}

/** Less than the machine gives. */
const SEND_MS = 45_000;

/** Of one owner; nobody else bounds what is taken while a relay is away. */
const LIMIT_BYTES = 4 * 2 ** 30;

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
    const loaded: ParcelDocument[] = [];
    for (const parcel of await this.#disk.loadParcels()) {
      // This daemon serves already: what it has noted is newer.
      if (this.#parcels.has(parcel.id)) continue;
      if (isSession(parcel.id)) await this.#disk.removeParcel(parcel.id);
      else {
        this.#parcels.set(parcel.id, parcel);
        loaded.push(parcel);
      }
    }
    return loaded;
  }

  find(id: string): ParcelDocument | undefined {
    return this.#parcels.get(id);
  }

  all(): readonly ParcelDocument[] {
    return [...this.#parcels.values()];
  }

  of(uid: number): readonly ParcelDocument[] {
    return this.all().filter(({ owner }) => owner.uid === uid);
  }

  /** Whether this owner may leave one more. */
  admit(uid: number): void {
    const bytes = this.of(uid).reduce((sum, parcel) => sum + parcel.bytes, 0);
    if (bytes >= LIMIT_BYTES) throw refuse('parcels-full', { bytes, limit: LIMIT_BYTES });
  }

  /** Some of it has arrived. */
  learn(id: string, bytes: number): void {
    const parcel = this.#parcels.get(id);
    if (parcel) this.#parcels.set(id, { ...parcel, bytes });
  }

  /** On the disk when it resolves: from now on it arrives, or waits. */
  async note(parcel: ParcelDocument): Promise<void> {
    await this.#disk.writeParcel(parcel);
    this.#parcels.set(parcel.id, parcel);
  }

  async complete(id: string, bytes: number): Promise<void> {
    const parcel = this.#parcels.get(id);
    if (parcel) await this.note({ ...parcel, complete: true, bytes });
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

/** One that was given up meanwhile does nothing more: the next is under way. */
const send = async (parts: DaemonParts, parcelId: string, signal: AbortSignal): Promise<void> => {
  const parcel = parts.parcels.find(parcelId);
  if (!parcel) return;
  const consumer = await parts.readyConsumerOf(parcel.owner);
  if (signal.aborted) return;
  await consumer.openLink(parcel.request);
  if (signal.aborted) return;
  const { link, drained } = await consumer.closeLink(parcelId, SEND_MS);
  parts.parcels.learn(parcelId, link.spoolBytes);
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
    actors: { sendParcel: fromPromise<void, { parcelId: string }>(({ input, signal }) => send(parts, input.parcelId, signal)) },
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

/** What came of it is of no use to anybody. It takes its time, and whoever asked has an answer before. */
export const discardParcel = async (parts: DaemonParts, parcelId: string): Promise<void> => {
  const parcel = parts.parcels.find(parcelId);
  if (!parcel) return;
  try {
    const consumer = await parts.readyConsumerOf(parcel.owner);
    await consumer.removeSpool(parcelId, parcel.request.output);
    await parts.parcels.forget(parcelId);
    parts.ownerMayLeave(parcel.owner.uid);
  } catch (thrown) {
    parts.ports.log.warn('a parcel cannot be removed, and is sent', { what: parcel.what, cause: String(thrown) });
    parts.root.send({ type: 'ParcelLeft', parcelId });
  }
};

/** It is on its way; else it is still being written. */
export const isSent = (parts: DaemonParts, parcelId: string): boolean =>
  parts.root.getSnapshot().context.parcels[parcelId] !== undefined;

/** Not wanted any more. Returns how many bytes of it were here. */
export const dropParcel = async (parts: DaemonParts, parcelId: string): Promise<number> => {
  const parcel = parts.parcels.find(parcelId);
  if (!parcel) throw refuse('parcel-not-found', { parcel: parcelId });
  if (!isSent(parts, parcelId)) throw refuse('parcel-unfinished', { what: parcel.what });
  const consumer = await parts.readyConsumerOf(parcel.owner);
  // It may have arrived meanwhile.
  if (!isSent(parts, parcelId)) throw refuse('parcel-not-found', { parcel: parcelId });
  parts.root.send({ type: 'ParcelDropped', parcelId });
  try {
    const held = await consumer.removeSpool(parcelId, parcel.request.output);
    await parts.parcels.forget(parcelId);
    parts.ports.log.warn('a parcel was thrown away', { what: parcel.what, parcel: parcelId });
    parts.ownerMayLeave(parcel.owner.uid);
    return held ?? parcel.bytes;
  } catch (thrown) {
    parts.root.send({ type: 'ParcelLeft', parcelId });
    throw thrown;
  }
};

/** For people: what waits, and why. */
export const parcelViews = (parts: DaemonParts) => {
  const { parcels } = parts.root.getSnapshot().context;
  return parts.parcels.all().map(({ id, what, owner: { uid }, bytes }) => {
    const refusal = parcels[id]?.getSnapshot().context.refusal ?? null;
    return { id, what, uid, bytes, cause: refusal && String(refusal.params.cause ?? faultOfRefusal(refusal).message) };
  });
};

export const loadParcels = async (parts: DaemonParts): Promise<void> => {
  const left = await parts.parcels.load((id) => parts.documents.find(id) !== undefined);
  for (const { id, what, complete } of left) {
    // Readable as far as it goes.
    if (!complete) parts.ports.log.warn('a snapshot was cut short by the end of its daemon, and is sent', { what, parcel: id });
    parts.root.send({ type: 'ParcelLeft', parcelId: id });
  }
};
