/** What can go wrong between the hosts of a fleet; see errors.ts. */
import { row } from './fault-row.ts';

export const FLEET_FAULTS = {
  'fleet-file-invalid': row<{ path: string; cause: string }>(
    'error',
    ({ path, cause }) => `${path} does not describe a fleet: ${cause}.`,
    'It is JSON: {"urls": ["tls://HOST:7422"], "credentials": "/PATH/host.creds", "ca": "/PATH/ca.pem", "domain": "fleet"}.',
  ),
  'not-in-a-fleet': row<{ host: string }>(
    'error',
    ({ host }) => `Host ${host} belongs to no fleet.`,
    'Join one: `weft fleet join FILE`, or `weft sessiond --fleet FILE`.',
  ),
  'selector-invalid': row<{ selector: string; column: number; cause: string }>(
    'error',
    ({ selector, column, cause }) => `Selector \`${selector}\`, column ${column}: ${cause}.`,
    "Terms are separated by commas and all must hold: 'role=db,zone!=a', 'host=web-*', 'role', '!canary'.",
  ),
  'host-reserved': row<{ host: string }>(
    'error',
    ({ host }) => `No host can be called \`${host}\`: subjects of the bus begin so.`,
    'Give it another name, here and with `weft sessiond --host NAME`.',
  ),
  'bucket-refused': row<{ bucket: string; cause: string }>(
    'error',
    ({ bucket, cause }) => `Bucket ${bucket} of the fleet: ${cause}.`,
    'The fleet needs JetStream in its domain, and writing an operator’s key (`weft keys operator`).',
  ),
  'bucket-missing': row<{ bucket: string }>(
    'error',
    ({ bucket }) => `The fleet has no bucket ${bucket} yet.`,
    'Whoever has the fleet’s keys makes it, once: `weft fleet init --dir=DIRECTORY`, the one that `weft keys init` made.',
  ),
  'fleet-session-changed': row<{ session: string; difference: string }>(
    'error',
    ({ session, difference }) => `Somebody else wrote session ${session} meanwhile: ${difference}.`,
    'Nothing was written. Look at `weft fleet list`, then apply again.',
  ),
  'fleet-session-invalid': row<{ file: string; cause: string }>(
    'error',
    ({ file, cause }) => `${file}: ${cause}.`,
    'It is what `weft save --format=yaml` writes of one session, with `selector: KEY=VALUE` besides; docs/fleet.md has all keys.',
  ),
  'fleet-session-unreadable': row<{ session: string; generation: number }>(
    'error',
    ({ session, generation }) => `No host could read session ${session} as it would be written (generation ${generation}).`,
    'Nothing was written. Where the number cannot grow any more, declare it under another name.',
  ),
  'fleet-session-unknown': row<{ session: string }>(
    'error',
    ({ session }) => `The fleet has no session ${session}.`,
    'See: weft fleet list',
  ),
  'label-invalid': row<{ label: string; cause: string }>(
    'error',
    ({ label, cause }) => `Label \`${label}\` is refused: ${cause}.`,
    'A label is KEY=VALUE, for example role=db.',
  ),
  'host-conflict': row<{ host: string; machines: string }>(
    'error',
    ({ host, machines }) => `More than one machine calls itself ${host}: ${machines}.`,
    'Give one of them another name: `weft sessiond --host NAME`.',
  ),
  'host-unknown': row<{ host: string }>('error', ({ host }) => `No host ${host} was heard of.`, 'See: weft hosts'),
  'host-lives': row<{ host: string; state: string }>(
    'error',
    ({ host, state }) => `Host ${host} is ${state}: only one that is unreachable, or left, can be forgotten.`,
    'It is unreachable some 15 s after its last heartbeat; `weft fleet leave` on that host takes it out in order.',
  ),
  'fleet-silent': row<{ uid: string }>(
    'error',
    ({ uid }) => `No host of the fleet answers whose session daemon runs as user ${uid}.`,
    'Daemons of another user are meant with --uid=UID (root: 0). A host joins with `weft fleet join FILE`, or `weft sessiond --fleet=FILE`.',
  ),
  'host-silent': row<{ host: string; ms: number }>(
    'error',
    ({ host, ms }) => `Host ${host} did not answer within ${ms} ms.`,
    '`weft hosts` shows when it was last heard of; what it promised without hearing more it takes back by itself.',
  ),
  'operation-aborted': row<{ host: string }>(
    'error',
    ({ host }) => `Host ${host} was ready, and was told to leave it.`,
    'Another host was not; without --all those that are ready would act.',
  ),
  'lease-ended': row<{ operation: string }>(
    'error',
    ({ operation }) => `Nothing is prepared for operation ${operation}: its lease ended, or it was never prepared here.`,
    'Nothing was done here. Give the command again.',
  ),
  'no-hosts': row<{ selector: string }>(
    'error',
    ({ selector }) => `No host of the fleet matches \`${selector}\`.`,
    'See `weft hosts` for names and labels.',
  ),
  'snapshot-not-collected': row<{ path: string; cause: string }>(
    'error',
    ({ path, cause }) => `${path} cannot be collected: ${cause}.`,
    'What was collected before is whole. Mend the cause and give the command again, or name another directory: --output=DIR.',
  ),
  'fleet-user-missing': row<{ user: string; host: string }>(
    'error',
    ({ user, host }) =>
      `Root's session daemon of host ${host} has nobody to act as for the fleet: there is no user \`${user}\`.`,
    'On that host: `useradd --system --create-home weft`, or name another user: `weft sessiond --fleet-user=USER`. With `--fleet-user=root` whoever commands the fleet acts as root.',
  ),
  'fleet-path-refused': row<{ path: string; base: string }>(
    'error',
    ({ path, base }) => `${path} is not below ${base}, where sessions of the fleet write on this host.`,
    'Leave the path out, or name a directory below that one.',
  ),
} as const;
