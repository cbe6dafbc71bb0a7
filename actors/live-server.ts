/** The live port: who connects is looked up where the kernel says it, and each connection is a viewer. */
import { readFileSync } from 'node:fs';
import { createServer, isIPv4, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { failure } from '../transport/errors.ts';
import type { ViewerSocket } from './live-viewer.ts';

export interface LivePort {
  readonly host: string;
  readonly port: number;
}

export interface LiveLimits {
  /** Nobody needs so many; a table without end somebody would fill. */
  readonly connections: number;
  /** Of one user of this machine, who is not to keep others out. */
  readonly ofOneUser: number;
  /** Of one address elsewhere: nobody knows who it is. */
  readonly ofOneAddress: number;
  /** What all connections of one user or address have not read yet. */
  readonly unreadBytes: number;
  /** Until the next request: somebody may read a page of events for long. */
  readonly idleMs: number;
  /** A reply of which not a byte is taken. */
  readonly stallMs: number;
}

export const LIVE_LIMITS: LiveLimits = {
  connections: 256,
  ofOneUser: 128,
  ofOneAddress: 32,
  // One reply has at most 90 MB: all streams of a link at once.
  unreadBytes: 128 << 20,
  idleMs: 3_600_000,
  stallMs: 60_000,
};

const ESTABLISHED = '01';
const IPV6_BYTES = 16;
/** Of these bytes of an IPv6 address a site has all that follow. */
const IPV6_SITE_BYTES = 8;

const plainAddress = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
const isLoopback = (address: string): boolean => plainAddress(address).startsWith('127.') || address === '::1';

const ipv6Bytes = (address: string): Buffer => {
  const hex = address.replace(/\d+\.\d+\.\d+\.\d+$/, (dotted) => {
    const [a, b, c, d] = dotted.split('.').map(Number);
    return `${(a! * 256 + b!).toString(16)}:${(c! * 256 + d!).toString(16)}`;
  });
  const [head = '', tail] = hex.split('::');
  const words = (part: string): number[] => (part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16)));
  const [before, behind] = [words(head), words(tail ?? '')];
  const zeros = Array<number>(Math.max(0, IPV6_BYTES / 2 - before.length - behind.length)).fill(0);
  return Buffer.from([...before, ...zeros, ...behind].flatMap((word) => [word >> 8, word & 0xff]));
};

const addressBytes = (address: string): Buffer => {
  const plain = plainAddress(address);
  return isIPv4(plain) ? Buffer.from(plain.split('.').map(Number)) : ipv6Bytes(plain);
};

/** As /proc/net/tcp and tcp6 write it: words of the machine's own order. */
const hexAddress = (bytes: Buffer): string => Buffer.from(bytes).swap32().toString('hex').toUpperCase();
const hexPort = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');

/** The uid that a table of the kernel names for the socket `from` that is connected to `to`; null: it is not there. */
export const uidInTable = (table: string, from: LivePort, to: LivePort): number | null => {
  const end = ({ host, port }: LivePort, width: number): string => {
    const hex = hexAddress(addressBytes(host));
    return `${width === hex.length ? hex : `0000000000000000FFFF0000${hex}`}:${hexPort(port)}`;
  };
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

const ownAddresses = (): readonly string[] =>
  Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => plainAddress(address)));

/** Null: of another machine. Undefined: of this one, but nobody's, who is not to see what strangers may. */
export const uidOfPeer = (
  from: LivePort,
  to: LivePort,
  tables: readonly (() => string)[],
  own: () => readonly string[],
): number | null | undefined => {
  for (const table of tables) {
    const uid = uidInTable(table(), from, to);
    if (uid !== null) return uid;
  }
  const address = plainAddress(from.host);
  return isLoopback(address) || address === plainAddress(to.host) || own().includes(address) ? undefined : null;
};

const uidOf = (socket: Socket): number | null | undefined => {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (!remoteAddress || !remotePort || !localAddress || !localPort) return undefined;
  const from = { host: remoteAddress, port: remotePort };
  const to = { host: localAddress, port: localPort };
  return uidOfPeer(from, to, [() => readTable('tcp'), () => readTable('tcp6')], ownAddresses);
};

