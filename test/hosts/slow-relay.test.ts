/** The way to the relay is slower than what is recorded: the spool takes the difference, and what it cannot take is counted. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { until } from '../support/fleet-server.ts';
import { COMMAND_MS } from '../support/patience.ts';
import { TestRelay } from '../support/relay.ts';
import { SlowWay } from '../support/slow-way.ts';
import { babeltrace, CLI, checkTrace, FILLER_BYTES, Weft } from '../support/weft.ts';

/** Of an event, at least. */
const EVENT_BYTES = 16;
const RING_BYTES = 8 * (256 << 10);

interface Case {
  readonly name: string;
  readonly rate: number;
  readonly events: number;
  readonly large: boolean;
}

/** Slower than any machine records, and as slow as a fast disk or network: for that events are large, or programs would be slower. */
const CASES: readonly Case[] = [
  { name: 'five', rate: 5_000_000, events: 1_500_000, large: false },
  { name: 'fifty', rate: 50_000_000, events: 100_000, large: true },
];

const weft = new Weft({ LTTNG_UST_ALLOW_BLOCKING: '1' });
let relay: TestRelay;
const ways = new Map<number, SlowWay>();

before(async () => {
  relay = await TestRelay.start();
  for (const { rate } of CASES) ways.set(rate, await SlowWay.start(Number(new URL(relay.url).port), rate));
});

after(async () => {
  for (const way of ways.values()) way.stop();
  await relay?.dispose();
  weft.dispose();
});

/** Commands do not hold up this process, in which the ways are. */
const command = (...words: string[]) => promisify(execFile)(CLI, words, { env: weft.env, timeout: COMMAND_MS });

const session = async (name: string, rate: number, channel: readonly string[], ...options: readonly string[]) => {
  await command('create', name, `--set-url=${ways.get(rate)!.url}`, ...options);
  await command('enable-channel', '-u', '-s', name, 'ch', '--subbuf-size=256k', '--num-subbuf=8', ...channel);
  await command('enable-event', '-u', '-s', name, '-c', 'ch', 'weft_test:*');
  await command('start', name);
};

const traceOf = (name: string): string => {
  const [host] = readdirSync(relay.output).filter((entry) => !entry.startsWith('.'));
  const found = readdirSync(join(relay.output, host!)).find((entry) => entry.startsWith(`${name}-`));
  return join(relay.output, host!, found!);
};

const bytesOf = ({ events, large }: Case): number => events * (EVENT_BYTES + (large ? FILLER_BYTES : 0));

interface Shown {
  readonly session: { readonly channels: readonly { readonly stats: { readonly lost: Readonly<Record<string, string>> } }[] };
}

const isLosing = async (name: string): Promise<boolean> => {
  const { channels } = (JSON.parse((await command('--json', 'list', name)).stdout) as Shown).session;
  return channels.some(({ stats }) => Object.values(stats.lost).some((count) => BigInt(count) > 0n));
};

/** Until the relay has everything. */
const arrived = (): Promise<void> => {
  const spool = join(weft.home, 'state/spool');
  return until(() => !existsSync(spool) || readdirSync(spool).length === 0, 'the spool is empty');
};

const checked = (name: string, { large }: Case) => checkTrace(traceOf(name), large ? 'check_large_trace' : 'check_trace');

for (const one of CASES) {
  const { rate, events } = one;
  const speed = `${rate / 1_000_000} MB/s`;

  test(`${speed}, a program at full speed, and a spool with room: nothing is lost, nothing is there twice`, async (t) => {
    const name = `room-${one.name}`;
    // The program waits for its reader where two cores are not enough for both: never for the relay.
    await session(name, rate, ['--blocking-timeout=inf']);
    const way = ways.get(rate)!;
    const before = way.bytes;
    const counter = await weft.counter({ events, large: one.large });
    await counter.ended;
    const waiting = bytesOf(one) - (way.bytes - before);
    // More than the rings hold: the spool took it.
    if (waiting <= RING_BYTES * availableParallelism())
      t.diagnostic(`only ${waiting} bytes waited: this machine is slower than the way`);
    await command('stop', name);
    await command('destroy', name);
    await arrived();
    const { recorded, lost, duplicates, disorder } = checked(name, one);
    assert.deepEqual([recorded, lost, duplicates, disorder], [events, 0, 0, 0]);
  });

  test(`${speed}, a spool that is too small: what it does not take is counted, and what was recorded and lost is what was made`, async (t) => {
    const name = `small-${one.name}`;
    await session(name, rate, [], '--spool-size=4M');
    const counter = await weft.counter({ events: events * 4, large: one.large });
    let isOver = false;
    void counter.ended.then(() => {
      isOver = true;
    });
    await until(async () => isOver || (await isLosing(name)), 'something is lost, or there is no more');
    const isFast = !isOver;
    counter.child.kill('SIGTERM');
    await counter.ended;
    await command('stop', name);
    await command('destroy', name);
    await arrived();
    const { recorded, lost, duplicates, disorder } = checked(name, one);
    if (lost === 0) t.diagnostic('nothing was lost: this machine is slower than the way');
    assert.ok(recorded > 0 && (lost > 0 || !isFast), `${recorded} recorded, ${lost} lost`);
    assert.deepEqual([recorded + lost, duplicates, disorder], [counter.total(), 0, 0]);
    const read = babeltrace(traceOf(name));
    assert.deepEqual([read.status, read.events], [0, recorded]);
  });
}
