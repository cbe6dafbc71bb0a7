/** A command for a whole fleet costs its caller no more per host, however many there are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OperationReport, runFleetOperation } from '../../actors/fleet-operation.ts';
import { realClock } from '../../actors/host-ports.ts';
import { entriesOf, mapRoll, resultOf, rollOf, withResult } from '../../machines/fleet-roll.ts';
import type { Body } from '../../transport/bus.ts';
import type { HostView } from '../../transport/fleet-messages.ts';

const waiting = { state: 'waiting', refusal: null, body: {} } as const;
const done = { ...waiting, state: 'done' } as const;

test('a roll does not change; its counts are those of its results', () => {
  const names = Array.from({ length: 1_000 }, (_, i) => `host-${i}`);
  const first = rollOf(names.map((host) => [host, waiting]));
  const second = withResult(withResult(withResult(first, 'host-7', done), 'host-7', done), 'stranger', done);
  assert.equal(resultOf(first, 'host-7')?.state, 'waiting');
  assert.equal(resultOf(second, 'host-7')?.state, 'done');
  assert.deepEqual([first.size, second.size], [1_000, 1_001]);
  assert.deepEqual(second.counts, { waiting: 999, prepared: 0, done: 2, refused: 0, silent: 0 });
  const third = mapRoll(second, (_, result) => (result.state === 'waiting' ? { ...result, state: 'silent' } : result));
  assert.deepEqual(third.counts, { waiting: 0, prepared: 0, done: 2, refused: 0, silent: 999 });
  assert.deepEqual(
    entriesOf(third)
      .map(([host]) => host)
      .sort(),
    [...names, 'stranger'].sort(),
  );
});

/** `come`: how the answers reach the caller. */
const operate = async (
  size: number,
  come: (tell: () => void) => void = setImmediate,
): Promise<{ report: OperationReport; cpuMs: number; told: number }> => {
  const names = Array.from({ length: size }, (_, i) => `host-${i}`);
  const views = names.map((host) => ({ host, state: 'ready', labels: {} }) as unknown as HostView);
  const begin = process.cpuUsage();
  let told = 0;
  const report = await runFleetOperation({
    bus: {
      gather: (heard) => ({
        ask: (_subject, { id }: Body) => {
          for (const host of names) come(() => heard({ v: 1, id, host, ok: true }));
          return true;
        },
        stop: () => {},
      }),
    },
    clock: realClock,
    uid: 1000,
    who: 'alice',
    operation: 'o',
    name: 'session.start',
    fields: { session: 's' },
    selector: '*',
    all: true,
    stallMs: 10_000,
    hosts: async () => views,
    progress: () => {
      told++;
    },
  });
  const { user, system } = process.cpuUsage(begin);
  return { report, cpuMs: (user + system) / 1000, told };
};

test('10,000 hosts cost at most some times what 1,000 cost, ten times as many', async () => {
  await operate(1_000);
  const small = await operate(1_000);
  const large = await operate(10_000);
  assert.equal(large.report.state, 'done');
  assert.equal(large.report.hosts.length, 10_000);
  assert.ok(large.cpuMs < 40 * small.cpuMs, `${small.cpuMs} ms for 1,000 hosts, ${large.cpuMs} ms for 10,000`);
});

test('answers that come together are looked at together', async () => {
  const queue: (() => void)[] = [];
  const { report, told } = await operate(1_000, (tell) => {
    if (queue.push(tell) > 1) return;
    setImmediate(() => {
      for (const one of queue.splice(0)) one();
    });
  });
  assert.equal(report.state, 'done');
  assert.equal(told, 2, 'once per phase');
});
