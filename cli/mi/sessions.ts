/** Sessions, and what is done to them, as elements. */
import type { Schedules, SnapshotOutput } from '../../machines/document.ts';
import type { RelayPlace, SessionSummary, SessionView } from '../../transport/messages.ts';
import { domainElement } from './channels.ts';
import { type Element, element } from './xml.ts';

const isTrue = (value: boolean): number => (value ? 1 : 0);

const summary = ({ name, output, active, snapshot, destination, liveTimerUs }: SessionSummary): Element[] => [
  element('name', name),
  element('path', destination ?? output),
  element('enabled', active),
  element('snapshot_mode', isTrue(snapshot !== null)),
  element('live_timer_interval', liveTimerUs ?? 0),
  element('trace_format', 'CTF_1_8'),
];

const snapshotElement = ({ id, name, path, maxSize }: SnapshotOutput): Element =>
  element('snapshot', [
    element('id', id),
    element('name', name),
    element('ctrl_url', path),
    element('data_url', ''),
    element('max_size', maxSize),
  ]);

const snapshots = (outputs: readonly SnapshotOutput[]): Element => element('snapshots', outputs.map(snapshotElement));

export const created = (session: SessionSummary): Element[] => [
  element('session', [...summary(session), ...(session.snapshot ? [snapshots(session.snapshot.outputs)] : [])]),
];

export const sessionList = (sessions: readonly SessionSummary[]): Element[] => [
  element(
    'sessions',
    sessions.map((session) => element('session', summary(session))),
  ),
];

/** `enabled`: null for those that are no more. */
export const sessionNames = (names: readonly string[], enabled: boolean | null): Element[] => [
  element(
    'sessions',
    names.map((name) =>
      element('session', [element('name', name), ...(enabled === null ? [] : [element('enabled', enabled)])]),
    ),
  ),
];

export const sessionSet = (name: string): Element[] => [element('sessions', [element('session', [element('name', name)])])];

const periodic = (us: number): Element => element('periodic', [element('time_us', us)]);
const sized = (bytes: number): Element => element('size_threshold', [element('bytes', bytes)]);

const scheduleElements = ({ timerUs, sizeBytes }: Schedules): Element[] => [
  ...(timerUs === null ? [] : [periodic(timerUs)]),
  ...(sizeBytes === null ? [] : [sized(sizeBytes)]),
];

export const sessionShown = (session: SessionView, domainsOnly: boolean): Element[] => {
  const schedules = scheduleElements(session.schedules);
  const shown = element('session', [
    ...summary(session),
    ...(schedules.length > 0 ? [element('rotation_schedules', schedules)] : []),
    element('domains', session.channels.length + session.mapChannels.length > 0 ? [domainElement(session, domainsOnly)] : []),
  ]);
  return [element('sessions', [shown])];
};

const locationElement = (location: string, relay: RelayPlace | null): Element =>
  relay
    ? element('relay', [
        element('host', relay.host),
        element('control_port', relay.controlPort),
        element('data_port', relay.dataPort),
        element('protocol', 'TCP'),
        element('relative_path', location),
      ])
    : element('local', [element('absolute_path', location)]);

export const rotated = (
  session: string,
  state: 'ongoing' | 'completed',
  location: string | null,
  relay: RelayPlace | null = null,
): Element[] => [
  element('rotation', [
    element('session_name', session),
    element('state', state.toUpperCase()),
    ...(location === null ? [] : [element('location', [locationElement(location, relay)])]),
  ]),
];

export const scheduleResults = (session: string, schedules: Schedules): Element[] => [
  element('rotation_schedule_results', [
    element('session_name', session),
    ...scheduleElements(schedules).map((one) =>
      element('rotation_schedule_result', [element('rotation_schedule', [one]), element('success', true)]),
    ),
  ]),
];

export const snapshotAction = (action: string, content: readonly Element[]): Element[] => [
  element('snapshot_action', [element('name', action), element('output', content)]),
];

/** In answers about one output its session stands beside it. */
export const outputAdded = (session: string, { id, name, path, maxSize }: SnapshotOutput): Element[] =>
  snapshotAction('add-output', [
    element('snapshot', [
      element('id', id),
      element('name', name),
      element('ctrl_url', path),
      element('session_name', session),
      element('max_size', maxSize),
    ]),
  ]);

export const outputDeleted = (session: string, { id }: SnapshotOutput): Element[] =>
  snapshotAction('del-output', [element('snapshot', [element('id', id), element('session_name', session)])]);

export const outputsListed = (session: string, outputs: readonly SnapshotOutput[]): Element[] =>
  snapshotAction('list-output', [element('session', [element('name', session), snapshots(outputs)])]);

/** `url`: null when the session's own output was used. */
export const recorded = (name: string | null, url: string | null, maxSize: number | null): Element[] =>
  snapshotAction('record', [
    element('snapshot', [
      ...(name === null ? [] : [element('name', name)]),
      ...(url === null ? [] : [element('ctrl_url', url)]),
      ...(maxSize === null ? [] : [element('max_size', maxSize)]),
    ]),
  ]);

export const regenerated = (object: string): Element[] => [element('regenerate_action', [element('name', object)])];
export const metadataDone = (verb: string): Element[] => [element('metadata_action', [element('name', verb)])];
