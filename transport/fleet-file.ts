/**
 * `fleet.json` in the state directory: the NATS servers of the fleet that this host's own server joins as a leaf node. It holds no
 * secret but what its URLs may have; the key of the host lies in the file that `credentials` names.
 */
import { accessSync, constants, existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { failure } from './errors.ts';
import { writeWhole } from './private-file.ts';

const absolute = z.string().max(4096).refine(isAbsolute, 'an absolute path is needed');
const leafUrl = z
  .string()
  .max(1024)
  .regex(/^(nats-leaf|nats|tls|ws|wss):\/\/[^\s"\\]+$/, 'a URL such as tls://HOST:7422 is needed');

export const fleetFile = z.object({
  /** Ports for leaf nodes of the fleet's servers. */
  urls: z.array(leafUrl).min(1).max(64),
  /** PEM file that the fleet's certificates are held against; absent: the system's authorities. */
  ca: absolute.exactOptional(),
  /** A .creds file; absent: the URLs name a user, or the server knows hosts otherwise. */
  credentials: absolute.exactOptional(),
  /** Of the fleet's JetStream. */
  domain: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'letters, digits, - and _ are allowed')
    .default('fleet'),
  /** Below it the inboxes of this host lie, when they are to get answers from the fleet; absent: the fleet confines no inboxes. */
  inboxPrefix: z
    .string()
    .max(256)
    .regex(/^_INBOX[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$/, 'it must begin with `_INBOX`')
    .exactOptional(),
});

export type FleetFile = z.output<typeof fleetFile>;

const pathOf = (stateDirectory: string): string => join(stateDirectory, 'fleet.json');

/** nats-server ends when it cannot read what its configuration names, and every session of this host would lose its bus. */
const checkFiles = ({ ca, credentials }: FleetFile, path: string): void => {
  for (const needed of [ca, credentials]) {
    if (needed === undefined) continue;
    try {
      accessSync(needed, constants.R_OK);
    } catch {
      throw failure('fleet-file-invalid', { path, cause: `${needed} cannot be read` });
    }
  }
};

/** Throws FaultError `fleet-file-invalid`. */
export const parseFleet = (value: unknown, path: string): FleetFile => {
  const parsed = fleetFile.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw failure('fleet-file-invalid', { path, cause: `${issue.path.join('.') || 'the file'}: ${issue.message}` });
  }
  checkFiles(parsed.data, path);
  return parsed.data;
};

/** `weft keys` names what lies beside the file by its name alone, so that the directory may be copied anywhere. */
const besideFile = (value: unknown, path: string): unknown => {
  if (typeof value !== 'object' || value === null) return value;
  const directory = resolve(dirname(path));
  const located = (name: string): Record<string, string> => {
    const given = (value as Record<string, unknown>)[name];
    return typeof given === 'string' ? { [name]: resolve(directory, given) } : {};
  };
  return { ...value, ...located('ca'), ...located('credentials') };
};

export const readFleet = (path: string): FleetFile => {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (thrown) {
    throw failure('fleet-file-invalid', { path, cause: thrown instanceof Error ? thrown.message : String(thrown) });
  }
  return parseFleet(besideFile(value, path), path);
};

/** Null: this host belongs to no fleet. Throws FaultError when what is there cannot be understood. */
export const storedFleet = (stateDirectory: string): FleetFile | null =>
  existsSync(pathOf(stateDirectory)) ? readFleet(pathOf(stateDirectory)) : null;

export const storeFleet = (stateDirectory: string, fleet: FleetFile | null): void => {
  if (fleet) writeWhole(pathOf(stateDirectory), `${JSON.stringify(fleet)}\n`, 0o600);
  else rmSync(pathOf(stateDirectory), { force: true });
};

/**
 * Never between a host and its fleet, in neither direction: commands in the name of local users, what a session daemon says to its
 * consumers, and the inside of processes.
 */
export const LOCAL_ONLY: readonly string[] = ['cmd.local.>', 'consumer.>', 'inspect.>'].map((below) => `weft.v1.*.*.${below}`);
