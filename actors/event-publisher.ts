/** What happened, for whoever listens: numbered per publisher from 1 without a gap, so that a listener sees what it missed. */
import type { Body, Bus } from '../transport/bus.ts';
import { eventSubject, type Place } from '../transport/subjects.ts';
import type { Clock } from './ports.ts';

export interface Happened {
  readonly noun: string;
  readonly name: string;
  readonly what: string;
}

/** Whole numbers as a reader of msgpack finds them: numbers where these are exact, and only else what the codec makes of 64 bits. */
const eased = (value: unknown): unknown => {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (Array.isArray(value)) return value.map(eased);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, eased(entry)]));
};

export class EventPublisher {
  readonly #place: Place;
  readonly #clock: Clock;
  readonly #bus: () => Bus | null;
  #count = 0;
  readonly #observers = new Set<(event: Happened) => void>();

  constructor(place: Place, clock: Clock, bus: () => Bus | null) {
    this.#place = place;
    this.#clock = clock;
    this.#bus = bus;
  }

  /** Within this process, whether the bus is there or not. */
  observe(observer: (event: Happened) => void): void {
    this.#observers.add(observer);
  }

  /** In JSON, so that any tool can listen. While the bus is cut the number grows all the same: the gap tells. */
  publish(owner: string | number, noun: string, name: string, what: string, body: Body = {}): void {
    for (const observer of this.#observers) observer({ noun, name, what });
    const subject = eventSubject({ ...this.#place, owner, noun, name, what });
    this.#bus()?.publish(subject, { ...(eased(body) as Body), v: 1, n: ++this.#count, at: this.#clock.now() }, 'json');
  }
}
