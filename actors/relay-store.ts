/**
 * What a relay holds of one link: a directory, its streams, traces and operations. What is in the files is the truth; the record
 * beside them says whose they are, and which operation was the last.
 */
import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join, relative } from 'node:path';
import { FREEZE_NOTE, type FreezeNote } from '../transport/freeze-message.ts';
import {
  LinkDataError,
  type MetadataMessage,
  type OpenRequest,
  type OpMessage,
  type PacketMessage,
} from '../transport/link-data.ts';
import { writeWhole } from '../transport/private-file.ts';
import type { RelayDisk } from './relay-disk.ts';
import { type Limits, RelayStream } from './relay-stream.ts';

export const RECORD = '.weft-link.json';
/** Like the traces beside it. */
const NOTE_MODE = 0o640;
const STREAMS_MAX = 1 << 14;
const TRACES_MAX = 1 << 12;
const METADATA_BYTES_MAX = 64 << 20;
/** The directory of traces of a chunk that lies in the output itself. */
const TRACES = 'ust';

export interface LinkRecord {
  readonly v: 1;
  readonly link: string;
  readonly host: string;
  readonly uid: string;
  readonly owner: string;
  readonly session: string;
  readonly createdAt: string;
  readonly subdir: string;
  readonly epoch: number;
  readonly ops: number;
  readonly closed: boolean;
  /** Of streams that are split into files. */
  readonly limits: Readonly<Record<string, Limits>>;
}

export type Identity = Pick<OpenRequest, 'link' | 'host' | 'uid' | 'owner' | 'session' | 'createdAt' | 'subdir'>;

/** Null: none, or none of this version. */
export const readRecord = (directory: string): LinkRecord | null => {
  try {
    const record = JSON.parse(readFileSync(join(directory, RECORD), 'utf8')) as LinkRecord;
    return record.v === 1 ? record : null;
  } catch {
    return null;
  }
};

export interface Trace {
  path: string;
  text: string;
  /** Its chunk was archived or its session closed: nothing is added. */
  ended: boolean;
}

const inside = (directory: string, path: string): boolean => directory === '' || path.startsWith(`${directory}/`);

export class LinkStore {
  readonly disk: RelayDisk;
  readonly base: string;
  readonly root: string;
  readonly streams = new Map<string, RelayStream>();
  readonly traces = new Map<string, Trace>();
  readonly allowClear: boolean;
  /** What viewers call it. */
  readonly number: bigint;
  record: LinkRecord;
  /** Nothing comes any more: the session ended, or its sender is gone. */
  over = false;
  /** Between beats; 0: not live. */
  liveUs = 0;
  /** Whether anything of it is on the disk. */
  present: boolean;
  #dirty = new Set<RelayStream>();
  #texts = new Map<string, string>();
  #dirtyTexts = new Set<string>();
  #committing: Promise<void> | null = null;

  constructor(disk: RelayDisk, base: string, identity: Identity, options: { allowClear: boolean; number: bigint }) {
    this.disk = disk;
    this.number = options.number;
    this.base = base;
    this.root = identity.subdir === '' ? base : join(base, identity.subdir);
    this.allowClear = options.allowClear;
    const known = readRecord(base);
    this.present = known !== null;
    this.record = known ?? { v: 1, ...identity, epoch: -1, ops: 0, closed: false, limits: {} };
    if (known) this.#recover();
  }

  get identity(): Identity {
    const { link, host, uid, owner, session, createdAt, subdir } = this.record;
    return { link, host, uid, owner, session, createdAt, subdir };
  }

  /** The first message of an opening: from now on it is this one's. */
  take(epoch: number): void {
    this.disk.makeDirectory(this.root);
    this.#write({ epoch });
    this.present = true;
    for (const stream of this.streams.values()) stream.forgetPartial();
    this.#texts.clear();
  }

