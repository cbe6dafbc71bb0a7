/** A session daemon of the world: the real actors upon ports that can fail, hang, and die with it. */
import { createActor } from 'xstate';
import { DaemonParts } from '../../../actors/daemon-parts.ts';
import type { BusPort, DaemonPorts, Host, KeeperLink, KeeperPort, Survivors } from '../../../actors/ports.ts';
import { provideSessionDaemon } from '../../../actors/session-daemon.ts';
import type { SeqpacketConnection, SeqpacketServer } from '../../../native/addon/index.ts';
import type { MemoryBus } from '../../../transport/memory-bus.ts';
import type { SocketEnd } from './kernel.ts';
import { worldMaps } from './maps.ts';
import { Life, mortal } from './mortal.ts';
import { worldRings } from './rings.ts';
import type { World } from './world.ts';

const KEEPER_WAITS = ['hello', 'spawn', 'adopt', 'kill', 'forget', 'deposit', 'fetch', 'release', 'list', 'shutdown'];

/** Closing a duplicate of a socket closes nothing that somebody else holds. */
const viewOf = (end: SocketEnd): SeqpacketConnection => ({
  peer: end.peer,
  send: (message, fds) => end.send(message, fds),
  onMessage: (listener) => end.onMessage(listener),
  onClose: (listener) => end.onClose(listener),
  close: () => {},
});

export class WorldDaemon {
  readonly life = new Life();
  readonly parts: DaemonParts;
  readonly root;
  bus: MemoryBus | null = null;
  ended = false;
  #locked = false;
  readonly #servers: SeqpacketServer[] = [];
  readonly #world: World;

