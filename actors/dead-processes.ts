/**
 * Processes that are gone: what they recorded into rings of their own is written out, their counters end, locks that they held are
 * freed. That a connection ended says nothing: its process may record on, and come back. What counts is whether the program that
 * was there still executes.
 */
import type { Application } from './application-table.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { endDeadGroups } from './map-processes.ts';
import { scopeKey } from './scopes.ts';

/** More connections than a process makes while one thread of it is inside a lock. */
const IDS_MAX = 64;
/** For those whose pid this daemon cannot see: in another pid namespace. */
const RETURN_MS = 10_000;

/** A process whose connection ended, and the ids under which it may hold locks. */
interface Absent {
  readonly image: string;
  readonly ids: Set<number>;
}

export class AbsentProcesses {
  readonly #absent = new Map<number, Absent>();

  /** Its connection ended, and it executes on. */
  note(pid: number, image: string, id: number): void {
    const known = this.#absent.get(pid);
    const entry = known?.image === image ? known : { image, ids: new Set<number>() };
    if (entry.ids.size < IDS_MAX) entry.ids.add(id);
    this.#absent.set(pid, entry);
  }

  imageOf(pid: number): string | undefined {
    return this.#absent.get(pid)?.image;
  }

  /** Ids of those that are not what `imageNow` says, each once. */
  take(pid: number | null, imageNow: (pid: number) => string | null): readonly number[] {
    const taken: number[] = [];
    for (const [one, { image, ids }] of this.#absent) {
      if (pid !== null && pid !== one) continue;
      const now = imageNow(one);
      if (now === image) continue;
      taken.push(...ids);
      ids.clear();
      // Of one that exec() replaced it is still known which program is gone.
      if (now === null) this.#absent.delete(one);
    }
    return taken;
  }
}

const isGone = (parts: DaemonParts, pid: number): boolean => {
  const { host, clock } = parts.ports;
  if (pid <= 0) return clock.now() >= parts.openedAtMs + RETURN_MS;
  const image = host.image(pid);
  const before = parts.absent.imageOf(pid);
  if (image === null || (before !== undefined && before !== image)) return true;
  // Of a former daemon's: another program that registers is in its place, for exec() keeps the pid.
  return before === undefined && parts.applications.registered().some(({ identity }) => identity?.pid === pid);
};

const endScopes = (parts: DaemonParts, pid: number | null): void => {
  for (const { id, registries } of parts.documents.all()) {
    for (const { scope, ringSets } of registries) {
      if (scope.kind !== 'process' || ringSets.length === 0 || (pid !== null && scope.pid !== pid)) continue;
      if (parts.applications.in(scope).length > 0 || !isGone(parts, scope.pid)) continue;
      const session = parts.session(id);
      session?.send({ type: 'ScopeSeen', scopeKey: scopeKey(scope), scope });
      session?.getSnapshot().context.registries[scopeKey(scope)]?.send({ type: 'ScopeEnded' });
    }
  }
};

/** Of `pid` alone unless it is null. */
export const endDeadProcesses = (parts: DaemonParts, pid: number | null): void => {
  void endDeadGroups(parts, pid, (one) => isGone(parts, one));
  endScopes(parts, pid);
  for (const id of parts.absent.take(pid, parts.ports.host.image)) parts.rings.releaseLocks(id);
};

/** Its connection ended. */
export const processLeft = (parts: DaemonParts, { id, identity, image }: Application): void => {
  const { pid } = identity!;
  if (image !== null && parts.ports.host.image(pid) === image) parts.absent.note(pid, image, id);
  else parts.rings.releaseLocks(id);
  endDeadProcesses(parts, pid);
};
