/** A story about the whole system, told to the in-memory world. It ends by itself or throws what went wrong. */
import assert from 'node:assert/strict';
import type { World } from '../../support/world/world.ts';

export interface Scenario {
  readonly name: string;
  run(world: World): Promise<void>;
}

export const scenario = (name: string, run: (world: World) => Promise<void>): Scenario => ({ name, run });

export const OUT = '/out/s';

/** A daemon with session `s` that records all of weft_test into channel0. */
export const session = async (world: World, channel: Record<string, unknown> | null = null): Promise<void> => {
  await world.start();
  await world.ok('session.create', { name: 's', output: OUT });
  if (channel) await world.ok('channel.enable', { session: 's', name: 'channel0', attributes: channel });
  await world.ok('event.enable', { session: 's', pattern: 'weft_test:*' });
};

/** The same, started, with a program that records. */
export const recording = async (world: World, channel: Record<string, unknown> | null = null) => {
  await session(world, channel);
  await world.ok('session.start', { session: 's' });
  return world.program();
};

/** The trace holds exactly these, in this order, and nothing that cannot be read. */
export const holds = (world: World, numbers: readonly number[], output = OUT): void => {
  assert.deepEqual(world.files.numbers(output), numbers);
  assert.deepEqual(world.files.unreadable, [], 'events were written before the metadata knew them');
};

export const life = (world: World, name = 's'): string => {
  const ref = Object.values(world.daemon!.root.getSnapshot().context.sessions).find(
    (one) => one.getSnapshot().context.name === name,
  );
  return ref
    ? JSON.stringify((ref.getSnapshot().value as { life: unknown }).life)
        .replaceAll(/[{}"]/g, '')
        .replaceAll(':', '.')
    : 'none';
};

/** How much time of the world something takes. */
export const took = async (world: World, work: () => Promise<unknown>): Promise<number> => {
  const begin = world.clock.now();
  await work();
  return world.clock.now() - begin;
};
