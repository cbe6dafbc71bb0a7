/** A host among others: who is heard, what the fleet may command, and what is prepared but never carried out. */
import assert from 'node:assert/strict';
import { NO_FLEET_CLOCK } from '../../../machines/clock-offset.ts';
import type { Body } from '../../../transport/bus.ts';
import { beatSubject, callSubject, commandSubject, scatterSubject } from '../../../transport/subjects.ts';
import type { WorldApplication } from '../../support/world/application.ts';
import { WorldBucket } from '../../support/world/bucket.ts';
import { UID, type World } from '../../support/world/world.ts';
import { OUT, type Scenario, scenario, session } from './scenario.ts';

const member = async (world: World): Promise<void> => {
  world.fleet = 'fleet';
  await world.start();
  await world.rest();
};

const peers = new WeakMap<World, ReturnType<World['connectBus']>>();
const peer = (world: World) => {
  const known = peers.get(world) ?? world.connectBus();
  peers.set(world, known);
  return known;
};

/** Another host of the fleet says that it lives. */
const beat = async (world: World, host: string, bootId = 'b1', more: Body = {}): Promise<void> => {
  const body = {
    v: 1,
    machineId: `m-${host}`,
    bootId,
    labels: { role: 'db' },
    version: '1',
    sessions: 0,
    load: 0,
    clock: NO_FLEET_CLOCK,
    ...more,
  };
  peer(world).publish(beatSubject({ host, uid: UID }), body);
  await world.rest();
};

const stateOf = async (world: World, host: string): Promise<string | undefined> => {
  const { hosts } = (await world.ok('hosts.list')) as { hosts: { host: string; state: string }[] };
  return hosts.find((view) => view.host === host)?.state;
};

let operations = 0;

/** A command of the fleet to this host, or to all. */
export const ask = async (world: World, name: string, fields: Body, all = true): Promise<Body> => {
  const [noun, verb] = name.split('.') as [string, string];
  const who = 'alice';
  const subject = all
    ? scatterSubject({ uid: UID, who, noun, verb })
    : commandSubject({ host: 'host', uid: UID, realm: 'fleet', who, noun, verb });
  let answer: Body | null = null;
  void peer(world)
    .request(subject, { v: 1, id: `operation-${++operations}`, ...fields }, 60_000)
    .then((reply) => {
      answer = reply.ok ? reply.body : { code: reply.fault.code };
    });
  await world.until(`an answer to ${name}`, () => answer !== null, 61_000);
  return answer!;
};

const states = (world: World): string => JSON.stringify(world.daemon!.root.getSnapshot().context.fleet?.getSnapshot().value);
const life = (world: World): string =>
  JSON.stringify(Object.values(world.daemon!.root.getSnapshot().context.sessions)[0]!.getSnapshot().value);

