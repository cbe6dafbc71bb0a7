/** A consumer process of the world: the real actors, upon rings and files of the world. */
import { createActor } from 'xstate';
import { ConsumerProcessParts, listenToDaemon, provideConsumerProcess } from '../../../actors/consumer-process.ts';
import type { ConsumerPorts } from '../../../actors/ports.ts';
import type { ReaderNews, ReaderOptions } from '../../../native/addon/index.ts';
import type { MemoryBus } from '../../../transport/memory-bus.ts';
import type { SocketEnd } from './kernel.ts';
import { Life, mortal } from './mortal.ts';
import { WorldReader } from './rings.ts';
import { WorldSpool } from './spool.ts';
import type { World } from './world.ts';

export class WorldConsumer {
  readonly pid: number;
  readonly id: string;
  readonly owner: number;
  readonly ended: Promise<void>;
  #noteEnd: () => void = () => {};
  readonly life = new Life();
  readonly parts: ConsumerProcessParts;
  readonly readers: WorldReader[] = [];
  readonly link: SocketEnd;
  readonly #root: ReturnType<typeof createActor<ReturnType<typeof provideConsumerProcess>>>;
  bus: MemoryBus | null = null;

  constructor(world: World, id: string, pid: number, owner: number, link: SocketEnd) {
    this.id = id;
    this.owner = owner;
    this.ended = new Promise((resolve) => {
      this.#noteEnd = resolve;
    });
    this.pid = pid;
    this.link = link;
    this.parts = new ConsumerProcessParts(this.#ports(world, owner));
    this.#root = createActor(provideConsumerProcess(this.parts), { id: `consumer-${owner}`, clock: this.parts.ports.clock });
    this.parts.root = this.#root;
    this.#root.subscribe({
      complete: () => world.consumerEnded(this, null),
      error: (thrown) => world.crashed(`consumer ${owner}`, thrown),
    });
    if (world.inspectors.length > 0) this.#root.system.inspect((event) => world.inspect(event));
    this.#root.start();
    listenToDaemon(this.parts);
  }

  get state(): string {
    return JSON.stringify(this.#root.getSnapshot().value);
  }

  /** With what word it ended. */
  get refusal(): string | null {
    return this.#root.getSnapshot().context.refusal?.code ?? null;
  }

  terminate(): void {
    this.#root.send({ type: 'ShutdownRequested' });
  }

  die(): void {
    this.life.alive = false;
    this.#noteEnd();
    this.#root.stop();
    this.bus?.cut();
    for (const reader of this.readers) reader.closed = true;
    this.link.close();
  }

  #ports(world: World, owner: number): ConsumerPorts {
    const { kernel, files, faults } = world;
    const clock = world.clockOf(this.life);
    const native = {
      startReader: (options: ReaderOptions, news: (news: ReaderNews) => void) => {
        const reader = new WorldReader(kernel, files, options, (one) => this.life.alive && news(one));
        this.readers.push(reader);
        return mortal('reader', reader, ['flush', 'rotate', 'clear', 'reclaim', 'snapshot', 'close'], this.life, faults);
      },
      closeFd: (fd: number) => kernel.close(fd),
    };
    const ports: ConsumerPorts = {
      clock,
      log: world.logOf('consumer'),
      pid: this.pid,
      owner: String(owner),
      link: this.link,
      native: mortal('consumer-native', native, [], this.life, faults),
      connect: async () => {
        this.bus = world.connectBus();
        return {
          bus: mortal('consumer-bus', world.busOf(this.bus), ['serve', 'request'], this.life, faults),
          renew: () => {
            if (faults.take('consumer-key.renew')) throw new Error('a key that is none');
            world.note('key renewed');
          },
        };
      },
      connectRelay: async () => world.connectBus(),
      openSpool: (output) => new WorldSpool(output, files),
      compress: async (bytes) => bytes,
      monotonicNs: () => world.clock.monotonicNs(),
      clockOffsetNs: () => world.clockOffsetNs,
      makeDirectory: (path) => void files.directories.add(path),
      writeNote: (path, text) => {
        files.noteWrites++;
        files.notes.set(path, text);
      },
      writeMetadata: (directory, text) => void files.metadata.set(directory, text),
      archive: (output, from, to) => files.archive(output, from, to),
      removeTraces: (directory, kept) => files.removeTraces(directory, kept),
      followTrace: () => ({
        read: async () => ({ records: [], leftOut: 0, packetsLeftOut: 0, faults: [] }),
        layouts: () => null,
      }),
    };
    return mortal('consumer-ports', ports, ['connect'], this.life, faults);
  }
}
