/**
 * A fleet's NATS of the test's own: keys as `weft keys` makes them, one server or a cluster on free ports of loopback, clients with
 * the rights of a role, and leaf nodes with the key of a host. Nothing outlives `dispose()`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, credsAuthenticator, errors, type NatsConnection, type Status } from '@nats-io/transport-node';
import { type FleetAccess, FleetKeys, type FleetServer } from '../../transport/fleet-keys.ts';
import type { FleetRole } from '../../transport/fleet-roles.ts';
import { bucketStream, copiesOn } from '../../transport/fleet-store.ts';
import { findServer, freePort } from '../../transport/server-config.ts';
import { PATIENCE_MS } from './patience.ts';

const START_WITHIN_MS = PATIENCE_MS;

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectSocket({ host: '127.0.0.1', port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

export const until = async (
  condition: () => boolean | Promise<boolean>,
  what: string,
  withinMs = PATIENCE_MS,
): Promise<void> => {
  const deadline = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

const serversFor = async (count: number): Promise<FleetServer[]> => {
  const servers: FleetServer[] = [];
  for (let n = 1; n <= count; n++) {
    const ports = { client: await freePort(), leaf: await freePort(), cluster: await freePort() };
    servers.push({ name: `nats${n}`, addresses: ['127.0.0.1'], ports });
  }
  return servers;
};

export interface Leaf {
  readonly port: number;
  connect(): Promise<NatsConnection>;
}

export class TestFleet {
  readonly directory: string;
  readonly keys: FleetKeys;
  readonly #processes = new Map<string, ChildProcess>();
  readonly #connections: NatsConnection[] = [];

  private constructor(directory: string, keys: FleetKeys) {
    this.directory = directory;
    this.keys = keys;
  }

  /** Ports were free when they were asked for; a server that dials another may have one of them meanwhile. */
  static async start(servers = 1, attempts = 5): Promise<TestFleet> {
    const directory = mkdtempSync(join(tmpdir(), 'weft-fleet-'));
    const fleet = new TestFleet(directory, await FleetKeys.create(join(directory, 'keys'), await serversFor(servers)));
    const started = await Promise.allSettled(fleet.keys.servers.map(({ name }) => fleet.startServer(name)));
    const failed = started.find((one) => one.status === 'rejected');
    if (!failed) return fleet;
    await fleet.dispose();
    if (attempts > 1 && String(failed.reason).includes('address already in use')) return TestFleet.start(servers, attempts - 1);
    throw failed.reason;
  }

  async startServer(name: string): Promise<void> {
    const { ports } = this.keys.servers.find((one) => one.name === name)!;
    await this.#run(name, this.keys.serverDirectory(name), ports.client);
  }

  async #run(name: string, directory: string, port: number): Promise<void> {
    const binary = findServer(process.env.PATH ?? '');
    if (!binary) throw new Error('nats-server is not installed (npm run setup)');
    const log = openSync(join(directory, 'log'), 'a');
    const child = spawn(binary, ['-c', 'nats-server.conf'], { cwd: directory, stdio: ['ignore', log, log] });
    this.#processes.set(name, child);
    await until(
      async () => {
        if (child.exitCode !== null)
          throw new Error(`nats-server does not start:\n${readFileSync(join(directory, 'log'), 'utf8')}`);
        return accepts(port);
      },
      `server ${name} listens`,
      START_WITHIN_MS,
    );
  }

  /** After a change of its files: what an operator does with `nats-server --signal reload`. */
  reload(name: string): void {
    this.#processes.get(name)?.kill('SIGHUP');
  }

  async kill(name: string): Promise<void> {
    const child = this.#processes.get(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** A key of that role: the directory that `weft keys` would print. */
  mint(role: FleetRole, expiresAtS?: number): Promise<string> {
    return this.keys.mint(role, expiresAtS ?? null);
  }

  async connect(role: FleetRole, expiresAtS?: number): Promise<NatsConnection> {
    return this.connectWith(await this.mint(role, expiresAtS));
  }

  /** Where an operator writes what the fleet wants. */
  async connectStore(who: string): Promise<NatsConnection> {
    const directory = await this.mint({ kind: 'operator', name: who });
    return this.connectWith(directory, { credentials: readFileSync(join(directory, accessOf(directory).store!)) });
  }

  /** As whoever holds the fleet's keys makes buckets. */
  async connectMaker(): Promise<NatsConnection> {
    const { urls, ca, credentials, inboxPrefix } = await this.keys.storeMaker();
    const authenticator = credsAuthenticator(Buffer.from(credentials));
    const connection = await connect({ servers: [...urls], authenticator, tls: { ca }, inboxPrefix, maxReconnectAttempts: 0 });
    this.#connections.push(connection);
    return connection;
  }

  /** With a key that was made before. */
  async connectWith(
    directory: string,
    options: { readonly credentials?: Uint8Array; readonly ca?: string } = {},
  ): Promise<NatsConnection> {
    const access = accessOf(directory);
    const connection = await connect({
      servers: [...access.clientUrls],
      authenticator: credsAuthenticator(options.credentials ?? readFileSync(join(directory, access.credentials))),
      tls: { ca: options.ca ?? readFileSync(join(directory, access.ca), 'utf8') },
      inboxPrefix: access.inboxPrefix,
      maxReconnectAttempts: 0,
    });
    this.#connections.push(connection);
    return connection;
  }

  /** A host's bus: a server of its own, bound to the fleet with the host's key; its clients are unconfined, as root of that host is. */
  async leaf(host: string, fromDirectory?: string): Promise<Leaf> {
    const from = fromDirectory ?? (await this.mint({ kind: 'host', name: host }));
    const access = accessOf(from);
    const directory = join(this.directory, `leaf-${host}`);
    mkdirSync(directory);
    const port = await freePort();
    writeFileSync(
      join(directory, 'nats-server.conf'),
      [
        `listen: "127.0.0.1:${port}"`,
        'leafnodes { remotes: [ {',
        `  urls: ${JSON.stringify(access.urls)}`,
        `  credentials: ${JSON.stringify(join(from, access.credentials))}`,
        `  tls { ca_file: ${JSON.stringify(join(from, access.ca))} }`,
        '} ] }',
        '',
      ].join('\n'),
    );
    await this.#run(`leaf-${host}`, directory, port);
    return {
      port,
      connect: async () => {
        const connection = await connect({ servers: `127.0.0.1:${port}`, inboxPrefix: access.inboxPrefix });
        this.#connections.push(connection);
        return connection;
      },
    };
  }

  leafLog(host: string): string {
    return readFileSync(join(this.directory, `leaf-${host}`, 'log'), 'utf8');
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.close()));
    await Promise.all([...this.#processes.keys()].map((name) => this.kill(name)));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export const accessOf = (directory: string): FleetAccess =>
  JSON.parse(readFileSync(join(directory, 'fleet.json'), 'utf8')) as FleetAccess;

/** What the server says to `act`: null when it has no objection. */
export const objection = async (connection: NatsConnection, act: () => void): Promise<string | null> => {
  const said: string[] = [];
  const statuses = connection.status() as AsyncIterable<Status> & { stop(): void };
  const ended = (async () => {
    for await (const status of statuses) {
      if (status.type === 'error' && status.error instanceof errors.PermissionViolationError) {
        said.push(`${status.error.operation} ${status.error.subject}`);
      }
    }
  })();
  act();
  // The answer comes behind the server's word.
  await connection.flush();
  statuses.stop();
  await ended;
  return said[0] ?? null;
};

/** Also on servers that have just been started, and have no leader yet. */
export const makeBucket = async (fleet: TestFleet): Promise<void> => {
  const maker = await fleet.connectMaker();
  const stream = JSON.stringify(bucketStream('weft_sessions', copiesOn(fleet.keys.servers.length)));
  const made = async (): Promise<boolean> => {
    const answer = await maker.request('$JS.fleet.API.STREAM.CREATE.KV_weft_sessions', stream, { timeout: 2_000 }).then(
      (message) => message.string(),
      () => '"error"',
    );
    return !answer.includes('"error"');
  };
  await until(made, 'the bucket is made');
  await maker.close();
};
