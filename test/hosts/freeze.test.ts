/** The fleet's flight recorder: three hosts, each with daemon and bus of its own; a trigger on one freezes all. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findFrozen } from '../../cli/freeze-collect.ts';
import { FREEZE_NOTE } from '../../transport/freeze-message.ts';
import { Fleet } from '../support/fleet.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { babeltrace } from '../support/weft.ts';

const HOSTS = ['db-1', 'web-1', 'web-2'] as const;
const OFTEN_NS = 1_000_000;

/** Seconds since 1970 of every event, in the order in which babeltrace2 gives them. */
const timesIn = (directory: string): number[] => {
  const ran = spawnSync('babeltrace2', ['--clock-seconds', directory], { encoding: 'utf8', maxBuffer: 1 << 28 });
  assert.equal(ran.status, 0, ran.stderr);
  return [...ran.stdout.matchAll(/^\[(\d+\.\d+)\]/gm)].map((match) => Number(match[1]));
};

describe('a flight recorder of three hosts', { timeout: 300_000 }, () => {
  let fleet: Fleet;
  const outputs = () => HOSTS.map((host) => join(fleet.at(host).home, 'frozen'));
  const names = () => outputs().flatMap((output) => (existsSync(output) ? readdirSync(output) : []));
  before(async () => {
    fleet = await Fleet.start();
    for (const host of HOSTS) fleet.add(host);
    await fleet.until('web-1', HOSTS.map((host) => `${host} ready`).join(', '));
    for (const [at, host] of HOSTS.entries()) {
      const weft = fleet.at(host);
      weft.ok('create', 'flight', '--snapshot', '-o', join(weft.home, 'frozen'));
      weft.ok('enable-event', '-u', '-s', 'flight', 'weft_test:*');
      weft.ok('start', 'flight');
      const counter = await weft.counter({ periodNs: OFTEN_NS, first: at });
      await counter.advance(100);
    }
  });
  after(() => fleet.dispose());

  test('a trigger on one host freezes all: one id, one window, collected and read as one trace in order', async () => {
    const symptom = ['--type=user', '--name=weft_test:count', '--filter=thread == 9 && number == 200'];
    const action = ['--action=snapshot-session', 'flight', '--fleet', '--post-ms', '20', '--rate-policy=once-after:1'];
    fleet.at('web-2').ok('add-trigger', '--name=symptom', '--condition=event-rule-matches', ...symptom, ...action);
    assert.match(fleet.at('web-2').ok('list-triggers'), /snapshot session `flight` on all hosts, 20 ms after the event/);
    await fleet.at('web-2').counter({ periodNs: OFTEN_NS, first: 9 });
    const ids = () => new Set(names().map((name) => /^snapshot-([0-9a-f]{16})-/.exec(name)?.[1]));
    const deadline = Date.now() + PATIENCE_MS;
    while (names().length < HOSTS.length || findFrozen(outputs(), [...ids()][0]!).length < HOSTS.length) {
      assert.ok(Date.now() < deadline, `${names()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(ids().size, 1, `${[...ids()]}`);
    const [id] = ids();
    for (const { path } of findFrozen(outputs(), id!)) {
      const { atNs, frozenAtNs } = JSON.parse(readFileSync(join(path, FREEZE_NOTE), 'utf8')) as Record<string, string>;
      const afterMs = Number(BigInt(frozenAtNs!) - BigInt(atNs!)) / 1e6;
      assert.ok(afterMs > 0 && afterMs < PATIENCE_MS, `${path}: frozen ${afterMs} ms after the event`);
    }
    // The copies are whole when a snapshot of the same session can be taken again.
    for (const host of HOSTS) fleet.at(host).ok('stop', 'flight');

    const directory = join(fleet.directory, 'collected');
    const from = outputs().flatMap((output) => ['--from', output]);
    const { snapshots } = fleet
      .at('db-1')
      .json<{ snapshots: { host: string }[] }>(...['snapshot', 'collect', id!, '--output', directory, ...from]);
    assert.deepEqual(
      snapshots.map(({ host }) => host),
      HOSTS,
    );
    const times = timesIn(directory);
    assert.ok(times.length > 300, `${times.length} events`);
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    );
    assert.equal(babeltrace(directory).status, 0);
    const ranges = HOSTS.map((host) => timesIn(join(directory, host))).map((one) => [one[0]!, one.at(-1)!] as const);
    const last = ranges.map(([, end]) => end);
    assert.ok(Math.max(...last) - Math.min(...last) < 20, `they end together: ${last}`);
    assert.ok(Math.max(...ranges.map(([begin]) => begin)) < Math.min(...last), 'there is a time that all of them show');
  });

  test('an id that nobody has is said, with where it was looked for', () => {
    const ran = fleet.at('db-1').run('snapshot', 'collect', '0123456789abcdef');
    assert.equal(ran.status, 1);
    assert.match(ran.stderr, /Nothing of snapshot 0123456789abcdef lies below .*frozen; --from/);
  });
});
