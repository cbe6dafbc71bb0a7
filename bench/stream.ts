/**
 * Streaming at full speed over loopback: one producer thread, 8 x 1 MiB per CPU, Weft to `weft relayd` and LTTng to lttng-relayd, in turn.
 * `node bench/stream.ts [EVENTS] [RUNS]`. Time runs until the session is destroyed, when all is at the relay. Status 1: Weft loses events
 * where LTTng loses none, or records fewer per second.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { until } from '../test/support/fleet-server.ts';
import { freePort } from '../test/support/relay.ts';
import { babeltrace } from '../test/support/weft.ts';
import { runProgram } from './measure.ts';
import { processorTimes, type Times, timesBetween } from './processor.ts';
import { openLttng, openWeft, type Tracer } from './tracers.ts';

const [events = '10000000', runs = '3'] = process.argv.slice(2);

interface Streamed {
  readonly recorded: number;
  readonly perSecond: number;
  readonly processor: Times;
}

interface Relay {
  readonly pid: number;
  readonly output: string;
  readonly url: string;
  end(): void;
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

const weftRelay = (weft: Tracer): Relay => {
  const output = join(weft.directory, 'relayed');
  const { stdout } = weft.command('--json', 'relayd', '--daemonize', '-o', output, '-L', 'tcp://localhost:0');
  const { pid } = JSON.parse(stdout) as { pid: number };
  return { pid, output, url: 'relay:', end: () => process.kill(pid, 'SIGTERM') };
};

const lttngRelay = async (lttng: Tracer): Promise<Relay> => {
  const output = join(lttng.directory, 'relayed');
  const ports = [await freePort(), await freePort(), await freePort()] as const;
  const [control, data, live] = ports.map((port) => `tcp://127.0.0.1:${port}`) as [string, string, string];
  const words = ['-o', output, '-C', control, '-D', data, '-L', live];
  const child: ChildProcess = spawn('lttng-relayd', words, { env: lttng.env, stdio: 'ignore' });
  await once(child, 'spawn');
  await until(async () => (await listens(ports[0])) && (await listens(ports[1])), 'lttng-relayd listens');
  return { pid: child.pid!, output, url: `net://127.0.0.1:${ports[0]}:${ports[1]}`, end: () => child.kill('SIGTERM') };
};

const stream = (tracer: Tracer, program: string, relay: Relay, session: string): Streamed => {
  const channel = ['-u', '-s', session];
  tracer.command('create', session, `--set-url=${relay.url}`);
  tracer.command('enable-channel', ...channel, 'ch', '--subbuf-size=1M', '--num-subbuf=8');
  tracer.command('enable-event', ...channel, '-c', 'ch', 'weft_bench:*');
  tracer.command('start', session);
  const pids = [...tracer.daemons(), relay.pid];
  const before = processorTimes(pids);
  const begin = process.hrtime.bigint();
  runProgram(tracer, program, events, '1');
  tracer.command('stop', session);
  tracer.command('destroy', session);
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  const processor = timesBetween(before, processorTimes(pids));
  const recorded = babeltrace(relay.output).events;
  rmSync(relay.output, { recursive: true, force: true });
  return { recorded, perSecond: recorded / seconds, processor };
};

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** Medians, of what took any. */
const processorOf = (results: readonly Streamed[]): string => {
  const names = [...new Set(results.flatMap(({ processor }) => [...processor.keys()]))];
  const medians = names.map((name) => [name, median(results.map(({ processor }) => processor.get(name) ?? 0))] as const);
  return medians
    .filter(([, seconds]) => seconds > 0)
    .map(([name, seconds]) => `${name} ${seconds.toFixed(2)}`)
    .join(', ');
};

const measure = async (tracers: readonly Tracer[]): Promise<number> => {
  const all = tracers.map(() => [] as Streamed[]);
  const programs = tracers.map((tracer) => tracer.compile('producer'));
  for (let run = 1; run <= Number(runs); run++) {
    for (const [at, tracer] of tracers.entries()) {
      const relay = tracer.name === 'weft' ? weftRelay(tracer) : await lttngRelay(tracer);
      try {
        all[at]!.push(stream(tracer, programs[at]!, relay, `stream-${run}`));
      } finally {
        relay.end();
      }
    }
  }
  const rows = all.map((results, at) => {
    const recorded = median(results.map((one) => one.recorded));
    return {
      name: tracers[at]!.name,
      processor: processorOf(results),
      recorded,
      lost: Number(events) - recorded,
      perSecond: median(results.map((one) => one.perSecond)),
    };
  });
  for (const { name, recorded, lost, perSecond, processor } of rows)
    process.stdout.write(
      `${name.padEnd(6)} recorded ${recorded}, lost ${lost}, ${(perSecond / 1e6).toFixed(3)} M recorded per second; processor seconds: ${processor}\n`,
    );
  const [weft, lttng] = rows;
  if (!weft || !lttng) return 0;
  const ratio = weft.perSecond / lttng.perSecond;
  process.stdout.write(`ratio ${ratio.toFixed(2)} (target >= 1)\n`);
  return ratio < 1 || (lttng.lost === 0 && weft.lost > 0) ? 1 : 0;
};

const tracers: Tracer[] = [];
try {
  tracers.push(openWeft());
  const lttng = await openLttng();
  if (lttng) tracers.push(lttng);
  else process.stdout.write('LTTng is not installed: Weft alone\n');
  process.exitCode = await measure(tracers);
} finally {
  for (const tracer of tracers) tracer.end();
}
