/**
 * `weft autoload`, which a session daemon that starts runs: saved sessions of a path, or of the directories for that. What it prints goes
 * into the daemon's log. Nobody types this.
 */
import { FaultError } from '../transport/errors.ts';
import type { CommandAnswer, CommandFields, CommandName } from '../transport/messages.ts';
import { Daemon } from './connect.ts';
import { parseOptions } from './options.ts';
import { filesAtStart, unitAtStart } from './session-file/load-plan.ts';
import { type Asks, loadUnit } from './session-file/load-unit.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const asking = (daemon: Daemon): Asks => ({
  request: async <C extends CommandName>(name: C, fields: CommandFields<C>) =>
    (await daemon.request(name, fields)) as CommandAnswer<C>,
});

/** A file that fails keeps no other from being loaded. */
const loadFile = async (asks: Asks, path: string): Promise<void> => {
  const { sessions } = await asks.request('session.list', {});
  const present = new Set(sessions.map(({ name }) => name));
  const unit = unitAtStart(path, present);
  if (!unit) return;
  await loadUnit(asks, unit, present);
  for (const { name } of unit.sessions) say(`Session ${name} has been loaded from ${path}`);
};

export const autoload = async (argv: readonly string[]): Promise<number> => {
  let status = 0;
  const { parsed } = parseOptions([{ long: 'load', value: 'PATH', help: 'A file or directory' }], argv);
  const daemon = await Daemon.connect({ env: process.env, group: '', start: false, own: true });
  try {
    for (const path of filesAtStart(process.env, parsed.get('load') ?? null)) {
      await loadFile(asking(daemon), path).catch((thrown: unknown) => {
        if (!(thrown instanceof FaultError)) throw thrown;
        say(`Error: ${thrown.fault.message} ${thrown.fault.hint}`);
        status = 1;
      });
    }
  } finally {
    await daemon.close();
  }
  return status;
};
