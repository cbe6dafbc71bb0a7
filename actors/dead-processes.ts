/**
 * Processes that are gone: what they recorded into rings of their own is written out, their counters end, locks that they held are
 * freed. That a connection ended says nothing: its process may record on, and come back. What counts is whether it lives.
 */
import type { DaemonParts } from './daemon-parts.ts';
import { endDeadGroups } from './map-processes.ts';
import { scopeKey } from './scopes.ts';

const freeLocks = (parts: DaemonParts): void => {
  for (const [application, pid] of parts.applications.absent) {
    if (parts.ports.host.lives(pid)) continue;
    parts.applications.absent.delete(application);
    parts.rings.releaseLocks(application);
  }
};

/** Another program may be in its place: exec() keeps the pid. One that is not instrumented has it until it ends. */
const isGone = (parts: DaemonParts, pid: number): boolean =>
  !parts.ports.host.lives(pid) || parts.applications.registered().some(({ identity }) => identity?.pid === pid);

/** Of `pid` alone unless it is null. */
export const endDeadProcesses = (parts: DaemonParts, pid: number | null): void => {
  freeLocks(parts);
  void endDeadGroups(parts, pid);
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
