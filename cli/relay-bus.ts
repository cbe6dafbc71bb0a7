/** How a relay gets to its bus: with a key from the session daemon of its user, or on a server of the operator. */
import { homedir } from 'node:os';
import { connectAccess, connectExternal, parseAccess, renewAccess } from '../transport/access.ts';
import type { Body, Bus } from '../transport/bus.ts';
import { FaultError } from '../transport/errors.ts';
import { type External, type Homes, relayOfContext } from '../transport/nats-context.ts';
import { Daemon } from './connect.ts';

const JOIN_MS = 20_000;
const NAME = 'weft-relayd';

export interface RelayBus {
  readonly bus: Bus;
  renew(): Promise<void>;
}

const homes = (): Homes => ({ home: homedir(), configHome: process.env.XDG_CONFIG_HOME });

const grant = async (relay: string, group: string, start: boolean) => {
  const daemon = await Daemon.connect({ env: process.env, group, start });
  try {
    const parsed = parseAccess((await daemon.request('relay.join', { relay })).access as Body);
    if (!parsed.ok) throw new FaultError(parsed.fault);
    return parsed.value;
  } finally {
    await daemon.close();
  }
};

export const joinOwnBus = async (relay: string, group: string): Promise<RelayBus> => {
  const bus = await connectAccess(await grant(relay, group, true), { name: NAME, waitMs: JOIN_MS }, homes());
  return { bus, renew: async () => renewAccess(bus, await grant(relay, group, false)) };
};

/** A relay of a fleet is the one that its key is for. Null: the bus is not a fleet's, the relay names itself. */
export const nameOnBus = (external: External | null): string | null =>
  external && 'context' in external ? relayOfContext(external.context, homes()) : null;

export const joinExternalBus = async (external: External): Promise<RelayBus> => ({
  bus: await connectExternal(external, { name: NAME, waitMs: JOIN_MS }, homes()),
  renew: async () => {},
});
