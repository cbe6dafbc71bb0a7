/** Expected failures of relays: see errors.ts. */
import { type NoParams, row } from './fault-row.ts';

export const RELAY_FAULTS = {
  'relay-full': row<{ relay: string; cause: string }>(
    'error',
    ({ relay, cause }) => `Relay ${relay} takes no further data: ${cause}.`,
    'Free space below its output directory, or let it evict old sessions: `weft relayd --retain-bytes=SIZE`.',
  ),
  'stale-epoch': row<{ link: string; epoch: number; known: number }>(
    'error',
    ({ link, epoch, known }) => `Link ${link} was opened with epoch ${known} before; ${epoch} is older.`,
    'Another opening of this link has taken over; this one must end.',
  ),
  'relay-unusable': row<{ cause: string }>(
    'error',
    ({ cause }) => `The relay cannot serve: ${cause}.`,
    'Name another directory with --output, or another port with --live-port.',
  ),
  'relay-unreachable': row<{ relay: string; cause: string }>(
    'error',
    ({ relay, cause }) => `Relay ${relay} cannot be reached: ${cause}.`,
    'Is it running, and are both its ports open? What is recorded meanwhile waits in the spool.',
  ),
  'relay-ending': row<NoParams>('error', () => 'The relay is ending.', 'Open the link again: another relay may take it.'),
} as const;
