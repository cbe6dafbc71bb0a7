/** What a host says of the program that a process executes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { realHost } from '../../actors/host-ports.ts';

const state = mkdtempSync(join(tmpdir(), 'weft-image-'));
after(() => rmSync(state, { recursive: true }));
const { image } = realHost({
  host: null,
  group: 'tracing',
  state,
  labels: {},
  fleetUser: null,
  native: { clockOffset: () => 0n },
});

test('a process is the same program until exec(), and none when it has ended, reaped or not', async (t) => {
  const child = spawn('sh', ['-c', 'echo ready; read line; exec sleep 60'], { stdio: ['pipe', 'pipe', 'ignore'] });
  t.after(() => child.kill('SIGKILL'));
  const pid = child.pid!;
  await once(child.stdout!, 'data');
  const first = image(pid);
  assert.ok(first !== null);
  assert.equal(image(pid), first);
  child.stdin!.write('\n');
  const isSleep = (): boolean => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n';
  while (!isSleep()) await new Promise((done) => setTimeout(done, 5));
  const second = image(pid);
  assert.ok(second !== null && second !== first);
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  assert.equal(image(pid), null);
  assert.equal(image(0), null);
});
