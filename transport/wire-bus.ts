/** The Bus over a wire: bodies are encoded and decoded here, once for NATS and memory. */
import { decodeAnswer } from './answers.ts';
import type {
  Body,
  Bus,
  BusMessage,
  BusStatus,
  Endpoint,
  Fault,
  Fragment,
  Gathering,
  RawAnswer,
  Reply,
  Served,
  Service,
  Subscription,
} from './bus.ts';
import { decodeBody, type Encoding, encodeAround, encodeBody } from './codec.ts';
import { serveOn } from './service.ts';
import type { Wire } from './wire.ts';

export interface WireBusOptions {
  /** How requests and events of this side are encoded; answers come in kind. */
  readonly encoding?: Encoding;
  /** A message on a subscribed subject that is no body; it is dropped. */
  readonly onGarbage?: (subject: string, fault: Fault) => void;
  /** Milliseconds, for the statistics of services. */
  readonly clock?: () => number;
}

export class WireBus implements Bus {
  readonly #wire: Wire;
  readonly #encoding: Encoding;
  readonly #onGarbage: (subject: string, fault: Fault) => void;
  readonly #clock: () => number;

  constructor(wire: Wire, options: WireBusOptions = {}) {
    this.#wire = wire;
    this.#encoding = options.encoding ?? 'msgpack';
    this.#onGarbage = options.onGarbage ?? (() => {});
    this.#clock = options.clock ?? (() => performance.now());
  }

  get status(): BusStatus {
    return this.#wire.status;
  }

  onStatus(listener: (status: BusStatus) => void): Subscription {
    return this.#wire.onStatus(listener);
  }

  serve(service: Service, endpoints: readonly Endpoint[]): Promise<Served> {
    return serveOn(this.#wire, service, endpoints, this.#clock);
  }

  async request(subject: string, body: Body, timeoutMs: number): Promise<Reply> {
    const encoded = encodeBody(body, this.#encoding);
    if (!encoded.ok) return encoded;
    const answer = await this.#wire.request(subject, encoded.bytes, timeoutMs);
    return answer.ok ? decodeAnswer(answer.bytes, body) : answer;
  }

  ask(subject: string, bytes: Uint8Array, timeoutMs: number, headers?: Readonly<Record<string, string>>): Promise<RawAnswer> {
    return this.#wire.request(subject, bytes, timeoutMs, headers);
  }

  gather(heard: (answer: Body) => void): Gathering {
    const reply = this.#wire.newInbox();
    const subscription = this.subscribe(reply, ({ body }) => heard(body));
    return {
      ask: (subject, body) => {
        const encoded = encodeBody(body, this.#encoding);
        return encoded.ok && this.#wire.send(subject, encoded.bytes, { reply });
      },
      stop: () => subscription.stop(),
    };
  }

  publish(subject: string, body: Body, encoding: Encoding = this.#encoding): boolean {
    const encoded = encodeBody(body, encoding);
    return encoded.ok && this.#wire.send(subject, encoded.bytes);
  }

  publishAround(subject: string, body: Body, field: string, fragment: Fragment): boolean {
    const encoded = encodeAround(body, field, fragment);
    return encoded.ok && this.#wire.send(subject, encoded.bytes, { room: encoded.room });
  }

  subscribe(subject: string, listener: (message: BusMessage) => void, onRefused?: (fault: Fault) => void): Subscription {
    return this.#wire.subscribe(
      subject,
      (message) => {
        const decoded = decodeBody(message.bytes);
        if (decoded.ok) listener({ subject: message.subject, body: decoded.body });
        else this.#onGarbage(message.subject, decoded.fault);
      },
      onRefused,
    );
  }

  flush(): Promise<void> {
    return this.#wire.flush();
  }

  close(): Promise<void> {
    return this.#wire.close();
  }
}
