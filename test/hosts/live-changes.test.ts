/** babeltrace2 at a relay's live port, while the session that it watches is rotated, cleared, stopped and started, or has a namesake. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { after, afterEach, before, test } from 'node:test';
import { until } from '../support/fleet-server.ts';
import { TestRelay } from '../support/relay.ts';
import { Weft } from '../support/weft.ts';

const WITHIN_MS = 60_000;
const BURST = 500;
const LIVE = '--live=100000';

const wefts = [new Weft(), new Weft()] as const;
const [weft] = wefts;
let relay: TestRelay;
let watching: ReturnType<typeof watch> | null = null;

before(async () => {
  relay = await TestRelay.start();
});
afterEach(() => {
  watching?.kill();
});
after(async () => {
  for (const one of wefts) one.dispose();
  await relay.dispose();
});

const watch = (session: string) => {
  const url = `net://localhost:${relay.livePort}/host/${hostname()}/${session}`;
  const child = spawn('babeltrace2', ['--input-format=lttng-live', url], { stdio: ['ignore', 'pipe', 'pipe'] });
  const seen = { lines: 0, complaints: '', status: null as number | null };
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    seen.lines += text.split('\n').length - 1;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    seen.complaints += text;
  });
  const ended = new Promise<void>((done) => {
    child.once('close', (status) => {
      seen.status = status;
      done();
    });
  });
  return { seen, ended, kill: () => child.kill('SIGKILL') };
};

/** Of how many sessions of that name the relay has metadata. */
const received = (session: string): number =>
  readdirSync(relay.output, { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.includes(`/${session}-`) && path.endsWith('/metadata'),
  ).length;

const begin = (of: Weft, session: string): void => {
  of.ok('create', session, `--set-url=${relay.url}`, LIVE);
  of.ok('enable-event', '-u', '-s', session, 'weft_test:*');
  of.ok('start', session);
};

/** Waits until the viewer has shown all of it. */
const burst = async (of: Weft, viewer: ReturnType<typeof watch>, first: number): Promise<void> => {
  const before = viewer.seen.lines;
  const counter = await of.counter({ events: BURST, first });
  await counter.ended;
  const shown = () => viewer.seen.lines >= before + BURST || viewer.seen.status !== null;
  await until(shown, 'the viewer shows all', WITHIN_MS).catch((thrown: unknown) =>
    assert.fail(`${thrown}: ${viewer.seen.lines - before} of ${BURST}: ${viewer.seen.complaints}`),
  );
  assert.equal(viewer.seen.status, null, viewer.seen.complaints);
};

const CHANGES: readonly (readonly [string, readonly (readonly string[])[]])[] = [
  ['is rotated', [['rotate']]],
  ['is cleared', [['clear']]],
  ['is stopped, cleared and started', [['stop'], ['clear'], ['start']]],
  ['is stopped, rotated and started', [['stop'], ['rotate'], ['start']]],
];

for (const [at, [name, commands]] of CHANGES.entries())
  test(`a session that ${name} is watched on, event by event`, async () => {
    const session = `changes-${at}`;
    begin(weft, session);
    const first = await weft.counter({ events: BURST });
    await first.ended;
    watching = watch(session);
    const viewer = watching;
    // It begins at the end: what comes now is seen.
    const beats = await weft.counter({ periodNs: 1_000_000 });
    await until(() => viewer.seen.lines > 0, 'it watches', WITHIN_MS);
    await beats.stop();
    for (const turn of [1, 2, 3]) {
      for (const [command] of commands) weft.ok(command!, session);
      await burst(weft, viewer, turn);
    }
    weft.ok('destroy', session);
    await viewer.ended;
    assert.equal(viewer.seen.status, 0, viewer.seen.complaints);
  });

test('two sessions of one name are both watched by who may see both', async () => {
  for (const one of wefts) begin(one, 'namesake');
  for (const one of wefts) await (await one.counter({ events: BURST })).ended;
  // A viewer attaches those that are there when it comes.
  await until(() => received('namesake') === wefts.length, 'both are at the relay', WITHIN_MS);
  watching = watch('namesake');
  const viewer = watching;
  const counters = await Promise.all(wefts.map((one) => one.counter({ periodNs: 1_000_000 })));
  await until(() => viewer.seen.lines > 0, 'it watches', WITHIN_MS);
  await Promise.all(counters.map((counter) => counter.stop()));
  for (const [at, one] of wefts.entries()) await burst(one, viewer, at + 1);
  assert.equal(viewer.seen.complaints.includes('already'), false, viewer.seen.complaints);
});
