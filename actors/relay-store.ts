/**
 * What a relay holds of one link: a directory, its streams, traces and operations. What is in the files is the truth; the record
 * beside them says whose they are, and which operation was the last.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { FREEZE_NOTE, type FreezeNote } from '../transport/freeze-message.ts';
import {
  LinkDataError,
  type MetadataMessage,
  type OpenRequest,
  type OpMessage,
  type PacketMessage,
} from '../transport/link-data.ts';
import { writeWhole } from '../transport/private-file.ts';
import { besideOf, type RelayDisk } from './relay-disk.ts';
import { inside, type Position, Positions } from './relay-positions.ts';
import { freeStem, own, ownersOf, type Stems } from './relay-stems.ts';
import { type Limits, RelayStream } from './relay-stream.ts';

export const RECORD = '.weft-link.json';
const POSITIONS = '.weft-positions';
/** Like the traces beside it. */
const NOTE_MODE = 0o640;
const STREAMS_MAX = 1 << 14;
const TRACES_MAX = 1 << 12;
const METADATA_BYTES_MAX = 64 << 20;
/** The directory of traces of a chunk that lies in the output itself. */
const TRACES = 'ust';
/** What lies there is complete. */
const ARCHIVES = 'archives';

/** A directory that is moved: noted before that, until all of it is durable. */
interface Move {
  readonly number: number;
  readonly from: string;
  readonly to: string;
}

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
  /** The last operation that is durable, with all that came before it. */
  readonly ops: number;
  readonly closed: boolean;
  /** Absent: none, in a record of before. */
  readonly moves?: readonly Move[];
  /** Of streams that are split into files. */
  readonly limits: Readonly<Record<string, Limits>>;
  /** Absent: none, in a record of before. */
  readonly stems?: Stems;
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
  archivedBy: number;
}

