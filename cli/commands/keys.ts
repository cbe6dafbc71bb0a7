/** keys: mints the keys of a fleet (transport/fleet-keys.ts). Needs no daemon: whoever runs the fleet keeps the directory. */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { DEFAULT_PORTS, FleetKeys, type FleetServer, type Ports } from '../../transport/fleet-keys.ts';
import { FLEET_ROLES, type FleetRoleKind } from '../../transport/fleet-roles.ts';
import type { Command, Environment, Outcome } from '../command.ts';
import { parseAge } from '../numbers.ts';
import { UsageError } from '../options.ts';
import { HELP, listOf, noMoreWords } from './shared.ts';

/** Seconds of Unix time; null: never. */
const expiry = (text: string | undefined): number | null => {
  if (text === undefined) return null;
  const age = parseAge(text);
  if (age === null) throw new UsageError(`--expires=${text}: give a number and s, m, h, d or y, as in 90d`);
  return Math.floor(Date.now() / 1000) + age;
};

const portsOf = (text: string | undefined): Ports => {
  if (text === undefined) return DEFAULT_PORTS;
  const numbers = text.split(',').map(Number);
  const valid = numbers.length === 3 && numbers.every((port) => Number.isInteger(port) && port > 0 && port < 65_536);
  if (!valid || new Set(numbers).size !== 3)
    throw new UsageError(`--ports=${text}: give three different ports, CLIENTS,LEAVES,CLUSTER`);
  const [client, leaf, cluster] = numbers as [number, number, number];
  return { client, leaf, cluster };
};

const serverOf = (text: string, ports: Ports): FleetServer => {
  const [name, ...addresses] = listOf(text);
  if (name === undefined || /[\s"]/.test(text)) throw new UsageError(`--server=${text}: give NAME or NAME,ADDRESS,...`);
  return { name, addresses: addresses.length > 0 ? addresses : [name], ports };
};

const serversOf = ({ options }: Environment): FleetServer[] => {
  const ports = portsOf(options.get('ports'));
  const given = options.all('server');
  const servers = (given.length > 0 ? given : [`${hostname()},${hostname()},localhost,127.0.0.1`]).map((text) =>
    serverOf(text, ports),
  );
  if (new Set(servers.map(({ name }) => name)).size < servers.length)
    throw new UsageError('Each --server needs a name of its own');
  return servers;
};

const directoryOf = ({ options, env }: Environment): string => resolve(options.get('dir') ?? env.WEFT_KEYS ?? '.');

const open = (environment: Environment): Promise<FleetKeys> => {
  const directory = directoryOf(environment);
  if (FleetKeys.exists(directory)) return FleetKeys.open(directory);
  throw new UsageError(`${directory} holds no keys of a fleet: give --dir or WEFT_KEYS the directory of \`weft keys init\``);
};

const init = async (environment: Environment): Promise<Outcome> => {
  noMoreWords(environment, 2);
  const directory = resolve(environment.options.words[1] ?? directoryOf(environment));
  if (FleetKeys.exists(directory))
    throw new UsageError(`${directory} holds the keys of a fleet already: with new ones every host would have to get another`);
  const fleet = await FleetKeys.create(directory, serversOf(environment));
  const servers = fleet.servers.map(({ name }) => ({ name, directory: fleet.serverDirectory(name) }));
  return {
    lines: [
      `Keys of a new fleet: ${directory} (keep it secret, and a copy of it)`,
      ...servers.map((one) => `Server ${one.name}: copy ${one.directory} there; in it: nats-server -c nats-server.conf`),
    ],
    json: { directory, servers },
  };
};

const isRole = (word: string): word is FleetRoleKind => (FLEET_ROLES as readonly string[]).includes(word);

const nameOf = ({ options }: Environment): string => {
  const name = options.words.at(-1);
  if (options.words.length < 2 || !name) throw new UsageError(`Which name? See 'weft keys --help'`);
  return name;
};

const mint = async (environment: Environment, kind: FleetRoleKind): Promise<Outcome> => {
  noMoreWords(environment, 2);
  const { options } = environment;
  const name = nameOf(environment);
  const carries = listOf(options.get('carries') ?? '');
  if (carries.length > 0 && kind !== 'host') throw new UsageError('--carries is for hosts: their leaf carries commands');
  const expiresAtS = expiry(options.get('expires'));
  const directory = await (await open(environment)).mint({ kind, name, carries }, expiresAtS);
  const until = expiresAtS === null ? 'without end' : `until ${new Date(expiresAtS * 1000).toISOString()}`;
  return {
    lines: [`Key of ${kind} ${name}, good ${until}: ${directory}`],
    json: { role: kind, name, directory, expiresAtS },
  };
};

const revoke = async (environment: Environment): Promise<Outcome> => {
  noMoreWords(environment, 3);
  const [, kind = ''] = environment.options.words;
  if (!isRole(kind)) throw new UsageError(`Whose key? weft keys revoke ${FLEET_ROLES.join('|')} NAME`);
  const fleet = await open(environment);
  const name = nameOf(environment);
  const revoked = await fleet.revoke(kind, name);
  if (revoked === 0) throw new UsageError(`${kind} ${name} has no key of this fleet`);
  return {
    lines: [
      `Revoked ${revoked} ${revoked === 1 ? 'key' : 'keys'} of ${kind} ${name}.`,
      'It counts once each server has its new identity.conf and is reloaded (nats-server --signal reload=PIDFILE).',
    ],
    json: { role: kind, name, revoked },
  };
};

export const keys: Command = {
  name: 'keys',
  summary: 'Make the keys of a fleet: its servers, hosts, operators, relays and viewers',
  usage: 'keys init [DIR] | host|operator|relay|viewer NAME | revoke host|operator|relay|viewer NAME',
  textOnly: true,
  options: [
    ...HELP,
    { long: 'dir', short: 'd', value: 'DIR', help: 'Directory of the fleet’s keys (default: WEFT_KEYS, else this one)' },
    {
      long: 'server',
      value: 'NAME[,ADDRESS...]',
      repeat: true,
      help: 'init: a NATS server and how it is reached; three make a cluster',
    },
    { long: 'ports', value: 'C,L,R', help: 'init: ports for clients, leaves, cluster (default: 4222,7422,6222)' },
    { long: 'expires', value: 'TIME', help: 'The key is good for so long: 12h, 90d, 1y (default: without end)' },
    { long: 'carries', value: 'WHO,...', help: 'host: its people may send fleet commands as these, each UID@HOST' },
  ],
  run(environment) {
    const [what = ''] = environment.options.words;
    if (what === 'init') return init(environment);
    if (what === 'revoke') return revoke(environment);
    if (isRole(what)) return mint(environment, what);
    throw new UsageError(`What key? weft keys init, ${FLEET_ROLES.join(', ')} or revoke`);
  },
};
