/** A relay in the in-memory world: its real machines, actors and files (in a directory of its own), a disk that can fill, fail and hang. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ActorRefFrom, createActor } from 'xstate';
import { provideRelay } from '../../../actors/relay.ts';
import { RelayDisk } from '../../../actors/relay-disk.ts';
import { RelayParts, type RelaySettings } from '../../../actors/relay-parts.ts';
import type { relayMachine } from '../../../machines/relay.ts';
import type { Body, Bus, Reply } from '../../../transport/bus.ts';
import { linkSubject, RELAY_OPEN } from '../../../transport/subjects.ts';
import type { World } from './world.ts';

export const LINK = 'ab'.repeat(16);

class WorldRelayDisk extends RelayDisk {
  full = false;
  /** Ends of the paths that alone cannot be written. */
  fullFor: string | null = null;
  syncs: 'done' | 'failed' | 'hanging' = 'done';
  #release: () => void = () => {};

  override write(path: string, at: number, bytes: Uint8Array): void {
    if (this.full || (this.fullFor !== null && path.endsWith(this.fullFor)))
      throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    super.write(path, at, bytes);
  }

  override async sync(): Promise<void> {
    if (this.syncs === 'hanging') {
      await new Promise<void>((resolve) => {
        this.#release = resolve;
      });
    }
    if (this.syncs === 'failed') throw Object.assign(new Error('bad disk'), { code: 'EIO' });
  }

  release(how: 'done' | 'failed' = 'done'): void {
    this.syncs = how;
    this.#release();
  }
}

export class WorldRelay {
  readonly world: World;
  readonly output = mkdtempSync(join(tmpdir(), 'weft-relay-world-'));
  readonly disk = new WorldRelayDisk(100);
  readonly acks: Body[] = [];
  readonly events: string[] = [];
  readonly root: ActorRefFrom<typeof relayMachine>;
  readonly #parts: RelayParts;
  renewed = 0;
  bus: ReturnType<World['connectBus']> | null = null;
  readonly #sender: Bus;
  #n = 0;

  constructor(world: World, settings: Partial<RelaySettings> = {}, connect: 'works' | 'fails' | 'hangs' = 'works') {
    this.world = world;
    this.#sender = world.connectBus();
    world.cleanups.push(() => this.dispose());
    const ports = {
      clock: world.clock,
      ids: { hex: (bytes: number) => world.hex(bytes) },
      log: world.logOf('relay'),
      disk: this.disk,
      connect: async () => {
        if (connect === 'fails') throw new Error('no bus');
        if (connect === 'hangs') await new Promise(() => {});
        this.bus = world.connectBus();
        return { bus: this.bus, renew: async () => void this.renewed++ };
      },
    };
    const plain = { relay: 'r', output: this.output, uid: 0, groupBy: 'host', allowClear: true, window: 1 << 20 } as const;
    const parts = new RelayParts(ports, { ...plain, retainBytes: 0, retainAgeMs: 0, ...settings });
    this.root = createActor(provideRelay(parts), {
      id: 'relay',
      clock: world.clock,
      inspect: (event) => world.inspect(event),
    }) as ActorRefFrom<typeof relayMachine>;
    parts.root = this.root;
    this.#parts = parts;
    this.root.subscribe({ error: (thrown) => world.crashed('relay', thrown) });
    this.#sender.subscribe(linkSubject('ack', { relay: 'r', host: 'h', uid: 0, owner: '7', link: LINK }), ({ body }) => {
      this.acks.push(body);
    });
    this.#sender.subscribe('weft.v1.relay.r.evt.>', ({ subject }) => this.events.push(subject.split('.').at(-1)!));
    this.root.start();
  }

  /** Starts it, and one link is open and receives. */
  static async receiving(world: World, settings: Partial<RelaySettings> = {}): Promise<WorldRelay> {
    const relay = new WorldRelay(world, settings);
    await world.rest();
    await relay.open(1);
    await relay.metadata(1);
    return relay;
  }

  /** The states of its links, one after the other. */
  get links(): string[] {
    return Object.values(this.root.getSnapshot().context.openings).map((ref) => JSON.stringify(ref.getSnapshot().value));
  }

  get viewers(): number {
    return Object.keys(this.root.getSnapshot().context.viewers).length;
  }

  /** The code of a refusal, or `ok`; null: no answer yet. */
  async open(epoch: number, claimed: Body = {}): Promise<string | null> {
    let reply: Reply | null = null;
    const claims = { host: 'h', uid: 0, owner: '7', link: LINK, session: 's', createdAt: '2026-01-01T00:00:00Z', ...claimed };
    void this.#sender.request(RELAY_OPEN, { v: 1, id: `o${epoch}`, epoch, ...claims }, 60_000).then((answer) => {
      reply = answer;
    });
    this.#n = 0;
    await this.world.rest();
    const answer = reply as Reply | null;
    if (answer === null) return null;
    return answer.ok ? 'ok' : answer.fault.code;
  }

  async send(
    epoch: number,
    body: Body,
    of: { readonly uid: number; readonly link: string } = { uid: 0, link: LINK },
  ): Promise<void> {
    const subject = linkSubject('data', { relay: 'r', host: 'h', owner: '7', ...of });
    this.#sender.publish(subject, { v: 1, epoch, n: ++this.#n, ...body });
    await this.world.rest();
  }

  metadata(epoch: number): Promise<void> {
    return this.send(epoch, { kind: 'metadata', path: 'ust/uid/7/64-bit', text: '/* CTF 1.8 */' });
  }

  /** Retention looks at real files beside all else: it has, with what it removes. */
  async looked(): Promise<void> {
    await this.#parts.evicting;
  }

  /** Somebody at the live port. */
  viewer(uid: number | null) {
    let replied: Buffer = Buffer.alloc(0);
    const seen = { closed: false };
    const socket = {
      uid,
      send: async (bytes: Buffer) => {
        replied = bytes;
      },
      close: () => {
        seen.closed = true;
      },
    };
    const connected = this.#parts.connected(socket);
    return {
      get closed(): boolean {
        return seen.closed;
      },
      gone: () => connected.gone(),
      /** The reply; empty: there was none. */
      ask: async (command: number, payload: Uint8Array = new Uint8Array()): Promise<Buffer> => {
        const header = Buffer.alloc(16);
        header.writeBigUInt64BE(BigInt(payload.length), 0);
        header.writeUInt32BE(command, 8);
        replied = Buffer.alloc(0);
        await connected.receive(Buffer.concat([header, payload]));
        await this.world.rest();
        return replied;
      },
    };
  }

  /** Done again it does nothing. */
  dispose(): void {
    this.root.stop();
    rmSync(this.output, { recursive: true, force: true });
  }
}
