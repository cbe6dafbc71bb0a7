/** Every transition that the machines declare: named, and removable for as long as a test wants to see what misses it. */
import { applicationMachine } from '../../machines/application.ts';
import { channelMachine } from '../../machines/channel.ts';
import { clockOffsetMachine } from '../../machines/clock-offset.ts';
import { consumerMachine } from '../../machines/consumer.ts';
import { consumerProcessMachine } from '../../machines/consumer-process.ts';
import { fleetMemberMachine } from '../../machines/fleet-member.ts';
import { fleetOperationMachine } from '../../machines/fleet-operation.ts';
import { fleetSessionMachine } from '../../machines/fleet-session.ts';
import { freezeMachine } from '../../machines/freeze.ts';
import { hostMachine } from '../../machines/host.ts';
import { leaseMachine } from '../../machines/lease.ts';
import { linkMachine } from '../../machines/link.ts';
import { relayMachine } from '../../machines/relay.ts';
import { relayLinkMachine } from '../../machines/relay-link.ts';
import { ringRegistryMachine } from '../../machines/ring-registry.ts';
import { rotationMachine } from '../../machines/rotation.ts';
import { sessionMachine } from '../../machines/session.ts';
import { sessionDaemonMachine } from '../../machines/session-daemon.ts';
import { streamMachine } from '../../machines/stream.ts';
import { triggerMachine } from '../../machines/trigger.ts';
import { viewerMachine } from '../../machines/viewer.ts';

export const MACHINES = {
  'session-daemon': sessionDaemonMachine,
  session: sessionMachine,
  channel: channelMachine,
  'ring-registry': ringRegistryMachine,
  rotation: rotationMachine,
  application: applicationMachine,
  consumer: consumerMachine,
  'consumer-process': consumerProcessMachine,
  stream: streamMachine,
  link: linkMachine,
  freeze: freezeMachine,
  trigger: triggerMachine,
  'clock-offset': clockOffsetMachine,
  relay: relayMachine,
  'relay-link': relayLinkMachine,
  viewer: viewerMachine,
  'fleet-member': fleetMemberMachine,
  'fleet-operation': fleetOperationMachine,
  'fleet-session': fleetSessionMachine,
  host: hostMachine,
  lease: leaseMachine,
} as const;

type Config = Record<string, unknown>;

/** A state as its machine declares it. */
export interface DeclaredState {
  readonly machine: string;
  /** `#machine.path` without the `#`. */
  readonly id: string;
  readonly config: Config;
}

export interface DeclaredTransition {
  readonly machine: string;
  readonly state: string;
  /** As XState calls it: an event type, `after DELAY`, `done ACTOR`, `error ACTOR`, or nothing (always). */
  readonly event: string;
  readonly branch: number;
  readonly name: string;
  /** Takes it out of the machine's definition; the returned function puts it back. */
  remove(): () => void;
  /** Takes only its guard away. */
  removeGuard(): () => void;
}

const record = (value: unknown): Config => (typeof value === 'object' && value !== null ? (value as Config) : {});

export const statesOf = (machine: string, config: Config, id: string): DeclaredState[] => [
  { machine, id, config },
  ...Object.entries(record(config.states)).flatMap(([name, child]) => statesOf(machine, record(child), `${id}.${name}`)),
];

export const declaredStates = (): DeclaredState[] =>
  Object.entries(MACHINES).flatMap(([name, machine]) => statesOf(name, machine.config as Config, name));

const invokesOf = (config: Config): Config[] => (config.invoke === undefined ? [] : [config.invoke].flat().map(record));

/** Where the transitions of one state stand: the object and the key that hold them. */
const placesOf = (config: Config): { readonly holder: Config; readonly key: string; readonly event: string }[] => [
  ...Object.keys(record(config.on)).map((key) => ({ holder: record(config.on), key, event: key })),
  ...Object.keys(record(config.after)).map((key) => ({ holder: record(config.after), key, event: `after ${key}` })),
  ...(config.always === undefined ? [] : [{ holder: config, key: 'always', event: '' }]),
  ...invokesOf(config).flatMap((invoke) => [
    { holder: invoke, key: 'onDone', event: `done ${String(invoke.id)}` },
    { holder: invoke, key: 'onError', event: `error ${String(invoke.id)}` },
  ]),
];

const removal = (holder: Config, key: string, branch: number) => (): (() => void) => {
  const before = holder[key];
  const rest = [before].flat().filter((_, at) => at !== branch);
  if (rest.length > 0) holder[key] = rest;
  else delete holder[key];
  return () => {
    holder[key] = before;
  };
};

const guardRemoval = (holder: Config, key: string, branch: number) => (): (() => void) => {
  const before = holder[key];
  holder[key] = [before].flat().map((one, at) => {
    if (at !== branch) return one;
    const { guard, ...rest } = record(one);
    if (guard === undefined) throw new Error(`${key} [${branch}] has no guard`);
    return rest;
  });
  return () => {
    holder[key] = before;
  };
};

const targetOf = (transition: unknown): string => {
  const { target, actions } = typeof transition === 'string' ? { target: transition, actions: undefined } : record(transition);
  if (target !== undefined) return String(target);
  const types = [actions].flat().map((action) => (typeof action === 'string' ? action : String(record(action).type)));
  return `(${types.join(', ')})`;
};

export const declaredTransitions = (): DeclaredTransition[] =>
  declaredStates().flatMap(({ machine, id, config }) =>
    placesOf(config).flatMap(({ holder, key, event }) =>
      [holder[key]].flat().map((transition, branch) => ({
        machine,
        state: id,
        event,
        branch,
        name: `${id}: ${event || 'always'}${branch > 0 ? ` [${branch}]` : ''} -> ${targetOf(transition)}`,
        remove: removal(holder, key, branch),
        removeGuard: guardRemoval(holder, key, branch),
      })),
    ),
  );
