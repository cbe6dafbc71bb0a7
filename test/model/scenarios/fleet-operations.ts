/** One command for many hosts: all, some or none of them do it, and those that are silent are named. */
import assert from 'node:assert/strict';
import { type HostReport, type OperationReport, runFleetOperation } from '../../../actors/fleet-operation.ts';
import { NO_FLEET_CLOCK } from '../../../machines/clock-offset.ts';
import { leaseOf } from '../../../machines/lease.ts';
import type { Body, Fault } from '../../../transport/bus.ts';
import { FaultError, failed, succeeded } from '../../../transport/errors.ts';
import type { HostView } from '../../../transport/fleet-messages.ts';
import { realmSubtree } from '../../../transport/subjects.ts';
import { UID, type World } from '../../support/world/world.ts';
import { type Scenario, scenario } from './scenario.ts';

type Behaviour = 'garbles' | 'good' | 'refuses' | 'silent' | 'unreachable' | 'slow' | 'dies-prepared';

const viewOf = (host: string, state: HostView['state']): HostView => ({
  host,
  uid: UID,
  state,
  machineId: '',
  bootId: '',
  labels: {},
  version: '',
  sessions: 0,
  load: 0,
  clock: NO_FLEET_CLOCK,
  lastBeatMs: 0,
  machines: [],
});

interface Asked {
  readonly host: string;
  readonly phase: unknown;
  readonly leaseMs: unknown;
  readonly atMs: number;
}

