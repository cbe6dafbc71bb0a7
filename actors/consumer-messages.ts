/** What the session daemon asks of a consumer (docs/contracts.md), as schemas. */
import { z } from 'zod';
import { hexId, text } from '../transport/schema.ts';

const session = hexId;
const key = z.string().max(512);
const plan = z.enum(['append', 'hold', 'count']);
const uint32 = z.int().min(0).max(0xffff_ffff);

const geometry = z.object({
  cpuCount: z.int().min(1).max(4096),
  subbufSize: z
    .int()
    .min(4096)
    .max(2 ** 30),
  subbufCount: z.int().min(2).max(4096),
  mode: z.enum(['discard', 'overwrite']),
  sync: z.enum(['rseq', 'lock']),
});

export const CONSUMER_REQUESTS = {
  hello: z.object({}),
  open: z.object({ session, key, output: text, directory: text }),
  /** In parts: `first` begins a text, the part without `more` ends it. */
  metadata: z.object({ session, key, text: z.string(), first: z.boolean(), more: z.boolean() }),
  attach: z.object({
    session,
    key,
    ringId: hexId,
    channelName: text,
    filePrefix: text,
    streamClassId: uint32,
    streamInstanceBase: uint32,
    uuid: hexId,
    geometry,
    readTimerUs: uint32,
    switchTimerUs: uint32,
    plan,
  }),
  flush: z.object({ session }),
  plan: z.object({ session, plan }),
  detach: z.object({ session, ringId: hexId.exactOptional() }),
  stats: z.object({ session }),
  shutdown: z.object({}),
} as const;

export type ConsumerVerb = keyof typeof CONSUMER_REQUESTS;
export type ConsumerRequest<V extends ConsumerVerb> = z.output<(typeof CONSUMER_REQUESTS)[V]>;
export type AttachRequest = ConsumerRequest<'attach'>;

/** Over the socket pair. */
export const linkMessage = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('credentials') }),
  z.object({ kind: z.literal('ring'), ringId: hexId }),
]);
