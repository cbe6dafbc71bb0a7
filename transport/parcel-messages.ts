/** What waits for relays when no session feeds it (any more), and the commands about it (docs/contracts.md). */
import { z } from 'zod';
import { command } from './command-shape.ts';
import { text, uid } from './schema.ts';

const bytes = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** `cause`: why it is not there yet. */
export const parcelView = z.object({ id: text, what: text, uid, bytes, cause: text.nullable() });

export type ParcelView = z.output<typeof parcelView>;

export const PARCEL_COMMANDS = {
  'parcel.list': command("What waits for relays of the caller's; root's: all.", {}, { parcels: z.array(parcelView) }),
  'parcel.drop': command(
    'Throw away what waits for a relay: one parcel, or all of the caller.',
    { parcel: text.exactOptional(), all: z.literal(true).exactOptional() },
    { dropped: z.array(parcelView.pick({ id: true, what: true, bytes: true })), bytes },
  ),
} as const;
