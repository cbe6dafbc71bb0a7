/**
 * What a link says to a relay (docs/contracts-network.md), read by hand: a relay reads thousands of these in a second, from hosts that
 * it does not trust. Nothing that a relay could not write below its directory gets past here.
 */
import { z } from 'zod';
import { isPlainName, isPlainPath } from '../machines/plain-names.ts';
import type { Body } from './bus.ts';
import { type FreezeNote, parseFreezeNote } from './freeze-message.ts';
import { envelope, hexId, type Parsed, parseMessage, text } from './schema.ts';

export const PART_BYTES_MAX = 256 << 10;
const PATH_BYTES_MAX = 1024;
const METADATA_PART_MAX = 512 << 10;
const PARTS_MAX = 1 << 16;
const NUMBER_MAX = Number.MAX_SAFE_INTEGER;
const INDEX_ENTRY_BYTES = 72;
/** Indexes and viewers have 64 bits for a time. */
const TIME_BITS = 64;
const STREAMS_MAX = 1 << 14;

/** A message that no relay can ever take. */
export class LinkDataError extends Error {}

export interface PacketMessage {
  readonly kind: 'packet';
  readonly path: string;
  readonly number: number;
  readonly index: Uint8Array;
  readonly part: number;
  readonly parts: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly zstd: boolean;
  readonly tracefileSize: number;
  readonly tracefileCount: number;
}

export interface MetadataMessage {
  readonly kind: 'metadata';
  readonly path: string;
  readonly text: string;
  readonly first: boolean;
  readonly more: boolean;
}

export type OpMessage = { readonly kind: 'op'; readonly number: number } & (
  | { readonly op: 'archive'; readonly from: string; readonly to: string }
  | { readonly op: 'clear'; readonly directory: string }
  | { readonly op: 'freeze'; readonly note: FreezeNote }
  | { readonly op: 'close' }
);

export interface BeatMessage {
  readonly kind: 'beat';
  /** CLOCK_MONOTONIC of the host, ns. */
  readonly clock: bigint;
  readonly paths: readonly string[];
}

export type LinkData = { readonly epoch: number; readonly n: number } & (
  | PacketMessage
  | MetadataMessage
  | OpMessage
  | BeatMessage
);

const bad = (field: string): never => {
  throw new LinkDataError(`field \`${field}\` is wrong`);
};

const integer = (body: Body, field: string, max: number, absent?: number): number => {
  const value = body[field] === undefined && absent !== undefined ? absent : body[field];
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max ? value : bad(field);
};

const bytes = (body: Body, field: string, max: number): Uint8Array => {
  const value = body[field];
  return value instanceof Uint8Array && value.length > 0 && value.length <= max ? value : bad(field);
};

const words = (body: Body, field: string, max: number): string => {
  const value = body[field];
  return typeof value === 'string' && value.length <= max ? value : bad(field);
};

const flag = (body: Body, field: string): boolean => {
  const value = body[field] ?? false;
  return typeof value === 'boolean' ? value : bad(field);
};

const pathIn = (body: Body, field: string): string => {
  const value = words(body, field, PATH_BYTES_MAX);
  return isPlainPath(value) ? value : bad(field);
};

/** A stream file: in a directory of its own trace, and neither its metadata nor an index. */
const streamPath = (body: Body): string => {
  const path = pathIn(body, 'path');
  const parts = path.split('/');
  const taken = parts.at(-1) === 'metadata' || parts.includes('index') || parts.length < 2;
  return taken ? bad('path') : path;
};

