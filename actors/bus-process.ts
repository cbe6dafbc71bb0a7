/** The bus of a real host: our own nats-server as a child of the keeper, or the operator's. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Access, connectAccess, connectExternal, renewAccess } from '../transport/access.ts';
import type { Bus } from '../transport/bus.ts';
import { writeBusFile } from '../transport/bus-file.ts';
import { hasSecret, withoutSecret } from '../transport/bus-url.ts';
import { FaultError, failure } from '../transport/errors.ts';
import { storedFleet, storeFleet } from '../transport/fleet-file.ts';
import { grantAccess } from '../transport/grant.ts';
import type { Role } from '../transport/identity.ts';
import type { NatsBus } from '../transport/nats-bus.ts';
import type { External } from '../transport/nats-context.ts';
import { type PreparedServer, prepareServer } from '../transport/server-config.ts';
import { keeperId, type ProcessSpec } from './keeper-client.ts';
import { homes } from './paths.ts';
import type { BusPort, Host, KeeperLink, Log } from './ports.ts';

const BUS_ID = keeperId('bus');
const START_MS = 10_000;
/** It is there or it is not; whoever waits for this daemon hears of it, and the keeper tries again. */
const EXTERNAL_MS = 2_000;
const DAY_S = 24 * 60 * 60;
/** A caller's key; a consumer's is renewed with every start of the daemon. */
const CALLER_S = DAY_S;
/** A caller gets the same key again for so long: making one costs 20 ms, more than most commands. */
const REUSE_MS = (DAY_S * 1000) / 2;

const executable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** Where distributions put it is looked at last, for it is often not on a user's PATH. */
const natsServer = (): string => {
  const directories = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), '/usr/local/bin', '/usr/sbin', '/usr/bin'];
  const found = directories.map((directory) => join(directory, 'nats-server')).find(executable);
  if (!found) throw failure('bus-unavailable', { cause: 'nats-server is not installed' });
  return found;
};

interface Surroundings {
  readonly host: Host;
  readonly runtime: string;
  readonly state: string;
  readonly log: Log;
}

const specOf = (host: Host, server: PreparedServer): ProcessSpec => ({
  role: 'bus',
  id: BUS_ID,
  uid: host.uid,
  gid: host.gid,
  restart: true,
  log: '',
  arguments: [natsServer(), '-c', server.configPath],
});

const runningPid = async (keeper: KeeperLink): Promise<number | null | undefined> =>
  (await keeper.list()).processes.find(({ id }) => id === BUS_ID)?.pid;

/** Our nats-server, if it runs without a keeper that knows it: by its pid file, and by what it was started with. */
const orphanPid = (state: string): number | null => {
  const directory = join(state, 'bus');
  try {
    const pid = Number(readFileSync(join(directory, 'nats-server.pid'), 'utf8'));
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return Number.isInteger(pid) && pid > 0 && words.includes(join(directory, 'nats-server.conf')) ? pid : null;
  } catch {
    return null;
  }
};

const placeOf = (host: Host) => ({ host: host.hostname, uid: host.uid });

/** What nats-server was started with last. */
const configured = (state: string): string | null => {
  const path = join(state, 'bus', 'nats-server.conf');
  return existsSync(path) ? readFileSync(path, 'utf8') : null;
};

/** It reloads no leaf nodes: its keeper starts it again. */
const restartServer = async (keeper: KeeperLink, log: Log): Promise<void> => {
  log.warn('the bus starts anew with another configuration');
  await keeper.kill(BUS_ID, 'SIGTERM');
};

