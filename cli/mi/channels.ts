/** Domains, channels, recording event rules, contexts and instrumentation points as elements. */
import type { EventRule, PointDescription } from '../../machines/document.ts';
import { DEFAULT_LOG_LEVEL, logLevelName } from '../../rules/loglevel.ts';
import type { MapChannelView } from '../../transport/map-messages.ts';
import type { ApplicationView, ChannelView, SessionView } from '../../transport/messages.ts';
import { trackersElement } from './trackers.ts';
import { type Element, element } from './xml.ts';

const bufferType = ({ channels }: SessionView): string =>
  channels[0]?.attributes.ownership === 'process' ? 'PER_PID' : 'PER_UID';

/** Older packets that were overwritten count by their events. */
const lost = ({ lost: causes, overwritten }: ChannelView['stats']): bigint =>
  Object.values(causes).reduce((sum, count) => sum + BigInt(count), BigInt(overwritten));

const reclaimPolicy = ({ reclaim: { policy, ageUs } }: ChannelView['attributes']): Element[] => {
  if (policy === 'off') return [];
  const how = policy === 'consumed' ? element('consumed') : element('periodic', [element('age_threshold', ageUs)]);
  return [element('reclaim_policy', [how])];
};

const upper = (text: string): string => text.toUpperCase().replaceAll('-', '_');

const attributesElement = ({ attributes, stats }: ChannelView): Element =>
  element('attributes', [
    element('overwrite_mode', upper(attributes.mode)),
    element('subbuffer_size', attributes.subbufSize),
    element('subbuffer_count', attributes.subbufCount),
    element('switch_timer_interval', attributes.switchTimerUs),
    element('read_timer_interval', attributes.readTimerUs),
    element('monitor_timer_interval', attributes.monitorTimerUs),
    element('blocking_timeout', attributes.blockingTimeoutUs),
    element('output_type', upper(attributes.output)),
    element('tracefile_size', attributes.tracefileSize),
    element('tracefile_count', attributes.tracefileCount),
    element('live_timer_interval', 0),
    element('discarded_events', lost(stats)),
    element('lost_packets', 0),
    element('watchdog_timer_interval', attributes.watchdogTimerUs),
    element('allocation_policy', upper(attributes.allocation)),
    element('preallocation_policy', upper(attributes.preallocation)),
    ...reclaimPolicy(attributes),
  ]);

const exclusionElement = (exclusion: string): Element => element('exclusion', exclusion);

const ruleContent = (rule: EventRule): Element[] => [
  element('name', rule.pattern),
  element('type', 'TRACEPOINT'),
  element('enabled', rule.enabled),
  ...(rule.filter === null ? [] : [element('filter_expression', rule.filter)]),
  ...(rule.logLevel === null
    ? []
    : [element('loglevel', logLevelName(rule.logLevel.level)), element('loglevel_type', upper(rule.logLevel.kind))]),
  element('exclusions', rule.exclusions.map(exclusionElement)),
];

const memoryElement = (channel: ChannelView): Element => {
  const bytes = (rings: readonly number[]) => rings.reduce((sum, one) => sum + one, 0);
  const total = (count: number) => element('total_memory_usage_bytes', count);
  const perCpu = channel.attributes.allocation === 'per-cpu';
  const sets = channel.memory.map(({ scope, rings }) =>
    element('data_stream_info_set', [
      scope.kind === 'user' ? element('uid', [element('id', scope.uid)]) : element('pid', [element('id', scope.pid)]),
      element('app_bitness', 64),
      total(bytes(rings)),
      element(
        'data_stream_info_list',
        rings.map((ring, cpu) =>
          element('data_stream_info', [...(perCpu ? [element('cpu_id', cpu)] : []), element('memory_usage_bytes', ring)]),
        ),
      ),
    ]),
  );
  return element('data_stream_info_sets', [total(bytes(channel.memory.flatMap(({ rings }) => rings))), element('sets', sets)]);
};

const channelElement = (channel: ChannelView): Element =>
  element('channel', [
    element('name', channel.name),
    element('enabled', channel.enabled),
    attributesElement(channel),
    element(
      'events',
      channel.rules.map((rule) => element('event', ruleContent(rule))),
    ),
    memoryElement(channel),
  ]);

export const mapChannelElement = (map: MapChannelView): Element =>
  element('map_channel', [
    element('name', map.name),
    element('enabled', true),
    element('key_type', 'string'),
    element('value_type', `signed-int-${map.bits}`),
    element('max_key_count', map.maxKeys),
    element('update_policy', map.updatePolicy),
    element('buffer_ownership', map.ownership === 'user' ? 'per-uid' : 'per-pid'),
    ...(map.deadProcesses === null ? [] : [element('dead_group_policy', map.deadProcesses)]),
  ]);

