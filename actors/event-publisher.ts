/** What happened, for whoever listens: numbered per publisher from 1 without a gap, so that a listener sees what it missed. */
import type { Body, Bus } from '../transport/bus.ts';
import { eventSubject, type Place } from '../transport/subjects.ts';
import type { Clock } from './ports.ts';

export class EventPublisher {
  readonly #place: Place;
  readonly #clock: Clock;
  readonly #bus: () => Bus | null;
  #count = 0;

  constructor(place: Place, clock: Clock, bus: () => Bus | null) {
    this.#place = place;
    this.#clock = clock;
    this.#bus = bus;
  }

  /** While the bus is cut the number grows all the same: the gap tells. */
  publish(owner: string | number, noun: string, name: string, what: string, body: Body = {}): void {
    const subject = eventSubject({ ...this.#place, owner, noun, name, what });
    this.#bus()?.publish(subject, { ...body, v: 1, n: ++this.#count, at: this.#clock.now() });
  }
}
