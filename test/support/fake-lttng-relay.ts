/** The control port of an LTTng relay, as far as a link asks it: it can be silent, and can say that data has not arrived. */
import { type AddressInfo, createServer, type Socket } from 'node:net';

const HEADER = 24;
const COMMAND = { addStream: 1, createSession: 2, version: 5, sendMetadata: 6, dataPending: 8, closeChunk: 20 };
const OK = 10;

const words = (...values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, i * 4);
  return bytes;
};

export class FakeLttngRelay {
  /** Commands from this one on are not answered; null: all are. */
  silentFrom: number | null = null;
  /** How many packets of a stream have arrived. */
  arrived = 0n;
  readonly asked: number[] = [];
  readonly sockets = new Set<Socket>();
  readonly #server = createServer((socket) => this.#serve(socket));
  #handles = 0;

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => void this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
  }

  #serve(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.sockets.delete(socket));
    let received = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      while (received.length >= HEADER) {
        const length = HEADER + Number(received.readBigUInt64BE(8));
        const command = received.readUInt32BE(16);
        // Of the data connection, whose headers are others.
        if (command === 0 || received.length < length) return;
        this.#answer(socket, command, received.subarray(HEADER, length));
        received = received.subarray(length);
      }
    });
  }

  #answer(socket: Socket, command: number, payload: Buffer): void {
    this.asked.push(command);
    if (command === this.silentFrom || command === COMMAND.sendMetadata) return;
    if (command === COMMAND.version) socket.write(words(2, 11));
    else if (command === COMMAND.createSession) socket.write(words(0, 1, OK, 0));
    else if (command === COMMAND.addStream) socket.write(words(0, ++this.#handles, OK));
    else if (command === COMMAND.closeChunk) socket.write(words(OK, 0));
    else if (command === COMMAND.dataPending) socket.write(words(payload.readBigUInt64BE(8) < this.arrived ? 0 : 1));
    else socket.write(words(OK));
  }
}
