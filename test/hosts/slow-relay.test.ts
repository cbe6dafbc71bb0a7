/** The way to the relay is slower than what is recorded: the spool takes the difference, and what it cannot take is counted. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { until } from '../support/fleet-server.ts';
import { COMMAND_MS } from '../support/patience.ts';
import { TestRelay } from '../support/relay.ts';
import { SlowWay } from '../support/slow-way.ts';
import { babeltrace, CLI, checkTrace, Weft } from '../support/weft.ts';

const RATE = 5_000_000;
const EVENTS = 2_000_000;

const weft = new Weft({ LTTNG_UST_ALLOW_BLOCKING: '1' });
let relay: TestRelay;
let way: SlowWay;

before(async () => {
  relay = await TestRelay.start();
  way = await SlowWay.start(Number(new URL(relay.url).port), RATE);
});

after(async () => {
  way?.stop();
  await relay?.dispose();
  weft.dispose();
});

interface Shown {
  readonly session: { readonly link: { readonly spoolBytes: number } };
}

/** Commands do not hold up this process, in which the way is. */
const command = async (...words: string[]): Promise<string> =>
  (await promisify(execFile)(CLI, words, { env: weft.env, timeout: COMMAND_MS })).stdout;

const session = (name: string, channel: readonly string[], ...options: readonly string[]): void => {
  weft.ok('create', name, `--set-url=${way.url}`, ...options);
  weft.ok('enable-channel', '-u', '-s', name, 'ch', '--subbuf-size=256k', '--num-subbuf=8', ...channel);
  weft.ok('enable-event', '-u', '-s', name, '-c', 'ch', 'weft_test:*');
  weft.ok('start', name);
};

const traceOf = (name: string): string => {
  const [host] = readdirSync(relay.output).filter((entry) => !entry.startsWith('.'));
  const found = readdirSync(join(relay.output, host!)).find((entry) => entry.startsWith(`${name}-`));
  return join(relay.output, host!, found!);
};

/** Until the relay has everything. */
const arrived = (): Promise<void> => {
  const spool = join(weft.home, 'state/spool');
  return until(() => !existsSync(spool) || readdirSync(spool).length === 0, 'the spool is empty');
};

test('a program at full speed, and a spool with room: nothing is lost, nothing is there twice', async () => {
  // The program waits for its reader where two cores are not enough for both: never for the relay.
  session('slow', ['--blocking-timeout=inf']);
  const counter = await weft.counter({ events: EVENTS });
  await counter.ended;
  const { link } = (JSON.parse(await command('--json', 'list', 'slow')) as Shown).session;
  assert.ok(link.spoolBytes > RATE / 5, `only ${link.spoolBytes} bytes wait: the way was not slow`);
  await command('stop', 'slow');
  await command('destroy', 'slow');
  await arrived();
  const { recorded, lost, duplicates, disorder } = checkTrace(traceOf('slow'));
  assert.deepEqual([recorded, lost, duplicates, disorder], [EVENTS, 0, 0, 0]);
});

test('a spool that is too small: what it does not take is counted, and what was recorded and lost is what was made', async () => {
  session('small', [], '--spool-size=4M');
  const counter = await weft.counter({ events: EVENTS });
  await counter.ended;
  await command('stop', 'small');
  await command('destroy', 'small');
  await arrived();
  const { recorded, lost, duplicates, disorder } = checkTrace(traceOf('small'));
  assert.ok(lost > 0 && recorded > 0, `${recorded} recorded, ${lost} lost`);
  assert.deepEqual([recorded + lost, duplicates, disorder], [EVENTS, 0, 0]);
  const read = babeltrace(traceOf('small'));
  assert.deepEqual([read.status, read.events], [0, recorded]);
});
