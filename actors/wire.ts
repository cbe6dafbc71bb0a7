/**
 * native/ust/wire.h: what applications and the session daemon say to each other. One table for both directions; whatever an
 * application sends is held against limits here, and a message that breaks one ends its connection.
 */
import type { ContextType, Field, PointDescription } from '../machines/document.ts';
import type { Geometry, MapGeometry } from '../native/addon/index.ts';
import type { PlacedCapture } from '../rules/capture.ts';
import { CAPTURES_MAX, type CapturedValue, capturedValue, placedCapture } from './wire-capture.ts';
import {
  anyText,
  blob,
  type Codec,
  Cursor,
  flag,
  hex,
  i32,
  list,
  mapped,
  oneOf,
  string,
  struct,
  u8,
  u16,
  u32,
  u64,
  WireError,
  Writer,
  zeros,
} from './wire-codec.ts';
import { wireContext } from './wire-context.ts';
import { field } from './wire-field.ts';

export const WIRE_ABI = 1;
const HEADER_SIZE = 8;
const LOGLEVEL_NONE = -(2 ** 31);
const NAME_MAX = 4096;
const FIELDS_MAX = 1024;
/** WEFT_BYTECODE_MAX. */
const FILTER_MAX = 65535;

const CONTEXTS_MAX = 64;

const geometry: Codec<Geometry> = mapped(
  struct<{
    cpuCount: number;
    subbufSize: number;
    subbufCount: number;
    mode: 'discard' | 'overwrite';
    sync: 'rseq' | 'lock';
    allocation: 'per-cpu' | 'per-channel';
    reserved: null;
  }>({
    cpuCount: u32,
    subbufSize: u32,
    subbufCount: u32,
    mode: oneOf({ discard: 0, overwrite: 1 }, u8),
    sync: oneOf({ rseq: 0, lock: 1 }, u8),
    allocation: oneOf({ 'per-cpu': 0, 'per-channel': 1 }, u8),
    reserved: zeros(1),
  }),
  ({ reserved: _, ...rest }) => rest,
  (value) => ({ ...value, reserved: null }),
);

const mapGeometry: Codec<MapGeometry> = struct<{ cpuCount: number; slots: number; bits: 32 | 64 }>({
  cpuCount: u32,
  slots: u32,
  bits: mapped(
    u32,
    (bits) => {
      if (bits !== 32 && bits !== 64) throw new WireError(`${bits} bits are no counter`);
      return bits;
    },
    (bits) => bits,
  ),
});

const pointName: Codec<string> = mapped(
  string(NAME_MAX),
  (name) => {
    if (!/^[^:\p{Cc}]+:[^\p{Cc}]+$/u.test(name)) throw new WireError(`\`${name}\` is no provider:name`);
    return name;
  },
  (name) => name,
);

const logLevel: Codec<number | null> = mapped(
  i32,
  (level) => (level === LOGLEVEL_NONE ? null : level),
  (level) => level ?? LOGLEVEL_NONE,
);

interface PointMessage extends PointDescription {
  readonly point: number;
}

