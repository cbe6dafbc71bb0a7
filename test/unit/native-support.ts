/** A writer of rings for tests of the native module: follows native/ring/layout.h through file writes, with the module's own offsets. */
import { mkdtempSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EventClass } from '../../machines/document.ts';
import { loadBinding } from '../../native/addon/binding.ts';
import { type Geometry, loadNative, type ReaderNews, type ReaderOptions, type RingSetFds } from '../../native/addon/index.ts';

export const native = loadNative();
export const layout = loadBinding().constants as Readonly<Record<string, number>>;

export const GEOMETRY: Geometry = {
  cpuCount: 1,
  subbufSize: 4096,
  subbufCount: 8,
  mode: 'discard',
  sync: 'rseq',
  allocation: 'per-cpu',
};
export const RING_ID = '000102030405060708090a0b0c0d0e0f';
export const EVENT_BYTES = 64;

export const temporary = (): { readonly path: string; [Symbol.dispose](): void } => {
  const path = mkdtempSync(join(tmpdir(), 'weft-native-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
};

export const openFds = (): number => readdirSync('/proc/self/fd').length;

/** `ringFdLent`: a second descriptor, for a reader to take. */
export type TestRings = RingSetFds & { readonly ringFdLent: number };

export const makeRings = (geometry: Geometry = GEOMETRY): TestRings => {
  const cpus = Array.from({ length: geometry.cpuCount }, (_, cpu) => cpu);
  const rings = native.createRingSet({ ringId: RING_ID, geometry, cpus });
  return { ...rings, ringFdLent: openSync(`/proc/self/fd/${rings.ringFd}`, 'r+') };
};

export const readerOptions = (rings: TestRings, directory: string, geometry: Geometry = GEOMETRY): ReaderOptions => ({
  ringFd: rings.ringFdLent,
  readerFd: rings.readerFd,
  ringId: RING_ID,
  geometry,
  directory,
  filePrefix: 'ch',
  uuid: RING_ID,
  streamClassId: 0,
  streamInstanceBase: 0,
  readTimerUs: 20_000,
  switchTimerUs: 0,
  chunk: 0,
  tracefileSize: 0,
  tracefileCount: 0,
});

const word = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};

/** CPU 0's control page lies behind the set header. */
export const controlAt = (field: string): number => layout.page! + layout[field]!;

/** Where CPU 0's data lie in a set of one ring. */
const dataAt = (): number => {
  const page = layout.page!;
  const control = layout.ringTable! + 2 * GEOMETRY.subbufCount * layout.entrySize!;
  return page + Math.ceil(control / page) * page;
};

const RECORD_HEADER_BYTES = 13;
const EXTENDED = 31;

/** How the writer's records lie: encodeLayout of them. */
export const eventClass: EventClass = {
  id: 0,
  channel: 0,
  description: {
    name: 'test:number',
    logLevel: null,
    modelEmfUri: '',
    fields: [
      {
        name: 'number',
        nowrite: false,
        type: { kind: 'integer', integer: { bits: 32, signed: false, reverse: false, base: 10 } },
      },
      {
        name: 'rest',
        nowrite: false,
        type: {
          kind: 'array',
          length: EVENT_BYTES - RECORD_HEADER_BYTES - 4,
          text: false,
          element: { bits: 8, signed: false, reverse: false, base: 10 },
        },
      },
    ],
  },
};

/** Events of EVENT_BYTES with numbers from 0 on, those of one call all of one moment, into CPU 0's first sub-buffer. They must fit. */
export class RingWriter {
  #position = 0n;
  #slot = 0n;
  readonly #fd: number;

  constructor(ringFd: number) {
    this.#fd = ringFd;
  }

  emit(count: number, timestamp: bigint = process.hrtime.bigint()): void {
    for (let i = 0; i < count; i++) {
      const record = Buffer.alloc(EVENT_BYTES);
      record.writeUInt8(EXTENDED, 0);
      record.writeBigUInt64LE(timestamp, 5);
      record.writeUInt32LE(Number(this.#position) / EVENT_BYTES, RECORD_HEADER_BYTES);
      writeSync(this.#fd, record, 0, EVENT_BYTES, dataAt() + Number(this.#position));
      this.#position += BigInt(EVENT_BYTES);
    }
    this.#slot ^= 1n;
    const slot = controlAt('ringSlot') + Number(this.#slot) * 16;
    writeSync(this.#fd, word(timestamp), 0, 8, slot);
    writeSync(this.#fd, word(this.#position / BigInt(EVENT_BYTES)), 0, 8, slot + 8);
    this.setPosition((this.#position << BigInt(layout.positionShift!)) | this.#slot);
  }

  setPosition(value: bigint): void {
    writeSync(this.#fd, word(value), 0, 8, controlAt('ringPosition'));
  }
}

/** Collects news and lets a test wait for some. */
export class News {
  readonly all: ReaderNews[] = [];
  #wake: (() => void) | null = null;
  readonly listener = (news: ReaderNews): void => {
    this.all.push(news);
    this.#wake?.();
  };

  async until<K extends ReaderNews['kind']>(kind: K): Promise<Extract<ReaderNews, { kind: K }>> {
    for (;;) {
      const found = this.all.find((news): news is Extract<ReaderNews, { kind: K }> => news.kind === kind);
      if (found) return found;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
