/** `weft view` as its users see it: what is printed, what is chosen, what is said of losses and of files that are damaged. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync, cpSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CLI, dataFiles, Weft } from '../support/weft.ts';

interface Shown {
  readonly time: string;
  readonly ns: string;
  readonly name: string;
  readonly packet: { readonly cpu_id: number };
  readonly fields: { readonly thread: number; readonly number: number };
}

const EVENTS = 1000;
const lines = (text: string): string[] => text.trimEnd().split('\n');

describe('view', () => {
  const weft = new Weft();
  let trace = '';
  before(async () => {
    trace = weft.session('told');
    const counter = await weft.counter({ events: EVENTS, threads: 2 });
    await counter.ended;
    weft.ok('stop', 'told');
  });
  after(() => weft.dispose());

  test('a session is shown by time, its path and its files as well, and each trace once', () => {
    const shown = weft.run('view', 'told');
    assert.deepEqual([shown.status, shown.stderr], [0, '']);
    assert.equal(lines(shown.stdout).length, 2 * EVENTS);
    assert.match(
      lines(shown.stdout)[0]!,
      /^\[\d\d:\d\d:\d\d\.\d{9}\] \(\+\?\.\?{9}\) \S+ weft_test:count: \{ cpu_id = \d+ \}, \{ thread = \d+, number = 0/,
    );
    assert.equal(weft.ok('view', trace, 'told', '-t', trace), shown.stdout);
  });

  test('--json prints one object of each event, in the order of time', () => {
    const events = lines(weft.ok('view', 'told', '--json')).map((line) => JSON.parse(line) as Shown);
    assert.equal(events.length, 2 * EVENTS);
    assert.ok(events.every(({ ns }, i) => i === 0 || BigInt(ns) >= BigInt(events[i - 1]!.ns)));
    for (const thread of [0, 1]) {
      const numbers = events.filter(({ fields }) => fields.thread === thread).map(({ fields }) => fields.number);
      assert.deepEqual(
        numbers,
        Array.from({ length: EVENTS }, (_, i) => i),
      );
    }
  });

  test('--begin, --end and --limit choose events, --fields what is shown of them', () => {
    const events = lines(weft.ok('view', 'told', '--json')).map((line) => JSON.parse(line) as Shown);
    const [from, to] = [events[300]!, events[699]!];
    const between = (begin: string, end: string, ...more: string[]) =>
      lines(weft.ok('view', 'told', '--begin', begin, '--end', end, ...more));
    const seconds = (ns: string): string => `${ns.slice(0, -9)}.${ns.slice(-9)}`;
    const inside = events.filter(({ ns }) => BigInt(ns) >= BigInt(from.ns) && BigInt(ns) <= BigInt(to.ns)).length;
    assert.equal(between(seconds(from.ns), seconds(to.ns)).length, inside);
    assert.equal(between(from.time.slice(11), to.time.slice(11), '--clock-gmt').length, inside);
    assert.match(
      between(seconds(from.ns), seconds(to.ns), '--limit=1', '--fields=number', '--no-delta', '--clock-seconds')[0]!,
      /^\[\d+\.\d{9}\] \S+ weft_test:count: \{ number = \d+ \}$/,
    );
    assert.match(weft.run('view', 'told', '--begin', 'noon').stderr, /noon is no moment/);
    assert.match(weft.run('view', 'told', '--limit', '0').stderr, /no number of events/);
  });

  test('what was before damage is shown, and the file and the place are named', () => {
    const damaged = join(weft.home, 'damaged');
    cpSync(trace, damaged, { recursive: true });
    for (const file of dataFiles(damaged)) appendFileSync(file, 'no packet at all');
    const shown = weft.run('view', `${damaged}/`);
    assert.equal(shown.status, 1);
    assert.equal(shown.stdout, weft.ok('view', 'told'));
    for (const file of dataFiles(damaged))
      assert.match(shown.stderr, new RegExp(`Error: ${file}: at byte ${statSync(file).size - 16}: `));
    const metadata = join(
      damaged,
      readdirSync(damaged, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('/metadata'))!,
    );
    appendFileSync(metadata, 'nonsense');
    assert.match(weft.run('view', `${damaged}/`).stderr, /metadata:\d+: `nonsense` begins nothing/);
    truncateSync(metadata, 0);
    assert.match(weft.run('view', `${damaged}/`).stderr, /no `trace` block/);
    assert.match(weft.run('view', '/nowhere/at/all').stderr, /There is no \/nowhere/);
    assert.match(weft.run('view', join(weft.home, 'run/')).stderr, /There is no trace in/);
  });

  test('lost events are counted and dated', async () => {
    weft.session('lossy', ['--subbuf-size=4096', '--num-subbuf=2']);
    const counter = await weft.counter({ events: 20_000 });
    await counter.ended;
    weft.ok('stop', 'lossy');
    const { status, stdout, stderr } = weft.run('view', 'lossy');
    const lost = [...stderr.matchAll(/^Warning: (\d+) events? lost between \d{4}-\d\d-\d\d \S+ and \S+ \S+ \(.*\)$/gm)];
    const sum = lost.reduce((total, [, count]) => total + Number(count), 0);
    assert.equal(status, 0);
    assert.ok(sum > 0);
    assert.equal(lines(stdout).length + sum, 20_000);
  });

  test('a rotated session is shown whole, over its archives and while it runs', async () => {
    weft.session('turned');
    for (let round = 0; round < 3; round++) {
      const counter = await weft.counter({ events: 100, first: round });
      await counter.ended;
      if (round < 2) weft.ok('rotate', 'turned');
    }
    const running = weft.run('view', 'turned');
    assert.match(running.stderr, /The session is running/);
    assert.ok(lines(running.stdout).length >= 200);
    weft.ok('stop', 'turned');
    assert.equal(lines(weft.ok('view', 'turned')).length, 300);
  });

  test('--live shows events within milliseconds, and each of them', async () => {
    weft.session('live');
    const watching = spawn(CLI, ['view', '--live', 'live', '--json', '--limit', '300'], {
      env: weft.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    watching.stdout.on('data', (data: Buffer) => {
      text += data;
    });
    await new Promise<void>((resolve) =>
      watching.stderr.on('data', (data: Buffer) => String(data).includes('Watching') && resolve()),
    );
    const ended = new Promise((resolve) => watching.once('exit', resolve));
    const counter = await weft.counter({ events: 300, periodNs: 1_000_000 });
    assert.equal(await ended, 0);
    await counter.stop();
    const numbers = lines(text).map((line) => (JSON.parse(line) as Shown).fields.number);
    assert.deepEqual(
      numbers,
      Array.from({ length: 300 }, (_, i) => i),
    );
    assert.match(weft.run('view', '--live', 'nosuch').stderr, /does not exist/);
  });

  test('--live ends with the session: that is said, and is no error', async () => {
    weft.session('ending');
    const watching = spawn(CLI, ['view', '--live', 'ending', '--json'], { env: weft.env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [shown, told] = ['', ''];
    watching.stdout.on('data', (data: Buffer) => {
      shown += data;
    });
    const ended = new Promise((resolve) => watching.once('close', resolve));
    await new Promise<void>((resolve) =>
      watching.stderr.on('data', (data: Buffer) => {
        told += data;
        if (told.includes('Watching')) resolve();
      }),
    );
    weft.ok('destroy', 'ending');
    assert.equal(await ended, 0, told);
    assert.match(told, /ending has ended/);
    assert.equal(shown, '');
  });

  test('another viewer gets the paths, and none of the own options', () => {
    assert.match(weft.ok('view', 'told', '-e', 'echo seen'), new RegExp(`seen ${trace}`));
    assert.match(weft.run('view', 'told', '-e', 'echo', '--limit', '1').stderr, /--limit' is for the own viewer/);
  });
});
