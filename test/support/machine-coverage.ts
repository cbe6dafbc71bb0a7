/** Runs scenarios in the in-memory world and sees which declared transitions they take. */
import type { InspectionEvent } from 'xstate';
import type { Scenario } from '../model/scenarios/scenario.ts';
import { World } from './world/world.ts';

/** What XState says about a transition that was taken. */
interface Taken {
  readonly source: {
    readonly id: string;
    readonly always?: readonly unknown[];
    readonly transitions: ReadonlyMap<string, readonly unknown[]>;
  };
  readonly eventType: string;
}

/** `xstate.after.DELAY.STATE`, `xstate.done.actor.ID`, `xstate.error.actor.ID` in the words of the declaration. */
const declaredEvent = (eventType: string, state: string): string => {
  if (eventType.startsWith('xstate.after.')) return `after ${eventType.slice('xstate.after.'.length, -state.length - 1)}`;
  if (eventType.startsWith('xstate.done.actor.')) return `done ${eventType.slice('xstate.done.actor.'.length)}`;
  if (eventType.startsWith('xstate.error.actor.')) return `error ${eventType.slice('xstate.error.actor.'.length)}`;
  return eventType;
};

/** The same for a declared and for a taken transition. */
export const transitionKey = (state: string, event: string, branch: number): string => `${state}|${event}|${branch}`;

const keyOf = (taken: Taken): string => {
  const { source, eventType } = taken;
  const branches = eventType === '' ? (source.always ?? []) : (source.transitions.get(eventType) ?? []);
  return transitionKey(source.id, declaredEvent(eventType, source.id), branches.indexOf(taken));
};

export interface Run {
  readonly taken: ReadonlySet<string>;
  readonly failure: string | null;
}

/** A scenario fails when it throws, or when an actor of the system died of an error. */
export const runScenario = async ({ run }: Scenario): Promise<Run> => {
  const taken = new Set<string>();
  const world = new World((event: InspectionEvent) => {
    if (event.type !== '@xstate.microstep') return;
    for (const transition of event._transitions) taken.add(keyOf(transition as unknown as Taken));
  });
  try {
    await run(world);
    return { taken, failure: world.crashes[0] ?? null };
  } catch (thrown) {
    return { taken, failure: thrown instanceof Error ? thrown.message : String(thrown) };
  } finally {
    world.end();
  }
};
