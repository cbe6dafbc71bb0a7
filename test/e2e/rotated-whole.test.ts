/** A rotated session is read as a whole, all its chunks at once, whatever was idle over a rotation: each event once, in order. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ownView } from '../support/own-view.ts';
import { Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

const CPUS = Math.min(2, availableParallelism());

/** `thread number` of each line, in the order in which they were printed. */
const eventsIn = (text: string): string[] =>
  [...text.matchAll(/ thread = (\d+), number = (\d+) /g)].map(([, thread, number]) => `${thread} ${number}`);

/** What both viewers say of a directory and all below it. */
const checkWhole = (trace: string, expected: readonly string[]): void => {
  const read = spawnSync('babeltrace2', [trace], { encoding: 'utf8' });
  assert.deepEqual([read.status, read.stderr.trim()], [0, '']);
  assert.deepEqual(eventsIn(read.stdout), expected);
  const own = ownView(trace);
  assert.deepEqual([own.status, own.stderr.trim()], [0, '']);
  assert.deepEqual(eventsIn(own.stdout), expected);
};

/** Programs one after the other, each on one CPU: their events are in the order in which they ran. */
class Script {
  readonly expected: string[] = [];
  #programs = 0;

  async run(events: number, env: NodeJS.ProcessEnv = {}): Promise<void> {
    const first = this.#programs++;
    const program = await weft.counter({ events, first, pinned: first % CPUS, env });
    await program.ended;
    for (let number = 0; number < events; number++) this.expected.push(`${first} ${number}`);
  }
}

const directoriesOf = (trace: string): string[] =>
  readdirSync(trace).flatMap((name) =>
    name === 'archives' ? readdirSync(join(trace, name)).map((chunk) => join(trace, name, chunk)) : [join(trace, name)],
  );

test('CPUs that are idle over rotations, chunks without an event, a channel that never got one, a stop between', async () => {
  const trace = weft.session('idle', [], false);
  weft.ok('enable-channel', '-u', '-s', 'idle', 'quiet');
  weft.ok('enable-event', '-u', '-s', 'idle', '-c', 'quiet', 'weft_test:never');
  weft.ok('start', 'idle');
  const script = new Script();
  await script.run(3);
  await script.run(1);
  weft.ok('rotate', 'idle');
  await script.run(4);
  weft.ok('rotate', 'idle');
  weft.ok('rotate', 'idle');
  weft.ok('stop', 'idle');
  weft.ok('rotate', 'idle');
  weft.ok('start', 'idle');
  await script.run(2);
  await script.run(1);
  weft.ok('rotate', 'idle');
  weft.ok('stop', 'idle');
  weft.ok('start', 'idle');
  await script.run(3);
  weft.ok('stop', 'idle');
  checkWhole(trace, script.expected);
  const chunks = directoriesOf(trace);
  assert.equal(chunks.length, 6);
  for (const chunk of chunks) assert.equal(spawnSync('babeltrace2', [chunk]).status, 0, chunk);
  weft.ok('destroy', 'idle');
  checkWhole(trace, script.expected);
});

test('buffers of processes that come and go, and of one that stays idle', async () => {
  const trace = weft.session('own', ['--buffers-pid']);
  const script = new Script();
  const idle = await weft.counter({ first: 99, events: 0, periodNs: 3_600_000_000_000 });
  await idle.advance(0);
  script.expected.push('99 0');
  for (let round = 0; round < 2; round++) {
    await script.run(2);
    await script.run(1 + round);
    weft.ok('rotate', 'own');
  }
  weft.ok('rotate', 'own');
  await script.run(2);
  weft.ok('destroy', 'own');
  idle.child.kill('SIGKILL'); // it sleeps until its next event
  await idle.ended;
  checkWhole(trace, script.expected);
});

test('a channel that overwrites, and one ring for all CPUs', async () => {
  for (const [name, option] of [
    ['over', '--overwrite'],
    ['one', '--buffer-allocation=per-channel'],
  ] as const) {
    const trace = weft.session(name, [option]);
    const script = new Script();
    await script.run(1);
    weft.ok('rotate', name);
    weft.ok('rotate', name);
    await script.run(2);
    weft.ok('rotate', name);
    await script.run(1);
    weft.ok('destroy', name);
    checkWhole(trace, script.expected);
  }
});
