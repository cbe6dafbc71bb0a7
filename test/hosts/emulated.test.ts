/** Fifty emulated hosts around a real server: the product's machines on every one, and all of them commanded at once. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { OperationReport } from '../../actors/fleet-operation.ts';
import { applyOnce } from '../support/emulated/applies.ts';
import { EmulatedFleet } from '../support/emulated/fleet.ts';
import { PATIENCE_MS } from '../support/patience.ts';

const HOSTS = 50;

const refusals = ({ hosts }: OperationReport): string[] =>
  hosts.flatMap(({ host, error }) => (error ? [`${host} ${error.code}`] : []));

describe('fifty emulated hosts', { timeout: 300_000 }, () => {
  let fleet: EmulatedFleet;
  before(async () => {
    fleet = await EmulatedFleet.start(HOSTS, 2);
  });
  after(() => fleet.dispose());

  test('all start a session in two phases, and record what their programs do', async () => {
    for (const [name, fields] of [
      ['session.create', { name: 's' }],
      ['event.enable', { session: 's', pattern: 'weft_test:*' }],
      ['session.start', { session: 's' }],
    ] as const) {
      const { report } = await fleet.operate(name, fields, { all: true });
      assert.deepEqual(refusals(report), []);
      assert.equal(new Set(report.hosts.map(({ host }) => host)).size, HOSTS);
    }
    const { report } = await fleet.operate('session.show', { session: 's' });
    assert.equal(report.state, 'done');
    for (const { host, answer } of report.hosts)
      assert.equal((answer?.session as { active: boolean } | undefined)?.active, true, host);
  });

  test('what an operator declares in the bucket of the fleet all follow, and the next generation as well', async () => {
    for (const generation of [1, 2]) {
      const applied = await applyOnce(fleet, 'declared', `weft_test:${generation}*`, PATIENCE_MS);
      assert.equal(applied.generation, generation);
      assert.equal(applied.looks.at(-1)?.following, HOSTS);
    }
    const { report } = await fleet.operate('session.show', { session: 'declared' });
    for (const { host, answer } of report.hosts) {
      const shown = answer?.session as { active: boolean; channels: { rules: { pattern: string }[] }[] } | undefined;
      assert.equal(shown?.active, true, host);
      assert.deepEqual(
        shown?.channels.flatMap(({ rules }) => rules.map(({ pattern }) => pattern)),
        ['weft_test:2*'],
        host,
      );
    }
  });

  test('hosts that are killed are named, and the others do not wait for them beyond the stall timer', async () => {
    await fleet.kill(1);
    const begin = performance.now();
    const { report } = await fleet.operate('session.stop', { session: 's' }, { stallMs: 1_000 });
    // Without a limit of its own it would wait for 30 s.
    assert.ok(performance.now() - begin < 30_000);
    assert.equal(report.state, 'partial');
    assert.equal(report.hosts.length, HOSTS);
    const gone = refusals(report);
    assert.ok(gone.length >= 24 && gone.every((text) => text.endsWith('host-silent')), gone.join(', '));
  });
});
