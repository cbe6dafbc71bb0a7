/** Triggers as the answers of commands show them. */
import type { TriggerView } from '../transport/trigger-messages.ts';
import type { DaemonParts } from './daemon-parts.ts';

export const triggerViewOf = (parts: DaemonParts, triggerId: string): TriggerView => {
  const { document, discarded, failures } = parts.triggers.at(triggerId);
  const { name, owner, condition, actions } = document;
  return {
    name,
    owner: { uid: owner.uid },
    condition: condition as TriggerView['condition'],
    actions: actions as TriggerView['actions'],
    errors: { condition: discarded, actions: [...failures] },
    occurrences: parts.trigger(triggerId)?.getSnapshot().context.occurrences ?? 0,
  };
};
