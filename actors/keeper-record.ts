/** `struct weft_keeper_record` of native/keeper/records.h as bytes. A test holds the offsets against the header. */

export const KEEPER_ABI = 1;
export const RECORD_SIZE = 4408;

export const OFFSETS = {
  op: 0,
  token: 4,
  status: 8,
  role: 12,
  id: 16,
  uid: 32,
  gid: 36,
  pid: 40,
  restart: 44,
  number: 48,
  log: 56,
  arguments: 312,
  environment: 3384,
} as const;

export const KEEPER_OPS = {
  hello: 1,
  spawn: 2,
  adopt: 3,
  kill: 4,
  forget: 5,
  deposit: 6,
  fetch: 7,
  release: 8,
  list: 9,
  shutdown: 10,
  exited: 32,
} as const;
export type KeeperOp = Exclude<keyof typeof KEEPER_OPS, 'exited'>;

/** `deposit` and above are the depositor's own numbers. */
export const KEEPER_ROLES = { sessiond: 1, bus: 2, consumer: 3, deposit: 16 } as const;

/** A program as the keeper starts it: words and variables as they are, no shell. */
export interface Program {
  readonly log: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export interface KeeperRecord {
  readonly op: number;
  readonly token: number;
  readonly status: number;
  readonly role: number;
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  readonly restart: boolean;
  readonly number: bigint;
}

export const NO_ID = '0'.repeat(32);
const ID_SIZE = 16;

const putText = (record: Buffer, from: number, to: number, what: string, parts: readonly string[]): void => {
  let at = from;
  for (const part of parts) {
    if (part === '' || part.includes('\0')) throw new RangeError(`${what}: a part is empty or holds a NUL`);
    const size = Buffer.byteLength(part) + 1;
    if (at + size >= to) throw new RangeError(`${what}: longer than the ${to - from - 1} bytes that the keeper takes`);
    record.write(part, at);
    at += size;
  }
};

export const encodeRecord = (fields: Partial<KeeperRecord>, program?: Program): Buffer => {
  const record = Buffer.alloc(RECORD_SIZE);
  const id = Buffer.from(fields.id ?? NO_ID, 'hex');
  if (id.length !== ID_SIZE) throw new RangeError(`${fields.id}: an id has 32 hexadecimal digits`);
  record.writeUInt32LE(fields.op ?? 0, OFFSETS.op);
  record.writeUInt32LE(fields.token ?? 0, OFFSETS.token);
  record.writeInt32LE(fields.status ?? 0, OFFSETS.status);
  record.writeUInt32LE(fields.role ?? 0, OFFSETS.role);
  id.copy(record, OFFSETS.id);
  record.writeUInt32LE(fields.uid ?? 0, OFFSETS.uid);
  record.writeUInt32LE(fields.gid ?? 0, OFFSETS.gid);
  record.writeInt32LE(fields.pid ?? 0, OFFSETS.pid);
  record.writeUInt32LE(fields.restart ? 1 : 0, OFFSETS.restart);
  record.writeBigInt64LE(fields.number ?? 0n, OFFSETS.number);
  if (!program) return record;
  const variables = Object.entries(program.environment).map(([name, value]) => `${name}=${value}`);
  putText(record, OFFSETS.log, OFFSETS.arguments, 'log', program.log ? [program.log] : []);
  putText(record, OFFSETS.arguments, OFFSETS.environment, 'arguments', program.arguments);
  putText(record, OFFSETS.environment, RECORD_SIZE, 'environment', variables);
  return record;
};

/** null: no record of this keeper's. */
export const decodeRecord = (bytes: Buffer): KeeperRecord | null =>
  bytes.length !== RECORD_SIZE
    ? null
    : {
        op: bytes.readUInt32LE(OFFSETS.op),
        token: bytes.readUInt32LE(OFFSETS.token),
        status: bytes.readInt32LE(OFFSETS.status),
        role: bytes.readUInt32LE(OFFSETS.role),
        id: bytes.toString('hex', OFFSETS.id, OFFSETS.id + ID_SIZE),
        uid: bytes.readUInt32LE(OFFSETS.uid),
        gid: bytes.readUInt32LE(OFFSETS.gid),
        pid: bytes.readInt32LE(OFFSETS.pid),
        restart: bytes.readUInt32LE(OFFSETS.restart) === 1,
        number: bytes.readBigInt64LE(OFFSETS.number),
      };
