/**
 * Ten thousand hosts on a bus that loses, delays and doubles messages, some of them dead: what a command of the fleet promises holds.
 * WEFT_SEED=N tells history N.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leaseFor } from '../../machines/lease.ts';
import { Chance } from './chance.ts';
import { type Ended, ManyHosts } from './many-hosts.ts';

const HOSTS = 10_000;
const STALL_MS = 3_000;
const LATE_MS = 500;
const SEED = Number(process.env.WEFT_SEED ?? 20_000_000);

const eachNamedOnce = (fleet: ManyHosts, { report }: Ended): void => {
  assert.deepEqual(
    report.hosts.map(({ host }) => host),
    fleet.hosts.map(({ name }) => name).sort(),
  );
};

/** There and back is late twice; of each phase no more than the stall timer comes after the last answer. */
const nobodyWaits = ({ tookMs }: Ended, phases: number): void =>
  assert.ok(tookMs <= phases * (4 * LATE_MS + STALL_MS), `${tookMs} ms`);

const whatIsSaidWasDone = (fleet: ManyHosts, { operation, report }: Ended): void => {
  const said = report.hosts.filter(({ ok }) => ok).map(({ host }) => host);
  const acted = new Set(fleet.hosts.filter((host) => host.acted.has(operation)).map(({ name }) => name));
  assert.deepEqual(
    said.filter((host) => !acted.has(host)),
    [],
  );
};

const leasesEnd = async (fleet: ManyHosts): Promise<void> => {
  await fleet.clock.advance(leaseFor(STALL_MS) + 2 * LATE_MS);
  assert.deepEqual(
    fleet.hosts.filter(({ holds }) => holds > 0).map(({ name }) => name),
    [],
  );
};

test(`a fleet of ${HOSTS} hosts, seed ${SEED}`, { timeout: 300_000 }, async () => {
  const chance = new Chance(SEED);
  const fleet = new ManyHosts(chance, HOSTS);
  await fleet.clock.until('all are heard', () => fleet.heard.size === HOSTS, 6_000);

  const calm = await fleet.operate('session.start', true, STALL_MS);
  assert.equal(calm.report.state, 'done');
  eachNamedOnce(fleet, calm);

  fleet.weather = { loss: 0.02, twice: 0.05, late: 0.5, lateMs: LATE_MS };
  for (const host of fleet.hosts) if (chance.often(0.01)) host.alive = false;
  const some = await fleet.operate('session.start', false, STALL_MS);
  assert.equal(some.report.state, 'partial');
  eachNamedOnce(fleet, some);
  nobodyWaits(some, 2);
  whatIsSaidWasDone(fleet, some);
  assert.ok(
    fleet.hosts.some(({ holds }) => holds > 0),
    'to some the commit never came',
  );
  await leasesEnd(fleet);

  // By now the dead are known to be silent, and some hosts that live are taken for dead.
  fleet.refusals = 0.01;
  const none = await fleet.operate('session.stop', true, STALL_MS);
  assert.equal(none.report.state, 'failed');
  eachNamedOnce(fleet, none);
  nobodyWaits(none, 1);
  assert.ok(fleet.hosts.every(({ acted }) => !acted.has(none.operation)));

  const asked = await fleet.operate('session.list', false, STALL_MS);
  eachNamedOnce(fleet, asked);
  nobodyWaits(asked, 1);
  await leasesEnd(fleet);
});
