/** Hosts miss news and read buckets that were put back; they never go back, and what an operator then writes reaches all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type FleetDocument, type FollowedSessions, withRead } from '../../machines/fleet-document.ts';

const HOSTS = 3;
const document = (generation: number, deleted: boolean): FleetDocument => ({
  v: 1,
  name: 'web',
  uuid: 'u',
  generation,
  spec: { selector: '*', uid: 0, commands: [] },
  deleted,
});

const step = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), deleted: fc.boolean() }),
  fc.record({ kind: fc.constant('read' as const), host: fc.nat(HOSTS - 1) }),
  fc.record({ kind: fc.constant('putBack' as const), to: fc.nat(20) }),
);

test('whatever is lost or put back, hosts follow the highest generation that they saw, and all the last one', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const hosts: FollowedSessions[] = Array.from({ length: HOSTS }, () => ({}));
      const history: FleetDocument[] = [];
      let bucket: FleetDocument | null = null;
      const seen = (host: number): number => hosts[host]?.web?.document.generation ?? 0;
      // As `weft fleet apply` counts: over what the bucket has and what hosts saw.
      const write = (deleted: boolean): void => {
        bucket = document(Math.max(bucket?.generation ?? 0, ...hosts.map((_, host) => seen(host))) + 1, deleted);
        history.push(bucket);
      };
      const read = (host: number): void => {
        const before = seen(host);
        hosts[host] = withRead(hosts[host]!, bucket ? [bucket] : [], { uid: 0, bucket: 'a' });
        assert.equal(seen(host), Math.max(before, bucket?.generation ?? 0));
      };
      for (const one of steps) {
        if (one.kind === 'write') write(one.deleted);
        else if (one.kind === 'read') read(one.host);
        else bucket = history[one.to] ?? null;
      }
      write(false);
      for (let host = 0; host < HOSTS; host++) read(host);
      assert.deepEqual(
        hosts.map(({ web }) => web?.document),
        hosts.map(() => bucket),
      );
    }),
  );
});

test('another bucket counts for itself: what the former wanted ends, and a lower generation of the new one is made', () => {
  const of = (bucket: string | null) => ({ uid: 0, bucket });
  const other = (generation: number): FleetDocument => ({ ...document(generation, false), name: 'db' });
  const first = withRead({}, [document(3, false), other(9)], of(null));
  const known = withRead(first, [], of('a'));
  assert.deepEqual(
    Object.values(known).map(({ bucket }) => bucket),
    ['a', 'a'],
    'it had no id before',
  );
  assert.deepEqual(withRead(known, [], of(null)), known, 'put back from before it had one');
  const made = Object.fromEntries(
    Object.entries(known).map(([name, one]) => [name, { ...one, sessionId: name, applied: 3, made: 'hash' }]),
  );
  const { web, db } = withRead(made, [document(1, false)], of('b'));
  assert.deepEqual([web?.document.generation, web?.bucket, web?.sessionId, web?.made], [1, 'b', 'web', '']);
  assert.deepEqual([db?.document.deleted, db?.bucket, db?.sessionId], [true, 'a', 'db']);
  const later = withRead({ web: web!, db: db! }, [other(1)], of('b'));
  assert.deepEqual([later.db?.document, later.db?.bucket], [other(1), 'b'], 'before the old one was ended');
});
