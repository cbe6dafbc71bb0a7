/** Decoding to text: events a second of `weft view` and of babeltrace2 on the same trace. `node bench/view.ts TRACE [ROUNDS]` */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { babeltrace } from '../test/support/weft.ts';

const [trace, rounds = '3'] = process.argv.slice(2);
if (trace === undefined) throw new Error('usage: bench/view.ts TRACE [ROUNDS]');
const path = resolve(trace);
const CLI = join(import.meta.dirname, '../cli/weft');

/** The best of the rounds, in seconds; what else the machine does only makes them longer. */
const seconds = (command: string, ...words: string[]): number => {
  const once = (): number => {
    const begin = process.hrtime.bigint();
    const ran = spawnSync(command, words, { stdio: ['ignore', 'ignore', 'ignore'] });
    if (ran.status !== 0) throw new Error(`${command} ends with ${ran.status}`);
    return Number(process.hrtime.bigint() - begin) / 1e9;
  };
  return Math.min(...Array.from({ length: Number(rounds) }, once));
};

const { events } = babeltrace(path);
const [own, other] = [seconds(CLI, 'view', `${path}/`), seconds('babeltrace2', path)];
const row = (name: string, s: number): string =>
  `${name.padEnd(12)} ${s.toFixed(3)} s   ${(events / s / 1e6).toFixed(2)} M events/s`;
process.stdout.write(
  `${events} events\n${row('weft view', own)}\n${row('babeltrace2', other)}\n${(other / own).toFixed(1)} x\n`,
);
