/**
 * What the state charts do, on the bus, while somebody watches: each change of a state, not whole snapshots. A throwing inspector
 * would end the actor that it looks at, so nothing leaves this file; its own failures are counted.
 */
import type { AnyActorRef, InspectionEvent } from 'xstate';
import type { Bus } from '../transport/bus.ts';
import type { Clock } from './ports.ts';

interface Change {
  readonly actor: string;
  readonly event: string;
  readonly state: string;
}

/** Ids from the root down; session ids of XState differ from run to run. */
const pathOf = (ref: AnyActorRef): string => {
  const parent = ref._parent;
  return parent ? `${pathOf(parent)}/${ref.id}` : ref.id;
};

export class Inspector {
  readonly #bus: () => Bus;
  readonly #subject: string;
  readonly #clock: Clock;
  readonly #states = new Map<string, string>();
  #subscription: { unsubscribe(): void } | null = null;
  #count = 0;
  failures = 0;

  constructor(bus: () => Bus, subject: string, clock: Clock) {
    this.#bus = bus;
    this.#subject = subject;
    this.#clock = clock;
  }

  attach(root: AnyActorRef): void {
    this.#subscription ??= root.system.inspect({ next: (event) => this.#see(event) });
  }

  detach(): void {
    this.#subscription?.unsubscribe();
    this.#subscription = null;
    this.#states.clear();
  }

  #see(event: InspectionEvent): void {
    try {
      const change = this.#change(event);
      if (change) this.#bus().publish(this.#subject, { v: 1, n: ++this.#count, at: this.#clock.now(), ...change });
    } catch {
      this.failures++;
    }
  }

  /** Null: nothing that a chart would show. */
  #change(event: InspectionEvent): Change | null {
    if (event.type !== '@xstate.snapshot' || !('value' in event.snapshot)) return null;
    const actor = pathOf(event.actorRef as AnyActorRef);
    const state = JSON.stringify(event.snapshot.value);
    if (this.#states.get(actor) === state) return null;
    this.#states.set(actor, state);
    return { actor, event: event.event.type, state };
  }
}
