/** Freezes of a fleet: the message, the note that a copy has beside it. The message is the only one of a fleet trigger, from the host that saw the event to every consumer of a session of that name. */
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

/** Beside the traces of a snapshot: by it `weft snapshot collect` knows which event it is of. */
export const FREEZE_NOTE = '.weft-freeze.json';

const ALIASES_MAX = 1024;
const ns = z.string().regex(/^\d{1,20}$/);

export const freezeNote = z.object({
  v: z.literal(1),
  id: freezeId,
  aliases: z.array(freezeId).max(ALIASES_MAX),
  /** Further freezes that are this snapshot too: they came too fast to be named. */
  more: z.int().exactOptional(),
  host: text,
  session: text,
  seenBy: text,
  trigger: text,
  atNs: ns,
  frozenAtNs: ns,
  /** False: what it lies beside is still being written, or whoever wrote it ended before. Absent: written by an older version. */
  complete: z.boolean().exactOptional(),
});

export type FreezeNote = z.output<typeof freezeNote>;

/** Null: it is none. */
export const parseFreezeNote = (value: unknown): FreezeNote | null => freezeNote.safeParse(value).data ?? null;

/** The same of a file's text. */
export const readFreezeNote = (written: string | null): FreezeNote | null => {
  try {
    return written === null ? null : parseFreezeNote(JSON.parse(written));
  } catch {
    return null;
  }
};
