/** A program of the world: it speaks the real encoding of wire.h and records into the rings it was handed, as libweft does. */
import { decodeWire, encodeWire, type MessageOf, type ToApplication } from '../../../actors/wire.ts';
import type { Field, PointDescription } from '../../../machines/document.ts';
import type { Peer, SeqpacketConnection } from '../../../native/addon/index.ts';
import { runProgram } from '../filter-machine.ts';
import type { Kernel } from './kernel.ts';
import type { MapMemory } from './maps.ts';
import type { RingMemory } from './rings.ts';

export const POINT: PointDescription = {
  name: 'weft_test:count',
  logLevel: 13,
  modelEmfUri: '',
  fields: [
    {
      name: 'number',
      nowrite: false,
      type: { kind: 'integer', integer: { bits: 64, signed: false, reverse: false, base: 10 } },
    } satisfies Field,
  ],
};

/** As libweft runs it; `number` is the only field. */
const isKept = (filter: Buffer, number: number): boolean =>
  filter.length === 0 || runProgram(filter, { fields: [BigInt(number)], contexts: new Map(), apps: new Map() });

interface Channel {
  readonly ringId: string;
  readonly memory: RingMemory;
  readonly enabled: Map<number, { readonly eventId: number; readonly filter: Buffer }>;
  started: boolean;
  attached: boolean;
}

export interface ApplicationOptions {
  readonly points?: readonly PointDescription[];
  readonly rseq?: boolean;
  readonly peer: Peer;
}

export class WorldApplication {
  readonly #kernel: Kernel;
  readonly #path: string;
  readonly #options: ApplicationOptions;
  readonly #channels = new Map<number, Channel>();
  readonly #watches = new Map<string, MessageOf<'watch'>>();
  #procname = 'prog';
  readonly #maps = new Map<number, MapMemory>();
  readonly #counts = new Map<string, MessageOf<'count'>>();
  #connection: SeqpacketConnection | null = null;
  id = 0;
  alive = true;
  image = 'first';
  synced = 0;
  /** The daemon has asked for all that it wants. */
  complete = false;
  refused: string | null = null;
  closed = false;
  /** Does not acknowledge. */
  deaf = false;
  /** Answers commands of this kind with that error. */
  errors = new Map<string, number>();
  readonly heard: ToApplication[] = [];
  /** What it recorded, in order. */
  readonly recorded: number[] = [];

  constructor(kernel: Kernel, path: string, options: ApplicationOptions) {
    this.#kernel = kernel;
    this.#path = path;
    this.#options = options;
  }

  get points(): readonly PointDescription[] {
    return this.#options.points ?? [POINT];
  }

  get pid(): number {
    return this.#options.peer.pid;
  }

