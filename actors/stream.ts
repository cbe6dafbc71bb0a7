/** One ring set in the consumer: its reader thread does what the state says, and its news are the machine's events. */
import { fromPromise } from 'xstate';
import { streamMachine } from '../machines/stream.ts';
import type { ReaderNews } from '../native/addon/index.ts';
import type { ConsumerProcessParts } from './consumer-process.ts';
import type { StreamEntry } from './consumer-streams.ts';
import { tellLink } from './link.ts';
import { Refused } from './refused.ts';

const hear = (parts: ConsumerProcessParts, entry: StreamEntry, news: ReaderNews): void => {
  const stream = parts.stream(entry.attach.ringId);
  entry.note(news);
  switch (news.kind) {
    case 'corrupt':
      stream?.send({ type: 'RingCorrupted', cpu: news.cpu, cause: news.cause });
      break;
    case 'write-failed':
      stream?.send({ type: 'WriteFailed', cpu: news.cpu, cause: news.message });
      break;
    case 'write-resumed':
      stream?.send({ type: 'WriteResumed', cpu: news.cpu });
      break;
    case 'cut-late':
      parts.ports.log.warn('a chunk ends later than asked for', { ringId: entry.attach.ringId, cpu: news.cpu });
      break;
    case 'streams': {
      const lost = entry.takeLost(news);
      if (lost > 0n) parts.publish(entry, 'lost', { lost });
      tellLink(parts, entry.attach.session, entry.filesOf(news.streams.map(({ cpu }) => cpu)));
    }
  }
};

const openReader = async (parts: ConsumerProcessParts, entry: StreamEntry): Promise<void> => {
  await entry.arrived.promise;
  const { attach } = entry;
  const { directory, chunk, previous } = attach;
  const [ringFd, readerFd] = entry.memory!;
  const { ringId, plan, geometry, filePrefix, uuid, streamClassId, streamInstanceBase, readTimerUs, switchTimerUs } = attach;
  // Behind a link the other end counts files: in the spool nothing may be written over.
  const { tracefileSize, tracefileCount } = attach.spooled ? { tracefileSize: 0, tracefileCount: 0 } : attach;
  const { reclaim, live } = attach;
  entry.reader = parts.ports.native.startReader(
    {
      ringFd,
      readerFd,
      ringId,
      geometry,
      directory,
      chunk,
      ...(previous && { previous }),
      plan,
      filePrefix,
      uuid,
      streamClassId,
      streamInstanceBase,
      readTimerUs,
      switchTimerUs,
      tracefileSize,
      tracefileCount,
      live,
      ...(reclaim && { reclaim }),
    },
    (news) => hear(parts, entry, news),
  );
  entry.memory = null; // the reader's now
};

const drainReader = async ({ reader }: StreamEntry): Promise<void> => {
  await reader?.flush();
  await reader?.close();
};

/** Without a word: nobody waits for this reader any more. */
const release = (parts: ConsumerProcessParts, entry: StreamEntry): void => {
  void entry.reader
    ?.close()
    .catch((thrown: unknown) => parts.ports.log.error('a reader does not end', { cause: String(thrown) }));
  for (const fd of entry.memory ?? []) parts.ports.native.closeFd(fd);
  entry.memory = null;
};

export const provideStream = (parts: ConsumerProcessParts) => {
  const at = (ringId: string): StreamEntry => parts.streams.find(ringId)!;
  return streamMachine.provide({
    actors: {
      openReader: fromPromise(({ input }) => openReader(parts, at(input.ringId))),
      closeReader: fromPromise(async ({ input }) => at(input.ringId).reader?.close()),
      drainReader: fromPromise(({ input }) => drainReader(at(input.ringId))),
    },
    actions: {
      setPlan: ({ context }, { plan }) => {
        at(context.ringId).plan = plan;
        at(context.ringId).reader?.setPlan(plan);
      },
      publishStream: ({ context }, { what, cpu, cause }) => {
        parts.ports.log.warn(`stream ${what}`, { ringId: context.ringId, cpu: cpu ?? null, cause: cause ?? null });
        parts.publish(at(context.ringId), what, { cpu: cpu ?? null, cause: cause ?? null });
      },
      releaseReader: (_, { ringId }) => release(parts, at(ringId)),
      reportReady: (_, { ringId, refusal }) => {
        if (refusal) at(ringId).opened.reject(new Refused(refusal));
        else at(ringId).opened.resolve();
      },
      reportDrained: (_, { ringId }) => {
        const entry = at(ringId);
        parts.streams.remove(ringId);
        entry.opened.resolve();
        entry.drained.resolve();
        const { session } = entry.attach;
        if (parts.streams.of(session).length === 0) parts.freeze(session)?.send({ type: 'StreamsGone' });
        parts.root.send({ type: 'StreamDrained', ringId });
      },
    },
  });
};
