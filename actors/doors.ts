/**
 * The two sockets of the daemon. apps.sock: applications of any user who may reach it. client.sock: whoever asks gets a key to the
 * bus of their own, if they may command this daemon; who they are is what the kernel says.
 */
import type { Peer, SeqpacketConnection, SeqpacketServer } from '../native/addon/index.ts';
import { fault, faultOf } from '../transport/errors.ts';
import { listenTo } from './application.ts';
import { Application } from './application-table.ts';
import type { DaemonParts } from './daemon-parts.ts';

/** Of one user; more are refused, so that nobody can fill the daemon's table. */
export const APPLICATIONS_MAX = 4096;

/** Ids stay in lock words of the rings: a later daemon must not give one again while a ring lives. */
const applicationId = (parts: DaemonParts): number => {
  for (;;) {
    const id = Number.parseInt(parts.ports.ids.hex(4), 16) >>> 0;
    if (id !== 0 && !parts.applications.find(id)) return id;
  }
};

const admit = (parts: DaemonParts, connection: SeqpacketConnection): void => {
  const { uid, pid } = connection.peer;
  if (parts.applications.countOf(uid) >= APPLICATIONS_MAX) {
    parts.ports.log.warn('application refused: its user has too many', { pid, uid });
    connection.close();
    return;
  }
  const application = new Application(applicationId(parts), connection, parts.ports.clock);
  parts.applications.add(application);
  parts.root.send({ type: 'ApplicationConnected', application: application.id });
  const ref = parts.root.getSnapshot().context.applications[application.id];
  if (ref) {
    listenTo(parts, application, ref);
    return;
  }
  // The daemon is ending.
  parts.applications.remove(application.id);
  connection.close();
};

/** Own user and root; of root's daemon also members of group tracing. */
const mayCommand = (parts: DaemonParts, { uid, gid }: Peer): boolean =>
  uid === 0 || uid === parts.place.uid || (parts.place.uid === 0 && parts.ports.host.isTracing(uid, gid));

const answerCaller = async (parts: DaemonParts, { peer }: SeqpacketConnection): Promise<object> => {
  if (!mayCommand(parts, peer)) {
    return { v: 1, ok: false, fault: fault('permission-denied', { what: `uid ${peer.uid} may not command this daemon` }) };
  }
  const who = String(peer.uid);
  const all = peer.uid === 0 || peer.uid === parts.place.uid;
  try {
    const access = await parts.ports.bus.grant({ kind: 'caller', who, all });
    return { v: 1, ok: true, access: parts.ports.forCommand ? { ...access, yields: true } : access };
  } catch (thrown) {
    return { v: 1, ok: false, fault: faultOf(thrown) };
  }
};

const greetCaller = async (parts: DaemonParts, connection: SeqpacketConnection): Promise<void> => {
  const answer = await answerCaller(parts, connection);
  connection.send(Buffer.from(JSON.stringify(answer)));
  connection.close();
};

export const openSockets = (parts: DaemonParts): readonly SeqpacketServer[] => {
  const { native, paths } = parts.ports;
  const forAll = parts.place.uid === 0;
  const tracing = forAll ? parts.ports.host.tracingGid() : null;
  return [
    native.listenSeqpacket(
      paths.clientSocket,
      tracing === null ? { mode: 0o600 } : { mode: 0o660, gid: tracing },
      (connection) => void greetCaller(parts, connection),
    ),
    native.listenSeqpacket(paths.appsSocket, { mode: forAll ? 0o666 : 0o600 }, (connection) => admit(parts, connection)),
  ];
};
