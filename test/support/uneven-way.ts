/**
 * TCP ways that take their time, each direction as it likes; a process of its own, so that whatever keeps a test busy delays nothing.
 * Argument: JSON `{port, ways: {there: Delay, back: Delay}[]}`; `port` of loopback is where all of them lead. Prints the ways' ports
 * as JSON, and ends with its stdin.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** ms, drawn evenly for every piece; pieces do not overtake each other. */
export interface Delay {
  readonly least: number;
  readonly most: number;
}

export interface Way {
  readonly there: Delay;
  readonly back: Delay;
}

/** Never early, as timers of Node may be: the least delay is what a test relies on. */
const at = (due: number, act: () => void): void => {
  const left = due - performance.now();
  if (left <= 0) act();
  else setTimeout(() => at(due, act), Math.ceil(left));
};

const forward = (from: Socket, to: Socket, { least, most }: Delay): void => {
  const pieces: { readonly due: number; readonly bytes: Buffer }[] = [];
  const next = (): void => {
    to.write(pieces.shift()!.bytes);
    if (pieces[0]) at(pieces[0].due, next);
  };
  from.on('data', (bytes) => {
    pieces.push({ due: performance.now() + least + Math.random() * (most - least), bytes });
    if (pieces.length === 1) at(pieces[0]!.due, next);
  });
  from.on('close', () => to.destroy());
  from.on('error', () => to.destroy());
};

const open = async (port: number, { there, back }: Way): Promise<number> => {
  const server: Server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: '127.0.0.1', port, noDelay: true });
    forward(near, far, there);
    forward(far, near, back);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
};

const { port, ways } = JSON.parse(process.argv[2]!) as { port: number; ways: Way[] };
process.stdout.write(`${JSON.stringify(await Promise.all(ways.map((way) => open(port, way))))}\n`);
process.stdin.on('end', () => process.exit()).resume();
