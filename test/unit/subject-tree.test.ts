/** The tree finds what comparing with every pattern would find. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SubjectTree } from '../../transport/subject-tree.ts';
import { subjectMatches } from '../../transport/subjects.ts';

const token = fc.constantFrom('a', 'b', '*');
const pattern = fc
  .tuple(fc.array(token, { maxLength: 3 }), fc.constantFrom('a', '*', '>'))
  .map(([tokens, last]) => [...tokens, last].join('.'));
const subject = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));

test('whoever listens is found, and nobody who stopped', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(pattern, fc.boolean())), fc.array(subject, { minLength: 1 }), (patterns, subjects) => {
      const tree = new SubjectTree<number>();
      for (const [i, [one]] of patterns.entries()) tree.add(one, i);
      for (const [i, [one, kept]] of patterns.entries()) if (!kept) tree.remove(one, i);
      for (const given of subjects) {
        const wanted = patterns.flatMap(([one, kept], i) => (kept && subjectMatches(one, given) ? [i] : []));
        assert.deepEqual(
          tree.matching(given).sort((a, b) => a - b),
          wanted,
        );
      }
    }),
  );
});