  /** What is certain to be there after a power cut. */
  durable(): { path: string; number: number }[] {
    return [...this.streams.values()]
      .filter(({ durable }) => durable >= 0)
      .map(({ path, durable }) => ({ path, number: durable }));
  }

  get dirty(): boolean {
    return this.#dirty.size > 0 || this.#dirtyTexts.size > 0;
  }

  packet(message: PacketMessage): void {
    const stream = this.streams.get(message.path) ?? this.#add(message);
    if (stream.take(message)) this.#dirty.add(stream);
  }

  metadata({ path, text, first, more }: MetadataMessage): void {
    const whole = (first ? '' : (this.#texts.get(path) ?? '')) + text;
    if (whole.length > METADATA_BYTES_MAX) throw new LinkDataError(`metadata of more than ${METADATA_BYTES_MAX} bytes`);
    if (more) {
      if (this.#texts.size > TRACES_MAX) throw new LinkDataError(`more than ${TRACES_MAX} traces`);
      this.#texts.set(path, whole);
      return;
    }
    this.#texts.delete(path);
    this.#writeText(path, whole);
    const trace = this.traces.get(path) ?? this.#addTrace(path);
    trace.text = whole;
  }

  beat(clock: bigint, paths: readonly string[]): void {
    for (const path of paths) {
      const stream = this.streams.get(path);
      if (stream && clock > stream.beacon) stream.beacon = clock;
    }
  }

  /** Done again, after a death between the files and the record, it changes nothing. */
  operate(message: OpMessage): void {
    if (message.number <= this.record.ops) return;
    if (message.op === 'archive') this.#archive(message.from, message.to);
    if (message.op === 'clear' && this.allowClear) this.#clear(message.directory);
    if (message.op === 'freeze') this.#writeNote(message.note);
    if (message.op === 'close') this.over = true;
    this.#write({ ops: message.number, closed: message.op === 'close' });
  }

  /** Resolves when all that was taken before is durable. One at a time; throws what the disk says. */
  async commit(): Promise<void> {
    while (this.#committing) await this.#committing.catch(() => {});
    const commit = this.#toDisk();
    this.#committing = commit;
    try {
      await commit;
    } finally {
      this.#committing = null;
    }
  }

  async #toDisk(): Promise<void> {
    const streams = [...this.#dirty].map((stream) => ({
      stream,
      number: stream.tail.number,
      touched: new Set(stream.touched),
      files: stream.takeTouched(),
    }));
    const texts = [...this.#dirtyTexts];
    this.#dirty = new Set();
    this.#dirtyTexts = new Set();
    try {
      await this.disk.sync([...streams.flatMap(({ files }) => files), ...texts.map((path) => this.#metadataPath(path))]);
    } catch (thrown) {
      for (const { stream, touched } of streams) {
        this.#dirty.add(stream);
        for (const file of touched) stream.touched.add(file);
      }
      for (const path of texts) this.#dirtyTexts.add(path);
      throw thrown;
    }
    for (const { stream, number } of streams) stream.durable = Math.max(stream.durable, number);
  }

  #add({ path, tracefileSize, tracefileCount }: PacketMessage): RelayStream {
    if (this.streams.size >= STREAMS_MAX) throw new LinkDataError(`more than ${STREAMS_MAX} streams`);
    const limits = { size: tracefileSize, count: tracefileCount };
    if (limits.size > 0) this.#write({ limits: { ...this.record.limits, [path]: limits } });
    const stream = new RelayStream(this.disk, this.root, path, limits);
    this.streams.set(path, stream);
    return stream;
  }

  #addTrace(path: string): Trace {
    if (this.traces.size >= TRACES_MAX) throw new LinkDataError(`more than ${TRACES_MAX} traces`);
    const trace = { path, text: '', ended: false };
    this.traces.set(path, trace);
    return trace;
  }

  #metadataPath(path: string): string {
    return join(this.root, path, 'metadata');
  }

  /** Written beside and renamed: whoever reads the trace meanwhile finds a whole text. */
  #writeText(path: string, text: string): void {
    const target = this.#metadataPath(path);
    const beside = `${target}.tmp`;
    this.disk.remove(beside);
    this.disk.write(beside, 0, Buffer.from(text));
    this.disk.drop(beside);
    this.disk.drop(target);
    renameSync(beside, target);
    this.#dirtyTexts.add(path);
  }

  #archive(from: string, to: string): void {
    const [source, target] = from === '' ? [TRACES, `${to}/${TRACES}`] : [from, to];
    this.disk.drop(join(this.root, source));
    this.disk.move(join(this.root, source), join(this.root, target));
    this.disk.makeDirectory(join(this.root, to));
    const moved = (path: string): string => `${target}${path.slice(source.length)}`;
    for (const [path, stream] of [...this.streams]) {
      if (!inside(source, path)) continue;
      this.streams.delete(path);
      stream.path = moved(path);
      this.streams.set(stream.path, stream);
    }
    for (const [path, trace] of [...this.traces]) {
      if (!inside(source, path)) continue;
      this.traces.delete(path);
      trace.path = moved(path);
      trace.ended = true;
      this.traces.set(trace.path, trace);
    }
    this.#dirtyTexts = new Set([...this.#dirtyTexts].map((path) => (inside(source, path) ? moved(path) : path)));
    const limits = Object.entries(this.record.limits).map(([path, one]) => [inside(source, path) ? moved(path) : path, one]);
    this.record = { ...this.record, limits: Object.fromEntries(limits) };
  }

