/** The live port: who connects is looked up where the kernel says it, and each connection is a viewer. */
import { readFileSync } from 'node:fs';
import { createServer, isIPv4, type Server, type Socket } from 'node:net';
import { failure } from '../transport/errors.ts';
import type { ViewerSocket } from './live-viewer.ts';

export interface LivePort {
  readonly host: string;
  readonly port: number;
}

/** Nobody needs so many; a table without end somebody would fill. */
const CONNECTIONS_MAX = 256;
/** Of one user of this machine, who is not to keep others out. */
const OF_ONE_MAX = 128;
const ESTABLISHED = '01';

const plainAddress = (address: string): string => address.replace(/^::ffff:/i, '');
const isLoopback = (address: string): boolean => plainAddress(address).startsWith('127.') || address === '::1';

/** As /proc/net/tcp writes it: words of the machine's own order. */
const hexAddress = (address: string): string =>
  Buffer.from(plainAddress(address).split('.').map(Number)).reverse().toString('hex').toUpperCase();
const hexPort = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');

/** The uid that a table of the kernel names for the socket `from` that is connected to `to`; null: it is not there. */
export const uidInTable = (table: string, from: LivePort, to: LivePort): number | null => {
  const end = ({ host, port }: LivePort, width: number): string =>
    `${width === 8 ? hexAddress(host) : `0000000000000000FFFF0000${hexAddress(host)}`}:${hexPort(port)}`;
  for (const line of table.split('\n').slice(1)) {
    const [, local, remote, state, , , , uid] = line.trim().split(/\s+/);
    if (!local || state !== ESTABLISHED) continue; // a socket that nobody holds any more counts as root's
    const width = local.indexOf(':');
    if (local === end(from, width) && remote === end(to, width)) return Number(uid);
  }
  return null;
};

const readTable = (name: string): string => {
  try {
    return readFileSync(`/proc/net/${name}`, 'utf8');
  } catch {
    return '';
  }
};

/** Null: of another machine. Undefined: of this one, but nobody's. */
const uidOf = (socket: Socket): number | null | undefined => {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (!remoteAddress || !remotePort || !localAddress || !localPort) return undefined;
  const from = { host: remoteAddress, port: remotePort };
  const to = { host: localAddress, port: localPort };
  if (!isIPv4(plainAddress(remoteAddress))) return isLoopback(remoteAddress) ? undefined : null;
  const uid = uidInTable(readTable('tcp'), from, to) ?? uidInTable(readTable('tcp6'), from, to);
  return uid ?? (isLoopback(remoteAddress) ? undefined : null);
};

const viewerSocket = (socket: Socket, uid: number | null): ViewerSocket => ({
  uid,
  send: (bytes) => new Promise((resolve) => void socket.write(bytes, () => resolve())),
  close: () => socket.destroy(),
});

export interface Connected {
  receive(chunk: Buffer): Promise<void>;
  gone(): void;
}

/** How many connections each user has. */
type Held = Map<number, number>;

/** False: they have enough. */
const admit = (held: Held, socket: Socket, uid: number | null): boolean => {
  if (uid === null) return true;
  const before = held.get(uid) ?? 0;
  if (before >= OF_ONE_MAX) return false;
  held.set(uid, before + 1);
  socket.once('close', () => held.set(uid, held.get(uid)! - 1));
  return true;
};

const accept = (socket: Socket, held: Held, connected: (socket: ViewerSocket) => Connected): void => {
  socket.on('error', () => socket.destroy());
  const uid = uidOf(socket);
  if (uid === undefined || !admit(held, socket, uid)) {
    socket.destroy();
    return;
  }
  socket.setNoDelay(true);
  const viewer = connected(viewerSocket(socket, uid));
  socket.on('data', (chunk: Buffer) => {
    socket.pause();
    void viewer.receive(chunk).then(() => socket.resume());
  });
  socket.once('close', () => viewer.gone());
};

/** Throws FaultError `relay-unusable`. */
export const listenLive = (where: LivePort, connected: (socket: ViewerSocket) => Connected): Promise<Server> =>
  new Promise((resolve, reject) => {
    const held: Held = new Map();
    const server = createServer((socket) => accept(socket, held, connected));
    server.maxConnections = CONNECTIONS_MAX;
    server.once('error', (error: NodeJS.ErrnoException) => {
      const place = `tcp://${where.host}:${where.port}`;
      reject(failure('relay-unusable', { cause: `the live port ${place} cannot be listened on (${error.code})` }));
    });
    server.listen(where, () => resolve(server));
  });
