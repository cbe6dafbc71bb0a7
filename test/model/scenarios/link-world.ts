/** A link of the in-memory world: how it is opened, what it has sent, and what it says of itself. */
import assert from 'node:assert/strict';
import type { Body, Reply } from '../../../transport/bus.ts';
import { consumerSubject } from '../../../transport/subjects.ts';
import { FakeRelay } from '../../support/fake-relay.ts';
import type { World } from '../../support/world/world.ts';
import { OUT, recording } from './scenario.ts';

export const RELAY_URL = 'relay:///below';

export const ask = async (world: World, verb: string, body: Body): Promise<Reply> => {
  let reply: Reply | null = null;
  const subject = consumerSubject({ host: 'host', uid: 1000, owner: 1000, verb });
  void world
    .connectBus()
    .request(subject, { v: 1, id: verb, ...body }, 100_000)
    .then((answer) => {
      reply = answer;
    });
  await world.until(`an answer to ${verb}`, () => reply !== null, 110_000);
  return reply!;
};

export const done = async (world: World, verb: string, body: Body): Promise<Body> => {
  const reply = await ask(world, verb, body);
  assert.ok(reply.ok, reply.ok ? '' : reply.fault.message);
  return reply.body;
};

export const idOf = (world: World): string => world.document('s')!.id;

export const openLink = (world: World, more: Body = {}): Promise<Body> =>
  done(world, 'link-open', {
    session: idOf(world),
    sessionName: 's',
    output: OUT,
    destination: { kind: 'relay', url: RELAY_URL },
    liveTimerUs: null,
    hostname: 'host',
    createdAt: '2026-01-01T00:00:00Z',
    compress: false,
    spoolLimit: 1 << 30,
    tracefiles: [],
    ...more,
  });

export const relayOf = async (world: World, change: (relay: FakeRelay) => void = () => {}): Promise<FakeRelay> => {
  const relay = new FakeRelay();
  change(relay);
  await relay.start(world.connectBus());
  return relay;
};

export const flush = (world: World): Promise<Body> => done(world, 'flush', { session: idOf(world) });

export const stateOf = (world: World): string => {
  const ref = world.consumers[0]!.parts.root.getSnapshot().context.links[idOf(world)];
  return ref ? JSON.stringify(ref.getSnapshot().value).replaceAll(/["{}]/g, '') : 'none';
};

export const inState = (world: World, pattern: RegExp, ms = 30_000): Promise<void> =>
  world.until(`the link is ${pattern}`, () => pattern.test(stateOf(world)), ms);

export const numbersAt = (relay: FakeRelay): number[] =>
  [...relay.streams.values()].flatMap((held) => held.map(({ number }) => number));

export const ackSubject = ({ opens }: FakeRelay): string => `weft.v1.relay.relay1.ack.host.1000.1000.${String(opens[0]!.link)}`;

/** A program that records, a link that is open. */
export const linked = async (world: World, more: Body = {}, change: (relay: FakeRelay) => void = () => {}) => {
  const program = await recording(world);
  const relay = await relayOf(world, change);
  await openLink(world, more);
  await inState(world, /line:open/);
  return { program, relay };
};

export const sent = async (world: World, relay: FakeRelay, numbers: readonly number[]): Promise<void> => {
  await world.until('the relay has all', () => numbersAt(relay).length === numbers.length, 60_000);
  assert.deepEqual(numbersAt(relay), numbers);
  assert.deepEqual(relay.complaints, []);
};
