/** The fleet's flight recorder on one host: what a freeze does to the rings, what it is copied as, and that it always ends. */
import assert from 'node:assert/strict';
import { ALIASES_MAX } from '../../../machines/freeze.ts';
import type { Body } from '../../../transport/bus.ts';
import { freezeSubject } from '../../../transport/subjects.ts';
import { FakeRelay } from '../../support/fake-relay.ts';
import { UID, type World } from '../../support/world/world.ts';
import { type Scenario, scenario } from './scenario.ts';

const EVERY = { kind: 'every', count: 1 } as const;
const [FIRST, SECOND, THIRD, FOURTH] = ['1', '2', '3', '4'].map((digit) => digit.padStart(16, '0')) as [
  string,
  string,
  string,
  string,
];

/** A started snapshot session `s` with a program that has recorded two events. */
const recorder = async (world: World) => {
  await world.start();
  await world.ok('session.create', { name: 's', snapshot: true, output: '/out' });
  await world.ok('event.enable', { session: 's', pattern: 'weft_test:*' });
  await world.ok('session.start', { session: 's' });
  const program = await world.program();
  return { program, numbers: world.record(program, 2) };
};

/** As another host's daemon says it. */
const hear = async (world: World, id: string, body: Body = {}, session = 's'): Promise<void> => {
  const message = { v: 1, id, owner: UID, atNs: '1', trigger: 't', postMs: 0, ...body };
  world.connectBus().publish(freezeSubject({ host: 'other', uid: UID, session }), message);
  await world.rest();
};

const told = (world: World, what: string) => world.published('freeze', what).map(({ body }) => body);
const reader = (world: World) => world.consumers[0]!.readers[0]!;
const notes = (world: World) =>
  [...world.files.notes].map(([path, text]) => ({
    path,
    ...(JSON.parse(text) as { id: string; aliases: string[]; complete: boolean }),
  }));
const lifted = (world: World) =>
  world.until('it is lifted', () => told(world, 'lifted').length === 1 && reader(world).frozenMs === 0, 1_000);

