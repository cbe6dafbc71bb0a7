/** The one message of a fleet trigger, from the host that saw the event to every consumer of a session of that name. */
import { z } from 'zod';
import { text } from './schema.ts';

/** Begins with the time, so the smaller of two is the older one. */
export const freezeId = z.string().regex(/^[0-9a-f]{16}$/);

export const freezeMessage = z.object({
  v: z.literal(1),
  id: freezeId,
  /** Whose session. */
  owner: z.int().min(0),
  /** ns since 1970, decimal. */
  atNs: z.string().regex(/^\d{1,20}$/),
  trigger: text,
  postMs: z.int().min(0).max(60_000),
});

export type FreezeMessage = z.output<typeof freezeMessage>;

export const newFreezeId = (atMs: number, random: string): string =>
  `${Math.floor(atMs).toString(16).padStart(11, '0').slice(-11)}${random.slice(0, 5)}`;
