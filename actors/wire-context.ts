/** A context as ATTACH names it (native/ust/wire.h). */
import {
  applicationContext,
  counterOf,
  counterSpelling,
  FIXED_CONTEXTS,
  fixedNumber,
  isContextType,
  isFixedContext,
} from '../machines/contexts.ts';
import type { ContextType } from '../machines/document.ts';
import { type Codec, countedBytes, mapped, struct, u16, WireError } from './wire-codec.ts';

const PERF_THREAD = 21;
const APPLICATION = 22;
const BYTES_MAX = 255;
const COUNTER_BYTES = 12;

interface Wired {
  readonly type: number;
  readonly bytes: Buffer;
}

const toWire = (context: ContextType): Wired => {
  if (isFixedContext(context)) return { type: fixedNumber(context), bytes: Buffer.alloc(0) };
  const counter = counterOf(context);
  if (!counter) return { type: APPLICATION, bytes: Buffer.from(applicationContext(context) ?? '') };
  const bytes = Buffer.alloc(COUNTER_BYTES);
  bytes.writeUInt32LE(counter.type, 0);
  bytes.writeBigUInt64LE(counter.config, 4);
  return { type: PERF_THREAD, bytes };
};

const named = ({ type, bytes }: Wired): ContextType | null => {
  if (type === APPLICATION) {
    const context = `$app.${bytes.toString('utf8')}`;
    return isContextType(context) ? context : null;
  }
  if (type === PERF_THREAD && bytes.length === COUNTER_BYTES) {
    return counterSpelling({ type: bytes.readUInt32LE(0), config: bytes.readBigUInt64LE(4) });
  }
  return (bytes.length === 0 && FIXED_CONTEXTS.find((name) => fixedNumber(name) === type)) || null;
};

export const wireContext: Codec<ContextType> = mapped(
  struct<{ type: number; bytes: Buffer }>({ type: u16, bytes: countedBytes(BYTES_MAX) }),
  (wired) => {
    const context = named(wired);
    if (context === null) throw new WireError(`context ${wired.type} is unknown`);
    return context;
  },
  toWire,
);
