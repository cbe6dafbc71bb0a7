/** What must hold when a history has come to rest, whatever happened in it. Each check throws what it found. */
import assert from 'node:assert/strict';
import type { SessionDocument } from '../../machines/document.ts';
import { life } from '../model/scenarios/scenario.ts';
import type { History } from './history.ts';

const documents = ({ world }: History): SessionDocument[] =>
  [...world.documents.values()].map((text) => JSON.parse(text) as SessionDocument);

/** Nothing threw where nobody catches. */
const nobodyCrashed = ({ world }: History): void => assert.deepEqual(world.crashes, []);

/** Every session stands where its document says, and that is what its last answered command asked for. */
const sessionsStand = (history: History): void => {
  const names = documents(history).map(({ name }) => name);
  for (const [name, wanted] of history.active) {
    if (wanted !== null) assert.ok(names.includes(name), `${name} is gone, and nobody destroyed it`);
  }
  // An answer that the disk did not take stays an operation to finish, until the next command or daemon does.
  const unkept = history.world.logged('its answer was not kept');
  for (const { name, active, operation } of documents(history)) {
    if (!unkept) assert.equal(operation, null, `${name} has an operation under way: ${JSON.stringify(operation)}`);
    assert.equal(life(history.world, name), active ? 'active' : 'inactive', `${name} is not where its document says`);
    const wanted = history.active.get(name);
    if (wanted !== null && wanted !== undefined) assert.equal(active, wanted, `${name}: not what was answered`);
  }
};

const recordsOf = ({ active, channels }: SessionDocument): boolean =>
  active && channels.some((channel) => channel.enabled && channel.rules.some(({ enabled }) => enabled));

/** A program's event goes into one ring of every session that records it, and of no other. */
const programsObey = (history: History): void => {
  const wanted = documents(history).filter(recordsOf).length;
  for (const program of history.programs) {
    assert.ok(program.synced > 0, `program ${program.pid} is not synchronised`);
    const rings = program.record(history.world.nextNumber());
    assert.equal(rings, wanted, `an event of program ${program.pid} went into ${rings} rings, wanted are ${wanted}`);
  }
};

/** In order, nothing twice, and every record after the metadata that describes it. */
const tracesAreWhole = ({ world }: History): void => {
  assert.deepEqual(world.files.unreadable, [], 'events were written before the metadata knew them');
  for (const [path, events] of world.files.streams) {
    const numbers = events.map(({ number }) => number);
    assert.deepEqual(
      numbers,
      [...new Set(numbers)].sort((a, b) => a - b),
      `${path}: out of order, or twice`,
    );
  }
};

const countsOf = (lists: Iterable<readonly { readonly number: number }[]>): Map<number, number> => {
  const counts = new Map<number, number>();
  for (const list of lists) for (const { number } of list) counts.set(number, (counts.get(number) ?? 0) + 1);
  return counts;
};

/** What must be in the files when all is done: all of the rings that a session still had, and what a destroyed one had when asked. */
const promises = (history: History): number[] => {
  const sets = documents(history).flatMap(({ registries }) => registries.flatMap(({ ringSets }) => ringSets));
  const kept = new Set(sets.map(({ ringId }) => ringId));
  return history.world.memories.flatMap(({ ringId, events }) =>
    events.map(({ number }) => number).filter((number) => kept.has(ringId) || number <= history.excused),
  );
};

/** What was committed to a ring is in a file, and not more often than it was committed. */
const nothingIsLost = (history: History, promised: readonly number[]): void => {
  const { world } = history;
  const written = countsOf(world.files.streams.values());
  const committed = countsOf(world.memories.map(({ events }) => events));
  for (const [number, count] of written) {
    assert.ok(count <= (committed.get(number) ?? 0), `event ${number} was written ${count} times`);
  }
  if (history.memoryGone || history.doubtful) return;
  for (const number of promised) assert.ok(written.has(number), `event ${number} is in no file`);
};

/** With everything destroyed nobody holds a ring's memory. */
const nothingLeaks = (history: History): void => {
  const held = history.world.kernel.objects().filter((object) => history.world.memories.includes(object as never));
  assert.equal(held.length, 0, `${held.length} fds of ring memory are still open`);
};

/** Brings the history to rest and checks. */
export const check = async (history: History): Promise<void> => {
  await history.calm();
  nobodyCrashed(history);
  sessionsStand(history);
  programsObey(history);
  for (const { name } of documents(history)) await history.ask('session.stop', { session: name });
  const promised = promises(history);
  for (const { name } of documents(history)) {
    const reply = await history.ask('session.destroy', { session: name });
    assert.ok(reply?.ok, `${name} cannot be destroyed: ${JSON.stringify(reply)}`);
  }
  await history.world.advance(1_000);
  assert.deepEqual([...history.world.documents.keys()], []);
  tracesAreWhole(history);
  nothingIsLost(history, promised);
  // The world has no table of fds per process: those of a killed one stay open.
  if (!history.killed && !history.world.logged('a consumer was lost')) nothingLeaks(history);
  nobodyCrashed(history);
};
