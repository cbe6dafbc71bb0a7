/** A session that is started again. */
import assert from 'node:assert/strict';
import { ask } from './fleet.ts';
import { life, type Scenario, scenario, session } from './scenario.ts';

export const RESTARTS: readonly Scenario[] = [
  scenario(
    'what was started before and nobody touched since is prepared at once, and started with one write',
    async (world) => {
      world.fleet = 'fleet';
      let arranged = 0;
      world.inspectors.push(({ type, ...of }) => {
        if (type !== '@xstate.event' || !('event' in of)) return;
        if (/^xstate\.done\.actor\.(arrangeStart|prepareStart)$/.test(of.event.type)) arranged++;
      });
      await session(world);
      const program = await world.program();
      const again = async (operation: string): Promise<number> => {
        await world.ok('session.stop', { session: 's' });
        const before = arranged;
        const words = { operation, session: 's' };
        assert.equal((await ask(world, 'session.start', { ...words, phase: 'prepare' })).code, undefined);
        assert.equal(life(world), 'inactive');
        const { write } = world.disk;
        const written: boolean[] = [];
        world.disk.write = (document) => {
          written.push(document.active);
          return write(document);
        };
        assert.equal((await ask(world, 'session.start', { ...words, phase: 'commit' })).code, undefined);
        world.disk.write = write;
        assert.equal(world.record(program, 1).length, 1);
        assert.deepEqual(written, [true]);
        return arranged - before;
      };
      await world.ok('session.start', { session: 's' });
      assert.equal(arranged, 1);
      assert.equal(await again('o1'), 0);
      await world.ok('session.stop', { session: 's' });
      await world.ok('session.start', { session: 's' });
      assert.equal(arranged, 1, 'nor does a start of its own need it');
      await world.ok('session.stop', { session: 's' });
      await world.ok('session.clear', { session: 's' });
      await world.ok('session.start', { session: 's' });
      assert.equal(arranged, 2, 'what was emptied gets a chunk again');
      world.killConsumer();
      assert.equal(await again('o2'), 1, 'the consumer that came anew knows nothing of it');
    },
  ),
];
