/** A symptom on one of twenty emulated hosts around a real server: the rings of all stand still, soon and for one id. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EmulatedFleet } from '../support/emulated/fleet.ts';
import { freezeOnce, startRecorder } from '../support/emulated/freezes.ts';
import { PATIENCE_MS } from '../support/patience.ts';

const HOSTS = 20;
/** A busy machine runs all of them, or none for a while; bench/freeze.ts holds a hundred hosts on a quiet one to 100 ms. */
const LIMIT_MS = 20_000;

describe('a flight recorder of twenty emulated hosts', { timeout: 300_000 }, () => {
  let fleet: EmulatedFleet;
  before(async () => {
    fleet = await EmulatedFleet.start(HOSTS, 2);
  });
  after(() => fleet.dispose());

  test('a symptom on one host freezes all of them within a bound, under one id', async () => {
    await startRecorder(fleet, 'flight');
    const { rings } = await freezeOnce(fleet, 'flight', PATIENCE_MS);
    assert.equal(new Set(rings.map(({ host }) => host)).size, HOSTS);
    assert.equal(new Set(rings.map(({ id }) => id)).size, 1);
    const late = rings.filter(({ afterMs }) => afterMs < 0 || afterMs > LIMIT_MS);
    assert.deepEqual(late, []);
  });
});
