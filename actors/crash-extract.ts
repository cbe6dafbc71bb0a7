/** A ring set's files, read by whoever may: they and their description may hold anything. */
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { type RingDescription, readDescription } from '../ctf/ring-description.ts';
import { loadNative } from '../native/addon/index.ts';

/** So much of a stream's file in the written trace its reader answers for; what lies behind was being written. */
export interface Written {
  readonly stream: string;
  /** Of the file that was being written (see `--tracefile-size`). */
  readonly number: string;
  readonly bytes: string;
}

export interface Extracted {
  readonly file: string;
  readonly directory: string;
  readonly packets: number;
  readonly events: number;
  /** Rings whose memory is no ring. */
  readonly refused: number;
  readonly output: string;
  readonly trace: string;
  readonly written: readonly Written[];
}

/** Of struct weft_reader_page and weft_reader_state (native/ring/layout.h). */
const PAGE = 4096;
const SELECTOR = 64;
const STATES = 128;
const FILE_BYTES = 56;
const FILE_NUMBER = 72;

const openPart = (path: string): number => {
  // A pipe of that name must not hang us.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new Error(`${path} is no file`);
};

const describe = (file: string): RingDescription => {
  try {
    return readDescription(readFileSync(`${file}.json`, 'utf8'));
  } catch (thrown) {
    throw new Error(`its description cannot be used: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
};

const writtenBy = (readerFd: number, { geometry, filePrefix }: RingDescription): Written[] => {
  const page = Buffer.alloc(PAGE);
  return Array.from({ length: geometry.cpuCount }, (_, cpu) => {
    page.fill(0);
    readSync(readerFd, page, 0, PAGE, cpu * PAGE);
    const state = STATES * (1 + (page.readUInt32LE(SELECTOR) & 1));
    return {
      stream: geometry.allocation === 'per-channel' ? filePrefix : `${filePrefix}_${cpu}`,
      number: page.readBigUInt64LE(state + FILE_NUMBER).toString(),
      bytes: page.readBigUInt64LE(state + FILE_BYTES).toString(),
    };
  });
};

/** Throws why nothing can be made of it. `directory` is a trace directory without files of this ring set. */
export const extractRing = (file: string, directory: string, what: 'unread' | 'whole'): Extracted => {
  const description = describe(file);
  const fds: number[] = [];
  try {
    const ringFd = openPart(`${file}.ring`);
    fds.push(ringFd);
    const readerFd = openPart(`${file}.reader`);
    fds.push(readerFd);
    const { uuid, ringId, geometry, filePrefix, streamClassId, streamInstanceBase, output, trace } = description;
    const options = {
      ringFd,
      readerFd,
      ringId,
      geometry,
      directory,
      filePrefix,
      uuid,
      streamClassId,
      streamInstanceBase,
      what,
    };
    const { packets, events, refused } = loadNative().extractRings(options);
    const counts = { packets: Number(packets), events: Number(events), refused: Number(refused) };
    return { file, directory, ...counts, output, trace, written: writtenBy(readerFd, description) };
  } finally {
    for (const fd of fds) closeSync(fd);
  }
};
