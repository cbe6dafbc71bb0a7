/**
 * The bus as the rest of Weft sees it. Two implementations under one contract test: `memory-bus.ts` (unit tests, simulation)
 * and `nats-bus.ts`. Bodies are plain maps; encoding and limits are the implementation's business (codec.ts).
 */
export type Body = Readonly<Record<string, unknown>>;

/** An expected failure, as it travels: stable code, sentence, way out. See errors.ts for the table of codes. */
export interface Fault {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

export interface BusMessage {
  readonly subject: string;
  readonly body: Body;
}

export type Reply = { readonly ok: true; readonly body: Body } | { readonly ok: false; readonly fault: Fault };

export interface Served {
  stop(): Promise<void>;
}

export interface Subscription {
  stop(): void;
}

/** One command of a service: published to the NATS services framework as endpoint `name` with its JSON schema as metadata. */
export interface Endpoint {
  readonly name: string;
  readonly subject: string;
  readonly schema: Body;
  handle(message: BusMessage): Promise<Reply>;
}

export type BusStatus = 'connected' | 'cut' | 'closed';

export interface Bus {
  readonly status: BusStatus;
  onStatus(listener: (status: BusStatus) => void): Subscription;
  /** Serve commands. Subjects may hold wildcards (`*`) for REALM and WHO; `BusMessage.subject` is the concrete one. */
  serve(
    service: { readonly name: string; readonly version: string; readonly description: string },
    endpoints: readonly Endpoint[],
  ): Promise<Served>;
  /** Never throws for an expected failure: no responder, cut connection and time-out are faults (`no-responder`, `bus-cut`, `timeout`). */
  request(subject: string, body: Body, timeoutMs: number): Promise<Reply>;
  /** False (nothing sent) while the connection is cut. */
  publish(subject: string, body: Body): boolean;
  subscribe(subject: string, listener: (message: BusMessage) => void): Subscription;
  /** Flushes what was published, then closes. */
  close(): Promise<void>;
}
