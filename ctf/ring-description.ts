/**
 * What lies beside a ring set's files: all that a reader needs once the daemon is gone. Read from a disk that anybody may have
 * written, so nothing of it is believed that the native side does not check.
 */
import { z } from 'zod';

const id = z.string().regex(/^[0-9a-f]{32}$/);
const count = z.int().min(0).max(0xffff_ffff);

const schema = z.object({
  version: z.literal(1),
  session: z.string(),
  bootId: z.string(),
  /** The written trace: directory `trace` below `output`; empty: nothing is written by itself. */
  output: z.string(),
  trace: z.string(),
  uuid: id,
  ringId: id,
  geometry: z.object({
    cpuCount: count,
    subbufSize: count,
    subbufCount: count,
    mode: z.enum(['discard', 'overwrite']),
    sync: z.enum(['rseq', 'lock']),
    allocation: z.enum(['per-cpu', 'per-channel']),
  }),
  filePrefix: z.string().regex(/^[^./][^/]*$/),
  streamClassId: count,
  streamInstanceBase: count,
});

export type RingDescription = Omit<z.output<typeof schema>, 'version'>;

export const describeRing = (description: RingDescription): string =>
  `${JSON.stringify({ version: 1, ...description }, null, 2)}\n`;

/** Throws an error whose message names what is wrong. */
export const readDescription = (text: string): RingDescription => {
  const parsed = schema.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  throw new Error(`field ${first?.path.join('.') ?? ''}: ${first?.message ?? 'wrong'}`);
};
