/** Work on one session, one trigger, or the counters' memory waits for each other; questions do not. */
import type { DaemonParts } from './daemon-parts.ts';

const turns = new WeakMap<DaemonParts, Map<string, Promise<unknown>>>();

/** `id`: of the session or of the trigger, or what else names that which only one may change at a time. */
export const inTurn = <T>(parts: DaemonParts, id: string, work: () => Promise<T>): Promise<T> => {
  const queues = turns.get(parts) ?? new Map<string, Promise<unknown>>();
  turns.set(parts, queues);
  const turn = (queues.get(id) ?? Promise.resolve()).then(work, work);
  queues.set(id, turn);
  const leave = (): void => {
    if (queues.get(id) === turn) queues.delete(id);
  };
  void turn.then(leave, leave);
  return turn;
};