/** A fleet of hosts that do nothing but answer, each in its way. */
class Others {
  readonly asked: Asked[] = [];
  readonly views: HostView[] = [];
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** Slow ones answer after as long. */
  async add(host: string, behaviour: Behaviour, slowMs = 900): Promise<void> {
    this.views.push(viewOf(host, behaviour === 'unreachable' ? 'unreachable' : 'ready'));
    if (behaviour === 'unreachable') return;
    const handle = async ({ body }: { body: Body }) => {
      this.asked.push({ host, phase: body.phase, leaseMs: body.leaseMs, atMs: this.#world.clock.now() });
      if (behaviour === 'silent') return null;
      if (behaviour === 'dies-prepared' && body.phase !== 'prepare') return null;
      if (behaviour === 'slow') await new Promise<void>((resolve) => void this.#world.clock.setTimeout(resolve, slowMs));
      if (behaviour === 'garbles') return succeeded({ host, ok: false, error: { code: 'chunk-not-archived' } });
      const { fault } = failed('session-not-found', { session: 's' }) as { fault: Fault };
      return succeeded(behaviour === 'refuses' ? { host, ok: false, error: fault } : { host, ok: true, phase: body.phase });
    };
    const endpoint = { name: 'fleet', subject: realmSubtree(null, UID, 'fleet'), schema: {}, handle };
    await this.#world.connectBus().serve({ name: 'weft-host', version: '1.0.0', description: host }, [endpoint]);
  }
}

const fleetOf = async (world: World, hosts: Readonly<Record<string, Behaviour>>): Promise<Others> => {
  const others = new Others(world);
  for (const [host, behaviour] of Object.entries(hosts)) await others.add(host, behaviour);
  return others;
};

interface Options {
  readonly name?: string;
  readonly all?: boolean;
  readonly selector?: string;
  readonly stallMs?: number;
  readonly hosts?: () => Promise<readonly HostView[]>;
}

let operations = 0;

const operate = async (world: World, others: Others, options: Options = {}): Promise<OperationReport | { code: string }> => {
  let ended: OperationReport | { code: string } | null = null;
  runFleetOperation({
    bus: world.connectBus(),
    clock: world.clock,
    uid: UID,
    who: 'alice@host',
    operation: `operation-${++operations}`,
    name: options.name ?? 'session.start',
    fields: { session: 's' },
    selector: options.selector ?? '*',
    all: options.all ?? false,
    stallMs: options.stallMs ?? 1_000,
    hosts: options.hosts ?? (async () => others.views),
    progress: () => {},
    inspect: (event) => world.inspect(event),
  }).then(
    (report) => {
      ended = report;
    },
    (thrown: unknown) => {
      ended = { code: thrown instanceof FaultError ? thrown.fault.code : String(thrown) };
    },
  );
  await world.until('the operation ended', () => ended !== null, 2_000_000);
  return ended!;
};

const said = (report: OperationReport | { code: string }): string => {
  if ('code' in report) return report.code;
  return `${report.state}: ${report.hosts.map(({ host, error }: HostReport) => `${host} ${error?.code ?? 'ok'}`).join(', ')}`;
};

export const FLEET_OPERATIONS: readonly Scenario[] = [
  scenario('all hosts prepare, then all begin', async (world) => {
    const others = await fleetOf(world, { a: 'good', b: 'good', c: 'slow' });
    const begin = world.clock.now();
    assert.equal(said(await operate(world, others)), 'done: a ok, b ok, c ok');
    assert.ok(world.clock.now() - begin < 1_850, 'once all have prepared nobody waits for the stall timer');
    const prepares = others.asked.findLastIndex(({ phase }) => phase === 'prepare');
    const commits = others.asked.findIndex(({ phase }) => phase === 'commit');
    assert.ok(prepares < commits, 'nobody begins before all have prepared');
  }),

  scenario('a question needs one message', async (world) => {
    const others = await fleetOf(world, { a: 'good', b: 'slow' });
    assert.equal(said(await operate(world, others, { name: 'session.list' })), 'done: a ok, b ok');
    assert.equal(others.asked.length, 2);
  }),

  scenario('hosts that are silent or refuse are named, and the others act', async (world) => {
    const others = await fleetOf(world, { a: 'good', b: 'silent', c: 'refuses', d: 'unreachable', e: 'garbles' });
    const begin = world.clock.now();
    const report = await operate(world, others);
    assert.equal(said(report), 'partial: a ok, b host-silent, c session-not-found, d host-silent, e bad-message');
    assert.ok(world.clock.now() - begin < 1_500, 'one stall, whoever is gone');
  }),

  scenario('a host that prepares and dies is named', async (world) => {
    const others = await fleetOf(world, { a: 'good', b: 'dies-prepared' });
    assert.equal(said(await operate(world, others)), 'partial: a ok, b host-silent');
  }),

  scenario('with --all nobody acts unless every host prepared, and those that did are told', async (world) => {
    const others = await fleetOf(world, { a: 'good', b: 'refuses' });
    assert.equal(said(await operate(world, others, { all: true })), 'failed: a operation-aborted, b session-not-found');
    await world.rest();
    assert.ok(others.asked.some(({ host, phase }) => host === 'a' && phase === 'abort'));
    assert.ok(!others.asked.some(({ phase }) => phase === 'commit'));
  }),

  scenario('a question that nobody answers fails, each host named', async (world) => {
    const others = await fleetOf(world, { a: 'silent', b: 'unreachable' });
    assert.equal(said(await operate(world, others, { name: 'session.list' })), 'failed: a host-silent, b host-silent');
  }),

  scenario('hosts hold what they prepared until the commit, however long others are waited for', async (world) => {
    for (const stallMs of [1_000, 15_000, 600_000]) {
      const others = await fleetOf(world, { silent: 'silent', quick: 'good' });
      for (const step of [1, 2, 3, 4]) await others.add(`slow-${step}`, 'slow', step * 0.9 * stallMs);
      const begin = world.clock.now();
      await operate(world, others, { stallMs });
      const of = (wanted: string) => others.asked.filter(({ host, phase }) => host === 'quick' && phase === wanted)[0]!;
      const [prepare, commit] = [of('prepare'), of('commit')];
      assert.ok(commit.atMs - begin <= 3 * stallMs, 'who answers late does not hold up the others for good');
      assert.ok(commit.atMs + 5_000 < prepare.atMs + leaseOf(prepare.leaseMs), `${stallMs}: its lease is over by then`);
    }
  }),

  scenario('nobody is meant, the selector is wrong, the registry does not answer', async (world) => {
    const others = await fleetOf(world, { a: 'good' });
    assert.equal(said(await operate(world, others, { selector: 'host=x' })), 'no-hosts');
    assert.equal(said(await operate(world, others, { selector: '=' })), 'selector-invalid');
    assert.equal(said(await operate(world, others, { hosts: () => new Promise(() => {}) })), 'timeout');
  }),
];
