/**
 * The session documents in memory and on disk. What `current` shows has been written: changes of one document are made one after the
 * other, each upon the result of the one before, and become visible when the disk holds them.
 */
import { withAllAttributes } from '../machines/channel-edits.ts';
import type { SessionDocument } from '../machines/document.ts';
import type { Disk } from './ports.ts';

export interface Change<T> {
  readonly document: SessionDocument;
  readonly value: T;
}

export class DocumentStore {
  readonly #disk: Disk;
  readonly #documents = new Map<string, SessionDocument>();
  readonly #tails = new Map<string, Promise<unknown>>();
  /** Their files are gone and must not come back. */
  readonly #removed = new Set<string>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  async load(): Promise<readonly SessionDocument[]> {
    const documents = (await this.#disk.load()).map(withAllAttributes);
    for (const document of documents) this.#documents.set(document.id, document);
    return documents;
  }

  /** A session that is being created: visible, so that its name is taken, but not written yet. */
  draft(document: SessionDocument): void {
    this.#documents.set(document.id, document);
  }

  discard(sessionId: string): void {
    this.#documents.delete(sessionId);
    this.#tails.delete(sessionId);
    this.#removed.delete(sessionId);
  }

  current(sessionId: string): SessionDocument {
    const document = this.#documents.get(sessionId);
    if (!document) throw new Error(`there is no session ${sessionId}`);
    return document;
  }

  find(sessionId: string): SessionDocument | undefined {
    return this.#documents.get(sessionId);
  }

  all(): readonly SessionDocument[] {
    return [...this.#documents.values()];
  }

  /** `change` may throw to refuse. Nothing is written when it gives back the same document. */
  edit<T>(sessionId: string, change: (document: SessionDocument) => Change<T>): Promise<T> {
    return this.#inTurn(sessionId, async () => {
      if (this.#removed.has(sessionId)) throw new Error(`session ${sessionId} was destroyed`);
      const before = this.current(sessionId);
      const { document, value } = change(before);
      if (document !== before) {
        await this.#disk.write(document);
        this.#documents.set(sessionId, document);
      }
      return value;
    });
  }

  write(sessionId: string): Promise<void> {
    return this.#inTurn(sessionId, () => this.#disk.write(this.current(sessionId)));
  }

  /** The file goes; the document is shown until `discard`. */
  remove(sessionId: string): Promise<void> {
    return this.#inTurn(sessionId, async () => {
      await this.#disk.remove(sessionId);
      this.#removed.add(sessionId);
    });
  }

  #inTurn<T>(sessionId: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#tails.get(sessionId) ?? Promise.resolve()).then(work, work);
    this.#tails.set(
      sessionId,
      turn.catch(() => {}),
    );
    return turn;
  }
}