const HOSTS: readonly Scenario[] = [
  scenario('a host that beats is ready, one that does not is unreachable after three beats, and comes back', async (world) => {
    await member(world);
    await beat(world, 'db-1');
    assert.equal(await stateOf(world, 'db-1'), 'ready');
    assert.equal(await stateOf(world, 'host'), 'ready');
    await world.advance(10_000);
    await beat(world, 'db-1');
    await world.advance(10_000);
    assert.equal(await stateOf(world, 'db-1'), 'ready');
    await world.advance(10_000);
    assert.equal(await stateOf(world, 'db-1'), 'unreachable');
    assert.equal(await stateOf(world, 'host'), 'ready');
    await beat(world, 'db-1');
    assert.equal(await stateOf(world, 'db-1'), 'ready');
  }),

  scenario('a host that leaves is known as left until it beats again', async (world) => {
    await member(world);
    await beat(world, 'db-1');
    await beat(world, 'db-1', 'another', { leaving: true });
    assert.equal(await stateOf(world, 'db-1'), 'ready', 'it was somebody else of that name who left');
    await beat(world, 'db-1', 'b1', { leaving: true });
    assert.equal(await stateOf(world, 'db-1'), 'left');
    await world.advance(60_000);
    assert.equal(await stateOf(world, 'db-1'), 'left');
    await beat(world, 'db-1');
    assert.equal(await stateOf(world, 'db-1'), 'ready');
  }),

  scenario('a machine that was started anew is no conflict, two that live under one name are', async (world) => {
    await member(world);
    await beat(world, 'db-1', 'b1');
    await beat(world, 'db-1', 'b2');
    await beat(world, 'db-1', 'b2');
    assert.equal(await stateOf(world, 'db-1'), 'ready');
    await beat(world, 'db-1', 'b1');
    assert.equal(await stateOf(world, 'db-1'), 'conflict');
    for (const machine of ['b2', 'b1', 'b2']) {
      await world.advance(5_000);
      await beat(world, 'db-1', machine);
    }
    await world.advance(1_000);
    assert.equal(await stateOf(world, 'db-1'), 'conflict', 'for as long as both live');
    await world.advance(4_000);
    await beat(world, 'db-1', 'b2');
    const heardAt = world.clock.now();
    await world.advance(11_000);
    const { hosts } = (await world.ok('hosts.list')) as { hosts: { host: string; state: string; lastBeatMs: number }[] };
    const view = hosts.find((one) => one.host === 'db-1')!;
    assert.equal(view.state, 'ready', 'one of them is silent');
    assert.ok(view.lastBeatMs >= heardAt - 1, 'the other one was heard meanwhile');
  }),

  scenario('a host that is gone for good is forgotten when somebody says so, and known again by a beat', async (world) => {
    await member(world);
    const forgotten = async (host: string) => (await stateOf(world, host)) === undefined;
    for (const host of ['db-1', 'db-2', 'constructor']) await beat(world, host);
    assert.equal(await stateOf(world, 'constructor'), 'ready', 'a name like others');
    assert.equal(await world.refused('hosts.forget', { host: 'db-1' }), 'host-lives');
    assert.equal(await world.refused('hosts.forget', { host: 'toString' }), 'host-unknown');
    assert.equal(await world.refused('hosts.forget', { host: 'db-1' }, { who: 4_000 }), 'permission-denied');
    await beat(world, 'db-2', 'b1', { leaving: true });
    await world.advance(20_000);
    await world.ok('hosts.forget', { host: 'db-1' });
    assert.ok(await forgotten('db-1'));
    assert.equal((await ask(world, 'hosts.forget', { host: 'db-2', selector: '*' })).code, undefined);
    assert.ok(await forgotten('db-2'));
    await beat(world, 'db-1');
    assert.equal(await stateOf(world, 'db-1'), 'ready');
  }),

  scenario('of two that live under one name one leaves: the other is ready at once, and stays so', async (world) => {
    await member(world);
    for (const machine of ['b1', 'b2', 'b1']) await beat(world, 'db-1', machine);
    await beat(world, 'db-1', 'another', { leaving: true });
    assert.equal(await stateOf(world, 'db-1'), 'conflict', 'it was somebody else of that name who left');
    await beat(world, 'db-1', 'b1', { leaving: true });
    assert.equal(await stateOf(world, 'db-1'), 'ready');
    for (let n = 0; n < 3; n++) {
      await world.advance(5_000);
      await beat(world, 'db-1', 'b2');
      assert.equal(await stateOf(world, 'db-1'), 'ready', 'its beats are nobody’s answer any more');
    }
  }),

  scenario('two hosts of this name: both are named, and the fleet gets nothing done here', async (world) => {
    await member(world);
    await beat(world, 'host', 'b1');
    await world.advance(6_000);
    assert.equal(await stateOf(world, 'host'), 'conflict');
    assert.equal((await ask(world, 'session.list', {})).code, 'host-conflict');
  }),

  scenario('who calls hears this host soon, and once however many call', async (world) => {
    await member(world);
    const heard: unknown[] = [];
    peer(world).subscribe(beatSubject({ host: 'host', uid: UID }), ({ body }) => heard.push(body));
    const call = (host: string): unknown => peer(world).publish(callSubject({ host, uid: UID }), { v: 1 });
    for (const host of ['db-1', 'db-1', 'db-2']) call(host);
    await world.advance(200);
    assert.equal(heard.length, 1, 'while it arrives');
    await world.advance(2_300);
    const before = heard.length;
    for (const host of ['db-1', 'db-1', 'db-3']) call(host);
    await world.advance(200);
    assert.equal(heard.length, before + 1, 'when it is there');
    peer(world).publish(callSubject({ host: 'db-4', uid: UID + 1 }), { v: 1 });
    peer(world).publish(callSubject({ host: 'relay', uid: UID }), { v: 1 });
    await world.advance(4_600);
    assert.equal(heard.length, before + 2, 'and by itself, when it would have');
    for (const host of ['db-1', 'db-2', 'db-3']) assert.equal(await stateOf(world, host), 'joining', host);
    await world.advance(16_000);
    assert.equal(await stateOf(world, 'db-1'), 'unreachable', 'it called and was never heard again');
  }),

  scenario('a host says whether its fleet answers: its store, or another host', async (world) => {
    await world.start();
    assert.equal(await world.refused('fleet.reach'), 'not-in-a-fleet');
    assert.equal(await world.refused('hosts.forget', { host: 'db-1' }), 'not-in-a-fleet');
    world.fleet = 'fleet';
    await world.restart();
    const alone = (await world.ok('fleet.reach')) as { reached: boolean; cause: string };
    assert.equal(alone.reached, false);
    assert.match(alone.cause, /weft_sessions/);
    await beat(world, 'db-1');
    assert.equal((await world.ok('fleet.reach')).reached, true);
    await world.advance(20_000);
    assert.equal((await world.ok('fleet.reach')).reached, false);
    const bucket = new WorldBucket(world.fabric);
    assert.deepEqual(await world.ok('fleet.reach'), { reached: true, cause: null });
    bucket.answers = false;
    assert.equal((await world.ok('fleet.reach')).reached, false);
  }),

  scenario('a host joins a fleet and leaves it', async (world) => {
    await world.start();
    assert.equal(await world.refused('hosts.list'), 'not-in-a-fleet');
    assert.equal(await world.refused('fleet.leave'), 'not-in-a-fleet');
    await world.ok('fleet.join', { fleet: { urls: ['tls://hub:7422'] } });
    await world.until('it is there', () => states(world)?.includes('beating') ?? false, 10_000);
    await world.ok('fleet.leave');
    await world.advance(100);
    assert.equal(await world.refused('hosts.list'), 'not-in-a-fleet');
    assert.equal(states(world), undefined, 'it beats no more');
  }),

  scenario('doors that cannot be opened to the fleet are tried again', async (world) => {
    world.fleet = 'fleet';
    // The first is for local users.
    world.faults.plan('bus.serve', 'fail', { after: 1 });
    await world.start();
    await world.until('it tries again', () => states(world).includes('pausing'), 1_000);
    await world.until('it is there', () => states(world).includes('beating'), 20_000);
  }),

  scenario('doors that hang are given up and tried again', async (world) => {
    world.fleet = 'fleet';
    world.faults.plan('bus.serve', 'hang', { after: 1 });
    await world.start();
    await world.until('it is there', () => states(world).includes('beating'), 30_000);
    assert.ok(world.logged("the fleet's commands could not be served in time"));
  }),

  scenario('a host whose daemon is told to end leaves the fleet', async (world) => {
    await member(world);
    const heard: Body[] = [];
    peer(world).subscribe(beatSubject({ host: 'host', uid: UID }), ({ body }) => heard.push(body));
    void world.ask('daemon.shutdown');
    await world.until('it said so', () => heard.some(({ leaving }) => leaving === true), 10_000);
  }),
];

