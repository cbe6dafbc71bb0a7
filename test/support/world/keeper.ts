/** The keeper of the world: parent of bus and consumers, holder of fds. It lives on when the daemon is killed. */
import { type ExitReport, type HeldDeposit, KeeperError, type ProcessSpec } from '../../../actors/keeper-client.ts';
import type { KeeperLink } from '../../../actors/ports.ts';
import type { Kernel } from './kernel.ts';

interface Child {
  readonly spec: ProcessSpec;
  readonly pid: number;
}

export interface Nursery {
  /** Starts the program; gives the daemon's end of its fd 3. */
  start(spec: ProcessSpec): { readonly pid: number; readonly linkFd: number | null };
  lives(pid: number): boolean;
  kill(spec: ProcessSpec, signal: NodeJS.Signals): void;
}

export class WorldKeeper {
  readonly pid: number;
  readonly children = new Map<string, Child>();
  readonly deposits = new Map<string, HeldDeposit & { readonly fds: readonly number[] }>();
  readonly #kernel: Kernel;
  readonly #nursery: Nursery;
  #receiver: ((report: ExitReport) => void) | null = null;
  #connections = new Set<() => void>();
  alive = true;
  shuttingDown = false;

  constructor(kernel: Kernel, nursery: Nursery, pid: number) {
    this.#kernel = kernel;
    this.#nursery = nursery;
    this.pid = pid;
  }

  die(): void {
    this.alive = false;
    for (const { fds } of this.deposits.values()) for (const fd of fds) this.#kernel.close(fd);
    for (const closed of this.#connections) queueMicrotask(closed);
  }

  /** A child ended, for whatever reason. */
  ended(id: string, signal: NodeJS.Signals | null): void {
    const child = this.children.get(id);
    if (!child || !this.alive) return;
    this.children.delete(id);
    const report: ExitReport = {
      id,
      role: child.spec.role,
      pid: child.pid,
      code: signal ? null : 0,
      signal,
      restarting: child.spec.restart,
    };
    queueMicrotask(() => this.#receiver?.(report));
  }

  forgetReceiver(): void {
    this.#receiver = null;
  }

  connect(): KeeperLink {
    if (!this.alive) throw Object.assign(new Error('nobody listens'), { code: 'ECONNREFUSED' });
    let exited: (report: ExitReport) => void = () => {};
    const asked = <T>(work: () => T): Promise<T> =>
      new Promise((resolve, reject) =>
        queueMicrotask(() => {
          if (!this.alive) return reject(new KeeperError('ECONNRESET', 'request'));
          try {
            resolve(work());
          } catch (thrown) {
            reject(thrown);
          }
        }),
      );
    return {
      onExited: (listener) => {
        exited = listener;
      },
      onClose: (listener) => void this.#connections.add(listener),
      hello: () =>
        asked(() => {
          this.#receiver = exited;
          return { keeperPid: this.pid };
        }),
      spawn: (spec) => asked(() => this.#spawn(spec)),
      adopt: (spec, pid) => asked(() => this.#adopt(spec, pid)),
      kill: (id, signal) => asked(() => this.#nursery.kill(this.#child(id).spec, signal)),
      forget: (id) => asked(() => void this.children.delete(id)),
      deposit: (held, fds) => asked(() => this.#deposit(held, fds)),
      fetch: (id) => asked(() => this.#fetch(id)),
      release: (id) => asked(() => this.#release(id)),
      list: () =>
        asked(() => ({
          deposits: [...this.deposits.values()].map(({ id, role, number }) => ({ id, role, number })),
          processes: [...this.children.values()].map(({ spec, pid }) => ({ ...spec, pid })),
        })),
      shutdown: () =>
        asked(() => {
          this.shuttingDown = true;
        }),
      close: () => {},
    };
  }

  #child(id: string): Child {
    const child = this.children.get(id);
    if (!child) throw new KeeperError('ENOENT', 'kill', id);
    return child;
  }

  #adopt(spec: ProcessSpec, pid: number): void {
    if (!this.#nursery.lives(pid)) throw new KeeperError('ESRCH', 'adopt', spec.id);
    this.children.set(spec.id, { spec, pid });
  }

  #spawn(spec: ProcessSpec): { pid: number } {
    if (this.children.has(spec.id)) throw new KeeperError('EEXIST', 'spawn', spec.id);
    const { pid, linkFd } = this.#nursery.start(spec);
    this.children.set(spec.id, { spec, pid });
    if (linkFd !== null) this.#deposit({ id: spec.id, role: 3, number: 0 }, [linkFd]);
    return { pid };
  }

  #deposit(held: HeldDeposit, fds: readonly number[]): void {
    if (this.deposits.has(held.id)) this.#release(held.id);
    this.deposits.set(held.id, { ...held, fds: fds.map((fd) => this.#kernel.dup(fd)) });
  }

  #fetch(id: string): HeldDeposit & { fds: number[] } {
    const held = this.deposits.get(id);
    if (!held) throw new KeeperError('ENOENT', 'fetch', id);
    return { ...held, fds: held.fds.map((fd) => this.#kernel.dup(fd)) };
  }

  #release(id: string): void {
    const held = this.deposits.get(id);
    if (!held) throw new KeeperError('ENOENT', 'release', id);
    this.deposits.delete(id);
    for (const fd of held.fds) this.#kernel.close(fd);
  }
}
