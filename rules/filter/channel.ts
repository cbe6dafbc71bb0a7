/** The filters of a channel's rules, and the program that they are together for one point. */
import type { EventRule, PointDescription } from '../../machines/document.ts';
import { ruleMatches } from '../match.ts';
import type { Node } from './ast.ts';
import { checkFilter } from './check.ts';
import { compileFilter, filterProgram } from './compile.ts';

/** WEFT_BYTECODE_EXPRESSIONS. */
export const FILTERS_MAX = 64;
/** WEFT_BYTECODE_MAX, less what holds the expressions together. */
const BYTES_MAX = 65535 - 2 - 2 * FILTERS_MAX;
/** What an expression makes at most: `1|` becomes ten bytes, and what ends it is a few more. */
const bytesAtMost = (filter: string): number => 5 * filter.length + 16;

export const distinctFilters = (rules: readonly Pick<EventRule, 'enabled' | 'filter'>[]): readonly string[] => [
  ...new Set(rules.flatMap(({ enabled, filter }) => (enabled && filter !== null ? [filter] : []))),
];

/** Whether one program can hold these, for any point. */
export const filtersFit = (filters: readonly string[]): boolean =>
  filters.length <= FILTERS_MAX && filters.reduce((sum, filter) => sum + bytesAtMost(filter), 0) <= BYTES_MAX;

/** What a point's records are filtered with: an empty program lets all through, null none. */
export type PointFilter = (point: PointDescription) => Buffer | null;

/** For the rules of one channel; reads each expression once. */
export const pointFilter = (rules: readonly EventRule[]): PointFilter => {
  const roots = new Map<string, Node>();
  for (const filter of distinctFilters(rules)) {
    const checked = checkFilter(filter);
    if (checked.ok) roots.set(filter, checked.root);
  }
  return (point) => {
    const matching = rules.filter((rule) => rule.enabled && ruleMatches(rule, point));
    if (matching.some(({ filter }) => filter === null)) return Buffer.alloc(0);
    const code = distinctFilters(matching).flatMap((filter) => {
      const root = roots.get(filter);
      return root ? (compileFilter(root, point) ?? []) : [];
    });
    return code.length === 0 ? null : filterProgram(code);
  };
};
