/** A host follows what its fleet wants of it: sessions come, change and go, by news or by looking; what was made by hand stays. */
import assert from 'node:assert/strict';
import type { FleetCommand, FleetDocument, FleetSpec } from '../../../machines/fleet-document.ts';
import type { FollowedView } from '../../../transport/fleet-messages.ts';
import { WorldBucket } from '../../support/world/bucket.ts';
import type { World } from '../../support/world/world.ts';
import { type Scenario, scenario } from './scenario.ts';

const CHANGES_MS = 3_000;
const PERIOD_MS = 300_000;
/** Ids of buckets. */
const [A, B] = ['0aaaaaaa-0000-4000-8000-000000000000', '0bbbbbbb-0000-4000-8000-000000000000'];
const createOld: FleetCommand = { name: 'session.create', fields: { name: 'old' } };

/** Session `web`, which records all of `pattern`. */
export const declared = (
  generation: number,
  more: { pattern?: string; selector?: string; deleted?: boolean } = {},
): FleetDocument => ({
  v: 1,
  name: 'web',
  uuid: 'u1',
  generation,
  spec: {
    selector: more.selector ?? 'role=test',
    uid: 1000,
    commands: [
      { name: 'session.create', fields: { name: 'web' } },
      { name: 'event.enable', fields: { session: 'web', pattern: more.pattern ?? 'weft_test:*' } },
      { name: 'session.start', fields: { session: 'web' } },
    ],
  },
  deleted: more.deleted ?? false,
});

/** Generation 1 of it with these commands besides. */
const withCommands = (document: FleetDocument, more: readonly FleetCommand[]): FleetDocument => {
  const [create, ...rest] = document.spec.commands;
  return { ...document, spec: { ...document.spec, commands: [create!, ...more, ...rest] } };
};
const withSpec = (document: FleetDocument, spec: Partial<FleetSpec>): FleetDocument => ({
  ...document,
  spec: { ...document.spec, ...spec },
});
const trigger = (name: string): FleetCommand => ({
  name: 'trigger.add',
  fields: {
    name,
    condition: { kind: 'session-consumed-size-ge', session: 'web', bytes: 1_000 },
    actions: [{ kind: 'notify', rate: { kind: 'every', count: 1 } }],
  },
});
const triggers = async (world: World): Promise<string> =>
  ((await world.ok('trigger.list')) as { triggers: { name: string }[] }).triggers.map(({ name }) => name).join();

const views = async (world: World): Promise<readonly FollowedView[]> =>
  ((await world.ok('fleet.sessions')) as { sessions: FollowedView[] }).sessions;
const stateOf = async (world: World): Promise<string> =>
  (await views(world)).map(({ generation, state }) => `${generation} ${state}`).join();
const patterns = (world: World): readonly string[] | undefined =>
  world.document('web')?.channels.flatMap(({ rules }) => rules.map(({ pattern }) => pattern));

const following = (name: string, tell: (world: World, bucket: WorldBucket) => Promise<void>): Scenario =>
  scenario(name, async (world) => {
    world.fleet = 'fleet';
    await tell(world, new WorldBucket(world.fabric));
  });

