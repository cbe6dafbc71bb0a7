/** The ring memory that this daemon holds: fds by ring id. Created here, kept at the keeper, lent to applications and consumers. */
import { dirname } from 'node:path';
import type { ChannelDocument, RingSetDocument } from '../machines/document.ts';
import type { Geometry, RingSetFds, STATS_FIELDS } from '../native/addon/index.ts';
import { KEEPER_ROLES } from './keeper-record.ts';
import type { DaemonPorts, KeeperLink } from './ports.ts';
import { refuse } from './refused.ts';

export type RingTotals = Readonly<Record<(typeof STATS_FIELDS)[number], bigint>>;

export const geometryOf = (set: RingSetDocument): Geometry => ({
  cpuCount: set.cpuCount,
  subbufSize: set.subbufSize,
  subbufCount: set.subbufCount,
  mode: set.mode,
  sync: set.sync,
  allocation: set.allocation,
});

/** Control pages and headers are small beside it. */
export const bytesOf = (channel: ChannelDocument, cpus: number): number =>
  channel.attributes.subbufSize * channel.attributes.subbufCount * cpus;

const codeOf = (thrown: unknown): string | null =>
  typeof thrown === 'object' && thrown !== null && 'code' in thrown ? String(thrown.code) : null;

export class Rings {
  readonly #ports: DaemonPorts;
  readonly #sets = new Map<string, { readonly set: RingSetDocument; readonly fds: RingSetFds }>();

  constructor(ports: DaemonPorts) {
    this.#ports = ports;
  }

  fds(ringId: string): RingSetFds {
    const held = this.#sets.get(ringId);
    if (!held) throw new Error(`the memory of ring set ${ringId} is not here`);
    return held.fds;
  }

  holds(ringId: string): boolean {
    return this.#sets.has(ringId);
  }

  all(): Iterable<{ readonly set: RingSetDocument; readonly fds: RingSetFds }> {
    return this.#sets.values();
  }

  /** Makes the memory and leaves it with the keeper, so that it outlives this process. */
  async create(
    channel: ChannelDocument,
    sync: 'rseq' | 'lock',
    keeper: KeeperLink,
    file: string | null,
  ): Promise<RingSetDocument> {
    const { mode, subbufSize, subbufCount, allocation } = channel.attributes;
    const cpuCount = allocation === 'per-channel' ? 1 : this.#ports.host.possibleCpus;
    const ringId = this.#ports.ids.hex(16);
    const shape = { ringId, channel: channel.id, sync, cpuCount, subbufSize, subbufCount, mode, allocation };
    const set: RingSetDocument = file === null ? shape : { ...shape, file };
    const cpus = this.#cpusAtFirst(channel);
    const fds = this.#allocate(set, channel, cpus);
    this.#sets.set(ringId, { set, fds });
    await this.deposit(ringId, keeper).catch((thrown: unknown) => {
      this.#removeFiles(this.#drop(ringId));
      throw thrown;
    });
    return set;
  }

  async deposit(ringId: string, keeper: KeeperLink): Promise<void> {
    const { ringFd, readerFd } = this.fds(ringId);
    await keeper.deposit({ id: ringId, role: KEEPER_ROLES.deposit, number: 0 }, [ringFd, readerFd]);
  }

  /** False: the memory is gone (another keeper, another boot), or what came back is not it. */
  async adopt(set: RingSetDocument, keeper: KeeperLink): Promise<boolean> {
    if (this.holds(set.ringId)) return true;
    const fetched = await keeper.fetch(set.ringId).catch((thrown: unknown) => {
      if (codeOf(thrown) === 'ENOENT') return null;
      throw thrown;
    });
    if (!fetched) return false;
    return this.#take(set, fetched.fds, 'the keeper');
  }

