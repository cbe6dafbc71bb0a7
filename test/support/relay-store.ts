/** What one link has at a relay, in a directory of its own; packets that tell which ones they are; a disk that refuses what it is told to. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RelayDisk } from '../../actors/relay-disk.ts';
import { LinkStore } from '../../actors/relay-store.ts';
import type { PacketMessage } from '../../transport/link-data.ts';

const PACKET_MAGIC = 0xc1fc1fc1;
const SEQUENCE_AT = 64;
export const PATH = 'ust/uid/0/64-bit/c_0';

export class FussyDisk extends RelayDisk {
  /** Ends of the paths that cannot be written. */
  full: string | null = null;
  broken = false;
  /** It says that it has everything. */
  idle = false;

  override write(path: string, at: number, bytes: Uint8Array): void {
    if (this.full !== null && path.endsWith(this.full)) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    super.write(path, at, bytes);
  }

  override async sync(...words: Parameters<RelayDisk['sync']>): Promise<void> {
    if (this.broken) throw Object.assign(new Error('bad disk'), { code: 'EIO' });
    if (!this.idle) await super.sync(...words);
  }
}

const IDENTITY = {
  link: 'ab'.repeat(16),
  host: 'h',
  uid: '0',
  owner: '7',
  session: 's',
  createdAt: '2026-01-01T00:00:00Z',
  subdir: '',
};

export class HeldLink {
  readonly home = mkdtempSync(join(tmpdir(), 'weft-relay-store-'));
  readonly base = join(this.home, 'link');
  disk = new FussyDisk(100);
  store = this.#open();
  #epoch = 1;

  constructor() {
    this.store.take(1);
  }

  #open(): LinkStore {
    return new LinkStore(this.disk, this.base, IDENTITY, { allowClear: true, number: 1n });
  }

  /** The relay died, and is started again: what a sender is told then. */
  async again(take = true): Promise<{ readonly positions: Readonly<Record<string, number>>; readonly ops: number }> {
    this.disk.close();
    this.disk = new FussyDisk(100);
    this.store = this.#open();
    await this.store.commit();
    if (take) this.store.take(++this.#epoch);
    return { positions: this.positions, ops: this.store.record.ops };
  }

  get positions(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.store.durable().map(({ path, number }) => [path, number]));
  }

  path(name: string): string {
    return join(this.base, name);
  }

  dispose(): void {
    this.disk.close();
    rmSync(this.home, { recursive: true, force: true });
  }
}

export const packet = (path: string, number: number, size = 4096, limits = { size: 0, count: 0 }): PacketMessage => {
  const index = Buffer.alloc(72);
  for (const [field, value] of [0, size * 8, size * 8, 0, 0, 0, 0, 0, number].entries())
    index.writeBigUInt64BE(BigInt(value), field * 8);
  const bytes = Buffer.alloc(size, (number & 0x7f) + 1);
  bytes.writeUInt32LE(PACKET_MAGIC, 0);
  bytes.writeBigUInt64LE(BigInt(number), SEQUENCE_AT);
  const whole = { part: 0, parts: 1, offset: 0, bytes, zstd: false };
  return { kind: 'packet', path, number, index, ...whole, tracefileSize: limits.size, tracefileCount: limits.count };
};

/** The same packet in two messages. */
export const halves = (whole: PacketMessage): readonly [PacketMessage, PacketMessage] => {
  const half = whole.bytes.length / 2;
  return [
    { ...whole, parts: 2, bytes: whole.bytes.subarray(0, half) },
    { ...whole, parts: 2, part: 1, offset: half, bytes: whole.bytes.subarray(half) },
  ];
};

/** The numbers of the packets in a file. */
export const numbersIn = (bytes: Buffer, size = 4096): number[] =>
  Array.from({ length: bytes.length / size }, (_, at) => Number(bytes.readBigUInt64LE(at * size + SEQUENCE_AT)));
