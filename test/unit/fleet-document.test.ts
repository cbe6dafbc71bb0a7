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
        hosts[host] = withRead(hosts[host]!, bucket ? [bucket] : [], 0);
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
