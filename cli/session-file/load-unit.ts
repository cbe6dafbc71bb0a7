/** One file's sessions and triggers, made by the ordinary commands. */
import { isDeepStrictEqual } from 'node:util';
import { FaultError, failure } from '../../transport/errors.ts';
import type { CommandName } from '../../transport/messages.ts';
import type { TriggerView } from '../../transport/trigger-messages.ts';
import type { Environment } from '../command.ts';
import type { Unit } from './load-plan.ts';
import type { SavedTrigger } from './model.ts';
import { type Step, savedTrigger, startSteps, stepsOf, triggerStep } from './steps.ts';

export type Asks = Pick<Environment, 'request'>;

/** Those that are not there yet, perhaps from another file; one that is there under this name must be the same. */
const newTriggers = (unit: Unit, present: readonly TriggerView[]): readonly SavedTrigger[] =>
  unit.triggers.filter((trigger) => {
    const known = present.find(({ name, owner }) => name === trigger.name && owner.uid === process.getuid?.());
    if (!known || isDeepStrictEqual(savedTrigger(known), trigger)) return !known;
    const cause = `there is another trigger \`${trigger.name}\` already: remove it, or give --no-triggers`;
    throw failure('load-failed', { file: unit.path, ...unit.placeOf(trigger), cause });
  });

/** All of it or nothing; sessions of these names that are `present` are destroyed first. */
export const loadUnit = async (environment: Asks, unit: Unit, present: ReadonlySet<string>): Promise<void> => {
  const undo: (() => Promise<unknown>)[] = [];
  const run = async <C extends CommandName>(step: Step<C>): Promise<void> => {
    try {
      await environment.request(step.name, step.fields as Parameters<typeof environment.request<C>>[1]);
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      throw failure('load-failed', { file: unit.path, ...unit.placeOf(step.part), cause: error.fault.message });
    }
  };
  const known = unit.triggers.length > 0 ? (await environment.request('trigger.list', {})).triggers : [];
  const triggers = newTriggers(unit, known);
  for (const { name } of unit.sessions) if (present.has(name)) await environment.request('session.destroy', { session: name });
  try {
    for (const session of unit.sessions) {
      for (const step of stepsOf(session)) {
        await run(step);
        if (step.name === 'session.create') undo.push(() => environment.request('session.destroy', { session: session.name }));
      }
    }
    for (const trigger of triggers) {
      await run(triggerStep(trigger));
      undo.push(() => environment.request('trigger.remove', { name: trigger.name }));
    }
    for (const step of unit.sessions.flatMap(startSteps)) await run(step);
  } catch (error) {
    for (const back of undo.reverse()) await back().catch(() => {});
    throw error;
  }
};