const moved = ({ from, to }: Move, path: string): string => (inside(from, path) ? `${to}${path.slice(from.length)}` : path);

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
  /** Until when nothing older will come, of no stream: also of those that nothing was heard of in this chunk. */
  beacon = 0n;
  /** Between beats; 0: not live. */
  liveUs = 0;
  /** Whether anything of it is on the disk. */
  present: boolean;
  /** How many streams were let go. */
  dropped = 0;
  readonly #positions: Positions;
  #dirty = new Set<RelayStream>();
  #texts = new Map<string, string>();
  #dirtyTexts = new Set<Trace>();
  #committing: Promise<void> | null = null;
  /** The last operation that was done. */
  #applied: number;
  #closed: boolean;
  #retired = false;
  /** Of those that are not archived. */
  #streams = 0;
  #traces = 0;

  constructor(disk: RelayDisk, base: string, identity: Identity, options: { allowClear: boolean; number: bigint }) {
    this.disk = disk;
    this.number = options.number;
    this.base = base;
    this.root = identity.subdir === '' ? base : join(base, identity.subdir);
    this.allowClear = options.allowClear;
    const known = readRecord(base);
    this.present = known !== null;
    this.record = known ?? { v: 1, ...identity, epoch: -1, ops: 0, closed: false, moves: [], limits: {} };
    this.#applied = this.record.ops;
    this.#closed = this.record.closed;
    this.#positions = new Positions(disk, join(base, POSITIONS));
    if (known) this.#recover();
  }

  get #stems(): Stems {
    return this.record.stems ?? {};
  }

  get identity(): Identity {
    const { link, host, uid, owner, session, createdAt, subdir } = this.record;
    return { link, host, uid, owner, session, createdAt, subdir };
  }

  /** The first message of an opening: from now on it is this one's. */
  take(epoch: number): void {
    this.disk.makeDirectory(this.base);
    // Without them nothing would be known of what comes: all of it is new.
    if (!this.present) this.#positions.begin();
    this.#write({ epoch });
    this.disk.makeDirectory(this.root);
    this.present = true;
    for (const stream of this.streams.values()) stream.forgetPartial();
    this.#texts.clear();
  }

  /** What is certain to be there after a power cut. */
  durable(): { path: string; number: number }[] {
    return [...this.streams.values()]
      .filter(({ durable, archivedBy }) => durable >= 0 && archivedBy === 0)
      .map(({ path, durable }) => ({ path, number: durable }));
  }

  get dirty(): boolean {
    return this.#dirty.size > 0 || this.#dirtyTexts.size > 0 || this.#applied > this.record.ops;
  }

  /** False: these bytes are no packet, and are not kept. */
  packet(message: PacketMessage): boolean {
    const stream = this.streams.get(message.path) ?? this.#add(message);
    const { unreadable } = stream;
    if (stream.take(message)) this.#dirty.add(stream);
    return stream.unreadable === unreadable;
  }

  metadata({ path, text, first, more }: MetadataMessage): void {
    const whole = (first ? '' : (this.#texts.get(path) ?? '')) + text;
    if (whole.length > METADATA_BYTES_MAX) throw new LinkDataError(`metadata of more than ${METADATA_BYTES_MAX} bytes`);
    if (more) {
      if (this.#texts.size > TRACES_MAX) throw new LinkDataError(`more than ${TRACES_MAX} traces`);
      this.#texts.set(path, whole);
      return;
    }
    const trace = this.traces.get(path) ?? this.#addTrace(path);
    // It gets its place when the disk holds it.
    this.disk.writeBeside(this.#metadataPath(trace), Buffer.from(whole));
    this.#dirtyTexts.add(trace);
    this.#texts.delete(path);
    trace.text = whole;
  }

  beat(clock: bigint, paths: readonly string[]): void {
    if (paths.length === 0 && clock > this.beacon) this.beacon = clock;
    for (const path of paths) {
      const stream = this.streams.get(path);
      if (stream && clock > stream.beacon) stream.beacon = clock;
    }
  }

  /** What the disk refused in the midst of it may be done again. */
  operate(message: OpMessage): void {
    if (message.number <= this.#applied) return;
    if (message.op === 'archive') this.#archive(message.number, message.from, message.to);
    if (message.op === 'clear' && this.allowClear) this.#clear(message.directory);
    if (message.op === 'freeze') this.#writeNote(message.note);
    if (message.op === 'close') this.over = true;
    this.#closed = message.op === 'close';
    this.#applied = message.number;
  }

  /** Nothing comes to this any more; the link may come again, to another of these. */
  retire(): void {
    this.over = true;
    this.#retired = true;
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
      position: { ...stream.tail, path: stream.path },
      archived: stream.archivedBy > 0,
      touched: new Set(stream.touched),
      files: stream.takeTouched(),
    }));
    const texts = [...this.#dirtyTexts];
    const [ops, closed] = [this.#applied, this.#closed];
    this.#dirty = new Set();
    this.#dirtyTexts = new Set();
    try {
      const beside = texts.map((trace) => () => besideOf(this.#metadataPath(trace)));
      await this.disk.sync([...streams.flatMap(({ files }) => files), ...beside]);
      await this.#placeTexts(texts);
      await this.#note(
        streams.filter(({ archived }) => !archived).map(({ position }) => position),
        ops,
        closed,
      );
    } catch (thrown) {
      for (const { stream, touched } of streams) {
        this.#dirty.add(stream);
        for (const file of touched) stream.touched.add(file);
      }
      for (const trace of texts) this.#dirtyTexts.add(trace);
      throw thrown;
    }
    for (const { stream, position } of streams) stream.durable = Math.max(stream.durable, position.number);
    this.#letGo();
  }

  /** But those of which a newer one came meanwhile. */
  async #placeTexts(texts: readonly Trace[]): Promise<void> {
    for (const trace of texts) if (!this.#dirtyTexts.has(trace)) this.disk.takePlace(this.#metadataPath(trace));
    if (texts.length > 0) await this.disk.sync([]);
  }

  /** The record first: what was moved stays where it is before its streams are forgotten. */
  async #note(positions: readonly Position[], ops: number, closed: boolean): Promise<void> {
    const moves = this.record.moves ?? [];
    const done = moves.filter(({ number }) => number <= ops);
    const isNews = positions.length > 0 || ops > this.record.ops;
    if (isNews && this.#retired) throw new Error('the link may be another’s by now');
    const isOver = (path: string): boolean => !this.streams.has(path) && done.some(({ from }) => inside(from, path));
    if (ops > this.record.ops) {
      const kept = <T>(of: Readonly<Record<string, T>>): Readonly<Record<string, T>> =>
        Object.fromEntries(Object.entries(of).filter(([path]) => !isOver(path)));
      const [limits, stems] = [kept(this.record.limits), kept(this.#stems)];
      this.#write({ ops, closed, moves: moves.filter(({ number }) => number > ops), limits, stems });
    }
    if (positions.length > 0 || done.length > 0)
      await this.#positions.note(
        positions,
        done.map(({ from }) => from),
      );
  }

  /** Archived and durable. The last chunk stays a while: there may be viewers who have not seen the end of it. */
  #letGo(): void {
    const archived = [...this.streams.values(), ...this.traces.values()].map(({ archivedBy }) => archivedBy);
    const last = Math.max(0, ...archived.filter((number) => number <= this.record.ops));
    const isOver = ({ archivedBy }: { readonly archivedBy: number }): boolean => archivedBy > 0 && archivedBy < last;
    for (const [path, trace] of [...this.traces]) if (isOver(trace)) this.traces.delete(path);
    for (const [path, stream] of [...this.streams]) {
      if (!isOver(stream)) continue;
      this.streams.delete(path);
      this.dropped++;
    }
  }

  #add({ path, tracefileSize, tracefileCount }: PacketMessage): RelayStream {
    if (this.#streams >= STREAMS_MAX) throw new LinkDataError(`more than ${STREAMS_MAX} streams`);
    const limits = { size: tracefileSize, count: tracefileCount };
    const stem = freeStem(this.streams, this.#stems, path, limits);
    if (limits.size > 0 || stem !== null)
      this.#write({
        ...(limits.size > 0 && { limits: { ...this.record.limits, [path]: limits } }),
        ...(stem !== null && { stems: { ...this.#stems, [path]: stem } }),
      });
    const stream = new RelayStream(this.disk, this.root, path, limits, stem);
    this.streams.set(path, stream);
    this.#streams++;
    return stream;
  }

  #addTrace(path: string): Trace {
    if (this.#traces >= TRACES_MAX) throw new LinkDataError(`more than ${TRACES_MAX} traces`);
    const trace = { path, text: '', ended: false, archivedBy: 0 };
    this.traces.set(path, trace);
    this.#traces++;
    return trace;
  }

  #metadataPath({ path }: Pick<Trace, 'path'>): string {
    return join(this.root, path, 'metadata');
  }

  #archive(number: number, source: string, target: string): void {
    if (!inside(ARCHIVES, target)) throw new LinkDataError(`${target} is no place of an archive`);
    const [from, to] = source === '' ? [TRACES, `${target}/${TRACES}`] : [source, target];
    const move = this.#noteMove(number, from, to);
    this.disk.move(join(this.root, move.from), join(this.root, move.to));
    this.disk.makeDirectory(join(this.root, target));
    for (const [path, stream] of [...this.streams]) {
      if (!inside(from, path)) continue;
      this.streams.delete(path);
      [stream.path, stream.archivedBy] = [moved(move, path), number];
      this.streams.set(stream.path, stream);
      this.#streams--;
    }
    for (const [path, trace] of [...this.traces]) {
      if (!inside(from, path)) continue;
      this.traces.delete(path);
      [trace.path, trace.archivedBy, trace.ended] = [moved(move, path), number, true];
      this.traces.set(trace.path, trace);
      this.#traces--;
    }
  }

  /** To a place where nothing is: two archives of one name do not become one. */
  #noteMove(number: number, from: string, wanted: string): Move {
    const moves = this.record.moves ?? [];
    const begun = moves.find((move) => move.number === number);
    if (begun) return begun;
    const isTaken = existsSync(join(this.root, wanted)) && existsSync(join(this.root, from));
    const move = { number, from, to: isTaken ? `${wanted}-${number}` : wanted };
    this.#write({ moves: [...moves, move] });
    return move;
  }

  /**
   * Nobody was told that these were moved, and not all of them may be on the disk: they are back where their sender has them, and what
   * is missing comes again. So does what was received behind them.
   */
  #undoMoves(): void {
    const moves = this.record.moves ?? [];
    for (const { from, to } of moves.toReversed()) {
      const [source, target] = [join(this.root, from), join(this.root, to)];
      if (!existsSync(target)) continue;
      if (existsSync(source)) this.disk.removeAll(source);
      this.disk.move(target, source);
      if (from === TRACES) this.disk.removeEmpty(dirname(target));
    }
    if (moves.length > 0) this.#write({ moves: [] });
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
    const record = { ...this.record, ...changes };
    const path = join(this.base, RECORD);
    writeWhole(path, `${JSON.stringify(record)}\n`, 0o600, `${path}.tmp`);
    this.record = record;
  }

  /** All but archives, which are complete. */
  #recover(): void {
    if (!existsSync(this.root)) return;
    this.#undoMoves();
    const names = readdirSync(this.root)
      .filter((name) => name !== ARCHIVES && !name.startsWith('.'))
      .flatMap((name) => namesBelow(this.root, name));
    const owner = ownersOf(this.record.limits, this.#stems);
    const files = new Map<string, { readonly stream: RelayStream; readonly files: number[] }>();
    for (const name of names.filter((one) => /(^|\/)index\/[^/]+\.idx$/.test(one))) {
      const { path, file } = owner(name.replace(/(^|\/)index\/([^/]+)\.idx$/, '$1$2'));
      const known = files.get(path) ?? {
        stream: new RelayStream(
          this.disk,
          this.root,
          path,
          own(this.record.limits, path) ?? NONE,
          own(this.#stems, path) ?? null,
        ),
        files: [],
      };
      known.files.push(file);
      files.set(path, known);
    }
    for (const [path, { stream, files: numbers }] of files) {
      if (this.#positions.present) stream.recoverAt(this.#positions.of(path), numbers);
      else stream.recover(newestOf(stream, numbers));
      this.streams.set(path, stream);
      this.#dirty.add(stream);
    }
    for (const name of names.filter((one) => one.endsWith('/metadata'))) {
      const path = dirname(name);
      const text = readFileSync(join(this.root, name), 'utf8');
      this.traces.set(path, { path, text, ended: this.record.closed, archivedBy: 0 });
    }
    [this.#streams, this.#traces] = [this.streams.size, this.traces.size];
  }
}

const NONE: Limits = { size: 0, count: 0 };

const namesBelow = (root: string, name: string): string[] => {
  try {
    return readdirSync(join(root, name), { recursive: true, encoding: 'utf8' }).map((one) => `${name}/${one}`);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOTDIR') return [];
    throw thrown;
  }
};

/** Of the files with these numbers, the one that has the last packet. */
const newestOf = (stream: RelayStream, files: readonly number[]): number =>
  files.reduce((newest, file) => (stream.lastNumber(file) > stream.lastNumber(newest) ? file : newest));
