/** The buckets of a fleet are made by whoever has its keys: once, and without a step of its own where these are at hand. */
import { resolve } from 'node:path';
import { credsAuthenticator } from '@nats-io/transport-node';
import { Bucket } from '../transport/bucket.ts';
import { failure } from '../transport/errors.ts';
import { FleetKeys } from '../transport/fleet-keys.ts';
import { BUCKETS, copiesOn } from '../transport/fleet-store.ts';
import { NatsBus } from '../transport/nats-bus.ts';
import type { Environment, Outcome } from './command.ts';
import type { OperatorKey } from './fleet-link.ts';
import { UsageError } from './options.ts';

const makeWith = async (directory: string): Promise<{ readonly copies: number }> => {
  const keys = await FleetKeys.open(directory);
  const { urls, ca, credentials, inboxPrefix } = await keys.storeMaker();
  const authenticator = credsAuthenticator(Buffer.from(credentials));
  const options = { servers: [...urls], authenticator, tls: { ca }, inboxPrefix };
  const bus = await NatsBus.connectExternal(options, { name: 'weft' });
  const copies = copiesOn(keys.servers.length);
  try {
    for (const name of BUCKETS) await new Bucket(bus, name).make(copies);
  } finally {
    await bus.close();
  }
  return { copies };
};

/** Given by hand, or the directory in which `weft keys operator` made this key. Null: the keys are elsewhere. */
const keysBeside = ({ options, env }: Environment, key: OperatorKey): string | null => {
  const given = options.get('dir') ?? env.WEFT_KEYS;
  const directory = given === undefined ? resolve(key.directory, '../..') : resolve(given);
  return FleetKeys.exists(directory) ? directory : null;
};

/** Throws FaultError: whoever has only an operator's key cannot. */
export const ensureBucket = async (environment: Environment, key: OperatorKey, bucket: Bucket): Promise<void> => {
  if (await bucket.exists()) return;
  if (key.storeIsOpen) return bucket.make(copiesOn(key.servers));
  const keys = keysBeside(environment, key);
  if (keys === null) throw failure('bucket-missing', { bucket: bucket.name });
  await makeWith(keys);
};

/** Again after servers came: the copies become as many as they can. */
export const init = async ({ options, env }: Environment): Promise<Outcome> => {
  const directory = resolve(options.get('dir') ?? env.WEFT_KEYS ?? '.');
  if (!FleetKeys.exists(directory)) {
    throw new UsageError(`${directory} holds no keys of a fleet: give --dir or WEFT_KEYS the directory of \`weft keys init\``);
  }
  const { copies } = await makeWith(directory);
  const count = copies === 1 ? 'one copy' : `${copies} copies`;
  return { lines: [`The fleet keeps what it wants of its hosts, in ${count}`], json: { buckets: BUCKETS, copies } };
};
