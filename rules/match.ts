/** Whether a recording event rule, or a channel with all its rules, records an instrumentation point. */
import type { ChannelDocument, EventRule, PointDescription } from '../machines/document.ts';
import { matchesLogLevel } from './loglevel.ts';
import { covers, isGlob, matchesPattern, overlap } from './pattern.ts';

export const ruleMatches = (rule: EventRule, point: PointDescription): boolean =>
  matchesPattern(rule.pattern, point.name) &&
  matchesLogLevel(rule.logLevel, point.logLevel) &&
  !rule.exclusions.some((exclusion) => matchesPattern(exclusion, point.name));

/** Several rules that match one point still give one record. */
export const channelMatches = (channel: ChannelDocument, point: PointDescription): boolean =>
  channel.enabled && channel.rules.some((rule) => rule.enabled && ruleMatches(rule, point));

/** What is wrong with a rule's exclusions; `useless` ones are only worth a warning. */
export interface ExclusionReport {
  readonly error: string | null;
  readonly useless: readonly string[];
}

export const checkExclusions = (pattern: string, exclusions: readonly string[]): ExclusionReport => {
  if (exclusions.length === 0) return { error: null, useless: [] };
  if (!isGlob(pattern)) return { error: `Event ${pattern}: Exclusions can only be used with a globbing pattern`, useless: [] };
  const total = exclusions.find((exclusion) => covers(exclusion, pattern));
  if (total !== undefined) return { error: `Event ${pattern}: ${total} excludes all events from ${pattern}`, useless: [] };
  return { error: null, useless: exclusions.filter((exclusion) => !overlap(exclusion, pattern)) };
};

/** The same rule, whether enabled or not: what re-enables and what disables. */
export const sameRule = (a: EventRule, b: EventRule): boolean =>
  a.pattern === b.pattern &&
  a.filter === b.filter &&
  a.logLevel?.kind === b.logLevel?.kind &&
  a.logLevel?.level === b.logLevel?.level &&
  a.exclusions.length === b.exclusions.length &&
  a.exclusions.every((exclusion, at) => exclusion === b.exclusions[at]);
