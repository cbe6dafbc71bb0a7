import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EventRule, PointDescription } from '../../machines/document.ts';
import { logLevelName, matchesLogLevel, parseLogLevel } from '../../rules/loglevel.ts';
import { channelMatches, checkExclusions, exclusionFault, ruleMatches } from '../../rules/match.ts';
import { covers, isGlob, matchesPattern, overlap, splitList } from '../../rules/pattern.ts';

/** The same question asked of the regular expression engine. */
const naive = (pattern: string, name: string): boolean => {
  let source = '';
  for (let at = 0; at < pattern.length; at++) {
    if (pattern[at] === '*') source += '[^]*';
    else {
      if (pattern[at] === '\\' && at + 1 < pattern.length) at++;
      source += `\\u{${pattern.codePointAt(at)!.toString(16)}}`;
    }
  }
  return new RegExp(`^${source}$`, 'u').test(name);
};

const letters = (maxLength: number) => fc.array(fc.constantFrom('a', 'b', ':'), { maxLength }).map((parts) => parts.join(''));
const patterns = fc
  .array(fc.constantFrom('a', 'b', ':', '*', '*', '\\*', '\\\\'), { maxLength: 8 })
  .map((parts) => parts.join(''));
const names = fc.array(fc.constantFrom('a', 'b', ':', '*', '\\'), { maxLength: 10 }).map((parts) => parts.join(''));

test('a pattern matches exactly what its regular expression matches', () => {
  fc.assert(
    fc.property(patterns, names, (pattern, name) => matchesPattern(pattern, name) === naive(pattern, name)),
    { numRuns: 5000 },
  );
});

test('a star matches the empty text too, anywhere, and an escaped star only itself', () => {
  assert.ok(matchesPattern('a*b', 'ab') && matchesPattern('*a*', 'a') && matchesPattern('**', ''));
  assert.ok(matchesPattern('a\\*', 'a*') && !matchesPattern('a\\*', 'ab'));
  assert.ok(!matchesPattern('ab*ba', 'aba'));
  assert.deepEqual([isGlob('a*'), isGlob('a\\*')], [true, false]);
});

test('a pattern against a long name takes no time, whatever its stars', () => {
  const began = process.cpuUsage();
  assert.equal(matchesPattern('*a'.repeat(50).concat('*b'), 'a'.repeat(200_000)), false);
  assert.ok(process.cpuUsage(began).user / 1_000 < 1000);
});

test('what covers a pattern matches every name that the pattern matches; what does not overlap matches none', () => {
  fc.assert(
    fc.property(patterns, patterns, letters(8), (a, b, name) => {
      if (covers(a, b) && matchesPattern(b, name)) assert.ok(matchesPattern(a, name));
      if (!overlap(a, b)) assert.ok(!(matchesPattern(a, name) && matchesPattern(b, name)));
    }),
    { numRuns: 5000 },
  );
});

test('lists are split at commas, not at escaped ones', () => {
  assert.deepEqual(splitList('a:*,b\\,c,d\\*'), ['a:*', 'b,c', 'd\\*']);
  assert.deepEqual(splitList(',,'), []);
});

test('log levels have the names and numbers that lttng(1) has', () => {
  assert.equal(parseLogLevel('TRACE_INFO'), 6);
  assert.equal(parseLogLevel('warning'), 4);
  assert.equal(parseLogLevel('MODULE'), 10);
  assert.equal(parseLogLevel('debug'), 14);
  assert.deepEqual(['LOUD', '', '6', 'TRACE_'].map(parseLogLevel), [null, null, null, null]);
  for (let level = 0; level < 15; level++) assert.equal(parseLogLevel(logLevelName(level)), level);
});

test('a range takes levels at least as severe, a single level only itself, an undeclared level is 13', () => {
  assert.ok(matchesLogLevel({ kind: 'range', level: 6 }, 0) && !matchesLogLevel({ kind: 'range', level: 6 }, 7));
  assert.ok(matchesLogLevel({ kind: 'single', level: 13 }, null) && !matchesLogLevel({ kind: 'single', level: 13 }, 14));
});

const rule = (fields: Partial<EventRule>): EventRule => ({
  pattern: '*',
  logLevel: null,
  exclusions: [],
  filter: null,
  enabled: true,
  ...fields,
});
const point = (name: string, logLevel: number | null = null): PointDescription => ({
  name,
  logLevel,
  modelEmfUri: '',
  fields: [],
});

test('a rule records what pattern, level and exclusions all let through; a disabled rule or channel nothing', () => {
  const wanted = rule({ pattern: 'p:*', logLevel: { kind: 'range', level: 6 }, exclusions: ['p:x*'] });
  assert.ok(ruleMatches(wanted, point('p:a', 6)));
  assert.ok(
    !ruleMatches(wanted, point('p:xa', 6)) && !ruleMatches(wanted, point('q:a', 6)) && !ruleMatches(wanted, point('p:a')),
  );
  const channel = {
    enabled: true,
    rules: [rule({ pattern: 'a', enabled: false }), rule({ pattern: 'b' })],
  } as unknown as Parameters<typeof channelMatches>[0];
  assert.deepEqual(
    [
      channelMatches(channel, point('a')),
      channelMatches(channel, point('b')),
      channelMatches({ ...channel, enabled: false }, point('b')),
    ],
    [false, true, false],
  );
});

test('exclusions: need a glob, must not exclude all, and what excludes nothing is told', () => {
  assert.match(checkExclusions('a:b', ['a:c']).error ?? '', /globbing/);
  assert.match(checkExclusions('a:*', ['a*']).error ?? '', /excludes all/);
  assert.deepEqual(checkExclusions('a:*', ['a:x', 'b:*']), { error: null, useless: ['b:*'] });
  assert.match(exclusionFault('a:*', ['b'.repeat(256)]) ?? '', /more than 255 bytes/);
});
