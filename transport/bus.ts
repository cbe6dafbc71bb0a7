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
  /** Fields of bytes are the listener's until it returns: whoever keeps them copies them. */
  readonly body: Body;
}

export type Reply = { readonly ok: true; readonly body: Body } | { readonly ok: false; readonly fault: Fault };

/** Bytes of somebody who does not speak Weft's messages. */
export type RawAnswer = { readonly ok: true; readonly bytes: Uint8Array } | { readonly ok: false; readonly fault: Fault };

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
  /** Of several that serve this subject under one such name, one gets each request; absent: every one gets it. */
  readonly queue?: string;
  /** Null: somebody else is meant; no answer is sent. */
  handle(message: BusMessage): Promise<Reply | null>;
}

/** How a service shows itself; name is `[A-Za-z0-9_-]+`, version is semantic. */
export interface Service {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  /** Requests that match this pattern and no endpoint are answered with the fault `unsupported`. */
  readonly otherwise?: string;
}

export type BusStatus = 'connected' | 'cut' | 'closed';

/** Questions to many, whose answers come to one inbox. */
export interface Gathering {
  /** False: nothing was sent, as `publish` says. */
  ask(subject: string, body: Body): boolean;
  stop(): void;
}

/** Bytes in some memory, of which `room` before them and, unless that is 0, two behind them may be written over. */
export interface Fragment {
  readonly bytes: Uint8Array;
  readonly room: number;
}

export interface Bus {
  readonly status: BusStatus;
  onStatus(listener: (status: BusStatus) => void): Subscription;
  /**
   * Serve commands. Subjects may hold wildcards (`*`) for REALM and WHO; `BusMessage.subject` is the concrete one. Resolves when
   * requests arrive; throws FaultError (`permission-denied`) when the server refuses a subject.
   */
  serve(service: Service, endpoints: readonly Endpoint[]): Promise<Served>;
  /**
   * Never throws for an expected failure: no responder, cut connection, time-out, refusal by the server and garbled answers are
   * faults (`no-responder`, `bus-cut`, `timeout`, `permission-denied`, `bad-encoding`, `bad-message`).
   */
  request(subject: string, body: Body, timeoutMs: number): Promise<Reply>;
  /** A request as it stands, for services that are not Weft's (JetStream). Faults as of `request`, without those of a body. */
  ask(subject: string, bytes: Uint8Array, timeoutMs: number, headers?: Readonly<Record<string, string>>): Promise<RawAnswer>;
  /** `heard`: each answer as it came, with `v` and `id`; what is no body is dropped. */
  gather(heard: (answer: Body) => void): Gathering;
  /**
   * False: nothing was sent, for the connection is cut or the body is none (codec.ts; over 1 MiB). `encoding`: what strangers are to
   * read is JSON.
   */
  publish(subject: string, body: Body, encoding?: 'msgpack' | 'json'): boolean;
  /** The same with a field of bytes more (codec.ts), whose memory stays untouched until they have arrived. */
  publishAround(subject: string, body: Body, field: string, fragment: Fragment): boolean;
  /** What is no body is dropped. `onRefused`: the server does not allow it. */
  subscribe(subject: string, listener: (message: BusMessage) => void, onRefused?: (fault: Fault) => void): Subscription;
  /** Resolves when the server has taken all that was published and subscribed before; at once while cut. */
  flush(): Promise<void>;
  /** Flushes what was published, then closes. */
  close(): Promise<void>;
}
