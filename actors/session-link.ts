/** The link of a network session, as its daemon sees it: opened before anything is written, drained when it stops, closed at its end. */

import { join } from 'node:path';
import type { Destination, SessionDocument } from '../machines/document.ts';
import { outputPathOf } from '../machines/output.ts';
import { lockPrefix } from '../machines/stream-names.ts';
import type { Body } from '../transport/bus.ts';
import type { LinkView, RelayPlace } from '../transport/messages.ts';
import type { LinkEnd } from './consumer-link.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { PARCEL_VERSION, type ParcelDocument } from './parcels.ts';

/** Within the time that a session has for its flush. */
const STOP_DRAIN_MS = 10_000;
/** It was drained before. */
const CLOSE_MS = 2_000;
/** Less than the machine gives (machines/rotation.ts). */
const DELIVER_MS = 8_000;
const STATUS_MS = 1_000;

const DEFAULT_SPOOL_BYTES = 4 * 2 ** 30;

/** What the consumer is asked to open; null: the traces stay on this host. */
export const linkRequestOf = (
  document: SessionDocument,
): (Body & { readonly session: string; readonly output: string }) | null => {
  const { id, name: sessionName, network, hostname, createdAt, channels, registries } = document;
  if (!network) return null;
  return {
    session: id,
    sessionName,
    output: outputPathOf(document),
    destination: network.destination,
    liveTimerUs: network.liveTimerUs,
    hostname,
    ...(network.link !== undefined && { link: network.link }),
    createdAt: network.since ?? createdAt,
    compress: network.compress,
    spoolLimit: network.spoolLimit ?? DEFAULT_SPOOL_BYTES,
    tracefiles: channels.flatMap(({ name, attributes: { allocation, tracefileSize: size, tracefileCount: count } }) =>
      allocation === 'per-channel'
        ? [{ prefix: name, size, count, whole: true }]
        : [name, lockPrefix(name)].map((prefix) => ({ prefix, size, count, whole: false })),
    ),
    rings: registries.flatMap(({ ringSets }) => ringSets.map(({ ringId }) => ringId)),
  };
};

/** A consumer that came anew knows of no link. */
export const reopenLink = async (parts: DaemonParts, sessionId: string): Promise<void> => {
  const document = parts.documents.find(sessionId);
  if (document?.network) await parts.readyConsumer(document);
};

/** Null: nothing is. */
const left = (parts: DaemonParts, document: SessionDocument, link: LinkView, drained: boolean): LinkView | null => {
  if (drained) return null;
  const { state, spoolBytes, cause } = link;
  parts.ports.log.warn('not all of it is at the relay', { session: document.name, state, spoolBytes, cause });
  return link;
};

/** As far as that is possible in its time; what is left follows, or stays in the spool. */
export const drainLink = async (parts: DaemonParts, document: SessionDocument): Promise<LinkView | null> => {
  if (!document.network) return null;
  const { link, drained } = await (await parts.readyConsumer(document)).drainLink(document.id, STOP_DRAIN_MS);
  return left(parts, document, link, drained);
};

/** Where the last archive of a session lies that its link carries. */
export interface ArchivePlace {
  readonly location: string;
  readonly relay: RelayPlace;
}

export const endpointOf = (destination: Destination, link: LinkView): Omit<RelayPlace, 'name'> => {
  if (destination.kind === 'lttng')
    return { host: destination.ctrl.host, controlPort: destination.ctrl.port, dataPort: destination.data.port };
  // Over a bus there is one port, that of its server; none: it is the host's own.
  const [, host, port] = /^[a-z]+:\/\/([^/:]+|\[[^\]]*\])(?::(\d+))?/i.exec(destination.url) ?? [];
  const number = host === undefined ? 0 : Number(port ?? 4222);
  return { host: host ?? link.relay ?? '', controlPort: number, dataPort: number };
};

/** Null: nobody at the other end has said where. */
export const placeOfArchive = (
  document: SessionDocument,
  link: LinkView | null,
  archive: string | null,
): ArchivePlace | null => {
  if (!link || link.relay === null || archive === null) return null;
  const location = link.directory === null ? archive : join(link.directory, archive);
  return { location, relay: { name: link.relay, ...endpointOf(document.network!.destination, link) } };
};

/** Null: the relay does not have it yet. */
export const deliverArchive = async (parts: DaemonParts, document: SessionDocument): Promise<ArchivePlace | null> => {
  const consumer = await parts.readyConsumer(document);
  const { link, drained } = await consumer.drainLink(document.id, DELIVER_MS, 'operations');
  return drained ? placeOfArchive(document, link, document.lastArchive) : null;
};

export const closeLink = async (parts: DaemonParts, document: SessionDocument): Promise<LinkEnd | null> => {
  if (!document.network) return null;
  const end = await (await parts.readyConsumer(document)).closeLink(document.id, CLOSE_MS);
  left(parts, document, end.link, end.drained);
  return end;
};

/** What a session that ends leaves in its spool. */
export const leftParcel = (document: SessionDocument, { spoolBytes }: LinkView): ParcelDocument => ({
  version: PARCEL_VERSION,
  id: document.id,
  owner: document.owner,
  what: `what session ${document.name} left`,
  complete: true,
  bytes: spoolBytes,
  request: { ...linkRequestOf(document)!, rings: [] },
});

/** Null: there is none, or nobody knows now. */
export const linkOf = async (parts: DaemonParts, document: SessionDocument): Promise<LinkView | null> => {
  if (!document.network) return null;
  const { clock } = parts.ports;
  const asked = parts
    .consumer(document.owner.uid)
    .linkStatus(document.id)
    .catch(() => null);
  const late = new Promise<null>((resolve) => clock.setTimeout(() => resolve(null), STATUS_MS));
  return Promise.race([asked, late]);
};
