/** fleet: the fleet that this host belongs to, and the sessions that a fleet has. */
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FaultError } from '../../transport/errors.ts';
import { readFleet } from '../../transport/fleet-file.ts';
import type { Command, Environment, Outcome } from '../command.ts';
import { UsageError } from '../options.ts';
import { HELP, noMoreWords } from './shared.ts';

const WAIT_MS = 10_000;
const LOOK_EVERY_MS = 50;
/** A leaf that lost its server tries again each second. */
const REACH_MS = 5_000;
const ASK_EVERY_MS = 250;

/** The server of this host starts anew behind the answer: who gives the next command is not to meet that. */
const settled = async (environment: Environment, host: string | null): Promise<boolean> => {
  for (const deadline = Date.now() + WAIT_MS; Date.now() < deadline; await delay(LOOK_EVERY_MS)) {
    try {
      const { hosts } = await environment.request('hosts.list', {});
      if (hosts.some((one) => one.host === host && one.state === 'ready')) return true;
    } catch (thrown) {
      if (!(thrown instanceof FaultError)) throw thrown;
      if (host === null && thrown.fault.code === 'not-in-a-fleet') return true;
    }
  }
  return false;
};

const notesOf = (done: boolean): string[] =>
  done ? [] : [`Warning: its bus has not come back within ${WAIT_MS / 1000} s; see log/bus.log in the state directory`];

/** This host's bus serves whether it found the fleet or not. Null: it did. */
const unreached = async (environment: Environment): Promise<string | null> => {
  let cause = 'it does not answer';
  for (const deadline = Date.now() + REACH_MS; Date.now() < deadline; await delay(ASK_EVERY_MS)) {
    try {
      const answer = await environment.request('fleet.reach', {});
      if (answer.reached) return null;
      cause = answer.cause ?? cause;
    } catch (thrown) {
      if (!(thrown instanceof FaultError)) throw thrown;
      cause = thrown.fault.message;
    }
  }
  return cause;
};

/** Without the name and password that a URL may have. */
const placeOf = (url: string): string => {
  const { host } = new URL(url);
  return host || url;
};

const unreachedNotes = (urls: readonly string[], cause: string): string[] => [
  `Warning: no server of the fleet was reached at ${urls.map(placeOf).join(', ')} within ${REACH_MS / 1000} s: ${cause}`,
  '  This host goes on trying. Is the address right, the server up, its leaf port (7422) open, and the key not revoked? log/bus.log in the state directory has what the server said.',
];

const join = async (environment: Environment): Promise<Outcome> => {
  noMoreWords(environment, 2);
  const [, file] = environment.options.words;
  if (file === undefined) throw new UsageError('A file that describes the fleet is needed: fleet join FILE');
  const wanted = readFleet(resolve(file));
  const { domain, host } = await environment.request('fleet.join', { fleet: wanted });
  const back = await settled(environment, host);
  const cause = back ? await unreached(environment) : null;
  const notes = cause === null ? notesOf(back) : unreachedNotes(wanted.urls, cause);
  const lines = [`Host ${host} joins the fleet; see: weft hosts`];
  return {
    lines,
    json: { joined: true, domain, host, reached: notes.length === 0 },
    notes,
    status: notes.length === 0 ? 0 : 4,
  };
};

const leave = async (environment: Environment): Promise<Outcome> => {
  noMoreWords(environment, 1);
  await environment.request('fleet.leave', {});
  const notes = notesOf(await settled(environment, null));
  return { lines: ['This host leaves the fleet; its sessions go on'], json: { joined: false }, notes };
};

const ACTIONS: Readonly<Record<string, (environment: Environment) => Promise<Outcome>>> = {
  join,
  leave,
  init: async (environment) => {
    noMoreWords(environment, 1);
    return (await import('../fleet-store.ts')).init(environment);
  },
  apply: async (environment) => (await import('../fleet-sessions.ts')).apply(environment),
  list: async (environment) => (await import('../fleet-sessions.ts')).list(environment),
  status: async (environment) => (await import('../fleet-sessions.ts')).status(environment),
  delete: async (environment) => (await import('../fleet-sessions.ts')).remove(environment),
};

export const fleet: Command = {
  name: 'fleet',
  summary: 'Join or leave a fleet; declare sessions of a fleet',
  usage:
    'fleet (join FILE | leave | init | apply FILE | list | status [NAME] | delete NAME) [--fleet-creds=DIRECTORY] [--uid=UID] [--dir=DIR]',
  textOnly: true,
  options: [
    ...HELP,
    { long: 'fleet-creds', value: 'DIRECTORY', help: "An operator's key, as `weft keys` made it (default: $WEFT_FLEET)" },
    { long: 'dir', value: 'DIR', help: 'init, first apply: directory of the fleet’s keys (default: WEFT_KEYS)' },
    { long: 'uid', value: 'UID', help: 'Of the session daemons that are meant (default: your own)' },
  ],
  async run(environment) {
    const [action = ''] = environment.options.words;
    const act = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (!act) throw new UsageError(`An action is needed: ${Object.keys(ACTIONS).join(', ')}`);
    return act(environment);
  },
};
