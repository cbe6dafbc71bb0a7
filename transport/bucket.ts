/**
 * A bucket of the fleet's JetStream by requests of its API: what fleet-store.ts lets hosts and operators do, and a leaf passes on.
 * Values are JSON, so that any tool reads them.
 */
import type { Body, Bus, Fault, Subscription } from './bus.ts';
import { FaultError, failure } from './errors.ts';
import { type Bucket as BucketName, bucketStream, bucketSubject, FLEET_DOMAIN } from './fleet-store.ts';
import { encodeToken } from './subjects.ts';

const API = `$JS.${FLEET_DOMAIN}.API`;
const TIMEOUT_MS = 4_000;
/** Of JetStream: somebody wrote after the revision that was read. */
const WRONG_LAST_SEQUENCE = 10071;
const NO_MESSAGE = 10037;
const NO_STREAM = 10059;
/** There is one of that name, for example with fewer copies. */
const OF_ANOTHER_MAKE = 10058;

/** Of the bucket itself: the token of the empty name, which no session has. `{v: 1, id}`. */
export const ID_KEY = encodeToken('');

export interface Entry {
  readonly value: unknown;
  readonly revision: number;
}

interface ApiAnswer {
  readonly error?: { readonly err_code?: number; readonly description?: string };
  readonly state?: { readonly subjects?: Readonly<Record<string, number>> };
  readonly message?: { readonly seq: number; readonly data?: string };
  readonly seq?: number;
}

/** Somebody else was faster. */
export class RevisionConflict extends Error {}

export class Bucket {
  readonly #bus: Bus;
  readonly name: BucketName;

  constructor(bus: Bus, name: BucketName) {
    this.#bus = bus;
    this.name = name;
  }

  /** With that many copies; one that is there keeps what it holds. */
  async make(copies: number): Promise<void> {
    const stream = bucketStream(this.name, copies);
    const created = await this.#call(`${API}.STREAM.CREATE.KV_${this.name}`, stream);
    const { error } =
      created.error?.err_code === OF_ANOTHER_MAKE ? await this.#call(`${API}.STREAM.UPDATE.KV_${this.name}`, stream) : created;
    if (error) throw this.#refused(error.description);
  }

  async exists(): Promise<boolean> {
    const { error } = await this.#call(`${API}.STREAM.INFO.KV_${this.name}`, {});
    if (error && error.err_code !== NO_STREAM) throw this.#refused(error.description);
    return !error;
  }

  /** Tokens as they stand in subjects. Empty: there is no such bucket yet. */
  async keys(): Promise<readonly string[]> {
    const prefix = `$KV.${this.name}.`;
    const answer = await this.#call(`${API}.STREAM.INFO.KV_${this.name}`, { subjects_filter: `${prefix}>` });
    if (answer.error?.err_code === NO_STREAM) return [];
    if (answer.error) throw this.#refused(answer.error.description);
    return Object.keys(answer.state?.subjects ?? {}).map((subject) => subject.slice(prefix.length));
  }

  async get(key: string): Promise<Entry | null> {
    const wanted = { last_by_subj: `$KV.${this.name}.${key}` };
    const { error, message } = await this.#call(`${API}.STREAM.MSG.GET.KV_${this.name}`, wanted);
    if (error?.err_code === NO_MESSAGE || error?.err_code === NO_STREAM) return null;
    if (error || !message) throw this.#refused(error?.description);
    try {
      return { value: JSON.parse(Buffer.from(message.data ?? '', 'base64').toString()), revision: message.seq };
    } catch {
      return { value: null, revision: message.seq };
    }
  }

  /** Over the revision that was read (0: there was none); throws RevisionConflict. */
  async put(key: string, value: Body, revision: number): Promise<number> {
    const headers = { 'Nats-Expected-Last-Subject-Sequence': String(revision) };
    const { error, seq } = await this.#call(`${API}.$KV.${this.name}.${key}`, value, headers);
    if (error?.err_code === WRONG_LAST_SEQUENCE) throw new RevisionConflict(key);
    if (error || seq === undefined) throw this.#refused(error?.description);
    return seq;
  }

  /** What is written from now on, while somebody is there to hear it. */
  watch(written: (key: string, value: unknown) => void): Subscription {
    const subject = bucketSubject(this.name);
    const prefix = subject.length - 1;
    return this.#bus.subscribe(subject, (message) => written(message.subject.slice(prefix), message.body));
  }

  async #call(subject: string, body: object, headers?: Readonly<Record<string, string>>): Promise<ApiAnswer> {
    const answer = await this.#bus.ask(subject, Buffer.from(JSON.stringify(body)), TIMEOUT_MS, headers);
    if (!answer.ok) throw new FaultError(this.#explained(answer.fault));
    try {
      return JSON.parse(Buffer.from(answer.bytes).toString()) as ApiAnswer;
    } catch {
      throw this.#refused('its answer is no JSON');
    }
  }

  #explained(reason: Fault): Fault {
    return reason.code === 'bus-cut' ? reason : this.#refused(reason.message.replace(/\.$/, '')).fault;
  }

  #refused(cause = 'it did not say why'): FaultError {
    return failure('bucket-refused', { bucket: this.name, cause });
  }
}
