/** A session whose traces go to a relay: what is recorded is there, whatever is frozen or killed on the way, and nothing is left here. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { until } from '../support/fleet-server.ts';
import { TestRelay } from '../support/relay.ts';
import { babeltrace, CLI, checkTrace, Weft } from '../support/weft.ts';

const weft = new Weft();
let relay: TestRelay;

before(async () => {
  relay = await TestRelay.start();
});

after(async () => {
  await relay.dispose();
  weft.dispose();
});

const session = (name: string, ...options: readonly string[]): void => {
  weft.ok('create', name, `--set-url=${relay.url}/below`, ...options);
  weft.ok('enable-channel', '-u', '-s', name, 'ch', '--subbuf-size=64k', '--num-subbuf=64');
  weft.ok('enable-event', '-u', '-s', name, '-c', 'ch', 'weft_test:*');
  weft.ok('start', name);
};

/** Where the relay put it. */
const traceOf = (name: string): string => {
  const [host] = readdirSync(relay.output).filter((entry) => !entry.startsWith('.'));
  const found = readdirSync(join(relay.output, host!)).find((entry) => entry.startsWith(`${name}-`));
  return join(relay.output, host!, found!, 'below');
};

const complete = (name: string, events: number): void => {
  const read = babeltrace(traceOf(name));
  assert.deepEqual([read.status, read.events, read.discarded, read.complaints], [0, events, 0, '']);
  assert.equal(checkTrace(traceOf(name)).lost, 0);
};

const spools = (): string[] => {
  const directory = join(weft.home, 'state/spool');
  return existsSync(directory) ? readdirSync(directory) : [];
};

test('what is recorded is at the relay when the session is stopped; the spool goes with the session', async () => {
  session('plain');
  const counter = await weft.counter({ events: 50_000 });
  await counter.ended;
  weft.ok('stop', 'plain');
  complete('plain', 50_000);
  assert.match(weft.ok('list', 'plain'), /Link: open to .*, 0 bytes wait/);
  weft.ok('destroy', 'plain');
  complete('plain', 50_000);
  assert.deepEqual(spools(), []);
});

test('cleared while it records: what was there before is gone at the relay, what comes after arrives', async () => {
  session('cleared');
  const before = await weft.counter({ events: 20_000 });
  await before.ended;
  weft.ok('stop', 'cleared');
  complete('cleared', 20_000);
  weft.ok('start', 'cleared');
  weft.ok('clear', 'cleared');
  const later = await weft.counter({ events: 5_000, first: 1 });
  await later.ended;
  weft.ok('stop', 'cleared');
  complete('cleared', 5_000);
  weft.ok('destroy', 'cleared');
  assert.deepEqual(spools(), []);
});

test('compressed on the way, rotated meanwhile: archives lie at the relay', async () => {
  session('rotated', '--compress');
  const first = await weft.counter({ events: 20_000 });
  await first.ended;
  const rotated = weft.ok('rotate', 'rotated');
  assert.match(rotated, /^Trace chunk archive for session rotated is now readable on relay \S+ at (\S+)\n$/);
  assert.equal(babeltrace(rotated.trim().split(' at ')[1]!).events, 20_000, 'it is there when the command returns');
  const second = await weft.counter({ events: 20_000, first: 1 });
  await second.ended;
  weft.ok('destroy', 'rotated');
  const archives = join(traceOf('rotated'), 'archives');
  const read = readdirSync(archives).map((name) => babeltrace(join(archives, name)));
  assert.deepEqual(
    read.map(({ status, events, complaints }) => [status, events, complaints]),
    [20_000, 20_000].map((events) => [0, events, '']),
  );
  assert.deepEqual(spools(), []);
});

