/** Supervising one owner's consumer: the keeper runs it, the socket pair and the bus reach it. */
import { fromPromise } from 'xstate';
import { consumerMachine, type Flush } from '../machines/consumer.ts';
import { mapGroupsOf } from '../machines/map-edits.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { keeperId, type ProcessSpec } from './keeper-client.ts';
import { Refused, refusedFrom } from './refused.ts';
import { reopenLink } from './session-link.ts';

export const consumerId = (uid: number): string => keeperId(`consumer:${uid}`);

export const consumerSpec = (parts: DaemonParts, uid: number, gid: number): ProcessSpec => ({
  role: 'consumer',
  id: consumerId(uid),
  uid,
  gid,
  restart: false,
  ...parts.ports.consumerProgram(uid),
});

/** The one that runs (it outlived a daemon), or a new one, once one that outlived its keeper is gone; with the key to the bus. */
const spawn = async (parts: DaemonParts, uid: number, gid: number): Promise<{ pid: number }> => {
  const id = consumerId(uid);
  const { processes } = await parts.keeper.list();
  const running = processes.find((one) => one.id === id)?.pid ?? null;
  if (running === null) await parts.ports.survivors.end(uid);
  const pid = running ?? (await parts.keeper.spawn(consumerSpec(parts, uid, gid))).pid;
  parts.ports.survivors.note(uid, pid);
  const [used, spare] = [(await parts.keeper.fetch(id)).fds[0]!, (await parts.keeper.fetch(id)).fds[0]!];
  const link = parts.consumer(uid);
  link.connect(parts.ports.native.adoptSeqpacket(used), spare);
  link.sendKey(await parts.ports.bus.grant({ kind: 'consumer', owner: String(uid) }));
  parts.ports.log.info(running === null ? 'consumer started' : 'consumer found', { owner: uid, pid });
  return { pid };
};

const ignoreAbsence = (parts: DaemonParts, what: string) => (thrown: unknown) =>
  parts.ports.log.info(what, { cause: String(thrown) });

const ready = (parts: DaemonParts, uid: number): void => {
  parts.consumer(uid).markReady();
  const what = parts.consumer(uid).isSuccessor ? 'restarted' : 'started';
  parts.events.publish(uid, 'consumer', String(uid), what);
  for (const document of parts.documents.all()) {
    if (document.owner.uid !== uid) continue;
    for (const { mapId } of mapGroupsOf(document)) parts.maps.lend(mapId, parts.consumer(uid));
    const session = parts.session(document.id);
    session?.send({ type: 'ConsumerReady' });
    // What waits in its spool goes on, whether anybody records or not.
    void reopenLink(parts, document.id).catch(ignoreAbsence(parts, 'a link is not opened'));
    session?.getSnapshot().context.rotation.send({ type: 'ConsumerReady' });
  }
};

export const provideConsumer = (parts: DaemonParts) =>
  consumerMachine.provide({
    actors: {
      spawnProcess: fromPromise(({ input }) => spawn(parts, input.uid, input.gid)),
      greetProcess: fromPromise(async ({ input }) => {
        await parts.consumer(input.uid).greet();
      }),
      flushStreams: fromPromise<void, { uid: number; flush: Flush }>(async ({ input: { uid, flush } }) => {
        try {
          await parts.consumer(uid).flush(flush.sessionId);
          parts.flushes.settle(flush.flush, null);
        } catch (thrown) {
          const refused = refusedFrom(thrown);
          // Its files take nothing: that is for the operator to mend, not for a restart.
          if (!['output-not-writable', 'output-full'].includes(refused.refusal.code)) throw refused;
          parts.flushes.settle(flush.flush, refused);
        }
      }),
      endProcess: fromPromise(({ input }) => parts.consumer(input.uid).end()),
    },
    actions: {
      reportReady: (_, { uid }) => ready(parts, uid),
      reportLost: (_, { uid, refusal: why, flushes }) => {
        parts.ports.log.error('a consumer was lost', { owner: uid, ...why });
        parts.consumer(uid).lose();
        for (const { flush } of flushes) parts.flushes.settle(flush, new Refused(why));
        parts.events.publish(uid, 'consumer', String(uid), 'failed', { cause: why.code });
      },
      killProcess: (_, { uid }) =>
        void parts.keeper.kill(consumerId(uid), 'SIGKILL').catch(ignoreAbsence(parts, 'the consumer had ended')),
      forgetProcess: (_, { uid }) => {
        parts.consumer(uid).lose();
        parts.consumer(uid).close();
        void parts.keeper.release(consumerId(uid)).catch(ignoreAbsence(parts, 'the socket pair of a consumer was gone'));
      },
    },
  });
