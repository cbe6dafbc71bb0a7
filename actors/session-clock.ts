/** What is known now of this host's clocks, as a session's metadata states it. */
import type { ClockDescription } from '../machines/document.ts';
import { lacksReference } from '../machines/session-clock.ts';
import type { DaemonParts } from './daemon-parts.ts';

export const clockOf = ({ ports: { host }, fleetClock }: Pick<DaemonParts, 'ports' | 'fleetClock'>): ClockDescription => {
  const own = { uuid: host.bootId, offsetNs: host.clockOffsetNs().toString(), atNs: host.monotonicNs().toString() };
  const { reference, offsetNs, uncertaintyNs } = fleetClock();
  if (reference === null || uncertaintyNs === null) return own;
  return {
    ...own,
    fleet: { reference, offsetNs: String(Math.round(offsetNs)), uncertaintyNs: String(Math.ceil(uncertaintyNs)) },
  };
};

/** A session that is busy does not hear it; it is told again. */
export const renewClocks = (parts: DaemonParts): void => {
  const clock = clockOf(parts);
  for (const document of parts.documents.all()) {
    if (!lacksReference(document, clock)) continue;
    const edit = { kind: 'metadata.regenerate', clock } as const;
    parts.session(document.id)?.send({ type: 'EditRequested', requestId: parts.ports.ids.hex(16), edit });
  }
};
