/** Triggers end to end: the application judges, the daemon acts, whoever listens hears. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { after, test } from 'node:test';
import { CLI, checkTrace, Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

interface Heard {
  readonly name: string;
  readonly occurrence: number;
  readonly captures: readonly unknown[];
  readonly cause: Readonly<Record<string, unknown>>;
}

/** `weft listen`: resolves with what it heard when it ends. */
const listening = async (...args: string[]): Promise<() => Promise<Heard[]>> => {
  const child: ChildProcess = spawn(CLI, ['listen', ...args, '--json', '--for', '120s'], { env: weft.env });
  let text = '';
  child.stdout!.on('data', (bytes: Buffer) => {
    text += bytes.toString();
  });
  await new Promise<void>((ready, fail) => {
    child.stderr!.once('data', () => ready());
    child.once('exit', () => fail(new Error('listen ended')));
  });
  const heard = new Promise<Heard[]>((done) =>
    child.once('exit', () =>
      done(
        text
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as Heard),
      ),
    ),
  );
  return () => heard;
};

test('an event that matches is told to whoever listens, with its fields, before the program ends', async () => {
  weft.ok(
    'add-trigger',
    '--name',
    'seen',
    ...words('--filter', 'number >= 5 && number < 8', '--capture', 'number', '--capture', '$ctx.procname'),
  );
  const heard = await listening('--count', '3', 'seen');
  const program = await weft.counter({ events: 20 });
  const all = await heard();
  await program.ended;
  assert.deepEqual(
    all.map(({ captures }) => captures),
    [5, 6, 7].map((number) => [number, 'counter']),
  );
  assert.equal(all[0]!.cause.event, 'weft_test:count');
  assert.equal(all[0]!.cause.pid, program.child.pid);
  weft.ok('remove-trigger', 'seen');
});

const words = (...rule: string[]): string[] => [
  '--condition=event-rule-matches',
  '--type=user',
  '--name=weft_test:*',
  ...rule,
  '--action',
  'notify',
];

test('a flight recorder: the symptom writes a snapshot and stops the recording', async () => {
  const out = weft.trace('flight');
  weft.ok('create', 'flight', '--snapshot', '-o', out);
  weft.ok('enable-channel', '-u', '-s', 'flight', 'ch', '--subbuf-size', '64k');
  weft.ok('enable-event', '-u', '-s', 'flight', '-c', 'ch', 'weft_test:*');
  weft.ok('start', 'flight');
  const rule = ['--condition=event-rule-matches', '--type=user', '--name=weft_test:count', '--filter', 'number == 50000'];
  weft.ok('add-trigger', '--name', 'symptom', ...rule, '--action', 'snapshot-session', 'flight', '--action', 'notify');
  const heard = await listening('--count', '1', 'symptom');
  const program = await weft.counter({ periodNs: 2000 });
  assert.equal((await heard()).length, 1);
  await program.stop();
  assert.ok(existsSync(out));
  const checked = checkTrace(out);
  assert.ok(checked.recorded > 0);
  assert.equal(checked.duplicates, 0);
  const [trigger] = weft.json<{ triggers: { errors: object; occurrences: number }[] }>('list-triggers').triggers;
  assert.deepEqual(trigger!.errors, { condition: 0, actions: [0, 0] });
  assert.equal(trigger!.occurrences, 1);
  weft.ok('remove-trigger', 'symptom');
  weft.ok('destroy', 'flight');
});

test('a trigger outlives kill -9 of the daemon, and rate policies hold', async () => {
  weft.ok('add-trigger', '--name', 'third', ...words(), '--rate-policy=every:3');
  process.kill(weft.readPid('sessiond'), 'SIGKILL');
  weft.ok('list');
  const heard = await listening('--count', '2', 'third');
  const program = await weft.counter({ events: 9, periodNs: 1_000_000 });
  const all = await heard();
  await program.ended;
  assert.deepEqual(
    all.map(({ occurrence }) => occurrence),
    [3, 6],
  );
  weft.ok('remove-trigger', 'third');
});

test('a flood of matches keeps no program from running, and what is not told is counted', async () => {
  weft.ok('add-trigger', '--name', 'flood', ...words());
  const program = await weft.counter({ threads: 2, events: 200_000 });
  await program.ended;
  const [trigger] = weft.json<{ triggers: { errors: { condition: number }; occurrences: number }[] }>('list-triggers').triggers;
  assert.ok(trigger!.occurrences > 0);
  assert.ok(trigger!.errors.condition > 0, 'what could not be sent is counted');
  weft.ok('remove-trigger', 'flood');
});
