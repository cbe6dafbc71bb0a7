/**
 * keeper.sock as promises. A request that the keeper refuses rejects with `KeeperError`; when the keeper is gone, everything
 * that waits rejects with its code `ECONNRESET`.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import type { SeqpacketConnection } from '../native/addon/index.ts';
import {
  decodeRecord,
  encodeRecord,
  KEEPER_ABI,
  KEEPER_OPS,
  KEEPER_ROLES,
  type KeeperOp,
  type KeeperRecord,
  OFFSETS,
  type Program,
} from './keeper-record.ts';

export type ProcessRole = Exclude<keyof typeof KEEPER_ROLES, 'deposit'>;

export class KeeperError extends Error {
  override readonly name = 'KeeperError';
  /** An errno name: ENOENT (unknown id), EEXIST (runs already), EPERM, EINVAL, ESHUTDOWN, ECONNRESET ... */
  readonly code: string;
  constructor(code: string, request: string, id?: string) {
    super(`keeper: ${request}${id ? ` ${id}` : ''}: ${code}`);
    this.code = code;
  }
}

export interface ProcessSpec {
  readonly role: Exclude<ProcessRole, 'sessiond'>;
  readonly id: string;
  readonly uid: number;
  readonly gid: number;
  readonly restart: boolean;
  /** Absolute; stdout and stderr are appended to it. Empty: /dev/null. */
  readonly log: string;
  /** The first is the program's absolute path. */
  readonly arguments: readonly string[];
  /** On top of PATH, HOME, USER and LANG. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface ExitReport {
  readonly id: string;
  readonly role: ProcessRole;
  readonly pid: number;
  /** Both null: an adopted process, whose status nobody learns. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly restarting: boolean;
}

export interface HeldDeposit {
  readonly id: string;
  readonly role: number;
  readonly number: number;
}

export interface HeldProcess {
  readonly id: string;
  readonly role: ProcessRole;
  /** null: it ended and waits for its next start. */
  readonly pid: number | null;
  readonly uid: number;
  readonly gid: number;
  readonly restart: boolean;
}

export interface KeeperContents {
  readonly deposits: readonly HeldDeposit[];
  readonly processes: readonly HeldProcess[];
}

interface Reply {
  readonly record: KeeperRecord;
  readonly fds: number[];
}

interface Pending {
  readonly op: KeeperOp;
  readonly id: string | undefined;
  readonly bytes: Buffer;
  readonly fds: readonly number[];
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: KeeperError) => void;
}

/** Requests under way at once: neither side's socket buffer fills with these, so no send is ever refused for want of room. */
const WINDOW = 8;

/** The id of what there is once per daemon (`bus`) or once per name (`consumer:1000`). */
export const keeperId = (name: string): string => createHash('sha256').update(name).digest('hex').slice(0, 32);

const roleName = (role: number): ProcessRole => {
  if (role === KEEPER_ROLES.sessiond) return 'sessiond';
  return role === KEEPER_ROLES.bus ? 'bus' : 'consumer';
};

const signalName = (number: number): NodeJS.Signals | null =>
  (Object.entries(constants.signals).find(([, value]) => value === number)?.[0] as NodeJS.Signals | undefined) ?? null;

const readExit = (record: KeeperRecord): ExitReport => {
  const status = Number(record.number);
  const known = status >= 0;
  const signal = status & 0x7f;
  return {
    id: record.id,
    role: roleName(record.role),
    pid: record.pid,
    code: known && signal === 0 ? (status >> 8) & 0xff : null,
    signal: known && signal !== 0 ? signalName(signal) : null,
    restarting: record.restart,
  };
};

const programOf = (spec: ProcessSpec): Program => ({
  log: spec.log,
  arguments: spec.arguments,
  environment: spec.environment ?? {},
});

const fieldsOf = (spec: ProcessSpec) => ({
  role: KEEPER_ROLES[spec.role],
  id: spec.id,
  uid: spec.uid,
  gid: spec.gid,
  restart: spec.restart,
});

export class KeeperClient {
  readonly #connection: SeqpacketConnection;
  readonly #closeFd: (fd: number) => void;
  readonly #waiting: Pending[] = [];
  readonly #underWay = new Map<number, Pending>();
  #token = 0;
  #closed = false;
  #exitedListener: (report: ExitReport) => void = () => {};
  #closeListener: () => void = () => {};

