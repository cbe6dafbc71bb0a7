/** A TCP connection through a proxy of the test's own, on which what goes to the server has a rate; answers are not held up. */
import { connect, createServer, type Server, type Socket } from 'node:net';

const TICK_MS = 10;

export class SlowWay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** What was let through. */
  bytes = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static start(port: number, bytesPerSecond: number): Promise<SlowWay> {
    const server = createServer();
    const way = new SlowWay(server);
    server.on('connection', (near) => way.#forward(near, connect(port, '127.0.0.1'), bytesPerSecond));
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(way)));
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  #forward(near: Socket, far: Socket, bytesPerSecond: number): void {
    const step = (bytesPerSecond * TICK_MS) / 1000;
    let allowance = step;
    // The time that a tick is late is made up for, but none of what was not used.
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      allowance = Math.min((bytesPerSecond * (now - last)) / 1000, step * 10);
      last = now;
      pass();
    }, TICK_MS);
    const pass = (): void => {
      while (allowance >= 1 && near.readableLength > 0) {
        const chunk = near.read(Math.min(near.readableLength, Math.floor(allowance))) as Buffer | null;
        if (!chunk) return;
        allowance -= chunk.length;
        this.bytes += chunk.length;
        far.write(chunk);
      }
    };
    near.on('readable', pass);
    far.pipe(near);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        clearInterval(timer);
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
