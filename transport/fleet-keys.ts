/**
 * The fleet's keys, in a directory of whoever runs the fleet: one operator that its servers trust, an account for all who talk, one for
 * what is stored (fleet-store.ts), and a user per host, person and relay. Unlike a daemon's own keys (identity.ts) the operator's seed is kept: a key that was lost is revoked
 * in the account, which the operator signs.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Account, type ConnectionType, encodeAccount, encodeOperator, encodeUser, fmtCreds } from '@nats-io/jwt';
import { createAccount, createOperator, createUser, type KeyPair } from '@nats-io/nkeys';
import { failure } from './errors.ts';
import { type Authority, certify, loadAuthority } from './fleet-certificates.ts';
import { type FleetRole, type FleetRoleKind, fleetPermissions, INBOXES } from './fleet-roles.ts';
import { FLEET_DOMAIN, importsOf, STORE_EXPORTS, type StoreRole, storePublishes } from './fleet-store.ts';
import { pairOf, SIGNED, seedOf, UNLIMITED } from './identity.ts';
import { writeWhole } from './private-file.ts';
import { encodeToken, RESERVED_HOSTS } from './subjects.ts';

export interface Ports {
  readonly client: number;
  readonly leaf: number;
  readonly cluster: number;
}
export const DEFAULT_PORTS: Ports = { client: 4222, leaf: 7422, cluster: 6222 };

export interface FleetServer {
  /** Unique in the fleet. */
  readonly name: string;
  /** Names and IP addresses by which it is reached; the first is the one that URLs have. */
  readonly addresses: readonly string[];
  readonly ports: Ports;
}

/** keys.json: all that is secret of the fleet itself. */
interface FleetFile {
  readonly v: 1;
  readonly operatorSeed: string;
  readonly accountSeed: string;
  readonly storeSeed: string;
  readonly system: string;
  readonly systemJwt: string;
  readonly operatorJwt: string;
  readonly servers: readonly FleetServer[];
  /** Public key of a user -> seconds of Unix time: keys of it that were made until then count no more. */
  readonly revoked: Readonly<Record<string, number>>;
}

/** What a user's directory says of itself (docs/contracts-network.md, fleet bus). */
export interface FleetAccess {
  readonly v: 1;
  readonly role: FleetRoleKind;
  readonly name: string;
  /** Of a host those of the leaf listeners, else those of clients. */
  readonly urls: readonly string[];
  readonly clientUrls: readonly string[];
  /** Paths relative to this file. */
  readonly ca: string;
  readonly credentials: string;
  /** Of an operator: the key for what the fleet stores. */
  readonly store?: string;
  readonly domain: string;
  readonly inboxPrefix: string;
  readonly expiresAtS: number | null;
}

/** A key that may make buckets, for one connection. */
export interface StoreMaker {
  readonly urls: readonly string[];
  readonly ca: string;
  readonly credentials: string;
  readonly inboxPrefix: string;
}

/** Time enough to connect, also to a server whose clock is a bit ahead. */
const MAKER_S = 300;
const JETSTREAM = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
/** Where a user's directory is copied to; a NATS context knows no relative paths (docs/deploy.md). A relay may share a host's machine. */
const installed = (kind: FleetRoleKind): string => (kind === 'relay' ? '/etc/weft/relay' : '/etc/weft/fleet');
/** Server configurations that the package brings. */
const TEMPLATES = join(import.meta.dirname, '../deploy/nats');

const quoted = (text: string): string => JSON.stringify(text);
const urlHost = (address: string): string => (address.includes(':') ? `[${address}]` : address);
const urlsOf = (servers: readonly FleetServer[], port: keyof Ports): string[] =>
  servers.map(({ addresses, ports }) => `tls://${urlHost(addresses[0]!)}:${ports[port]}`);

const makeFile = async (servers: readonly FleetServer[]): Promise<FleetFile> => {
  const operator = createOperator();
  const system = createAccount();
  const systemKey = system.getPublicKey();
  return {
    v: 1,
    operatorSeed: seedOf(operator),
    accountSeed: seedOf(createAccount()),
    storeSeed: seedOf(createAccount()),
    system: systemKey,
    systemJwt: await encodeAccount('system', system, { limits: UNLIMITED }, { ...SIGNED, signer: operator }),
    operatorJwt: await encodeOperator('weft-fleet', operator, { system_account: systemKey }, SIGNED),
    servers,
    revoked: {},
  };
};

export class FleetKeys {
  readonly directory: string;
  #file: FleetFile;
  readonly #authority: Authority;

  private constructor(directory: string, file: FleetFile, authority: Authority) {
    this.directory = directory;
    this.#file = file;
    this.#authority = authority;
  }

  static exists(directory: string): boolean {
    return existsSync(join(directory, 'keys.json'));
  }