  /** Connects without a word. */
  connect(): void {
    const connection = this.#kernel.connect(this.#path, this.#options.peer);
    this.#connection = connection;
    this.closed = false;
    this.synced = 0;
    this.complete = false;
    this.#watches.clear();
    this.#maps.clear();
    this.#counts.clear();
    for (const channel of this.#channels.values()) channel.attached = false;
    connection.onMessage((bytes, fds) => this.#take(decodeWire(bytes) as ToApplication, fds));
    connection.onClose(() => {
      this.closed = true;
    });
  }

  /** As a program that loads the library does. */
  register(): void {
    this.connect();
    this.hello();
    this.describe(this.points, 0);
    this.ready(1);
  }

  hello(abi = 1): void {
    const rseq = this.#options.rseq ?? true;
    this.send(
      encodeWire('hello', { abi, pid: this.pid, bits: 64, rseq, reserved: null, procname: this.#procname, path: '/bin/prog' }),
    );
  }

  describe(points: readonly PointDescription[], first: number): void {
    for (const [at, point] of points.entries()) this.send(encodeWire('point', { ...point, point: first + at }));
  }

  forget(point: number): void {
    this.send(encodeWire('pointGone', { point }));
  }

  ready(batch: number): void {
    this.send(encodeWire('ready', { batch }));
  }

  send(bytes: Buffer): void {
    this.#connection?.send(bytes);
  }

  /** Another program in the same process. */
  exec(procname: string): void {
    this.exit();
    this.alive = true;
    this.#procname = procname;
    this.image = procname;
    this.register();
  }

  /** Dies. */
  exit(): void {
    this.alive = false;
    this.#connection?.close();
    this.#connection = null;
    this.#channels.clear();
    this.#maps.clear();
  }

  /** One event at point `point`; into how many rings it went. */
  record(number: number, point = 0): number {
    let rings = 0;
    for (const channel of this.#channels.values()) {
      const enabled = channel.enabled.get(point);
      if (!channel.started || !enabled || !isKept(enabled.filter, number)) continue;
      const { eventId } = enabled;
      channel.memory.events.push({ eventId, name: (this.points[point] ?? POINT).name, number });
      rings++;
    }
    if (rings > 0) this.recorded.push(number);
    this.#fire(number, point);
    this.#count(number, point);
    return rings;
  }

  /** Filters of the world keep every event; each capture is the event's number. */
  #fire(number: number, point: number): void {
    for (const watch of this.#watches.values()) {
      if (watch.point !== point) continue;
      const captures = watch.captures.map(() => BigInt(number));
      this.send(encodeWire('fired', { watch: watch.watch, point, timestamp: BigInt(number), discarded: 0, captures }));
    }
  }

  #count(number: number, point: number): void {
    const once = new Set<string>();
    for (const count of this.#counts.values()) {
      const place = `${count.map} ${count.slot}`;
      if (count.point !== point || !isKept(count.filter, number) || (count.once && once.has(place))) continue;
      if (count.once) once.add(place);
      this.#maps.get(count.map)?.add(count.slot);
    }
  }

  rings(): readonly RingMemory[] {
    return [...this.#channels.values()].map(({ memory }) => memory);
  }

  maps(): readonly MapMemory[] {
    return [...this.#maps.values()];
  }

  #take(message: ToApplication, fds: readonly number[]): void {
    this.heard.push(message);
    switch (message.kind) {
      case 'welcome':
        this.id = message.application;
        break;
      case 'refused':
        this.refused = message.reason;
        break;
      case 'synced':
        this.#sync(message.batch, message.complete);
        break;
      default:
        this.#obey(message, fds);
    }
    for (const fd of fds) this.#kernel.close(fd);
  }

  /** What a former daemon had attached and this one did not is given back. */
  #sync(batch: number, complete: boolean): void {
    this.synced = batch;
    this.complete = complete;
    if (!complete) return;
    for (const [handle, channel] of this.#channels) if (!channel.attached) this.#channels.delete(handle);
  }

  #obey(message: Exclude<ToApplication, MessageOf<'welcome' | 'refused' | 'synced'>>, fds: readonly number[]): void {
    const known = !('channel' in message) || message.kind === 'attach' || this.#channels.has(message.channel);
    const error = this.errors.get(message.kind) ?? (known ? 0 : 2);
    if (error === 0) this.#carryOut(message, fds);
    if (!this.deaf) this.send(encodeWire('ack', { command: message.command, status: error }));
  }

  #carryOut(message: Exclude<ToApplication, MessageOf<'welcome' | 'refused' | 'synced'>>, fds: readonly number[]): void {
    if (message.kind === 'attach') {
      this.#attach(message, this.#kernel.at<RingMemory>(fds[0]!));
      return;
    }
    if (message.kind === 'map') this.#maps.set(message.map, this.#kernel.at<MapMemory>(fds[0]!));
    if (message.kind === 'unmap') this.#maps.delete(message.map);
    if (message.kind === 'count') this.#counts.set(`${message.watch} ${message.point} ${message.map} ${message.slot}`, message);
    if (message.kind === 'uncount')
      for (const key of [...this.#counts.keys()])
        if (key.startsWith(`${message.watch} ${message.point} `)) this.#counts.delete(key);
    if (message.kind === 'watch') this.#watches.set(`${message.watch} ${message.point}`, message);
    if (message.kind === 'unwatch') this.#watches.delete(`${message.watch} ${message.point}`);
    if (!('channel' in message)) return;
    const channel = this.#channels.get(message.channel)!;
    if (message.kind === 'enable') channel.enabled.set(message.point, message);
    if (message.kind === 'disable') channel.enabled.delete(message.point);
    if (message.kind === 'start') channel.started = true;
    if (message.kind === 'stop') channel.started = false;
    if (message.kind === 'detach') this.#channels.delete(message.channel);
  }

  /** A mapping that it has is kept, and goes on as it stood. */
  #attach({ channel, ringId }: MessageOf<'attach'>, memory: RingMemory): void {
    const known = [...this.#channels].find(([, one]) => one.ringId === ringId && !one.attached);
    if (known) this.#channels.delete(known[0]);
    const kept = known?.[1] ?? { ringId, memory, enabled: new Map(), started: false, attached: true };
    kept.attached = true;
    this.#channels.set(channel, kept);
  }
}
