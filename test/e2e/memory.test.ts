/**
 * The memory that daemons take for themselves, at rest with a session that has recorded. Only what no other process can share counts: how
 * much of a program's text is whose depends on who else runs it. DESIGN 11 allows 150 MB with the text of Node and nats-server, 60 MB.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

const LEAST_DAEMONS = 4;

const ownMegabytes = (pid: number): number =>
  Number(/^Pss_Anon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) / 1024;

const recordAndMeasure = async (session: string): Promise<{ sum: number; what: string }> => {
  weft.session(session);
  const program = await weft.counter({ events: 1000, confirm: join(weft.home, session) });
  await program.ended;
  const daemons = weft.processes().map(({ role, pid }) => ({ role, megabytes: ownMegabytes(pid) }));
  assert.ok(daemons.length >= LEAST_DAEMONS, `only ${daemons.map(({ role }) => role).join(', ')}`);
  const sum = daemons.reduce((all, { megabytes }) => all + megabytes, 0);
  return { sum, what: daemons.map(({ role, megabytes }) => `${role} ${megabytes.toFixed(1)}`).join(', ') };
};

test('the first daemon of an installation, which has everything to compile, takes less than 85 MB for itself and its consumer', async () => {
  const { sum, what } = await recordAndMeasure('first');
  assert.ok(sum < 85, what);
});

test('the next one, which finds everything compiled, takes less than 75 MB', async () => {
  weft.ok('sessiond', '--stop');
  const { sum, what } = await recordAndMeasure('second');
  assert.ok(sum < 75, what);
});
