/** The link of a network session, as its daemon sees it: opened before anything is written, drained when it stops, closed at its end. */

import type { SessionDocument } from '../machines/document.ts';
import { outputPathOf } from '../machines/output.ts';
import type { Body } from '../transport/bus.ts';
import type { LinkView } from '../transport/messages.ts';
import type { DaemonParts } from './daemon-parts.ts';

/** Within the time that a session has for its flush. */
const STOP_DRAIN_MS = 10_000;
/** It was drained before. */
const CLOSE_MS = 2_000;
const STATUS_MS = 1_000;

const DEFAULT_SPOOL_BYTES = 4 * 2 ** 30;

/** What the consumer is asked to open; null: the traces stay on this host. */
export const linkRequestOf = (document: SessionDocument): (Body & { readonly session: string }) | null => {
  const { id, name: sessionName, network, hostname, createdAt, channels, registries } = document;
  if (!network) return null;
  return {
    session: id,
    sessionName,
    output: outputPathOf(document),
    destination: network.destination,
    liveTimerUs: network.liveTimerUs,
    hostname,
    createdAt,
    compress: network.compress,
    spoolLimit: network.spoolLimit ?? DEFAULT_SPOOL_BYTES,
    tracefiles: channels.flatMap(({ name, attributes: { tracefileSize: size, tracefileCount: count } }) =>
      [name, `${name}_l`].map((prefix) => ({ prefix, size, count })),
    ),
    rings: registries.flatMap(({ ringSets }) => ringSets.map(({ ringId }) => ringId)),
  };
};

/** A consumer that came anew knows of no link. */
export const reopenLink = async (parts: DaemonParts, sessionId: string): Promise<void> => {
  const document = parts.documents.find(sessionId);
  if (document?.network) await parts.readyConsumer(document);
};

const left = (parts: DaemonParts, document: SessionDocument, link: LinkView, drained: boolean): void => {
  if (drained) return;
  const { state, spoolBytes, cause } = link;
  parts.ports.log.warn('not all of it is at the relay', { session: document.name, state, spoolBytes, cause });
};

/** As far as that is possible in its time; what is left follows, or stays in the spool. */
export const drainLink = async (parts: DaemonParts, document: SessionDocument): Promise<void> => {
  if (!document.network) return;
  const { link, drained } = await (await parts.readyConsumer(document)).drainLink(document.id, STOP_DRAIN_MS);
  left(parts, document, link, drained);
};

export const closeLink = async (parts: DaemonParts, document: SessionDocument): Promise<LinkView | null> => {
  if (!document.network) return null;
  const { link, drained } = await (await parts.readyConsumer(document)).closeLink(document.id, CLOSE_MS);
  left(parts, document, link, drained);
  return link;
};

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
