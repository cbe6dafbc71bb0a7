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

const NAME_BYTES_MAX = 255;
const utf8Length = (text: string): number => new TextEncoder().encode(text).length;

/** What is wrong with a rule's exclusions; `useless` ones are only worth a warning. */
export interface ExclusionReport {
  readonly error: string | null;
  readonly useless: readonly string[];
}

/** Why exclusions cannot stand beside this pattern; null: they can. Quick, whatever they are. */
export const exclusionFault = (pattern: string, exclusions: readonly string[]): string | null => {
  if (exclusions.length === 0) return null;
  if (!isGlob(pattern)) return `Event ${pattern}: Exclusions can only be used with a globbing pattern`;
  const long = exclusions.find((exclusion) => utf8Length(exclusion) > NAME_BYTES_MAX);
  if (long !== undefined) return `Event ${pattern}: an exclusion has more than ${NAME_BYTES_MAX} bytes`;
  const total = exclusions.find((exclusion) => covers(exclusion, pattern));
  return total === undefined ? null : `Event ${pattern}: ${total} excludes all events from ${pattern}`;
};

/** For people: how two patterns overlap takes a search over both. */
export const checkExclusions = (pattern: string, exclusions: readonly string[]): ExclusionReport => {
  const error = exclusionFault(pattern, exclusions);
  return { error, useless: error === null ? exclusions.filter((exclusion) => !overlap(exclusion, pattern)) : [] };
};

/** The same rule, whether enabled or not: what re-enables and what disables. */
export const sameRule = (a: EventRule, b: EventRule): boolean =>
  a.pattern === b.pattern &&
  a.filter === b.filter &&
  a.logLevel?.kind === b.logLevel?.kind &&
  a.logLevel?.level === b.logLevel?.level &&
  a.exclusions.length === b.exclusions.length &&
  a.exclusions.every((exclusion, at) => exclusion === b.exclusions[at]);
