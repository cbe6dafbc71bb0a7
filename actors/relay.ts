/** The relay process: its machines with their effects, and what it serves on the bus. */
import { fromPromise } from 'xstate';
import { relayMachine } from '../machines/relay.ts';
import { relayLinkMachine } from '../machines/relay-link.ts';
import { viewerMachine } from '../machines/viewer.ts';
import type { BusMessage, Reply } from '../transport/bus.ts';
import { FaultError, failed, refused } from '../transport/errors.ts';
import { openRequestSchema, parseOpenRequest } from '../transport/link-data.ts';
import { jsonSchema } from '../transport/schema.ts';
import { RELAY_OPEN, relayOpenSubject } from '../transport/subjects.ts';
import { VERSION } from './host-ports.ts';
import type { Viewer } from './live-viewer.ts';
import type { Opening } from './relay-opening.ts';
import type { RelayParts } from './relay-parts.ts';
import { evictOld } from './relay-retention.ts';

/** Below that a relay takes no further links: those that it has need the rest. */
const FREE_BYTES_LEAST = 16 << 20;

const open = async (parts: RelayParts, { body }: BusMessage): Promise<Reply> => {
  const parsed = parseOpenRequest(body);
  if (!parsed.ok) return refused(parsed.fault);
  const { relay, output } = parts.settings;
  if (parts.root.getSnapshot().value === 'draining') return failed('relay-ending');
  const request = parsed.value;
  if (parts.crowded) return failed('relay-full', { relay, cause: 'it has too many links' });
  if (parts.ports.disk.freeBytes(output) < FREE_BYTES_LEAST) return failed('relay-full', { relay, cause: 'its disk is full' });
  const entry = parts.entryOf(request);
  const known = entry.store.record.epoch;
  if (request.epoch <= known) return failed('stale-epoch', { link: request.link, epoch: request.epoch, known });
  const opening = parts.offer(entry, request);
  parts.root.send({ type: 'OpenRequested', opening: opening.id });
  return opening.answered.promise;
};

const serve = async (parts: RelayParts): Promise<void> => {
  parts.stopListening = (await parts.ports.listen?.((socket) => parts.connected(socket))) ?? (() => {});
  const { bus, renew } = await parts.ports.connect();
  parts.bus = bus;
  parts.renew = renew;
  bus.onStatus((status) => parts.root.send({ type: status === 'connected' ? 'BusConnected' : 'BusCut' }));
  parts.listenToKnown();
  const service = { name: 'weft-relay', version: VERSION, description: 'Takes the traces of hosts and serves viewers' };
  const schema = jsonSchema(openRequestSchema);
  const handle = (message: BusMessage): Promise<Reply> => open(parts, message);
  const anyone = { name: 'open', subject: RELAY_OPEN, schema, queue: 'relay', handle };
  const itself = { name: 'open-here', subject: relayOpenSubject(parts.settings.relay), schema, handle };
  await bus.serve(service, [anyone, itself]).catch(async (thrown: unknown) => {
    if (!(thrown instanceof FaultError) || thrown.fault.code !== 'permission-denied') throw thrown;
    // A key of before relays were asked by name.
    parts.ports.log.warn('links cannot ask for this relay by name: its key is an old one', { cause: thrown.message });
    await bus.serve(service, [anyone]);
  });
};

/** Where the files end, and all that is in them durable: only then a sender may forget what it has. */
const findPositions = ({ entry }: Opening): Promise<void> => entry.store.commit();

export const provideRelayLink = (parts: RelayParts) => {
  const at = (opening: string): Opening => parts.openings.get(opening)!;
  return relayLinkMachine.provide({
    actors: {
      findPositions: fromPromise(({ input }) => findPositions(at(input.opening))),
      makeDurable: fromPromise(({ input }) => at(input.opening).makeDurable()),
    },
    actions: {
      answerOpening: ({ context }, { refusal }) => at(context.opening).answer(refusal),
      tryDisk: ({ context }) => at(context.opening).tryDisk(),
      refuseSender: ({ context }, { cause }) => at(context.opening).refuse(cause),
      publishLink: ({ context }, { what, cause }) =>
        parts.publish(at(context.opening).entry, what, cause === undefined ? {} : { cause }),
      endOpening: ({ context }) => parts.end(at(context.opening)),
    },
  });
};

export const provideViewer = (parts: RelayParts) => {
  const at = (viewer: string): Viewer => parts.viewers.get(viewer)!;
  return viewerMachine.provide({
    actions: {
      reply: ({ context }, { how }) => at(context.viewer).reply(how),
      logViewer: ({ context }, { cause }) =>
        parts.ports.log.warn('a viewer is refused', { viewer: context.viewer, uid: at(context.viewer).socket.uid, cause }),
      closeViewer: ({ context }) => parts.endViewer(at(context.viewer)),
    },
  });
};

const drain = async (parts: RelayParts): Promise<void> => {
  for (const opening of [...parts.openings.values()]) parts.tell(opening.id, { type: 'ShutdownRequested' });
  await Promise.all([...parts.links.values()].map(({ store }) => store.commit()));
};

const leave = (parts: RelayParts): void => {
  parts.stopListening();
  for (const viewer of parts.viewers.values()) viewer.close();
  void parts.bus?.close();
  parts.ports.disk.close();
};

export const provideRelay = (parts: RelayParts) =>
  relayMachine.provide({
    actors: {
      relayLink: provideRelayLink(parts),
      viewer: provideViewer(parts),
      joinBus: fromPromise(() => serve(parts)),
      drainLinks: fromPromise(() => drain(parts)),
    },
    actions: {
      leaveBus: () => leave(parts),
      renewKey: () => void parts.renew().catch(() => {}),
      evictOld: () => evictOld(parts),
      logRelay: (_, { what }) => parts.ports.log.warn(what),
    },
  });
