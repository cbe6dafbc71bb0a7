/** What happened, for whoever listens: numbered per publisher from 1 without a gap, so that a listener sees what it missed. */
import type { Body, Bus } from '../transport/bus.ts';
import { eventSubject, type Place } from '../transport/subjects.ts';
import type { Clock } from './ports.ts';

export interface Happened {
  readonly noun: string;
  readonly name: string;
  readonly what: string;
}

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

  /** While the bus is cut the number grows all the same: the gap tells. */
  publish(owner: string | number, noun: string, name: string, what: string, body: Body = {}): void {
    for (const observer of this.#observers) observer({ noun, name, what });
    const subject = eventSubject({ ...this.#place, owner, noun, name, what });
    this.#bus()?.publish(subject, { ...body, v: 1, n: ++this.#count, at: this.#clock.now() });
  }
}
