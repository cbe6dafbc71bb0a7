/**
 * Commands served over a wire: each request is decoded, handled and answered in kind, and the service shows itself as the NATS
 * services framework (ADR-32) wants, so that `nats micro ls|info|stats` sees it. Where an endpoint names no queue, every daemon answers.
 */
import { randomBytes } from 'node:crypto';
import { type EncodedAnswer, encodeAnswer } from './answers.ts';
import type { Endpoint, Fault, Reply, Served, Service, Subscription } from './bus.ts';
import { decodeBody, encodingOf } from './codec.ts';
import { FaultError, fault, faultOf } from './errors.ts';
import { subjectMatches } from './subjects.ts';
import type { RawMessage, Wire } from './wire.ts';

const NS_PER_MS = 1_000_000;
const TYPE = 'io.nats.micro.v1';

interface Counts {
  requests: number;
  errors: number;
  lastError: string;
  busyMs: number;
}

interface Running {
  readonly endpoint: Endpoint;
  readonly counts: Counts;
}

/**
 * An answer goes to an inbox and nowhere else. The server checks what a caller publishes, not what it names as reply subject: else
 * a command with `weft.v1....consumer.OWNER.shutdown` there would make the daemon send that in its own name.
 */
const isInbox = (reply: string): boolean => reply.startsWith('_INBOX');

const answer = (wire: Wire, message: RawMessage, encoded: EncodedAnswer): void => {
  if (message.reply !== null) wire.send(message.reply, encoded.bytes, { headers: encoded.headers });
};

/** Null: somebody else is meant. */
const handled = async (endpoint: Endpoint, message: RawMessage): Promise<EncodedAnswer | null> => {
  const decoded = decodeBody(message.bytes);
  // What cannot be decoded is answered in its own kind if that is known, else in the one that anybody can read.
  if (!decoded.ok) return encodeAnswer(decoded, {}, encodingOf(message.bytes) ?? 'json');
  const reply = await endpoint
    .handle({ subject: message.subject, body: decoded.body })
    .catch((thrown: unknown): Reply => ({ ok: false, fault: faultOf(thrown) }));
  return reply && encodeAnswer(reply, decoded.body, decoded.encoding);
};

const serveEndpoint = async (wire: Wire, { endpoint, counts }: Running, message: RawMessage, clock: () => number) => {
  if (message.reply === null || !isInbox(message.reply)) return;
  const begin = clock();
  const encoded = await handled(endpoint, message);
  if (!encoded) return;
  counts.requests++;
  counts.busyMs += clock() - begin;
  if (encoded.failed !== undefined) {
    counts.errors++;
    counts.lastError = encoded.failed;
  }
  answer(wire, message, encoded);
};

const endpointInfo = ({ endpoint }: Running) => ({
  name: endpoint.name.replaceAll('.', '-'),
  subject: endpoint.subject,
  queue_group: endpoint.queue ?? '',
  metadata: { schema: JSON.stringify(endpoint.schema) },
});

const endpointStats = ({ endpoint, counts }: Running) => ({
  name: endpoint.name.replaceAll('.', '-'),
  subject: endpoint.subject,
  queue_group: endpoint.queue ?? '',
  num_requests: counts.requests,
  num_errors: counts.errors,
  last_error: counts.lastError,
  processing_time: Math.round(counts.busyMs * NS_PER_MS),
  average_processing_time: counts.requests ? Math.round((counts.busyMs * NS_PER_MS) / counts.requests) : 0,
});

/** What the framework asks a service: PING, INFO, STATS, of all, by name, by name and id. */
const discovery = (service: Service, running: readonly Running[]): ReadonlyMap<string, () => object> => {
  const id = randomBytes(11).toString('hex');
  const started = new Date().toISOString();
  const identity = { name: service.name, id, version: service.version, metadata: {} };
  const verbs: Record<string, () => object> = {
    PING: () => ({ ...identity, type: `${TYPE}.ping_response` }),
    INFO: () => ({
      ...identity,
      type: `${TYPE}.info_response`,
      description: service.description,
      endpoints: running.map(endpointInfo),
    }),
    STATS: () => ({ ...identity, type: `${TYPE}.stats_response`, started, endpoints: running.map(endpointStats) }),
  };
  const subjects = new Map<string, () => object>();
  for (const [verb, make] of Object.entries(verbs)) {
    for (const suffix of ['', `.${service.name}`, `.${service.name}.${id}`]) subjects.set(`$SRV.${verb}${suffix}`, make);
  }
  return subjects;
};

const listenDiscovery = (wire: Wire, service: Service, running: readonly Running[]): Subscription[] =>
  [...discovery(service, running)].map(([subject, make]) =>
    wire.subscribe(
      subject,
      ({ reply }) => {
        if (reply !== null && isInbox(reply)) wire.send(reply, Buffer.from(JSON.stringify(make())));
      },
      () => {},
    ),
  );

/** Answers `unsupported` to what matches `service.otherwise` and no endpoint. */
const listenOtherwise = (wire: Wire, pattern: string, endpoints: readonly Endpoint[]): Subscription =>
  wire.subscribe(pattern, (message) => {
    if (message.reply === null || !isInbox(message.reply)) return;
    if (endpoints.some(({ subject }) => subjectMatches(subject, message.subject))) return;
    const decoded = decodeBody(message.bytes);
    const reason = fault('unsupported', { what: `The command of subject ${message.subject}` });
    const encoding = encodingOf(message.bytes) ?? 'json';
    answer(wire, message, encodeAnswer({ ok: false, fault: reason }, decoded.ok ? decoded.body : {}, encoding));
  });

/**
 * Resolves when the server has taken the subscriptions, so that a request sent now is served; throws FaultError
 * (`permission-denied`) when it refused one. A service that may not listen on `$SRV` is served, but not listed.
 */
export const serveOn = async (
  wire: Wire,
  service: Service,
  endpoints: readonly Endpoint[],
  clock: () => number,
): Promise<Served> => {
  const refusals: Fault[] = [];
  const running = endpoints.map((endpoint) => ({
    endpoint,
    counts: { requests: 0, errors: 0, lastError: '', busyMs: 0 },
  }));
  const subscriptions = running.map((one) =>
    wire.subscribe(
      one.endpoint.subject,
      (message) => void serveEndpoint(wire, one, message, clock),
      (reason) => refusals.push(reason),
      one.endpoint.queue,
    ),
  );
  if (service.otherwise !== undefined) subscriptions.push(listenOtherwise(wire, service.otherwise, endpoints));
  subscriptions.push(...listenDiscovery(wire, service, running));
  const stop = async (): Promise<void> => {
    for (const subscription of subscriptions) subscription.stop();
    await wire.flush();
  };
  await wire.flush();
  if (refusals[0]) {
    await stop();
    throw new FaultError(refusals[0]);
  }
  return { stop };
};