  /** From whoever outlived keeper and daemon, or from the files that outlived all; false: it is gone. */
  async salvage(set: RingSetDocument, owner: number, keeper: KeeperLink): Promise<boolean> {
    const fds =
      set.file === undefined ? this.#ports.survivors.memoryOf(owner, set.ringId) : this.#ports.ringFiles.open(set.file);
    if (!fds || !this.#take(set, fds, set.file === undefined ? 'a survivor' : 'the file')) return false;
    await this.deposit(set.ringId, keeper);
    return true;
  }

  async release(ringId: string, keeper: KeeperLink): Promise<void> {
    const set = this.#drop(ringId);
    if (!set) return;
    this.#removeFiles(set);
    await keeper.release(ringId);
  }

  /** What was not read is for `weft crash`: files stay. */
  async abandon(ringId: string, keeper: KeeperLink): Promise<void> {
    if (this.#drop(ringId)) await keeper.release(ringId);
  }

  totals(ringId: string): RingTotals | null {
    const held = this.#sets.get(ringId);
    if (!held) return null;
    const { ringFd, readerFd } = held.fds;
    return this.#ports.native.ringTotals({ ringFd, readerFd, geometry: geometryOf(held.set) });
  }

  /** Bytes of each CPU's ring. */
  memory(ringId: string): readonly number[] {
    return this.#usage(ringId)?.memory ?? [];
  }

  /** Bytes that wait in the fullest of its rings. */
  usage(ringId: string): bigint {
    return this.#usage(ringId)?.waiting ?? 0n;
  }

  /** A program met a ring of this set without memory. What it records there counts as lost until it has some. */
  allocate(ringId: string, cpu: number): void {
    const held = this.#sets.get(ringId);
    if (!held) return;
    try {
      const bytes = this.#ports.native.allocateRing({ ringFd: held.fds.ringFd, geometry: geometryOf(held.set), cpu });
      if (bytes > 0) this.#ports.log.info('a ring has memory', { ringId, cpu, bytes });
    } catch (thrown) {
      this.#ports.log.warn('a ring stays without memory: what is recorded there is lost', {
        ringId,
        cpu,
        cause: String(thrown),
      });
    }
  }

  /** The locks that a dead application held would keep others out for ever. */
  releaseLocks(application: number): void {
    for (const { set, fds } of this.#sets.values()) {
      if (set.sync !== 'lock') continue;
      this.#ports.native.releaseLocks({ ringFd: fds.ringFd, geometry: geometryOf(set), applicationId: application });
    }
  }

  #usage(ringId: string) {
    const held = this.#sets.get(ringId);
    if (!held) return null;
    const { ringFd, readerFd } = held.fds;
    return this.#ports.native.ringUsage({ ringFd, readerFd, geometry: geometryOf(held.set) });
  }

  #removeFiles(set: RingSetDocument | null): void {
    if (set?.file !== undefined) this.#ports.ringFiles.remove(set.file);
  }

  #drop(ringId: string): RingSetDocument | null {
    const held = this.#sets.get(ringId);
    if (!held) return null;
    this.#sets.delete(ringId);
    const { ringFd, readerFd, readerFdReadOnly } = held.fds;
    for (const fd of [ringFd, readerFd, readerFdReadOnly]) this.#ports.native.closeFd(fd);
    return held.set;
  }

  #take(set: RingSetDocument, [ringFd, readerFd]: readonly number[], holder: string): boolean {
    try {
      const fds = this.#ports.native.adoptRingSet({
        ringFd: ringFd!,
        readerFd: readerFd!,
        ringId: set.ringId,
        geometry: geometryOf(set),
      });
      this.#sets.set(set.ringId, { set, fds });
      return true;
    } catch (thrown) {
      for (const fd of [ringFd, readerFd]) if (fd !== undefined) this.#ports.native.closeFd(fd);
      this.#ports.log.error(`what ${holder} held is not the ring set`, { ringId: set.ringId, cause: String(thrown) });
      return false;
    }
  }

  #cpusAtFirst({ attributes: { allocation, preallocation } }: ChannelDocument): readonly number[] {
    if (preallocation === 'on-demand') return [];
    return allocation === 'per-channel' ? [0] : this.#ports.host.onlineCpus();
  }

  #allocate(set: RingSetDocument, channel: ChannelDocument, cpus: readonly number[]): RingSetFds {
    try {
      // A daemon that died before it wrote the set down may have left files, which nobody ever recorded into.
      this.#removeFiles(set);
      if (set.file !== undefined) this.#ports.ringFiles.makeDirectory(dirname(set.file));
      return this.#ports.native.createRingSet({ ringId: set.ringId, geometry: geometryOf(set), cpus, file: set.file });
    } catch (thrown) {
      if (codeOf(thrown) !== 'ENOMEM') {
        if (set.file === undefined) throw thrown;
        throw refuse('shm-path-refused', { path: set.file, cause: thrown instanceof Error ? thrown.message : String(thrown) });
      }
      throw refuse('not-enough-memory', {
        neededBytes: bytesOf(channel, cpus.length),
        availableBytes: this.#ports.host.availableMemory(),
      });
    }
  }
}