export const FLEET_SESSIONS: readonly Scenario[] = [
  following('a host that joins makes what its fleet wants, and follows each change at once', async (world, bucket) => {
    bucket.write(declared(1));
    bucket.put('rubbish', '{"v":9}');
    await world.start();
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '1 following');
    assert.equal(world.document('web')?.active, true);
    bucket.write(declared(2, { pattern: 'other:*' }));
    await world.advance(CHANGES_MS);
    assert.deepEqual(patterns(world), ['other:*']);
    bucket.write(declared(3, { deleted: true }));
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '3 deleted');
    assert.equal(world.document('web'), undefined);
    await world.restart();
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '3 deleted');
  }),

  following('news that are lost are found by looking every few minutes', async (world, bucket) => {
    await world.start();
    await world.advance(CHANGES_MS);
    bucket.tells = false;
    bucket.write(declared(1));
    await world.advance(CHANGES_MS);
    assert.equal(world.document('web'), undefined);
    await world.advance(PERIOD_MS);
    assert.equal(await stateOf(world), '1 following');
  }),

  following('the first session of a fleet: nobody reads the bucket for its id', async (world, bucket) => {
    await world.start();
    await world.advance(CHANGES_MS);
    const { reads } = bucket;
    bucket.identify(A);
    bucket.write(declared(1));
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '1 following');
    assert.equal(bucket.reads, reads);
    const { bucket: read } = (await world.ok('fleet.sessions')) as { bucket: string };
    assert.equal(read, A, 'what the host says it read');
  }),

  following('news put off no look at the bucket', async (world, bucket) => {
    await world.start();
    await world.advance(CHANGES_MS);
    bucket.tells = false;
    bucket.write(declared(1));
    bucket.tells = true;
    const other = { ...declared(1, { selector: 'role=db' }), name: 'db' };
    for (let minute = 1; minute <= 5; minute++) {
      bucket.write({ ...other, generation: minute });
      await world.advance(60_000);
    }
    assert.equal(await stateOf(world), '5 elsewhere,1 following');
  }),

  following('a bucket that was put back to an older state changes nothing, also after a death', async (world, bucket) => {
    await world.start();
    bucket.write(declared(1));
    const putBack = bucket.copy();
    bucket.write(declared(2, { pattern: 'other:*' }));
    await world.advance(CHANGES_MS);
    putBack();
    await world.advance(PERIOD_MS);
    await world.restart();
    await world.advance(PERIOD_MS);
    assert.equal(await stateOf(world), '2 following');
    assert.deepEqual(patterns(world), ['other:*']);
  }),

  following('a host that comes from another fleet ends what that wanted, and follows the new one', async (world, bucket) => {
    bucket.identify(A);
    bucket.write(declared(7));
    bucket.write({ ...declared(2), name: 'old', spec: { ...declared(2).spec, commands: [createOld] } });
    await world.start();
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '7 following,2 following');
    const { id } = world.document('web')!;
    const ofA = bucket.copy();
    bucket.clear();
    bucket.identify(B);
    bucket.write(declared(1));
    await world.restart();
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '1 following');
    assert.notEqual(world.document('web')?.id, id, 'what A recorded is a trace of its own');
    assert.equal(world.document('old'), undefined);
    const ended = world.published('session', 'fleet-changed').map(({ body: { output, of, now } }) => [typeof output, of, now]);
    assert.deepEqual(ended, [
      ['string', A, B],
      ['string', A, B],
    ]);

    // A bucket without an id is taken for the one that is known.
    bucket.clear();
    await world.advance(PERIOD_MS);
    assert.equal(await stateOf(world), '1 following');
    // Back, without a death in between.
    ofA();
    await world.advance(PERIOD_MS);
    assert.equal(await stateOf(world), '7 following,2 following');
  }),

  following('what another fleet wanted and is refused its end is tried again', async (world, bucket) => {
    bucket.identify(A);
    bucket.write(declared(7));
    await world.start();
    await world.advance(CHANGES_MS);
    bucket.clear();
    world.faults.plan('disk.write', 'fail', { times: 1 });
    bucket.identify(B);
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '7 failed');
    await world.advance(25_000);
    assert.equal(await stateOf(world), '');
    assert.equal(world.document('web'), undefined);
  }),

  following('a session of that name made by hand is not touched, and made once it is gone', async (world, bucket) => {
    await world.start();
    await world.ok('session.create', { name: 'web', output: '/out/mine' });
    bucket.write(declared(1));
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '1 conflict');
    bucket.write(declared(2, { deleted: true }));
    await world.advance(CHANGES_MS);
    assert.equal(world.document('web')?.output.kind, 'local');
    bucket.write(declared(3));
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '3 conflict');
    await world.ok('session.destroy', { session: 'web' });
    await world.advance(PERIOD_MS);
    assert.equal(await stateOf(world), '3 following');
  }),

  following(
    'what somebody changes or destroys by hand is shown as drift; what is gone is made again',
    async (world, bucket) => {
      await world.start();
      bucket.write(declared(1));
      await world.advance(CHANGES_MS);
      await world.ok('session.stop', { session: 'web' });
      assert.equal(await stateOf(world), '1 drifted');
      await world.ok('session.destroy', { session: 'web' });
      assert.equal(await stateOf(world), '1 drifted');
      await world.advance(PERIOD_MS);
      assert.equal(await stateOf(world), '1 following');
    },
  ),

  following('other hosts are meant, or what cannot be made is wanted', async (world, bucket) => {
    await world.start();
    bucket.write(declared(1, { selector: 'role=db' }));
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '1 elsewhere');
    bucket.write(declared(2, { pattern: '' }));
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '2 failed');
    assert.match((await views(world))[0]?.cause ?? '', /rule-invalid/);
    assert.equal(world.document('web'), undefined, 'nothing half-made stays');
    bucket.write(declared(3));
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '3 following');
  }),

  following('a bucket that hangs is given up and read later', async (world, bucket) => {
    bucket.answers = false;
    bucket.write(declared(1));
    world.faults.plan('bus.ask', 'hang', { times: 1 });
    await world.start();
    await world.advance(25_000);
    bucket.answers = true;
    await world.advance(25_000);
    assert.equal(await stateOf(world), '1 following');
  }),

  following('news that come while it is at work are not lost', async (world, bucket) => {
    await world.start();
    await world.advance(CHANGES_MS);
    const before = bucket.reads;
    for (const generation of [1, 2, 3]) bucket.write(declared(generation));
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '3 following');
    assert.equal(bucket.reads, before, 'what news tell needs not be asked for');
    bucket.put('rubbish', '{"v":9}');
    await world.advance(CHANGES_MS);
    assert.equal(bucket.reads, before + 1, 'what they do not tell does');
    bucket.put('others', JSON.stringify({ ...declared(1), name: 'others', spec: { ...declared(1).spec, uid: 2_000 } }));
    await world.advance(CHANGES_MS);
    assert.equal(bucket.reads, before + 1, 'nor what is meant for another user');
    world.faults.plan('disk.writeFleetSessions', 'hang', { times: 1, after: 1 });
    bucket.write(declared(4));
    await world.advance(CHANGES_MS);
    bucket.write(declared(5));
    await world.advance(200_000);
    assert.equal(await stateOf(world), '5 following');
  }),

  following('a disk that does not take it: it goes on later, and at once when there are news', async (world, bucket) => {
    await world.start();
    await world.advance(CHANGES_MS);
    world.faults.plan('disk.writeFleetSessions', 'fail', { after: 1, times: 1 });
    bucket.write(declared(1));
    await world.advance(CHANGES_MS);
    assert.equal(world.document('web'), undefined);
    bucket.write(declared(2));
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '2 following');
    world.faults.plan('disk.writeFleetSessions', 'fail', { after: 1, times: 1 });
    bucket.write(declared(3, { pattern: 'other:*' }));
    await world.advance(CHANGES_MS);
    assert.deepEqual(patterns(world), ['weft_test:*']);
    await world.advance(20_000);
    assert.equal(await stateOf(world), '3 following');
  }),

  following('a name that objects of the language have is a name like others', async (world, bucket) => {
    await world.start();
    const names = ['constructor', 'toString', '__proto__'];
    for (const name of names) {
      const commands = [{ name: 'session.create', fields: { name } }];
      bucket.write(withSpec({ ...declared(1), name }, { commands }));
    }
    await world.restart();
    await world.advance(CHANGES_MS);
    assert.deepEqual((await views(world)).map(({ name, state }) => `${name} ${state}`).sort(), [
      '__proto__ following',
      'constructor following',
      'toString following',
    ]);
    await world.restart();
    for (const name of names) bucket.write({ ...declared(2, { deleted: true }), name });
    await world.advance(CHANGES_MS);
    for (const name of names) assert.equal(world.document(name), undefined);
  }),

  following(
    'a session that is refused its end stays the fleet’s own: it is tried again, and a deletion reaches it',
    async (world, bucket) => {
      await world.start();
      bucket.write(withCommands(declared(1), [trigger('first')]));
      await world.advance(CHANGES_MS);
      world.faults.plan('disk.write', 'fail', { times: 1 });
      bucket.write(withCommands(declared(2, { pattern: 'other:*' }), [trigger('second')]));
      await world.advance(CHANGES_MS);
      assert.equal(await stateOf(world), '2 failed');
      assert.match((await views(world))[0]?.cause ?? '', /internal/);
      assert.deepEqual(patterns(world), ['weft_test:*']);
      await world.advance(25_000);
      assert.equal(await stateOf(world), '2 following');
      assert.deepEqual(patterns(world), ['other:*']);
      assert.equal(await triggers(world), 'second', 'those of the former generation went with it');

      world.faults.plan('disk.write', 'fail', { times: 1 });
      bucket.write(declared(3, { deleted: true }));
      await world.advance(CHANGES_MS);
      assert.equal(await stateOf(world), '3 failed');
      await world.restart();
      await world.advance(25_000);
      assert.equal(await stateOf(world), '3 deleted');
      assert.equal(world.document('web'), undefined);
      assert.equal(await triggers(world), '');
    },
  ),

  following('what fails half-made and cannot be taken away is taken away later', async (world, bucket) => {
    await world.start();
    await world.advance(CHANGES_MS);
    world.faults.plan('disk.removeTrigger', 'fail');
    world.faults.plan('disk.write', 'fail', { after: 1, times: 2 });
    bucket.write(withCommands(declared(1), [trigger('first')]));
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '1 failed');
    assert.notEqual(world.document('web'), undefined);
    await world.advance(25_000);
    assert.equal(await stateOf(world), '1 following');
  }),

  following('a trigger of that name made by hand is not touched', async (world, bucket) => {
    await world.start();
    await world.ok('trigger.add', trigger('mine').fields);
    bucket.write(withCommands(declared(1), [trigger('its'), trigger('mine')]));
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '1 failed');
    assert.equal(await triggers(world), 'mine');
    assert.equal(world.document('web'), undefined);
  }),

  following('of two declarations of one generation all hosts make the same', async (world, bucket) => {
    await world.start();
    const both = [declared(1), declared(1, { pattern: 'other:*' })];
    const [lower, higher] = both.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    bucket.write(lower!);
    await world.advance(CHANGES_MS);
    bucket.write(higher!);
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '1 following');
    assert.deepEqual(patterns(world), [higher?.spec.commands[1]?.fields.pattern]);
    bucket.write(lower!);
    await world.advance(PERIOD_MS);
    assert.deepEqual(patterns(world), [higher?.spec.commands[1]?.fields.pattern]);
  }),

  following('what is given to daemons of another user ends here', async (world, bucket) => {
    await world.start();
    bucket.write(declared(1));
    await world.advance(CHANGES_MS);
    bucket.write(withSpec(declared(2), { uid: 2_000 }));
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '2 deleted');
    assert.equal(world.document('web'), undefined);
    bucket.write(declared(3));
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '3 following');
  }),

  following('what an earlier version kept is followed on', async (world, bucket) => {
    await world.start();
    bucket.write(withCommands(declared(1), [trigger('first')]));
    await world.advance(CHANGES_MS);
    const { id } = world.document('web')!;
    const { made: _, triggers: __, ...kept } = world.fleetSessions.web!;
    world.fleetSessions = { web: kept } as unknown as typeof world.fleetSessions;
    await world.restart();
    await world.advance(CHANGES_MS);
    assert.equal(await stateOf(world), '1 following');
    assert.equal(world.document('web')?.id, id, 'it is not made anew');
    bucket.write(declared(2, { deleted: true }));
    await world.advance(CHANGES_MS);
    assert.equal(await triggers(world), '');
  }),

  following('what takes long to be made is not taken for the rest of a death', async (world, bucket) => {
    await world.start();
    await world.advance(CHANGES_MS);
    const channels = Array.from({ length: 40 }, (_, index) => ({
      name: 'channel.enable',
      fields: { session: 'web', name: `channel${index}` },
    }));
    world.faults.plan('disk.write', 4_000, { times: 100 });
    bucket.write(withCommands(declared(1), channels));
    await world.advance(100_000);
    const { id } = world.document('web')!;
    bucket.write({ ...declared(1, { selector: 'role=db' }), name: 'db' });
    await world.advance(50_000);
    assert.equal(await stateOf(world), '1 waiting,1 waiting', 'what is wanted meanwhile is known');
    await world.advance(50_000);
    world.faults.clear();
    await world.advance(30_000);
    assert.equal(await stateOf(world), '1 following,1 elsewhere');
    assert.equal(world.document('web')?.id, id);
  }),
];
