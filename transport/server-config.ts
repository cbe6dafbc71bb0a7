/**
 * Our own nats-server (>= 2.9): certificate, configuration and port, all below `bus/` of the state directory. Loopback only, TLS
 * only, no monitoring port, no JetStream; users are known by what the account signed. A host of a fleet joins the fleet's servers as a leaf node.
 */
import { accessSync, constants, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { MAX_BODY_BYTES } from './codec.ts';
import { type FleetFile, LOCAL_ONLY, storedFleet } from './fleet-file.ts';
import { INBOX, type Keys, loadKeys } from './identity.ts';
import { writeWhole } from './private-file.ts';

const YEARS = 20;
/** Room for headers above the largest body. */
const MAX_PAYLOAD = MAX_BODY_BYTES + (64 << 10);
/** The default port of NATS belongs to others: their clients would find us there. */
const FOREIGN_PORT = 4222;
const LOOPBACK = '127.0.0.1';

export interface Certificate {
  readonly certificatePath: string;
  readonly keyPath: string;
  /** PEM; what clients pin. */
  readonly ca: string;
}

export const loadCertificate = async (directory: string): Promise<Certificate> => {
  const certificatePath = join(directory, 'certificate.pem');
  const keyPath = join(directory, 'certificate.key');
  // The certificate is written last: when it is there, so is its key.
  if (!existsSync(certificatePath)) {
    // Needed once in 20 years, and 9 MB of a process that has loaded it.
    const { generate } = await import('selfsigned');
    const notAfterDate = new Date();
    notAfterDate.setFullYear(notAfterDate.getFullYear() + YEARS);
    const made = await generate([{ name: 'commonName', value: 'weft bus' }], {
      keyType: 'ec',
      curve: 'P-256',
      algorithm: 'sha256',
      notAfterDate,
      extensions: [
        { name: 'basicConstraints', cA: false, critical: true },
        { name: 'keyUsage', digitalSignature: true, critical: true },
        { name: 'extKeyUsage', serverAuth: true },
        {
          name: 'subjectAltName',
          altNames: [
            { type: 7, ip: LOOPBACK },
            { type: 2, value: 'localhost' },
          ],
        },
      ],
    });
    writeWhole(keyPath, made.private, 0o600);
    writeWhole(certificatePath, made.cert, 0o600);
  }
  return { certificatePath, keyPath, ca: readFileSync(certificatePath, 'utf8') };
};

const listenOn = (port: number): Promise<number | null> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen({ host: LOOPBACK, port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : null));
    });
  });

export const isPortFree = async (port: number): Promise<boolean> => (await listenOn(port)) !== null;

export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = await listenOn(0);
    if (port !== null && port !== FOREIGN_PORT) return port;
  }
};

export interface ServerFiles {
  readonly port: number;
  readonly keys: Keys;
  readonly certificate: Certificate;
  readonly logPath: string;
  readonly pidPath: string;
  /** The fleet that this host belongs to; null: none. */
  readonly fleet: FleetFile | null;
}

const quoted = (text: string): string => `"${text.replace(/[\\"]/g, '\\$&')}"`;

const listed = (texts: readonly string[]): string => `[${texts.map(quoted).join(', ')}]`;

/** As a leaf node this server opens the connection, so nothing of it listens to the fleet. */
const leafNode = ({ urls, ca, credentials }: FleetFile, account: string): string[] => [
  'leafnodes {',
  '  reconnect: 1',
  '  remotes: [{',
  `    urls: ${listed(urls)}`,
  `    account: ${account}`,
  ...(credentials === undefined ? [] : [`    credentials: ${quoted(credentials)}`]),
  ...(ca === undefined ? [] : [`    tls { ca_file: ${quoted(ca)} }`]),
  `    deny_imports: ${listed(LOCAL_ONLY)}`,
  `    deny_exports: ${listed(LOCAL_ONLY)}`,
  '  }]',
  '}',
];

export const serverConfig = ({ port, keys, certificate, logPath, pidPath, fleet }: ServerFiles): string =>
  [
    `listen: "${LOOPBACK}:${port}"`,
    // Two leaf nodes of one name are one to the fleet, which would close the first.
    `server_name: "weft_${keys.account}"`,
    'tls {',
    `  cert_file: ${quoted(certificate.certificatePath)}`,
    `  key_file: ${quoted(certificate.keyPath)}`,
    '  timeout: 5',
    '}',
    `operator: ${keys.operatorJwt}`,
    `system_account: ${keys.system}`,
    'resolver: MEMORY',
    'resolver_preload: {',
    `  ${keys.account}: ${keys.accountJwt}`,
    `  ${keys.system}: ${keys.systemJwt}`,
    '}',
    `max_payload: ${MAX_PAYLOAD}`,
    'ping_interval: "5s"',
    'ping_max: 2',
    'write_deadline: "5s"',
    `log_file: ${quoted(logPath)}`,
    'logfile_size_limit: 4MB',
    `pid_file: ${quoted(pidPath)}`,
    ...(fleet ? leafNode(fleet, keys.account) : []),
    '',
  ].join('\n');

/** Where distributions put daemons, which is often not on a user's PATH. */
const DAEMON_DIRECTORIES = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/usr/bin'];

/** Null: nats-server is not installed. */
export const findServer = (path: string): string | null => {
  const directories = [...path.split(':').filter((directory) => directory.startsWith('/')), ...DAEMON_DIRECTORIES];
  const candidates = directories.map((directory) => join(directory, 'nats-server'));
  return candidates.find(isExecutable) ?? null;
};

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

export interface PreparedServer {
  readonly port: number;
  readonly urls: readonly string[];
  readonly ca: string;
  readonly keys: Keys;
  /** What every inbox on it begins with. */
  readonly inboxes: string;
  /** What nats-server is started with: `nats-server -c PATH`. */
  readonly configPath: string;
  readonly pidPath: string;
}

const storedPort = (path: string): number | null => {
  if (!existsSync(path)) return null;
  const port = Number(readFileSync(path, 'utf8'));
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : null;
};

/**
 * Makes or finds all that our server needs. `running`: it runs already (the keeper says so), so its port stays; otherwise the port
 * of last time is kept if nobody took it.
 */
export const prepareServer = async (options: {
  readonly stateDirectory: string;
  readonly running: boolean;
}): Promise<PreparedServer> => {
  const directory = join(options.stateDirectory, 'bus');
  const logs = join(options.stateDirectory, 'log');
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  const keys = await loadKeys(directory);
  const certificate = await loadCertificate(directory);
  const portPath = join(directory, 'port');
  const stored = storedPort(portPath);
  const kept = stored !== null && (options.running || (await isPortFree(stored))) ? stored : null;
  const port = kept ?? (await freePort());
  if (port !== stored) writeWhole(portPath, `${port}\n`, 0o600);
  const fleet = storedFleet(options.stateDirectory);
  const configPath = join(directory, 'nats-server.conf');
  const pidPath = join(directory, 'nats-server.pid');
  writeWhole(configPath, serverConfig({ port, keys, certificate, logPath: join(logs, 'bus.log'), pidPath, fleet }), 0o600);
  const inboxes = fleet?.inboxPrefix ?? INBOX;
  return { port, urls: [`tls://${LOOPBACK}:${port}`], ca: certificate.ca, keys, inboxes, configPath, pidPath };
};
