/** How commands say where a chunk of a trace lies. */
import type { RelayPlace } from '../../transport/messages.ts';

/** One that answers at two ports of its own says where they are; ours is found on the bus. */
const relayText = ({ name, host, controlPort, dataPort }: RelayPlace, location: string): string =>
  controlPort === dataPort
    ? `on relay ${name} at ${location}`
    : `on relay tcp://${host}/${location.replace(/^\/+/, '')} [control port ${controlPort}, data port ${dataPort}]`;

export const archivedLine = (session: string, location: string, relay: RelayPlace | null = null): string =>
  `Trace chunk archive for session ${session} is now readable ${relay ? relayText(relay, location) : `at ${location}`}`;
