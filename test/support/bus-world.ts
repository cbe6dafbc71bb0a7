/** The two buses under one contract: who may do what, how the server dies and returns, and a peer that can send any bytes. */
import { once } from 'node:events';
import { jwtAuthenticator } from '@nats-io/transport-node';
import type { Bus, BusStatus } from '../../transport/bus.ts';
import { permissionsOf, type Role } from '../../transport/identity.ts';
import { MemoryFabric } from '../../transport/memory-bus.ts';
import { connectNatsWire } from '../../transport/nats-wire.ts';
import type { Wire } from '../../transport/wire.ts';
import type { WireBusOptions } from '../../transport/wire-bus.ts';
import { TestServer } from './nats.ts';

export const PLACE = { host: 'testhost', uid: process.getuid?.() ?? 0 };

export interface World {
  connect(role: Role, options?: WireBusOptions): Promise<Bus>;
  /** Bytes as they are, with the daemon's rights. */
  wire(): Promise<Wire>;
  kill(): Promise<void>;
  restart(): Promise<void>;
  dispose(): Promise<void>;
}

const memoryWorld = async (): Promise<World> => {
  const fabric = new MemoryFabric();
  return {
    connect: async (role, options) => {
      const { publish, subscribe } = permissionsOf(PLACE, role);
      return fabric.connect({ ...options, permissions: { publish, subscribe } });
    },
    wire: async () => fabric.connectWire(),
    kill: async () => fabric.cut(),
    restart: async () => fabric.restore(),
    dispose: async () => fabric.cut(),
  };
};

const natsWorld = async (): Promise<World> => {
  const server = await TestServer.start();
  const wires: Wire[] = [];
  return {
    connect: (role, options) => server.connect(role, options),
    wire: async () => {
      const { jwt, seed, inboxPrefix, ca, urls } = await server.grant({ kind: 'daemon' });
      const authenticator = jwtAuthenticator(jwt!, new TextEncoder().encode(seed!));
      const wire = await connectNatsWire({
        servers: [...urls],
        tls: { ca: ca! },
        inboxPrefix: `${inboxPrefix}_w`,
        authenticator,
      });
      wires.push(wire);
      return wire;
    },
    kill: () => server.kill(),
    restart: () => server.start(),
    dispose: async () => {
      await Promise.all(wires.map((wire) => wire.close()));
      await server.dispose();
    },
  };
};

export const WORLDS = { memory: memoryWorld, nats: natsWorld } as const;

export const become = (bus: Pick<Bus, 'status' | 'onStatus'>, wanted: BusStatus): Promise<void> =>
  new Promise((resolve) => {
    if (bus.status === wanted) return resolve();
    const subscription = bus.onStatus((status) => {
      if (status !== wanted) return;
      subscription.stop();
      resolve();
    });
  });

/** Collects what comes; `take(n)` resolves when n are there. */
export class Collector<T> {
  readonly items: T[] = [];
  readonly #news = new EventTarget();

  readonly add = (item: T): void => {
    this.items.push(item);
    this.#news.dispatchEvent(new Event('item'));
  };

  async take(count: number): Promise<T[]> {
    while (this.items.length < count) await once(this.#news, 'item');
    return this.items;
  }
}
