/**
 * NATS below a Bus. The client reconnects for ever by itself and would send later what is published meanwhile; here nothing is sent
 * while the connection is cut, and whoever waits for an answer learns of the cut at once.
 */
import {
  type ConnectionOptions,
  createInbox,
  errors,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  NatsConnectionImpl,
  type Subscription as NatsSubscription,
  headers as newHeaders,
  type Status,
  setTransportFactory,
} from '@nats-io/transport-node';
import { nodeResolveHost } from '@nats-io/transport-node/lib/node_transport.js';
import type { BusStatus, Fault, Subscription } from './bus.ts';
import { FaultError, fault } from './errors.ts';
import { WholeMessageTransport } from './nats-transport.ts';
import type { Extra, RawAnswer, RawMessage, Wire } from './wire.ts';

const LINE_END = '\r\n';
const PING_INTERVAL_MS = 5_000;
const CONNECT_TIMEOUT_MS = 5_000;
const CLOSE_TIMEOUT_MS = 2_000;
const SOON_FOR_MS = 5_000;
const SOON_MS = 100;
const LATER_MS = 1_000;

const causeOf = (thrown: unknown): unknown => {
  let cause = thrown;
  while (cause instanceof errors.RequestError && cause.cause !== undefined) cause = cause.cause;
  return cause;
};

const violationFault = ({ operation, subject }: InstanceType<typeof errors.PermissionViolationError>): Fault =>
  fault('permission-denied', { what: `${operation === 'publish' ? 'publishing' : 'subscribing to'} ${subject}` });

const requestFault = (thrown: unknown, subject: string, ms: number): Fault => {
  const cause = causeOf(thrown);
  if (cause instanceof errors.NoRespondersError) return fault('no-responder', { subject });
  if (cause instanceof errors.TimeoutError) return fault('timeout', { subject, ms });
  if (cause instanceof errors.PermissionViolationError) return violationFault(cause);
  if (cause instanceof errors.InvalidSubjectError) {
    return fault('bad-message', { field: 'subject', cause: `\`${subject}\` is no subject` });
  }
  return fault('bus-cut');
};

/** Soon at first, for a bus that is being restarted; the client asks again at every turn, so this depends on time alone. */
class Pace {
  #cutAt = performance.now();

