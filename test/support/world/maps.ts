/** Counter maps of the world: one number per slot and CPU, shared by whoever holds them. */
import type { Native } from '../../../native/addon/index.ts';
import type { Kernel } from './kernel.ts';

export class MapMemory {
  readonly mapId: string;
  readonly counts = new Map<number, bigint>();

  constructor(mapId: string) {
    this.mapId = mapId;
  }

  add(slot: number): void {
    this.counts.set(slot, (this.counts.get(slot) ?? 0n) + 1n);
  }
}

/** The map functions of the native module; everybody counts on CPU 0. */
export const worldMaps = (kernel: Kernel) => ({
  createMap: ({ mapId }: Parameters<Native['createMap']>[0]) => ({ fd: kernel.fd(new MapMemory(mapId)) }),
  adoptMap: ({ fd, mapId }: Parameters<Native['adoptMap']>[0]) => {
    if (kernel.at<MapMemory>(fd).mapId !== mapId) throw Object.assign(new Error('another map'), { code: 'EINVAL' });
  },
  readMap: ({ fd }: Parameters<Native['readMap']>[0]) => {
    const entries = [...kernel.at<MapMemory>(fd).counts];
    return {
      cpus: new Uint32Array(entries.length),
      slots: Uint32Array.from(entries, ([slot]) => slot),
      values: BigInt64Array.from(entries, ([, value]) => value),
      overflows: new Uint8Array(entries.length),
    };
  },
  clearMap: ({ fd }: Parameters<Native['clearMap']>[0]) => kernel.at<MapMemory>(fd).counts.clear(),
});
