/** A host as another one hears it, over a longer time than a whole host is let run for. */
import assert from 'node:assert/strict';
import { createActor } from 'xstate';
import { NO_FLEET_CLOCK } from '../../../machines/clock-offset.ts';
import { type Beat, hostMachine } from '../../../machines/host.ts';
import { type Scenario, scenario } from './scenario.ts';

const DAY_MS = 24 * 3_600_000;
const NO_BEAT: Beat = {
  machine: '',
  machineId: '',
  bootId: '',
  labels: {},
  version: '',
  sessions: 0,
  load: 0,
  clock: NO_FLEET_CLOCK,
  atMs: 0,
};

export const FLEET_HOSTS: readonly Scenario[] = [
  scenario('a host that was not heard for a day is forgotten', async (world) => {
    const forgotten: string[] = [];
    const machine = hostMachine.provide({ actions: { forgetHost: (_, { host }) => void forgotten.push(host) } });
    const { clock } = world;
    const [silent, gone] = ['silent', 'gone'].map((host) =>
      createActor(machine, { input: { host }, clock, inspect: (event) => world.inspect(event) }).start(),
    );
    gone?.send({ type: 'BeatSeen', beat: { ...NO_BEAT, machine: 'b1' } });
    gone?.send({ type: 'HostLeft', machine: 'b1' });
    await world.advance(DAY_MS);
    assert.deepEqual(forgotten, ['gone']);
    await world.advance(20_000);
    assert.deepEqual(forgotten, ['gone', 'silent']);
    for (const actor of [silent, gone]) actor?.stop();
  }),
];