  constructor(world: World, pid: number) {
    this.#world = world;
    this.parts = new DaemonParts(this.#ports(pid));
    this.root = createActor(provideSessionDaemon(this.parts), { id: 'sessiond', clock: this.parts.ports.clock });
    this.parts.root = this.root;
    this.root.subscribe({
      complete: () => {
        this.ended = true;
        if (this.#locked) world.daemonGone();
        this.die();
      },
      error: (thrown) => world.crashed('session daemon', thrown),
    });
    if (world.inspectors.length > 0) this.root.system.inspect((event) => world.inspect(event));
    this.root.start();
  }

  /** kill -9 */
  die(): void {
    this.life.alive = false;
    this.root.stop();
    this.bus?.cut();
    for (const server of this.#servers) server.close();
    // One that never got the lock held nothing else either.
    if (this.#world.lockHolder === this) this.#world.daemonGone();
    this.#world.releaseLock(this);
  }

  get state(): string {
    return JSON.stringify(this.root.getSnapshot().value);
  }

  #ports(pid: number): DaemonPorts {
    const [world, life] = [this.#world, this.life];
    const host: Host = {
      hostname: world.hostname,
      uid: 1000,
      gid: 1000,
      pid,
      version: '0.1.0',
      bootId: world.bootId,
      machineId: world.hostname.padEnd(32, 'a'),
      labels: { role: 'test' },
      fleetUser: null,
      load: () => 0,
      clockOffsetNs: () => world.clockOffsetNs,
      monotonicNs: () => world.clock.monotonicNs(),
      possibleCpus: 2,
      onlineCpus: () => [0, 1],
      image: (pid) => world.applications.find((one) => one.pid === pid && one.alive)?.image ?? null,
      availableMemory: () => world.memory,
      user: (uid) => ({ gid: uid, home: `/home/${uid}` }),
      idOf: (_, name) => (name === 'alice' ? 1000 : null),
      isTracing: () => false,
      tracingGid: () => null,
    };
    return {
      clock: world.clockOf(life),
      ids: { hex: (bytes) => world.hex(bytes) },
      log: world.logOf('sessiond'),
      host,
      disk: mortal(
        'disk',
        world.disk,
        [
          'load',
          'write',
          'remove',
          'loadTriggers',
          'writeTrigger',
          'removeTrigger',
          'loadParcels',
          'writeParcel',
          'removeParcel',
          'loadFleetSessions',
          'writeFleetSessions',
        ],
        life,
        world.faults,
      ),
      native: mortal('native', this.#native(pid), [], life, world.faults),
      keeper: mortal('keepers', this.#keeper(), ['startAnother'], life, world.faults),
      bus: mortal('buses', this.#bus(), ['open', 'adopt', 'grant'], life, world.faults),
      ringFiles: mortal('files', world.ringFiles, [], life, world.faults),
      survivors: mortal('survivors', this.#survivors(), ['end'], life, world.faults),
      ...{ forCommand: false, limits: world.limits },
      paths: { lock: 'lock', clock: 'clock', appsSocket: 'apps.sock', clientSocket: 'client.sock' },
      consumerProgram: (owner) => ({ arguments: ['consumerd', String(owner)], environment: {}, log: '' }),
      spool: (owner, id) => `/home/${owner}/spool/${id}`,
      defaultOutput: (owner, name) => `/home/${owner}/weft-traces/${name}`,
    };
  }

  #native(pid: number): DaemonPorts['native'] {
    const world = this.#world;
    const { kernel } = world;
    const own = { pid, uid: 1000, gid: 1000 };
    return {
      ...worldMaps(kernel),
      ...worldRings(kernel, (memory) => world.memories.push(memory)),
      listenSeqpacket: (path, _options, accept) => {
        const server = kernel.listen(path, own, (connection) => {
          if (!this.life.alive) return;
          world.connections.add(connection);
          accept(mortal('socket', connection, [], this.life, world.faults));
        });
        this.#servers.push(server);
        return server;
      },
      adoptSeqpacket: (fd) => mortal('link', viewOf(kernel.at<SocketEnd>(fd)), [], this.life, world.faults),
      openClockPage: () => ({ now: () => 0n, readOnlyFd: kernel.fd('clock page'), close: () => {} }),
      wakeApplications: () => world.wake(),
      tryCounter: (type) => {
        if (type !== 1) throw Object.assign(new Error('no such counter'), { code: 'ENOENT' });
      },
      lockFile: () => {
        if (world.lockHolder) return null;
        world.lockHolder = this;
        this.#locked = true;
        return { fd: -1, close: () => world.releaseLock(this) };
      },
      closeFd: (fd) => kernel.close(fd),
    };
  }

  #keeper(): KeeperPort {
    const world = this.#world;
    const link = (): KeeperLink => mortal('keeper', world.keeper.connect(), KEEPER_WAITS, this.life, world.faults);
    return { connect: link, startAnother: async () => world.startKeeper() };
  }

  #survivors(): Survivors {
    const world = this.#world;
    const of = (owner: number) => world.consumers.find((one) => one.owner === owner);
    return {
      note: () => {},
      memoryOf: (owner, ringId) => {
        const read = of(owner)?.readers.find(({ options, closed }) => options.ringId === ringId && !closed)?.memory;
        const held = read ?? world.applications.flatMap((one) => one.rings()).find((memory) => memory.ringId === ringId);
        return held ? [world.kernel.fd(held), world.kernel.fd(held)] : null;
      },
      mapOf: (owner, mapId) => {
        const fd = of(owner)?.parts.maps.get(mapId);
        const held =
          fd === undefined
            ? world.applications.flatMap((one) => one.maps()).find((memory) => memory.mapId === mapId)
            : world.kernel.at(fd);
        return held === undefined ? null : world.kernel.fd(held);
      },
      readOnly: (fd) => world.kernel.fd(world.kernel.at(fd)),
      releaseVaults: () => {},
      end: async (owner) => {
        const consumer = of(owner);
        if (!consumer) return;
        consumer.terminate();
        await consumer.ended;
      },
    };
  }

  #bus(): BusPort {
    const world = this.#world;
    return {
      open: async () => {
        this.bus = world.connectBus();
        return mortal('bus', world.busOf(this.bus), ['serve', 'request', 'ask'], this.life, world.faults);
      },
      adopt: async () => world.note('bus adopted'),
      fleetDomain: () => world.fleet,
      setFleet: async (fleet, _keeper, renewKeys) => {
        world.fleet = fleet?.domain ?? null;
        await renewKeys();
      },
      grant: async (role) => ({
        host: world.hostname,
        uid: 1000,
        who: role.kind === 'caller' ? role.who : role.kind === 'consumer' ? role.owner : '1000',
        realm: 'local',
        urls: ['memory'],
        ca: null,
        inboxPrefix: '_INBOX',
        version: '0.1.0',
      }),
    };
  }
}