const packet = (body: Body): PacketMessage => {
  const parts = integer(body, 'parts', PARTS_MAX);
  const part = integer(body, 'part', PARTS_MAX);
  const index = bytes(body, 'index', INDEX_ENTRY_BYTES);
  if (part >= parts) bad('part');
  if (index.length !== INDEX_ENTRY_BYTES) bad('index');
  return {
    kind: 'packet',
    path: streamPath(body),
    number: integer(body, 'number', NUMBER_MAX),
    index,
    part,
    parts,
    offset: integer(body, 'offset', NUMBER_MAX),
    bytes: bytes(body, 'bytes', PART_BYTES_MAX),
    zstd: flag(body, 'zstd'),
    tracefileSize: integer(body, 'tracefileSize', NUMBER_MAX, 0),
    tracefileCount: integer(body, 'tracefileCount', 0xffff_ffff, 0),
  };
};

const metadata = (body: Body): MetadataMessage => ({
  kind: 'metadata',
  path: pathIn(body, 'path'),
  text: words(body, 'text', METADATA_PART_MAX),
  // A text that comes whole needs neither.
  first: body.first === undefined ? true : flag(body, 'first'),
  more: flag(body, 'more'),
});

/** Of a chunk; empty: the output itself. */
const chunkPath = (body: Body, field: string): string => (body[field] === '' ? '' : pathIn(body, field));

const op = (body: Body): OpMessage => {
  const number = integer(body, 'number', NUMBER_MAX);
  if (body.op === 'close') return { kind: 'op', number, op: 'close' };
  if (body.op === 'clear') return { kind: 'op', number, op: 'clear', directory: chunkPath(body, 'directory') };
  if (body.op === 'freeze') return { kind: 'op', number, op: 'freeze', note: parseFreezeNote(body.note) ?? bad('note') };
  if (body.op !== 'archive') bad('op');
  return { kind: 'op', number, op: 'archive', from: chunkPath(body, 'from'), to: pathIn(body, 'to') };
};

/** Null: none that fits an index. */
const time = (value: unknown): bigint | null => {
  if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) return null;
  const ns = BigInt(value as bigint | number);
  return ns >= 0n && ns === BigInt.asUintN(TIME_BITS, ns) ? ns : null;
};

const beat = (body: Body): BeatMessage => {
  const { clock, paths } = body;
  if (!Array.isArray(paths) || paths.length > STREAMS_MAX) return bad('paths');
  return {
    kind: 'beat',
    clock: time(clock) ?? bad('clock'),
    paths: paths.map((path: unknown) => (typeof path === 'string' ? path : bad('paths'))),
  };
};

const KINDS: Readonly<Record<string, (body: Body) => PacketMessage | MetadataMessage | OpMessage | BeatMessage>> = {
  packet,
  metadata,
  op,
  beat,
};

/** Where a message belongs, whatever else is wrong with it; null: nowhere. */
export const orderOf = (body: Body): { readonly epoch: number; readonly n: number } | null => {
  const { epoch, n } = body;
  const right = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
  return right(epoch) && right(n) && n > 0 ? { epoch, n } : null;
};

/** Throws LinkDataError. */
export const parseLinkData = (body: Body): LinkData => {
  const order = orderOf(body);
  if (!order) return bad('n');
  const { kind } = body;
  if (typeof kind !== 'string' || !Object.hasOwn(KINDS, kind)) return bad('kind');
  return { ...order, ...KINDS[kind]!(body) };
};

const plainName = z.string().refine(isPlainName, 'it cannot name a directory');

const openRequest = z.object({
  ...envelope,
  host: plainName,
  uid: z.union([z.int().min(0), text]).transform(String),
  owner: z.union([z.int().min(0), text]).transform(String),
  link: hexId,
  epoch: z.int().min(0),
  session: plainName,
  createdAt: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/, 'ISO 8601 is needed'),
  live: z.union([z.boolean(), z.int().min(0).max(0xffff_ffff)]).default(false),
  subdir: z
    .string()
    .refine((path) => path === '' || isPlainPath(path), 'it is no path below the session’s directory')
    .nullish()
    .transform((path) => path ?? ''),
});

export type OpenRequest = z.output<typeof openRequest>;

export const parseOpenRequest = (body: Body): Parsed<OpenRequest> => parseMessage(openRequest, body);
export const openRequestSchema = openRequest;
