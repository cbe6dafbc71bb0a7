/** The Bus on NATS: with the key that a daemon minted (access.ts), or as the operator configured an external server. */
import type { Fault } from './bus.ts';
import { FaultError } from './errors.ts';
import { connectNatsWire, type NatsOptions, type NatsWire } from './nats-wire.ts';
import { signChallenge } from './nkey-signature.ts';
import { WireBus, type WireBusOptions } from './wire-bus.ts';

export interface Credentials {
  readonly jwt: string;
  readonly seed: string;
}

export interface NatsBusOptions extends WireBusOptions {
  /** Shown by the server's tools. */
  readonly name: string;
  /** The server does not allow what was published or subscribed, and nobody waits for that word. */
  readonly onRefused?: (fault: Fault) => void;
  /** Go on trying to connect for so long, while the bus is being started; 0: one attempt. */
  readonly waitMs?: number;
}

export interface OwnServer {
  readonly urls: readonly string[];
  /** PEM; the server's certificate must be this one, or signed by it. Null: TLS as the URL says, with the system's authorities. */
  readonly ca: string | null;
  readonly inboxPrefix: string;
}

const RETRY_PAUSE_MS = 50;

const connectPatiently = async (options: NatsOptions, onRefused: ((fault: Fault) => void) | undefined, waitMs: number) => {
  const deadline = performance.now() + waitMs;
  for (;;) {
    try {
      return await connectNatsWire(options, onRefused);
    } catch (thrown) {
      const again = thrown instanceof FaultError && thrown.fault.code === 'bus-unavailable';
      if (!again || performance.now() + RETRY_PAUSE_MS > deadline) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
    }
  }
};

export class NatsBus extends WireBus {
  readonly #keep: (server: OwnServer, credentials: Credentials) => void;

  private constructor(wire: NatsWire, options: NatsBusOptions, keep: (server: OwnServer, credentials: Credentials) => void) {
    super(wire, options);
    this.#keep = keep;
  }

  /** Throws FaultError: `bus-unavailable`, `permission-denied`. */
  static async connect(server: OwnServer, credentials: Credentials, options: NatsBusOptions): Promise<NatsBus> {
    // Read anew at each attempt to connect: keys expire, and a certificate may be made anew.
    let current = credentials;
    let { inboxPrefix } = server;
    let wire: NatsWire | null = null;
    const tls = server.ca === null ? undefined : { ca: server.ca };
    const natsOptions: NatsOptions = {
      servers: [...server.urls],
      name: options.name,
      inboxPrefix,
      authenticator: (nonce?: string) => {
        wire?.moveInboxes(inboxPrefix);
        return { jwt: current.jwt, nkey: '', sig: nonce ? signChallenge(current.seed, nonce) : '' };
      },
      ...(tls && { tls }),
    };
    const connected = await connectPatiently(natsOptions, options.onRefused, options.waitMs ?? 0);
    wire = connected;
    return new NatsBus(connected, options, (next, renewed) => {
      current = renewed;
      inboxPrefix = next.inboxPrefix;
      if (tls && next.ca !== null) tls.ca = next.ca;
      connected.setServers(next.urls);
    });
  }

  /** On a server that is not ours. */
  static async connectExternal(natsOptions: NatsOptions, options: NatsBusOptions): Promise<NatsBus> {
    const named = { ...natsOptions, name: options.name };
    const wire = await connectPatiently(named, options.onRefused, options.waitMs ?? 0);
    return new NatsBus(wire, options, (next) => wire.setServers(next.urls));
  }

  /** New key, with the inboxes that it allows, port or certificate, for the next time that the connection is made. */
  renew(server: OwnServer, credentials: Credentials): void {
    this.#keep(server, credentials);
  }
}
