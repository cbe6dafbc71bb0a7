/** The effects of clock-offset.ts: a question to the reference over the bus, and the answer to those who ask this host. */
import { fromPromise } from 'xstate';
import type { ClockExchange } from '../machines/clock-filter.ts';
import { clockOffsetMachine } from '../machines/clock-offset.ts';
import { TokenBucket } from '../rules/token-bucket.ts';
import type { Body, Bus, Endpoint } from '../transport/bus.ts';
import { FaultError, failure, succeeded } from '../transport/errors.ts';
import { clockSubject } from '../transport/subjects.ts';
import type { Host, Ids, Log } from './ports.ts';

const ASK_MS = 2_500;

export interface ClockOffsetParts {
  readonly bus: Bus;
  readonly place: { readonly host: string; readonly uid: number };
  readonly host: Pick<Host, 'clockOffsetNs' | 'monotonicNs'>;
  readonly ids: Ids;
  readonly log: Log;
  /** What happened to the clock, for whoever listens. */
  publish(what: string, body: Body): void;
}

const whole = (value: unknown): bigint | null => {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  return typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? BigInt(value) : null;
};

const ask = async ({ bus, place, host, ids }: ClockOffsetParts, reference: string): Promise<ClockExchange> => {
  const ownNs = host.clockOffsetNs();
  const askedNs = host.monotonicNs();
  const reply = await bus.request(clockSubject({ uid: place.uid, host: reference }), { v: 1, id: ids.hex(8) }, ASK_MS);
  const receivedNs = host.monotonicNs();
  if (!reply.ok) throw new FaultError(reply.fault);
  const [heardNs, answeredNs] = [whole(reply.body.heardNs), whole(reply.body.answeredNs)];
  if (heardNs === null || answeredNs === null) {
    throw failure('bad-message', { field: 'heardNs, answeredNs', cause: 'they are nanoseconds of real time' });
  }
  return { askedNs, heardNs, answeredNs, receivedNs, ownNs, referenceNs: whole(reply.body.offsetNs) };
};

export const provideClockOffset = (parts: ClockOffsetParts) =>
  clockOffsetMachine.provide({
    actors: {
      askReference: fromPromise(({ input }) => ask(parts, input.reference)),
    },
    actions: {
      readClock: ({ self }) => self.send({ type: 'ClockSeen', realOffsetNs: parts.host.clockOffsetNs() }),
      markClock: ({ context }, { what, cause }) => {
        const fields = { reference: context.reference, cause };
        parts.log.warn(`clock: ${what}`, fields);
        if (what !== 'unanswered') parts.publish(what, fields);
      },
    },
  });

/** So many questions each second cost a processor less than a hundredth of its time, and come from 4000 hosts. */
const ANSWERS_PER_SECOND = 1_000;

/** Every host answers for its own clock; who asks whom is the askers' choice. What is asked beyond all reason is not answered. */
export const clockEndpoint = ({ place, host }: Pick<ClockOffsetParts, 'place' | 'host'>): Endpoint => {
  const allowed = new TokenBucket(ANSWERS_PER_SECOND);
  return {
    name: 'clock',
    subject: clockSubject({ uid: place.uid, host: place.host }),
    schema: {},
    handle: async () => {
      const heardNs = host.monotonicNs();
      if (!allowed.take(heardNs)) return null;
      // One reading for both: askers tell from it that the clock was set, and by how much.
      const offsetNs = host.clockOffsetNs();
      return succeeded({ heardNs: heardNs + offsetNs, answeredNs: host.monotonicNs() + offsetNs, offsetNs });
    },
  };
};