  #clear(directory: string): void {
    const root = directory === '' ? TRACES : directory;
    for (const [path, stream] of this.streams) if (inside(root, path)) stream.clear();
  }

  /** Its host is the one that the server vouches for. */
  #writeNote(note: FreezeNote): void {
    const path = join(this.root, FREEZE_NOTE);
    writeWhole(path, `${JSON.stringify({ ...note, host: this.record.host })}\n`, NOTE_MODE, `${path}.tmp`);
  }

  #write(changes: Partial<LinkRecord>): void {
    this.record = { ...this.record, ...changes };
    const path = join(this.base, RECORD);
    writeWhole(path, `${JSON.stringify(this.record)}\n`, 0o600, `${path}.tmp`);
  }

  #recover(): void {
    if (!existsSync(this.root)) return;
    const names = readdirSync(this.root, { recursive: true, encoding: 'utf8' });
    const newest = new Map<string, { readonly stream: RelayStream; readonly file: number; readonly number: number }>();
    for (const name of names.filter((one) => /(^|\/)index\/[^/]+\.idx$/.test(one))) {
      const data = name.replace(/(^|\/)index\/([^/]+)\.idx$/, '$1$2');
      const { path, file } = this.#streamOf(data);
      const stream = newest.get(path)?.stream ?? new RelayStream(this.disk, this.root, path, this.record.limits[path] ?? NONE);
      const number = stream.lastNumber(file);
      const known = newest.get(path);
      if (!known || number > known.number) newest.set(path, { stream, file, number });
    }
    for (const [path, { stream, file }] of newest) {
      stream.recover(file);
      this.streams.set(path, stream);
      this.#dirty.add(stream);
    }
    for (const name of names.filter((one) => one.endsWith('/metadata'))) {
      const path = relative(this.root, join(this.root, name, '..'));
      const ended = this.record.closed || path.startsWith('archives/');
      this.traces.set(path, { path, text: readFileSync(join(this.root, name), 'utf8'), ended });
    }
  }

  /** `chan_0_3` is the fourth file of the stream `chan_0`, if that is split. */
  #streamOf(data: string): { readonly path: string; readonly file: number } {
    const split = /^(.*)_(\d+)$/.exec(data);
    const limits = split ? this.record.limits[split[1]!] : undefined;
    return limits ? { path: split![1]!, file: Number(split![2]) } : { path: data, file: 0 };
  }
}

const NONE: Limits = { size: 0, count: 0 };
