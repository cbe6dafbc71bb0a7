/**
 * The fleet's desired state lies in an account of its own (docs/contracts-network.md). JetStream publishes its answer wherever the
 * asker says, and no server looks at that subject: in one account with the hosts, a host could name a key of the bucket for it and so
 * write there. What the fleet's account has of the store is two questions and the news, so an answer ends in the fleet's account.
 */
import type { Export, Import } from '@nats-io/jwt';

/** JetStream domain of the fleet's servers. */
export const FLEET_DOMAIN = 'fleet';
export const BUCKETS = ['weft_sessions'] as const;
export type Bucket = (typeof BUCKETS)[number];

/** With more servers there are no more copies: three outlive the loss of one, and each more is one more to wait for. */
const MOST_COPIES = 3;
export const copiesOn = (servers: number): number => Math.min(MOST_COPIES, Math.max(1, servers));

/** Where a bucket says what was written to it (`republish` of its stream). */
export const bucketSubject = (bucket: Bucket): string => `weft.v1.fleet.bucket.${bucket}.>`;

/** The stream of a bucket. */
export const bucketStream = (bucket: Bucket, replicas: number) => ({
  name: `KV_${bucket}`,
  subjects: [`$KV.${bucket}.>`],
  max_msgs_per_subject: 1,
  discard: 'new',
  storage: 'file',
  num_replicas: replicas,
  allow_rollup_hdrs: true,
  deny_delete: true,
  republish: { src: `$KV.${bucket}.>`, dest: bucketSubject(bucket) },
});

/** The domain's name for its API, and what the server makes of it before it looks at permissions; a leaf sends the first. */
const [DOMAIN_API, API] = [`$JS.${FLEET_DOMAIN}.API`, '$JS.API'] as const;
const api = (what: string): string[] => [DOMAIN_API, API].map((prefix) => `${prefix}.${what}`);
const questions = (bucket: Bucket): string[] => [`STREAM.INFO.KV_${bucket}`, `STREAM.MSG.GET.KV_${bucket}`];

export const READING: readonly string[] = BUCKETS.flatMap(questions).flatMap(api);

export const STORE_EXPORTS: Export[] = BUCKETS.flatMap((bucket) => [
  ...questions(bucket).map((what): Export => ({ name: what, type: 'service', subject: `${API}.${what}` })),
  { name: `news of ${bucket}`, type: 'stream', subject: bucketSubject(bucket) },
]);

export const importsOf = (account: string): Import[] =>
  BUCKETS.flatMap((bucket) => [
    ...questions(bucket).map(
      (what): Import => ({
        name: what,
        type: 'service',
        account,
        subject: `${API}.${what}`,
        local_subject: `${API}.${what}`,
      }),
    ),
    { name: `news of ${bucket}`, type: 'stream', account, subject: bucketSubject(bucket) },
  ]);

/** `writer`: an operator. `maker`: whoever holds the fleet's keys, for the moment in which the buckets are made. */
export type StoreRole = 'writer' | 'maker';

/** A domain's put is a request below its API; the server maps it to the plain subject. */
const writing = (bucket: Bucket): string[] => [`${DOMAIN_API}.$KV.${bucket}.>`, `$KV.${bucket}.>`];

/**
 * Whoever makes a stream decides what it hears, and in whose name it repeats that: no operator does. Nor may anybody create a consumer
 * or read a message directly, which makes the server publish stored bytes to a subject of the asker's choice.
 */
export const storePublishes = (role: StoreRole): string[] =>
  role === 'maker'
    ? BUCKETS.flatMap((bucket) => ['CREATE', 'UPDATE', 'INFO'].flatMap((verb) => api(`STREAM.${verb}.KV_${bucket}`)))
    : BUCKETS.flatMap((bucket) => [...questions(bucket).flatMap(api), ...writing(bucket)]);