const MESSAGES = {
  hello: {
    type: 1,
    body: struct<{ abi: number; pid: number; bits: number; rseq: boolean; reserved: null; procname: string; path: string }>({
      abi: u32,
      pid: u32,
      bits: u8,
      rseq: flag,
      reserved: zeros(2),
      procname: anyText(64),
      path: anyText(NAME_MAX),
    }),
  },
  point: {
    type: 2,
    body: struct<{ point: number; logLevel: number | null; name: string; modelEmfUri: string; fields: readonly Field[] }>({
      point: u32,
      logLevel,
      name: pointName,
      modelEmfUri: string(NAME_MAX),
      fields: list(u16, field, FIELDS_MAX),
    }) as Codec<PointMessage>,
  },
  pointGone: { type: 3, body: struct<{ point: number }>({ point: u32 }) },
  ready: { type: 4, body: struct<{ batch: number }>({ batch: u32 }) },
  ack: { type: 5, body: struct<{ command: number; status: number }>({ command: u32, status: i32 }) },
  needMemory: { type: 7, body: struct<{ channel: number; cpu: number }>({ channel: u32, cpu: u32 }) },
  welcome: { type: 64, body: struct<{ abi: number; application: number }>({ abi: u32, application: u32 }) },
  refused: { type: 65, body: struct<{ reason: string }>({ reason: string(NAME_MAX) }) },
  attach: {
    type: 66,
    body: struct<{
      command: number;
      channel: number;
      ringId: string;
      geometry: Geometry;
      contexts: readonly ContextType[];
      blockingNs: bigint;
    }>({
      command: u32,
      channel: u32,
      ringId: hex(16),
      geometry,
      contexts: list(u16, wireContext, CONTEXTS_MAX),
      blockingNs: u64,
    }),
  },
  enable: {
    type: 67,
    body: struct<{ command: number; channel: number; point: number; eventId: number; filter: Buffer }>({
      command: u32,
      channel: u32,
      point: u32,
      eventId: u32,
      filter: blob(FILTER_MAX),
    }),
  },
  disable: {
    type: 68,
    body: struct<{ command: number; channel: number; point: number }>({ command: u32, channel: u32, point: u32 }),
  },
  start: { type: 69, body: struct<{ command: number; channel: number }>({ command: u32, channel: u32 }) },
  stop: { type: 70, body: struct<{ command: number; channel: number }>({ command: u32, channel: u32 }) },
  detach: { type: 71, body: struct<{ command: number; channel: number }>({ command: u32, channel: u32 }) },
  watch: {
    type: 73,
    body: struct<{
      command: number;
      watch: number;
      point: number;
      filter: Buffer;
      captures: readonly PlacedCapture[];
    }>({
      command: u32,
      watch: u32,
      point: u32,
      filter: blob(FILTER_MAX),
      captures: list(u16, placedCapture, CAPTURES_MAX),
    }),
  },
  unwatch: {
    type: 74,
    body: struct<{ command: number; watch: number; point: number }>({ command: u32, watch: u32, point: u32 }),
  },
  map: {
    type: 75,
    body: struct<{ command: number; map: number; mapId: string; geometry: MapGeometry }>({
      command: u32,
      map: u32,
      mapId: hex(16),
      geometry: mapGeometry,
    }),
  },
  count: {
    type: 76,
    body: struct<{
      command: number;
      watch: number;
      point: number;
      map: number;
      slot: number;
      once: boolean;
      filter: Buffer;
    }>({ command: u32, watch: u32, point: u32, map: u32, slot: u32, once: flag, filter: blob(FILTER_MAX) }),
  },
  uncount: {
    type: 77,
    body: struct<{ command: number; watch: number; point: number }>({ command: u32, watch: u32, point: u32 }),
  },
  unmap: { type: 78, body: struct<{ command: number; map: number }>({ command: u32, map: u32 }) },
  statedump: { type: 79, body: struct<{ command: number; channel: number }>({ command: u32, channel: u32 }) },
  fired: {
    type: 6,
    body: struct<{
      watch: number;
      point: number;
      timestamp: bigint;
      discarded: number;
      captures: readonly CapturedValue[];
    }>({ watch: u32, point: u32, timestamp: u64, discarded: u32, captures: list(u16, capturedValue, CAPTURES_MAX) }),
  },
  synced: { type: 72, body: struct<{ batch: number; complete: boolean }>({ batch: u32, complete: flag }) },
} as const;

export type MessageName = keyof typeof MESSAGES;
type BodyOf<N extends MessageName> = (typeof MESSAGES)[N]['body'] extends Codec<infer T> ? T : never;
export type WireMessage = { [N in MessageName]: { readonly kind: N } & BodyOf<N> }[MessageName];
export type MessageOf<N extends MessageName> = Extract<WireMessage, { readonly kind: N }>;
/** What an application may say. */
export type FromApplication = MessageOf<'hello' | 'point' | 'pointGone' | 'ready' | 'ack' | 'fired' | 'needMemory'>;
/** What the daemon may say. */
export type ToApplication = Exclude<WireMessage, FromApplication>;

export const encodeWire = <N extends MessageName>(kind: N, fields: BodyOf<N>): Buffer => {
  const { type, body } = MESSAGES[kind];
  const writer = new Writer();
  (body as Codec<BodyOf<N>>).write(writer, fields);
  const bytes = writer.bytes();
  const header = Buffer.alloc(HEADER_SIZE);
  header.writeUInt16LE(type, 0);
  header.writeUInt32LE(HEADER_SIZE + bytes.length, 4);
  return Buffer.concat([header, bytes]);
};

/** Throws WireError: short, too long, unknown, or beyond a limit. */
export const decodeWire = (bytes: Buffer): WireMessage => {
  const cursor = new Cursor(bytes);
  const type = u16.read(cursor);
  zeros(2).read(cursor);
  const length = u32.read(cursor);
  if (length !== bytes.length) throw new WireError(`its length says ${length}, it has ${bytes.length} bytes`);
  const kind = (Object.keys(MESSAGES) as MessageName[]).find((known) => MESSAGES[known].type === type);
  if (!kind) throw new WireError(`message type ${type} is unknown`);
  const body = (MESSAGES[kind].body as Codec<object>).read(cursor);
  if (cursor.left > 0) throw new WireError(`${cursor.left} bytes follow its end`);
  return { kind, ...body } as WireMessage;
};

const isFromApplication = (message: WireMessage): message is FromApplication => MESSAGES[message.kind].type < 64;

/** What came from an application. */
export const decodeFromApplication = (bytes: Buffer): FromApplication => {
  const message = decodeWire(bytes);
  if (!isFromApplication(message)) throw new WireError(`an application does not say ${message.kind}`);
  return message;
};
