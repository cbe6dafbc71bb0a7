/** What `weft view` says of names in a filter that no event has. */
import type { UnknownName } from '../../ctf/unknown-names.ts';

/** `where`: `the trace`, `the session until now`. */
export const unknownFields = (unknown: readonly UnknownName[], where: string): readonly string[] =>
  unknown.map(({ kind, name, near, more }) => {
    const others = more > 0 ? `, and ${more} more` : '';
    const there = near.length === 0 ? `there are no ${kind}s` : `nearest of its ${kind}s: ${near.join(', ')}${others}`;
    return `Warning: no event of ${where} has ${kind} ${name}; ${there}`;
  });

/** While one watches: each name once, although every renewal of the lease says it. */
export class UnknownOnce {
  readonly #told = new Set<string>();

  take(unknown: readonly UnknownName[]): readonly string[] {
    const fresh = unknown.filter(({ kind, name }) => !this.#told.has(`${kind} ${name}`));
    for (const { kind, name } of fresh) this.#told.add(`${kind} ${name}`);
    return unknownFields(fresh, 'the session until now');
  }
}
