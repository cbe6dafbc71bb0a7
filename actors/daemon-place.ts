/** The place of a user's session daemon: who holds it, who ends it, and to whom it is left. */
import { mapGroupsOf } from '../machines/map-edits.ts';
import { failed, succeeded } from '../transport/errors.ts';
import type { Handler } from './commands.ts';
import type { DaemonParts } from './daemon-parts.ts';

/** The answer leaves before the bus is closed. */
const ANSWER_MS = 20;

const end = (parts: DaemonParts): void => {
  parts.ports.clock.setTimeout(() => parts.root.send({ type: 'ShutdownRequested' }), ANSWER_MS);
};

const shutdown: Handler<'daemon.shutdown'> = async (parts, caller) => {
  if (!caller.all) return failed('permission-denied', { what: 'ending a daemon that is not yours' });
  end(parts);
  return succeeded({});
};

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

/** Why it stays; null: nothing is lost when another one goes on with its documents. */
const stays = (parts: DaemonParts): string | null => {
  if (!parts.ports.forCommand) return 'it was started by `weft sessiond`';
  const { bootId } = parts.ports.host;
  const holding = parts.documents
    .all()
    .filter((one) => one.bootId === bootId)
    .filter((one) => one.registries.some(({ ringSets }) => ringSets.length > 0) || mapGroupsOf(one).length > 0);
  if (holding.length === 0) return null;
  return `a command started it, and it holds what ${counted(holding.length, 'session')} recorded`;
};

/** A daemon that was asked for by name (by systemd, say) takes the place of one that came about because a command needed one. */
const leave: Handler<'daemon.yield'> = async (parts, caller) => {
  if (!caller.all) return failed('permission-denied', { what: 'taking the place of a daemon that is not yours' });
  const { pid } = parts.ports.host;
  const why = stays(parts);
  if (why !== null) return failed('daemon-running', { pid, why });
  parts.ports.log.info('leaving the place to a daemon that was asked for by name');
  end(parts);
  return succeeded({ pid });
};

export const PLACE_HANDLERS: { readonly [C in 'daemon.shutdown' | 'daemon.yield']: Handler<C> } = {
  'daemon.shutdown': shutdown,
  'daemon.yield': leave,
};
