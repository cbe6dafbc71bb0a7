/** docs/states.md from the machines: one table per machine, one line per transition. */
import { declaredStates, declaredTransitions, MACHINES } from './machine-transitions.ts';

const PURPOSE: Readonly<Record<keyof typeof MACHINES, string>> = {
  'session-daemon': 'The root of the session daemon (machines/session-daemon.ts).',
  session: 'A recording session, one per document (machines/session.ts, session-operations.ts).',
  channel: 'A channel of a session (machines/channel.ts).',
  'ring-registry': 'The rings and event ids of one session x user or process (machines/ring-registry.ts).',
  rotation: 'The rotation of a session, its schedules, and clearing; a child of the session (machines/rotation.ts).',
  application: 'An instrumented program on its registration socket (machines/application.ts).',
  consumer: 'The supervision of one owner’s consumer process, in the session daemon (machines/consumer.ts).',
  'consumer-process': 'The root of the consumer process (machines/consumer-process.ts).',
  freeze: 'A session’s flight recorder in the consumer process: it stops the rings and lets them go (machines/freeze.ts).',
  trigger: 'A condition and what is done when it is met (machines/trigger.ts).',
  relay: 'The root of a relay process (machines/relay.ts).',
  'relay-link': 'One opening of a link at a relay (machines/relay-link.ts).',
  link: 'What carries a session’s spool to a relay, in the consumer process (machines/link.ts).',
  viewer: 'One connection to the live port of a relay (machines/viewer.ts).',
  'fleet-member': 'A session daemon as a member of a fleet; only where there is one (machines/fleet-member.ts).',
  'fleet-operation': 'One command for many hosts, in whoever gives it (machines/fleet-operation.ts).',
  'fleet-session': 'The sessions that the fleet wants of a host; only where there is one (machines/fleet-session.ts).',
  host: 'A host of the fleet, as another one hears it (machines/host.ts).',
  lease: 'What a host prepared for an operation of the fleet (machines/lease.ts).',
  'clock-offset': 'A host’s clock against the fleet’s reference (machines/clock-offset.ts, clock-filter.ts).',
  stream: 'One ring set in the consumer process; its state is the plan of the reader thread (machines/stream.ts).',
};

const cell = (text: string): string => text.replaceAll('|', '\\|');

const row = (machine: string, { state, event, name }: { state: string; event: string; name: string }): string => {
  const place = state === machine ? '(anywhere)' : state.slice(machine.length + 1);
  const target = name.slice(name.lastIndexOf(' -> ') + 4);
  const shown = target.startsWith('(') ? `stays: ${target.slice(1, -1)}` : target.replace(/^#[^.]+\.?|^\./, '');
  return `| ${cell(place)} | ${cell(event || '(at once)')} | ${cell(shown)} |`;
};

const section = (machine: keyof typeof MACHINES): string => {
  const states = declaredStates().filter((state) => state.machine === machine && state.config.states === undefined);
  const names = states.map(({ id }) => `\`${id.slice(machine.length + 1)}\``).join(', ');
  const rows = declaredTransitions()
    .filter((transition) => transition.machine === machine)
    .map((transition) => row(machine, transition));
  return [
    `## ${machine}`,
    PURPOSE[machine],
    '',
    `States: ${names}.`,
    '',
    '| in | on | goes to |',
    '|---|---|---|',
    ...rows,
  ].join('\n');
};

export const statesTable = (): string =>
  [
    '# States',
    '',
    'Generated from the machines by `WEFT_WRITE=1 npm test -- test/unit/machine-states.test.ts`; the same test says when it is out of',
    'date. `after X` is the named delay X, `done A` and `error A` are the end of the invoked actor A.',
    '',
    ...(Object.keys(MACHINES) as (keyof typeof MACHINES)[]).flatMap((machine) => [section(machine), '']),
  ].join('\n');
