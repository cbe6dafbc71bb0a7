/** Two hosts of three see the symptom at the same time: each of the two freezes is a whole one, and no host has half of one. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { findFrozen } from '../../cli/freeze-collect.ts';
import { decodeBody } from '../../transport/codec.ts';
import { FREEZES } from '../../transport/subjects.ts';
import { Fleet } from '../support/fleet.ts';
import { until } from '../support/fleet-server.ts';
import { babeltrace } from '../support/weft.ts';

const HOSTS = ['db-1', 'web-1', 'web-2'] as const;
const SEE_IT = ['web-1', 'web-2'] as const;
const PERIOD_NS = 5_000_000;
/** The program's event that is the symptom; it is due 2 s after the program's begin. */
const SYMPTOM = 400;

describe('a flight recorder of three hosts, of which two see the symptom at once', { timeout: 300_000 }, () => {
  let fleet: Fleet;
  let watcher: NatsConnection;
  const outputs = () => HOSTS.map((host) => join(fleet.at(host).home, 'frozen'));
  const snapshotsOf = (output: string): string[] =>
    existsSync(output) ? readdirSync(output).filter((name) => name.startsWith('snapshot-')) : [];
  before(async () => {
    fleet = await Fleet.start();
    for (const host of HOSTS) fleet.add(host);
    await fleet.until('web-1', HOSTS.map((host) => `${host} ready`).join(', '));
    watcher = await connect({ servers: `127.0.0.1:${fleet.port}` });
    for (const host of HOSTS) {
      const weft = fleet.at(host);
      weft.ok('create', 'flight', '--snapshot', '-o', join(weft.home, 'frozen'));
      weft.ok('enable-event', '-u', '-s', 'flight', 'weft_test:*');
      weft.ok('start', 'flight');
    }
    for (const host of SEE_IT) {
      const symptom = ['--type=user', '--name=weft_test:count', `--filter=number == ${SYMPTOM}`];
      const action = ['--action=snapshot-session', 'flight', '--fleet', '--post-ms', '20', '--rate-policy=once-after:1'];
      fleet.at(host).ok('add-trigger', '--name=symptom', '--condition=event-rule-matches', ...symptom, ...action);
    }
  });
  after(async () => {
    await watcher?.close();
    fleet.dispose();
  });

  /** Both are behind their pace when they go on, so they come to the symptom at once. */
  const seeTogether = async (): Promise<void> => {
    const begin = Date.now();
    const counters = await Promise.all(
      SEE_IT.map((host) => fleet.at(host).counter({ periodNs: PERIOD_NS, env: { CATCH_UP: '1' } })),
    );
    for (const { child } of counters) child.kill('SIGSTOP');
    assert.ok(counters.every(({ total }) => total() < SYMPTOM));
    await fleet.at('db-1').counter({ periodNs: PERIOD_NS, first: 1 });
    await until(() => Date.now() > begin + (SYMPTOM * PERIOD_NS) / 1e6 + 500, 'both are late');
    for (const { child } of counters) child.kill('SIGCONT');
  };

  test('one snapshot on each host; either id names it everywhere; all of it can be read', async () => {
    const told: { id: string; atNs: string }[] = [];
    const callback = (_error: unknown, { data }: { data: Uint8Array }): void => {
      const decoded = decodeBody(data);
      if (decoded.ok) told.push(decoded.body as { id: string; atNs: string });
    };
    watcher.subscribe(FREEZES, { callback });
    await watcher.flush();
    await seeTogether();
    await until(() => told.length === SEE_IT.length, 'both hosts tell of the symptom');
    const ids = told.map(({ id }) => id);
    assert.equal(new Set(ids).size, SEE_IT.length);
    const everywhere = (id: string): boolean => findFrozen(outputs(), id).length === HOSTS.length;
    await until(() => ids.every(everywhere), `${ids} on all hosts`);
    // The copies are whole when the session can be stopped.
    for (const host of HOSTS) fleet.at(host).ok('stop', 'flight');

    const names = outputs().map(snapshotsOf);
    assert.deepEqual(
      names.map(({ length }) => length),
      HOSTS.map(() => 1),
      `${names}`,
    );
    const used = new Set(names.flat().map((name) => name.split('-')[1]));
    for (const id of used) assert.ok(ids.includes(id!), `${id} was told of`);
    for (const id of ids) {
      const directory = join(fleet.directory, id);
      const from = outputs().flatMap((output) => ['--from', output]);
      const { snapshots } = fleet
        .at('db-1')
        .json<{ snapshots: { host: string }[] }>('snapshot', 'collect', id, '--output', directory, ...from);
      assert.deepEqual(
        snapshots.map(({ host }) => host),
        HOSTS,
      );
      const read = HOSTS.map((host) => babeltrace(join(directory, host)));
      assert.deepEqual(
        read.map(({ status, complaints, events }) => [status, complaints, events > 0]),
        HOSTS.map(() => [0, '', true]),
      );
    }
  });
});