test('a pair of URLs names an LTTng relay; what is wrong with it is said', () => {
  const created = weft.ok('create', 'pair', '--ctrl-url=tcp://127.0.0.1:1/sub', '--data-url=tcp://127.0.0.1:2');
  assert.equal(created, 'Session pair created.\nTraces will be output to tcp4://127.0.0.1:1/sub [data: 2]\n');
  weft.ok('destroy', 'pair');
  const wrong = (pattern: RegExp, ...words: readonly string[]): void => {
    const ran = weft.run('create', 'wrong', ...words);
    assert.equal(ran.status, 1, words.join(' '));
    assert.match(ran.stderr, pattern);
  };
  wrong(/--data-url is missing: both URLs are needed/, '-C', 'tcp://h');
  wrong(/--ctrl-url is missing/, '-D', 'tcp://h');
  wrong(/the same host/, '-C', 'tcp://h', '-D', 'tcp://g');
  wrong(/--set-url and --ctrl-url with --data-url exclude each other/, '-U', 'net://h', '-C', 'tcp://h', '-D', 'tcp://h');
  wrong(/come in pairs/, '-U', 'tcp://h');
  wrong(/a port is a number/, '-U', 'net://h:70000');
  wrong(/no directory below the relay/, '-U', 'net://h/../x');
  wrong(/no directory and no file:/, '-U', 'http://h');
  wrong(/--live: `0` is no time/, '--live=0', '-U', 'net://h');
});

test('a stopped session goes from the relay to this host and back to it, each time with a trace of its own', async () => {
  session('moved');
  const record = async (first: number): Promise<void> => {
    const counter = await weft.counter({ events: 5_000, first });
    await counter.ended;
    weft.ok('stop', 'moved');
  };
  await record(0);
  const directories = (): string[] => readdirSync(dirname(dirname(traceOf('moved')))).filter((name) => /^moved-/.test(name));
  const [first] = directories();
  const said = weft.ok('disable-consumer', '-s', 'moved');
  const [, here] = /^Traces of session moved will be output to (\/.*) from its next start on\n$/.exec(said)!;
  weft.ok('start', 'moved');
  await record(1);
  assert.deepEqual([babeltrace(here!).events, babeltrace(here!).complaints], [5_000, '']);
  weft.ok('enable-consumer', `${relay.url}/below`, '-s', 'moved');
  weft.ok('start', 'moved');
  await record(2);
  weft.ok('destroy', 'moved');
  const second = directories().find((name) => name !== first)!;
  const events = [first!, second].map((name) => babeltrace(join(traceOf('moved'), '../..', name, 'below')).events);
  assert.deepEqual([directories().length, events], [2, [5_000, 5_000]]);
  assert.deepEqual(spools(), []);
});

test('the relay is frozen for four seconds under load and the consumer killed meanwhile: nothing is lost, nothing there twice', async () => {
  session('frozen');
  const counter = await weft.counter({ periodNs: 20_000 });
  await counter.advance(5_000);
  process.kill(relay.relayPid, 'SIGSTOP');
  await counter.advance(20_000);
  process.kill(weft.readPid('consumer'), 'SIGKILL');
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  process.kill(relay.relayPid, 'SIGCONT');
  await counter.advance(5_000);
  await counter.stop();
  weft.ok('stop', 'frozen');
  weft.ok('destroy', 'frozen');
  complete('frozen', counter.total());
});

/** Lines that a viewer has printed. */
const watching = (file: string, ...words: string[]) => {
  const child = spawn(file, words, { env: weft.env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [lines, complaints] = [0, ''];
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    lines += text.split('\n').length - 1;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  return { lines: () => lines, complaints: () => complaints, end: () => child.kill('SIGKILL') };
};

test('a live session is watched at the relay and here while it is recorded, long before its timer and after its spool was given back', async () => {
  session('seen', '--live=600000000');
  const counter = await weft.counter({ threads: 2, periodNs: 1_000_000 });
  const at = `net://localhost:${relay.livePort}/host/${hostname()}/seen`;
  const viewers = [
    // Its own polling takes no part in this.
    watching('stdbuf', '-oL', 'babeltrace2', '--retry-duration=1000', '--input-format=lttng-live', at),
    watching('stdbuf', '-oL', 'babeltrace2', '--retry-duration=1000', '--input-format=lttng-live', at),
    watching(CLI, 'view', '--live', 'seen'),
  ];
  for (const { lines, complaints } of viewers)
    await until(() => lines() > 200, 'events are shown').catch((thrown: unknown) => {
      throw new Error(`${String(thrown)}: ${lines()}; ${complaints()}`);
    });
  await counter.stop();
  for (const { end } of viewers) end();
  weft.ok('destroy', 'seen');
});