  readonly delay = (): number => (performance.now() - this.#cutAt < SOON_FOR_MS ? SOON_MS : LATER_MS);

  cut(): void {
    this.#cutAt = performance.now();
  }
}

const headersOf = (fields: Readonly<Record<string, string>> = {}): MsgHdrs | null => {
  const entries = Object.entries(fields);
  if (entries.length === 0) return null;
  const carried = newHeaders();
  for (const [name, value] of entries) carried.set(name, value);
  return carried;
};

const connect = (options: ConnectionOptions): Promise<NatsConnection> => {
  setTransportFactory({ factory: () => new WholeMessageTransport(), dnsResolveFn: nodeResolveHost });
  return NatsConnectionImpl.connect(options);
};

export type NatsOptions = Pick<ConnectionOptions, 'authenticator' | 'inboxPrefix' | 'name' | 'servers' | 'tls'>;

/** Throws FaultError: `bus-unavailable`, or `permission-denied` when the server knows the key not or no longer. */
export const connectNatsWire = async (
  options: NatsOptions,
  onRefused: (fault: Fault) => void = () => {},
): Promise<NatsWire> => {
  const pace = new Pace();
  try {
    const connection = await connect({
      ...options,
      reconnect: true,
      maxReconnectAttempts: -1,
      reconnectDelayHandler: pace.delay,
      ignoreAuthErrorAbort: true,
      ignoreClusterUpdates: true,
      noAsyncTraces: true,
      pingInterval: PING_INTERVAL_MS,
      timeout: CONNECT_TIMEOUT_MS,
    });
    return new NatsWire(connection, options.inboxPrefix, () => pace.cut(), onRefused);
  } catch (thrown) {
    const cause = thrown instanceof Error ? thrown.message : String(thrown);
    if (thrown instanceof errors.AuthorizationError || thrown instanceof errors.UserAuthenticationExpiredError) {
      throw new FaultError(fault('permission-denied', { what: `the bus does not accept the key (${cause})` }));
    }
    throw new FaultError(fault('bus-unavailable', { cause }));
  }
};

/** What a listener throws would end the client's reading, and leave a process that seems connected and hears nothing: it is a defect. */
const heard = (listen: () => void): void => {
  try {
    listen();
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
};

export class NatsWire implements Wire {
  readonly #connection: NatsConnection;
  #inboxPrefix: string | undefined;
  readonly #listeners = new Set<(status: BusStatus) => void>();
  readonly #waiting = new Set<(answer: RawAnswer) => void>();
  readonly #onRefused: (fault: Fault) => void;
  readonly #onCut: () => void;
  #status: BusStatus = 'connected';

  constructor(
    connection: NatsConnection,
    inboxPrefix: string | undefined,
    onCut: () => void,
    onRefused: (fault: Fault) => void,
  ) {
    this.#connection = connection;
    this.#inboxPrefix = inboxPrefix;
    this.#onCut = onCut;
    this.#onRefused = onRefused;
    void this.#watch();
  }

  get status(): BusStatus {
    return this.#status;
  }

  onStatus(listener: (status: BusStatus) => void): Subscription {
    this.#listeners.add(listener);
    return { stop: () => this.#listeners.delete(listener) };
  }

  /** The daemon moved to another port: the next attempt to connect goes there. */
  setServers(urls: readonly string[]): void {
    this.#connection.setServers([...urls]);
  }

  /** From the connection that is being made on: the key that it is made with allows no others. Whoever waited was told of the cut. */
  moveInboxes(prefix: string): void {
    if (prefix === this.#inboxPrefix || !(this.#connection instanceof NatsConnectionImpl)) return;
    this.#inboxPrefix = prefix;
    const { options, subscriptions } = this.#connection.protocol;
    options.inboxPrefix = prefix;
    // The client makes another one with the next request.
    const answers = subscriptions.getMux();
    if (answers) subscriptions.cancel(answers);
    subscriptions.setMux(null);
  }

  send(subject: string, bytes: Uint8Array, extra: Extra = {}): boolean {
    if (this.#status !== 'connected' || this.#connection.isClosed()) return false;
    if (extra.room && !extra.reply && this.#sendInPlace(subject, bytes, extra.room)) return true;
    const headers = headersOf(extra.headers);
    this.#connection.publish(subject, bytes, { ...(headers && { headers }), ...(extra.reply && { reply: extra.reply }) });
    return true;
  }

  /** The client would copy the bytes to stand behind the line that announces them. False: that cannot be done now. */
  #sendInPlace(subject: string, bytes: Uint8Array, room: number): boolean {
    const line = `PUB ${subject} ${bytes.length}\r\n`;
    if (line.length > room || !(this.#connection instanceof NatsConnectionImpl)) return false;
    const { outbound, transport } = this.#connection.protocol;
    if (outbound.size() > 0) return false; // what was published before goes first
    const whole = Buffer.from(bytes.buffer, bytes.byteOffset - line.length, line.length + bytes.length + LINE_END.length);
    whole.write(line, 'latin1');
    whole.write(LINE_END, line.length + bytes.length, 'latin1');
    transport.send(whole);
    return true;
  }

  request(subject: string, bytes: Uint8Array, timeoutMs: number, fields?: Extra['headers']): Promise<RawAnswer> {
    const headers = headersOf(fields);
    if (this.#status !== 'connected' || this.#connection.isClosed()) {
      return Promise.resolve({ ok: false, fault: fault('bus-cut') });
    }
    return new Promise((resolve) => {
      const settle = (answer: RawAnswer): void => {
        this.#waiting.delete(settle);
        resolve(answer);
      };
      this.#waiting.add(settle);
      this.#connection.request(subject, bytes, { timeout: timeoutMs, ...(headers && { headers }) }).then(
        (message) => settle({ ok: true, bytes: message.data }),
        (thrown: unknown) => settle({ ok: false, fault: requestFault(thrown, subject, timeoutMs) }),
      );
    });
  }

  subscribe(
    subject: string,
    listener: (message: RawMessage) => void,
    onRefused: (fault: Fault) => void = this.#onRefused,
    queue?: string,
  ): Subscription {
    const callback = (error: Error | null, message: Msg): void => {
      if (!error) heard(() => listener({ subject: message.subject, bytes: message.data, reply: message.reply ?? null }));
      else if (error instanceof errors.PermissionViolationError) onRefused(violationFault(error));
    };
    const subscription: NatsSubscription = this.#connection.subscribe(subject, { callback, ...(queue && { queue }) });
    return { stop: () => subscription.unsubscribe() };
  }

  newInbox(): string {
    return createInbox(this.#inboxPrefix);
  }

  async flush(): Promise<void> {
    if (this.#status !== 'connected' || this.#connection.isClosed()) return;
    // Cut while waiting: what was subscribed is subscribed again on reconnecting.
    await this.#connection.flush().catch(() => {});
  }

  async close(): Promise<void> {
    if (this.#status === 'connected') await this.#drain();
    if (!this.#connection.isClosed()) await this.#connection.close();
    this.#become('closed');
  }

  /** A server that does not answer must not keep us. */
  async #drain(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
    });
    await Promise.race([this.#connection.drain().catch(() => {}), limit]);
    clearTimeout(timer);
  }

  async #watch(): Promise<void> {
    for await (const status of this.#connection.status()) this.#observe(status);
    this.#become('closed');
  }

  #observe(status: Status): void {
    if (status.type === 'disconnect') {
      this.#onCut();
      this.#become('cut');
    }
    if (status.type === 'reconnect') this.#become('connected');
    if (status.type === 'error' && status.error instanceof errors.PermissionViolationError) {
      if (status.error.operation === 'publish') this.#onRefused(violationFault(status.error));
    }
  }

  #become(status: BusStatus): void {
    if (status === this.#status || this.#status === 'closed') return;
    this.#status = status;
    if (status !== 'connected') for (const settle of [...this.#waiting]) settle({ ok: false, fault: fault('bus-cut') });
    for (const listener of [...this.#listeners]) listener(status);
  }
}
