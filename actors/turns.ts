/** Commands of one session, or of one trigger, wait for each other; questions do not. */
import type { Reply } from '../transport/bus.ts';
import type { DaemonParts } from './daemon-parts.ts';

const turns = new WeakMap<DaemonParts, Map<string, Promise<unknown>>>();

/** `id`: of the session or of the trigger. */
export const inTurn = (parts: DaemonParts, id: string, work: () => Promise<Reply>): Promise<Reply> => {
  const queues = turns.get(parts) ?? new Map<string, Promise<unknown>>();
  turns.set(parts, queues);
  const turn = (queues.get(id) ?? Promise.resolve()).then(work, work);
  queues.set(id, turn);
  void turn.finally(() => queues.get(id) === turn && queues.delete(id));
  return turn;
};