/** What the connections of one user, or of one address, have together. */
interface Share {
  connections: number;
  unread: number;
}

/** Of an IPv6 site everybody has as many addresses as they like. */
const whoseShare = (uid: number | null, address: string): string => {
  if (uid !== null) return `uid ${uid}`;
  const bytes = addressBytes(address);
  return bytes.subarray(0, bytes.length === IPV6_BYTES ? IPV6_SITE_BYTES : bytes.length).toString('hex');
};

export class LiveShares {
  readonly #limits: LiveLimits;
  readonly #shares = new Map<string, Share>();

  constructor(limits: LiveLimits) {
    this.#limits = limits;
  }

  /** Null: they have enough. */
  enter(
    uid: number | null,
    address: string,
  ): { takes(bytes: number): boolean; taken(bytes: number): void; leave(): void } | null {
    const whose = whoseShare(uid, address);
    const share = this.#shares.get(whose) ?? { connections: 0, unread: 0 };
    const { ofOneUser, ofOneAddress, unreadBytes } = this.#limits;
    if (share.connections >= (uid === null ? ofOneAddress : ofOneUser)) return null;
    share.connections++;
    this.#shares.set(whose, share);
    return {
      takes: (bytes) => {
        if (share.unread + bytes > unreadBytes) return false;
        share.unread += bytes;
        return true;
      },
      taken: (bytes) => {
        share.unread -= bytes;
      },
      leave: () => {
        if (--share.connections === 0) this.#shares.delete(whose);
      },
    };
  }
}

type Seat = NonNullable<ReturnType<LiveShares['enter']>>;

const viewerSocket = (socket: Socket, uid: number | null, seat: Seat, { idleMs, stallMs }: LiveLimits): ViewerSocket => ({
  uid,
  send: (bytes) =>
    new Promise((resolve) => {
      if (!seat.takes(bytes.length)) {
        socket.destroy();
        resolve();
        return;
      }
      socket.setTimeout(stallMs);
      socket.write(bytes, () => {
        seat.taken(bytes.length);
        socket.setTimeout(idleMs);
        resolve();
      });
    }),
  close: () => socket.destroy(),
});

export interface Connected {
  receive(chunk: Buffer): Promise<void>;
  gone(): void;
}

const accept = (
  socket: Socket,
  shares: LiveShares,
  limits: LiveLimits,
  connected: (socket: ViewerSocket) => Connected,
): void => {
  socket.on('error', () => socket.destroy());
  const uid = uidOf(socket);
  const seat = uid === undefined ? null : shares.enter(uid, socket.remoteAddress ?? '');
  if (uid === undefined || !seat) {
    socket.destroy();
    return;
  }
  socket.setNoDelay(true);
  // A machine that is gone says nothing.
  socket.setKeepAlive(true, limits.stallMs);
  socket.setTimeout(limits.idleMs, () => socket.destroy());
  const viewer = connected(viewerSocket(socket, uid, seat, limits));
  socket.on('data', (chunk: Buffer) => {
    socket.pause();
    void viewer.receive(chunk).then(() => socket.resume());
  });
  socket.once('close', () => {
    seat.leave();
    viewer.gone();
  });
};

/** Throws FaultError `relay-unusable`. */
export const listenLive = (
  where: LivePort,
  connected: (socket: ViewerSocket) => Connected,
  limits = LIVE_LIMITS,
): Promise<Server> =>
  new Promise((resolve, reject) => {
    const shares = new LiveShares(limits);
    const server = createServer((socket) => accept(socket, shares, limits, connected));
    server.maxConnections = limits.connections;
    server.once('error', (error: NodeJS.ErrnoException) => {
      const place = `tcp://${where.host}:${where.port}`;
      reject(failure('relay-unusable', { cause: `the live port ${place} cannot be listened on (${error.code})` }));
    });
    server.listen(where, () => resolve(server));
  });
