/** The counter memory that this daemon holds: fds by map id. Created here, kept at the keeper, lent to applications. */
import type { ApplicationIdentity } from '../machines/application.ts';
import type { MapChannelDocument, MapGroupDocument } from '../machines/document.ts';
import type { MapEntries, MapGeometry } from '../native/addon/index.ts';
import type { ConsumerLink } from './consumer-link.ts';
import { KeeperError } from './keeper-client.ts';
import { KEEPER_ROLES } from './keeper-record.ts';
import type { DaemonPorts, KeeperLink } from './ports.ts';
import { refuse } from './refused.ts';

export const mapGeometry = ({ maxKeys, bits }: MapChannelDocument, { cpuCount }: MapGroupDocument): MapGeometry => ({
  cpuCount,
  slots: maxKeys,
  bits,
});

/** Of `inTurn`, for whoever makes and ends groups: two at once would make memory twice, or for a process that is gone. */
export const GROUPS = 'groups of maps';

export class Maps {
  readonly #ports: DaemonPorts;
  readonly #fds = new Map<string, number>();

  constructor(ports: DaemonPorts) {
    this.#ports = ports;
  }

  fd(mapId: string): number | undefined {
    return this.#fds.get(mapId);
  }

  /** Makes the memory and leaves it with the keeper, so that it outlives this process. */
  async create(map: MapChannelDocument, identity: ApplicationIdentity, keeper: KeeperLink): Promise<MapGroupDocument> {
    const { host, ids, native } = this.#ports;
    const { uid, pid, procname, startedAt } = identity;
    const process = map.perProcess && { process: { pid, procname, startedAt } };
    const group: MapGroupDocument = { mapId: ids.hex(16), uid, cpuCount: host.possibleCpus, ...process };
    const geometry = mapGeometry(map, group);
    try {
      this.#fds.set(group.mapId, native.createMap({ mapId: group.mapId, ...geometry }).fd);
    } catch (thrown) {
      if (typeof thrown !== 'object' || thrown === null || !('code' in thrown) || thrown.code !== 'ENOMEM') throw thrown;
      const neededBytes = geometry.cpuCount * geometry.slots * 8;
      throw refuse('not-enough-memory', { neededBytes, availableBytes: host.availableMemory() });
    }
    await this.#deposit(group.mapId, keeper).catch((thrown: unknown) => {
      this.#drop(group.mapId);
      throw thrown;
    });
    return group;
  }

  async depositAll(keeper: KeeperLink): Promise<void> {
    for (const mapId of this.#fds.keys()) await this.#deposit(mapId, keeper);
  }

  /** False: the memory is gone (another keeper, another boot), or what came back is not it. */
  async adopt(map: MapChannelDocument, group: MapGroupDocument, keeper: KeeperLink): Promise<boolean> {
    const { mapId } = group;
    if (this.#fds.has(mapId)) return true;
    const fetched = await keeper.fetch(mapId).catch((thrown: unknown) => {
      if (thrown instanceof KeeperError && thrown.code === 'ENOENT') return null;
      throw thrown;
    });
    const fd = fetched?.fds[0];
    if (fd === undefined) return false;
    if (this.#take(map, group, fd, 'the keeper')) return true;
    await keeper.release(mapId);
    return false;
  }

  /** From whoever outlived keeper and daemon; false: it is gone. */
  async salvage(map: MapChannelDocument, group: MapGroupDocument, owner: number, keeper: KeeperLink): Promise<boolean> {
    const fd = this.#ports.survivors.mapOf(owner, group.mapId);
    if (fd === null || !this.#take(map, group, fd, 'a survivor')) return false;
    await this.#deposit(group.mapId, keeper);
    return true;
  }

  /** The consumer keeps it too, for a daemon whose keeper died with the one before. */
  lend(mapId: string, consumer: ConsumerLink): void {
    const fd = this.#fds.get(mapId);
    if (fd === undefined) return;
    const { survivors, native, log } = this.#ports;
    const lent = survivors.readOnly(fd);
    try {
      consumer.hold(mapId, lent);
    } catch (thrown) {
      log.warn('the consumer does not hold a map', { mapId, cause: String(thrown) });
    } finally {
      native.closeFd(lent);
    }
  }

  async release(mapId: string, keeper: KeeperLink): Promise<void> {
    if (this.#drop(mapId)) await keeper.release(mapId);
  }

  /** Counters that are not as they were at first. Null: the memory is not here. */
  read(map: MapChannelDocument, group: MapGroupDocument): MapEntries | null {
    const fd = this.#fds.get(group.mapId);
    if (fd === undefined) return null;
    return this.#ports.native.readMap({ fd, used: map.keys.length, ...mapGeometry(map, group) });
  }

  clear(map: MapChannelDocument, group: MapGroupDocument): void {
    const fd = this.#fds.get(group.mapId);
    if (fd !== undefined) this.#ports.native.clearMap({ fd, ...mapGeometry(map, group) });
  }

  #take(map: MapChannelDocument, group: MapGroupDocument, fd: number, holder: string): boolean {
    const { mapId } = group;
    try {
      this.#ports.native.adoptMap({ fd, mapId, ...mapGeometry(map, group) });
      this.#fds.set(mapId, fd);
      return true;
    } catch (thrown) {
      this.#ports.native.closeFd(fd);
      this.#ports.log.error(`what ${holder} held is not the map`, { mapId, cause: String(thrown) });
      return false;
    }
  }

  async #deposit(mapId: string, keeper: KeeperLink): Promise<void> {
    await keeper.deposit({ id: mapId, role: KEEPER_ROLES.deposit, number: 0 }, [this.#fds.get(mapId)!]);
  }

  #drop(mapId: string): boolean {
    const fd = this.#fds.get(mapId);
    if (fd === undefined) return false;
    this.#fds.delete(mapId);
    this.#ports.native.closeFd(fd);
    return true;
  }
}
