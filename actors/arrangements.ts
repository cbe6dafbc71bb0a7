/**
 * Whether a session's rings, ids and metadata still are what its last whole pass made of them: then arming is all that a start needs.
 * Documents are never changed in place, so equal parts are the same objects.
 */
import type { SessionDocument } from '../machines/document.ts';
import type { Application } from './application-table.ts';

/** What starting and stopping change of a document, and no pass looks at. */
const PASSING: ReadonlySet<string> = new Set<keyof SessionDocument>(['active', 'everStarted', 'operation', 'answers']);

/** What a pass looks at, at one moment. */
export interface Arrangement {
  readonly document: SessionDocument;
  /** Of the owner's consumer: another one holds nothing of what this one held. */
  readonly consumer: number;
  /** How often the points of each application had changed. */
  readonly applications: ReadonlyMap<Application, number>;
}

const isSameDocument = (one: SessionDocument, other: SessionDocument, except?: keyof SessionDocument): boolean => {
  const names = new Set([...Object.keys(one), ...Object.keys(other)] as (keyof SessionDocument)[]);
  return [...names].every((name) => name === except || PASSING.has(name) || one[name] === other[name]);
};

const isSameAround = (one: Arrangement, other: Arrangement): boolean =>
  one.consumer === other.consumer &&
  one.applications.size === other.applications.size &&
  [...one.applications].every(([application, changes]) => other.applications.get(application) === changes);

export class Arrangements {
  readonly #known = new Map<string, Arrangement>();

  /** A whole pass ended well. It changes registries; did anything else change meanwhile, it may not have seen that. */
  note(before: Arrangement, after: Arrangement): void {
    const whole = isSameAround(before, after) && isSameDocument(before.document, after.document, 'registries');
    if (whole) this.#known.set(after.document.id, after);
  }

  stands(now: Arrangement): boolean {
    const known = this.#known.get(now.document.id);
    return known !== undefined && isSameAround(known, now) && isSameDocument(known.document, now.document);
  }

  forget(sessionId: string): void {
    this.#known.delete(sessionId);
  }
}
