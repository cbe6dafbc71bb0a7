/** A relay is ended and another one takes its links over: which part lies where is told, and both are read together as one trace. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { until } from '../support/fleet-server.ts';
import { freePort, TestRelay } from '../support/relay.ts';
import { Weft } from '../support/weft.ts';

const PERIOD_NS = 20_000;
const weft = new Weft();
let first: TestRelay;
let second: TestRelay;

before(async () => {
  first = await TestRelay.start();
  second = new TestRelay();
  second.url = first.url;
  second.livePort = await freePort();
});

after(async () => {
  await second?.dispose();
  await first?.dispose();
  weft.dispose();
});

interface Link {
  readonly relay: string | null;
  readonly directory: string | null;
  readonly ackedBytes: number;
  readonly elsewhere: readonly { readonly relay: string; readonly directory: string }[];
}

const NONE: Link = { relay: null, directory: null, ackedBytes: 0, elsewhere: [] };

/** Nobody knows it while there is no consumer. */
const linkOf = (name: string): Link =>
  (JSON.parse(weft.ok('--json', 'list', name)) as { readonly session: { readonly link: Link | null } }).session.link ?? NONE;

const traceAt = (relay: TestRelay): string => {
  const [host] = readdirSync(relay.output).filter((entry) => !entry.startsWith('.'));
  const [trace] = readdirSync(join(relay.output, host!));
  return join(relay.output, host!, trace!);
};

test('a relay that ends says all that it has: babeltrace2 reads its part and that of the next one as one trace, in order', async () => {
  weft.ok('create', 'moved', `--set-url=${first.url}`);
  weft.ok('enable-channel', '-u', '-s', 'moved', 'ch', '--subbuf-size=16k', '--num-subbuf=64');
  weft.ok('enable-event', '-u', '-s', 'moved', '-c', 'ch', 'weft_test:*');
  weft.ok('start', 'moved');
  const counter = await weft.counter({ periodNs: PERIOD_NS });
  await until(() => linkOf('moved').ackedBytes > 0, 'the first relay has something');
  const { relay: former } = linkOf('moved');
  await second.up();
  await first.kill('SIGTERM');
  await until(() => ![former, null].includes(linkOf('moved').relay), 'the second one has the link');
  const { ackedBytes } = linkOf('moved');
  await until(() => linkOf('moved').ackedBytes > ackedBytes, 'it has something');
  const { elsewhere, directory } = linkOf('moved');
  assert.deepEqual(elsewhere, [{ relay: former, directory: traceAt(first) }]);
  assert.equal(directory, traceAt(second));
  assert.match(
    weft.ok('list', 'moved'),
    new RegExp(`Part of it lies at ${former} in ${traceAt(first)}, which had the link before`),
  );
  await counter.stop();
  weft.ok('stop', 'moved');
  weft.ok('destroy', 'moved');
  const read = spawnSync('babeltrace2', [traceAt(first), traceAt(second)], { encoding: 'latin1', maxBuffer: 1 << 28 });
  const numbers = [...read.stdout.matchAll(/ number = (\d+) /g)].map(([, number]) => Number(number));
  assert.deepEqual([read.status, read.stderr], [0, '']);
  assert.deepEqual([numbers.length, numbers.findIndex((number, at) => number !== at)], [counter.total(), -1]);
});
