/** Bucket weft_sessions of a fleet in memory: as JetStream answers what transport/bucket.ts asks. It may lose news and be put back. */
import type { FleetDocument } from '../../../machines/fleet-document.ts';
import { ID_KEY } from '../../../transport/bucket.ts';
import type { MemoryFabric, MemoryWire } from '../../../transport/memory-bus.ts';
import { encodeToken } from '../../../transport/subjects.ts';
import type { RawMessage } from '../../../transport/wire.ts';

const API = '$JS.fleet.API.';
const BUCKET = '$KV.weft_sessions.';

interface Value {
  readonly text: string;
  readonly revision: number;
}

export class WorldBucket {
  /** False: what is written is told to nobody. */
  tells = true;
  /** False: nobody answers. */
  answers = true;
  reads = 0;
  #values = new Map<string, Value>();
  #revision = 0;
  readonly #wire: MemoryWire;

  constructor(fabric: MemoryFabric) {
    this.#wire = fabric.connectWire();
    this.#wire.subscribe(`${API}>`, (message) => this.#answer(message));
  }

  /** What an operator declares, whatever lies there. */
  write(document: FleetDocument): void {
    this.#put(encodeToken(document.name), JSON.stringify(document));
  }

  put(key: string, text: string): void {
    this.#put(key, text);
  }

  identify(id: string): void {
    this.#put(ID_KEY, JSON.stringify({ v: 1, id }));
  }

  clear(): void {
    this.#values = new Map();
  }

  /** The store as it is now, to be put back. */
  copy(): () => void {
    const values = new Map(this.#values);
    return () => {
      this.#values = new Map(values);
    };
  }

  #put(key: string, text: string): number {
    this.#values.set(key, { text, revision: ++this.#revision });
    if (this.tells) this.#wire.send(`weft.v1.fleet.bucket.weft_sessions.${key}`, Buffer.from(text));
    return this.#revision;
  }

  #answer({ subject, bytes, reply, headers }: RawMessage): void {
    if (!this.answers || reply === null) return;
    const asked = JSON.parse(Buffer.from(bytes).toString()) as { last_by_subj?: string };
    const answer = this.#answerTo(subject.slice(API.length), asked, Buffer.from(bytes).toString(), headers ?? {});
    this.#wire.send(reply, Buffer.from(JSON.stringify(answer)));
  }

  #answerTo(
    what: string,
    { last_by_subj: wanted = '' }: { last_by_subj?: string },
    text: string,
    headers: Readonly<Record<string, string>>,
  ): object {
    if (what.startsWith('STREAM.CREATE.')) return {};
    if (what.startsWith('STREAM.INFO.')) {
      this.reads++;
      return { state: { subjects: Object.fromEntries([...this.#values.keys()].map((key) => [`${BUCKET}${key}`, 1])) } };
    }
    if (what.startsWith('STREAM.MSG.GET.')) {
      const found = this.#values.get(wanted.slice(BUCKET.length));
      if (!found) return { error: { err_code: 10037, description: 'no message found' } };
      return { message: { seq: found.revision, data: Buffer.from(found.text).toString('base64') } };
    }
    const key = what.slice(BUCKET.length);
    const expected = Number(headers['Nats-Expected-Last-Subject-Sequence']);
    if (expected !== (this.#values.get(key)?.revision ?? 0)) return { error: { err_code: 10071 } };
    return { seq: this.#put(key, text) };
  }
}
