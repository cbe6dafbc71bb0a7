/** The verbs of links (docs/contracts-network.md). */
import type { Body } from '../transport/bus.ts';
import { FREEZE_NOTE, readFreezeNote } from '../transport/freeze-message.ts';
import type { ConsumerRequest } from './consumer-messages.ts';
import type { ConsumerProcessParts } from './consumer-process.ts';
import { LinkEntry, linkView, wakeLink } from './link.ts';
import { refuse } from './refused.ts';

const refOf = (parts: ConsumerProcessParts, session: string) => parts.root.getSnapshot().context.links[session];

export const linkOpen = async (parts: ConsumerProcessParts, request: ConsumerRequest<'link-open'>): Promise<Body> => {
  const { session, output } = request;
  if (parts.links.has(session)) return {};
  try {
    parts.ports.makeDirectory(output);
    parts.links.set(session, new LinkEntry(parts, request));
  } catch (thrown) {
    throw refuse('output-not-writable', { path: output, cause: thrown instanceof Error ? thrown.message : String(thrown) });
  }
  parts.root.send({ type: 'LinkRequested', sessionId: session });
  return {};
};

export const linkStatus = async (parts: ConsumerProcessParts, { session }: ConsumerRequest<'link-status'>): Promise<Body> =>
  linkView(parts, session);

/** Resolves when the other end has everything, or after `timeoutMs`. */
export const linkDrain = async (
  parts: ConsumerProcessParts,
  { session, timeoutMs, what = 'all' }: ConsumerRequest<'link-drain'>,
): Promise<Body> => {
  const entry = parts.links.get(session);
  if (!entry) return { ...linkView(parts, session), drained: true };
  const operation = what === 'operations' ? entry.log.last : null;
  if (operation === null || !entry.hasDone(operation)) {
    const settled = new Promise<void>((settle) => entry.wait({ operation, settle }));
    refOf(parts, session)?.send({ type: 'DrainRequested', timeoutMs });
    await settled;
  }
  return { ...linkView(parts, session), drained: operation === null ? entry.drained : entry.hasDone(operation) };
};

/** The trace is complete: the other end is told, and the spool goes when nothing is left in it. */
export const linkClose = async (parts: ConsumerProcessParts, request: ConsumerRequest<'link-close'>): Promise<Body> => {
  const { session, timeoutMs } = request;
  const entry = parts.links.get(session);
  if (!entry) return linkView(parts, session);
  if (parts.copies.some((directory) => directory.startsWith(`${entry.request.output}/`)))
    return { ...linkView(parts, session), cause: 'it is still being written', drained: false };
  wakeLink(parts, session);
  const { output } = entry.request;
  if (parts.freezes.mayGrow(output))
    return { ...linkView(parts, session), cause: 'its freeze may get further names', drained: false };
  const note = readFreezeNote(entry.spool.file(FREEZE_NOTE));
  if (note) entry.log.add({ op: 'freeze', note });
  entry.log.add({ op: 'close' });
  const left = await linkDrain(parts, { session, timeoutMs });
  refOf(parts, session)?.send({ type: 'CloseRequested' });
  await entry.closed.promise;
  return { ...left, ...(entry.isDone && { operations: 0 }), drained: entry.isDone };
};

/** Whoever waits for its link has an answer before. */
export const spoolRemove = async (
  parts: ConsumerProcessParts,
  { session, output }: ConsumerRequest<'spool-remove'>,
): Promise<Body> => {
  const entry = parts.links.get(session);
  if (entry) {
    refOf(parts, session)?.send({ type: 'CloseRequested' });
    await entry.closed.promise;
  }
  parts.ports.openSpool(output).end();
  return entry ? { bytes: entry.queue.bytes } : {};
};
