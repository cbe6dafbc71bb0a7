/** Which hosts a selector means, and what is said about one that means nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLabel } from '../../actors/labels.ts';
import { parseSelector } from '../../rules/selector.ts';

const HOSTS = [
  { host: 'web-1', labels: { role: 'web', zone: 'a' } },
  { host: 'web-2', labels: { role: 'web', zone: 'b', canary: '' } },
  { host: 'db-1', labels: { role: 'db', zone: 'a' } },
];
const selected = (text: string): string => {
  const parsed = parseSelector(text);
  assert.ok(parsed.ok, text);
  return HOSTS.filter(parsed.matches)
    .map(({ host }) => host)
    .join(' ');
};

test('selector: all terms must hold; patterns, alternatives, absence', () => {
  assert.equal(selected(''), 'web-1 web-2 db-1');
  assert.equal(selected('*'), 'web-1 web-2 db-1');
  assert.equal(selected('role=web'), 'web-1 web-2');
  assert.equal(selected('role=web,zone!=a'), 'web-2');
  assert.equal(selected('host=web-*'), 'web-1 web-2');
  assert.equal(selected('host=web-1|db-1'), 'web-1 db-1');
  assert.equal(selected('canary'), 'web-2');
  assert.equal(selected('!canary , zone=a'), 'web-1 db-1');
  assert.equal(selected('owner!=ops'), 'web-1 web-2 db-1', 'a host without the label is not of that value');
  assert.equal(selected('constructor'), '');
});

test('selector: what cannot be understood is refused with its column', () => {
  const refused = (text: string): number | null => {
    const parsed = parseSelector(text);
    return parsed.ok ? null : parsed.column;
  };
  assert.equal(refused('role=db,,x'), 9);
  assert.equal(refused('role=db,a b'), 9);
  assert.equal(refused('=db'), 1);
  assert.equal(refused('x'.repeat(5000)), 4096);
});

test('labels: KEY=VALUE; what a selector could not name is refused', () => {
  assert.deepEqual(parseLabel('role=db'), ['role', 'db']);
  assert.deepEqual(parseLabel('a=b=c'), ['a', 'b=c']);
  for (const wrong of ['', '=x', 'a b=c', 'host=x', 'role=a,b', 'role=*']) {
    assert.throws(() => parseLabel(wrong), /Label/, wrong);
  }
});
