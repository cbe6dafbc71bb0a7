/** fleet: the fleet that this host belongs to, and the sessions that a fleet has. */
import { resolve } from 'node:path';
import { readFleet } from '../../transport/fleet-file.ts';
import type { Command, Environment, Outcome } from '../command.ts';
import { UsageError } from '../options.ts';
import { HELP, noMoreWords } from './shared.ts';

const join = async (environment: Environment): Promise<Outcome> => {
  noMoreWords(environment, 2);
  const [, file] = environment.options.words;
  if (file === undefined) throw new UsageError('A file that describes the fleet is needed: fleet join FILE');
  const { domain } = await environment.request('fleet.join', { fleet: readFleet(resolve(file)) });
  return { lines: ['The bus of this host joins the fleet; see: weft hosts'], json: { joined: true, domain } };
};

const leave = async (environment: Environment): Promise<Outcome> => {
  noMoreWords(environment, 1);
  await environment.request('fleet.leave', {});
  return { lines: ['This host leaves the fleet; its sessions go on'], json: { joined: false } };
};

const ACTIONS: Readonly<Record<string, (environment: Environment) => Promise<Outcome>>> = {
  join,
  leave,
  apply: async (environment) => (await import('../fleet-sessions.ts')).apply(environment),
  list: async (environment) => (await import('../fleet-sessions.ts')).list(environment),
  status: async (environment) => (await import('../fleet-sessions.ts')).status(environment),
  delete: async (environment) => (await import('../fleet-sessions.ts')).remove(environment),
};

export const fleet: Command = {
  name: 'fleet',
  summary: 'Join or leave a fleet; declare sessions of a fleet',
  usage: 'fleet (join FILE | leave | apply FILE | list | status [NAME] | delete NAME) [--fleet-creds=DIRECTORY] [--uid=UID]',
  textOnly: true,
  options: [
    ...HELP,
    { long: 'fleet-creds', value: 'DIRECTORY', help: "An operator's key, as `weft keys` made it (default: $WEFT_FLEET)" },
    { long: 'uid', value: 'UID', help: 'Of the session daemons that are meant (default: your own)' },
  ],
  async run(environment) {
    const [action = ''] = environment.options.words;
    const act = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (!act) throw new UsageError(`An action is needed: ${Object.keys(ACTIONS).join(', ')}`);
    return act(environment);
  },
};
