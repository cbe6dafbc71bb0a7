/** What keeps somebody from a session daemon, or a daemon from what it is to do: errors.ts has the other rows. */
import { row } from './fault-row.ts';

export const DAEMON_FAULTS = {
  'daemon-running': row<{ pid: number; why?: string }>(
    'error',
    ({ pid, why }) => `A session daemon of this user runs already (pid ${pid})${why === undefined ? '' : `: ${why}`}.`,
    'Use it, end it with `weft sessiond --stop`, or take its place with `weft sessiond --replace`; sessions are kept.',
  ),
  'too-many': row<{ uid: number; limit: number; what: string; option: string }>(
    'error',
    ({ uid, limit, what, option }) => `User ${uid} has ${limit} ${what} already, as many as one user may have (${option}).`,
    'Remove some that are not needed, or have the session daemon started with a higher limit: `weft sessiond --help`.',
  ),
  'daemon-unreachable': row<{ cause: string }>(
    'error',
    ({ cause }) => `No session daemon is available: ${cause}.`,
    'Start one with `weft sessiond --background`, or leave out --no-sessiond.',
  ),
  'consumer-failed': row<{ owner: number; cause: string }>(
    'error',
    ({ owner, cause }) => `The consumer of user ${owner} failed: ${cause}.`,
    'It is restarted by itself; what is recorded meanwhile waits in the buffers. See log/consumer-UID.log.',
  ),
} as const;