export const FREEZES: readonly Scenario[] = [
  scenario(
    'a freeze of another host stops the rings, is copied under its id, and lifted; the next one waits 10 s',
    async (world) => {
      const { program, numbers } = await recorder(world);
      await hear(world, FIRST);
      await world.advance(1);
      assert.deepEqual([reader(world).frozen, reader(world).frozenMs], [1, 5_000]);
      await lifted(world);
      const [note] = notes(world);
      assert.match(note!.path, /^\/out\/snapshot-0000000000000001-\d{8}-\d{6}-0\/\.weft-freeze\.json$/);
      assert.deepEqual(note!.aliases, []);
      await world.until('all of it is there', () => notes(world)[0]!.complete, 1_000);
      assert.deepEqual(world.files.numbers(note!.path.replace(/\/[^/]*$/, '')), numbers);
      await hear(world, FIRST);
      await hear(world, SECOND);
      assert.equal(reader(world).frozen, 1, 'it rests');
      assert.deepEqual(told(world, 'held')[0]?.aliases, [SECOND]);
      assert.deepEqual(notes(world)[0]!.aliases, [SECOND], 'who asks for that one finds this');
      await world.advance(10_000);
      world.record(program, 1);
      await hear(world, THIRD);
      await world.until('it is copied', () => notes(world).length === 2, 1_000);
      const { root } = world.consumers[0]!.parts;
      const [recorderOfIt] = Object.values(root.getSnapshot().context.freezes);
      await world.ok('session.destroy', { session: 's' });
      await world.rest();
      assert.equal(recorderOfIt?.getSnapshot().status, 'done', 'it waits for no freeze any more');
      assert.deepEqual(Object.keys(root.getSnapshot().context.freezes), []);
    },
  ),

  scenario('what a freeze records for a relay arrives with its note, and with the names it got meanwhile', async (world) => {
    await world.start();
    const relay = new FakeRelay();
    await relay.start(world.connectBus());
    await world.ok('session.create', { name: 's', snapshot: true, destination: { kind: 'relay', url: 'relay:' } });
    await world.ok('event.enable', { session: 's', pattern: 'weft_test:*' });
    await world.ok('session.start', { session: 's' });
    const numbers = world.record(await world.program(), 2);
    await hear(world, FIRST);
    await lifted(world);
    await world.until('it is on its way', () => relay.streams.size > 0, 5_000);
    await hear(world, SECOND);
    assert.equal(relay.operations.length, 0);
    await world.until('it is there', () => relay.operations.length === 2 && world.parcels.size === 0, 30_000);
    const [freeze, close] = relay.operations as [
      Body & { note: { id: string; aliases: string[]; session: string; complete: boolean } },
      Body,
    ];
    assert.equal(freeze.note.complete, true);
    assert.deepEqual([freeze.op, freeze.note.id, freeze.note.aliases, freeze.note.session], ['freeze', FIRST, [SECOND], 's']);
    assert.equal(close.op, 'close');
    assert.deepEqual(
      [...relay.streams.values()].flat().map(({ number }) => number),
      numbers,
    );
    assert.deepEqual(relay.complaints, []);
  }),

  scenario('a trigger with --fleet publishes one message, which this host hears like any other', async (world) => {
    const { program } = await recorder(world);
    const action = { kind: 'snapshot-session', session: 's', output: null, fleet: { postMs: 100 }, rate: EVERY } as const;
    const rule = { pattern: 'weft_test:*', logLevel: null, exclusions: [], filter: null };
    const condition = { kind: 'event-rule-matches', rule, captures: [] } as const;
    await world.ok('trigger.add', { name: 'symptom', condition, actions: [action] });
    const heard: Body[] = [];
    world.connectBus().subscribe('weft.v1.fleet.*.freeze.>', ({ body }) => heard.push(body));
    world.record(program, 1);
    await world.until('it is published', () => heard.length === 1, 1_000);
    assert.equal(heard[0]!.trigger, 'symptom');
    assert.equal(reader(world).frozen, 0, 'it goes on for a while');
    await lifted(world);
    assert.equal(notes(world)[0]!.id, heard[0]!.id);
  }),

  scenario('of two that come together the smaller id wins, whichever is heard first', async (world) => {
    await recorder(world);
    await hear(world, SECOND, { postMs: 50 });
    await hear(world, SECOND, { postMs: 50 });
    await hear(world, THIRD, { postMs: 50 });
    await world.advance(51);
    assert.equal(reader(world).frozen, 1);
    await hear(world, SECOND);
    await hear(world, FIRST);
    await lifted(world);
    assert.deepEqual(
      notes(world).map(({ id, aliases }) => [id, [...aliases].sort()]),
      [[FIRST, [SECOND, THIRD]]],
    );
  }),

  scenario('of two that come together the shorter delay counts, whichever is heard first', async (world) => {
    await recorder(world);
    await hear(world, SECOND, { postMs: 20_000 });
    await world.advance(5);
    await hear(world, FIRST, { postMs: 100 });
    // Longer than what is left.
    await world.advance(60);
    await hear(world, THIRD, { postMs: 90 });
    assert.equal(reader(world).frozen, 0);
    await world.advance(45);
    assert.equal(reader(world).frozen, 1, 'the hosts that heard the other one first stand still now');
    await lifted(world);
    assert.deepEqual(
      notes(world).map(({ id, aliases }) => [id, aliases]),
      [[FIRST, [SECOND, THIRD]]],
    );
    // What is left of the other delays ends none of the next freeze.
    await world.advance(10_000);
    await hear(world, FOURTH, { postMs: 30_000 });
    await world.advance(20_000);
    assert.equal(reader(world).frozen, 1);
    await world.advance(10_001);
    assert.equal(reader(world).frozen, 2);
  }),

  scenario('the shorter delay of an earlier freeze ends none of the next one', async (world) => {
    await recorder(world);
    await hear(world, FIRST, { postMs: 20_000 });
    await hear(world, SECOND, { postMs: 12_000 });
    await hear(world, THIRD, { postMs: 100 });
    await world.until('it is lifted', () => told(world, 'lifted').length === 1, 1_000);
    await world.advance(10_000);
    await hear(world, FOURTH, { postMs: 30_000 });
    await world.advance(20_000);
    assert.equal(reader(world).frozen, 1, 'of the first the second one’s 12 s ended meanwhile');
  }),

  scenario('what is heard while the copy is named or made is another name for it', async (world) => {
    await recorder(world);
    world.faults.plan('disk.write', 200);
    world.faults.plan('reader.snapshot', 200);
    await hear(world, SECOND);
    await world.until('its place is asked for', () => told(world, 'frozen').length === 1, 100);
    await hear(world, SECOND);
    await hear(world, FIRST);
    await hear(world, FOURTH);
    assert.equal(told(world, 'held').length, 1, 'the next ones are told together');
    await world.until('it is copied', () => notes(world).length === 1, 1_000);
    await hear(world, SECOND);
    await hear(world, THIRD);
    assert.equal(told(world, 'held').length, 1);
    await lifted(world);
    await world.advance(1_000);
    assert.deepEqual(
      notes(world).map(({ id, aliases }) => [id, aliases]),
      [[SECOND, [FIRST, FOURTH, THIRD]]],
    );
  }),

  scenario('the first that is heard while the copy is made is noted at once', async (world) => {
    await recorder(world);
    world.faults.plan('reader.snapshot', 2_000);
    await hear(world, FIRST);
    await world.until('its copy is begun', () => notes(world).length === 1, 1_000);
    await hear(world, SECOND);
    assert.deepEqual(notes(world)[0]!.aliases, [SECOND]);
    assert.equal(notes(world)[0]!.complete, false, 'nobody is to take half of it');
    await world.until('its copy has ended', () => notes(world)[0]!.complete, 3_000);
    assert.deepEqual(notes(world)[0]!.aliases, [SECOND]);
    await hear(world, THIRD);
    await world.advance(1_100);
    assert.deepEqual([notes(world)[0]!.aliases, notes(world)[0]!.complete], [[SECOND, THIRD], true]);
  }),

  scenario(
    'a host that tells of one after the other gets some names noted, now and then, and the rest counted',
    async (world) => {
      await recorder(world);
      await hear(world, FIRST);
      await lifted(world);
      const before = world.files.noteWrites;
      const idOf = (n: number) => n.toString(16).padStart(16, '0');
      for (let n = 100; n < 400; n++) await hear(world, idOf(n));
      await world.advance(3_000);
      assert.ok(world.files.noteWrites - before <= 3, `${world.files.noteWrites - before} notes`);
      assert.ok(told(world, 'held').length <= 3);
      const [note] = notes(world) as { aliases: string[]; more?: number }[];
      assert.equal(note!.aliases.length, ALIASES_MAX);
      assert.equal(note!.more, 300 - ALIASES_MAX);
      // What comes at the very end is noted with the end.
      await world.advance(6_500);
      await hear(world, idOf(500));
      assert.equal((notes(world)[0] as { more?: number }).more, 301 - ALIASES_MAX, 'the first for a while');
      await hear(world, idOf(501));
      await world.advance(900);
      assert.equal((notes(world)[0] as { more?: number }).more, 302 - ALIASES_MAX);
    },
  ),

  scenario('of many that come before the copy has a name so many are names, too', async (world) => {
    await recorder(world);
    for (let n = 400; n >= 200; n--) await hear(world, n.toString(16).padStart(16, '0'), { postMs: 1_000 });
    await world.until('it is copied', () => notes(world).length === 1, 3_000);
    assert.equal(notes(world)[0]!.aliases.length, ALIASES_MAX);
  }),

  scenario('a session daemon passes on what its consumer takes from nobody else', async (world) => {
    await recorder(world);
    const { parts } = world.daemon!;
    const freeze = { id: FIRST, atNs: '1', host: 'other', trigger: 't', postMs: 0 };
    await parts.consumer(UID).freeze('f'.repeat(32), freeze);
    await world.advance(1);
    assert.equal(reader(world).frozen, 0, 'there is no such session');
    await parts.consumer(UID).freeze(world.document('s')!.id, freeze);
    await lifted(world);
    assert.equal(notes(world)[0]!.id, FIRST);
  }),

  scenario('a freeze that nobody copies ends after 5 s', async (world) => {
    await recorder(world);
    world.killDaemon();
    await hear(world, FIRST);
    await world.advance(4_900);
    assert.equal(reader(world).frozenMs, 5_000);
    await world.advance(200);
    assert.equal(reader(world).frozenMs, 0);
    assert.equal(told(world, 'expired').length, 1);
    await world.start();
  }),

  scenario(
    'a copy that does not end keeps no ring: the rings end it themselves, the recorder after a minute',
    async (world) => {
      await recorder(world);
      world.faults.plan('reader.snapshot', 'hang');
      await hear(world, FIRST);
      await world.advance(61_000);
      assert.equal(told(world, 'expired').length, 1);
      assert.equal(reader(world).frozenMs, 0);
    },
  ),

  scenario('what is no freeze of a session here, or of its owner, stops nothing', async (world) => {
    await recorder(world);
    await hear(world, FIRST, {}, 'another');
    await hear(world, FIRST, { owner: UID + 1 });
    await hear(world, 'no id');
    await hear(world, FIRST, { postMs: 3_600_000 });
    await world.advance(100);
    assert.equal(reader(world).frozen, 0);
  }),
];