export const domainElement = (session: SessionView, typeOnly: boolean): Element =>
  element('domain', [
    element('type', 'UST'),
    element('buffer_type', bufferType(session)),
    ...(typeOnly
      ? []
      : [
          trackersElement(session.trackers),
          element('channels', session.channels.map(channelElement)),
          ...(session.mapChannels.length === 0 ? [] : [element('map_channels', session.mapChannels.map(mapChannelElement))]),
        ]),
  ]);

export interface ChannelDone {
  readonly name: string;
  readonly enabled: boolean;
  /** Null: it failed, or its attributes are of no interest. */
  readonly channel: ChannelView | null;
  readonly success: boolean;
}

export const channelsDone = (done: readonly ChannelDone[]): Element[] => [
  element(
    'channels',
    done.map(({ name, enabled, channel, success }) =>
      element('channel', [
        element('name', name),
        element('enabled', enabled),
        ...(channel === null ? [] : [attributesElement(channel)]),
        element('success', success),
      ]),
    ),
  ),
];

export const memoryReclaimed = (
  channels: readonly { readonly name: string; readonly reclaimed: number; readonly pending: number }[],
): Element[] => [
  element(
    'reclaim_channels',
    channels.map(({ name, reclaimed, pending }) =>
      element('channel', [
        element('name', name),
        element('reclaimed_subbuffers', reclaimed),
        element('pending_subbuffers', pending),
      ]),
    ),
  ),
];

export interface RuleDone {
  readonly rule: EventRule;
  readonly success: boolean;
}

export const rulesEnabled = (done: readonly RuleDone[]): Element[] => [
  element(
    'events',
    done.map(({ rule, success }) => element('event', [...ruleContent(rule), element('success', success)])),
  ),
];

export const rulesDisabled = (
  channel: string,
  done: readonly { readonly pattern: string; readonly success: boolean }[],
): Element[] => [
  element('channel', [
    element('name', channel),
    element(
      'events',
      done.map(({ pattern, success }) =>
        element('event', [element('name', pattern), element('enabled', !success), element('success', success)]),
      ),
    ),
  ]),
];

/** `perf:thread:cpu-cycles` and `$app.provider:type` are not types but elements of their own. */
const contextType = (symbol: string): Element => {
  if (symbol.startsWith('perf:')) {
    const name = symbol.replaceAll(/[:-]/g, '_');
    return element('perf', [element('type', 0), element('config', 0), element('name', name)]);
  }
  const app = /^\$app\.([^:]+):(.+)$/.exec(symbol);
  if (app) return element('app', [element('provider_name', app[1] ?? ''), element('ctx_name', app[2] ?? '')]);
  return element('type', upper(symbol));
};

export const contextsAdded = (done: readonly { readonly symbol: string; readonly success: boolean }[]): Element[] => [
  element(
    'contexts',
    done.map(({ symbol, success }) =>
      element('context', [contextType(symbol), element('symbol', symbol), element('success', success)]),
    ),
  ),
];

const FIELD_TYPES: Readonly<Record<string, string>> = {
  integer: 'INTEGER',
  float: 'FLOAT',
  string: 'STRING',
  enum: 'ENUM',
};

const pointElement = ({ name, logLevel, fields }: PointDescription, withFields: boolean): Element =>
  element('event', [
    element('name', name),
    element('type', 'TRACEPOINT'),
    element('enabled', false),
    element('loglevel', logLevelName(logLevel ?? DEFAULT_LOG_LEVEL)),
    ...(withFields
      ? [
          element(
            'event_fields',
            fields.map((field) =>
              element('event_field', [
                element('name', field.name),
                element('type', FIELD_TYPES[field.type.kind] ?? 'OTHER'),
                element('nowrite', field.nowrite ? 1 : 0),
              ]),
            ),
          ),
        ]
      : []),
    element('exclusions'),
  ]);

export const pointsListed = (applications: readonly ApplicationView[], withFields: boolean): Element[] => [
  element('domains', [
    element('domain', [
      element('type', 'UST'),
      element('buffer_type', 'PER_PID'),
      element(
        'pids',
        applications.map(({ pid, procname, points }) =>
          element('pid', [
            element('id', pid),
            element('name', procname),
            element(
              'events',
              points.map((point) => pointElement(point, withFields)),
            ),
          ]),
        ),
      ),
    ]),
  ]),
];