  /** `closeFd` closes fds that come with an answer that nobody waits for. */
  constructor(connection: SeqpacketConnection, closeFd: (fd: number) => void) {
    this.#connection = connection;
    this.#closeFd = closeFd;
    connection.onMessage((message, fds) => this.#receive(message, fds));
    connection.onClose(() => this.#end());
  }

  onExited(listener: (report: ExitReport) => void): void {
    this.#exitedListener = listener;
  }

  /** The keeper is gone (not: one's own `close`). */
  onClose(listener: () => void): void {
    this.#closeListener = listener;
  }

  close(): void {
    this.#connection.close();
    this.#reject();
  }

  /** From now on the exit reports come here. */
  async hello(): Promise<{ keeperPid: number }> {
    const { record } = await this.#request('hello', { number: BigInt(KEEPER_ABI) });
    return { keeperPid: record.pid };
  }

  async spawn(spec: ProcessSpec): Promise<{ pid: number }> {
    const { record } = await this.#request('spawn', fieldsOf(spec), programOf(spec));
    return { pid: record.pid };
  }

  /** A process that an earlier keeper started. */
  async adopt(spec: ProcessSpec, pid: number): Promise<void> {
    await this.#request('adopt', { ...fieldsOf(spec), pid }, programOf(spec));
  }

  async kill(id: string, signal: NodeJS.Signals): Promise<void> {
    await this.#request('kill', { id, number: BigInt(constants.signals[signal]) });
  }

  async forget(id: string): Promise<void> {
    await this.#request('forget', { id });
  }

  /** One or two fds; they stay the caller's, open until this resolves. Replaces what was kept under the id. */
  async deposit(held: HeldDeposit, fds: readonly number[]): Promise<void> {
    await this.#request('deposit', { id: held.id, role: held.role, number: BigInt(held.number) }, undefined, fds);
  }

  /** The fds are the caller's to close. */
  async fetch(id: string): Promise<HeldDeposit & { fds: number[] }> {
    const { record, fds } = await this.#request('fetch', { id });
    return { id, role: record.role, number: Number(record.number), fds };
  }

  async release(id: string): Promise<void> {
    await this.#request('release', { id });
  }

  async list(): Promise<KeeperContents> {
    const deposits: HeldDeposit[] = [];
    const processes: HeldProcess[] = [];
    for (let first = 0; ; first += WINDOW) {
      const entries = await Promise.all(Array.from({ length: WINDOW }, (_, i) => this.#listed(first + i)));
      for (const entry of entries) {
        if (!entry) return { deposits, processes };
        if (entry.pid === 0) deposits.push({ id: entry.id, role: entry.role, number: Number(entry.number) });
        else processes.push(readProcess(entry));
      }
    }
  }

  /** Resolves when the keeper has begun to end everything; the session daemon itself gets SIGTERM. */
  async shutdown(): Promise<void> {
    await this.#request('shutdown', {});
  }

  async #listed(index: number): Promise<KeeperRecord | null> {
    try {
      return (await this.#request('list', { number: BigInt(index) })).record;
    } catch (error) {
      if (error instanceof KeeperError && error.code === 'ENOENT') return null;
      throw error;
    }
  }

  #request(op: KeeperOp, fields: Partial<KeeperRecord>, program?: Program, fds: readonly number[] = []): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(new KeeperError('ECONNRESET', op, fields.id));
        return;
      }
      this.#token = (this.#token + 1) >>> 0;
      const bytes = encodeRecord({ ...fields, op: KEEPER_OPS[op], token: this.#token }, program);
      this.#waiting.push({ op, id: fields.id, bytes, fds, resolve, reject });
      this.#sendNext();
    });
  }

  #sendNext(): void {
    while (this.#underWay.size < WINDOW) {
      const next = this.#waiting.shift();
      if (!next) return;
      if (this.#connection.send(next.bytes, next.fds)) this.#underWay.set(next.bytes.readUInt32LE(OFFSETS.token), next);
      else next.reject(new KeeperError('EPIPE', next.op, next.id));
    }
  }

  #receive(message: Buffer, fds: number[]): void {
    const record = decodeRecord(message);
    const pending = record ? this.#underWay.get(record.token) : undefined;
    if (record?.op === KEEPER_OPS.exited) this.#exitedListener(readExit(record));
    if (!record || !pending || record.op !== KEEPER_OPS[pending.op]) {
      for (const fd of fds) this.#closeFd(fd);
      return;
    }
    this.#underWay.delete(record.token);
    if (record.status === 0) pending.resolve({ record, fds });
    else pending.reject(new KeeperError(getSystemErrorName(-record.status), pending.op, pending.id));
    this.#sendNext();
  }

  #end(): void {
    this.#reject();
    this.#closeListener();
  }

  #reject(): void {
    this.#closed = true;
    const unanswered = [...this.#underWay.values(), ...this.#waiting.splice(0)];
    this.#underWay.clear();
    for (const { reject, op, id } of unanswered) reject(new KeeperError('ECONNRESET', op, id));
  }
}

const readProcess = (record: KeeperRecord): HeldProcess => ({
  id: record.id,
  role: roleName(record.role),
  pid: record.pid > 0 ? record.pid : null,
  uid: record.uid,
  gid: record.gid,
  restart: record.restart,
});