export const ownBus = ({ host, runtime, state, log }: Surroundings): BusPort => {
  let server: PreparedServer | null = null;
  let connection: NatsBus | null = null;
  const grant = (role: Role, expiresAtS?: number): Promise<Access> =>
    grantAccess(server!, placeOf(host), role, { version: host.version, ...(expiresAtS !== undefined && { expiresAtS }) });
  const granted = new Map<string, { readonly access: Promise<Access>; readonly untilMs: number }>();
  const grantCaller = (role: Role & { readonly kind: 'caller' }): Promise<Access> => {
    const known = granted.get(JSON.stringify(role));
    if (known && known.untilMs > Date.now()) return known.access;
    const access = grant(role, Math.floor(Date.now() / 1000) + CALLER_S);
    granted.set(JSON.stringify(role), { access, untilMs: Date.now() + REUSE_MS });
    return access;
  };
  /** The keeper gets it as a child: the one that outlived another keeper, or a new one. */
  const engage = async (keeper: KeeperLink): Promise<number> => {
    const orphan = orphanPid(state);
    if (orphan === null) return (await keeper.spawn(specOf(host, server!))).pid;
    await keeper.adopt(specOf(host, server!), orphan);
    return orphan;
  };
  const start = async (keeper: KeeperLink): Promise<void> => {
    granted.clear();
    const found = await runningPid(keeper);
    const running = found !== undefined || orphanPid(state) !== null;
    const before = configured(state);
    server = await prepareServer({ stateDirectory: state, running });
    // `null`: it ended a moment ago and the keeper is about to start it again.
    const pid = found === undefined ? await engage(keeper) : found;
    if (running && before !== configured(state)) await restartServer(keeper, log);
    log.info('bus', { pid, port: server.port });
  };
  return {
    open: async (keeper): Promise<Bus> => {
      await start(keeper);
      const access = await grant({ kind: 'daemon' });
      const bus = await connectAccess(access, { name: 'weft-sessiond', waitMs: START_MS }, homes());
      connection = bus;
      writeBusFile(runtime, { v: 1, ...placeOf(host), urls: [...server!.urls], ca: server!.ca, pid: host.pid });
      return bus;
    },
    adopt: async (keeper) => void (await engage(keeper)),
    fleetDomain: () => storedFleet(state)?.domain ?? null,
    setFleet: async (fleet, keeper, renewKeys) => {
      storeFleet(state, fleet);
      server = await prepareServer({ stateDirectory: state, running: true });
      // Inboxes lie elsewhere from now on: only there answers from the fleet arrive.
      granted.clear();
      if (connection) renewAccess(connection, await grant({ kind: 'daemon' }));
      await renewKeys();
      await restartServer(keeper, log);
    },
    grant: (role) => (role.kind === 'caller' ? grantCaller(role) : grant(role)),
  };
};

/** The operator's server: who may do what is its own business. */
export const externalBus = ({ host, runtime, log }: Surroundings, external: External): BusPort => {
  const urls = 'url' in external ? [external.url] : [`context:${external.context}`];
  const shown = urls.map(withoutSecret);
  const secret = urls.some(hasSecret);
  /** A password lets in under one name for all: it is given on to the daemon's own user and root, who have it anyway. */
  const mayKnow = (role: Role): boolean =>
    role.kind === 'caller' ? role.all : role.kind !== 'consumer' || role.owner === String(host.uid);
  return {
    open: async () => {
      const options = { name: 'weft-sessiond', waitMs: EXTERNAL_MS };
      const bus = await connectExternal(external, options, homes()).catch((thrown: unknown) => {
        if (!(thrown instanceof FaultError) || thrown.fault.code !== 'bus-unavailable') throw thrown;
        const hint = `Start the server at ${shown.join(', ')}, or correct --bus-url or --bus-context.`;
        throw new FaultError({ ...thrown.fault, hint });
      });
      log.warn('the bus is a server of the operator: its permissions decide who may command this daemon', { urls: shown });
      if (secret) log.warn('other users are not told the password of the bus; --bus-context lets each have a key');
      writeBusFile(runtime, { v: 1, host: host.hostname, uid: host.uid, urls: shown, ca: null, pid: host.pid });
      return bus;
    },
    adopt: async () => {},
    // Whoever is on the operator's server is in the operator's fleet.
    fleetDomain: () => 'fleet',
    setFleet: () => Promise.reject(failure('unsupported', { what: 'Joining a fleet on a server given by --bus-url' })),
    grant: async (role) => ({
      ...placeOf(host),
      who: role.kind === 'caller' ? role.who : role.kind === 'consumer' ? role.owner : String(host.uid),
      realm: 'local',
      urls: mayKnow(role) ? urls : shown,
      ca: null,
      inboxPrefix: '_INBOX',
      version: host.version,
      context: 'context' in external ? external.context : null,
    }),
  };
};