export const PHASES: readonly Scenario[] = [
  scenario('one message commands every host that a selector matches, and no other', async (world) => {
    await member(world);
    assert.equal(
      (await ask(world, 'session.create', { selector: 'role=test', name: 's', output: `/home/1000/weft-traces/s` })).ok,
      true,
    );
    assert.equal((await ask(world, 'session.list', { selector: 'host=h*' })).host, 'host');
    assert.deepEqual(await ask(world, 'session.list', { selector: 'role=web' }), { code: 'timeout' });
    assert.equal((await ask(world, 'session.list', { selector: '=' })).code, 'selector-invalid');
  }),

  scenario('the fleet writes where its traces are and stops no daemon', async (world) => {
    await member(world);
    assert.equal((await ask(world, 'session.create', { name: 's', output: '/etc' })).code, 'fleet-path-refused');
    assert.equal((await ask(world, 'daemon.shutdown', {}, false)).code, 'permission-denied');
    assert.equal((await ask(world, 'no.such', {}, false)).code, 'unsupported');
  }),

  scenario('a trigger of the fleet acts as the fleet may, now and whenever it fires', async (world) => {
    world.fleet = 'fleet';
    await world.start();
    const inside = '/home/1000/weft-traces/shots';
    await world.ok('session.create', { name: 's', snapshot: true, output: '/out' });
    await world.ok('event.enable', { session: 's', pattern: 'weft_test:*' });
    await world.ok('session.start', { session: 's' });
    const rule = { pattern: 'weft_test:*', logLevel: null, exclusions: [], filter: null };
    const snapshot = (path: string) => ({
      kind: 'snapshot-session',
      session: 's',
      output: { name: null, path, maxSize: 0 },
      rate: { kind: 'every', count: 1 },
    });
    const add = async (path: string, more: Body = {}) => {
      const condition = { kind: 'event-rule-matches', rule, captures: [] };
      return ask(world, 'trigger.add', { name: 't', condition, actions: [snapshot(path)], ...more });
    };
    assert.equal((await add('/etc/cron.d/x')).code, 'fleet-path-refused');
    assert.equal((await add(`${inside}/../../../../etc`)).code, 'fleet-path-refused');
    assert.equal((await add(inside, { ownerUid: UID })).code, 'permission-denied');
    assert.equal((await ask(world, 'trigger.remove', { name: 't', ownerUid: UID })).code, 'permission-denied');
    assert.equal((await add(inside)).code, undefined);
    const program = await world.program();
    const failures = async (): Promise<unknown> => {
      world.record(program, 1);
      await world.advance(3_000);
      const { triggers } = (await world.ok('trigger.list')) as { triggers: { errors: { actions: number[] } }[] };
      return triggers[0]!.errors.actions;
    };
    assert.deepEqual(await failures(), [0]);
    // What is written of it may be from a time when other paths were the fleet's.
    world.killDaemon();
    for (const [id, text] of world.triggers) world.triggers.set(id, text.replaceAll(inside, '/etc/shots'));
    await world.start();
    await world.rest();
    assert.deepEqual(await failures(), [1]);
  }),

  scenario('a start is prepared, then begun', async (world) => {
    world.fleet = 'fleet';
    await session(world);
    const program = await world.program();
    const operation = { operation: 'o1', session: 's' };
    const prepared = await ask(world, 'session.start', { ...operation, phase: 'prepare' });
    assert.equal((prepared.lease as { operation: string }).operation, 'o1');
    assert.equal(world.record(program, 1).length, 0, 'nothing is recorded before the commit');
    await ask(world, 'session.start', { ...operation, phase: 'commit' });
    assert.equal(world.record(program, 1).length, 1);
    assert.equal(
      (await ask(world, 'session.start', { ...operation, phase: 'prepare', operation: 'o2' })).code,
      'already-started',
    );
  }),

  scenario(
    'a start that was prepared only arms; what came meanwhile, or changed, is looked at and records too',
    async (world) => {
      world.fleet = 'fleet';
      let described = 0;
      let prepared = 0;
      let passes = 0;
      world.inspectors.push(({ type, ...of }) => {
        if (type !== '@xstate.event' || !('event' in of)) return;
        if (of.event.type === 'PassRequested') passes++;
        if (of.event.type === 'xstate.done.actor.describe') described++;
        if (of.event.type === 'xstate.done.actor.prepareStart') prepared++;
      });
      await session(world);
      const program = await world.program();
      const operate = async (operation: string, meanwhile: () => Promise<unknown>): Promise<readonly number[]> => {
        const words = { operation, session: 's' };
        await ask(world, 'session.start', { ...words, phase: 'prepare' });
        await meanwhile();
        const before = [prepared, passes, described] as const;
        assert.equal((await ask(world, 'session.start', { ...words, phase: 'commit' })).code, undefined);
        return [prepared - before[0], passes - before[1], described - before[2]];
      };
      assert.deepEqual(await operate('o1', async () => {}), [0, 1, 0]);
      assert.equal(world.record(program, 1).length, 1);
      await world.ok('session.stop', { session: 's' });
      const late: WorldApplication[] = [];
      assert.deepEqual(await operate('o2', async () => void late.push(await world.program())), [1, 2, 1]);
      assert.equal(world.record(late[0]!, 1).length, 1);
      await world.ok('session.stop', { session: 's' });
      await operate('o3', async () => world.consumerEnded(world.consumers[0]!, 'SIGKILL'));
      const events = world.record(program, 1);
      await world.ok('session.stop', { session: 's' });
      for (const event of events)
        assert.ok(world.files.numbers(OUT).includes(event), 'the consumer that came anew reads the rings');
      await operate('o4', () => world.ok('event.disable', { session: 's', all: true }));
      assert.equal(world.record(late[0]!, 1).length, 0, 'what was disabled between the phases');
    },
  ),

  scenario('a commit is for the session that was prepared, and for no other', async (world) => {
    world.fleet = 'fleet';
    await session(world);
    await world.ok('session.create', { name: 'other', output: `${OUT}-other` });
    await world.ok('event.enable', { session: 'other', pattern: '*' });
    await ask(world, 'session.start', { session: 's', operation: 'o1', phase: 'prepare' });
    const commit = { session: 'other', operation: 'o1', phase: 'commit' };
    assert.equal((await ask(world, 'session.start', commit)).code, 'lease-ended');
  }),

  scenario('what is prepared and never begun goes back by itself, or when it is told to', async (world) => {
    world.fleet = 'fleet';
    await session(world);
    await ask(world, 'session.start', { session: 's', operation: 'o1', phase: 'prepare' });
    assert.equal((await ask(world, 'session.start', { session: 's', operation: 'o2', phase: 'prepare' })).code, 'session-busy');
    await world.advance(11_000);
    assert.equal((await ask(world, 'session.start', { session: 's', operation: 'o1', phase: 'commit' })).code, 'lease-ended');
    await ask(world, 'session.start', { session: 's', operation: 'o3', phase: 'prepare' });
    await ask(world, 'session.start', { session: 's', operation: 'o3', phase: 'abort' });
    assert.equal((await ask(world, 'session.start', { session: 's', operation: 'o3', phase: 'commit' })).code, 'lease-ended');
    assert.match(life(world), /"life":"inactive"/);
    const { leases } = world.daemon!.root.getSnapshot().context.fleet!.getSnapshot().context;
    assert.equal(Object.keys(leases).length, 0, 'none is kept');
  }),

  scenario('an operation of a name that objects of the language have takes a lease like others', async (world) => {
    await member(world);
    await session(world);
    for (const operation of ['constructor', '__proto__']) {
      const words = { session: 's', operation };
      const prepared = await ask(world, 'session.start', { ...words, phase: 'prepare' });
      assert.equal((prepared.lease as Body | undefined)?.operation, operation);
      assert.equal((await ask(world, 'session.start', { ...words, phase: 'abort' })).code, undefined);
      assert.equal((await ask(world, 'session.start', { ...words, phase: 'commit' })).code, 'lease-ended');
    }
  }),

  scenario('a lease lasts as long as whoever prepares asks for, within bounds', async (world) => {
    world.fleet = 'fleet';
    await session(world);
    const words = { session: 's', phase: 'prepare' };
    await ask(world, 'session.start', { ...words, operation: 'o1', leaseMs: 55_000 });
    await world.advance(50_000);
    assert.equal((await ask(world, 'session.start', { ...words, operation: 'o1', phase: 'commit' })).code, undefined);
    await world.ok('session.stop', { session: 's' });
    await ask(world, 'session.start', { ...words, operation: 'o2', leaseMs: 1e12 });
    await world.advance(14 * 60_000);
    assert.equal((await ask(world, 'session.start', { ...words, operation: 'o3' })).code, 'session-busy');
    await world.advance(2 * 60_000);
    assert.equal((await ask(world, 'session.start', { ...words, operation: 'o4', leaseMs: -1 })).code, undefined);
    await world.advance(9_000);
    assert.equal((await ask(world, 'session.start', { ...words, operation: 'o5' })).code, 'session-busy');
  }),

  scenario('a message that comes twice is one: the same id gets the same answer', async (world) => {
    world.fleet = 'fleet';
    await session(world);
    const prepare = { id: 'o1.prepare', operation: 'o1', session: 's', phase: 'prepare' };
    const twice = await Promise.all([1, 2].map(() => ask(world, 'session.start', prepare)));
    assert.deepEqual(twice[0], twice[1]);
    const commit = { ...prepare, id: 'o1.commit', phase: 'commit' };
    const first = await ask(world, 'session.start', commit);
    assert.equal(first.code, undefined);
    await world.advance(60_000);
    assert.deepEqual(await ask(world, 'session.start', commit), first);
    // Neither does what was refused become done.
    const late = { ...commit, id: 'o2.commit', operation: 'o2' };
    const words = { ...late, id: 'o2.prepare', phase: 'prepare' };
    assert.equal((await ask(world, 'session.stop', late)).code, 'lease-ended');
    assert.equal((await ask(world, 'session.stop', words)).code, undefined);
    assert.equal((await ask(world, 'session.stop', late)).code, 'lease-ended');
    assert.match(life(world), /"life":"active"/);
  }),

  scenario('of two that prepare one session at once only one holds it', async (world) => {
    world.fleet = 'fleet';
    await session(world);
    const words = { session: 's', phase: 'prepare' };
    const answers = await Promise.all(['o1', 'o2'].map((operation) => ask(world, 'session.start', { ...words, operation })));
    assert.deepEqual(
      answers.map(({ code }) => code),
      [undefined, 'session-busy'],
    );
  }),

  scenario('who aborts or commits before this host is prepared goes on without it', async (world) => {
    world.fleet = 'fleet';
    await session(world);
    for (const phase of ['abort', 'commit']) {
      const words = { session: 's', operation: phase };
      const prepared = ask(world, 'session.start', { ...words, phase: 'prepare' });
      const code = (await ask(world, 'session.start', { ...words, phase })).code;
      assert.equal(code, phase === 'abort' ? undefined : 'lease-ended');
      assert.equal((await prepared).code, 'lease-ended');
      assert.match(life(world), /"life":"inactive"/);
    }
  }),

  scenario('a preparation that waits for too long is nobody’s any more', async (world) => {
    world.fleet = 'fleet';
    await session(world);
    world.faults.plan('bus.request', 'hang', { after: 1, times: 50 });
    void world.ask('session.start', { session: 's' });
    const asked = ask(world, 'session.start', { session: 's', operation: 'o1', phase: 'prepare' });
    await world.advance(31_000);
    const { leases } = world.daemon!.root.getSnapshot().context.fleet!.getSnapshot().context;
    assert.deepEqual(Object.keys(leases), []);
    assert.notEqual((await asked).code, undefined);
  }),

  scenario('a start that cannot be prepared says why and leaves the session as it was', async (world) => {
    world.fleet = 'fleet';
    await world.start();
    await world.ok('session.create', { name: 's', output: OUT });
    assert.equal((await ask(world, 'session.start', { session: 's', operation: 'o1', phase: 'prepare' })).code, 'no-channel');
    assert.equal(
      (await ask(world, 'session.stop', { session: 's', operation: 'o2', phase: 'prepare' })).code,
      'already-stopped',
    );
    assert.equal(
      (await ask(world, 'snapshot.record', { session: 's', operation: 'o3', phase: 'prepare' })).code,
      'not-a-snapshot-session',
    );
    assert.equal(
      (await ask(world, 'session.rotate', { session: 's', operation: 'o5', phase: 'prepare' })).code,
      'session-never-started',
    );
    assert.equal(
      (await ask(world, 'session.stop', { session: 'x', operation: 'o4', phase: 'prepare' })).code,
      'session-not-found',
    );
  }),

  scenario('a preparation that hangs is given up', async (world) => {
    world.fleet = 'fleet';
    await session(world);
    world.faults.plan('bus.request', 'hang', { after: 1, times: 5 });
    const asked = ask(world, 'session.start', { session: 's', operation: 'o1', phase: 'prepare' });
    assert.equal((await asked).code, 'timeout');
    assert.match(life(world), /"life":"inactive"/);
  }),
];

export const FLEET: readonly Scenario[] = [...HOSTS, ...PHASES];
