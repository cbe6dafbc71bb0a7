/** Expected failures of relays, and of what waits for them: see errors.ts. */
import { type NoParams, row } from './fault-row.ts';

export const RELAY_FAULTS = {
  'spool-not-empty': row<{ session: string; bytes: number }>(
    'error',
    ({ session, bytes }) => `${bytes} bytes of recording session \`${session}\` have not reached its relay.`,
    'Try again when they have: `weft list SESSION` shows the link. Or destroy the session; they stay in its spool.',
  ),
  'destination-wrong': row<{ url: string; cause: string }>(
    'error',
    ({ url, cause }) => `Destination \`${url}\` is wrong: ${cause}.`,
    'Name a directory, or a relay: relay:[///SUBDIR], nats://HOST[:PORT][/SUBDIR], net://HOST[:CTRL[:DATA]][/SUBDIR].',
  ),
  'relay-behind': row<{ what: string; bytes: number; cause: string }>(
    'error',
    ({ what, bytes, cause }) => `${bytes} bytes of ${what} have not reached the relay: ${cause}.`,
    'They follow from the spool as soon as the relay takes them.',
  ),
  'parcels-full': row<{ bytes: number; limit: number }>(
    'error',
    ({ bytes, limit }) => `Already ${bytes} bytes of snapshots and ended sessions wait for their relays; ${limit} may.`,
    'See for what they wait: `weft status`. Until the relay is back, record into a directory: `weft snapshot record PATH`; or throw some away: `weft parcels drop ID`.',
  ),
  'parcel-not-found': row<{ parcel: string }>(
    'error',
    ({ parcel }) => `Nothing of the id \`${parcel}\` waits for a relay: it has arrived, or never was.`,
    'See: weft parcels',
  ),
  'parcel-unfinished': row<{ what: string }>(
    'error',
    ({ what }) => `It is still being written: ${what}.`,
    'Give the command again in a moment.',
  ),
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
