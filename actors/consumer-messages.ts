/** What the session daemon asks of a consumer (docs/contracts.md), as schemas. */
import { z } from 'zod';
import { destinationSchema } from '../transport/destination.ts';
import { freezeId, freezeMessage } from '../transport/freeze-message.ts';
import { count64, hexId, text } from '../transport/schema.ts';

const session = hexId;
const key = z.string().max(512);
const plan = z.enum(['append', 'hold', 'count']);
const chunk = z.int().min(0);
const count53 = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const uint32 = z.int().min(0).max(0xffff_ffff);

const bytes = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const drainMs = z.int().min(0).max(3_600_000);

const geometry = z.object({
  cpuCount: z.int().min(1).max(4096),
  subbufSize: z
    .int()
    .min(4096)
    .max(2 ** 30),
  subbufCount: z.int().min(2).max(4096),
  mode: z.enum(['discard', 'overwrite']),
  sync: z.enum(['rseq', 'lock']),
  allocation: z.enum(['per-cpu', 'per-channel']),
});

/** Grows with each message, from daemon to daemon; of all messages, but only these look at it. */
const order = z.int().min(0);

export const CONSUMER_REQUESTS = {
  hello: z.object({}),
  open: z.object({ session, directory: text }),
  /** In parts: `first` begins a text, the part without `more` ends it. */
  metadata: z.object({
    session,
    directory: text,
    text: z.string(),
    first: z.boolean(),
    more: z.boolean(),
    /** How many event classes the whole text describes. */
    classes: z.int().min(0),
  }),
  attach: z.object({
    session,
    order,
    key,
    ringId: hexId,
    directory: text,
    chunk,
    /** While a rotation is under way: where the ring writes unless it has switched. */
    previous: z.object({ chunk, directory: text }).exactOptional(),
    channelName: text,
    /** Of a session that keeps events in its buffers: the name whose freezes it hears. */
    sessionName: text.exactOptional(),
    /** Those of other hosts, too. */
    othersFreeze: z.boolean().exactOptional(),
    filePrefix: text,
    streamClassId: uint32,
    streamInstanceBase: uint32,
    uuid: hexId,
    geometry,
    readTimerUs: uint32,
    switchTimerUs: uint32,
    /** Somebody may be watching: what is recorded is written out at once. */
    live: z.boolean().default(false),
    tracefileSize: z.int().min(0),
    tracefileCount: uint32,
    /** The directory is in the spool of a link. */
    spooled: z.boolean().default(false),
    /** When memory of consumed sub-buffers is given back by itself. */
    reclaim: z.object({ policy: z.enum(['off', 'consumed', 'older-than']), ageUs: count53 }).exactOptional(),
    plan,
  }),
  flush: z.object({ session }),
  /** What is not later than `at` lies in the files of before, the rest goes to `directory`. */
  rotate: z.object({ session, ringId: hexId, chunk, directory: text, at: count64, layout: z.base64() }),
  /** `from` goes to `to`, both relative to `output`; an empty `from`: the traces that lie in the output itself. */
  archive: z.object({ session, output: text, from: z.string(), to: text }),
  /** Everything of the session below `directory` is emptied. */
  clear: z.object({ session, directory: text }),
  plan: z.object({ session, plan }),
  /** What the rings hold goes to these directories, which are there. */
  snapshot: z.object({
    session,
    rings: z.array(z.object({ ringId: hexId, directory: text })),
    maxStreamBytes: count53,
    /** The freeze that holds the rings until they are copied, and where all of the snapshot lies. */
    freeze: z.object({ id: freezeId, path: text }).exactOptional(),
  }),
  /** What a freeze recorded there is whole, with its metadata. */
  'snapshot-end': z.object({ session, path: text }),
  /** Memory of sub-buffers whose last event is older than `ageUs`; `wait`: what is complete is taken first. */
  reclaim: z.object({ session, ringIds: z.array(hexId), ageUs: count53, wait: z.boolean() }),
  detach: z.object({ session, order, ringId: hexId.exactOptional() }),
  /** Decoded events on the bus for so long; `name`: of the session, in the subject. */
  watch: z.object({
    session,
    name: text,
    leaseMs: z.int().min(1).max(60_000),
    perSecond: z.int().min(1).max(1_000_000),
    filter: text.nullable().exactOptional(),
  }),
  stats: z.object({ session }),
  freeze: z.object({ session, freeze: freezeMessage.omit({ v: true, owner: true }).extend({ host: text }) }),
  'link-open': z.object({
    session,
    /** Absent: the session's id. */
    link: hexId.exactOptional(),
    sessionName: text,
    output: text,
    destination: destinationSchema,
    liveTimerUs: uint32.nullable(),
    hostname: text,
    createdAt: text,
    compress: z.boolean(),
    spoolLimit: bytes,
    /** Of the other end's files, by channel; `whole`: one ring for all CPUs, so the prefix is the name (absent: nobody says). */
    tracefiles: z.array(z.object({ prefix: text, size: bytes, count: uint32, whole: z.boolean().exactOptional() })),
    /** That will be attached: until then their readers may write again what lies in the spool. */
    rings: z.array(hexId).default([]),
  }),
  'link-status': z.object({ session }),
  /** `operations`: those that are noted now, and the packets before them. */
  'link-drain': z.object({ session, timeoutMs: drainMs, what: z.enum(['all', 'operations']).exactOptional() }),
  'link-close': z.object({ session, timeoutMs: drainMs }),
  /** Of a snapshot that failed: nothing of it was sent. */
  'spool-remove': z.object({ session, output: text }),
  shutdown: z.object({}),
} as const;

export type ConsumerVerb = keyof typeof CONSUMER_REQUESTS;
export type ConsumerRequest<V extends ConsumerVerb> = z.output<(typeof CONSUMER_REQUESTS)[V]>;
export type AttachRequest = ConsumerRequest<'attach'>;

/** Over the socket pair. */
export const linkMessage = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('credentials') }),
  z.object({ kind: z.literal('ring'), ringId: hexId }),
  z.object({ kind: z.literal('map'), mapId: hexId }),
  z.object({ kind: z.literal('map-gone'), mapId: hexId }),
]);
