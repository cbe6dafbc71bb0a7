/**
 * A host that is emulated: the product's session daemon and consumer with all their machines and actors, in real time, upon the
 * in-memory keeper, rings and files of the world. What would go over its leaf goes over a connection of its own to the fleet's server.
 */
import { z } from 'zod';
import { realClock } from '../../../actors/host-ports.ts';
import type {
  Body,
  Bus,
  BusMessage,
  BusStatus,
  Endpoint,
  Fragment,
  Gathering,
  RawAnswer,
  Reply,
  Served,
  Service,
} from '../../../transport/bus.ts';
import { NatsBus } from '../../../transport/nats-bus.ts';
import { parseCallSubject } from '../../../transport/subjects.ts';
import { PATIENCE_MS } from '../patience.ts';
import { WorldClock } from '../world/clock.ts';
import { World } from '../world/world.ts';

class RealClock extends WorldClock {
  override now(): number {
    return realClock.now();
  }

  /** The same in all processes of this machine. */
  override monotonicNs(): bigint {
    return process.hrtime.bigint();
  }

  override setTimeout(task: () => void, ms: number): unknown {
    return realClock.setTimeout(task, ms);
  }

  override clearTimeout(timer: unknown): void {
    realClock.clearTimeout(timer);
  }

  override async until(what: string, holds: () => boolean, ms: number): Promise<void> {
    for (const end = this.now() + ms; !holds(); ) {
      if (this.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

const BEATS = /\.beat$/;
const FLEET_SUBJECT = /^weft\.v1\.(fleet\.|[^.]+\.[^.]+\.beat$|[^.]+\.[^.]+\.cmd\.fleet\.)/;

/** The host's own bus with a leaf: what the fleet may hear goes to the fleet, the rest stays here. */
class LeafBus implements Bus {
  readonly #local: Bus;
  readonly #fleet: Bus;
  readonly #hears: boolean;

  /** `hears`: the beats of others; a fleet of 1000 on one machine is as many times that work as it has hosts. */
  constructor(local: Bus, fleet: Bus, hears: boolean) {
    this.#local = local;
    this.#fleet = fleet;
    this.#hears = hears;
  }

  get status(): BusStatus {
    return this.#local.status;
  }

  onStatus(listener: (status: BusStatus) => void) {
    return this.#local.onStatus(listener);
  }

  serve(service: Service, endpoints: readonly Endpoint[]): Promise<Served> {
    return this.#of(endpoints[0]?.subject ?? '').serve(service, endpoints);
  }

  request(subject: string, body: Body, timeoutMs: number): Promise<Reply> {
    return this.#of(subject).request(subject, body, timeoutMs);
  }

  ask(subject: string, bytes: Uint8Array, timeoutMs: number, headers?: Readonly<Record<string, string>>): Promise<RawAnswer> {
    return this.#fleet.ask(subject, bytes, timeoutMs, headers);
  }

  gather(heard: (answer: Body) => void): Gathering {
    return this.#fleet.gather(heard);
  }

  publish(subject: string, body: Body, encoding?: 'msgpack' | 'json'): boolean {
    // Whoever does not hear beats calls for none.
    if (!this.#hears && parseCallSubject(subject)) return true;
    return this.#of(subject).publish(subject, body, encoding);
  }

  publishAround(subject: string, body: Body, field: string, fragment: Fragment): boolean {
    return this.#of(subject).publishAround(subject, body, field, fragment);
  }

  subscribe(subject: string, listener: (message: BusMessage) => void) {
    if (!this.#hears && BEATS.test(subject)) return { stop: () => {} };
    return this.#of(subject).subscribe(subject, listener);
  }

  async flush(): Promise<void> {
    await Promise.all([this.#local.flush(), this.#fleet.flush()]);
  }

  /** The way to the fleet is the host's, not the process's. */
  close(): Promise<void> {
    return this.#local.close();
  }

  #of(subject: string): Bus {
    return FLEET_SUBJECT.test(subject) ? this.#fleet : this.#local;
  }
}

export const connectFleet = (url: string, name: string): Promise<NatsBus> =>
  NatsBus.connectExternal({ servers: [url] }, { name, waitMs: PATIENCE_MS });

/** A session's rings on a host stood still for an event. */
export interface Frozen {
  readonly host: string;
  readonly session: string;
  readonly id: string;
  /** From the event until nothing more could be recorded. */
  readonly afterMs: number;
}

const noteSchema = z.object({
  host: z.string(),
  session: z.string(),
  id: z.string(),
  atNs: z.string(),
  frozenAtNs: z.string(),
});

/** As the host's consumer noted them, oldest first. Times of the event are times of the machine's monotonic clock here. */
export const frozenOn = ({ files }: World): readonly Frozen[] =>
  [...files.notes.values()].map((text) => {
    const { host, session, id, atNs, frozenAtNs } = noteSchema.parse(JSON.parse(text));
    return { host, session, id, afterMs: Number(BigInt(frozenAtNs) - BigInt(atNs)) / 1e6 };
  });

export interface EmulatedHost {
  readonly world: World;
  end(): Promise<void>;
}

/** Resolves when it serves the fleet's commands. `hears`: it knows the others by their beats. */
export const startHost = async (host: string, url: string, hears: boolean): Promise<EmulatedHost> => {
  const fleet = await connectFleet(url, host);
  const world = new World(undefined, queueMicrotask, {
    hostname: host,
    clock: new RealClock(),
    busOf: (local) => new LeafBus(local, fleet, hears),
  });
  world.fleet = 'fleet';
  const daemon = await world.start();
  await world.until(
    'the host is in the fleet',
    () => {
      const { fleet: member } = daemon.root.getSnapshot().context;
      return !!member && member.getSnapshot().value !== 'joining';
    },
    10_000,
  );
  await world.program();
  const end = async (): Promise<void> => {
    world.end();
    await fleet.close();
  };
  return { world, end };
};
