/**
 * From an event to who watches: `weft view --live`, and babeltrace2's lttng-live at a relay, beside a program that makes an event each
 * millisecond. `node bench/live.ts [SECONDS]`. An event's own time against the time when its line came out of the viewer.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../test/support/fleet-server.ts';
import { freePort } from '../test/support/relay.ts';
import { CLI } from '../test/support/weft.ts';
import { openWeft } from './tracers.ts';

const [seconds = '10'] = process.argv.slice(2);
/** What starts, and what was there before the viewer, is no measure. */
const WARM_MS = 1_000;

const weft = openWeft();
const program = weft.compile('paced');
const children: ChildProcess[] = [];
const start = (file: string, ...words: string[]): ChildProcess => {
  const child = spawn(file, words, { env: weft.env, stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  return child;
};

const nowMs = (): number => performance.timeOrigin + performance.now();

/** Latencies in ms, of the lines of a viewer that prints dates in UTC. */
const watch = async (file: string, ...words: string[]): Promise<number[]> => {
  const child = start(file, ...words);
  const latencies: number[] = [];
  let [from, rest] = [Number.POSITIVE_INFINITY, ''];
  child.stdout!.setEncoding('latin1').on('data', (text: string) => {
    const now = nowMs();
    if (from === Number.POSITIVE_INFINITY) from = now + WARM_MS;
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      const [, second, ns] = /^\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.(\d{9})\]/.exec(line) ?? [];
      const at = second === undefined ? Number.NaN : Date.parse(`${second.replace(' ', 'T')}Z`) + Number(ns) / 1e6;
      if (at >= from) latencies.push(now - at);
    }
  });
  await until(() => from < Number.POSITIVE_INFINITY, `${file} shows events`, 30_000);
  await delay(WARM_MS + Number(seconds) * 1_000);
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGINT');
  await ended;
  return latencies.sort((a, b) => a - b);
};

const tell = (name: string, latencies: readonly number[]): void => {
  const at = (share: number): string => latencies[Math.floor(latencies.length * share)]?.toFixed(1) ?? '-';
  process.stdout.write(
    `${name.padEnd(52)} ${latencies.length} events   p50 ${at(0.5)} ms   p90 ${at(0.9)} ms   p99 ${at(0.99)} ms   worst ${latencies.at(-1)?.toFixed(1)} ms\n`,
  );
};

const record = (session: string, ...words: string[]): void => {
  weft.command('create', session, ...words);
  weft.command('enable-channel', '-u', '-s', session, 'ch', '--subbuf-size=256k', '--num-subbuf=8');
  weft.command('enable-event', '-u', '-s', session, '-c', 'ch', 'weft_bench:*');
  weft.command('start', session);
};

try {
  const port = await freePort();
  weft.command('relayd', '--daemonize', '-o', `${weft.directory}/relayed`, '-L', `tcp://localhost:${port}`);
  record('local', '-o', `${weft.directory}/local`);
  record('live', '--set-url=relay:', '--live=1000000');
  start(program, '1');
  const own = (session: string) => watch(CLI, 'view', '--live', session, '--clock-gmt', '--clock-date');
  tell('weft view --live, a local session', await own('local'));
  tell('weft view --live, a live session', await own('live'));
  const url = `net://localhost:${port}/host/${hostname()}/live`;
  const polling = (...words: string[]) =>
    watch('stdbuf', '-oL', 'babeltrace2', '--clock-gmt', '--clock-date', ...words, '-i', 'lttng-live', url);
  tell('babeltrace2 lttng-live, polling each ms', await polling('--retry-duration=1000'));
  tell('babeltrace2 lttng-live, polling as it does (100 ms)', await polling());
} finally {
  for (const child of children) child.kill('SIGKILL');
  weft.end();
}
