/** Filters as a user has them: expressions on the command line, programs that judge them, babeltrace2 that shows what was recorded. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, test } from 'node:test';
import { babeltrace, Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

const THREADS = 2;
const EVENTS = 1000;

/** A session of which each filter is a rule, started. */
const session = (name: string, ...filters: string[]): string => {
  weft.ok('create', name, '-o', weft.trace(name));
  weft.ok('enable-channel', '-u', '-s', name, 'ch');
  for (const filter of filters) weft.ok('enable-event', '-u', '-s', name, '-c', 'ch', 'weft_test:*', '--filter', filter);
  weft.ok('start', name);
  return weft.trace(name);
};

/** thread and number of each record. */
const records = (trace: string): { thread: number; number: number }[] => {
  const ran = spawnSync('babeltrace2', [trace], { encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.equal(ran.status, 0, ran.stderr);
  return [...ran.stdout.matchAll(/thread = (\d+), number = (\d+)/g)].map(([, thread, number]) => ({
    thread: Number(thread),
    number: Number(number),
  }));
};

/** How many of the events of `counter` each expression lets through. */
const COUNTS: readonly [string, number][] = [
  ['number < 100', 200],
  ['thread == 1 && number >= 990', 10],
  ['number & 1 == 1', 1000],
  ['number == 5 || number > 997.5 || -1 > thread', 6],
  ['!(number >> 1) && $ctx.procname == "count*"', 4],
  ['$ctx.procname == "*unt*r" && number == 0', 2],
  ['$ctx.procname == "other" || $ctx.vpid < 0', 0],
  ['nothing == 1 || number < 5', 0],
  ['thread == "text"', 0],
];

test('each expression lets through what it is true for', async () => {
  // A channel each: the program judges all of them for every event.
  weft.ok('create', 'each', '-o', weft.trace('each'));
  for (const [at, [filter]] of COUNTS.entries()) {
    weft.ok('enable-event', '-u', '-s', 'each', '-c', `ch${at}`, 'weft_test:*', '--filter', filter);
  }
  weft.ok('start', 'each');
  const program = await weft.counter({ threads: THREADS, events: EVENTS });
  await program.ended;
  weft.ok('stop', 'each');
  const { session } = weft.json<{ session: { channels: { stats: { events: string } }[] } }>('list', 'each');
  weft.ok('destroy', 'each');
  assert.deepEqual(
    session.channels.map(({ stats }, at) => [COUNTS[at]![0], Number(stats.events)]),
    COUNTS,
  );
  const read = babeltrace(weft.trace('each'));
  assert.equal(read.status, 0, read.complaints);
  assert.equal(
    read.events,
    COUNTS.reduce((sum, [, count]) => sum + count, 0),
  );
});

test('several filters that match give one record, and what none matches gives none', async () => {
  const trace = session('several', 'number < 10', 'number < 20 && thread == 0', 'number == 5');
  const program = await weft.counter({ threads: THREADS, events: EVENTS });
  await program.ended;
  weft.ok('destroy', 'several');
  const seen = records(trace).map(({ thread, number }) => `${thread} ${number}`);
  assert.equal(new Set(seen).size, seen.length);
  assert.equal(seen.length, 30);
});

test('filters of a running program change at once: another, none, disabled, enabled again', async () => {
  const trace = session('running', 'number < 0');
  const event = (verb: 'enable' | 'disable', ...more: string[]) =>
    weft.ok(`${verb}-event`, '-u', '-s', 'running', '-c', 'ch', ...more);
  const program = await weft.counter({ threads: 1, periodNs: 20_000 });
  await program.advance(200);
  const even = event('enable', 'weft_test:*', '-f', 'number & 1 == 0');
  assert.equal(even, "Event weft_test:*: Filter 'number & 1 == 0' successfully set\n");
  const from = program.total();
  await program.advance(500);
  event('disable', 'weft_test:*');
  const pausedAt = program.total();
  await program.advance(500);
  const resumedAt = program.total();
  event('enable', 'weft_test:*', '-f', 'number & 1 == 0');
  await program.advance(500);
  await program.stop();
  assert.match(weft.ok('list', 'running'), /weft_test:\* .*\[disabled\] \[filter: 'number < 0'\]/);
  assert.match(weft.ok('list', 'running'), /weft_test:\* .*\[enabled\] \[filter: 'number & 1 == 0'\]/);
  const again = weft.run('enable-event', '-u', '-s', 'running', '-c', 'ch', 'weft_test:*', '-f', 'number & 1 == 0');
  assert.equal(again.status, 4);
  weft.ok('destroy', 'running');
  const numbers = records(trace).map(({ number }) => number);
  assert.ok(numbers.length > 400);
  assert.ok(numbers.every((number) => number % 2 === 0));
  assert.ok(numbers[0]! <= from + 2);
  // The command was answered before `pausedAt` was read.
  assert.deepEqual(
    numbers.filter((number) => number > pausedAt && number < resumedAt),
    [],
  );
});
