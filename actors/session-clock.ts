/** What is known now of this host's clocks, as a session's metadata states it. */
import type { ClockDescription } from '../machines/document.ts';
import type { DaemonParts } from './daemon-parts.ts';

export const clockOf = ({ ports: { host }, fleetClock }: Pick<DaemonParts, 'ports' | 'fleetClock'>): ClockDescription => {
  const own = { uuid: host.bootId, offsetNs: host.clockOffsetNs().toString() };
  const { reference, offsetNs, uncertaintyNs } = fleetClock();
  if (reference === null || uncertaintyNs === null) return own;
  return {
    ...own,
    fleet: { reference, offsetNs: String(Math.round(offsetNs)), uncertaintyNs: String(Math.ceil(uncertaintyNs)) },
  };
};
