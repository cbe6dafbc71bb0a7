import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FleetRun } from '../../cli/fleet-run.ts';

test('--all with --on is for the commands that hosts prepare; the others say so instead of leaving it out', () => {
  const run = (command: string) => () => new FleetRun({ selector: '*', all: true, stall: undefined, command, terminal: null });
  for (const command of ['start', 'stop', 'rotate', 'snapshot']) assert.doesNotThrow(run(command));
  assert.throws(run('create'), /--all with --on is for start, stop, rotate and snapshot.*create/);
});