  /** Makes everything; `directory` must not hold a fleet's keys yet. */
  static async create(directory: string, servers: readonly FleetServer[]): Promise<FleetKeys> {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const authority = await loadAuthority(directory);
    const fleet = new FleetKeys(directory, await makeFile(servers), authority);
    for (const server of servers) await fleet.#makeServer(server);
    // Written last: when it is there, so is the rest.
    fleet.#store();
    return fleet;
  }

  static async open(directory: string): Promise<FleetKeys> {
    const file = JSON.parse(readFileSync(join(directory, 'keys.json'), 'utf8')) as FleetFile;
    return new FleetKeys(directory, file, await loadAuthority(directory));
  }

  get servers(): readonly FleetServer[] {
    return this.#file.servers;
  }

  serverDirectory(name: string): string {
    return join(this.directory, 'servers', encodeToken(name));
  }

  userDirectory(kind: FleetRoleKind, name: string): string {
    return join(this.directory, `${kind}s`, encodeToken(name));
  }

  #mintedDirectory(kind: FleetRoleKind, name: string): string {
    return join(this.directory, 'minted', `${kind}s`, encodeToken(name));
  }

  #store(): void {
    writeWhole(join(this.directory, 'keys.json'), `${JSON.stringify(this.#file)}\n`, 0o600);
  }

  /** A directory to be copied to the machine of one server: it has that server's secrets only. */
  async #makeServer(server: FleetServer): Promise<void> {
    const directory = this.serverDirectory(server.name);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const { key, certificate } = await certify(this.#authority, server.name, server.addresses);
    writeWhole(join(directory, 'server.key'), key, 0o600);
    writeWhole(join(directory, 'server.pem'), certificate, 0o644);
    writeWhole(join(directory, 'ca.pem'), this.#authority.certificate, 0o644);
    const template = this.#file.servers.length > 1 ? 'cluster.conf' : 'single.conf';
    writeWhole(join(directory, 'nats-server.conf'), readFileSync(join(TEMPLATES, template), 'utf8'), 0o644);
    writeWhole(join(directory, 'common.conf'), readFileSync(join(TEMPLATES, 'common.conf'), 'utf8'), 0o644);
    await this.#writeIdentity(server);
  }

  /** Public key and JWT of each. */
  #accounts(): Promise<(readonly [string, string])[]> {
    const { operatorSeed, accountSeed, storeSeed, revoked } = this.#file;
    const [fleet, store] = [pairOf(accountSeed), pairOf(storeSeed)];
    const signed = async (name: string, pair: KeyPair, account: Partial<Account>) => {
      const options = { ...SIGNED, signer: pairOf(operatorSeed) };
      return [pair.getPublicKey(), await encodeAccount(name, pair, { ...account, revocations: revoked }, options)] as const;
    };
    return Promise.all([
      signed('weft-fleet', fleet, { limits: UNLIMITED, imports: importsOf(store.getPublicKey()) }),
      signed('weft-store', store, { limits: { ...UNLIMITED, leaf: 0, ...JETSTREAM }, exports: STORE_EXPORTS }),
    ]);
  }

  async #writeIdentity(server: FleetServer): Promise<void> {
    const { system, systemJwt, operatorJwt, servers } = this.#file;
    const accounts = await this.#accounts();
    const others = servers.filter(({ name }) => name !== server.name);
    const lines = [
      '# Made by `weft keys`: who this server is, and whose users it knows. nats-server.conf includes it.',
      `WEFT_CLIENT_PORT = ${server.ports.client}`,
      `WEFT_LEAF_PORT = ${server.ports.leaf}`,
      // An unused variable would be an unknown field.
      ...(others.length === 0
        ? []
        : [
            `WEFT_CLUSTER_PORT = ${server.ports.cluster}`,
            `WEFT_ROUTES = [${urlsOf(others, 'cluster').map(quoted).join(', ')}]`,
          ]),
      `server_name: ${quoted(server.name)}`,
      `operator: ${operatorJwt}`,
      `system_account: ${system}`,
      'resolver: MEMORY',
      'resolver_preload: {',
      ...accounts.map(([key, jwt]) => `  ${key}: ${jwt}`),
      `  ${system}: ${systemJwt}`,
      '}',
      '',
    ];
    writeWhole(join(this.serverDirectory(server.name), 'identity.conf'), lines.join('\n'), 0o600);
  }

  /** A new key for `role`, in a directory to be copied to where it is used. One of before goes on being good: see `revoke`. */
  async mint(role: FleetRole, expiresAtS: number | null = null): Promise<string> {
    // Its permissions would be those of the fleet's or the relays' own subjects.
    if (role.kind === 'host' && RESERVED_HOSTS.includes(role.name)) throw failure('host-reserved', { host: role.name });
    const directory = this.userDirectory(role.kind, role.name);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const inboxPrefix = `${INBOXES}.${randomBytes(16).toString('hex')}`;
    const user = createUser();
    writeWhole(join(directory, 'user.creds'), await this.#credentials(role, user, inboxPrefix, expiresAtS), 0o600);
    const store = role.kind === 'operator' ? 'store.creds' : null;
    if (store !== null) {
      const name = `${role.kind} ${role.name}`;
      writeWhole(join(directory, store), await this.#storeCredentials(name, 'writer', user, inboxPrefix, expiresAtS), 0o600);
    }
    this.#remember(role, user.getPublicKey());
    writeWhole(join(directory, 'ca.pem'), this.#authority.certificate, 0o644);
    const clientUrls = urlsOf(this.servers, 'client');
    const access: FleetAccess = {
      v: 1,
      role: role.kind,
      name: role.name,
      urls: role.kind === 'host' ? urlsOf(this.servers, 'leaf') : clientUrls,
      clientUrls,
      ca: 'ca.pem',
      credentials: 'user.creds',
      ...(store !== null && { store }),
      domain: FLEET_DOMAIN,
      inboxPrefix,
      expiresAtS,
    };
    writeWhole(join(directory, 'fleet.json'), `${JSON.stringify(access, null, 2)}\n`, 0o644);
    const context = {
      url: clientUrls.join(','),
      creds: join(installed(role.kind), access.credentials),
      ca: join(installed(role.kind), access.ca),
      inbox_prefix: inboxPrefix,
    };
    writeWhole(join(directory, 'nats-context.json'), `${JSON.stringify(context, null, 2)}\n`, 0o644);
    return directory;
  }

  async #credentials(role: FleetRole, user: KeyPair, inboxPrefix: string, expiresAtS: number | null): Promise<string> {
    const { publish, subscribe } = fleetPermissions(role);
    const kinds: ConnectionType[] = role.kind === 'host' ? ['STANDARD', 'LEAFNODE'] : ['STANDARD'];
    const claims = {
      // An empty list of what is allowed would allow everything.
      pub: publish.length > 0 ? { allow: [...publish] } : { deny: ['>'] },
      sub: { allow: [...subscribe, `${inboxPrefix}.>`] },
      allowed_connection_types: kinds,
    };
    return this.#sign(`${role.kind} ${role.name}`, user, this.#file.accountSeed, claims, expiresAtS);
  }

  #storeCredentials(
    name: string,
    role: StoreRole,
    user: KeyPair,
    inboxPrefix: string,
    expiresAtS: number | null,
  ): Promise<string> {
    const kinds: ConnectionType[] = ['STANDARD'];
    const claims = {
      pub: { allow: storePublishes(role) },
      sub: { allow: [`${inboxPrefix}.>`] },
      allowed_connection_types: kinds,
    };
    return this.#sign(name, user, this.#file.storeSeed, claims, expiresAtS);
  }

  async #sign(
    name: string,
    user: KeyPair,
    account: string,
    claims: Parameters<typeof encodeUser>[3],
    expiresAtS: number | null,
  ): Promise<string> {
    const options = { ...SIGNED, ...(expiresAtS !== null && { exp: expiresAtS }) };
    return Buffer.from(fmtCreds(await encodeUser(name, user, pairOf(account), claims, options), user)).toString();
  }

  /** For whoever makes the fleet's buckets with these keys at hand, now; nothing of it is kept. */
  async storeMaker(): Promise<StoreMaker> {
    const inboxPrefix = `${INBOXES}.${randomBytes(16).toString('hex')}`;
    const expiresAtS = Math.floor(Date.now() / 1000) + MAKER_S;
    const credentials = await this.#storeCredentials('maker', 'maker', createUser(), inboxPrefix, expiresAtS);
    return { urls: urlsOf(this.servers, 'client'), ca: this.#authority.certificate, credentials, inboxPrefix };
  }

  /** Every key that a name ever had, so that none is left out when it is revoked. */
  #remember({ kind, name }: FleetRole, key: string): void {
    const directory = this.#mintedDirectory(kind, name);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeWhole(join(directory, key), '', 0o600);
  }

  /** The servers refuse all keys of that name once they have the new identity.conf and are reloaded. How many keys that are. */
  async revoke(kind: FleetRoleKind, name: string): Promise<number> {
    const directory = this.#mintedDirectory(kind, name);
    const keys = existsSync(directory) ? readdirSync(directory) : [];
    const now = Math.floor(Date.now() / 1000);
    this.#file = { ...this.#file, revoked: { ...this.#file.revoked, ...Object.fromEntries(keys.map((key) => [key, now])) } };
    this.#store();
    for (const server of this.servers) await this.#writeIdentity(server);
    return keys.length;
  }
}
