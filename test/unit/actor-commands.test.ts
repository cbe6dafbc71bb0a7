/** Who may see and command what, how often a request counts, and what is refused by which code; in the in-memory world. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { APPLICATIONS_MAX } from '../../actors/doors.ts';
import { KEPT_MAX } from '../../actors/replies.ts';
import type { Fault } from '../../transport/bus.ts';
import { World } from '../support/world/world.ts';

const told = async (): Promise<World> => {
  const world = new World();
  await world.start();
  return world;
};

test('a caller sees and commands only sessions of their own; root and the daemon’s user see all', async () => {
  const world = await told();
  await world.ok('session.create', { name: 'mine', output: '/out/mine' });
  await world.ok('session.create', { name: 'theirs', output: '/out/theirs' }, { who: 2000 });
  const names = async (who: number) =>
    ((await world.ok('session.list', {}, { who })).sessions as { name: string }[]).map(({ name }) => name);
  assert.deepEqual(await names(2000), ['theirs']);
  assert.deepEqual(await names(3000), []);
  assert.deepEqual(await names(0), ['mine', 'theirs']);
  assert.deepEqual(await names(1000), ['mine', 'theirs']);
  for (const command of ['session.show', 'session.start', 'session.stop', 'session.destroy'] as const) {
    assert.equal(await world.refused(command, { session: 'mine' }, { who: 2000 }), 'session-not-found', command);
  }
  assert.equal(await world.refused('session.create', { name: 'mine' }, { who: 2000 }), 'session-exists');
});

test('only root and the daemon’s user end or inspect it', async () => {
  const world = await told();
  assert.equal(await world.refused('daemon.shutdown', {}, { who: 2000 }), 'permission-denied');
  assert.equal(await world.refused('inspect.watch', { leaseMs: 1000 }, { who: 2000 }), 'permission-denied');
});

test('a caller sees the programs of their own uid only', async () => {
  const world = await told();
  await world.program();
  await world.program({ peer: { pid: 7, uid: 2000, gid: 2000 } });
  const pids = async (who: number) =>
    ((await world.ok('point.list', {}, { who })).applications as { pid: number }[]).map(({ pid }) => pid);
  assert.deepEqual(await pids(2000), [7]);
  assert.equal((await pids(0)).length, 2);
});

test('each owner has a consumer of their own, running as them', async () => {
  const world = await told();
  await world.ok('session.create', { name: 'mine', output: '/out/mine' });
  await world.ok('session.create', { name: 'theirs', output: '/out/theirs' }, { who: 2000 });
  await world.advance(1000);
  const { consumers } = (await world.ok('daemon.status')) as { consumers: { uid: number; state: string }[] };
  assert.deepEqual(
    consumers.map(({ uid, state }) => [uid, state]),
    [
      [1000, 'consuming'],
      [2000, 'consuming'],
    ],
  );
});

test('a request counts once; its answer is kept for ten minutes, over a restart too', async () => {
  const world = await told();
  await world.ok('session.create', { name: 's', output: '/out/s' }, { id: 'create' });
  await world.ok('session.create', { name: 's', output: '/out/s' }, { id: 'create' });
  const first = await world.ok('event.enable', { session: 's', pattern: 'a:*' }, { id: 'rule' });
  await world.restart();
  assert.deepEqual(await world.ok('event.enable', { session: 's', pattern: 'a:*' }, { id: 'rule' }), first);
  assert.equal(await world.refused('event.enable', { session: 's', pattern: 'a:*' }, { id: 'other' }), 'rule-exists');
  await world.advance(11 * 60_000);
  assert.equal(await world.refused('event.enable', { session: 's', pattern: 'a:*' }, { id: 'rule' }), 'rule-exists');
});

test('a caller who asks for ever, or sends thousands of commands, fills no memory of the daemon', async () => {
  const world = await told();
  const kept = (): number => world.daemon!.parts.replies.size;
  for (let at = 0; at < 50; at++) await world.ok('session.list', {}, { who: 2000 });
  assert.equal(kept(), 0, 'answers to questions are not kept');
  await world.ok('session.create', { name: 's' }, { id: 'mine' });
  for (let at = 0; at < KEPT_MAX + 10; at++) await world.refused('session.start', { session: 'nowhere' }, { who: 2000 });
  assert.equal(kept(), KEPT_MAX + 1);
  await world.ok('session.create', { name: 's' }, { id: 'mine' });
});

test('exclusions that take long to compare keep nobody waiting', async () => {
  const world = await told();
  await world.ok('session.create', { name: 's' });
  const pattern = '*a'.repeat(127);
  const exclusions = Array.from({ length: 1000 }, (_, at) => `${at}${'*a'.repeat(120)}b`);
  const began = process.cpuUsage();
  await world.ok('event.enable', { session: 's', pattern, exclusions });
  const ms = process.cpuUsage(began).user / 1_000;
  assert.ok(ms < 2_000, `${ms} ms`);
});

test('a command that is sent before the creation of its session was answered waits for it', async () => {
  const world = await told();
  const [, early] = await Promise.all([
    world.ok('session.create', { name: 's' }),
    world.refused('session.start', { session: 's' }),
  ]);
  assert.equal(early, 'no-channel');
});

test('the same request id of another caller is another request', async () => {
  const world = await told();
  await world.ok('session.create', { name: 'a' }, { id: 'one' });
  const other = await world.ok('session.create', { name: 'b' }, { id: 'one', who: 2000 });
  assert.equal((other.session as { name: string }).name, 'b');
});

test('a request that was made more than ten minutes ago is stale', async () => {
  const world = await told();
  const made = (ms: number): string => {
    const hex = ms.toString(16).padStart(12, '0');
    return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
  };
  assert.equal(await world.refused('session.list', {}, { id: made(world.clock.now() - 11 * 60_000) }), 'stale');
  await world.ok('session.list', {}, { id: made(world.clock.now() - 9 * 60_000) });
});

test('names of sessions have rules; without one it is made of date and time', async () => {
  const world = await told();
  for (const name of ['', 'a/b', 'auto', 'auto-x', 'x'.repeat(256)]) {
    assert.equal(await world.refused('session.create', { name }), 'session-name-invalid', name);
  }
  const { session } = (await world.ok('session.create')) as { session: { name: string; output: string } };
  assert.match(session.name, /^auto-\d{8}-\d{6}$/);
  assert.equal(await world.refused('session.create', { name: 'x', output: 'relative' }), 'output-not-writable');
});

test('rules that can record nothing are refused', async () => {
  const world = await told();
  await world.ok('session.create', { name: 's' });
  const refused = (fields: Record<string, unknown>) => world.refused('event.enable', { session: 's', ...fields });
  assert.equal(await refused({ pattern: '' }), 'rule-invalid');
  assert.equal(await refused({ pattern: 'x'.repeat(256) }), 'rule-invalid');
  assert.equal(await refused({ pattern: 'a:b', exclusions: ['a:c'] }), 'exclusion-invalid');
  assert.equal(await refused({ pattern: 'a:*', exclusions: ['*'] }), 'exclusion-invalid');
  assert.equal(await refused({ pattern: 'a:*', filter: 'x > ' }), 'filter-invalid');
  assert.equal(await refused({ pattern: 'lttng_jul:event' }), 'name-reserved');
  assert.equal(await refused({ pattern: 'a:*', channel: 'lttng_jul_channel' }), 'name-reserved');
  assert.equal(await refused({ pattern: 'a:*', channel: 7 }), 'bad-message');
});

test('a channel takes as many different filters as one program holds', async () => {
  const world = await told();
  await world.ok('session.create', { name: 's' });
  for (let at = 0; at < 64; at++) await world.ok('event.enable', { session: 's', pattern: 'a:*', filter: `x == ${at}` });
  assert.equal(await world.refused('event.enable', { session: 's', pattern: 'a:*', filter: 'x < 0' }), 'filters-too-many');
  await world.ok('event.enable', { session: 's', pattern: 'b:*', filter: 'x == 1' });
  await world.ok('event.disable', { session: 's', pattern: 'a:*' });
  await world.ok('event.enable', { session: 's', pattern: 'a:*', filter: 'x < 0' });
});

test('a session shows its channels, rules, state and statistics', async () => {
  const world = await told();
  await world.ok('session.create', { name: 's', output: '/out/s' });
  await world.ok('event.enable', { session: 's', pattern: 'weft_test:*' });
  await world.ok('context.add', { session: 's', types: ['vpid'] });
  await world.ok('session.start', { session: 's' });
  world.record(await world.program(), 3);
  const { session } = (await world.ok('session.show', { session: 's' })) as {
    session: { state: string; channels: { contexts: string[]; stats: { events: number } }[]; registries: { key: string }[] };
  };
  assert.equal(session.state, 'active');
  assert.deepEqual(session.channels[0]!.contexts, ['vpid']);
  assert.equal(session.channels[0]!.stats.events, 3);
  assert.deepEqual(
    session.registries.map(({ key }) => key),
    ['uid-1000'],
  );
  assert.equal(await world.refused('session.show', { session: 's', channel: 'x' }), 'channel-not-found');
});

test('the door gives its user and root a key, and nobody else', async () => {
  const world = await told();
  const ask = async (uid: number) => {
    const connection = world.kernel.connect('client.sock', { pid: 1, uid, gid: uid });
    let answer: { ok: boolean; access?: { who: string }; fault?: Fault } | null = null;
    connection.onMessage((bytes) => {
      answer = JSON.parse(bytes.toString());
    });
    await world.until('an answer', () => answer !== null, 1000);
    return answer! as { ok: boolean; access?: { who: string }; fault?: Fault };
  };
  assert.equal((await ask(1000)).access?.who, '1000');
  assert.equal((await ask(0)).access?.who, '0');
  assert.equal((await ask(2000)).fault?.code, 'permission-denied');
});

test('one user can fill neither table nor daemon with connections', async () => {
  const world = await told();
  for (let one = 0; one < APPLICATIONS_MAX; one++) world.run().connect();
  await world.rest();
  const last = world.run();
  last.connect();
  await world.until('the last one is refused', () => last.closed, 1_000);
  assert.equal(world.applications.filter(({ closed }) => closed).length, 1);
  await world.program({ peer: { pid: 7, uid: 2000, gid: 2000 } });
});
