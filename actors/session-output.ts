/** A stopped session gets another destination: what is on its way arrives first, then the readers and the link end, then it is written. */

import type { OutputWanted } from '../machines/output-edits.ts';
import { editSession } from '../machines/session-edits.ts';
import { succeeded } from '../transport/errors.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { Refused, refuse } from './refused.ts';
import { momentOf, rotationEnded } from './rotation.ts';
import { closeLink, drainLink } from './session-link.ts';
import { summaryOf } from './views.ts';

export const redirect = async (
  parts: DaemonParts,
  sessionId: string,
  requestId: string,
  wanted: OutputWanted,
): Promise<void> => {
  await rotationEnded(parts, sessionId);
  const change = () => {
    const document = parts.documents.current(sessionId);
    const edited = editSession(document, { kind: 'output.redirect', wanted, moment: momentOf(parts, document) });
    if (!edited.ok) throw new Refused(edited.refusal);
    return edited.document;
  };
  change();
  const before = parts.documents.current(sessionId);
  const left = await drainLink(parts, before);
  if (left) throw refuse('spool-not-empty', { session: before.name, bytes: left.spoolBytes });
  const consumer = await parts.readyConsumer(before);
  await consumer.detach(sessionId);
  await closeLink(parts, before);
  await parts.documents.edit(sessionId, () => ({ document: change(), value: undefined }));
  parts.replies.prepare(requestId, succeeded({ session: summaryOf(parts.documents.current(sessionId)) }));
};
